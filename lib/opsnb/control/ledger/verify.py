"""Check opsnb's evidence offline: ``python3 -I verify.py [PATH] [--head FILE] [--key KEY] [--json] [--lang en|zh]``.

PATH is an ``outputs/`` folder or an export (zip or unpacked). Standard library only, Python 3.9 or later; only reads.
Exit 0 intact, 1 altered (what and where, the first bad thing first), 2 could not check. Checked: the signature of the
checkpoint, the entries and their root, a head that was kept, what the entries say of each recorded run, and that no
other file is there; ``.incoming/``, where runs are being written, is passed over. (400 lines: hence the format.)
"""

# ruff: noqa: PTH113, PTH118, PTH123, PTH202, PLR2004, TRY301 - paths are names; lengths are Ed25519's; one way out
# fmt: off
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
from pathlib import Path
from typing import IO, Any

MAX_SMALL, MAX_LINE, MAX_JSON = 2**16, 2**20, 2**26  # bytes: a checkpoint or key, an entry, a manifest or the proofs
MAX_ENTRIES, MAX_FILES, MAX_ARCHIVE, MAX_RATIO = 5_000_000, 2_000_000, 2**32, 200  # bytes; unpacked to packed
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
    "count": ("{n} entries, but {m} were signed: cut back or replaced", "有 {n} 条记录，签名的是 {m} 条：被截短或替换"),
    "none": ("no ledger here; give an outputs/ folder or an export", "这里没有账本；请给出 outputs/ 文件夹或导出"),
    "unreadable": ("cannot be read: {why}", "无法读取：{why}"),
    "limit": ("larger than this program accepts", "超出本程序接受的大小"),
    "size": ("an export is compared with a head of its own size ({n}) only", "导出只能与相同大小（{n}）的检查点比较"),
    "verdict0": ("INTACT", "完好"), "verdict1": ("ALTERED", "被改动"), "verdict2": ("NOT CHECKED", "未能核验"),
    "counts": ("{entries} entries, {runs} runs ({pending} more unrecorded), {files} files",
               "{entries} 条记录，{runs} 次运行（另 {pending} 次无存档），{files} 个文件"),
    "head": ("head: {origin}, size {size}, root {root}\nkeep a copy of ledger/checkpoint, for --head next time",
             "检查点：{origin}，大小 {size}，树根 {root}\n请另存 ledger/checkpoint，供下次 --head 使用"),
    "trust": ("key, taken from the ledger; compare it with yours: {key}", "公钥取自账本，请与您所持的对照：{key}"),
}
IN_FLIGHT = {"missing", "extra", "entry"}  # what a ledger that is being written can look like for a moment
VALUE = r'"[\w.:/-]{1,200}"'  # an id, an enum, a time or a digest: no free text
FIELD = rf'"[a-z]+":({VALUE}|0|[1-9]\d{{0,15}}|true|false|\{{({VALUE}:{VALUE},?)*\}})'
ENTRY = re.compile(rf"\{{{FIELD}(,{FIELD})*\}}", re.ASCII)
RUN_PATH = re.compile(r"\d{4}/\d{2}/\d{2}/[\w:-][\w.:-]*", re.ASCII)
UNSAFE = re.compile(r"(^|/)\.{0,2}(/|$)|\0")  # in a path: it leaves the folder, or is no name
ONCE = {"request.sealed", "run.claimed", "run.recorded"}  # of the other kinds the latest holds
GONE = (KeyError, FileNotFoundError, NotADirectoryError, zipfile.BadZipFile, zlib.error, EOFError)
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)
Head = tuple[int, bytes]  # size and root
Key = tuple[str, bytes, bytes]  # name, key hash, public key
Point = tuple[int, int]
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, RFC 8032 section 5.1
D = -121665 * pow(121666, -1, P) % P

def _add(p: Point, q: Point) -> Point:
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P

def _multiply(n: int, p: Point) -> Point:
    q = (0, 1)
    while n:
        q, p, n = _add(q, p) if n & 1 else q, _add(p, p), n >> 1
    return q

def _point(data: bytes) -> Point:
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        raise ValueError("not the canonical form of a point on the curve")
    return (x if x & 1 == sign else P - x), y

def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is that of ``public`` over ``message``; no other form of either is accepted."""
    try:
        a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    except (ValueError, IndexError):
        return False
    if len(public) != 32 or len(signature) != 64 or s >= L or _multiply(8, a) == (0, 1):  # the last: of small order
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return _multiply(s, _point(b"\x58" + b"\x66" * 31)) == _add(r, _multiply(k, a))

def _sha(*parts: bytes) -> bytes:  # of (0x00, entry) it is an RFC 6962 leaf, of (0x01, left, right) a node
    return hashlib.sha256(b"".join(parts)).digest()

def _load(data: bytes) -> Any:  # keys in RFC 8785 order, a float as its shortest decimal string: ready for _canonical
    return json.loads(data, parse_float=lambda text: repr(float(text)), object_pairs_hook=lambda pairs: dict(
        sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be"))))

def _canonical(value: Any) -> bytes:  # what digests are taken of
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

def _root(level: list[bytes]) -> bytes:  # RFC 6962 over leaves; the last one of an odd row moves up as it is
    while len(level) > 1:
        odd = level[len(level) & ~1:]
        level = [_sha(b"\1", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0] if level else _sha()

def _proven(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:  # the root; another length is an error
    if size == 1 and index == 0 and not proof:
        return leaf
    half = 1 << ((size - 1).bit_length() - 1)
    if index < half:
        return _sha(b"\1", _proven(leaf, index, half, proof[:-1]), proof[-1])
    return _sha(b"\1", proof[-1], _proven(leaf, index - half, size - half, proof[:-1]))

def _key(text: str) -> Key:  # a C2SP verifier key
    name, _, blob = text.split("+", 2)
    raw = base64.b64decode(blob)
    key = (name, _sha(name.encode(), b"\n", raw)[:4], raw[1:])
    if raw[:1] != b"\1" or f"{name}+{key[1].hex()}+{base64.b64encode(raw).decode()}" != text:
        raise ValueError(text)
    return key

class Stop(Exception):  # noqa: N818 - an outcome, not an error of this program
    """Nothing behind this point can be checked: 1 altered or 2 for another reason, where, a key of MESSAGES, values."""

class Files:
    """A folder or a zip: its paths and whether each is a plain file. Nothing is unpacked, no link is followed."""

    def __init__(self, root: str) -> None:
        self.root, self.plain = root, dict[str, bool]()
        self.zip = zipfile.ZipFile(root) if os.path.isfile(root) else None
        self._walk([] if self.zip else [""])
        self._index(self.zip.infolist() if self.zip else [])
        if len(self.plain) > MAX_FILES or not self.plain.keys() & {CHECKPOINT, ENTRIES, PROOF}:
            raise Stop(2, root, "limit" if len(self.plain) > MAX_FILES else "none", {})

    def _walk(self, folders: list[str]) -> None:
        while folders:
            folder = folders.pop()
            with os.scandir(os.path.join(self.root, folder)) as rows:
                for row in rows:
                    path = folder + row.name
                    if row.is_dir(follow_symlinks=False):
                        folders += [path + "/"] if path != ".incoming" else []
                    elif path != ".gitkeep" or row.stat(follow_symlinks=False).st_size:
                        self.plain[path] = row.is_file(follow_symlinks=False)

    def _index(self, rows: list[zipfile.ZipInfo]) -> None:
        if sum(row.file_size for row in rows) > min(MAX_ARCHIVE, MAX_RATIO * os.path.getsize(self.root) + 2**24):
            raise Stop(2, self.root, "limit", {})
        for row in rows:
            path = row.filename
            packed = row.flag_bits & 1 or row.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
            if packed or path in self.plain or UNSAFE.search(path.rstrip("/")):
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

class Report:
    """One check; what it found: ``problems`` (first bad thing first), ``ok``, ``exit_code``, ``counts``, ``head``."""
    files: Files

    def __init__(self, lang: str) -> None:
        self.lang, self.note, self.key, self.covered = lang, b"", "", {CHECKPOINT}
        self.ok, self.exit_code, self.problems, self.head = True, 0, list[str](), dict[str, Any]()
        self.counts = {"entries": 0, "runs": 0, "pending": 0, "files": 0}
        self.kinds: set[str] = set()  # of what was found, keys of MESSAGES
        self.said: dict[tuple[str, str], dict[str, Any]] = {}  # entries, by kind and the id that they are about

    def text(self, what: str, **values: Any) -> str:
        """Return a message in the reader's language."""
        return MESSAGES[what][self.lang == "zh"].format(**values)

    def add(self, code: int, where: str, what: str, **values: Any) -> None:
        """Note that something was altered (1) or cannot be checked (2), without anything that a terminal would obey."""
        row = f"{where}: {self.text(what, **values)}"
        self.problems.append("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in row))
        self.ok, self.exit_code = False, min(code, self.exit_code or code)
        self.kinds.add(what)

    def check(self, root: str, head: bytes | None, key: bytes | None) -> None:
        """Check the ledger, each recorded run, the site, and that nothing else is there."""
        self.files = files = Files(root)
        try:
            self.key = (files.read("ledger/vkey") if key is None else key).decode().strip()
            parsed = _key(self.key)
        except ValueError as error:
            raise Stop(1 if key is None else 2, "ledger/vkey" if key is None else "--key", "form", {}) from error
        kept = None if head is None else self._signed("--head", head, parsed)
        self.note = files.read(CHECKPOINT)
        size, top = signed = self._signed(CHECKPOINT, self.note, parsed)
        self.head = {"origin": parsed[0], "size": size, "root": top.hex()}
        whole = ENTRIES in files.plain or PROOF not in files.plain  # an outputs folder, not an export of one run
        self.covered.add(log := ENTRIES if whole else PROOF)
        if not files.plain.get(log):
            raise Stop(1, log, "form", {})
        only = self._log(*signed, kept or signed) if whole else self._proofs(*signed, kept or signed)
        runs = {run: entry for (kind, run), entry in self.said.items() if kind == "run.recorded"}
        for run, entry in runs.items():
            if whole or run == only:
                self._run(entry)
        site = self.said.get(("site.published", ""), {"files": {}, "index": 0})
        for path, digest in site["files"].items():
            if whole or path in files.plain:
                self._same(path, digest, site["index"], what="extra")
        for path in sorted(files.plain):
            if path not in self.covered or not files.plain[path]:
                self.add(1, path, "extra")
        pending = {run for kind, run in self.said if kind == "run.finished" and whole} - runs.keys()
        self.counts.update(runs=len(runs), pending=len(pending), files=len(files.plain))

    def _signed(self, where: str, note: bytes, key: Key) -> Head:  # of a C2SP checkpoint that key signed
        signed: list[bool] = []
        try:
            text, _, lines = note.decode().rpartition("\n\n")
            origin, size, root = text.split("\n")
            for line in lines[:-1].split("\n"):
                _, name, blob = line.split(" ")
                raw = base64.b64decode(blob)
                if f"— {name} {base64.b64encode(raw).decode()}" != line or lines[-1] != "\n":
                    raise ValueError(line)
                if (name, raw[:4]) == key[:2]:
                    signed.append(ed25519_verify(key[2], text.encode() + b"\n", raw[4:]))
            found = (int(size), base64.b64decode(root))
        except ValueError as error:
            raise Stop(1 if where == CHECKPOINT else 2, where, "form", {}) from error
        if not signed or not all(signed) or origin != key[0] or found[0] > MAX_ENTRIES:
            raise Stop(1, where, "note", {"key": self.key})
        return found

    def _take(self, line: bytes, index: int) -> bool:  # whether well formed, in its place, not against others
        try:
            entry = _load(line) if ENTRY.fullmatch(line.decode("ascii")) else {}
            kind, about = key = entry["kind"], str(entry.get("run", entry.get("request", "")))
            good = _canonical(entry) == line and type(entry["index"]) is int and entry["index"] == index
            good = good and (index == 0) == (kind == "ledger.opened") and not (kind in ONCE and key in self.said)
            if kind == "run.recorded":
                good = good and ("run.finished", about) in self.said and RUN_PATH.fullmatch(entry["path"]) is not None
                good = good and entry["path"].endswith("/" + about)
            elif kind == "site.published":
                good = good and not any(UNSAFE.search(path) for path in dict(entry["files"]))
        except MALFORMED:
            return False
        self.said.update({key: entry} if good else {})
        return good

    def _log(self, size: int, root: bytes, kept: Head) -> str:  # all entries, against the signed and the kept head
        lines: list[bytes] = []
        with self.files.open(ENTRIES) as stream:
            while (line := stream.readline(MAX_LINE)).endswith(b"\n") and len(lines) < MAX_ENTRIES:
                lines.append(line[:-1])
        bad = [index for index, entry in enumerate(lines[:size]) if not self._take(entry, index)]
        signed = self.said.copy()  # what is not signed yet must be well formed and counts for nothing
        bad += [index for index, entry in enumerate(lines[size:], size) if not self._take(entry, index)]
        self.said, have = signed, min(size, len(lines))
        for index in [*bad, *([len(lines)] if line else [])][:1]:
            self.add(1, ENTRIES, "entry", n=index)
        for where, n, wanted in [("--head", *kept)] * (kept != (size, root)) + [(ENTRIES, size, root)]:
            if n > have:
                self.add(1, where, "count", n=have, m=n)
            elif _root([_sha(b"\0", entry) for entry in lines[:n]]) != wanted:
                self.add(1, where, "root", n=n)
        self.counts["entries"] = have
        return ""

    def _proofs(self, size: int, root: bytes, kept: Head) -> str:  # an export's entries; returns its run
        if kept != (size, root):
            raise Stop(*((2, "--head", "size") if kept[0] != size else (1, "--head", "root")), {"n": size})
        last, data = -1, self.files.read(PROOF, MAX_JSON)
        try:
            value = _load(data)
            if _canonical(value) != data or value.keys() != {"entries", "run", "schema"} or value["schema"] != 1:
                raise ValueError(PROOF)
            for row in value["entries"]:
                index, line, proof = row["index"], row["data"].encode(), [bytes.fromhex(h) for h in row["proof"]]
                good = row.keys() == {"data", "index", "proof"} and [h.hex() for h in proof] == row["proof"]
                good = self._take(line, index) and good and index > last
                if not good or _proven(_sha(b"\0", line), index, size, proof) != root:
                    self.add(1, PROOF, "entry", n=index)
                last = index
            self.counts["entries"], entry = len(value["entries"]), self.said["run.recorded", value["run"]]
        except MALFORMED as error:
            raise Stop(1, PROOF, "form", {}) from error
        return str(entry["run"])

    def _same(self, path: str, digest: str, n: int, *, salt: str = "", size: int = -1, what: str = "digest") -> bool:
        """Return whether a file has the digest (and size) that entry ``n`` covers; note it if not."""
        found = self.files.measure(path, salt)
        good = found[1] == digest and size in {-1, found[0]}
        if not good:
            self.add(1, path, "missing" if found[0] < 0 else what, n=n)
        self.covered.add(path)
        return good

    def _run(self, entry: dict[str, Any]) -> None:  # its folder against its manifest, both against its entries
        run, folder, n = entry["run"], entry["path"] + "/", entry["index"]
        path = folder + "manifest.json"
        try:
            if not self._same(path, entry["manifest"], n):  # without it nobody can say which files belong here
                return self.covered.update(p for p in self.files.plain if p.startswith(folder))
            finished = self.said["run.finished", run]
            manifest = _load(self.files.read(path, MAX_JSON))
            rows, salts = {row["path"]: row for row in manifest["files"]}, manifest["salts"]
            sealed = self.said["request.sealed", finished["request"]]
            same = (manifest["schema"], manifest["run"], len(manifest["files"])) == (1, run, len(rows))
            if not same or any(UNSAFE.search(name) for name in rows):
                raise ValueError(path)
            for name, row in rows.items():
                self._same(folder + name, row["sha256"], n, size=row["size"])
            self._same(folder + "run.ipynb", finished["notebook"], finished["index"], salt=salts["notebook"])
            self._same(folder + "run.html", entry["html"], n, salt=salts["html"])
            left = _canonical([rows[name] for name in sorted(rows) if name.startswith("files/")])
            for what, data, said, field in (
                ("files", left, finished, "files"),
                ("request", _canonical(manifest["request"]), sealed, "digest"),
                ("plan", str(manifest["plan_digest"]).encode(), self.said.get(("plan.proposed", run)), "plan"),
            ):
                if said and _sha(bytes.fromhex(salts[what]), data).hex() != said[field]:
                    self.add(1, f"{path} ({what})", "digest", n=said["index"])
        except MALFORMED:
            self.add(1, path, "form")

def verify_path(path: str, head: str | bytes | None = None, key: str | None = None, lang: str = "en") -> Report:
    """Check an outputs folder or an export; ``head`` and ``key`` are the thing itself or a file that holds it."""
    for turn in range(RESTARTS):
        report = Report(lang)
        try:
            given = [Path(os.fsdecode(v)).read_bytes() if v and os.path.isfile(v) else v for v in (head, key)]
            try:
                report.check(os.fspath(path), *(None if v is None else os.fsencode(v) for v in given))
            except Stop as stop:
                report.add(*stop.args[:3], **stop.args[3])
            if report.exit_code == 1 and not report.files.zip:  # the checkpoint is replaced last: give it the time
                time.sleep(GRACE if report.kinds <= IN_FLIGHT else 0)
                if (report.kinds <= IN_FLIGHT and turn == 0) or report.files.read(CHECKPOINT) != report.note:
                    continue
        except (OSError, *GONE, RuntimeError, MemoryError, ValueError) as error:
            report.add(2, os.fspath(path), "unreadable", why=repr(error))
        break
    return report

def main(argv: list[str] | None = None) -> int:
    """Check what the command line names, say what was found, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", nargs="?", default=".", help="outputs/ folder or export; default: this folder")
    parser.add_argument("--head", help="a checkpoint that you kept earlier (file)")
    parser.add_argument("--key", help="the verifier key that you were given (text or file)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--lang", choices=("en", "zh"), help="default: LC_ALL, LC_MESSAGES or LANG")
    args, env = parser.parse_args(argv), os.environ
    lang = args.lang or (env.get("LC_ALL") or env.get("LC_MESSAGES") or env.get("LANG") or "en")[:2]
    report = verify_path(args.path, args.head, args.key, lang)
    lines = [*report.problems, report.text(f"verdict{report.exit_code}")]
    if report.head:
        said = {**report.counts, **report.head, "key": report.key}
        lines += [report.text(what, **said) for what in ("counts", "head", "trust")[: 2 if args.key else 3]]
    if args.json:
        lines = [json.dumps({n: getattr(report, n) for n in ("ok", "exit_code", "problems", "counts", "head", "key")})]
    sys.stdout.buffer.write("\n".join([*lines, ""]).encode("utf-8", "backslashreplace"))
    return report.exit_code

if __name__ == "__main__":
    sys.exit(main())
