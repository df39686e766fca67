"""The hosts of one run, reached together: bounded fan-out, one connection a host, partial failure as a value."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Any, Self, TypeVar

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet.machines import Machine
from opsnb.fleet.values import DEFAULT_SECONDS, MAX_OUTPUT, Result, Results

AT_ONCE = 50  # hosts that are worked on at a time; fewer connections than that are opened at a time
KEPT_TOGETHER = 256 * 1024 * 1024  # bytes that the outputs of all hosts of one command may take in memory
KEPT_LEAST = 64 * 1024  # bytes that each of them may have in any case
T = TypeVar("T")


class Fleet(Mapping[str, Machine]):
    """Machines by name, in the order of the selection. Closed at the end of a ``with``, or when nobody holds it.

    Args:
        machines: The hosts.
        at_once: How many are worked on at a time.
        end: Called once when the fleet is given up, after its machines.
    """

    def __init__(
        self, machines: Sequence[Machine], *, at_once: int = AT_ONCE, end: Callable[[], None] | None = None
    ) -> None:
        self._machines = {m.name: m for m in machines}
        self._at_once = at_once
        self._end = weakref.finalize(self, _close, list(machines), end)

    def __getitem__(self, host: str) -> Machine:
        try:
            return self._machines[host]
        except KeyError:
            raise UsageError(f"host '{host}' is not one of this run's hosts: {', '.join(self._machines)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines)

    def __len__(self) -> int:
        return len(self._machines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        *argv: str,
        seconds: float = DEFAULT_SECONDS,
        sudo: bool = False,
        progress: Callable[[Result], None] | None = None,
        **options: Any,
    ) -> Results:
        """Run one program on every host at once.

        Args:
            argv: Program and arguments.
            seconds: For each host, from when it is its turn.
            sudo: Whether as root.
            progress: Called with each host's result as it comes, one at a time.
            options: ``stdin``, ``environment``, ``most``, ``on_output`` of :meth:`opsnb.fleet.machines.Machine.run`.

        Returns:
            What became of it on every host, in the order of the hosts.
        """
        most = min(MAX_OUTPUT, max(KEPT_LEAST, KEPT_TOGETHER // max(1, 2 * len(self._machines))))
        options.setdefault("most", most)
        return Results(self._all(lambda m: m.run(*argv, seconds=seconds, sudo=sudo, **options), progress))

    def each(
        self, function: Callable[[Machine], T], progress: Callable[[T | OpsnbError], None] | None = None
    ) -> dict[str, T | OpsnbError]:
        """Call ``function`` with every machine at once; what it raises of ours becomes its value."""

        def guarded(machine: Machine) -> T | OpsnbError:
            try:
                return function(machine)
            except OpsnbError as error:
                return error

        return self._all(guarded, progress)

    def close(self) -> None:
        """Give every connection up; their threads end."""
        self._end()

    def _all(self, function: Callable[[Machine], T], progress: Callable[[T], None] | None) -> dict[str, T]:
        """Return the function's values in the order of the machines; ``progress`` is called in the order of ends."""
        if not self._machines:
            return {}
        workers = min(self._at_once, len(self._machines))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="opsnb-fleet")
        try:
            futures = {name: pool.submit(function, machine) for name, machine in self._machines.items()}
            if progress:
                for future in as_completed(futures.values()):
                    progress(future.result())
            values = {name: future.result() for name, future in futures.items()}
        except BaseException:  # interrupted, or the caller gave up: what has not begun does not begin any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return values


def _close(machines: Sequence[Machine], end: Callable[[], None] | None) -> None:
    for machine in machines:
        machine.close()
    if end:
        end()


__all__ = ["Fleet", "Result"]
