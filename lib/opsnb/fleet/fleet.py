"""The hosts of one run, reached together: bounded fan-out, one connection a host, partial failure as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet.machine import Machine
from opsnb.fleet.values import DEFAULT_SECONDS, Result, Results

AT_ONCE = 50  # hosts that are worked on at a time
T = TypeVar("T")


class Fleet(Mapping[str, Machine]):
    """Machines by name, in the order of the selection."""

    def __init__(self, machines: Sequence[Machine], *, at_once: int = AT_ONCE) -> None:
        self._machines = {m.name: m for m in machines}
        self._at_once = at_once

    def __getitem__(self, host: str) -> Machine:
        try:
            return self._machines[host]
        except KeyError:
            raise UsageError(f"host '{host}' is not one of this run's hosts: {', '.join(self._machines)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines)

    def __len__(self) -> int:
        return len(self._machines)

    def run(self, *argv: str, seconds: float = DEFAULT_SECONDS, sudo: bool = False, **options: Any) -> Results:
        """Run one program on every host at once; see :meth:`Machine.run`."""
        return Results(self._all(lambda m: m.run(*argv, seconds=seconds, sudo=sudo, **options)))

    def each(self, function: Callable[[Machine], T]) -> dict[str, T | OpsnbError]:
        """Call ``function`` with every machine at once; what it raises of ours becomes its value."""

        def guarded(machine: Machine) -> T | OpsnbError:
            try:
                return function(machine)
            except OpsnbError as error:
                return error

        return self._all(guarded)

    def close(self) -> None:
        """Give every connection up."""
        for machine in self._machines.values():
            machine.close()

    def _all(self, function: Callable[[Machine], T]) -> dict[str, T]:
        with ThreadPoolExecutor(max(1, min(self._at_once, len(self._machines)))) as pool:
            return dict(zip(self._machines, pool.map(function, self._machines.values()), strict=True))


__all__ = ["Fleet", "Result"]
