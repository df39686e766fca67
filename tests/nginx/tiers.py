"""An nginx of a test's own, on loopback, in a temporary directory: a balancer or the back ends behind one."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from places import wait_for

NGINX = "/usr/sbin/nginx"
MAIN = """\
worker_processes {workers};
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections 1024; }}
http {{
    {formats}
    access_log {access};
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    include {root}/conf.d/*.conf;
}}
"""
NODE = """\
server {{
    listen 127.0.0.1:{port};
    location / {{ add_header X-Node node{number}; return 200 "node{number}\\n"; }}
}}
"""


class Nginx:
    """One nginx with its files; it listens on nothing by itself.

    Args:
        root: Its folder, made when it is not there.
        workers: How many.
        access: What its access_log says.
        formats: Log formats, as directives.
    """

    def __init__(self, root: Path, *, workers: int = 1, access: str = "off", formats: str = "") -> None:
        root.mkdir(mode=0o755, exist_ok=True)
        self.root, self.conf = root, root / "nginx.conf"
        (root / "conf.d").mkdir()
        self.conf.write_text(MAIN.format(root=root, workers=workers, access=access, formats=formats))
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, name: str, text: str) -> Path:
        """Write a file of conf.d."""
        path = self.root / "conf.d" / name
        path.write_text(text)
        return path

    def start(self) -> Nginx:
        """Start it, and wait for its workers, until what is written from now on is clearly later than they are."""
        argv = [NGINX, "-p", str(self.root), "-c", str(self.conf), "-e", str(self.root / "error.log")]
        self.process = subprocess.Popen(
            [*argv, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: bool(self.workers()), 20, self.process)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 0.1, 5)
        return self

    @property
    def pid(self) -> int:
        """The master's."""
        assert self.process is not None
        return self.process.pid

    def children(self) -> list[int]:
        """Its workers, those too that only finish what they began."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def workers(self) -> list[int]:
        """The workers that accept connections."""
        titles = {pid: title(pid) for pid in self.children()}
        return sorted(pid for pid, name in titles.items() if "worker process" in name and "shutting" not in name)

    def files(self) -> dict[str, tuple[bytes, int, int, int, int]]:
        """Each configuration file: bytes, mode, owner, group, time of change."""
        paths = [self.conf, *sorted(self.root.glob("conf.d/*")), *sorted(self.root.glob("conf.d/.*"))]
        stats = {path: path.stat() for path in paths}
        return {
            str(path): (path.read_bytes(), info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns)
            for path, info in stats.items()
        }

    def stop(self) -> None:
        """End it, by its own process."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)


def title(pid: int) -> str:
    """Return what a process calls itself; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def nodes(root: Path, ports: Sequence[int]) -> Nginx:
    """Start back ends: each answers with ``X-Node: nodeN`` and the same as its body."""
    made = Nginx(root)
    for number, port in enumerate(ports, 1):
        made.add(f"node{number}.conf", NODE.format(port=port, number=number))
    return made.start()


def fetch(port: int, path: str = "/", host: str = "") -> str:
    """Return the body of an answer, on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as line:
        line.request("GET", path, headers={"Host": host, "Connection": "close"} if host else {"Connection": "close"})
        return line.getresponse().read().decode()
