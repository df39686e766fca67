"""verify.py: intact is 0, every changed byte is 1 and named, what cannot be checked is 2; never a traceback."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.canonical import canonical, salted, sha256
from opsnb.control.ledger import verify
from opsnb.control.ledger.events import RunFinished, RunRecorded, RunStopped, SitePublished
from opsnb.control.ledger.note import Checkpoint, SigningKey
from opsnb.control.ledger.tree import leaf_hash, root

SOURCE = Path(verify.__file__)
PROVE = bool(os.environ.get("OPSNB_PROVE"))
ENTRIES, CHECKPOINT = "ledger/entries.jsonl", "ledger/checkpoint"
MakeLog = Callable[..., Any]
Edit = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def outputs(log: Any) -> Path:
    """An intact outputs/: a plan run, its apply run with files, a run of another request."""
    log.fill()
    return Path(log.outputs)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a ledger that nobody writes."""
    monkeypatch.setattr(verify, "GRACE", 0.0)


def auditor(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run verify.py as an auditor does: a copy of one's own, isolated, from the root directory."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env}
    return subprocess.run(
        [sys.executable, "-I", str(SOURCE), *map(str, argv)], capture_output=True, text=True, env=environment,
        check=False, cwd="/", timeout=60,
    )  # fmt: skip


def plain(outputs: Path) -> list[Path]:
    """Return every file that is evidence, in a fixed order."""
    return sorted(p for p in outputs.rglob("*") if p.is_file() and ".incoming" not in p.parts)


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def edit_entries(outputs: Path, edit: Edit) -> None:
    """Change the lines of entries.jsonl."""
    path = outputs / ENTRIES
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def resign(outputs: Path, key: SigningKey) -> None:
    """Sign whatever stands in entries.jsonl, as a forger who has a key does."""
    leaves = [leaf_hash(line) for line in (outputs / ENTRIES).read_bytes().splitlines()]
    text = Checkpoint(origin=key.verifier.name, size=len(leaves), root=root(leaves)).text
    (outputs / CHECKPOINT).write_bytes(key.sign(text))


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


def test_function_and_program_agree(outputs: Path, quick: None) -> None:
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
    fields = __import__("string").Formatter().parse
    for english, chinese in verify.MESSAGES.values():
        assert {f[1] for f in fields(english)} == {f[1] for f in fields(chinese)}
        assert any(ord(c) > 0x2E00 for c in chinese)


# -- what is altered ---------------------------------------------------------------------------------------------------


def test_any_changed_bit(outputs: Path, quick: None) -> None:
    """A seeded sample of single changed bits over all files: each is found, its file (or its run) is named."""
    chance = random.Random(20261123)
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
def test_changed_entries(outputs: Path, quick: None, edit: Edit) -> None:
    """Entries dropped, swapped, duplicated, inserted, cut: each is found in entries.jsonl."""
    edit_entries(outputs, edit)
    report = verify.verify_path(str(outputs))
    assert report.exit_code == 1
    assert any(ENTRIES in problem for problem in report.problems)


def test_files_that_are_not_covered(outputs: Path, quick: None) -> None:
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


def test_missing_files(outputs: Path, quick: None) -> None:
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


def test_links_and_special_files(outputs: Path, quick: None, tmp_path: Path) -> None:
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


def test_moved_runs(outputs: Path, quick: None) -> None:
    """Two runs that changed places, or a run under another day, are altered."""
    one, two, _ = sorted((outputs / "2026/11/23").iterdir())
    one.rename(outputs / "aside")
    two.rename(one)
    (outputs / "aside").rename(two)
    assert verify.verify_path(str(outputs)).exit_code == 1


# -- what a forger signs -----------------------------------------------------------------------------------------------


def test_foreign_signature(outputs: Path, quick: None, log: Any) -> None:
    """A checkpoint by another key of the same name is altered, whether or not vkey was replaced as well."""
    forger = SigningKey.generate(log.signer.verifier.name)
    resign(outputs, forger)
    assert verify.verify_path(str(outputs)).exit_code == 1
    known = log.signer.vkey
    (outputs / "ledger/vkey").write_text(forger.verifier.text + "\n", encoding="ascii")
    report = verify.verify_path(str(outputs), key=known)
    assert report.exit_code == 1


def test_forged_ledger_against_what_was_kept(new_log: MakeLog, quick: None, tmp_path: Path) -> None:
    """A whole new ledger with a new key verifies by itself, and not against a kept head or key."""
    log, forged = new_log("true"), new_log("forged")
    log.fill()
    forged.fill()
    head = tmp_path / "kept"
    head.write_bytes((log.outputs / CHECKPOINT).read_bytes())
    assert verify.verify_path(str(forged.outputs)).ok
    assert verify.verify_path(str(forged.outputs), head=str(head)).exit_code == 1
    assert verify.verify_path(str(forged.outputs), key=log.signer.vkey).exit_code == 1
    assert verify.verify_path(str(log.outputs), head=str(head), key=log.signer.vkey).ok


def test_rewritten_with_the_right_key(log: Any, quick: None, tmp_path: Path) -> None:
    """Whoever steals the key can sign another history; a head that was kept elsewhere finds it."""
    log.append(RunStopped(run="r-1", by="p-1"))
    log.publish()
    head = tmp_path / "kept"
    head.write_bytes((log.outputs / CHECKPOINT).read_bytes())
    log.append(RunStopped(run="r-2", by="p-1"))
    log.publish()
    assert verify.verify_path(str(log.outputs), head=str(head)).ok
    key = SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip())
    edit_entries(log.outputs, lambda rows: [rows[0], rows[1].replace(b"p-1", b"p-2"), *rows[2:]])
    resign(log.outputs, key)
    assert verify.verify_path(str(log.outputs)).ok
    report = verify.verify_path(str(log.outputs), head=str(head))
    assert report.exit_code == 1
    assert auditor(log.outputs, "--head", head).returncode == 1


def test_cut_back(log: Any, quick: None, tmp_path: Path) -> None:
    """An outputs/ put back to an earlier day is intact in itself, and altered against the later head."""
    log.publish()
    old = tmp_path / "old"
    shutil.copytree(log.outputs, old)
    log.append(RunStopped(run="r-1", by="p-1"))
    log.publish()
    head = str(log.outputs / CHECKPOINT)
    assert verify.verify_path(str(old)).ok
    assert verify.verify_path(str(old), head=head).exit_code == 1


def test_bad_heads_and_keys(outputs: Path, log: Any, tmp_path: Path) -> None:
    """A head or key that is none, or not there, is 2; the right key as text or file is 0."""
    for name, data in (("a", b""), ("b", b"garbage"), ("c", os.urandom(5000)), ("d", b"a\n1\n\n\xe2\x80\x94 x y\n")):
        (tmp_path / name).write_bytes(data)
        assert auditor(outputs, "--head", tmp_path / name).returncode == 2
        assert auditor(outputs, "--key", tmp_path / name).returncode == 2
    for option in ("--head", "--key"):
        done = auditor(outputs, option, tmp_path / "nowhere")
        assert (done.returncode, done.stderr) == (2, "")
    assert auditor(outputs, "--key", log.signer.vkey).returncode == 0
    assert auditor(outputs, "--key", outputs / "ledger/vkey").returncode == 0


def test_a_bad_signature_of_the_known_key_spoils_the_note(outputs: Path, quick: None, log: Any) -> None:
    """A second signature line of the ledger's own key that does not verify is altered, before or behind the good one."""
    import base64

    path = outputs / CHECKPOINT
    text, _, line = path.read_bytes().partition(b"\n\n")
    key = log.signer.verifier
    forged = f"— {key.name} {base64.b64encode(key.hash + bytes(64)).decode()}\n".encode()
    for lines in (forged + line, line + forged):
        path.write_bytes(text + b"\n\n" + lines)
        assert verify.verify_path(str(outputs)).exit_code == 1
    witness = SigningKey.generate("witness.example").sign(text.decode() + "\n").partition(b"\n\n")[2]
    for lines in (witness + line, line + witness):
        path.write_bytes(text + b"\n\n" + lines)
        assert verify.verify_path(str(outputs)).ok


# -- what a ledger may truly say ---------------------------------------------------------------------------------------


def test_a_run_that_was_finished_twice(log: Any, quick: None) -> None:
    """A control plane killed between finishing and recording finishes again: the latest ``run.finished`` holds."""
    request = log.request()
    folder = log.run(request)
    log.publish()
    lines = log.lines()
    finished = next(e for e in lines if e["kind"] == "run.finished")
    before = {name: finished[name] for name in ("run", "request", "mode", "verdict", "notebook", "isolation", "files")}
    again = RunFinished(**{**_typed(before), "run": "r-crashed", "notebook": "ab" * 32})
    true = RunFinished(**{**_typed(before), "run": "r-crashed"})
    shutil.copytree(folder, log.outputs / "2026/11/23/r-crashed")
    crashed = log.outputs / "2026/11/23/r-crashed"
    manifest = json.loads((crashed / "manifest.json").read_bytes())
    manifest["run"] = "r-crashed"
    (crashed / "manifest.json").write_bytes(canonical(manifest))
    page = salted(manifest["salts"]["html"], (crashed / "run.html").read_bytes())
    digest = sha256((crashed / "manifest.json").read_bytes())
    recorded = RunRecorded(run="r-crashed", path="2026/11/23/r-crashed", html=page, manifest=digest)
    log.append(again, true, recorded)
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.ok, report.problems


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    from opsnb.control.ledger.events import Isolation
    from opsnb.control.records import Mode, Verdict

    return {
        **values, "mode": Mode(values["mode"]), "verdict": Verdict(values["verdict"]),
        "isolation": Isolation(values["isolation"]),
    }  # fmt: skip


@pytest.mark.parametrize("field", ["notebook", "html", "manifest", "files"])
def test_each_digest_is_looked_at(log: Any, quick: None, field: str) -> None:
    """A run whose entries hold one wrong digest is altered: none of them is there for show."""
    request = log.request()
    folder = log.run(request, files={"a": b"1"})
    manifest = json.loads((folder / "manifest.json").read_bytes())
    crooked = log.outputs / "2026/11/23/r-crooked"
    shutil.copytree(folder, crooked)
    manifest["run"] = "r-crooked"
    (crooked / "manifest.json").write_bytes(canonical(manifest))
    rows = [row for row in manifest["files"] if row["path"].startswith("files/")]
    finished = next(e for e in _all(log) if e["kind"] == "run.finished")
    digests = {
        "notebook": salted(manifest["salts"]["notebook"], (crooked / "run.ipynb").read_bytes()),
        "files": salted(manifest["salts"]["files"], canonical(rows)),
        "html": salted(manifest["salts"]["html"], (crooked / "run.html").read_bytes()),
        "manifest": sha256((crooked / "manifest.json").read_bytes()),
    }
    for name in (field, ""):
        used = {**digests, **({name: "00" * 32} if name else {})}
        fields = {k: v for k, v in finished.items() if k not in {"kind", "index", "at"}}
        values = {**_typed(fields), "notebook": used["notebook"], "files": used["files"]}
        if name:
            bad = (
                RunFinished(**{**values, "run": "r-crooked"}),
                RunRecorded(run="r-crooked", path="2026/11/23/r-crooked", html=used["html"], manifest=used["manifest"]),
            )
            log.append(*bad)
            log.publish()
            report = verify.verify_path(str(log.outputs))
            assert report.exit_code == 1
            assert all("r-crooked" in problem for problem in report.problems), report.problems


def _all(log: Any) -> list[dict[str, Any]]:
    from opsnb.control.ledger.store import read

    with log.transaction() as connection:
        return [entry.value for entry in read(connection)]


@pytest.mark.parametrize("what", ["request", "plan"])
def test_request_and_plan_are_the_sealed_ones(log: Any, quick: None, what: str) -> None:
    """A record that shows another request than the sealed one, or another plan than the proposed one, is altered."""
    request = log.request()
    if what == "request":
        request["body"] = {**request["body"], "parameters": {"hosts": "db*"}}
        log.run(request)
    else:
        request["salts"] = {**request["salts"]}
        folder = log.run(request, plan=True)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["plan_digest"] = "ab" * 32
        shutil.rmtree(folder)
        _record_anew(log, folder, manifest)
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.exit_code == 1
    assert what in report.problems[0]


def _record_anew(log: Any, folder: Path, manifest: dict[str, Any]) -> None:
    """Record, under another id, a run that proposed a plan and whose manifest says another one."""
    from opsnb.control.ledger.events import PlanProposed

    run = "r-anew"
    proposed = next(e for e in _all(log) if e["kind"] == "plan.proposed")
    finished = next(e for e in _all(log) if e["kind"] == "run.finished")
    place = folder.with_name(run)
    place.mkdir()
    salts = manifest["salts"]
    files = {"run.html": b"page", "run.ipynb": b"{}"}
    for name, data in files.items():
        (place / name).write_bytes(data)
    rows = [{"path": n, "size": len(d), "sha256": sha256(d)} for n, d in files.items()]
    data = canonical({**manifest, "run": run, "files": rows})
    (place / "manifest.json").write_bytes(data)
    fields = {k: v for k, v in finished.items() if k not in {"kind", "index", "at"}}
    values = {
        **_typed(fields), "run": run, "notebook": salted(salts["notebook"], b"{}"),
        "files": salted(salts["files"], canonical([])),
    }  # fmt: skip
    log.append(
        PlanProposed(run=run, request=proposed["request"], plan=proposed["plan"]),
        RunFinished(**values),
        RunRecorded(run=run, path=f"2026/11/23/{run}", html=salted(salts["html"], b"page"), manifest=sha256(data)),
    )
    shutil.copytree(place, folder, dirs_exist_ok=True)
    shutil.rmtree(folder)


def test_the_latest_site_holds(log: Any, quick: None) -> None:
    """Of several ``site.published`` the latest covers the site's files; a file of an earlier one is no longer covered."""
    log.publish()
    known = log.lines()[-1]["files"]
    for text in (b"one", b"two"):
        (log.outputs / "index.html").write_bytes(text)
        log.append(SitePublished(files={**known, "index.html": sha256(text)}))
        log.publish()
        assert verify.verify_path(str(log.outputs)).ok
    (log.outputs / "index.html").write_bytes(b"one")
    assert verify.verify_path(str(log.outputs)).exit_code == 1
    log.append(SitePublished(files=known))
    log.publish()
    assert verify.verify_path(str(log.outputs)).exit_code == 1


# -- what cannot be checked --------------------------------------------------------------------------------------------


def test_not_a_ledger(tmp_path: Path) -> None:
    """An empty directory, no directory, a text, a pipe's name: 2 with one line that says so, in both forms."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    for name in ("empty", "nowhere", "text", "zip"):
        done = auditor(tmp_path / name)
        assert (done.returncode, done.stderr) == (2, "")
        assert json.loads(auditor(tmp_path / name, "--json").stdout)["exit_code"] == 2


@pytest.mark.parametrize("argv", [["--nonsense"], ["a", "b"], ["--lang", "xx"], ["--head"]])
def test_bad_usage(argv: list[str]) -> None:
    """Bad usage is 2."""
    done = auditor(*argv)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_unreadable(outputs: Path) -> None:
    """A name that leads to a directory where a file should be is no traceback."""
    (outputs / CHECKPOINT).unlink()
    (outputs / CHECKPOINT).mkdir()
    done = auditor(outputs)
    assert done.returncode in {1, 2}
    assert done.stderr == ""


def test_absurd_sizes(outputs: Path, tmp_path: Path) -> None:
    """Sizes beyond all reason are refused, never read into memory, and never intact."""
    for name in (CHECKPOINT, "ledger/vkey", ENTRIES):
        data = (outputs / name).read_bytes()
        with (outputs / name).open("ab") as stream:
            stream.truncate(10**9)
        done = auditor(outputs)
        assert done.returncode in {1, 2}, name
        assert done.stderr == ""
        (outputs / name).write_bytes(data)
    with (tmp_path / "head").open("wb") as stream:
        stream.truncate(10**8)
    assert auditor(outputs, "--head", tmp_path / "head").returncode == 2
    assert auditor(outputs).returncode == 0


@pytest.mark.parametrize("deep", [b"[" * 200_000, b'{"a":' * 200_000, b"[" * 400 + b"]" * 400])
def test_deep_json(outputs: Path, log: Any, quick: None, deep: bytes) -> None:
    """Deep JSON, even under a valid signature, is no traceback and not intact."""
    key = SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip())
    edit_entries(outputs, lambda rows: [*rows, deep + b"\n"])
    resign(outputs, key)
    assert verify.verify_path(str(outputs)).exit_code in {1, 2}


@given(st.binary(max_size=400))
@settings(max_examples=300 if PROVE else 40, deadline=None)
def test_garbage_in_every_place(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any bytes as a checkpoint, key, entries, proofs or zip: an exit code, never an exception."""
    folder = tmp_path_factory.mktemp("garbage")
    (folder / "ledger").mkdir()
    for name in ("vkey", "checkpoint", "entries.jsonl", "proof.json"):
        (folder / "ledger" / name).write_bytes(data)
    (folder / "zip").write_bytes(data)
    assert verify.verify_path(str(folder / "zip")).exit_code == 2
    assert verify.verify_path(str(folder)).exit_code in {1, 2}


def test_nothing_that_a_terminal_obeys(outputs: Path) -> None:
    """File names with escape sequences and direction marks are shown, never obeyed."""
    (outputs / "a\x1b[2J\u202eb\n.txt").touch()
    (Path(os.fsdecode(os.fsencode(outputs) + b"/\xff\xfe"))).touch()
    done = auditor(outputs)
    assert done.returncode == 1
    assert not set(done.stdout) & {"\x1b", "\u202e"}
    assert json.loads(auditor(outputs, "--json").stdout)["exit_code"] == 1


# -- while the ledger is being written ---------------------------------------------------------------------------------


@pytest.fixture
def writing(log: Any) -> Iterator[Any]:
    """A ledger to which runs are added while the test looks at it."""
    log.fill()
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            request = log.request()
            while not stop.is_set():
                log.run(request, files={"x": b"y" * 100})
                log.publish()
                time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield log
    stop.set()
    thread.join()
    assert not failed


def test_a_ledger_that_is_being_written(writing: Any) -> None:
    """Looked at again and again while runs come in, an honest outputs/ is never called altered."""
    for _ in range(100 if PROVE else 12):
        report = verify.verify_path(str(writing.outputs))
        assert report.ok, report.problems


def test_a_run_that_enters_late(log: Any) -> None:
    """A recorded run whose folder is renamed in a moment after the checkpoint that covers it is waited for."""
    folder = log.run(log.request())
    log.publish()
    folder.rename(log.outputs / ".incoming/late")
    timer = threading.Timer(0.3, (log.outputs / ".incoming/late").rename, (folder,))
    timer.start()
    report = verify.verify_path(str(log.outputs))
    timer.join()
    assert report.ok, report.problems


def test_entries_that_are_not_signed_yet(log: Any) -> None:
    """Whole entries behind the checkpoint are not covered yet: what was signed is intact."""
    log.publish()
    old = (log.outputs / CHECKPOINT).read_bytes()
    log.append(RunStopped(run="r-1", by="p-1"))
    log.publish()
    (log.outputs / CHECKPOINT).write_bytes(old)
    report = verify.verify_path(str(log.outputs))
    assert report.ok, report.problems


def test_a_checkpoint_that_comes_late(log: Any) -> None:
    """A run that is already there and covered by the next checkpoint only is waited for."""
    log.publish()
    log.run(log.request())
    timer = threading.Timer(0.3, log.publish)
    timer.start()
    report = verify.verify_path(str(log.outputs))
    timer.join()
    assert report.ok, report.problems


# -- Ed25519 -----------------------------------------------------------------------------------------------------------

RFC8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]  # fmt: skip
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("public", "message", "signature"), RFC8032)
def test_rfc8032_vectors(public: str, message: str, signature: str) -> None:
    """The vectors of RFC 8032 verify, and not after one changed bit in key, message or signature."""
    key, text, mark = (bytes.fromhex(x) for x in (public, message, signature))
    assert verify.ed25519_verify(key, text, mark)
    assert not verify.ed25519_verify(key, text + b"x", mark)
    for at in range(0, 64, 7):
        wrong = mark[:at] + bytes([mark[at] ^ 1]) + mark[at + 1 :]
        assert not verify.ed25519_verify(key, text, wrong)


def test_malleable_signatures_and_bad_points() -> None:
    """S + L, points off the curve, non-canonical y, small orders and wrong lengths are all refused."""
    key, text, mark = (bytes.fromhex(x) for x in RFC8032[2])
    s = int.from_bytes(mark[32:], "little")
    assert not verify.ed25519_verify(key, text, mark[:32] + (s + ORDER).to_bytes(32, "little"))
    prime = 2**255 - 19
    small = [
        1,
        prime - 1,
        0,
        2707385501144840649318225287225658788936804267575313519463743609750303021,
        prime,
        prime + 1,
    ]
    for y in small:
        for sign in (0, 1 << 255):
            point = (y | sign).to_bytes(32, "little")
            assert not verify.ed25519_verify(point, text, mark)
            assert not verify.ed25519_verify(point, b"", point + bytes(32))
    for bad in (b"", key[:31], key + b"\0", bytes([2]) + bytes(31)):
        assert not verify.ed25519_verify(bad, text, mark)
    for bad in (b"", mark[:63], mark + b"\0"):
        assert not verify.ed25519_verify(key, text, bad)


@given(st.binary(max_size=64), st.integers(0, 95), st.integers(0, 7), st.binary(min_size=32, max_size=32))
@settings(max_examples=500 if PROVE else 30, deadline=None)
def test_ed25519_agrees_with_openssl(message: bytes, at: int, bit: int, seed: bytes) -> None:
    """Signatures made by OpenSSL verify; after one changed bit both say no."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    both = bytearray(private.public_key().public_bytes_raw() + private.sign(message))
    assert verify.ed25519_verify(bytes(both[:32]), message, bytes(both[32:]))
    both[at] ^= 1 << bit
    try:
        Ed25519PublicKey.from_public_bytes(bytes(both[:32])).verify(bytes(both[32:]), message)
    except (InvalidSignature, ValueError):
        assert not verify.ed25519_verify(bytes(both[:32]), message, bytes(both[32:]))


# -- archives ----------------------------------------------------------------------------------------------------------


def pack(outputs: Path, target: Path, **extra: bytes) -> Path:
    """Zip a whole outputs/ with more members."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in plain(outputs):
            archive.write(path, path.relative_to(outputs).as_posix())
        for name, data in extra.items():
            archive.writestr(name, data)
    return target


def test_a_zip_of_outputs(outputs: Path, tmp_path: Path) -> None:
    """A zipped outputs/ verifies like the directory."""
    assert auditor(pack(outputs, tmp_path / "a.zip")).returncode == 0
    assert auditor(pack(outputs, tmp_path / "b.zip", **{"x.txt": b"x"})).returncode == 1


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./a", ".."])
def test_paths_that_leave_the_directory(outputs: Path, tmp_path: Path, name: str) -> None:
    """An archive with such a path is refused, and nothing is written anywhere."""
    before = sorted(tmp_path.rglob("*"))
    path = pack(outputs, tmp_path / "a.zip", **{name: b"x"})
    done = auditor(path)
    assert done.returncode == 2
    assert sorted(p for p in tmp_path.rglob("*") if p != path) == before


def test_zip_bombs(outputs: Path, tmp_path: Path) -> None:
    """An archive that unpacks to absurd sizes is refused at once, also when its directory lies about them."""
    bomb = pack(outputs, tmp_path / "bomb.zip", **{"x": bytes(200 * 2**20)})
    assert auditor(bomb).returncode == 2
    lying = tmp_path / "lying.zip"
    data = bytearray(pack(outputs, lying, **{"x": bytes(64 * 2**20)}).read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    lying.write_bytes(data)
    assert auditor(lying).returncode in {1, 2}


def test_links_and_doubles_in_archives(outputs: Path, tmp_path: Path) -> None:
    """A link, an encrypted or a doubled member is never intact."""
    link = zipfile.ZipInfo("x")
    link.external_attr = 0o120777 << 16
    path = pack(outputs, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert auditor(path).returncode == 1
    path = pack(outputs, tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CHECKPOINT, (outputs / CHECKPOINT).read_bytes())
    assert auditor(path).returncode == 2


def test_damaged_archives(outputs: Path, tmp_path: Path) -> None:
    """An archive with one changed byte in its contents, or cut short, is 1 or 2, never a traceback."""
    chance = random.Random(7)
    whole = pack(outputs, tmp_path / "a.zip").read_bytes()
    for _ in range(200 if PROVE else 25):
        data = bytearray(whole[: chance.choice([len(whole), len(whole), chance.randrange(len(whole))])])
        data[chance.randrange(max(len(data), 1)) % max(len(data), 1)] ^= 1 << chance.randrange(8)
        (tmp_path / "b.zip").write_bytes(data)
        assert verify.verify_path(str(tmp_path / "b.zip")).exit_code in {0, 1, 2}
        if len(data) < len(whole):
            assert verify.verify_path(str(tmp_path / "b.zip")).exit_code == 2
