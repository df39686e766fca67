"""Lines that misbehave: servers that are no sshd, and a proxy that is slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sshd import Sshd

TALKER, PROXY = "127.0.21.9", "127.0.21.8"


@contextmanager
def serving(address: str, take: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept on a free port in a thread until the end; ``take`` gets each connection."""
    listener = socket.create_server((address, 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            take(sock)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@contextmanager
def talker(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does something else than SSH with each connection, one at a time."""

    def take(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            talk(sock)

    with serving(TALKER, take) as port:
        yield port


@contextmanager
def slow(target: Sshd, after: int, pause: float) -> Iterator[int]:
    """A proxy that holds back what the host says for ``pause`` seconds once ``after`` bytes have passed."""
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, sink: socket.socket, pause: float) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if pause and passed > after:
                    time.sleep(pause)
                    pause = 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def take(near: socket.socket) -> None:
        far = socket.create_connection((target.addresses[0], target.port))
        sockets.extend((near, far))
        for pair in ((near, far, 0.0), (far, near, pause)):
            threads.append(threading.Thread(target=pump, args=pair))
            threads[-1].start()

    with serving(PROXY, take) as port:
        yield port
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    for thread in threads:
        thread.join(10)
