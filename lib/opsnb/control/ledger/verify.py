#!/usr/bin/env python3
"""Check opsnb's evidence offline: ``python3 -I verify.py [PATH] [--head FILE] [--key KEY] [--json] [--lang en|zh]``.

PATH is an ``outputs/`` folder or an export (zip or unpacked). One file, standard library only, Python 3.9 or later;
it only reads. Exit 0 intact, 1 altered (what and where, the first bad thing first), 2 could not check.

1. The checkpoint is a C2SP signed note of the ledger's Ed25519 key.
2. The entries are canonical, in order, and give the signed RFC 6962 root; in an export each has its inclusion proof.
   A head that was kept earlier must be a prefix of the ledger.
3. Each recorded run: manifest, notebook, HTML, files, sealed request and plan have the digests that its entries hold.
4. No file is there that no entry covers. ``.incoming/``, where runs are being written, is passed over.
"""
# ruff: noqa: PTH - paths are names to be compared, in folders and archives alike

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import stat
import sys
import time
import zipfile
import zlib
from typing import IO, Any

MAX_SMALL, MAX_LINE, MAX_JSON = 2**16, 2**20, 2**26  # bytes: a checkpoint or key, an entry, a manifest or the proofs
MAX_ENTRIES, MAX_FILES = 5_000_000, 2_000_000
MAX_ARCHIVE, MAX_RATIO = 2**32, 200  # bytes; unpacked to packed, beyond the first 16 MiB
RESTARTS, GRACE, POLL = 5, 1.0, 0.05  # times, seconds, seconds: for a ledger that is being written meanwhile
CHECKPOINT, ENTRIES, PROOF = "ledger/checkpoint", "ledger/entries.jsonl", "ledger/proof.json"
MESSAGES = {
    "missing": ("missing or damaged, though entry {n} covers it", "缺失或损坏，但第 {n} 条记录涵盖它"),
    "digest": ("not what entry {n} covers", "与第 {n} 条记录所涵盖的不符"),
    "extra": ("no entry covers this file as it is", "没有账本记录涵盖此文件的现状"),
    "form": ("missing, damaged or not in its form", "缺失、损坏或格式不对"),
    "entry": ("entry {n} is malformed, out of place or not under the signed root", "第 {n} 条记录格式不对、错位或不属于签名的树根"),
    "note": ("not a checkpoint signed by {key}", "不是由 {key} 签名的检查点"),
    "root": ("the first {n} entries do not give the root that was signed", "前 {n} 条记录算不出已签名的树根"),
    "short": ("{n} entries, but {m} were signed: cut back or replaced", "有 {n} 条记录，签名的是 {m} 条：被截短或替换"),
    "tail": ("holds more than the {n} entries that were signed", "多于已签名的 {n} 条记录"),
    "none": ("no ledger here; give an outputs/ folder or an export", "这里没有账本；请给出 outputs/ 文件夹或导出"),
    "unreadable": ("cannot be read: {why}", "无法读取：{why}"),
    "limit": ("larger or deeper than this program accepts", "超出本程序接受的大小或深度"),
    "size": ("an export is compared with a head of its own size ({n}) only", "导出只能与相同大小（{n}）的检查点比较"),
    "verdict0": ("INTACT", "完好"), "verdict1": ("ALTERED", "被改动"), "verdict2": ("NOT CHECKED", "未能核验"),
    "counts": ("{entries} entries, {runs} recorded runs, {pending} runs without a record, {files} files; "
               "{unfinished} unfinished ones in .incoming passed over",
               "{entries} 条记录，{runs} 次已存档的运行，{pending} 次无存档的运行，{files} 个文件；略过 .incoming 中 {unfinished} 项"),
    "head": ("head: {origin}, size {size}, root {root}", "检查点：{origin}，大小 {size}，树根 {root}"),
    "trust": ("the key came with the ledger; compare it with one you were given, or use --key: {key}",
              "公钥取自账本自身，请与您得到的公钥对照，或使用 --key：{key}"),
    "keep": ("keep a copy of ledger/checkpoint elsewhere; next time give it with --head",
             "请另存一份 ledger/checkpoint，下次用 --head 给出"),
}  # fmt: skip
IN_FLIGHT = {"missing", "extra", "tail"}  # what a ledger that is being written can look like for a moment
VALUE = r'"[\w.:/-]{1,200}"'  # an id, an enum, a time or a digest: no free text
FIELD = rf'"[a-z]+":({VALUE}|0|[1-9]\d{{0,15}}|true|false|\{{({VALUE}:{VALUE},?)*\}})'
ENTRY = re.compile(rf"\{{{FIELD}(,{FIELD})*\}}", re.ASCII)
RUN_PATH = re.compile(r"\d{4}/\d{2}/\d{2}/[\w:-][\w.:-]*", re.ASCII)
LATEST = {"plan.proposed", "site.published"}  # may be said again, and the latest holds

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, RFC 8032 section 5.1
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
Key = tuple[str, bytes, bytes]  # name, key hash, public key


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is that of ``public`` over ``message``; no other form of either is accepted."""

    def add(p: Point, q: Point) -> Point:
        (x1, y1), (x2, y2) = p, q
        t = D * x1 * x2 * y1 * y2
        return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P

    def multiply(n: int, p: Point) -> Point:
        q = (0, 1)
        while n:
            q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
        return q

    def point(data: bytes) -> Point:
        y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
        u, v = y * y - 1, D * y * y + 1
        x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
        if (v * x * x - u) % P:
            x = x * pow(2, (P - 1) // 4, P) % P
        if y >= P or (v * x * x - u) % P or (x == 0 and sign):
            raise ValueError("not the canonical form of a point on the curve")
        return (x if x & 1 == sign else P - x), y

    try:
        a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    except (ValueError, IndexError):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    if len(public) != 32 or len(signature) != 64 or s >= L or multiply(8, a) == (0, 1):  # the last: of small order
        return False
    return multiply(s, point(b"\x58" + b"\x66" * 31)) == add(r, multiply(k, a))


class Stop(Exception):  # noqa: N818 - an outcome, not an error of this program
    """Nothing behind this point can be checked; holds a row of :class:`Report`."""


class Report:
    """What was found: ``problems`` (text, the first bad thing first), ``ok``, ``exit_code``, ``counts``, ``head``."""

    def __init__(self, lang: str = "en") -> None:
        self.lang, self.note, self.key = lang, b"", ""
        self.head: dict[str, Any] = {}
        self.counts = {"entries": 0, "runs": 0, "pending": 0, "files": 0, "unfinished": 0}
        self.rows: list[tuple[Any, ...]] = []  # 1 altered or 2 not checked, where, a key of MESSAGES, its values

    def add(self, where: str, what: str, **values: Any) -> None:
        """Note that something was altered."""
        self.rows.append((1, where, what, values))

    def text(self, what: str, values: dict[str, Any]) -> str:
        """Return a message in the reader's language, without anything that a terminal would obey."""
        text = MESSAGES[what][self.lang == "zh"].format(**values)
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)

    @property
    def problems(self) -> list[str]:
        """Everything bad as text."""
        return [f"{where}: {self.text(what, values)}" for _, where, what, values in self.rows]

    @property
    def exit_code(self) -> int:
        """0 intact, 1 altered, 2 could not check."""
        return min((row[0] for row in self.rows), default=0)

    @property
    def ok(self) -> bool:
        """Whether all was checked and nothing was altered."""
        return not self.rows


class Files:
    """A folder or a zip: its paths and whether each is a plain file. Nothing is unpacked, no link is followed."""

    def __init__(self, root: str) -> None:
        self.root, self.zip, self.unfinished = root, None, 0
        self.plain: dict[str, bool] = {}
        if os.path.isdir(root):
            self._walk()
        elif os.path.isfile(root) and zipfile.is_zipfile(root):
            self.zip = zipfile.ZipFile(root)
            self._index(self.zip.infolist())
        if len(self.plain) > MAX_FILES or not self.plain.keys() & {CHECKPOINT, ENTRIES, PROOF}:
            raise Stop(2, root, "limit" if len(self.plain) > MAX_FILES else "none", {})

    def _walk(self) -> None:
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(os.path.join(self.root, folder)) as rows:
                for row in rows:
                    path = folder + row.name
                    if folder == ".incoming/":
                        self.unfinished += 1
                    elif row.is_dir(follow_symlinks=False):
                        folders.append(path + "/")
                    elif path != ".gitkeep" or row.stat(follow_symlinks=False).st_size:
                        self.plain[path] = row.is_file(follow_symlinks=False)

    def _index(self, rows: list[zipfile.ZipInfo]) -> None:
        packed = os.path.getsize(self.root)
        if sum(row.file_size for row in rows) > min(MAX_ARCHIVE, MAX_RATIO * packed + 2**24):
            raise Stop(2, self.root, "limit", {})
        for row in rows:
            path = row.filename
            if unsafe(path.rstrip("/")) or path in self.plain or row.flag_bits & 1 or row.compress_type not in {0, 8}:
                raise Stop(2, path, "form", {})
            if not path.endswith("/"):
                self.plain[path] = stat.S_IFMT(row.external_attr >> 16) in {0, stat.S_IFREG}

    def open(self, path: str) -> IO[bytes]:
        """Open a plain file."""
        if not self.zip and not stat.S_ISREG(os.lstat(os.path.join(self.root, path)).st_mode):
            raise FileNotFoundError(path)
        return self.zip.open(path) if self.zip else open(os.path.join(self.root, path), "rb")

    def read(self, path: str, limit: int = MAX_SMALL) -> bytes:
        """Return the bytes of a file that must be there, at most ``limit``."""
        try:
            with self.open(path) as stream:
                data = stream.read(limit + 1)
        except GONE as error:
            raise Stop(1, path, "form", {}) from error
        if len(data) > limit:
            raise Stop(2, path, "limit", {})
        return data

    def measure(self, path: str, salt: str) -> tuple[int, str]:
        """Return a file's size and SHA-256(salt ‖ bytes); size -1 when it is missing or damaged."""
        size, digest = 0, hashlib.sha256(bytes.fromhex(salt))
        try:
            with self.open(path) as stream:
                for chunk in iter(lambda: stream.read(2**20), b""):
                    size += len(chunk)
                    digest.update(chunk)
        except GONE:
            return -1, ""
        return size, digest.hexdigest()


GONE = (KeyError, FileNotFoundError, NotADirectoryError, zipfile.BadZipFile, zlib.error, EOFError)
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)


def unsafe(path: str) -> bool:
    """Return whether ``path`` is no relative path below the folder."""
    return "\0" in path or any(part in {"", ".", ".."} for part in path.split("/"))


def sha(*parts: bytes) -> bytes:
    """Return SHA-256; of (0x00, entry) it is an RFC 6962 leaf, of (0x01, left, right) a node."""
    return hashlib.sha256(b"".join(parts)).digest()


def load(data: bytes) -> Any:
    """Read JSON for :func:`canonical`: keys in RFC 8785 order, a float as its shortest decimal string."""

    def ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be")))

    return json.loads(data, object_pairs_hook=ordered, parse_float=lambda text: repr(float(text)))


def canonical(value: Any) -> bytes:
    """Return the bytes that digests are taken of."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def merkle_root(level: list[bytes]) -> bytes:
    """Return the RFC 6962 root over leaves; the last one of an odd row moves up as it is."""
    while len(level) > 1:
        odd = level[len(level) & ~1 :]
        level = [sha(b"\1", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0] if level else sha()


def proven_root(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """Return the root that an RFC 6962 inclusion proof (lowest first) gives; one of another length is an error."""
    if size <= 1:
        if proof or index or size < 1:
            raise ValueError("the proof does not fit the tree")
        return leaf
    half = 1 << ((size - 1).bit_length() - 1)
    if index < half:
        return sha(b"\1", proven_root(leaf, index, half, proof[:-1]), proof[-1])
    return sha(b"\1", proof[-1], proven_root(leaf, index - half, size - half, proof[:-1]))


def unbase64(text: str) -> bytes:
    """Return the bytes of their one canonical base64 form."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(text)
    return data


def parse_key(data: bytes) -> Key:
    """Read a C2SP verifier key."""
    name, digest, blob = data.decode().strip().split("+", 2)
    raw = unbase64(blob)
    key = (name, sha(name.encode(), b"\n", raw)[:4], raw[1:])
    if raw[:1] != b"\1" or len(raw) != 33 or key[1].hex() != digest:
        raise ValueError(name)
    return key


def open_checkpoint(note: bytes, key: Key) -> tuple[bool | None, int, bytes]:
    """Return whether ``key`` signed a C2SP checkpoint (``None``: no signature of it there), its size and root."""
    text, _, lines = note.decode().rpartition("\n\n")
    origin, size, root = text.split("\n")
    signed: bool | None = None
    for line in lines[:-1].split("\n"):
        dash, name, blob = line.split(" ")
        raw = unbase64(blob)
        if dash == "—" and (name, raw[:4]) == key[:2]:
            signed = signed is not False and ed25519_verify(key[2], text.encode() + b"\n", raw[4:])
    if lines[-1:] != "\n" or not re.fullmatch("0|[1-9][0-9]{0,15}", size) or (signed and origin != key[0]):
        raise ValueError(text)
    return signed, int(size), unbase64(root)


class Pass:
    """One pass over the evidence: what the entries say, and whether the files are that."""

    def __init__(self, files: Files, key: Key, report: Report) -> None:
        self.files, self.key, self.report = files, key, report
        self.said: dict[tuple[str, str], dict[str, Any]] = {}  # by kind and the id that the entry is about
        self.covered = {CHECKPOINT}

    def head(self) -> tuple[int, bytes]:
        """Return size and root of the signed checkpoint."""
        self.report.note = self.files.read(CHECKPOINT)
        try:
            signed, size, root = open_checkpoint(self.report.note, self.key)
        except ValueError:
            signed, size, root = None, 0, b""
        if not signed or size > MAX_ENTRIES:
            raise Stop(1, CHECKPOINT, "note", {"key": f"{self.key[0]}+{self.key[1].hex()}"})
        self.report.head = {"origin": self.key[0], "size": size, "root": root.hex()}
        return size, root

    def take(self, line: bytes, index: int) -> bool:
        """Note what an entry says; return whether it is well formed, in its place and follows from those before."""
        try:
            entry = load(line) if ENTRY.fullmatch(line.decode("ascii")) else {}
            key = (entry["kind"], str(entry.get("run", entry.get("request", ""))))
            good = canonical(entry) == line and type(entry["index"]) is int and entry["index"] == index
            if key[0] == "run.recorded":
                good = good and ("run.finished", key[1]) in self.said and bool(RUN_PATH.fullmatch(entry["path"]))
                good = good and entry["path"].endswith("/" + key[1])
            once, self.said[key] = key[0] in ONCE and key in self.said, entry
        except MALFORMED:
            return False
        return good and not once and (index == 0) == (key[0] == "ledger.opened")

    def log(self, kept: tuple[int, bytes] | None) -> None:
        """Read all entries, and compare with the checkpoint and with a head that was kept."""
        (size, root), lines = self.head(), list[bytes]()
        with self.files.open(ENTRIES) as stream:
            while len(lines) < size and (line := stream.readline(MAX_LINE)).endswith(b"\n"):
                lines.append(line[:-1])
            more = stream.read(1)
        bad = [index for index, line in enumerate(lines) if not self.take(line, index)]
        if bad:
            self.report.add(ENTRIES, "entry", n=bad[0])
        leaves = [sha(b"\0", line) for line in lines]
        for where, n, wanted in ((ENTRIES, size, root), ("--head", *kept)) if kept else ((ENTRIES, size, root),):
            if n > len(lines):
                self.report.add(where, "short", n=len(lines), m=n)
            elif merkle_root(leaves[:n]) != wanted:
                self.report.add(where, "root", n=n)
        if more and len(lines) == size:
            self.report.add(ENTRIES, "tail", n=size)
        self.covered.add(ENTRIES)

    def proofs(self, kept: tuple[int, bytes] | None) -> str:
        """Read the entries of an export with their proofs; return the run that it is of."""
        size, root = self.head()
        if kept and kept[0] != size:
            raise Stop(2, "--head", "size", {"n": size})
        if kept and kept[1] != root:
            self.report.add("--head", "root", n=size)
        try:
            value, last = load(data := self.files.read(PROOF, MAX_JSON)), -1
            if canonical(value) != data or value.keys() != {"entries", "run", "schema"} or value["schema"] != 1:
                raise ValueError(PROOF)
            for row in value["entries"]:
                index, line, proof = row["index"], row["data"].encode(), [bytes.fromhex(h) for h in row["proof"]]
                good = row.keys() == {"data", "index", "proof"} and [h.hex() for h in proof] == row["proof"]
                good = self.take(line, index) and good and index > last
                if not good or proven_root(sha(b"\0", line), index, size, proof) != root:
                    self.report.add(PROOF, "entry", n=index)
                last = index
        except MALFORMED as error:
            raise Stop(1, PROOF, "form", {}) from error
        self.covered.add(PROOF)
        return str(value["run"])

    def same(self, path: str, digest: str, n: int, salt: str = "", size: int | None = None) -> bool:
        """Return whether a file has the digest (and size) that entry ``n`` covers; note it if not."""
        found = self.files.measure(path, salt)
        good = found[1] == digest and size in {None, found[0]}
        if not good:
            self.report.add(path, "missing" if found[0] < 0 else "digest", n=n)
        self.covered.add(path)
        return good

    def run(self, entry: dict[str, Any]) -> None:
        """Check one recorded run: its folder against its manifest, both against their entries."""
        folder, n, finished = entry["path"], entry["index"], self.said["run.finished", entry["run"]]
        path, rows = folder + "/manifest.json", dict[str, Any]()
        if not self.same(path, entry["manifest"], n):  # without it nobody can say which files belong here
            self.covered.update(p for p in self.files.plain if p.startswith(folder + "/"))
            return
        try:
            manifest = load(self.files.read(path, MAX_JSON))
            rows.update((row["path"], row) for row in manifest["files"])
            salts, request = manifest["salts"], canonical(manifest["request"])
            proposed = self.said.get(("plan.proposed", entry["run"]))
            head = (manifest["schema"], manifest["run"], manifest["request_digest"], len(rows))
            if head != (1, entry["run"], sha(request).hex(), len(manifest["files"])) or any(map(unsafe, rows)):
                raise ValueError(path)
            for name, row in rows.items():
                self.same(f"{folder}/{name}", row["sha256"], n, size=row["size"])
            self.same(folder + "/run.ipynb", finished["notebook"], finished["index"], salts["notebook"])
            self.same(folder + "/run.html", entry["html"], n, salts["html"])
            left = canonical([rows[name] for name in sorted(rows) if name.startswith("files/")])
            for what, data, said, field in (
                ("files", left, finished, "files"),
                ("request", request, self.said["request.sealed", finished["request"]], "digest"),
                ("plan", str(manifest["plan_digest"]).encode(), proposed, "plan"),
            ):
                if said and sha(bytes.fromhex(salts[what]), data).hex() != said[field]:
                    self.report.add(f"{path} ({what})", "digest", n=said["index"])
        except MALFORMED:
            self.report.add(path, "form")

    def everything(self, kept: tuple[int, bytes] | None) -> None:
        """Check the ledger, each recorded run, the site, and that nothing else is there."""
        plain, report = self.files.plain, self.report
        only = self.proofs(kept) if PROOF in plain and ENTRIES not in plain else self.log(kept)
        for (kind, run), entry in self.said.items():
            ...
