"""`opsnb secret`: a value goes in by prompt or stdin, and no command, route or error shows it again."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from opsnb.base.errors import OpsnbError
from opsnb.cli.workspace import make
from places import OPSNB, Place

pytestmark = pytest.mark.slow

VALUE = "correct-horse-battery"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A served workspace."""
    made = Place(tmp_path_factory.mktemp("command") / "ws")
    make(made.root)
    made.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
    made.up()
    yield made
    made.close()


def put(place: Place, *argv: str, value: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run `opsnb secret ... --stdin`."""
    return subprocess.run(
        [str(OPSNB), "secret", *argv, "--stdin"], cwd=place.root, input=value, capture_output=True, check=False
    )


def typed(place: Place, *argv: str, lines: list[str]) -> tuple[int, str]:
    """Run the program at a terminal and type; return its exit code and what the terminal shows."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place.root)
        os.execv(str(OPSNB), [str(OPSNB), *argv])
    shown = b""
    for line in lines:
        asked = b""
        while not asked.rstrip().endswith(b":"):
            asked += os.read(terminal, 4096)
        shown += asked
        os.write(terminal, line.encode() + b"\n")
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def test_from_set_to_rm(served: Place) -> None:
    """Set, listed without a value, rotated to version 2, removed; each in the ledger by id; no answer holds the value."""
    first = put(served, "set", "db/prod", "--json", value=VALUE.encode() + b"\n")
    assert first.returncode == 0, first.stderr
    known = json.loads(first.stdout)["id"]
    assert put(served, "rotate", "db/prod", value=VALUE.encode() + b"-2").returncode == 0
    listed = served.json("secret", "list")
    assert [(r["name"], r["version"], r["id"]) for r in listed["secrets"]] == [("db/prod", 2, known)]
    assert served.json("secret", "rotate") == {"encrypted": 2}
    assert served.json("secret", "rm", "db/prod") == {"name": "db/prod", "id": known}
    assert served.json("secret", "list") == {"secrets": []}
    served.client.post("/api/audit/checkpoint")
    kinds = [
        json.loads(line)["kind"] for line in (served.root / "outputs/ledger/entries.jsonl").read_text().splitlines()
    ]
    assert [k for k in kinds if k.startswith("secret.")] == [
        "secret.set",
        "secret.rotated",
        "secret.rekeyed",
        "secret.removed",
    ]
    assert VALUE.encode() not in first.stdout + first.stderr + json.dumps(listed).encode()


def test_it_is_asked_for_without_echo(served: Place) -> None:
    """At a terminal the value is asked for twice and never shown; two that differ are asked for again."""
    code, shown = typed(served, "secret", "set", "db/typed", lines=[VALUE, "another-one", VALUE, VALUE])
    assert code == 0, shown
    assert VALUE not in shown
    assert "another-one" not in shown
    assert "db/typed  version 1" in shown


def test_refusals(served: Place) -> None:
    """No terminal and no --stdin, a value as an argument, a short value, an unknown name: exit 2 and the next move."""
    for argv, value, says in (
        (("set", "db/x"), b"", "--stdin < FILE"), (("rm", "db/nope"), b"", "no secret is called"),
        (("rotate", "db/nope", "--stdin"), VALUE.encode(), "no secret is called"),
        (("set", "db/x", "--stdin"), b"short", "fewer than 8 characters"),
        (("set", "db/x", "--stdin"), b"\xff" * 20, "not UTF-8 text"), (("set", "db x", "--stdin"), VALUE.encode(), "not a secret's name"),
        (("set", "db/x", VALUE), b"", "unexpected extra argument"), (("rotate", "--stdin"), VALUE.encode(), "goes with a NAME"),
    ):  # fmt: skip
        done = subprocess.run(
            [str(OPSNB), "secret", *argv], cwd=served.root, input=value, capture_output=True, check=False
        )
        assert (done.returncode, says in done.stderr.decode()) == (2, True), (argv, done.stderr)
        assert VALUE.encode() not in done.stdout
        assert argv[-1] == VALUE or VALUE.encode() not in done.stderr


@pytest.mark.parametrize("body", [
    {"name": 1, "value": VALUE}, {"name": "a", "value": [VALUE]}, {"name": "a"}, [VALUE], VALUE, {"name": VALUE * 9, "value": "x"},
])  # fmt: skip
def test_no_error_repeats_a_body(served: Place, body: Any) -> None:
    """What a route refuses, it does not repeat: neither in its answer nor in the log."""
    with pytest.raises(OpsnbError) as caught:
        served.client.post("/api/secrets", body)
    if not isinstance(body, dict) or body.get("name") != VALUE * 9:  # a name is no secret
        assert VALUE not in str(caught.value)
    assert VALUE not in (served.root / ".opsnb/opsnb.log").read_text(encoding="utf-8")


def test_no_route_returns_a_value(served: Place) -> None:
    """Whatever a GET below /api/secrets asks for, no value comes back."""
    put(served, "set", "db/kept", value=VALUE.encode())
    assert VALUE not in json.dumps(served.client.get("/api/secrets"))
    for path in ("/api/secrets/db/kept", "/api/secrets/kept", "/api/secrets/db%2Fkept"):
        with pytest.raises(OpsnbError):
            served.client.get(path)


def test_a_lost_key_stops_the_start(place: Place) -> None:
    """Without its key file the control plane does not start, and the command says so with the next move."""
    assert put(place, "set", "db/prod", value=VALUE.encode()).returncode == 0
    place.rest()
    key = place.root / ".opsnb/keys/secrets.key"
    key.chmod(0o644)
    done = place.opsnb("secret", "list")
    assert (done.returncode, "chmod 600" in done.stderr) == (3, True), done.stderr
    key.rename(place.root / "kept")
    done = place.opsnb("secret", "list")
    assert (done.returncode, "is missing, and 1 stored secret(s)" in done.stderr) == (1, True), done.stderr
    (place.root / "kept").rename(key)
    key.chmod(0o600)
    assert place.opsnb("secret", "list").returncode == 0
