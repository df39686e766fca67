#!/usr/bin/env python3
"""Check opsnb's evidence offline: ``python3 -I verify.py [PATH] [--head FILE] [--key KEY] [--json] [--lang en|zh]``.

PATH is an ``outputs/`` folder or an export (zip or unpacked). Standard library only, Python 3.9 or later; only reads.
Exit 0 intact, 1 altered (what and where, the first bad thing first), 2 could not check. The checkpoint is signed by the
ledger's key; the entries are canonical, in order, and under its root; a head that was kept is a prefix of them; each
recorded run has the digests that its entries hold; no entry leaves a file uncovered. ``.incoming/``, where runs are
being written, is passed over.
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
MAX_ENTRIES, MAX_FILES, MAX_ARCHIVE = 5_000_000, 2_000_000, 2**32  # the last in bytes
MAX_RATIO = 200  # unpacked to packed, beyond the first 16 MiB
RESTARTS, GRACE = 5, 1.0  # times, seconds: for a ledger that is being written meanwhile
CHECKPOINT, ENTRIES, PROOF = "ledger/checkpoint", "ledger/entries.jsonl", "ledger/proof.json"
MESSAGES = {
    "missing": ("missing or damaged, though entry {n} covers it", "缺失或损坏，但第 {n} 条记录涵盖它"),
    "digest": ("not what entry {n} covers", "与第 {n} 条记录所涵盖的不符"),
    "extra": ("no entry covers this file as it is", "没有账本记录涵盖此文件的现状"),
    "form": ("missing, damaged or not in its form", "缺失、损坏或格式不对"),
    "entry": ("entry {n} is malformed, out of place or not proven", "第 {n} 条记录格式不对、错位或未被证明"),
    "note": ("not a checkpoint signed by {key}", "不是由 {key} 签名的检查点"),
    "root": ("the first {n} entries do not give the root that was signed", "前 {n} 条记录算不出已签名的树根"),
    "short": ("{n} entries, but {m} were signed: cut back or replaced", "有 {n} 条记录，签名的是 {m} 条：被截短或替换"),
    "tail": ("holds more than the {n} entries that were signed", "多于已签名的 {n} 条记录"),
    "none": ("no ledger here; give an outputs/ folder or an export", "这里没有账本；请给出 outputs/ 文件夹或导出"),
    "unreadable": ("cannot be read: {why}", "无法读取：{why}"),
    "limit": ("larger or deeper than this program accepts", "超出本程序接受的大小或深度"),
    "size": ("an export is compared with a head of its own size ({n}) only", "导出只能与相同大小（{n}）的检查点比较"),
    "verdict0": ("INTACT", "完好"), "verdict1": ("ALTERED", "被改动"), "verdict2": ("NOT CHECKED", "未能核验"),
    "counts": ("{entries} entries, {runs} recorded runs, {pending} runs without a record, {files} files",
               "{entries} 条记录，{runs} 次已存档的运行，{pending} 次无存档的运行，{files} 个文件"),
    "unfinished": ("{n} unfinished things in .incoming passed over", "略过 .incoming 中 {n} 项未完成的内容"),
    "head": ("head: {origin}, size {size}, root {root}", "检查点：{origin}，大小 {size}，树根 {root}"),
    "trust": ("this key came with the ledger; compare it with one you were given: {key}", "公钥取自账本自身，请对照：{key}"),
    "keep": ("keep a copy of ledger/checkpoint elsewhere and give it next time with --head",
             "请另存一份 ledger/checkpoint，下次用 --head 给出"),
}  # fmt: skip
IN_FLIGHT = {"missing", "extra", "tail"}  # what a ledger that is being written can look like for a moment
VALUE = r'"[\w.:/-]{1,200}"'  # an id, an enum, a time or a digest: no free text
FIELD = rf'"[a-z]+":({VALUE}|0|[1-9]\d{{0,15}}|true|false|\{{({VALUE}:{VALUE},?)*\}})'
ENTRY = re.compile(rf"\{{{FIELD}(,{FIELD})*\}}", re.ASCII)
UNSAFE = re.compile(r"(^|/)\.{0,2}(/|$)|\0")  # in a path: leaves the folder, or is no name
RUN_PATH = re.compile(r"\d{4}/\d{2}/\d{2}/[\w:-][\w.:-]*", re.ASCII)
ONCE = {"request.sealed", "run.claimed", "run.finished", "run.recorded"}  # of others the latest holds
GONE = (KeyError, FileNotFoundError, NotADirectoryError, zipfile.BadZipFile, zlib.error, EOFError)
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, RFC 8032 section 5.1
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
Head = tuple[int, bytes]  # size and root


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
    """Nothing behind this point can be checked; its arguments are a row of ``Report.rows``."""


class Files:
    """A folder or a zip: its paths and whether each is a plain file. Nothing is unpacked, no link is followed."""

    def __init__(self, root: str) -> None:
        self.root, self.unfinished = root, 0
        self.plain: dict[str, bool] = {}
        self.zip = None if os.path.isdir(root) or not os.path.isfile(root) else zipfile.ZipFile(root)
        if self.zip:
            self._index(self.zip.infolist())
        else:
            self._walk([""])
        if len(self.plain) > MAX_FILES:
            raise Stop(2, root, "limit", {})

    def _walk(self, folders: list[str]) -> None:
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
            if UNSAFE.search(path.rstrip("/")) or path in self.plain or row.flag_bits & 1 or row.compress_type not in {0, 8}:
                raise Stop(2, path, "form", {})
            if not path.endswith("/"):
                self.plain[path] = stat.S_IFMT(row.external_attr >> 16) in {0, stat.S_IFREG}

    def open(self, path: str) -> IO[bytes]:
        """Open a plain file."""
        if self.zip:
            return self.zip.open(path)
        if not stat.S_ISREG(os.lstat(os.path.join(self.root, path)).st_mode):
            raise FileNotFoundError(path)
        return open(os.path.join(self.root, path), "rb")

    def read(self, path: str, limit: int = MAX_SMALL) -> bytes:
        """Return a file's bytes, at most ``limit``; none when it is missing or damaged."""
        try:
            with self.open(path) as stream:
                data = stream.read(limit + 1)
        except GONE:
            return b""
        if len(data) > limit:
            raise Stop(2, path, "limit", {})
        return data

    def measure(self, path: str, salt: str) -> tuple[int, str]:
        """Return a file's size and SHA-256(salt ‖ bytes); size -1 when it is missing or damaged."""
        size, digest = 0, hashlib.sha256(bytes.fromhex(salt))
        try:
            with self.open(path) as stream:
                while chunk := stream.read(2**20):
                    size += len(chunk)
                    digest.update(chunk)
        except GONE:
            return -1, ""
        return size, digest.hexdigest()


def sha(*parts: bytes) -> bytes:
    """Return SHA-256; of (0x00, entry) it is an RFC 6962 leaf, of (0x01, left, right) a node."""
    return hashlib.sha256(b"".join(parts)).digest()


def load(data: bytes) -> Any:
    """Read JSON for :func:`canonical`: keys in RFC 8785 order, a float as its shortest decimal string."""
    ordered = lambda pairs: dict(sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be")))  # noqa: E731 - one use
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
    if size == 1 and index == 0 and not proof:
        return leaf
    half = 1 << ((size - 1).bit_length() - 1)
    if index < half:
        return sha(b"\1", proven_root(leaf, index, half, proof[:-1]), proof[-1])
    return sha(b"\1", proof[-1], proven_root(leaf, index - half, size - half, proof[:-1]))


class Report:
    """One check and what it found: ``problems`` (the first bad thing first), ``ok``, ``exit_code``, ``counts``, ``head``."""

    def __init__(self, files: Files | None, lang: str) -> None:
        self.files, self.lang, self.note, self.vkey = files, lang, b"", ""
        self.ok, self.exit_code, self.problems, self.head = True, 0, list[str](), dict[str, Any]()
        self.rows: list[tuple[Any, ...]] = []  # 1 altered or 2 not checked, where, a key of MESSAGES, its values
        self.said: dict[tuple[str, str], dict[str, Any]] = {}  # entries, by kind and the id that they are about
        self.covered, self.counts = {CHECKPOINT}, dict[str, int]()

    def text(self, what: str, **values: Any) -> str:
        """Return a message in the reader's language."""
        return MESSAGES[what][self.lang == "zh"].format(**values)

    def add(self, code: int, where: str, what: str, values: dict[str, Any]) -> None:
        """Note what is wrong, without anything that a terminal would obey."""
        row = f"{where}: {self.text(what, **values)}"
        self.problems.append("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in row))
        self.rows.append((code, where, what))
        self.ok, self.exit_code = False, min(code, self.exit_code or code)

    def check(self, head: bytes | None, key: bytes | None) -> None:
        """Check the ledger, each recorded run, the site, and that nothing else is there."""
        plain = self.files.plain
        if not plain.keys() & {CHECKPOINT, ENTRIES, PROOF}:
            raise Stop(2, self.files.root, "none", {})
        self.vkey = (key or self.files.read("ledger/vkey")).decode("ascii", "replace").strip()
        kept = None if head is None else self._checkpoint("--head", head)
        self.note = self.files.read(CHECKPOINT)
        size, root = self._checkpoint(CHECKPOINT, self.note)
        self.head = {"origin": self.vkey.split("+")[0], "size": size, "root": root.hex()}
        export = PROOF in plain and ENTRIES not in plain
        only = self._proofs(size, root, kept) if export else self._log(size, root, kept)
        of = {kind: [e for (k, _), e in self.said.items() if k == kind] for kind in LOOKED_AT}
        for entry in of["run.recorded"]:
            if entry["run"] == (only or entry["run"]):
                self._run(entry)
        for entry in of["site.published"]:
            for path in entry["files"]:
                if path in plain or not only:
                    self._same(path, entry["files"][path], entry["index"])
        for path in sorted(plain):
            if path not in self.covered or not plain[path]:
                self.add(1, path, "extra", {})
