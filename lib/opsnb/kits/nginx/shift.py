"""Drain a back end, shift its weight, return it: on every balancer alike, by exact edits, each step proven.

Rules:

* The upstream is edited where it stands (:mod:`opsnb.kits.nginx.shiftrules`), tested by ``nginx -t``, put in place and
  reloaded (:mod:`opsnb.kits.nginx.changing`); requests in flight finish in the old workers.
* A shift in steps is one change for each step. With a pause, the access log is watched before each further step, and a
  step is not begun when too many requests to the back end ended in an error.
* A return asks the back end first, from every balancer; it is refused when it does not answer.
* Balancers are the hosts of the run, less those that are the back end itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.nginx import balancers as balancing
from opsnb.kits.nginx import changing, shiftact, shifthealth, shiftlog, shiftrules, shiftwatch
from opsnb.kits.nginx.balancers import balancers, named, names_of
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.shiftact import telling
from opsnb.kits.nginx.shifthealth import Answer, answers_table
from opsnb.kits.nginx.shiftlog import Seen
from opsnb.kits.nginx.shiftrules import Chosen, Names, Wanted
from opsnb.kits.nginx.shiftshares import Sharing, shares_chart, shares_table, state_of
from opsnb.kits.nginx.shiftview import astray, notes, overview
from opsnb.kits.nginx.shiftwatch import Waited, waiting_table
from opsnb.kits.nginx.shiftwords import moved, notes_of, said_of

if TYPE_CHECKING:
    import pandas as pd

TITLE = {"drain": "drain {0}", "weight": "shift the weight of {0}", "return": "return {0}"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One balancer and the back end on it.

    Args:
        host: The balancer.
        configuration: Its configuration.
        chosen: The back end in it.
    """

    host: str
    configuration: Configuration
    chosen: Chosen


def suits(
    hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = "", again: bool = False
) -> tuple[bool, str]:
    """Return whether the back end is there on some balancer, and why, as a sentence for ``run.applicable``."""

    def sentence(host: str, found: Found) -> str:
        line = found.chosen.lines[0]
        return f"{host} has {line.address} in the upstream {found.chosen.upstream.name} ({line.where})"

    return balancing.suits(hosts, lambda one: found_on(one, wanted, names, conf), sentence, again=again)


def look(hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = "") -> pd.DataFrame:
    """Return every server of the upstream on every balancer, a row each: what it says, and where; or why not."""
    import pandas as pd

    rows = []
    for host, found in balancing.each(hosts, lambda one: found_on(one, wanted, names, conf)).items():
        if isinstance(found, OpsnbError):
            rows.append((host, "", "", found.message, ""))
            continue
        upstream = found.chosen.upstream
        for one in upstream.servers:
            mark = " <-" if one in found.chosen.lines else ""
            rows.append((host, f"{upstream.name} ({upstream.method})", one.address + mark, state_of([one]), one.where))
    return pd.DataFrame(rows, columns=["balancer", "upstream", "server", "says", "where"])


def plan(
    hosts: str | Sequence[str],
    wanted: Wanted,
    *,
    names: Names | None = None,
    conf: str = "",
    path: str = "/health",
    pause: float = 0.0,
    errors: float = 1.0,
    again: bool = False,
) -> Plan:
    """Return the plan that drains, weighs or returns a back end on every balancer; reads only.

    Args:
        hosts: The balancers.
        wanted: What is wanted of which back end.
        names: Hosts of the run to their addresses, by which a server may be called.
        conf: The main configuration file, when it is not the running nginx's.
        path: What a back end that is to return is asked for.
        pause: Seconds for which the access log is watched before each further step; 0 does not watch.
        errors: Errors that are allowed meanwhile, % of the requests.
        again: Whether this is an undo or a retry: the approved plan counts then, and nothing is planned.

    Raises:
        UnreachableError: If no balancer can be reached.
        UsageError: If it is refused: with the reason and the next move.
    """
    title = TITLE[wanted.action].format(wanted.server)
    if again:
        return Plan(title=title, changes=())
    return remote.plan_each(title, hosts, lambda host: _plan_one(host, title, wanted, names, conf, path, pause, errors))


def sharing(
    hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = ""
) -> dict[str, Sharing]:  # fmt: skip
    """Return the upstream of each balancer before and after; balancers that cannot be looked at are left out."""
    found = balancing.each(hosts, lambda one: found_on(one, wanted, names, conf))
    return {host: _sharing(one, wanted) for host, one in found.items() if isinstance(one, Found)}


def address_of(
    hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = ""
) -> tuple[str, bool]:  # fmt: skip
    """Return a back end's address as the configuration has it, and whether another upstream has it too.

    Raises:
        OpsnbError: If no balancer has it.
    """
    errors = []
    for found in balancing.each(hosts, lambda one: found_on(one, wanted, names, conf)).values():
        if isinstance(found, Found):
            return found.chosen.address, bool(found.chosen.elsewhere)
        errors.append(found)
    raise errors[0] if errors else UsageError("there is no balancer")


def is_down(
    hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = ""
) -> bool:  # fmt: skip
    """Return whether a back end gets nothing on any balancer: it is down, or stands in for others only."""
    found = balancing.each(hosts, lambda one: found_on(one, wanted, names, conf)).values()
    lines = [line for one in found if isinstance(one, Found) for line in one.chosen.lines]
    return all(line.down or line.backup for line in lines)


def found_on(host: str, wanted: Wanted, names: Names | None = None, conf: str = "") -> Found:
    """Return the back end on one balancer.

    Raises:
        NotFoundError: If there is no such server, with the nearest name.
        UsageError: If several could be meant.
        UnreachableError: If the balancer cannot be reached.
    """
    configuration = read(host, conf)
    try:
        chosen = shiftrules.choose(configuration.upstreams(), wanted, names)
    except UsageError as error:
        raise named(host, error) from None
    return Found(host=host, configuration=configuration, chosen=chosen)


def _plan_one(
    host: str, title: str, wanted: Wanted, names: Names | None, conf: str, path: str, pause: float, errors: float
) -> Plan:
    found = found_on(host, wanted, names, conf)
    try:
        edits = shiftrules.steps(found.chosen, wanted, found.configuration.files)
    except UsageError as error:
        raise UsageError(f"{host}: {error.message}", hint=error.hint) from None
    if edits and wanted.action == "return":
        _answers(found, path)
    changes, context = chain(found, conf, title, edits, said_of(found.chosen, wanted, len(edits)))
    if pause and len(changes) > 1:
        log = shiftlog.log_of(found.configuration, found.chosen.upstream.name)
        address, weights = found.chosen.address, wanted.weights[-len(changes) :]
        changes = [changes[0]] + [
            shiftact.after_watch(change, log, address, pause, errors, f"the step to weight {weight}: {change.command}")
            for change, weight in zip(changes[1:], weights[1:], strict=True)
        ]  # fmt: skip
    said = [*notes_of(found.chosen, wanted), *moved(found.chosen.upstream, _sharing(found, wanted).after)]
    return Plan(title=title, changes=tuple(changes), context={**context, "notes": said})


def chain(
    found: Found, conf: str, title: str, edits: Sequence[Mapping[str, str]], said: Sequence[str]
) -> tuple[list[Change], dict[str, Any]]:  # fmt: skip
    """Return one change for each step, each beginning where the one before it ends, and what the reader should know.

    Args:
        found: The back end on a balancer.
        conf: The main configuration file, when it is not the running nginx's.
        title: Of the plan.
        edits: The new texts of each step; without any, what lies there is loaded where it is not.
        said: What each step does, for the reader.
    """
    where = ", ".join(line.where for line in found.chosen.lines) or found.chosen.upstream.where
    real = {path: found.configuration.stored[path].real for path in found.configuration.files}
    paths = sorted({path for edit in edits for path in edit} or {line.file for line in found.chosen.lines})
    now = {path: found.configuration.files[path] for path in paths}
    changes: list[Change] = []
    context: dict[str, Any] = {}
    for edit in edits or [{}]:
        now |= {path: edit[path] for path in edit}
        texts = {real[path]: text for path, text in now.items()}
        planned = changing.plan_files(found.host, texts, conf=conf, title=title, seen=found.configuration)
        context = context or planned.context
        for change in planned.changes:
            before, undo = (changes[-1].after, changes[-1].command) if changes else (change.before, change.undo)
            changes.append(replace(change, before=before, undo=undo, what=f"{said[len(changes)]} ({where})"))
    return changes, context


def _answers(found: Found, path: str) -> None:
    """Refuse a return of what does not answer its balancer."""
    address = found.chosen.address
    scheme = shifthealth.scheme_of(found.configuration.main, found.chosen.upstream.name)
    answer = shifthealth.ask(found.host, [address], path, scheme=scheme)[address]
    if not answer.ok:
        raise UsageError(f"{found.host}: {address} does not answer {path} as a back end that may return: {answer}",
                         hint="look at it first; a status from 200 to 399 is wanted")  # fmt: skip


def _sharing(found: Found, wanted: Wanted) -> Sharing:
    upstream = found.chosen.upstream
    try:
        edits = shiftrules.steps(found.chosen, wanted, found.configuration.files)
    except UsageError:
        edits = []
    texts: dict[str, str] = {}
    for edit in edits:
        texts |= edit
    after = found.configuration.edited(texts).upstreams()
    number = [one.directive for one in found.configuration.upstreams()].index(upstream.directive)
    return Sharing(
        upstream=upstream.name, method=upstream.method, before=upstream.servers, after=after[number].servers
    )  # fmt: skip


__all__ = [
    "Answer", "Found", "Seen", "Waited", "Wanted", "address_of", "answers_table", "astray", "balancers",
    "chain", "found_on", "is_down", "look", "names_of", "notes", "notes_of", "overview", "plan",
    "shares_chart", "shares_table", "sharing", "shiftwatch", "suits", "telling", "waiting_table",
]  # fmt: skip
