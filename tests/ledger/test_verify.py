"""verify.py: the program, what it calls altered, and that it names it."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.evidence import CHECKPOINT, ENTRIES, PROVE, SOURCE, Edit, auditor, edit_entries, flip, plain, sign_anew
from opsnb.base.canonical import sha256
from opsnb.base.clock import stamp
from opsnb.control.ledger import verify
from opsnb.control.ledger.events import (
    Isolation,
    RequestSealed,
    RunFinished,
    RunStopped,
    RunUnrecorded,
    SitePublished,
    UnrecordedReason,
    entry_bytes,
)
from opsnb.control.ledger.note import SigningKey
from opsnb.control.records import Mode, Risk, Verdict


@pytest.fixture
def outputs(log: Any) -> Path:
    """An intact outputs/: a plan run, its apply run with files, a run of another request."""
    log.fill()
    return Path(log.outputs)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a ledger that nobody writes."""
    monkeypatch.setattr(verify, "GRACE", 0.0)


# -- the program itself ------------------------------------------------------------------------------------------------


def test_an_auditor_can_read_it() -> None:
    """At most 400 lines, standard library only, nothing of ours, the syntax of Python 3.9."""
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text, feature_version=(3, 9))
    modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module or "." for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {m.partition(".")[0] for m in modules} <= set(sys.stdlib_module_names)


def test_intact(outputs: Path) -> None:
    """An intact outputs/ is 0, under the published copy too; the head is printed and advice to keep it."""
    done = auditor(outputs)
    assert (done.returncode, done.stderr) == (0, "")
    assert "INTACT" in done.stdout
    assert "--head" in done.stdout
    own = subprocess.run(
        [sys.executable, "-I", "ledger/verify.py"], cwd=outputs, capture_output=True, text=True, check=False
    )
    assert own.returncode == 0
    assert (outputs / "ledger/verify.py").read_bytes() == SOURCE.read_bytes()


def test_what_is_said(outputs: Path, log: Any) -> None:
    """``--json`` is one document: what was counted, the head, the key, no problems."""
    value = json.loads(auditor(outputs, "--json").stdout)
    checkpoint = log.signer.kept()
    assert (value["ok"], value["exit_code"], value["problems"]) == (True, 0, [])
    assert (value["counts"]["entries"], value["counts"]["runs"]) == (checkpoint.size, 3)
    assert value["head"] == {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    assert value["key"] == log.signer.vkey


def test_function_and_program_agree(outputs: Path) -> None:
    """The function, ``main`` and the program give the same code and the same problems, intact and altered."""
    for damage in (lambda: None, lambda: flip(plain(outputs)[0], 3), lambda: shutil.rmtree(outputs / "ledger")):
        damage()
        report = verify.verify_path(str(outputs))
        value = json.loads(auditor(outputs, "--json").stdout)
        assert value["problems"] == report.problems
        assert value["exit_code"] == report.exit_code == verify.main([str(outputs), "--json"])
        assert value["ok"] == report.ok


def test_both_languages(outputs: Path) -> None:
    """Every message exists in English and Chinese with the same values; --lang or the locale chooses."""
    assert "完好" in auditor(outputs, "--lang", "zh").stdout
    assert "完好" in auditor(outputs, LC_ALL="zh_CN.UTF-8").stdout
    assert "完好" in auditor(outputs, LC_ALL="", LANG="zh_CN.UTF-8").stdout
    assert "INTACT" in auditor(outputs, "--lang", "en", LC_ALL="zh_CN.UTF-8").stdout
    fields = string.Formatter().parse
    for english, chinese in verify.MESSAGES.values():
        assert {f[1] for f in fields(english)} - {None} == {f[1] for f in fields(chinese)} - {None}
        assert any(ord(c) > 0x2E00 for c in chinese)


# -- what is altered ---------------------------------------------------------------------------------------------------


def test_any_changed_bit(outputs: Path) -> None:
    """A seeded sample of single changed bits over all files: each is found, its file (or its run) is named."""
    chance = random.Random(20261123)  # noqa: S311 - a seeded sample, no secret
    files = plain(outputs)
    for number in range(2000 if PROVE else 60):
        path = files[number % len(files)]
        data = path.read_bytes()
        at, bit = chance.randrange(len(data)), chance.randrange(8)
        flip(path, at, bit)
        report = verify.verify_path(str(outputs))
        name = str(path.relative_to(outputs))
        assert report.exit_code == 1, f"{name} byte {at} bit {bit}: {report.problems}"
        assert any(name in p or name.startswith("ledger/") for p in report.problems), (name, report.problems)
        path.write_bytes(data)
    assert verify.verify_path(str(outputs)).ok


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda rows: rows[:3] + rows[4:], id="dropped"),
        pytest.param(lambda rows: rows[:-1], id="last dropped"),
        pytest.param(lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]], id="swapped"),
        pytest.param(lambda rows: [*rows[:4], *rows[3:]], id="duplicated"),
        pytest.param(lambda rows: [*rows[:4], rows[3].replace(b'"by":"p-1"', b'"by":"p-9"'), *rows[4:]], id="inserted"),
        pytest.param(lambda rows: [*rows[:-1], rows[-1][:20]], id="truncated"),
        pytest.param(lambda rows: [*rows, b"garbage\n"], id="garbage behind"),
        pytest.param(lambda rows: [*rows, b'{"torn'], id="torn behind"),
        pytest.param(lambda rows: [r[:-1] + b"\r\n" for r in rows], id="other line ends"),
        pytest.param(lambda rows: [rows[0].replace(b",", b", "), *rows[1:]], id="not canonical"),
        pytest.param(lambda _: [], id="emptied"),
    ],
)
def test_changed_entries(outputs: Path, edit: Edit) -> None:
    """Entries dropped, swapped, duplicated, inserted, cut: each is found in entries.jsonl."""
    edit_entries(outputs, edit)
    report = verify.verify_path(str(outputs))
    assert report.exit_code == 1
    assert any(ENTRIES in problem for problem in report.problems)


def test_files_that_are_not_covered(outputs: Path) -> None:
    """Any file that no entry covers is altered, wherever it lies, and named."""
    run = next((outputs / "2026/11/23").iterdir())
    for path in (outputs / "note.txt", run / "extra.html", run / "files/x", outputs / "ledger/proof.json",
                 outputs / "2026/.hidden", outputs / ".gitkeep/x", outputs / "2026/.incoming/x"):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        report = verify.verify_path(str(outputs))
        assert report.exit_code == 1, path
        assert str(path.relative_to(outputs)) in report.problems[0]
        path.unlink()
    (outputs / ".gitkeep").rmdir()
    (outputs / ".gitkeep").touch()
    (outputs / ".incoming/r-x").mkdir(parents=True, exist_ok=True)
    (outputs / ".incoming/r-x/half.html").write_bytes(b"x")
    assert verify.verify_path(str(outputs)).ok


def test_missing_files(outputs: Path) -> None:
    """Each file that is taken away is missed and named; a whole run too."""
    for path in plain(outputs):
        data = path.read_bytes()
        path.unlink()
        report = verify.verify_path(str(outputs))
        assert report.exit_code == 1, path
        name = str(path.relative_to(outputs))
        assert any(name in p for p in report.problems), report.problems
        path.write_bytes(data)
    run = next((outputs / "2026/11/23").iterdir())
    shutil.rmtree(run)
    assert verify.verify_path(str(outputs)).exit_code == 1


def test_links_and_special_files(outputs: Path, tmp_path: Path) -> None:
    """A link is altered even where it leads to the right bytes; so is a pipe, and nobody waits for it."""
    for path in plain(outputs):
        if path.name == "checkpoint":
            continue
        aside = tmp_path / "aside"
        path.rename(aside)
        path.symlink_to(aside)
        assert verify.verify_path(str(outputs)).exit_code == 1, path
        path.unlink()
        os.mkfifo(path)
        assert verify.verify_path(str(outputs)).exit_code == 1, path
        path.unlink()
        aside.rename(path)
    run = next((outputs / "2026/11/23").iterdir())
    run.rename(tmp_path / "run")
    run.symlink_to(tmp_path / "run")
    assert verify.verify_path(str(outputs)).exit_code == 1
    run.unlink()
    (tmp_path / "run").rename(run)
    assert verify.verify_path(str(outputs)).ok


def test_moved_runs(outputs: Path) -> None:
    """Two runs that changed places, or a run under another day, are altered."""
    one, two, _ = sorted((outputs / "2026/11/23").iterdir())
    one.rename(outputs / "aside")
    two.rename(one)
    (outputs / "aside").rename(two)
    assert verify.verify_path(str(outputs)).exit_code == 1


# -- what the entries themselves must be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b'{"at":"2026-11-23T00:00:00.000Z","files":{"../../etc/passwd":"%s"},"index":N,"kind":"site.published"}'
        % (b"0" * 64),
        b'{"at":"2026-11-23T00:00:00.000Z","files":"none","index":N,"kind":"site.published"}',
        b'{"at":"2026-11-23T00:00:00.000Z","html":"0","index":N,"kind":"run.recorded","manifest":"0","path":"../x","run":"x"}',
        b'{"at":"2026-11-23T00:00:00.000Z","index":true,"kind":"run.stopped"}',
        b'{"at":"2026-11-23T00:00:00.000Z","index":N,"kind":"run.stopped","why":"because he said so"}',
        b'{"at":"2026-11-23T00:00:00.000Z","index":N,"kind":"ledger.opened","origin":"x"}',
        b'{"index":N,"index":N,"kind":"run.stopped"}',
        b"null",
    ],
)
def test_hostile_entries(outputs: Path, log: Any, line: bytes) -> None:
    """Whatever a line under a valid signature holds, it is named, and neither followed nor a traceback."""
    size = len(log.lines())
    edit_entries(outputs, lambda rows: [*rows, line.replace(b":N", b":%d" % size) + b"\n"])
    sign_anew(outputs, SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip()))
    report = verify.verify_path(str(outputs))
    assert report.exit_code == 1
    assert f"{ENTRIES}: entry {size} is malformed" in report.problems[0]


def test_true_is_no_index(log: Any) -> None:
    """JSON's ``true`` does not pass for 1, whatever a language thinks of it."""
    log.publish()
    edit_entries(log.outputs, lambda rows: [rows[0], rows[1].replace(b'"index":1', b'"index":true')])
    sign_anew(log.outputs, SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip()))
    assert f"{ENTRIES}: entry 1 is malformed" in verify.verify_path(str(log.outputs)).problems[0]


def test_a_key_signs_for_its_own_ledger(outputs: Path, log: Any) -> None:
    """A checkpoint that the ledger's key signed under another origin is not this ledger's."""
    key = SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip())
    text = (outputs / CHECKPOINT).read_text(encoding="utf-8").partition("\n\n")[0] + "\n"
    (outputs / CHECKPOINT).write_bytes(key.sign(text.replace("opsnb.example/test\n", "opsnb.example/other\n")))
    assert "not a checkpoint signed by opsnb.example/test+" in verify.verify_path(str(outputs)).problems[0]


def test_an_act_that_happens_once_is_recorded_once(log: Any) -> None:
    """A request that is sealed twice is named, though both entries are signed."""
    event = RequestSealed(request="q", risk=Risk.READ, digest="0" * 64)
    log.append(event, event)
    log.publish()
    assert f"{ENTRIES}: entry 2 is malformed" in verify.verify_path(str(log.outputs)).problems[0]


def test_a_checkpoint_put_back(log: Any) -> None:
    """An older checkpoint over all the entries is intact in itself, and cut back against the head that was kept."""
    log.publish()
    old = (log.outputs / CHECKPOINT).read_bytes()
    log.append(RunStopped(run="r", by="p"))
    kept = log.publish().note
    (log.outputs / CHECKPOINT).write_bytes(old)
    assert verify.verify_path(str(log.outputs)).ok
    report = verify.verify_path(str(log.outputs), head=kept)
    assert report.problems == ["--head: 2 entries, but 3 were signed: cut back or replaced"]


def test_runs_without_a_record_are_counted(log: Any) -> None:
    """A run whose record could not be kept is no alteration, and is counted."""
    log.append(
        RunFinished(
            run="r", request="q", mode=Mode.READ, verdict=Verdict.DONE, isolation=Isolation.NONE, notebook="0" * 64,
            files="0" * 64,
        ),
        RunUnrecorded(run="r", reason=UnrecordedReason.DISK_FULL),
    )  # fmt: skip
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.ok
    assert report.counts["pending"] == 1


def test_entries_behind_the_checkpoint_vouch_for_nothing(outputs: Path, log: Any) -> None:
    """A forger who cannot sign gains nothing by adding entries: a file that only they cover is still altered."""
    (outputs / "index.html").write_bytes(b"mine")
    known = {**log.lines()[-1]["files"], "index.html": sha256(b"mine")}
    line = entry_bytes(SitePublished(files=known), len(log.lines()), stamp())
    edit_entries(outputs, lambda rows: [*rows, line + b"\n"])
    report = verify.verify_path(str(outputs))
    assert report.problems == ["index.html: no entry covers this file as it is"]


@pytest.mark.slow
def test_a_hundred_thousand_entries(log: Any) -> None:
    """100,000 entries are checked in less than 15 seconds."""
    log.publish()
    events = (entry_bytes(RunStopped(run=f"r-{n}", by="p-1"), n, stamp()) + b"\n" for n in range(2, 100_000))
    edit_entries(log.outputs, lambda rows: [*rows, *events])
    sign_anew(log.outputs, SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip()))
    before = time.process_time()
    report = verify.verify_path(str(log.outputs))
    assert report.ok, report.problems
    assert report.counts["entries"] == 100_000
    assert time.process_time() - before < 15
