"""A real nginx in a folder of a test's own, on a loopback address, ended by its own pid."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

from places import wait_for

NGINX = "/usr/sbin/nginx"
HEAD = """pid nginx.pid; error_log logs/error.log {level};
events {{ worker_connections 256; }}
"""
PATHS = "".join(f"{name}_temp_path tmp/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Nginx:
    """One nginx: ``conf`` is its file; ``http`` goes into its http block."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "nginx.conf"
        for name in ("logs", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def write(self, http: str, *, main: str = "", level: str = "info") -> Path:
        """Write the file; relative paths lie in the folder."""
        text = f"{main}\n{HEAD.format(level=level)}http {{\n{PATHS}\n{http}\n}}\n"
        self.conf.write_text(text, encoding="utf-8")
        return self.conf

    def argv(self, *words: str) -> list[str]:
        """Return the command line."""
        return [NGINX, "-p", f"{self.folder}/", "-e", "logs/error.log", "-c", "nginx.conf", *words]

    def test(self) -> subprocess.CompletedProcess[str]:
        """Run ``nginx -t``."""
        return subprocess.run(self.argv("-t"), capture_output=True, text=True, check=False)

    @property
    def pid(self) -> int:
        """The master's number; 0 when none runs."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "nginx.pid").read_text())
        return 0

    def start(self) -> None:
        """Start it and wait until it has its number."""
        done = subprocess.run(self.argv(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        wait_for(lambda: self.pid > 0, 10)

    def reload(self) -> None:
        """Load the file anew."""
        os.kill(self.pid, signal.SIGHUP)

    def stop(self) -> None:
        """End it and wait until it has gone."""
        if pid := self.pid:
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{pid}").exists() or self.pid == 0, 20)
