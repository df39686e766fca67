#!/usr/bin/env python3
"""Check opsnb's evidence offline: ``python3 -I verify.py [PATH] [--head FILE] [--key KEY] [--json] [--lang en|zh]``.

PATH is an ``outputs/`` folder or an export (zip or unpacked). One file, standard library only, Python 3.9 or later;
it only reads. Exit 0 intact, 1 altered (what and where, the first bad thing first), 2 could not check.

1. The checkpoint is a C2SP signed note of the ledger's Ed25519 key (RFC 8032).
2. The entries are canonical, in order, and give the signed RFC 6962 root; in an export each has its inclusion proof.
   A head that was kept earlier must be a prefix of the ledger.
3. Each recorded run: manifest, notebook, HTML, files, sealed request and plan have the digests that its entries hold.
4. No file is there that no entry covers. ``.incoming/``, where runs are being written, is passed over.
"""

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
from collections.abc import Iterator
from typing import IO, Any, Union

MAX_SMALL, MAX_LINE, MAX_JSON = 2**16, 2**20, 2**26  # bytes: a checkpoint or key, an entry, a manifest or proofs
MAX_ENTRIES, MAX_FILES = 5_000_000, 2_000_000
MAX_ARCHIVE, MAX_RATIO = 2**32, 200  # bytes; unpacked to packed, beyond the first 16 MiB
RESTARTS, GRACE, POLL = 5, 1.0, 0.05  # times, seconds, seconds: for a ledger that is being written meanwhile
CHECKPOINT, ENTRIES, PROOF = "ledger/checkpoint", "ledger/entries.jsonl", "ledger/proof.json"
MESSAGES = {
    "missing": ("missing, though entry {n} covers it", "缺失，但第 {n} 条记录涵盖它"),
    "digest": ("its bytes are not those that entry {n} recorded", "内容与第 {n} 条记录不符"),
    "extra": ("no ledger entry covers this file as it is", "没有账本记录涵盖此文件的现状"),
    "special": ("a link or a special file, which no entry can cover", "链接或特殊文件，账本记录无法涵盖"),
    "form": ("missing, damaged or not in its form", "缺失、损坏或格式不对"),
    "entry": ("entry {n} is not canonical, not in its place or against an earlier one", "第 {n} 条记录不规范、错位或与之前矛盾"),
    "request": ("the sealed request is not the one that entry {n} recorded", "封存的请求与第 {n} 条记录不符"),
    "plan": ("the plan is not the one that entry {n} recorded", "计划与第 {n} 条记录不符"),
    "note": ("not a checkpoint signed by {key}", "不是由 {key} 签名的检查点"),
    "root": ("the {n} entries do not give the signed root", "这 {n} 条记录算不出签名的树根"),
    "short": ("{n} entries, but {m} were signed: cut back or replaced", "有 {n} 条记录，签名的是 {m} 条：被截短或替换"),
    "tail": ("holds more than the {n} entries that were signed", "多于已签名的 {n} 条记录"),
    "proof": ("entry {n} is not proven to be under the signed root", "第 {n} 条记录未被证明属于签名的树根"),
    "rewritten": ("the first {n} entries are not those of the head you kept", "前 {n} 条记录与您保存的检查点不符"),
    "other": ("the head you kept is of another ledger or key", "您保存的检查点属于另一账本或公钥"),
    "none": ("no ledger here; give an outputs/ folder or an export", "这里没有账本；请给出 outputs/ 文件夹或导出"),
    "unreadable": ("cannot be read: {why}", "无法读取：{why}"),
    "limit": ("larger or deeper than this program accepts", "超出本程序接受的大小或深度"),
    "unsafe": ("an archive may not hold this path, or not twice", "压缩包中不允许此路径，或重复出现"),
    "argument": ("not a verifier key or a signed checkpoint", "不是验证公钥或签名的检查点"),
    "size": ("an export is compared with a head of its own size ({n}) only", "导出只能与相同大小（{n}）的检查点比较"),
    "0": ("INTACT", "完好"), "1": ("ALTERED", "被改动"), "2": ("NOT CHECKED", "未能核验"),
    "counts": ("entries {entries}, recorded runs {runs}, files {files}, runs without a record {pending}, not looked at "
               "(unfinished) {passed}", "记录 {entries}，已存档运行 {runs}，文件 {files}，无存档运行 {pending}，未查看（未完成）{passed}"),
    "head": ("head: {origin}, size {size}, root {root}", "检查点：{origin}，大小 {size}，树根 {root}"),
    "key": ("key, taken from the ledger itself; compare it with one you were given, or use --key: {key}",
            "公钥取自账本自身，请与您得到的公钥对照，或使用 --key：{key}"),
    "keep": ("keep a copy of ledger/checkpoint elsewhere; next time give it with --head",
             "请另存一份 ledger/checkpoint，下次用 --head 给出"),
}  # fmt: skip
IN_FLIGHT = {"missing", "extra", "tail"}  # what a ledger that is being written can look like for a moment
HEX, WORD = re.compile(r"[0-9a-f]{64}"), re.compile(r"[A-Za-z0-9._:/-]{1,200}")
RUN_PATH = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[A-Za-z0-9_:-][A-Za-z0-9._:-]*")
HEADING = {"kind": re.compile(r"[a-z]+(\.[a-z]+)+"), "at": re.compile(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z")}
DIGESTS = {"digest", "plan", "notebook", "files", "html", "manifest"}
REQUIRED = {  # by kind: what the checks below rely on; the first names what the entry is about
    "ledger.opened": ("origin",),
    "request.sealed": ("request", "digest"),
    "plan.proposed": ("run", "plan"),
    "run.finished": ("run", "request", "notebook", "files"),
    "run.recorded": ("run", "path", "html", "manifest"),
    "run.unrecorded": ("run", "reason"),
    "site.published": ("files",),
}
REPEATABLE = {"plan.proposed", "site.published"}  # the latest one holds

# Ed25519, RFC 8032 section 5.1, in extended coordinates.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]  # X, Y, Z, T
Found = tuple[str, str, "dict[str, Any]"]  # where, a key of MESSAGES, its values


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(n: int, p: Point) -> Point:
    q = (0, 1, 1, 0)
    while n:
        q, p, n = _add(q, p) if n & 1 else q, _add(p, p), n >> 1
    return q


def _point(data: bytes) -> Point:
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    u, v = y * y - 1, D * y * y + 1
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (v * x * x - u) % P or (x == 0 and sign):
        raise ValueError("not the canonical form of a point on the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is that of ``public`` over ``message``; no other form of either is accepted."""
    try:
        a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    except (ValueError, IndexError):
        return False
    if len(public) != 32 or len(signature) != 64 or s >= L or _multiply(8, a)[0] == 0:  # the last: a small-order key
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    p, q = _multiply(s, _point(b"\x58" + b"\x66" * 31)), _add(r, _multiply(k, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


class Stop(Exception):  # noqa: N818 - an outcome, not an error of this program
    """Nothing behind this point can be checked: where, a key of MESSAGES, its values."""

    def __init__(self, where: str, what: str, **values: Any) -> None:
        super().__init__(where)
        self.found = (where, what, values)


class Altered(Stop):
    """Because it was altered."""


class Unchecked(Stop):
    """For another reason."""


class Report:
    """What was found: ``problems`` (text, the first bad thing first), ``ok``, ``exit_code``, ``counts``, ``head``."""

    def __init__(self, lang: str = "en") -> None:
        self.lang, self.note, self.key = lang, b"", ""
        self.head: dict[str, Any] = {}
        self.found: list[Found] = []
        self.failure: list[Found] = []
        self.counts = {"entries": 0, "runs": 0, "files": 0, "pending": 0, "passed": 0}

    def add(self, where: str, what: str, **values: Any) -> None:
        """Note that something was altered."""
        self.found.append((where, what, values))

    def text(self, what: str, **values: Any) -> str:
        """Return a message in the reader's language."""
        return MESSAGES[what][self.lang == "zh"].format(**values)

    @property
    def problems(self) -> list[str]:
        """Everything bad as text, without anything that a terminal would obey; what could not be checked is last."""
        rows = [f"{where}: {self.text(what, **values)}" for where, what, values in self.found + self.failure]
        return ["".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in row) for row in rows]

    @property
    def exit_code(self) -> int:
        """0 intact, 1 altered, 2 could not check."""
        return 1 if self.found else 2 if self.failure else 0

    @property
    def ok(self) -> bool:
        """Whether all was checked and nothing was altered."""
        return self.exit_code == 0


class Folder:
    """The files of a directory; no link is followed."""

    def __init__(self, root: str) -> None:
        self.root = root

    def listing(self, report: Report) -> Iterator[tuple[str, bool]]:
        """Yield each path with whether it is a plain file; count what stands in ``.incoming``."""
        pending = [""]
        while pending:
            folder = pending.pop()
            with os.scandir(os.path.join(self.root, folder)) as rows:
                for row in rows:
                    path = folder + row.name
                    if row.is_dir(follow_symlinks=False):
                        pending.append(path + "/")
                    elif path.startswith(".incoming/"):
                        report.counts["passed"] += 1
                    elif path != ".gitkeep" or row.stat(follow_symlinks=False).st_size:
                        yield path, row.is_file(follow_symlinks=False)

    def open(self, path: str) -> IO[bytes]:
        """Open a plain file."""
        place = os.path.join(self.root, path)
        if not stat.S_ISREG(os.lstat(place).st_mode):
            raise FileNotFoundError(path)
        return open(place, "rb")


class Archive:
    """The files of a zip; nothing is unpacked to disk."""

    def __init__(self, path: str) -> None:
        packed = os.stat(path).st_size
        if not os.path.isfile(path) or not zipfile.is_zipfile(path):
            raise Unchecked(path, "none")
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise Unchecked(path, "none") from error
        self.rows: dict[str, zipfile.ZipInfo] = {}
        for row in self.zip.infolist():
            stored = row.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} and not row.flag_bits & 1
            if row.filename in self.rows or unsafe(row.filename.rstrip("/")) or not stored:
                raise Unchecked(row.filename, "unsafe")
            self.rows[row.filename] = row
        total = sum(row.file_size for row in self.rows.values())
        if packed > MAX_ARCHIVE or total > min(MAX_ARCHIVE, MAX_RATIO * packed + 2**24):
            raise Unchecked(path, "limit")

    def listing(self, _: Report) -> Iterator[tuple[str, bool]]:
        """Yield each path with whether it is a plain file."""
        for path, row in self.rows.items():
            if not path.endswith("/"):
                yield path, stat.S_IFMT(row.external_attr >> 16) in {0, stat.S_IFREG}

    def open(self, path: str) -> IO[bytes]:
        """Open a file of the archive."""
        if path not in self.rows:
            raise FileNotFoundError(path)
        return self.zip.open(self.rows[path])


Files = Union[Folder, Archive]
DAMAGED = (FileNotFoundError, NotADirectoryError, zipfile.BadZipFile, zlib.error, EOFError)


def unsafe(path: Any) -> bool:
    """Return whether ``path`` is no relative path below the directory."""
    return not isinstance(path, str) or "\0" in path or any(part in {"", ".", ".."} for part in path.split("/"))


def measure(files: Files, path: str, salt: str = "") -> tuple[int, str, str] | None:
    """Return a file's size, SHA-256 and SHA-256(salt ‖ bytes); ``None`` when it is missing or damaged."""
    size, plain, salted = 0, hashlib.sha256(), hashlib.sha256(bytes.fromhex(salt))
    try:
        with files.open(path) as stream:
            for chunk in iter(lambda: stream.read(2**20), b""):
                size += len(chunk)
                plain.update(chunk)
                salted.update(chunk)
    except DAMAGED:
        return None
    return size, plain.hexdigest(), salted.hexdigest()


def small(files: Files, path: str, limit: int = MAX_SMALL) -> bytes:
    """Return a file's bytes, at most ``limit`` of them."""
    try:
        with files.open(path) as stream:
            data = stream.read(limit + 1)
    except DAMAGED as error:
        raise Altered(path, "form") from error
    if len(data) > limit:
        raise Unchecked(path, "limit")
    return data


def canonical(value: Any) -> bytes:
    """Return the bytes that a digest is taken of: RFC 8785, a float as its shortest decimal string."""

    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {k: plain(part[k]) for k in sorted(part, key=lambda k: k.encode("utf-16-be", "surrogatepass"))}
        if isinstance(part, list):
            return [plain(item) for item in part]
        return repr(part) if isinstance(part, float) else part

    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()


def unbase64(text: str, length: int) -> bytes:
    """Return ``length`` bytes from their one canonical base64 form."""
    data = base64.b64decode(text, validate=True)
    if len(data) != length or base64.b64encode(data).decode() != text:
        raise ValueError(text)
    return data


def parse_key(text: str) -> tuple[str, bytes, bytes]:
    """Return name, key hash and public key of a C2SP verifier key."""
    name, digest, blob = text.strip().split("+", 2)
    raw = unbase64(blob, 33)
    found = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if raw[0] != 1 or found.hex() != digest:
        raise ValueError(text)
    return name, found, raw[1:]


def open_checkpoint(note: bytes, key: tuple[str, bytes, bytes]) -> tuple[bool | None, int, bytes]:
    """Return whether ``key`` signed (``None``: no such signature), size and root of a C2SP checkpoint."""
    text, _, lines = note.decode().rpartition("\n\n")
    origin, size, root = text.split("\n")
    signed = None
    for line in lines[:-1].split("\n"):
        dash, name, blob = line.split(" ")
        raw = base64.b64decode(blob, validate=True)
        if dash != "—" or base64.b64encode(raw).decode() != blob:
            raise ValueError(line)
        if (name, raw[:4]) == key[:2]:
            signed = signed is not False and ed25519_verify(key[2], text.encode() + b"\n", raw[4:])
    if not lines.endswith("\n") or not re.fullmatch("0|[1-9][0-9]{0,15}", size) or (signed and origin != key[0]):
        raise ValueError(text)
    return signed, int(size), unbase64(root, 32)


def leaf_hash(line: bytes) -> bytes:
    """Return the RFC 6962 leaf hash of an entry."""
    return hashlib.sha256(b"\0" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 hash of a node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def included(found: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """Return whether a leaf is under the root, as RFC 9162 section 2.1.3.2 checks it."""
    at, last = index, size - 1
    if not 0 <= at <= last:
        return False
    for sibling in proof:
        if last == 0:
            return False
        found = node_hash(sibling, found) if at & 1 or at == last else node_hash(found, sibling)
        while at == last and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


class Ledger:
    """The entries, followed from the first: the tree over them, and what they say of files."""

    def __init__(self, report: Report, origin: str) -> None:
        self.report, self.origin, self.size = report, origin, 0
        self.nodes: list[bytes] = []
        self.said: dict[str, dict[str, Any]] = {kind: {} for kind in REQUIRED}

    def push(self, line: bytes) -> None:
        """Put an entry into the tree."""
        node, rest = leaf_hash(line), self.size
        while rest & 1:
            node, rest = node_hash(self.nodes.pop(), node), rest >> 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.nodes:
            return hashlib.sha256(b"").digest()
        root = self.nodes[-1]
        for node in self.nodes[-2::-1]:
            root = node_hash(node, root)
        return root

    def take(self, line: bytes, index: int) -> None:
        """Read an entry; note what it says, or that it cannot stand there."""
        try:
            entry = json.loads(line)
            good = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() == line
        except (ValueError, RecursionError):
            good = False
        if not good or not is_entry(entry, index) or not self.follows(entry):
            self.report.add("ledger", "entry", n=index)
        elif entry["kind"] in REQUIRED:
            self.said[entry["kind"]][subject(entry)] = entry

    def follows(self, entry: dict[str, Any]) -> bool:
        """Return whether the entry can stand behind those before it."""
        kind = entry["kind"]
        if (entry["index"] == 0) != (kind == "ledger.opened") or entry.get("origin", self.origin) != self.origin:
            return False
        if kind in REQUIRED and kind not in REPEATABLE and subject(entry) in self.said[kind]:
            return False
        return kind != "run.recorded" or (
            entry["run"] in self.said["run.finished"]
            and RUN_PATH.fullmatch(entry["path"]) is not None
            and entry["path"].endswith("/" + entry["run"])
        )


def subject(entry: dict[str, Any]) -> str:
    """Return the id that an entry is about."""
    return "" if entry["kind"] == "site.published" else str(entry[REQUIRED[entry["kind"]][0]])


def is_entry(entry: Any, index: int) -> bool:
    """Return whether ``entry`` has the shape of entry ``index``: ids, numbers and digests, and what its kind needs."""
    if not isinstance(entry, dict) or type(entry.get("index")) is not int or entry["index"] != index:
        return False
    if not all(p.fullmatch(str(entry.get(name))) for name, p in HEADING.items()):
        return False
    kind = entry["kind"]
    wanted = dict if kind == "site.published" else str
    if not all(isinstance(entry.get(name), wanted) for name in REQUIRED.get(kind, ())):
        return False
    return all(is_value(name, value) for name, value in entry.items())


def is_value(name: str, value: Any) -> bool:
    """Return whether an entry may hold ``value`` under ``name``."""
    if isinstance(value, dict):
        return all(not unsafe(k) and isinstance(v, str) and HEX.fullmatch(v) for k, v in value.items())
    pattern = HEX if name in DIGESTS else WORD
    return isinstance(value, int) or (isinstance(value, str) and pattern.fullmatch(value) is not None)


def read_log(files: Files, ledger: Ledger, key: tuple[str, bytes, bytes], kept: tuple[int, bytes] | None) -> None:
    """Follow all entries up to the checkpoint, again while it moves; compare with it and with a kept head."""
    report, kept_root, more, note = ledger.report, ledger.root(), b"", None
    with files.open(ENTRIES) as stream:
        while note != report.note:
            note = report.note
            size, root = signed_head(files, key, report)
            while ledger.size < size:
                line = more + stream.readline(MAX_LINE + 1)
                if len(line) > MAX_LINE:
                    raise Unchecked(ENTRIES, "limit")
                if not line.endswith(b"\n"):
                    raise Altered(ENTRIES, "short", n=ledger.size, m=size)
                ledger.take(line[:-1], ledger.size)
                ledger.push(line[:-1])
                more = b""
                if kept and ledger.size == kept[0]:
                    kept_root = ledger.root()
            more = more or stream.read(1)
            if not more:
                break
    if ledger.root() != root:
        report.add(ENTRIES, "root", n=size)
    if kept and ledger.size < kept[0]:
        report.add(ENTRIES, "short", n=ledger.size, m=kept[0])
    elif kept and kept_root != kept[1]:
        report.add(ENTRIES, "rewritten", n=kept[0])
    if more:
        report.add(ENTRIES, "tail", n=ledger.size)
