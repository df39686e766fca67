"""Reads files of many hosts for a comparison, all hosts at once; who cannot be reached is named, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.config import hiding, reading
from opsnb.kits.config.compare import Survey, guard, hidden, unified
from opsnb.kits.config.distribute import Wanted, after_of, wanted
from opsnb.kits.config.places import Service
from opsnb.kits.config.reading import Found
from opsnb.kits.config.values import File, host_path
from opsnb.kits.files.states import State

if TYPE_CHECKING:
    import pandas as pd

MAX_PATHS = 200

Progress = Callable[[int, int, str], None]


def survey(
    hosts: Sequence[str], paths: Sequence[str], service: Service | None = None, progress: Progress | None = None
) -> Survey:
    """Return what hosts have at some paths, beside what the one place says.

    Args:
        hosts: Hosts of the run.
        paths: Absolute paths; with a service, its files besides.
        service: A service of the one place, or ``None``.
        progress: Told how many hosts were read.

    Raises:
        UsageError: If a path is none, there is nothing to compare, or a file cannot be rendered.
    """
    if len(paths) > MAX_PATHS:
        raise UsageError(f"{len(paths)} paths; at most {MAX_PATHS} are compared together")
    named = [host_path(path) for path in dict.fromkeys(paths)]
    plans = {host: {one.file.path: one for one in wanted(service, fleet.machine(host).row)} if service else {}
             for host in hosts}  # fmt: skip
    every = list(dict.fromkeys([*named, *(path for plan in plans.values() for path in plan)]))
    if not every:
        raise UsageError("no file is named", hint="give paths, or a service and its environment")
    done = [0]

    def one(host: str) -> dict[str, Found] | str:
        mine = [path for path in every if path in plans[host] or path in named or not service]
        try:
            return reading.read(host, mine)
        except OpsnbError as error:
            return error.message
        finally:
            done[0] += 1
            if progress:
                progress(done[0], len(hosts), "hosts read")

    found = remote.over(hosts, one)
    unread = {host: value for host, value in found.items() if isinstance(value, str)}
    by_host = {host: value for host, value in found.items() if not isinstance(value, str)}
    return _assembled(every, by_host, unread, plans)


def _assembled(
    every: Sequence[str],
    by_host: Mapping[str, Mapping[str, Found]],
    unread: Mapping[str, str],
    plans: Mapping[str, Mapping[str, Wanted]],
) -> Survey:
    sensitive = {path: one.file.sensitive for plan in plans.values() for path, one in plan.items()}
    table, expected, guarded = {}, {}, set()
    for path in every:
        row = {host: found[path] for host, found in by_host.items() if path in found}
        states = {host: _expected(plans[host][path], row[host]) for host in row if path in plans[host]}
        if guard(path, row, sensitive):
            guarded.add(path)
            row = hidden(row)
            states = {host: dict(hiding.hide(state) or {}) for host, state in states.items()}
        table[path], expected[path] = row, states
    return Survey(found=table, unread=unread, expected=expected, guarded=frozenset(guarded))


def _expected(one: Wanted, found: Found) -> State:
    """Return the state that the one place asks for: mode and owner only where the manifest says them."""
    state = after_of(one, found.state)
    left_out = {name for name, said in (("mode", one.file.mode), ("owner", one.file.owner)) if not said}
    return {name: value for name, value in state.items() if name not in left_out}


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One file in two environments.

    Args:
        path: Where it lies on hosts.
        one: Where its source lies in the first environment; empty without one.
        other: The same in the second.
        same: Whether both sources say the same.
        difference: In what they differ; hashes for a sensitive one.
    """

    path: str
    one: str
    other: str
    same: bool
    difference: str = ""


def environments_beside(one: Service | None, other: Service | None) -> list[Beside]:
    """Return a service's files in two environments, source beside source: templates, not what they become."""
    if one is None or other is None:
        return []
    return [_beside(file, one, other) for file in one.manifest.files]


def variables_beside(one: Service | None, other: Service | None) -> pd.DataFrame:
    """Return the variables of two environments that are not the same: expected differences."""
    import pandas as pd

    if one is None or other is None:
        return pd.DataFrame(columns=["variable"])
    names = sorted({*one.variables, *other.variables})
    both = [(n, *(s.variables[n].value if n in s.variables else "-" for s in (one, other))) for n in names]
    rows = [row for row in both if row[1] != row[2]]
    return pd.DataFrame(rows, columns=["variable", one.environment, other.environment])


def _beside(file: File, one: Service, other: Service) -> Beside:
    (shown, text), (others, theirs) = _source(one, file), _source(other, file)
    states: list[State | None] = [{"content": t} if t is not None else None for t in (text, theirs)]
    if file.sensitive:
        states = [hiding.hide(state) for state in states]
    return Beside(
        path=file.path, one=shown, other=others, same=text == theirs,
        difference="" if text == theirs else unified(states[0], states[1], shown or "nothing", others or "nothing"),
    )  # fmt: skip


def _source(service: Service, file: File) -> tuple[str, str | None]:
    try:
        return service.source(file)
    except UsageError:  # this environment has no such file
        return "", None
