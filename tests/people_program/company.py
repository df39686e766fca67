"""A workspace that the real program serves on its socket and on TLS, and people with a home of their own each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import pty
import re
import select
import ssl
import struct
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from claims.firm import CELLS, FRONT, HOSTS, PARAMETERS
from opsnb.cli.workspace import make
from papers import certificate
from places import OPSNB, Place, notebook, wait_for
from ports import free_port

PASSWORD = "correct horse battery"  # noqa: S105  (a test's)
POLICIES = {
    "prod": {
        "environments": ["prod"], "protected": True, "grant": "1h",
        "break_glass": {"for": ["person:frank"], "notice": ["person:erin"], "at_most": "30m"},
    },
    "staging": {"environments": ["staging"], "approvals": 1, "by": ["person:bob"]},
}  # fmt: skip
MORE_HOSTS = HOSTS.replace("groups:", "  stage1: {transport: local, environment: staging}\ngroups:")
PEOPLE = {"bob": "approver", "carol": "approver", "dora": "engineer", "erin": "auditor", "frank": "oncall"}
LINK = re.compile(r"code=([\w-]+)")

Done = subprocess.CompletedProcess[str]


class Company:
    """The workspace, its server, its people."""

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, Place(root / "ws")
        make(self.place.root)
        settings = {"name": "company", "cell_timeout": "30s", "policies": POLICIES}
        (self.place.root / "opsnb.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        (self.place.root / "inventory.yaml").write_text(MORE_HOSTS, encoding="utf-8")
        runbook = self.place.root / "runbooks" / "TST-100.ipynb"
        runbook.write_bytes(notebook(*CELLS, front=FRONT, parameters=PARAMETERS))
        self.folder = self.place.root / "marks"
        self.folder.mkdir()
        self.port, (self.cert, self.key) = free_port(), certificate(root)
        self.url = f"https://127.0.0.1:{self.port}"
        self.terminal = self.start()

    def start(self) -> str:
        """Start `opsnb up` on a terminal; return what it printed there until it served."""
        mine, its = pty.openpty()
        argv = ["up", "--listen", f"127.0.0.1:{self.port}", "--tls-cert", str(self.cert), "--tls-key", str(self.key)]
        process = subprocess.Popen(
            [str(OPSNB), *argv], cwd=self.place.root, stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.close(its)
        self.place.servers.append(process)
        shown = b""

        def serves() -> bool:
            nonlocal shown
            while select.select([mine], [], [], 0)[0]:
                shown += os.read(mine, 65536)
            return self.place.serving()

        wait_for(serves, 60, process)
        wait_for(lambda: serves() and b"Ctrl-C" in shown, 30, process)
        return shown.decode()

    def browse(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form as a browser does."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=ssl.create_default_context(cafile=str(self.cert)), timeout=30
        )
        kind = {"content-type": "application/x-www-form-urlencoded", "origin": self.url}
        connection.request("POST", path, urlencode(fields), kind)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def as_(self, who: str, *argv: str, given: str = "", **env: str) -> Done:
        """Run the real program as somebody elsewhere: another folder, another home."""
        home = self.root / "homes" / who
        home.mkdir(parents=True, exist_ok=True)
        mine = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "LC_ALL": "C.UTF-8", **env}
        return subprocess.run(
            [str(OPSNB), *argv], cwd=home, env={**os.environ, **mine}, input=given, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip

    def json(self, who: str, *argv: str, code: int = 0, given: str = "") -> Any:
        """Return the one document that the program prints on stdout for somebody."""
        done = self.as_(who, *argv, "--json", given=given)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    def login(self, who: str, *argv: str) -> Done:
        """Sign somebody in."""
        words = ("login", self.url, "--user", who, "--password-stdin", "--ca", str(self.cert), *argv)
        return self.as_(who, *words, given=f"{PASSWORD}\n")

    def request(self, *argv: str, who: str = "dora") -> str:
        """Have somebody ask for marks on hosts; return the request."""
        words = ("request", "TST-100", "-p", f"directory={self.folder}", "--reason", "because", *argv)
        return str(self.json(who, *words)["request"])

    def join(self, who: str) -> None:
        """Have the administrator let somebody in, who then sets their password with the code that it prints."""
        code = self.owner("user", "password", who).stdout.strip()
        assert self.browse("/enter", code=code, password=PASSWORD)[0] == 200

    def owner(self, *argv: str) -> Done:
        """Run the program as the workspace's owner, over its socket."""
        done = self.place.opsnb(*argv)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done

    def marks(self) -> list[str]:
        """Return the hosts that were marked; none is afterwards."""
        found = sorted(self.folder.iterdir())
        for path in found:
            path.unlink()
        return [path.name for path in found]


def code_of(key: str, ahead: int = 0) -> str:
    """Return an authenticator's code (RFC 6238), now or some steps ahead."""
    step = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.new(base64.b32decode(key), step, hashlib.sha1).digest()
    return f"{(struct.unpack('>I', digest[digest[-1] & 15 :][:4])[0] & 0x7FFFFFFF) % 10**6:06d}"
