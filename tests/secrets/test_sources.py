"""Sources besides the store: the environment of `opsnb up`, a key's file, and a Vault that also misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import NotFoundError, OpsnbError, RefusedError, UnavailableError, UsageError
from opsnb.control.database import Database
from opsnb.control.secrets import Environment, SecretStore, Sources, Vault, reference
from places import OPSNB, Place

VALUE = "correct-horse-battery"


class FakeVault:
    """Vault's HTTP API as far as AppRole and KV version 2 go (hashicorp.com, API of v1). It can be told to misbehave."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {"team/db": {"password": VALUE, "port": 5432}}
        self.mood, self.logins, self.tokens, self.asked = "", 0, set[str](), 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.asked += 1
                self.answer(*fake.read(self.path, self.headers.get("X-Vault-Token", "")))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*fake.login(self.path, body))

            do_PUT = do_POST  # noqa: N815  (the base class's own form)

            def answer(self, status: int, value: Any) -> None:
                if fake.mood == "slow":
                    fake.go_on.wait(10)
                data = b"<html>" if fake.mood == "nonsense" else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.go_on = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def login(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a login."""
        if self.mood == "sealed":
            return 503, {"errors": ["Vault is sealed"]}
        if path != "/v1/auth/approle/login" or body != {"role_id": "role", "secret_id": "secret-id-1"}:
            return 400, {"errors": ["invalid role or secret ID"]}
        self.logins += 1
        token = f"s.{self.logins}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 60, "renewable": True}}

    def read(self, path: str, token: str) -> tuple[int, Any]:
        """Answer a question."""
        if self.mood == "sealed":
            return 503, {"errors": ["Vault is sealed"]}
        if self.mood == "forbidden" or token not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        found = self.secrets.get(path.removeprefix("/v1/secret/data/"))
        if found is None:
            return 404, {"errors": []}
        if self.mood == "version 1":
            return 200, {"data": found}
        return 200, {"data": {"data": found, "metadata": {"version": 7}}}

    def close(self) -> None:
        """End."""
        self.go_on.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    """A Vault of our own."""
    made = FakeVault()
    yield made
    made.close()


def vault(fake: FakeVault, **changed: Any) -> Vault:
    """Return a client of it."""
    values = {
        "address": fake.address,
        "mount": "secret",
        "role": "role",
        "secret": lambda: "secret-id-1",
        "seconds": 20,
    }
    return Vault(**{**values, **changed})


def test_vault_reads_a_field(fake: FakeVault) -> None:
    """One login for several reads; the version is Vault's own."""
    client = vault(fake)
    assert [client.read("team/db", "password") for _ in range(3)] == [(VALUE, 7)] * 3
    assert fake.logins == 1


def test_vault_logs_in_once_more_when_the_lease_ended(fake: FakeVault) -> None:
    """A token that is not valid any more is replaced once."""
    client = vault(fake)
    client.read("team/db", "password")
    fake.tokens.clear()
    assert client.read("team/db", "password") == (VALUE, 7)
    assert fake.logins == 2


@pytest.mark.parametrize(("mood", "kind", "says"), [
    ("sealed", UnavailableError, "is sealed or starting"), ("forbidden", RefusedError, "does not let role 'role' read"),
    ("slow", UnavailableError, "does not answer as it should"), ("nonsense", UnavailableError, "Vault at"),
    ("version 1", UnavailableError, "no KV version 2 answer"),
])  # fmt: skip
def test_a_vault_that_misbehaves(fake: FakeVault, mood: str, kind: type[OpsnbError], says: str) -> None:
    """Sealed, forbidden, slow, nonsense: an error that says which, in bounded time, without a value in it."""
    client = vault(fake, seconds=2 if mood == "slow" else 20)
    client.read("team/db", "password")
    fake.mood = mood
    started, asked = time.monotonic(), fake.asked
    with pytest.raises(kind, match=says) as caught:
        client.read("team/db", "password")
    assert time.monotonic() - started < 8
    assert fake.asked - asked <= 4
    assert caught.value.hint
    assert VALUE not in str(caught.value)
    assert "secret-id-1" not in str(caught.value)
    fake.go_on.set()
    fake.mood = ""
    assert client.read("team/db", "password") == (VALUE, 7)  # and it recovers


def test_what_vault_does_not_have(fake: FakeVault) -> None:
    """A missing secret, a missing field, a field that is no text, a wrong secret id, a server that is not there."""
    client = vault(fake)
    with pytest.raises(NotFoundError, match="no secret 'team/nope'"):
        client.read("team/nope", "password")
    for field in ("word", "port"):
        with pytest.raises(NotFoundError, match=f"no text field '{field}'") as caught:
            client.read("team/db", field)
        assert caught.value.hint == "it has: password, port"
    with pytest.raises(UnavailableError, match="does not answer as it should"):
        vault(fake, secret=lambda: "wrong").read("team/db", "password")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
        vault(fake, address="http://127.0.0.1:1").read("team/db", "password")


def test_the_environment_is_taken_out() -> None:
    """Variables with the prefix become secrets and are gone for whatever is started later; others stay."""
    environ = {"OPSNB_SECRET_DB": VALUE, "PATH": "/bin", "DB": "x"}
    taken = Environment.taken(environ)
    assert environ == {"PATH": "/bin", "DB": "x"}
    assert taken.read("DB") == VALUE
    with pytest.raises(NotFoundError, match="started without OPSNB_SECRET_PATH"):
        taken.read("PATH")


@pytest.mark.parametrize("text", [
    "", "env:", "env:A-B", "env:A\n", "vault:", "vault:a", "vault:a#", "vault:#b", "vault:../x#y", "vault:a//b#c", "file:/x",
    "http:x", "a b", "a" * 301, "vault:a\n#b",
])  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    """A reference names a source and a thing in it; a file is none, or front matter could read any."""
    with pytest.raises(UsageError):
        reference(text)


def test_files_for_credentials(tmp_path: Path) -> None:
    """A key's file is read; one of the workspace's own, also through a link, a large one or a binary one is refused."""
    state = tmp_path / ".opsnb"
    (state / "keys").mkdir(parents=True)
    (state / "keys/ledger.key").write_text(VALUE)
    (tmp_path / "key").write_text(VALUE)
    (tmp_path / "link").symlink_to(state / "keys/ledger.key")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    database = Database(state / "opsnb.db")
    sources = Sources(database, SecretStore(state), Environment({}), None, state)
    assert sources.read_file(str(tmp_path / "key")).value == VALUE
    for name, kind in (("link", RefusedError), ("large", UsageError), ("binary", UsageError), ("none", UsageError)):
        with pytest.raises(kind):
            sources.read_file(str(tmp_path / name))
    with pytest.raises(UsageError, match="the settings name no Vault"):
        sources.read("vault:a#b")
    database.close()


@pytest.mark.slow
def test_env_and_vault_reach_a_notebook(place: Place, fake: FakeVault) -> None:
    """A run is given both, neither stands in the kernel's environment, and the record is masked for both."""
    place.settings(vault_address=fake.address, vault_role_id="role", kernel="spawn")
    env = {"OPSNB_SECRET_WORD": "word-from-the-environment"}
    put = subprocess.run(
        [str(OPSNB), "secret", "set", "vault/secret-id", "--stdin"], cwd=place.root, input=b"secret-id-1", check=False
    )
    assert put.returncode == 0
    place.rest()
    place.add(
        "both", "import opsnb, os\nrun = opsnb.begin('SRC-001')\nprint([k for k in os.environ if 'SECRET' in k])\n"
        "a, b = (opsnb.secret(n).reveal() for n in ('env:WORD', 'vault:team/db#password'))\nprint(a, b, len(a), len(b))\nrun.finish()",
        front="id: SRC-001\ntitle: t\npromise: p\nrisk: read\nowner: me\nsecrets: ['env:WORD', 'vault:team/db#password']",
    )  # fmt: skip
    done = place.opsnb("run", "SRC-001", "--json", env=env)
    result = json.loads(done.stdout)
    assert result["verdict"] == "DONE", done.stderr
    said = json.dumps(place.executed(result), ensure_ascii=False)
    assert "«secret env:WORD» «secret vault:team/db#password» 25 21" in said
    assert "[]\\n" in said
    assert "OPSNB_SECRET_WORD" not in os.environ
