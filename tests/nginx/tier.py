"""A web tier for tests on loopback: a real nginx in a folder of its own, and back ends that count what reaches them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nginx.tiers import Nginx
from places import wait_for
from ports import quiet_ports

BACKEND = Path(__file__).with_name("backend.py")
FORMAT = '$remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time $upstream_addr $upstream_status "$http_user_agent"'
SITE = """\
upstream shop {{
{options}{servers}}}

server {{
    listen {listen};
    location / {{ proxy_pass http://shop; }}
}}
"""


class Tier:
    """One nginx and its back ends.

    Attributes:
        folder: Where everything of it lies.
        conf: nginx's main file.
        site: The file with the upstream ``shop``.
        port: Where nginx listens on 127.0.0.1.
        backends: Name of each back end to its ``address:port``.
    """

    def __init__(self, folder: Path, names: tuple[str, ...] = ("a", "b", "c")) -> None:
        self.folder = folder
        log = f"{folder}/access.log tier"
        self.nginx = Nginx(folder, workers=2, access=log, formats=f"log_format tier '{FORMAT}';")
        self.conf = self.nginx.conf
        self.site = folder / "conf.d" / "shop.conf"
        self.port, *ports = quiet_ports(1 + len(names))
        self.backends = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def write(self, *lines: str, options: str = "    zone shop 64k;\n") -> str:
        """Write the site; the upstream's lines are the given ones, or one for each back end."""
        servers = lines or tuple(f"server {address};" for address in self.backends.values())
        listen = f"127.0.0.1:{self.port} backlog=1024"
        site = SITE.format(options=options, servers="".join(f"    {line}\n" for line in servers), listen=listen)
        self.site.write_text(site, encoding="utf-8")
        return site

    def start(self) -> None:
        """Start the back ends and nginx."""
        for name in self.backends:
            self.start_backend(name)
        self.nginx.start()
        wait_for(lambda: answers(f"127.0.0.1:{self.port}"), 30, self.nginx.process)

    def start_backend(self, name: str) -> None:
        """Start one back end."""
        argv = [sys.executable, str(BACKEND), name, self.backends[name], str(self.served(name))]
        self._processes[name] = subprocess.Popen(argv)
        wait_for(lambda: answers(self.backends[name]), 30, self._processes[name])

    def stop_backend(self, name: str) -> None:
        """End one back end."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)

    def release(self) -> None:
        """Have every back end answer what it holds."""
        for process in self._processes.values():
            process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End everything that was started."""
        for name in list(self._processes):
            self.stop_backend(name)
        self.nginx.stop()

    @property
    def master(self) -> int:
        """The process number of nginx's master."""
        return self.nginx.pid

    def workers(self) -> list[int]:
        """The process numbers of nginx's workers, old ones too."""
        return self.nginx.children()

    def reload(self) -> None:
        """Reload, and wait until new workers run."""
        old = set(self.workers())
        subprocess.run(["nginx", "-c", str(self.conf), "-s", "reload"], check=True, capture_output=True)
        wait_for(lambda: bool(set(self.workers()) - old), 20)

    def served(self, name: str) -> Path:
        """The file in which a back end writes down what it began to answer."""
        return self.folder / f"{name}.served"

    def counted(self) -> Counter[str]:
        """How often each request, ``METHOD NUMBER``, reached a back end."""
        counts: Counter[str] = Counter()
        for name in self.backends:
            with contextlib.suppress(FileNotFoundError):
                counts.update(self.served(name).read_text(encoding="ascii").split("\n")[:-1])
        return counts

    def twice(self) -> dict[str, int]:
        """The requests that reached a back end more than once."""
        return {request: times for request, times in self.counted().items() if times > 1}

    def forget(self) -> None:
        """Begin to count anew."""
        for name in self.backends:
            with contextlib.suppress(FileNotFoundError):
                self.served(name).write_bytes(b"")

    def get(self, path: str) -> str:
        """Ask nginx for a path; return the answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())


@contextmanager
def tier(folder: Path, *lines: str, names: tuple[str, ...] = ("a", "b", "c")) -> Iterator[Tier]:
    """A running tier, ended with the block whatever happens; ``{a}`` in a line is the address of back end a."""
    assert shutil.which("nginx"), "tests/install-system-packages installs nginx"
    made = Tier(folder, names)
    made.write(*(line.format(**made.backends) for line in lines))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def answers(address: str) -> bool:
    """Whether something listens."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        time.sleep(0.01)
        return False
    return True
