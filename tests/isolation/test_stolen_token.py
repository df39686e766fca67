"""A run never approves, whatever token it finds: who is connected is asked of the system, and what it tried is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from claims.firm import Firm
from opsnb.base.clock import now
from opsnb.base.errors import OpsnbError
from opsnb.base.workspace import Workspace
from opsnb.client.connection import Client
from opsnb.control.people import tokens
from opsnb.control.people.store import directory
from opsnb.control.people.tokens import TokenKind
from places import text_of
from ports import free_port

pytestmark = pytest.mark.slow

# The thief: it finds the token in the arguments of somebody's process, and has many ways to say "approve" with it.
THIEF = """
import ctypes, glob, json, os, signal, socket, struct, subprocess, sys, threading, time
def words_of(path):
    try: return open(path, "rb").read().split(b"\\0")
    except OSError: return []  # it has ended meanwhile
found = [words_of(p) for p in glob.glob("/proc/[0-9]*/cmdline")]
token = next(w.decode() for words in found if mark in words for w in words if w.startswith(b"opsnb_"))
def call(source):
    s = socket.socket(socket.AF_INET if source else socket.AF_UNIX)
    s.settimeout(20)
    if source: s.bind((source, 0))
    s.connect(("127.0.0.1", port) if source else path)
    return s
def say(s):
    head = f"POST /api/requests/{request}/approve HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer {token}\\r\\n"
    head += "Content-Type: application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
    s.sendall(head.encode())
def heard(s):
    return s.recv(200).split()[1].decode()
def plainly(c):
    s = c(); say(s); return heard(s)
def in_a_child(c):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        s = c(); say(s); os.write(writer, heard(s).encode()); os._exit(0)
    os.waitpid(pid, 0)
    return os.read(reader, 20).decode()
def hung_up(c):
    s = c(); say(s); s.close(); return "sent"
def reset(c):
    s = c(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); say(s); s.close(); return "sent"
def by_one_that_is_gone(c):
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        s = c(); socket.send_fds(there, [b"x"], [s.fileno()]); os._exit(0)
    os.waitpid(pid, 0)
    s = socket.socket(fileno=socket.recv_fds(here, 1, 1)[1][0])
    s.settimeout(20); say(s); return heard(s)
def handed_on(c):
    s = c()
    for _ in range(20):
        if os.fork(): os._exit(0)
    say(s); time.sleep(1); os._exit(0)
def by_orphans(c):
    pid = os.fork()
    if pid == 0: handed_on(c)
    os.waitpid(pid, 0); time.sleep(0.4); return "sent"
def hidden(c):
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    return plainly(c)
def in_flight(c):
    here, there = socket.socketpair()
    s = c(); say(s); socket.send_fds(there, [b"x"], [s.fileno()]); s.close(); time.sleep(0.2)
    s = socket.socket(fileno=socket.recv_fds(here, 1, 1)[1][0]); s.settimeout(20); return heard(s)
WAYS = (plainly, in_a_child, hung_up, reset, by_one_that_is_gone, by_orphans, in_flight, hidden)
PLACES = {"unix": "", "tcp": "127.0.0.1", "tcp from another address": "127.3.2.1"}
def attempt(way, where):
    try: return way(lambda: call(PLACES[where]))
    except OSError as error: return f"{type(error).__name__}: {error}"
print(json.dumps({f"{way.__name__} {where}": attempt(way, where) for where in PLACES for way in WAYS}))
"""


class Robbed:
    """Several people, a request that waits for approval, and the approver's token where everybody can read it."""

    def __init__(self, firm: Firm) -> None:
        self.firm, self.place, self.port = firm, firm.place, free_port()
        self.bob, self.dora = self._token("bob"), self._token("dora")
        firm.app.close()
        self.place.up("--listen", f"127.0.0.1:{self.port}")
        self.careless = subprocess.Popen(
            ["sh", "-c", "sleep 300; :", "sh", self.bob, str(self.place.root)], start_new_session=True
        )
        asked = {"runbook": "TST-100", "values": {"directory": str(firm.folder)}, "reason": "because"}
        planned = self.place.end(Client(self.place.workspace, self.dora).post("/api/requests", asked)["run"])
        self.request = str(planned["request"])
        self.run = self._steal()

    def _token(self, name: str) -> str:
        with self.firm.services.database.transaction() as connection:
            person = directory(connection).named(name)
            assert person
            return tokens.issue(connection, TokenKind.API, person.id, by=person.id, now=now(), seconds=600)[0]

    def _steal(self) -> dict[str, Any]:
        known = f"path, port, request = {str(self.place.workspace.socket)!r}, {self.port}, {self.request!r}\n"
        mark = f"mark = {str(self.place.root)!r}.encode()\n"  # by which it knows this test's token from another's
        self.place.add("thief", known + mark + THIEF)
        return self.place.end(self.place.submit("runbooks/thief.ipynb"))

    def close(self) -> None:
        """End what was started."""
        self.careless.kill()
        self.careless.wait()
        self.place.close()


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robbed]:
    """What is there after the thief ran."""
    made = Robbed(Firm(tmp_path_factory.mktemp("robbed") / "ws"))
    yield made
    made.close()


def test_no_way_leads_to_an_approval(robbed: Robbed) -> None:
    """Over the socket and over TCP, by itself, by children, orphans and hung-up lines: nothing is approved."""
    found = json.loads(text_of(robbed.place.executed(robbed.run)["cells"][0]))
    assert {way: said for way, said in found.items() if said not in {"403", "sent"}} == {}
    assert len(found) == 24  # ways times places
    shown = Client(robbed.place.workspace, robbed.dora).get(f"/api/requests/{robbed.request}")
    assert (shown["status"], shown["acts"]) == ("open", [])


def test_it_is_in_the_record_and_in_the_ledger(robbed: Robbed) -> None:
    """The ledger has each, with the word that the token held; the record says whose it was, and its page too."""
    lines = (robbed.place.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8").splitlines()
    refused = [e for e in map(json.loads, lines) if e["kind"] == "run.refused" and e["run"] == robbed.run["run"]]
    assert {e["attempt"] for e in refused} == {"token"}
    notes = json.loads((robbed.place.record(robbed.run) / "manifest.json").read_bytes())["record"]["notes"]
    said = "refused: token: POST /api/requests/{name}/{act}, with the token of bob: have it revoked"
    assert said in notes
    assert said in (robbed.place.record(robbed.run) / "run.html").read_text(encoding="utf-8")


def test_whose_token_it_is_approves_with_it(robbed: Robbed) -> None:
    """The same token in the hands of a process that is no run's does what it is for, here and over TCP."""
    elsewhere = Client(Workspace(robbed.place.root, f"http://127.0.0.1:{robbed.port}"), robbed.bob)
    assert elsewhere.get("/api/whoami")["user"] == "bob"
    with pytest.raises(OpsnbError, match="nothing"):
        elsewhere.get("/api/requests/nothing")
    assert Client(robbed.place.workspace, robbed.bob).post(f"/api/requests/{robbed.request}/approve", {})["status"] == (
        "approved"
    )
