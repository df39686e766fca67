"""A real dockerd in a folder of its own, and containers in it: for tests. Needs root; pulls nothing."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

DOCKERD, BUSYBOX = "/usr/sbin/dockerd", "/bin/busybox"
NETWORK, GATEWAY = "10.203.0.0/24", "10.203.0.1/24"
PROGRAMS = (
    "sh", "cat", "echo", "printf", "env", "head", "tail", "dd", "stat", "readlink", "rm", "mv", "chmod", "chown", "sync",
    "sha256sum", "sleep", "kill", "id", "true", "false", "mkdir", "ls", "df", "mount", "seq", "test", "ln", "ps", "touch",
)  # fmt: skip


class Dockerd:
    """One engine and an image ``opsnb-busybox`` that it built.

    Args:
        root: Its folder; the path must be short, its socket lies there.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, f"unix://{root}/d.sock"
        self._route(add=True)
        argv = [
            DOCKERD, "-H", self.url, "--data-root", f"{root}/root", "--exec-root", f"{root}/exec",
            "--pidfile", f"{root}/pid", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
            "--ip-masq=false", "--bip", GATEWAY,
        ]  # fmt: skip
        with (root / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.client = self._connected()
            self._image()
        except BaseException:
            self.stop()
            raise

    def container(self, name: str, **options: Any) -> dict[str, Any]:
        """Start a container that does nothing; return the sealed row of a host that it is."""
        self.client.containers.run(
            "opsnb-busybox", ["sleep", "100000"], name=name, detach=True, network_mode="none", **options
        )
        return {"name": name, "transport": "container", "container": name, "engine": self.url}

    def stop(self) -> None:
        """End the engine and what runs in it; nothing is left behind."""
        client = getattr(self, "client", None)
        if client:
            for found in client.containers.list(all=True):
                found.remove(force=True)
            client.close()
        self.process.terminate()
        self.process.wait(30)
        namespace = self.root / "exec/netns/default"
        if namespace.exists():
            subprocess.run(["umount", str(namespace)], check=False)
        subprocess.run(["ip", "link", "delete", "docker0"], check=False, stderr=subprocess.DEVNULL)
        self._route(add=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def _route(self, *, add: bool) -> None:
        how = "replace" if add else "delete"
        argv = ["ip", "route", how, "unreachable", NETWORK, "metric", "5000"]
        subprocess.run(argv, check=add, stderr=subprocess.DEVNULL)

    def _connected(self) -> Any:
        from docker import DockerClient

        end = time.monotonic() + 30
        while not self._listens():  # the library leaves the sockets of its failed attempts open
            assert self.process.poll() is None, (self.root / "log").read_text(encoding="utf-8")
            assert time.monotonic() < end, "dockerd does not answer"
            time.sleep(0.05)
        return DockerClient(base_url=self.url, version="auto", timeout=60)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asked:
            try:
                asked.connect(str(self.root / "d.sock"))
            except OSError:
                return False
        return True

    def _image(self) -> None:
        """Import an image with one static busybox under the names of its programs."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("bin", "tmp", "etc"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(folder)
            tar.add(os.path.realpath(BUSYBOX), "bin/busybox")
            for name in PROGRAMS:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for path, text in (
                ("etc/passwd", "root:x:0:0::/:/bin/sh\nops:x:1000:1000::/tmp:/bin/sh\n"),
                ("etc/group", "root:x:0:\nops:x:1000:\n"),
            ):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text), 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))
        self.client.api.import_image_from_data(archive.getvalue(), repository="opsnb-busybox", tag="latest")
