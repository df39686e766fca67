"""One program on many hosts: told live, kept whole, and in the evidence within bounds.

Rules:

* The words arrive as they are; no shell reads them.
* Each line is printed as it comes, behind its host's name: ``web1 │ text`` of stdout, ``web1 ┃ text`` of stderr; at
  most ``LIVE_BYTES`` of each host.
* When the run is ended meanwhile, the evidence says what is known: a host whose command had ended has its result, one
  whose command was under way is ``unknown``.
* Evidence holds as much of each stream as fits; where something is left out, its last line says so and names the file
  in the record that holds all of it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError
from opsnb.fleet import Fleet, Machine, Result, Results, Status
from opsnb.fleet.values import decoded
from opsnb.runbook import Run
from opsnb.runbook.show import visible

if TYPE_CHECKING:
    import pandas as pd

LIVE_BYTES = 64 * 1024  # of each host that are printed while it runs
STREAM_CHARACTERS = 16 * 1024  # of one stream in the evidence, at most
EVIDENCE_CHARACTERS = 500 * 1024  # of all streams together; six bytes each at worst, and a message holds 4 MiB
FIRST_LINES = 3  # of the output, in the table
UNSEEN = "the run was ended while it ran, and nobody saw its end"
NEVER = "the run was ended before it was this host's turn"
SIGNS = {"stdout": "│", "stderr": "┃"}


def on_every_host(run: Run, hosts: Fleet, argv: list[str], seconds: float) -> Results:
    """Run one program on every host at once, print what it says as it comes, and keep it with the record.

    The evidence ``hosts`` is a list of ``{"host", "status", "exit", "stdout", "stderr", "seconds"}``.
    """
    pieces: queue.Queue[tuple[str, str, bytes] | None] = queue.Queue()
    live, seen = _Live(), _Seen()
    run.progress(0, len(hosts), "hosts")
    pool = ThreadPoolExecutor(1)
    try:
        future = pool.submit(_all, hosts, argv, seconds, pieces, seen)
        while (piece := pieces.get()) is not None:
            live.add(*piece)
    except KeyboardInterrupt:  # the run is being ended: what is known until now is kept, and no host begins any more
        pool.shutdown(wait=False)
        run.evidence("hosts", _kept(run, seen.cut(list(hosts))))
        raise
    results = future.result()
    pool.shutdown()
    live.rest()
    run.progress(len(hosts), len(hosts), "hosts")
    for result in results.values():
        if not result.ok:
            print(f"{result.host} ┃ [{result.status.value}: {visible(result.error or f'exit {result.exit}')}]")
    run.evidence("hosts", _kept(run, results))
    return results


def table(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return one row a host: status, exit code, seconds, the first lines of what it said."""
    import pandas as pd

    rows = [
        {
            "host": r.host, "status": r.status.value, "exit": "" if r.exit is None else str(r.exit),
            "seconds": round(r.seconds, 3), "first lines": _first_lines(r),
        }
        for r in results.values()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "status", "exit", "seconds", "first lines"])


class _Live:
    """Prints whole lines behind their host's name, within bounds."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], bytes] = {}
        self._room: dict[str, int] = {}

    def add(self, host: str, stream: str, data: bytes) -> None:
        """Take a piece of output."""
        *lines, left = (self._left.pop((host, stream), b"") + data).split(b"\n")
        self._left[host, stream] = left
        for line in lines:
            self._say(host, stream, line)

    def rest(self) -> None:
        """Print what has no end of line."""
        for (host, stream), line in self._left.items():
            if line:
                self._say(host, stream, line)

    def _say(self, host: str, stream: str, line: bytes) -> None:
        room = self._room.setdefault(host, LIVE_BYTES)
        self._room[host] = room - len(line) - 1
        if room <= 0:
            return
        text = visible(decoded(line[:room].rstrip(b"\r")).expandtabs())
        print(f"{host} {SIGNS[stream]} {text}", flush=True)
        if self._room[host] <= 0:
            print(f"{host} ┃ [more than {LIVE_BYTES} bytes: the rest is in the record]")


class _Seen:
    """What became of each host until now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._ended: dict[str, Result] = {}
        self._over = False

    def begin(self, host: str) -> None:
        """It is a host's turn.

        Raises:
            OpsnbError: If the run was ended before.
        """
        with self._lock:
            if self._over:
                raise OpsnbError(NEVER)
            self._begun.add(host)

    def end(self, result: Result) -> Result:
        """Keep what became of a host."""
        with self._lock:
            self._ended[result.host] = result
        return result

    def cut(self, hosts: Sequence[str]) -> Results:
        """Begin no further host; return what is known: of a command that was under way, nobody saw its end."""
        with self._lock:
            self._over = True
            return Results({
                host: self._ended.get(host) or (
                    Result(host=host, status=Status.UNKNOWN, error=UNSEEN) if host in self._begun
                    else Result(host=host, status=Status.UNREACHABLE, error=NEVER)
                ) for host in hosts
            })  # fmt: skip


def _all(hosts: Fleet, argv: list[str], seconds: float, pieces: queue.Queue[Any], seen: _Seen) -> Results:
    def one(machine: Machine) -> Result:
        def told(stream: str, data: bytes) -> None:
            pieces.put((machine.name, stream, data))

        seen.begin(machine.name)
        try:
            return seen.end(machine.run(*argv, seconds=seconds, on_output=told))
        except OpsnbError as error:
            return seen.end(_result(machine.name, error))

    try:
        found = hosts.each(one)
    finally:
        pieces.put(None)
    return Results({name: _result(name, value) for name, value in found.items()})


def _result(name: str, value: Result | OpsnbError) -> Result:
    if isinstance(value, Result):
        return value
    return Result(host=name, status=Status.UNREACHABLE, error=value.message)


def _first_lines(result: Result) -> str:
    lines = (result.text or result.errors or result.error).strip().splitlines()
    more = f" … {len(lines) - FIRST_LINES} more lines" if len(lines) > FIRST_LINES else ""
    return " ⏎ ".join(line[:200] for line in lines[:FIRST_LINES]) + more


def _kept(run: Run, results: Mapping[str, Result]) -> list[dict[str, Any]]:
    most = min(STREAM_CHARACTERS, EVIDENCE_CHARACTERS // max(1, 2 * len(results)))
    rows = []
    for result in results.values():
        row = result.as_json()
        for stream in ("stdout", "stderr"):
            row[stream] = _bounded(run, result, stream, row[stream], most)
        rows.append(row)
    return rows


def _bounded(run: Run, result: Result, stream: str, text: str, most: int) -> str:
    if len(text) <= most:
        return text
    name = f"{result.host.replace('/', '_')}.{stream}"
    data: bytes = getattr(result, stream)
    (run.files / name).write_bytes(data)
    return f"{text[:most]}\n[opsnb: {most} of {len(text)} characters; all {len(data)} bytes: files/{name}]"
