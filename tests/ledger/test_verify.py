"""What an auditor's copy of verify.py finds in an ``outputs/`` folder: it runs alone, as ``python3 -I``."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.canonical import canonical, digest, salted, sha256
from opsnb.base.clock import stamp
from opsnb.control.ledger import tree, verify
from opsnb.control.ledger.events import (
    Event,
    Isolation,
    LedgerOpened,
    PlanProposed,
    RequestSealed,
    RunFinished,
    RunRecorded,
    RunStopped,
    RunUnrecorded,
    SitePublished,
    UnrecordedReason,
    entry_bytes,
)
from opsnb.control.ledger.note import Checkpoint, SigningKey
from opsnb.control.ledger.publish import site_digests
from opsnb.control.ledger.store import append
from opsnb.control.ledger.verify import verify_path
from opsnb.control.records import Mode, Risk, Verdict

SOURCE = Path(verify.__file__)
FLIPS = 60  # files' bytes that are changed, one at a time
ENTRIES, CHECKPOINT = "ledger/entries.jsonl", "ledger/checkpoint"


def run_alone(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run verify.py as an auditor does."""
    argv = [sys.executable, "-I", str(SOURCE), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", **env}, check=False)


def files_of(outputs: Path) -> list[Path]:
    """Return every file under ``outputs``, in order."""
    return sorted(p for p in outputs.rglob("*") if p.is_file())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is writing: don't give a writer the time to finish."""
    monkeypatch.setattr(verify, "GRACE", 0.0)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of three runs, made by the real store, signer and publisher; copy before you change it."""
    from conftest import Log

    log = Log(tmp_path_factory.mktemp("log"))
    log.fill()
    log.close()
    return log.outputs


@pytest.fixture
def outputs(published: Path, tmp_path: Path) -> Path:
    """A copy of those outputs."""
    return Path(shutil.copytree(published, tmp_path / "outputs"))


class Forge:
    """Outputs whose every signature holds, with whatever entries a test wants."""

    def __init__(self, outputs: Path, origin: str = "opsnb.example/forged") -> None:
        self.outputs, self.key = outputs, SigningKey.generate(origin)
        self.lines: list[bytes] = []
        self.add(LedgerOpened(origin=origin))

    def add(self, *events: Event) -> None:
        """Append entries."""
        for event in events:
            self.lines.append(entry_bytes(event, len(self.lines), stamp()))

    def write(self) -> Path:
        """Sign and write the ledger."""
        from opsnb.control.ledger.publish import site_contents

        self.add(SitePublished(files=site_digests(self.key.verifier.text)))
        root = tree.root([tree.leaf_hash(line) for line in self.lines])
        head = Checkpoint(origin=self.key.verifier.name, size=len(self.lines), root=root)
        contents = {**site_contents(self.key.verifier.text), CHECKPOINT: self.key.sign(head.text)}
        for path, data in {**contents, ENTRIES: b"".join(line + b"\n" for line in self.lines)}.items():
            (self.outputs / path).parent.mkdir(parents=True, exist_ok=True)
            (self.outputs / path).write_bytes(data)
        return self.outputs

    def run(self, lie: str) -> None:
        """Record a run that is right but for one thing."""
        salts = {n: f"{i:064x}" for i, n in enumerate(("notebook", "files", "html", "request", "plan"))}
        request, plan = {"id": "q", "说明": 0.5, "n": 1.0}, "1" * 64
        contents = {"run.ipynb": b"{}", "run.html": b"<p>", "files/a": b"a", "files/b": b"b"}
        rows = [{"path": p, "size": len(d), "sha256": sha256(d)} for p, d in sorted(contents.items())]
        if lie == "size":
            rows[0]["size"] = 7
        plain = {"id": "q", "说明": "0.5", "n": "1.0"}
        hidden = {
            "notebook": salted(salts["notebook"], contents["run.ipynb"]),
            "html": salted(salts["html"], contents["run.html"]),
            "files": salted(salts["files"], canonical([r for r in rows if str(r["path"]).startswith("files/")])),
            "request": salted(salts["request"], canonical(plain)),
            "plan": salted(salts["plan"], plan.encode()),
        }
        value: dict[str, Any] = {
            "schema": 1, "run": "r", "salts": salts, "files": rows, "request": request,
            "request_digest": digest(plain), "plan": None, "plan_digest": plan, "record": {},
        }  # fmt: skip
        hidden = {name: "0" * 64 if name == lie else made for name, made in hidden.items()}
        changes = {
            "schema": {"schema": 2},
            "id": {"run": "other"},
            "outside": {"files": [*rows, {**rows[0], "path": "../x"}]},
        }
        value.update(changes.get(lie, {}))
        manifest = b"[" * 100_000 if lie == "deep" else json.dumps(value).encode()
        folder = self.outputs / "2026/11/23/r"
        for path, data in {**contents, "manifest.json": manifest}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        self.add(
            RequestSealed(request="q", risk=Risk.READ, digest=hidden["request"]),
            PlanProposed(run="r", request="q", plan=hidden["plan"]),
            RunFinished(
                run="r", request="q", mode=Mode.PLAN, verdict=Verdict.PLANNED, isolation=Isolation.NONE,
                notebook=hidden["notebook"], files=hidden["files"],
            ),
            RunRecorded(run="r", path="2026/11/23/r", html=hidden["html"], manifest=sha256(manifest)),
        )  # fmt: skip


def test_intact(outputs: Path) -> None:
    """What the control plane writes is intact, says so, and names the head to keep."""
    done = run_alone(str(outputs))
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("INTACT\n14 entries, 3 runs (0 more unrecorded), 16 files\nhead: opsnb.example/test,")
    assert done.stderr == ""


def test_one_file_of_at_most_400_lines() -> None:
    """verify.py fits on an auditor's desk: 400 lines, standard library only, Python 3.9."""
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    module = ast.parse(text, feature_version=(3, 9))
    names = {a.name for n in ast.walk(module) if isinstance(n, ast.Import) for a in n.names}
    names |= {str(n.module) for n in ast.walk(module) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_any_changed_byte_is_found(outputs: Path) -> None:
    """One changed byte anywhere under outputs/ is found, and the file is named (or the ledger, when it is its own)."""
    rng = random.Random(20261123)  # noqa: S311 - a repeatable sample
    sample = [rng.choice(files_of(outputs)) for _ in range(FLIPS - len(files_of(outputs)))] + files_of(outputs)
    for path in sample:
        data = path.read_bytes()
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :])
        report = verify_path(str(outputs))
        name = path.relative_to(outputs).as_posix()
        assert report.exit_code == 1, (name, at, report.problems)
        assert report.problems[0].startswith((name, "ledger/")), (name, at, report.problems)
        path.write_bytes(data)
    assert verify_path(str(outputs)).ok


def test_any_missing_file_is_found(outputs: Path) -> None:
    """A file that is gone is named."""
    for path in files_of(outputs):
        data = path.read_bytes()
        path.unlink()
        report = verify_path(str(outputs))
        assert report.exit_code == 1, path
        assert report.problems[0].startswith(path.relative_to(outputs).as_posix()), report.problems
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda rows: rows[:5] + rows[6:], "13 entries, but 14 were signed", id="dropped"),
        pytest.param(lambda rows: rows[:4] + [rows[5], rows[4]] + rows[6:], "entry 4 is malformed", id="swapped"),
        pytest.param(lambda rows: rows[:6] + [rows[5]] + rows[6:], "14+ entries, but 14", id="duplicated"),
        pytest.param(lambda rows: [*rows, rows[-1]], "14+ entries, but 14 were signed", id="added at the end"),
        pytest.param(lambda rows: rows[:7], "7 entries, but 14 were signed", id="truncated"),
        pytest.param(lambda rows: [*rows[:-1], rows[-1][:-3]], "13 entries, but 14 were signed", id="torn"),
        pytest.param(lambda _: [], "0 entries, but 14 were signed", id="emptied"),
        pytest.param(lambda rows: [*rows[:3], b'{"index":3}\n', *rows[4:]], "entry 3 is malformed", id="replaced"),
        pytest.param(lambda rows: [*rows[:3], b"[" * 60_000 + b"\n", *rows[4:]], "entry 3 is malformed", id="deep"),
        pytest.param(
            lambda rows: [r.replace(b":", b": ", 1) for r in rows], "entry 0 is malformed", id="not canonical"
        ),
    ],
)
def test_changed_entries(outputs: Path, change: Callable[[list[bytes]], list[bytes]], problem: str) -> None:
    """However the entries are changed, it is found and said where."""
    path = outputs / ENTRIES
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    report = verify_path(str(outputs))
    assert report.exit_code == 1
    assert any(p.startswith(f"{ENTRIES}: {problem}") for p in report.problems), report.problems


def test_foreign_signature(outputs: Path) -> None:
    """A checkpoint of another key of the same name is refused, and so is one whose signature is of another text."""
    note = (outputs / CHECKPOINT).read_text(encoding="utf-8")
    text = note.partition("\n\n")[0] + "\n"
    (outputs / CHECKPOINT).write_bytes(SigningKey.generate("opsnb.example/test").sign(text))
    assert "not a checkpoint signed by" in verify_path(str(outputs)).problems[0]
    (outputs / CHECKPOINT).write_text(note.replace("\n14\n", "\n13\n"), encoding="utf-8")
    assert "not a checkpoint signed by" in verify_path(str(outputs)).problems[0]


def test_kept_head(new_log: Callable[..., Any], tmp_path: Path) -> None:
    """A head kept earlier holds while the ledger grows, and exposes a ledger that was cut back or written anew."""
    log = new_log()
    log.fill()
    kept = tmp_path / "kept"
    shutil.copy(log.outputs / CHECKPOINT, kept)
    earlier = shutil.copytree(log.outputs, tmp_path / "earlier")
    log.fill()
    assert run_alone(str(log.outputs), "--head", str(kept)).returncode == 0
    later = log.outputs / CHECKPOINT
    older = run_alone(str(earlier), "--head", str(later))
    assert older.returncode == 1
    assert "--head: 14 entries, but 25 were signed" in older.stdout
    rewritten = Forge(tmp_path / "rewritten")
    rewritten.key = log.signer._key
    rewritten.lines = [
        b.replace(b'"by":"p-1"', b'"by":"p-2"') for b in (log.outputs / ENTRIES).read_bytes().splitlines()
    ]
    shutil.copytree(log.outputs / "2026", rewritten.outputs / "2026")
    assert run_alone(str(rewritten.write())).returncode == 0  # the thief of the key signs what he likes
    found = run_alone(str(rewritten.outputs), "--head", str(kept))
    assert found.returncode == 1
    assert found.stdout.startswith("--head: the first 14 entries do not give the root that was signed\n")


def test_another_ledger_does_not_pass_for_this_one(outputs: Path, tmp_path: Path) -> None:
    """A ledger made up from the start is caught by the key or by a head that the auditor kept."""
    forged = Forge(tmp_path / "forged", "opsnb.example/test").write()
    assert verify_path(str(forged)).ok
    assert verify_path(str(forged), head=str(outputs / CHECKPOINT)).exit_code == 1
    assert verify_path(str(forged), key=str(outputs / "ledger/vkey")).exit_code == 1
    key = (outputs / "ledger/vkey").read_text(encoding="ascii").strip()
    assert verify_path(str(forged), key=key).exit_code == 1
    assert verify_path(str(outputs), key=key, head=(outputs / CHECKPOINT).read_bytes()).ok


@pytest.mark.parametrize("lie", ["", "notebook", "files", "html", "request", "plan", "size", "schema", "id", "outside"])
def test_each_digest_of_a_record_is_checked(tmp_path: Path, lie: str) -> None:
    """Manifest, notebook, page, files, request and plan must agree even when the whole ledger is signed."""
    forge = Forge(tmp_path / "outputs")
    forge.run(lie)
    report = verify_path(str(forge.write()))
    assert report.exit_code == (1 if lie else 0), report.problems
    assert len(report.problems) >= bool(lie)
    assert all(p.startswith("2026/11/23/r/") for p in report.problems), report.problems


def test_a_manifest_of_brackets_is_refused(tmp_path: Path) -> None:
    """JSON nested without end gives no verdict and no traceback."""
    forge = Forge(tmp_path / "outputs")
    forge.run("deep")
    done = run_alone(str(forge.write()))
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([RunRecorded(run="r", path="2026/11/23/r", html="0" * 64, manifest="0" * 64)], id="not finished"),
        pytest.param([LedgerOpened(origin="x")], id="begun twice"),
        pytest.param([RequestSealed(request="q", risk=Risk.READ, digest="0" * 64)] * 2, id="sealed twice"),
    ],
)
def test_entries_follow_from_each_other(tmp_path: Path, events: list[Event]) -> None:
    """A signed entry that contradicts the ones before it is found."""
    forge = Forge(tmp_path / "outputs")
    forge.add(*events)
    report = verify_path(str(forge.write()))
    assert report.exit_code == 1
    assert f"entry {len(events)} is malformed, out of place" in report.problems[0]


@pytest.mark.parametrize(
    "line",
    [
        b'{"at":"2026-11-23T00:00:00.000Z","files":{"../../etc/passwd":"%s"},"index":1,"kind":"site.published"}'
        % (b"0" * 64),
        b'{"at":"2026-11-23T00:00:00.000Z","files":"none","index":1,"kind":"site.published"}',
        b'{"at":"2026-11-23T00:00:00.000Z","index":true,"kind":"run.stopped"}',
        b'{"at":"2026-11-23T00:00:00.000Z","index":1,"kind":"run.stopped","why":"because he said so"}',
        b'{"index":1,"kind":"run.finished","run":5}',
        b"null",
    ],
)
def test_hostile_entries(tmp_path: Path, line: bytes) -> None:
    """Whatever a signed line holds, it is named and neither followed nor a traceback."""
    forge = Forge(tmp_path / "outputs")
    forge.lines.append(line)
    report = verify_path(str(forge.write()))
    if b"finished" not in line:  # a shape that nothing relies on
        assert report.exit_code == 1
        assert f"{ENTRIES}: entry 1 is malformed" in report.problems[0]


def extra(outputs: Path) -> None:
    """Add a file where runs are."""
    (outputs / "2026/11/23/note.txt").write_text("x", encoding="ascii")


def extra_in_run(outputs: Path) -> None:
    """Add a file to a run."""
    (next((outputs / "2026/11/23").iterdir()) / "files").mkdir(exist_ok=True)
    (next((outputs / "2026/11/23").iterdir()) / "files/planted").write_text("x", encoding="ascii")


def link(outputs: Path) -> None:
    """Replace a page by a link to a copy of it."""
    page = next(outputs.rglob("run.html"))
    page.rename(outputs.parent / "page")
    page.symlink_to(outputs.parent / "page")


def linked_folder(outputs: Path) -> None:
    """Replace a day by a link to it."""
    (outputs / "2026/11/23").rename(outputs.parent / "day")
    (outputs / "2026/11/23").symlink_to(outputs.parent / "day")


def pipe(outputs: Path) -> None:
    """Add a named pipe, which nobody writes to."""
    os.mkfifo(outputs / "pipe")


def pipe_for_page(outputs: Path) -> None:
    """Replace a page by a named pipe."""
    page = next(outputs.rglob("run.html"))
    page.unlink()
    os.mkfifo(page)


def keep_file(outputs: Path) -> None:
    """Hide something in the file that may stand there uncovered."""
    (outputs / ".gitkeep").write_text("x", encoding="ascii")


def incoming_file(outputs: Path) -> None:
    """Replace the folder of unfinished runs by a file."""
    shutil.rmtree(outputs / ".incoming")
    (outputs / ".incoming").write_text("x", encoding="ascii")


def moved(outputs: Path) -> None:
    """Move a run to another day."""
    run = next((outputs / "2026/11/23").iterdir())
    (outputs / "2026/11/24").mkdir()
    run.rename(outputs / "2026/11/24" / run.name)


PLANTS = [extra, extra_in_run, link, linked_folder, pipe, pipe_for_page, keep_file, incoming_file, moved]


@pytest.mark.parametrize("plant", PLANTS)
def test_what_no_entry_covers(outputs: Path, plant: Callable[[Path], None]) -> None:
    """A file that no entry covers, a link, a pipe: altered, and named."""
    plant(outputs)
    report = verify_path(str(outputs))
    assert report.exit_code == 1
    assert any("no entry covers this file as it is" in p for p in report.problems), report.problems


def test_what_may_stand_uncovered(outputs: Path) -> None:
    """An empty .gitkeep, unfinished runs and empty folders are no alteration."""
    (outputs / ".gitkeep").touch()
    (outputs / ".incoming/r-1").mkdir()
    (outputs / ".incoming/r-1/run.ipynb").write_text("{", encoding="ascii")
    (outputs / "2027/01/01").mkdir(parents=True)
    assert verify_path(str(outputs)).ok


@pytest.mark.parametrize("what", ["empty", "absent", "garbage", "a pipe", "no ledger"])
def test_nothing_to_check(tmp_path: Path, what: str) -> None:
    """Where there is no ledger the answer is 2, with a sentence and without a traceback."""
    place = tmp_path / "place"
    if what == "garbage":
        place.write_bytes(random.Random(1).randbytes(5000))  # noqa: S311 - a repeatable sample
    elif what == "a pipe":
        os.mkfifo(place)
    elif what != "absent":
        place.mkdir()
    if what == "no ledger":
        (place / "index.html").write_text("x", encoding="ascii")
    done = run_alone(str(place))
    assert done.returncode == 2
    assert done.stdout.endswith("NOT CHECKED\n")
    assert done.stderr == ""


@pytest.mark.parametrize("argument", ["--head", "--key"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe", b"a\n1\nb\n\n", b"x+00000000+AAAA"])
def test_bad_arguments(outputs: Path, tmp_path: Path, argument: str, content: bytes) -> None:
    """A kept head or a key that is none is bad usage, not an alteration."""
    given = tmp_path / "given"
    given.write_bytes(content)
    assert verify_path(str(outputs), **{argument[2:]: str(given)}).exit_code == 2
    assert run_alone(str(outputs), argument, str(given)).returncode == 2


def test_bad_usage() -> None:
    """An unknown option is 2."""
    assert run_alone("--nonsense").returncode == 2


@pytest.mark.parametrize("plant", [None, extra, link])
def test_function_and_program_agree(outputs: Path, plant: Callable[[Path], None] | None) -> None:
    """``verify_path`` and ``python3 -I verify.py --json`` say the same."""
    if plant:
        plant(outputs)
    report = verify_path(str(outputs))
    done = run_alone(str(outputs), "--json")
    said = json.loads(done.stdout)
    assert done.returncode == said["exit_code"] == report.exit_code
    for name in ("ok", "problems", "counts", "head", "key"):
        assert said[name] == getattr(report, name)


def test_chinese(outputs: Path) -> None:
    """The auditor's language is that of the environment or of --lang; every message exists in both."""
    assert run_alone(str(outputs), LC_ALL="zh_CN.UTF-8").stdout.startswith("完好\n")
    extra(outputs)
    assert "没有账本记录涵盖此文件的现状" in run_alone(str(outputs), "--lang", "zh").stdout
    holes = [{n for n in range(len(en)) if en[n] == "{"} for en, _ in verify.MESSAGES.values()]
    assert len(holes) == len(verify.MESSAGES)
    for english, chinese in verify.MESSAGES.values():
        assert sorted(verify.re.findall(r"\{\w+\}", english)) == sorted(verify.re.findall(r"\{\w+\}", chinese))
        assert any("\u4e00" <= c <= "\u9fff" for c in chinese)


def test_names_do_not_command_the_terminal(outputs: Path) -> None:
    """Control characters and broken bytes in a file's name are shown, never obeyed."""
    (outputs / "a\x1b[2Jb\n").touch()
    (Path(os.fsdecode(os.fsencode(str(outputs)) + b"/\xff"))).touch()
    for flag in ([], ["--json"]):
        done = run_alone(str(outputs), *flag)
        assert done.returncode == 1
        assert "\x1b" not in done.stdout
        assert "Traceback" not in done.stderr
    assert "a\\x1b[2Jb\\x0a: no entry covers" in run_alone(str(outputs)).stdout


def test_runs_without_a_record_are_counted(tmp_path: Path) -> None:
    """A run whose record could not be kept is no alteration, and is counted."""
    forge = Forge(tmp_path / "outputs")
    forge.add(
        RequestSealed(request="q", risk=Risk.READ, digest="0" * 64),
        RunFinished(
            run="r", request="q", mode=Mode.READ, verdict=Verdict.DONE, isolation=Isolation.NONE, notebook="0" * 64,
            files="0" * 64,
        ),
        RunUnrecorded(run="r", reason=UnrecordedReason.DISK_FULL),
    )  # fmt: skip
    report = verify_path(str(forge.write()))
    assert report.ok
    assert report.counts["pending"] == 1


def test_a_ledger_that_is_being_written(new_log: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """While runs are recorded and published, a reader never sees an alteration."""
    monkeypatch.setattr(verify, "GRACE", 1.0)
    log = new_log()
    log.fill()
    stop = threading.Event()
    errors: list[Exception] = []

    def write() -> None:
        try:
            while not stop.is_set():
                log.run(log.request())
                log.publish()
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(12):
            report = verify_path(str(log.outputs))
            assert report.ok, report.problems
    finally:
        stop.set()
        writer.join()
    assert errors == []
    assert verify_path(str(log.outputs)).counts["runs"] > 3


@pytest.mark.slow
def test_a_hundred_thousand_entries(tmp_path: Path) -> None:
    """100,000 entries are checked in less than 15 seconds."""
    forge = Forge(tmp_path / "outputs")
    forge.add(*(RunStopped(run=f"r-{n}", by="p-1") for n in range(100_000)))
    outputs = forge.write()
    before = os.times().elapsed
    report = verify_path(str(outputs))
    assert report.ok
    assert report.counts["entries"] == 100_002
    assert os.times().elapsed - before < 15


def test_a_crash_while_publishing_is_not_hidden(log: Any) -> None:
    """Entries that no checkpoint signs yet are said, and the next publication makes it whole."""
    log.fill()
    with log.transaction() as connection:
        position = append(connection, RunStopped(run="r", by="p"))
    line = entry_bytes(RunStopped(run="r", by="p"), position.index, stamp())
    with (log.outputs / ENTRIES).open("ab") as stream:
        stream.write(line[:20])
    assert "14+ entries, but 14 were signed" in verify_path(str(log.outputs)).problems[0]
    assert log.publish().repaired
    assert verify_path(str(log.outputs)).ok
