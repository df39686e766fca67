"""`opsnb up --listen` on a real socket: who may listen where, what a request may be, and the command line from elsewhere."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.cli.workspace import make
from papers import certificate
from places import OPSNB, Place, wait_for
from ports import free_port

PASSWORD = "correct horse battery"  # noqa: S105  (a test's)


class Served:
    """A workspace on TLS at loopback, and somebody elsewhere: another folder, another home."""

    def __init__(self, root: Path) -> None:
        self.place = Place(root / "ws")
        make(self.place.root)
        self.place.settings()
        self.port, (self.cert, key) = free_port(), certificate(root)
        self.home = root / "home"
        self.home.mkdir()
        argv = ["up", "--listen", f"127.0.0.1:{self.port}", "--tls-cert", str(self.cert), "--tls-key", str(key)]
        log = (root / "up.log").open("wb")
        process = subprocess.Popen([str(OPSNB), *argv], cwd=self.place.root, stdout=log, stderr=log)
        log.close()
        self.place.servers.append(process)
        wait_for(self.place.serving, 60, process)
        self.log = root / "up.log"
        self.url = f"https://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send one request over TLS."""
        context = ssl.create_default_context(cafile=str(self.cert))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def elsewhere(self, *argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the program as somebody elsewhere."""
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.home)}
        return subprocess.run(
            [str(OPSNB), *argv], cwd=self.home, env=env, input=given, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip

    @property
    def owner(self) -> dict[str, str]:
        """The header of the workspace's owner."""
        return {"authorization": f"Bearer {self.place.workspace.token.read_text(encoding='ascii').strip()}"}


class Silent(threading.Thread):
    """Somebody who never sends a whole head, from the first test on; ``seconds`` until they are hung up on."""

    def __init__(self, served: Served) -> None:
        super().__init__(daemon=True)
        self.served = served
        self.sent = threading.Event()
        self.got, self.seconds = b"nothing yet", 0.0

    def run(self) -> None:
        """Send the half of a head, and wait."""
        context = ssl.create_default_context(cafile=str(self.served.cert))
        begun = time.monotonic()
        with (
            socket.create_connection(("127.0.0.1", self.served.port), 60) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as slow,
        ):
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            self.sent.set()
            slow.settimeout(40)
            self.got = slow.recv(100)
        self.seconds = time.monotonic() - begun


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served workspace."""
    made = Served(tmp_path_factory.mktemp("tcp"))
    yield made
    made.place.close()


@pytest.fixture(scope="module", autouse=True)
def silent(served: Served) -> Silent:
    """Somebody who says nothing while the others are served."""
    made = Silent(served)
    made.start()
    assert made.sent.wait(60)
    return made


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:8443"), "in the clear"),
        (("--listen", "192.0.2.1:8443"), "in the clear"),
        (("--listen", "[::]:8443"), "in the clear"),
        (("--listen", "ops.example.com:8443"), "no IP address"),
        (("--listen", "8443"), "wanted HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "wanted HOST:PORT"),
        (("--listen", "127.0.0.1:1", "--tls-cert", "cert.pem"), "go together"),
        (("--listen", "0.0.0.0:8443", "--tls-cert", "no.pem", "--tls-key", "no.pem"), "No such file"),
    ],
)
def test_where_nobody_may_listen(place: Place, options: tuple[str, ...], said: str) -> None:
    """Off loopback only with TLS, and only at an address, with files that are a certificate and its key."""
    done = place.opsnb("up", *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_workspace_that_is_served_already(served: Served) -> None:
    """A second `opsnb up` says that and nothing else: not that it serves, and in the house's form, with --json too."""
    done = served.place.opsnb("up", "--listen", "127.0.0.1:0")
    said = f"error: another process owns this workspace ({served.place.workspace.lock} is locked)\n"
    assert (done.returncode, done.stderr[: len(said)], done.stdout) == (7, said, "")
    assert "serving" not in done.stderr
    done = served.place.opsnb("up", "--json")
    assert json.loads(done.stdout)["error"]["exit"] == done.returncode == 7


def test_the_first_start_says_how_to_come_in(served: Served) -> None:
    """The first start prints a link on the terminal and not into the log; it sets one password, once."""
    text = served.log.read_text(encoding="utf-8")
    link = next(word for word in text.split() if "/enter?code=" in word)
    assert link.startswith(served.url)
    assert "code=" not in served.place.workspace.log.read_text(encoding="utf-8")
    path, code = link.removeprefix(served.url), link.partition("code=")[2]
    status, headers, page = served.ask("GET", path)
    assert (status, code in page.decode()) == (200, True)
    assert headers["referrer-policy"] == "same-origin"  # else a browser's form would not say where it comes from
    form = {"content-type": "application/x-www-form-urlencoded"}
    sent = f"code={code}&password={PASSWORD.replace(' ', '+')}"
    context = ssl.create_default_context(cafile=str(served.cert))
    statuses = []
    for _ in range(2):
        connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context, timeout=30)
        connection.request("POST", "/enter", sent, form)
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [200, 401]


def test_a_session_from_a_browser(served: Served) -> None:
    """Sign-in sets a cookie that no script reads; without this site's Origin or our header it changes nothing."""
    name = served.place.json("whoami")["user"]
    status, headers, _ = served.ask("POST", "/api/session", {"name": name, "password": PASSWORD})
    assert status == 201
    cookie = headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    held = {"cookie": cookie.partition(";")[0]}
    assert served.ask("GET", "/api/whoami", **held)[0] == 200
    for origin in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{served.port}"},
    ):
        assert served.ask("POST", "/api/codes", **held, **origin)[0] == 403, origin
    assert served.ask("POST", "/api/session/end", **held, origin=served.url)[0] == 200
    assert served.ask("GET", "/api/whoami", **held)[0] == 401


def test_the_command_line_from_elsewhere(served: Served) -> None:
    """`opsnb login URL` keeps a token at 0600; commands go there; `logout` has it revoked there and forgets it."""
    name = served.place.json("whoami")["user"]
    argv = ("login", served.url, "--user", name, "--password-stdin", "--ca", str(served.cert), "--json")
    done = served.elsewhere(*argv, given=PASSWORD + "\n")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = served.home / "opsnb" / "logins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    secret = json.loads(kept.read_text(encoding="utf-8"))["logins"][served.url]["secret"]
    assert json.loads(served.elsewhere("whoami", "--json").stdout)["via"] == "token"
    assert [row["name"] for row in json.loads(served.elsewhere("user", "list", "--json").stdout)["users"]] == [name]
    ran = served.elsewhere("run", "HST-001", "--json")
    assert ran.returncode in {0, 1}, ran.stderr
    assert json.loads(ran.stdout)["runbook"] == "HST-001"
    assert served.elsewhere("logout").returncode == 0
    assert served.ask("GET", "/api/whoami", authorization=f"Bearer {secret}")[0] == 401
    assert secret not in kept.read_text(encoding="utf-8")
    assert served.elsewhere("runs", "list").returncode == 2


def test_the_first_password_from_elsewhere(served: Served) -> None:
    """`opsnb login URL --first` takes a one-time code and a new password and signs in; the code is good once."""
    name = served.place.json("whoami")["user"]
    link = served.place.client.post(f"/api/users/{name}/link")
    argv = ("login", served.url, "--first", "--password-stdin", "--ca", str(served.cert))
    done = served.elsewhere(*argv, given=f"{link['code']}\n{PASSWORD}\n")
    assert (done.returncode, f"as {name} until" in done.stdout) == (0, True), done.stderr
    assert link["code"] not in done.stdout + done.stderr
    again = served.elsewhere(*argv, given=f"{link['code']}\n{PASSWORD}\n")
    assert (again.returncode, "it was used" in again.stderr) == (3, True)
    assert served.elsewhere("whoami").returncode == 0  # whoever was signed in still is
    both = served.elsewhere(*argv, "--user", name)
    assert (both.returncode, "the one-time code says whose" in both.stderr) == (2, True)
    assert served.elsewhere("logout").returncode == 0


def test_password_and_authenticator_from_elsewhere(served: Served) -> None:
    """One's own password and authenticator are set from elsewhere too, by one's password and code and by no token alone."""
    name = served.place.json("whoami")["user"]
    link = served.place.client.post(f"/api/users/{name}/link")["code"]
    argv = ("login", served.url, "--first", "--password-stdin", "--ca", str(served.cert))
    assert served.elsewhere(*argv, given=f"{link}\n{PASSWORD}\n").returncode == 0
    done = served.elsewhere("user", "password", "--stdin", given=f"wrong\n{PASSWORD} 2\n")
    assert (done.returncode, "is wrong" in done.stderr, "--code" in done.stderr) == (3, True, True)
    done = served.elsewhere("user", "password", "--stdin", given=f"{PASSWORD}\n{PASSWORD} 2\n")
    assert (done.returncode, done.stdout) == (0, f"the password of {name} is set\n"), done.stderr
    done = served.elsewhere("user", "password", "--stdin", given=f"{PASSWORD} 2\n{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    kept = json.loads((served.home / "opsnb" / "logins.json").read_text(encoding="utf-8"))["logins"][served.url]
    held = {"authorization": f"Bearer {kept['secret']}"}
    assert served.ask("POST", "/api/codes", **held)[0] == 403
    sessions = [row for row in served.place.json("user", "token", "list")["tokens"] if row["kind"] == "session"]
    assert [row["id"] for row in sessions if row["user"] == name] == []  # what was signed in for that alone has ended
    assert served.elsewhere("logout").returncode == 0


def test_the_first_password_on_the_machine(served: Served) -> None:
    """`opsnb user password --code` takes a one-time code and a password where the workspace is; a wrong code is none."""
    name = served.place.json("whoami")["user"]
    link = served.place.client.post(f"/api/users/{name}/link")["code"]
    for given, said in ((link, f"the password of {name} is set"), (link, "it was used")):
        done = subprocess.run(
            [str(OPSNB), "user", "password", "--code", "--stdin"], cwd=served.place.root, input=f"{given}\n{PASSWORD}\n",
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert said in done.stdout + done.stderr


def test_a_certificate_of_somebody_else(served: Served) -> None:
    """Without the certificate to trust, and over plain HTTP elsewhere, no password is sent."""
    done = served.elsewhere("login", served.url, "--user", "x", "--password-stdin", given=PASSWORD)
    assert done.returncode == 7
    assert "certificate" in done.stderr.lower()
    done = served.elsewhere("login", "http://192.0.2.1:80", "--user", "x", "--password-stdin", given=PASSWORD)
    assert (done.returncode, "in the clear" in done.stderr) == (2, True)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_names_of_others(served: Served, host: str) -> None:
    """A Host header that is not this machine's gets nothing, not even health (DNS rebinding)."""
    assert served.ask("GET", "/healthz", host=host)[0] in {400, 403}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8443", "192.0.2.7"])
def test_names_of_ours(served: Served, host: str) -> None:
    """An address, and localhost, are this machine's."""
    status, headers, _ = served.ask("GET", "/healthz", host=host)
    assert status == 200
    assert headers["strict-transport-security"]
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_figures(served: Served) -> None:
    """/metrics is Prometheus' text: every state and verdict, the queue, the ledger's size, the workers."""
    _, headers, data = served.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    rows = dict(line.rsplit(" ", 1) for line in data.decode().splitlines() if not line.startswith("#"))
    assert int(rows["opsnb_ledger_entries"]) > 0
    assert int(rows["opsnb_workers"]) > 0
    assert {'opsnb_runs{state="queued"}', 'opsnb_runs_ended_total{verdict="LOST"}', "opsnb_queue_length"} <= set(rows)


def test_a_body_that_is_too_large(served: Served) -> None:
    """Too many bytes are refused by what they say and by what comes, and a head has a bound too."""
    status, _, data = served.ask("POST", "/api/users", {"name": "x" * 2_000_000}, **served.owner)
    assert (status, json.loads(data)["error"]["type"]) == (413, "TooLargeError")
    context = ssl.create_default_context(cafile=str(served.cert))
    connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context, timeout=30)
    pieces = (b'"' + b"x" * 65536 for _ in range(32))
    connection.request(
        "POST", "/api/users", pieces, {**served.owner, "transfer-encoding": "chunked"}, encode_chunked=True
    )
    assert connection.getresponse().status == 413
    connection.close()
    assert served.ask("GET", "/healthz", filler="x" * 60_000)[0] in {431, 400}


def test_who_says_nothing_is_hung_up_on(served: Served, silent: Silent) -> None:
    """A connection that never sends its head is closed, and others are served meanwhile."""
    assert served.ask("GET", "/healthz")[0] == 200
    silent.join(60)
    assert silent.got == b""
    assert 0 < silent.seconds < 30


def test_a_workspace_without_a_provider(served: Served) -> None:
    """Where the settings name no provider, a terminal is told before anybody opens a browser."""
    done = served.elsewhere("login", served.url, "--sso", "--ca", str(served.cert))
    assert (done.returncode, "signs in with no provider" in done.stderr) == (2, True)
