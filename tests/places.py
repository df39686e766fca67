"""A workspace in a temporary directory, notebooks to put into it, and a control plane to run them: for tests."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opsnb.base.errors import OpsnbError
from opsnb.base.workspace import Workspace
from opsnb.client.connection import Client

ROOT = Path(__file__).resolve().parent.parent
OPSNB = Path(sys.executable).with_name("opsnb")


def notebook(*cells: str, front: str = "", parameters: str = "", tags: dict[int, list[str]] | None = None) -> bytes:
    """Return a notebook of code cells, with front matter and a parameters cell when they are given."""
    rows: list[dict[str, Any]] = []
    if front:
        rows.append({"cell_type": "raw", "id": "front", "metadata": {}, "source": f"---\n{front.strip()}\n---"})
    if parameters:
        rows.append(_code("parameters", parameters, ["parameters"]))
    for number, source in enumerate(cells):
        rows.append(_code(f"c{number}", source, (tags or {}).get(number, [])))
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    return json.dumps({"cells": rows, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _code(name: str, source: str, tags: list[str]) -> dict[str, Any]:
    metadata = {"tags": tags} if tags else {}
    return {
        "cell_type": "code", "id": name, "metadata": metadata, "source": source, "outputs": [], "execution_count": None,
    }  # fmt: skip


class Place:
    """A workspace, the program to use it with, and what it left behind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace(root)
        self.servers: list[subprocess.Popen[bytes]] = []

    @property
    def client(self) -> Client:
        """The API's client."""
        return Client(self.workspace)

    def add(self, name: str, *cells: str, **options: Any) -> Path:
        """Put a notebook into runbooks/."""
        path = self.root / "runbooks" / f"{name}.ipynb"
        path.write_bytes(notebook(*cells, **options))
        return path

    def settings(self, **values: Any) -> None:
        """Write opsnb.yaml."""
        rows = "\n".join(f"{k}: {json.dumps(v)}" for k, v in {"name": "test", **values}.items())
        (self.root / "opsnb.yaml").write_text(rows + "\n", encoding="utf-8")

    def opsnb(
        self, *argv: str, env: dict[str, str] | None = None, timeout: float = 120, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the real program in the workspace, or elsewhere."""
        return subprocess.run(
            [str(OPSNB), *argv], cwd=cwd or self.root, env={**os.environ, **(env or {})}, timeout=timeout,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def json(self, *argv: str) -> Any:
        """Run the real program with --json and return its document."""
        done = self.opsnb(*argv, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def up(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `opsnb up` and wait until it serves."""
        with (self.root / "up.log").open("ab") as log:
            process = subprocess.Popen(
                [str(OPSNB), "up", *options], cwd=self.root, stdout=log, stderr=log, start_new_session=True
            )
        self.servers.append(process)
        wait_for(self.serving, 60, process)
        return process

    def serving(self) -> bool:
        """Whether a control plane answers."""
        from opsnb.client.control import answers

        return self.workspace.token.exists() and answers(self.client)

    def submit(self, runbook: str, **body: Any) -> str:
        """Submit a run through the API; return its id."""
        return str(self.client.post("/api/runs", {"runbook": runbook, **body})["run"])

    def end(self, run: str) -> dict[str, Any]:
        """Wait for a run's end; return its result."""
        for event in self.client.events(run):
            if event["ev"] == "end":
                return dict(event["result"])
        raise AssertionError(f"{run} has no end")

    def wait_cell(self, run: str, text: str) -> None:
        """Wait until a run has printed ``text``."""
        seen = ""
        for event in self.client.events(run):
            seen += event.get("text", "")
            if text in seen:
                return
        raise AssertionError(f"{run} never printed {text!r}; it printed {seen!r}")

    def record(self, result: dict[str, Any]) -> Path:
        """Return the folder of a run's record."""
        return (self.root / result["record"]).parent

    def executed(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a run's executed notebook."""
        return dict(json.loads((self.record(result) / "run.ipynb").read_bytes()))

    def states(self, result: dict[str, Any]) -> list[str]:
        """Return the states of a run's code cells."""
        return [c["state"] for c in result["cells"] if c["state"] != "text"]

    def kinds(self, run: str) -> list[str]:
        """Return the kinds of the ledger's entries about a run and its request."""
        lines = (self.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        request = next(e["request"] for e in entries if e.get("run") == run and "request" in e)
        return [e["kind"] for e in entries if e.get("run") == run or (e.get("request") == request and "run" not in e)]

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Verify outputs/ as an auditor would."""
        script = self.root / "outputs/ledger/verify.py"
        argv = [sys.executable, "-I", str(script), str(self.root / "outputs")]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def rest(self) -> None:
        """End the control plane that was started for a command; by itself it would wait some seconds for the next."""
        folder = os.open(self.workspace.socket.parent, os.O_PATH | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as there, contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            there.connect(f"/proc/self/fd/{folder}/{self.workspace.socket.name}")  # however long the path is
            pid, _, _ = struct.unpack("3i", there.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            end_of(pid)
        os.close(folder)
        assert not self.workspace.socket.exists()

    def close(self) -> None:
        """End every control plane that was started here; one that lasts as long as its runs ends with them."""
        if self.workspace.socket.exists():
            with contextlib.suppress(OpsnbError):
                for row in self.client.get("/api/runs")["runs"]:
                    if row["state"] != "ended":
                        self.client.post(f"/api/runs/{row['run']}/stop")
        for process in self.servers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def end_of(pid: int) -> None:
    """Have a process end, and wait until it has: its last words are written then, and its files closed."""
    with contextlib.suppress(ProcessLookupError):
        held = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(held, signal.SIGTERM)
            assert select.select([held], [], [], 60)[0], f"process {pid} has not ended"
        finally:
            os.close(held)


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below a folder with its bytes, in order; what goes while somebody writes there is passed over."""
    found = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    for path in sorted(found):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                yield path, path.read_bytes()


def unhurried(seconds: float) -> float:
    """Return a time in which something must have begun: these seconds, and more on a machine that has much to do."""
    return seconds * max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1)))


def wait_for(condition: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: If it does not within ``seconds``, or the process ends before.
    """
    end = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None and not condition():  # it may have come with its end
            raise AssertionError(f"the process ended with {process.returncode}")
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def text_of(cell: dict[str, Any]) -> str:
    """Return the text that a cell printed."""
    return "".join("".join(o.get("text", "")) for o in cell.get("outputs", []))
