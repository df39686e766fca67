"""A Jupyter kernel client without threads, loops or losses.

The stock client drops messages once a socket's high-water mark is reached; here nothing is bounded by ZeroMQ, and
what is too much is cut by the caller, who counts it. Protocol: Jupyter messaging 5.4.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import zmq
from jupyter_client.session import Session

from opsnb.base.errors import OpsnbError

WELCOME_TIMEOUT = 10.0  # seconds that a ready kernel may take to answer a subscription


class KernelDiedError(OpsnbError):
    """The kernel ended although nobody asked it to."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message from the kernel."""

    channel: str  # iopub or shell
    kind: str
    parent: str  # id of the request that it answers
    content: dict[str, Any]
    metadata: dict[str, Any]
    size: int  # bytes on the wire


class KernelClient:
    """The three sockets that executing cells needs, and the descriptors to wait on.

    Args:
        connection: Jupyter connection info.
        pidfd: Descriptor that becomes readable when the kernel dies; -1 for none.
    """

    def __init__(self, connection: dict[str, Any], pidfd: int = -1) -> None:
        self._context = zmq.Context()
        key = connection["key"]
        self._session = Session(key=key if isinstance(key, bytes) else key.encode())
        self._session.digest_history_size = 0  # nobody replays messages on a private socket
        self._iopub = self._open(zmq.SUB, connection, "iopub")
        self._shell = self._open(zmq.DEALER, connection, "shell")
        self._control = self._open(zmq.DEALER, connection, "control")
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self.pidfd = pidfd
        self._poller = zmq.Poller()
        self._poller.register(self._iopub, zmq.POLLIN)
        self._poller.register(self._shell, zmq.POLLIN)
        if pidfd >= 0:
            self._poller.register(pidfd, zmq.POLLIN)

    def watch(self, descriptor: int) -> None:
        """Have :meth:`wait` return also when ``descriptor`` is readable."""
        self._poller.register(descriptor, zmq.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching ``descriptor``."""
        self._poller.unregister(descriptor)

    def subscribe(self, timeout: float = WELCOME_TIMEOUT) -> None:
        """Wait until the kernel has seen our subscription: from then on no output is missed.

        Raises:
            KernelDiedError: If it died or did not answer in time.
        """
        end = time.monotonic() + timeout
        probe = self._request(self._shell, "kernel_info_request", {})
        while time.monotonic() < end:
            ready = self.wait(0.05)
            for message in self.receive(ready):
                if message.kind == "iopub_welcome" or (message.channel == "iopub" and message.parent == probe):
                    return
            if self.died(ready):
                raise KernelDiedError("the kernel died while it started")
        raise KernelDiedError(f"the kernel did not answer within {timeout:g} s")

    def execute(self, code: str) -> str:
        """Ask for ``code`` to be executed; return the request's id."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        return self._request(self._shell, "execute_request", content)

    def shutdown(self) -> None:
        """Ask the kernel to end in an orderly way."""
        self._request(self._control, "shutdown_request", {"restart": False})

    def wait(self, timeout: float) -> dict[Any, int]:
        """Wait at most ``timeout`` seconds; return what is readable."""
        try:
            return dict(self._poller.poll(max(0, int(timeout * 1000))))
        except InterruptedError:
            return {}

    def wait_for_death(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the kernel to end, taking its last messages; return whether it did."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            ready = self.wait(left)
            if self.died(ready):
                return True
            self.receive(ready)
        return False

    def died(self, ready: dict[Any, int]) -> bool:
        """Whether the kernel's death is among what is readable."""
        return self.pidfd >= 0 and self.pidfd in ready

    def receive(self, ready: dict[Any, int] | None = None, most: int = 500) -> list[Message]:
        """Return at most ``most`` messages that have arrived, iopub first."""
        messages: list[Message] = []
        for socket, channel in ((self._iopub, "iopub"), (self._shell, "shell")):
            if ready is not None and socket not in ready:
                continue
            while len(messages) < most:
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                messages.append(self._read(frames, channel))
        return messages

    def close(self) -> None:
        """Close the sockets without waiting."""
        self._context.destroy(linger=0)

    def _open(self, kind: int, connection: dict[str, Any], channel: str) -> Any:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.rcvhwm = socket.sndhwm = 0
        socket.connect(f"ipc://{connection['ip']}-{connection[f'{channel}_port']}" if connection["transport"] == "ipc"
                       else f"tcp://{connection['ip']}:{connection[f'{channel}_port']}")  # fmt: skip
        return socket

    def _request(self, socket: Any, kind: str, content: dict[str, Any]) -> str:
        message = self._session.msg(kind, content)
        self._session.send(socket, message)
        return str(message["header"]["msg_id"])

    def _read(self, frames: list[bytes], channel: str) -> Message:
        _, parts = self._session.feed_identities(frames)
        raw = self._session.deserialize(parts)
        return Message(
            channel=channel,
            kind=str(raw["msg_type"]),
            parent=str(raw["parent_header"].get("msg_id", "")),
            content=raw["content"],
            metadata=raw.get("metadata", {}),
            size=sum(len(p) for p in parts),
        )


def open_pidfd(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ``pid`` ends; -1 where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return -1
