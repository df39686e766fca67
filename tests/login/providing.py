"""A provider's process, and somebody who signs in there: for tests."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from login.slapd import answers
from places import wait_for
from ports import free_port

CLIENT = "opsnb-test"


class Provider:
    """The provider, started.

    Args:
        redirect: Where it sends people back to.
        tls: Files of its certificate and key; it speaks plain HTTP on this machine without them.
    """

    def __init__(self, redirect: str, tls: tuple[Path, Path] | None = None) -> None:
        self.port = free_port()
        self.issuer = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        argv = [str(self.port), self.issuer, CLIENT, redirect, *map(str, tls or ())]
        program = Path(__file__).with_name("provider.py")
        self.process = subprocess.Popen([sys.executable, "-W", "ignore", str(program), *argv])
        wait_for(lambda: answers(self.port), 30, self.process)  # type: ignore[arg-type]
        self.settings = {
            "issuer": self.issuer, "client_id": CLIENT, "redirect": redirect, "client_secret": "oidc/opsnb",
            "new": True, "answer": "2s",
        }  # fmt: skip

    def behave(self, **orders: Any) -> None:
        """Have it misbehave from now on; without orders, behave."""
        self._asked("/behave", json.dumps(orders).encode())

    def asked(self) -> dict[str, int]:
        """Return how often each of its paths was asked."""
        return dict(json.loads(self._asked("/asked")))

    def sign_in(self, where: str, user: str) -> dict[str, str]:
        """Sign in at the address that a browser was sent to; return what it is to bring back."""
        assert where.startswith(f"{self.issuer}/authorize?"), where
        back = self._asked(where.removeprefix(self.issuer), urlencode({"user": user}).encode())
        return {name: values[0] for name, values in parse_qs(urlsplit(back.decode()).query).items()}

    def _asked(self, path: str, data: bytes | None = None) -> bytes:
        """Return an answer's body, or where it leads."""
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(f"{self.issuer}{path}", data, timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    return str(error.headers["location"]).encode()
                raise

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(timeout=20)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow nothing."""

    def redirect_request(self, *_: Any) -> None:
        return None
