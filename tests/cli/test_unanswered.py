"""What a command says when what is at an address does not answer, or is something else than a control plane."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.base.errors import UnavailableError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.cli.main import main
from opsnb.client.connection import Client
from opsnb.client.logins import Login, current, file, keep, login_of, read_url
from sshd import free_port


class Other(threading.Thread):
    """A web server that is none of ours: it answers everything with ``says`` and closes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.says = b""

    def run(self) -> None:
        """Answer until it is closed."""
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.says)


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """Such a server, a home of one's own, and a token for the address."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made = Other()
    made.start()
    yield made
    made.listening.shutdown(socket.SHUT_RDWR)
    made.listening.close()
    made.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n<html>It works!</html>",
        b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.0 302 Found\r\nLocation: https://example.com/\r\n\r\n{}",
        b"HTTP/1.0 502 Bad Gateway\r\n\r\n<h1>Bad Gateway</h1>",
        b'HTTP/1.0 404 Not Found\r\n\r\n{"error": "not found"}',
        b'HTTP/1.0 400 Bad\r\n\r\n["error"]',
        b'HTTP/1.0 500 Bad\r\n\r\n"error"',
    ],
)
def test_another_web_server(other: Other, answer: bytes) -> None:
    """What is not a control plane's answer is said so, with the address, as unavailable; nothing is guessed from it."""
    other.says = answer
    with pytest.raises(UnavailableError) as caught:
        Client(Workspace(Path.cwd(), other.url), "x").get("/api/whoami")
    assert caught.value.message.startswith(f"{other.url} answers, and not as opsnb does: ")
    assert caught.value.hint


def test_an_event_that_breaks_off(other: Other) -> None:
    """A stream that ends in the middle of a line is a control plane that went away."""
    other.says = b'HTTP/1.0 200 OK\r\n\r\n{"kind": "state"}\n{"kind": "sta'
    events = Client(Workspace(Path.cwd(), other.url), "x").events("r")
    assert next(events) == {"kind": "state"}
    with pytest.raises(UnavailableError, match="went away"):
        next(events)


def test_no_password_is_asked_for_in_vain(other: Other, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody answers, `opsnb login` says so before anybody types a name or a password."""
    keep(Login(url=other.url, secret="kept", user="anna"))  # noqa: S106  (a test's)
    url = f"http://127.0.0.1:{free_port()}"
    Path("ca.pem").write_text("", encoding="ascii")
    with pytest.raises(SystemExit) as ended:
        main(["login", url, "--ca", "ca.pem"])
    said = capsys.readouterr().err
    assert ended.value.code == 7
    assert said.startswith(f"error: no control plane answers at {url}: Connection refused\n")
    assert "opsnb up --listen HOST:PORT" in said
    assert current() == other.url  # and commands go where they went


@pytest.mark.parametrize(("data", "said"), [(None, "cannot be read: No such file"), (b"none", "holds no certificate")])
def test_certificates_that_are_gone(other: Other, tmp_path: Path, data: bytes | None, said: str) -> None:
    """A file of certificates that was moved away, or holds none, is named; it is not taken for the network."""
    ca, url = tmp_path / "ca.pem", other.url.replace("http", "https")
    if data is not None:
        ca.write_bytes(data)
    keep(Login(url=url, secret="x", user="anna", ca=str(ca)))  # noqa: S106  (a test's)
    with pytest.raises(UsageError, match=said) as caught:
        Client(Workspace(Path.cwd(), url)).get("/api/whoami")
    assert str(ca) in caught.value.message


def test_http_where_https_was_named(other: Other) -> None:
    """An address without TLS behind https is told as that."""
    other.says = b"HTTP/1.0 400 Bad Request\r\n\r\n"
    url = other.url.replace("http", "https")
    with pytest.raises(UnavailableError, match="no TLS is spoken there") as caught:
        Client(Workspace(Path.cwd(), url), "x").get("/api/whoami")
    assert other.url in caught.value.hint


@pytest.mark.parametrize("text", ["[]", '{"logins": {"https://a:1": "x"}}', "{", '{"logins": []}'])
def test_a_broken_file_of_logins(other: Other, text: str) -> None:
    """A file of logins that holds none is named with what to do, whatever it holds instead."""
    file().parent.mkdir(parents=True)
    file().write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"logins\.json") as caught:
        login_of(other.url)
    assert caught.value.hint == "remove it and sign in again"


def test_a_login_of_another_version(other: Other) -> None:
    """What a later version keeps beside a token is passed over."""
    file().parent.mkdir(parents=True)
    one = {"url": other.url, "secret": "s", "user": "anna", "later": 1}
    file().write_text(json.dumps({"logins": {other.url: one}}), encoding="utf-8")
    assert login_of(other.url) == Login(url=other.url, secret="s", user="anna")  # noqa: S106  (a test's)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_no_port(port: int) -> None:
    """A number that is no port is refused as it is read."""
    with pytest.raises(UsageError, match=f"not {port}"):
        read_url(f"https://ops.example.com:{port}")
