"""verify.py on what is no evidence: exit code 2, no traceback, nothing unpacked, nothing obeyed."""

from __future__ import annotations

import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.evidence import (
    CHECKPOINT,
    ENTRIES,
    PROVE,
    auditor,
    edit_entries,
    pack,
    sign_anew,
)
from opsnb.control.ledger import verify
from opsnb.control.ledger.note import SigningKey

MakeLog = Callable[..., Any]


@pytest.fixture
def outputs(log: Any) -> Path:
    """An intact outputs/: a plan run, its apply run with files, a run of another request."""
    log.fill()
    return Path(log.outputs)


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
def test_deep_json(outputs: Path, log: Any, deep: bytes) -> None:
    """Deep JSON, even under a valid signature, is no traceback and not intact."""
    key = SigningKey.from_text((log.state / "keys/ledger.key").read_text(encoding="ascii").strip())
    edit_entries(outputs, lambda rows: [*rows, deep + b"\n"])
    sign_anew(outputs, key)
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


def test_a_zip_of_outputs(outputs: Path, tmp_path: Path) -> None:
    """A zipped outputs/ verifies like the directory."""
    assert auditor(pack(outputs, tmp_path / "a.zip")).returncode == 0
    assert auditor(pack(outputs, tmp_path / "b.zip", {"x.txt": b"x"})).returncode == 1


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./a", ".."])
def test_paths_that_leave_the_directory(outputs: Path, tmp_path: Path, name: str) -> None:
    """An archive with such a path is refused, and nothing is written anywhere."""
    before = sorted(tmp_path.rglob("*"))
    path = pack(outputs, tmp_path / "a.zip", {name: b"x"})
    done = auditor(path)
    assert done.returncode == 2
    assert sorted(p for p in tmp_path.rglob("*") if p != path) == before


def test_zip_bombs(outputs: Path, tmp_path: Path) -> None:
    """An archive that unpacks to absurd sizes is refused at once, also when its directory lies about them."""
    bomb = pack(outputs, tmp_path / "bomb.zip", {"x": bytes(200 * 2**20)})
    assert auditor(bomb).returncode == 2
    lying = tmp_path / "lying.zip"
    data = bytearray(pack(outputs, lying, {"x": bytes(64 * 2**20)}).read_bytes())
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
    chance = random.Random(7)  # noqa: S311 - a seeded sample, no secret
    whole = pack(outputs, tmp_path / "a.zip").read_bytes()
    for _ in range(200 if PROVE else 25):
        data = bytearray(whole[: chance.choice([len(whole), len(whole), chance.randrange(len(whole))])])
        data[chance.randrange(max(len(data), 1)) % max(len(data), 1)] ^= 1 << chance.randrange(8)
        (tmp_path / "b.zip").write_bytes(data)
        assert verify.verify_path(str(tmp_path / "b.zip")).exit_code in {0, 1, 2}
        if len(data) < len(whole):
            assert verify.verify_path(str(tmp_path / "b.zip")).exit_code == 2
