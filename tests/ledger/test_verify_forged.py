"""verify.py against whoever can write, sign or rewrite: what was kept elsewhere decides."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.evidence import (
    CHECKPOINT,
    auditor,
    edit_entries,
    sign_anew,
)
from opsnb.base.canonical import sha256
from opsnb.control.ledger import verify
from opsnb.control.ledger.events import RunStopped, SitePublished
from opsnb.control.ledger.note import SigningKey

MakeLog = Callable[..., Any]


@pytest.fixture
def outputs(log: Any) -> Path:
    """An intact outputs/: a plan run, its apply run with files, a run of another request."""
    log.fill()
    return Path(log.outputs)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a ledger that nobody writes."""
    monkeypatch.setattr(verify, "GRACE", 0.0)


def test_foreign_signature(outputs: Path, log: Any) -> None:
    """A checkpoint by another key of the same name is altered, whether or not vkey was replaced as well."""
    forger = SigningKey.generate(log.signer.verifier.name)
    sign_anew(outputs, forger)
    assert verify.verify_path(str(outputs)).exit_code == 1
    known = log.signer.vkey
    (outputs / "ledger/vkey").write_text(forger.verifier.text + "\n", encoding="ascii")
    report = verify.verify_path(str(outputs), key=known)
    assert report.exit_code == 1


def test_forged_ledger_against_what_was_kept(new_log: MakeLog, tmp_path: Path) -> None:
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


def test_rewritten_with_the_right_key(log: Any, tmp_path: Path) -> None:
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
    sign_anew(log.outputs, key)
    assert verify.verify_path(str(log.outputs)).ok
    report = verify.verify_path(str(log.outputs), head=str(head))
    assert report.exit_code == 1
    assert auditor(log.outputs, "--head", head).returncode == 1


def test_cut_back(log: Any, tmp_path: Path) -> None:
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


def test_a_bad_signature_of_the_known_key_spoils_the_note(outputs: Path, log: Any) -> None:
    """A second signature line of the ledger's own key that does not verify is altered, before or behind the good one."""
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


def test_a_run_that_was_finished_twice(log: Any) -> None:
    """A control plane killed between finishing and recording finishes again: the latest ``run.finished`` holds."""
    log.run(log.request(), finished_before=True)
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.ok, report.problems


@pytest.mark.parametrize("field", ["notebook", "html", "manifest", "files"])
def test_each_digest_is_looked_at(log: Any, field: str) -> None:
    """A run whose entries hold one wrong digest is altered, and only that run: no digest is there for show."""
    log.fill()
    folder = log.run(log.request(), files={"a": b"1"}, entries={field: "00" * 32})
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.exit_code == 1
    assert all(folder.name in problem for problem in report.problems), report.problems


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("request", {"request": {"schema": 1, "parameters": {"hosts": "db*"}}}),
        ("plan", {"plan_digest": "ab" * 32}),
        ("plan", {"plan_digest": None, "plan": None}),
        ("manifest", {"run": "r-other"}),
        ("manifest", {"schema": 2}),
        ("manifest", {"files": [{"path": "../../../../x", "size": 1, "sha256": "00" * 32}]}),
        ("manifest", {"files": "none"}),
        ("manifest", {"salts": {}}),
        ("manifest", {"salts": None}),
        ("manifest", {"request": None}),
    ],
)
def test_a_manifest_that_says_something_else(log: Any, what: str, wrong: dict[str, Any]) -> None:
    """A manifest with another request, plan, run or list of files than its entries is altered, though it is recorded."""
    log.run(log.request(), plan=True, manifest=wrong)
    log.publish()
    report = verify.verify_path(str(log.outputs))
    assert report.exit_code == 1
    assert any(what in problem for problem in report.problems), report.problems


def test_the_latest_site_holds(log: Any) -> None:
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
