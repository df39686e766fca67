"""Continuous load from clients of different kinds, and what became of every single request: for proofs of continuity.

Requests are numbered one after another over all clients. Nothing is thrown away: each has a row with its status and the
back end that answered, or what went wrong instead. Load is on loopback or in a test's own network, and ends by number,
by time, or when the test has seen enough.
"""

from __future__ import annotations

import http.client
import itertools
import select
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SECONDS = 60.0  # a load ends by itself after this
MOST = 60_000  # requests of one load
TIMEOUT = 30.0  # of one request
SLOW = 0.7  # seconds that a slow answer takes
THINK = 0.004  # seconds between a client's requests: what is measured is what gets lost, not how fast a client can be


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one request."""

    number: int
    kind: str
    status: int
    backend: str
    error: str = ""
    resent: bool = False
    begun: float = 0.0
    ended: float = 0.0


@dataclass(kw_only=True)
class Load:
    """Clients that ask until told to end.

    Kinds: ``get`` and ``post`` open a connection for each request; ``keep`` keeps one and sends one request after
    another; ``slow`` asks for answers that take a while, so that some are in flight at any time.
    """

    address: str
    port: int
    clients: tuple[str, ...] = ("get", "get", "post", "keep", "keep", "slow", "slow", "slow")
    rows: list[Row] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Keep the load up while the block runs; wait for every answer at its end."""
        threads = [threading.Thread(target=self._client, args=(kind,)) for kind in self.clients]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def more(self, number: int) -> None:
        """Wait until ``number`` more requests were answered."""
        wanted = len(self.rows) + number
        end = time.monotonic() + SECONDS
        while len(self.rows) < wanted:
            assert time.monotonic() < end, f"{len(self.rows)} of {wanted} requests were answered"
            time.sleep(0.01)

    def _client(self, kind: str) -> None:
        end = time.monotonic() + SECONDS
        kept: http.client.HTTPConnection | None = None
        while not self._end.is_set() and time.monotonic() < end:
            number = next(self._numbers)
            if number > MOST:
                return
            begun = time.monotonic()
            if kind == "keep":
                row, kept = self._on_kept(number, kept)
            else:
                row = self._once(number, kind)
            self.rows.append(Row(**{**row.__dict__, "begun": begun, "ended": time.monotonic()}))
            self._end.wait(THINK)
        if kept is not None:
            kept.close()

    def _once(self, number: int, kind: str) -> Row:
        """Ask on a connection of its own."""
        connection = self._connect()
        try:
            return self._ask(connection, number, kind, {"Connection": "close"})
        except (OSError, http.client.HTTPException) as error:
            return Row(number=number, kind=kind, status=0, backend="", error=repr(error))
        finally:
            connection.close()

    def _on_kept(
        self, number: int, kept: http.client.HTTPConnection | None
    ) -> tuple[Row, http.client.HTTPConnection | None]:
        """Ask on a connection that is kept, as clients do.

        A closed one is left; and what a server that was just closing it did not begin to answer is asked once more on a
        new one (RFC 9112, 9.3.1), which is counted.
        """
        resent = False
        for _ in range(2):
            if kept is not None and _closed(kept):
                kept.close()
                kept = None
            fresh, kept = kept is None, kept or self._connect()
            try:
                row = self._ask(kept, number, "keep", {})
                return Row(**{**row.__dict__, "resent": resent}), kept
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                kept.close()
                kept = None
                if fresh or resent:
                    return Row(number=number, kind="keep", status=0, backend="", error=repr(error)), None
                resent = True
            except (OSError, http.client.HTTPException) as error:
                kept.close()
                return Row(number=number, kind="keep", status=0, backend="", error=repr(error)), None
        raise AssertionError("two attempts end above")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, self.port, timeout=TIMEOUT)

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, number: int, kind: str, headers: dict[str, str]) -> Row:
        path = f"/slow/{number}/{SLOW}" if kind == "slow" else f"/n/{number}"
        body = f"number {number}".encode() if kind == "post" else None
        connection.request("POST" if kind == "post" else "GET", path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        backend, told, length = [*text.split(), "", "", ""][:3] if answer.status == http.client.OK else ("", "", "")
        right = told == str(number) and length == str(len(body or b""))
        error = "" if right else f"{answer.status}: {text[:80]!r}"
        return Row(number=number, kind=kind, status=answer.status, backend=backend, error=error)

    # What is to be proven.

    def lost(self) -> list[Row]:
        """The requests that were not answered with 200 and their own number."""
        return [row for row in self.rows if row.error or row.status != http.client.OK]

    def counts(self) -> dict[str, int]:
        """How many requests of each kind, how many were lost, how many were sent once more on a new connection."""
        kinds = Counter(row.kind for row in self.rows)
        resent = sum(row.resent for row in self.rows)
        return {"requests": len(self.rows), **kinds, "lost": len(self.lost()), "resent": resent}

    def shares(self, since: float = 0.0) -> dict[str, int]:
        """How many requests each back end answered, of those that were begun after a moment."""
        return dict(Counter(row.backend for row in self.rows if row.begun >= since))


def _closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed a connection on which nothing is awaited."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])
