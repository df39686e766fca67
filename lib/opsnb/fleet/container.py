"""A container as a transport: programs run there through the engine's exec interface, started by its ``/bin/sh``."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from opsnb.fleet.boot import KILL, Unveil, boot
from opsnb.fleet.transport import OnOutput
from opsnb.fleet.values import Command, Result, Status

STREAMS = {1: "stdout", 2: "stderr"}  # of the engine's multiplexed answer: 8 bytes of header, then the piece
HEADER = struct.Struct(">BxxxL")
SEND = 65536  # bytes given to the engine at a time
END_SECONDS = 5.0  # for ending a program whose time is over


class ContainerTransport:
    """Runs programs in a container.

    Args:
        row: The host's sealed row: ``container`` and ``engine`` (``unix:///...``).
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.host = str(row["name"])
        self._container = str(row.get("container") or row["name"])
        self._engine = str(row.get("engine") or "unix:///var/run/docker.sock")
        self._user = str(row.get("user", ""))
        self._lock = threading.Lock()
        self._client: Any = None

    def run(self, command: Command, on_output: OnOutput | None = None) -> Result:
        """Run one command and wait for its end; never raises for what happens to the container."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        asked = time.monotonic()
        start = boot(command, sudo=False)  # words go over stdin: the engine's JSON holds no bytes that are not UTF-8
        work = _Work(start.nonce, command.most, on_output)
        end = asked + command.seconds
        try:
            api = self._api().api
            begun = self._create(api, start.argv, command)
            answer = api.exec_start(begun, socket=True)
        except (DockerException, RequestException, OSError) as error:
            return self._answer(asked, Status.UNREACHABLE, _plainly(error, self._container))
        try:
            with _socket_of(answer) as sock:
                whole = work.converse(sock, start.head + command.stdin, end)
            code = api.exec_inspect(begun)["ExitCode"] if whole else None
        except (DockerException, RequestException, OSError) as error:
            return self._answer(asked, Status.UNKNOWN, f"the engine was lost while it ran: {error}", work)
        if work.over:
            self._end(api, work.process, command)
        return self._judged(asked, command, work, code)

    def close(self) -> None:
        """Give the connection to the engine up."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _api(self) -> Any:
        from docker import DockerClient

        with self._lock:
            if self._client is None:
                self._client = DockerClient(base_url=self._engine, version="auto", timeout=30)
            return self._client

    def _create(self, api: Any, argv: tuple[str, ...], command: Command) -> Any:
        user = "root" if command.sudo else self._user
        made = api.exec_create(self._container, list(argv), stdin=True, user=user)
        return made["Id"]

    def _end(self, api: Any, process: str, command: Command) -> None:
        """End a program whose time is over; what cannot be ended stays: the answer says unknown."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        if not process:
            return
        kill = Command(argv=("/bin/sh", "-c", KILL, "opsnb", process), seconds=END_SECONDS, sudo=command.sudo)
        with contextlib.suppress(DockerException, RequestException, OSError):
            api.exec_start(self._create(api, kill.argv, kill))

    def _judged(self, asked: float, command: Command, work: _Work, code: int | None) -> Result:
        if work.over:
            return self._answer(asked, Status.UNKNOWN, f"it took longer than {command.seconds:g} s and was ended", work)
        if code is None:
            return self._answer(asked, Status.UNKNOWN, "the container was lost while it ran; look on its host", work)
        if not work.started:
            said = (work.noise.decode("utf-8", "replace").strip().splitlines() or [f"exit {code}"])[-1]
            return self._answer(asked, Status.UNREACHABLE, f"the container has no /bin/sh to start it with: {said}")
        cut = f"{work.cut} bytes of output were cut" if work.cut else ""
        return self._answer(asked, Status.OK if code == 0 else Status.FAILED, cut, work, code)

    def _answer(
        self, asked: float, status: Status, error: str, work: _Work | None = None, code: int | None = None
    ) -> Result:
        kept = work.kept if work else {"stdout": bytearray(), "stderr": bytearray()}
        return Result(
            host=self.host, status=status, exit=code, stdout=bytes(kept["stdout"]), stderr=bytes(kept["stderr"]),
            seconds=time.monotonic() - asked, error=error,
        )  # fmt: skip


class _Work:
    """One exec's socket: fed, drained, taken apart into streams."""

    def __init__(self, nonce: str, most: int, on_output: OnOutput | None) -> None:
        self.kept = {"stdout": bytearray(), "stderr": bytearray()}
        self.cut, self.over = 0, False
        self._most, self._on_output = most, on_output
        self._unveil = {"stdout": Unveil(nonce), "stderr": Unveil(nonce)}
        self._buffer = bytearray()

    @property
    def started(self) -> bool:
        """Whether its mark was seen."""
        return any(stream.started for stream in self._unveil.values())

    @property
    def process(self) -> str:
        """Its process id in the container, when it is known."""
        return self._unveil["stderr"].rest_of_mark

    @property
    def noise(self) -> bytes:
        """What came instead of the program."""
        return self._unveil["stdout"].noise + self._unveil["stderr"].noise

    def converse(self, sock: socket.socket, stdin: bytes, end: float) -> bool:
        """Feed and drain; return whether the end was seen."""
        feeder = threading.Thread(target=_feed, args=(sock, stdin), daemon=True)
        sock.settimeout(None)
        feeder.start()
        try:
            return self._drain(sock, end)
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            feeder.join(END_SECONDS)

    def _drain(self, sock: socket.socket, end: float) -> bool:
        import select

        while True:
            left = end - time.monotonic()
            if left <= 0:
                self.over = True
                return False
            if not select.select([sock], [], [], left)[0]:
                continue
            data = sock.recv(SEND)
            if not data:
                return True
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._buffer)
            if len(self._buffer) < HEADER.size + size:
                return
            piece = bytes(self._buffer[HEADER.size : HEADER.size + size])
            del self._buffer[: HEADER.size + size]
            self._keep(STREAMS.get(kind, "stdout"), piece)

    def _keep(self, stream: str, piece: bytes) -> None:
        ours = self._unveil[stream].feed(piece)
        if not ours:
            return
        room = max(0, self._most - len(self.kept[stream]))
        self.kept[stream] += ours[:room]
        self.cut += max(0, len(ours) - room)
        if self._on_output:
            self._on_output(stream, ours)


@contextlib.contextmanager
def _socket_of(answer: Any) -> Iterator[socket.socket]:
    """Give the socket of a running exec, which the library wraps in a file and an HTTP response; close all three."""
    sock = getattr(answer, "_sock", answer)
    try:
        yield sock
    finally:
        with contextlib.suppress(ValueError, AttributeError):  # it flushes a file that may be closed already
            answer._response.close()  # noqa: SLF001 - else the response keeps the socket open
        answer.close()
        sock.close()


def _feed(sock: socket.socket, stdin: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(stdin)
        sock.shutdown(socket.SHUT_WR)


def _plainly(error: Exception, container: str) -> str:
    said = str(getattr(error, "explanation", "") or error)
    if "No such container" in said:
        return f"there is no container '{container}'; docker ps -a lists them"
    if "is not running" in said:
        return f"container '{container}' is not running; docker start {container}"
    return f"the engine does not answer: {said}"
