"""Bring a spare in, take a back end out: on every balancer alike, asked before and proven after.

Rules are those of :mod:`opsnb.kits.nginx.sparesrules`; besides:

* A spare comes in only when it answers the health path of every balancer with a status from 200 to 399. With ``same``
  it has to give the same answer as all that serve, byte for byte, so that a spare with another release is found.
* A back end goes out in two changes on each balancer: down and a reload; then, once no connection to it is left
  (:mod:`opsnb.kits.nginx.shiftwatch`), its line goes and nginx reloads again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import remote
from opsnb.kits.nginx import balancers as balancing
from opsnb.kits.nginx import shift, shiftact, shifthealth, shiftrules, sparesrules
from opsnb.kits.nginx.balancers import balancers, named, names_of
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.shift import Found, telling
from opsnb.kits.nginx.shifthealth import Answer, answers_table
from opsnb.kits.nginx.shiftproof import Proof, proof_table, prove_all, silent
from opsnb.kits.nginx.shiftrules import Chosen, Edits, Names
from opsnb.kits.nginx.shiftshares import Sharing, shares_chart, shares_table, state_of
from opsnb.kits.nginx.shiftview import astray, notes, overview
from opsnb.kits.nginx.sparesrules import Spare
from opsnb.kits.nginx.upstreams import Upstream

if TYPE_CHECKING:
    import pandas as pd

TITLE = {"in": "bring {0} in", "out": "take {0} out"}
NOTE_MOVES = "under {1} one server more moves clients of every server to another one"
NOTE_BACKUP = "{0} was a backup, which serves only when every other has failed; from now on it serves like the others"
NOTE_OTHER = "{0} answers {1} otherwise than {2} does ({3}; {4}): it may be another release"
GONE = {"remove": "line removed", "comment": "line made a comment"}
HIDDEN = "not in the upstream"

Seen = tuple[Configuration, Upstream, str]  # what is found on a balancer: the back end's upstream and address


def suits(
    hosts: Sequence[str], spare: Spare, *, names: Names | None = None, conf: str = "", again: bool = False
) -> tuple[bool, str]:
    """Return whether there is something to do it to, and why, as a sentence for ``run.applicable``."""

    def sentence(host: str, found: Seen) -> str:
        _, upstream, address = found
        state = state_of(shiftrules.matching(upstream.servers, address))
        return f"on {host} the upstream {upstream.name} ({upstream.where}) has {address}: {state}"

    return balancing.suits(hosts, lambda one: _found(one, spare, names, conf), sentence, again=again)


def look(hosts: Sequence[str], spare: Spare, *, names: Names | None = None, conf: str = "") -> pd.DataFrame:
    """Return every back end on every balancer, a row each: what its line says and whether it is a spare; or why not."""
    import pandas as pd

    rows: list[tuple[str, ...]] = []
    for host, found in balancing.each(hosts, lambda one: _found(one, spare, names, conf)).items():
        if isinstance(found, OpsnbError):
            rows.append((host, "", "", found.message, ""))
            continue
        _, upstream, address = found
        for one in upstream.servers:
            kind = "spare" if one.down else "stands in when all others have failed" if one.backup else "serves"
            rows.append((host, upstream.name, one.address, f"{kind} ({state_of([one])})", one.where))
        if not shiftrules.matching(upstream.servers, address):
            rows.append((host, upstream.name, address, f"spare ({HIDDEN})", ""))
    return pd.DataFrame(rows, columns=["balancer", "upstream", "server", "is", "where"])


def ask(
    hosts: Sequence[str], spare: Spare, path: str, *, names: Names | None = None, conf: str = ""
) -> dict[str, dict[str, Answer] | str]:
    """Return what the back end and all that serve answer each balancer; a balancer that could not ask says why."""

    def one(host: str) -> dict[str, Answer] | str:
        try:
            configuration, upstream, address = _found(host, spare, names, conf)
            return _answers(host, configuration, upstream, address, path)
        except OpsnbError as error:
            return error.message

    return remote.over(hosts, one)


def plan(
    hosts: str | Sequence[str],
    spare: Spare,
    *,
    names: Names | None = None,
    conf: str = "",
    path: str = "/health",
    same: bool = False,
    wait: float = 120.0,
    again: bool = False,
) -> Plan:
    """Return the plan that brings a spare in or takes a back end out on every balancer; reads only.

    Args:
        hosts: The balancers.
        spare: What is wanted.
        names: Hosts of the run to their addresses.
        conf: The main configuration file, when it is not the running nginx's.
        path: What back ends are asked for.
        same: Whether a spare has to answer exactly as those that serve.
        wait: Seconds for which a drain is waited for before a line goes.
        again: Whether this is an undo or a retry: the approved plan counts then, and nothing is planned.

    Raises:
        UnreachableError: If no balancer can be reached.
        UsageError: If it is refused: with the reason and the next move.
    """
    title = TITLE[spare.action].format(spare.server)
    if again:
        return Plan(title=title, changes=())

    def one(host: str) -> Plan:
        if spare.action == "in":
            return _plan_in(host, title, spare, names, conf, path, same=same)
        return _plan_out(host, title, spare, names, conf, wait)

    return remote.plan_each(title, hosts, one)


def sharing(hosts: Sequence[str], spare: Spare, *, names: Names | None = None, conf: str = "") -> dict[str, Sharing]:
    """Return the upstream of each balancer before and after; balancers that cannot be looked at are left out."""
    found = balancing.each(hosts, lambda one: _found(one, spare, names, conf))
    return {h: _sharing(*value, spare, names) for h, value in found.items() if not isinstance(value, OpsnbError)}


def meant(hosts: Sequence[str], spare: Spare, *, names: Names | None = None, conf: str = "") -> tuple[str, str]:
    """Return the address of the back end and the name of its upstream, as the first balancer has them.

    One that is gone is called as it would come in; where nothing is known, as the run calls it.
    """
    for meaning in (spare, replace(spare, action="in")):
        found = balancing.each(hosts, partial(_found, spare=meaning, names=names, conf=conf))
        for value in found.values():
            if not isinstance(value, OpsnbError):
                return value[2], value[1].name
    return spare.server, spare.upstream


def _found(host: str, spare: Spare, names: Names | None, conf: str) -> Seen:
    configuration = read(host, conf)
    try:
        upstream = sparesrules.the_upstream(configuration.upstreams(), spare, names)
        return configuration, upstream, sparesrules.address_of(upstream, spare, names)
    except UsageError as error:
        raise named(host, error) from None


def _answers(
    host: str, configuration: Configuration, upstream: Upstream, address: str, path: str
) -> dict[str, Answer]:  # fmt: skip
    serving = [s.address for s in upstream.servers if not s.down and not s.backup]
    scheme = shifthealth.scheme_of(configuration.main, upstream.name)
    return shifthealth.ask(host, list(dict.fromkeys([address, *serving])), path, scheme=scheme)


def _plan_in(host: str, title: str, spare: Spare, names: Names | None, conf: str, path: str, *, same: bool) -> Plan:
    configuration, upstream, address = _found(host, spare, names, conf)
    edits = _edits(host, configuration, upstream, address, spare, names)
    lines = shiftrules.matching(upstream.servers, address)
    said = [NOTE_BACKUP.format(address)] if any(line.backup for line in lines) else []
    if not lines and upstream.method in shiftrules.KEEPS_PLACES:
        said.append(NOTE_MOVES.format(address, upstream.method))
    if edits:
        said += _compared(host, address, path, _answers(host, configuration, upstream, address, path), same=same)
    found = Found(host=host, configuration=configuration, chosen=Chosen(upstream=upstream, lines=lines))
    words = "in" if edits else "as it is in the file, which nginx has not loaded"
    changes, context = shift.chain(found, conf, title, edits, [f"{address} in {upstream.name}: {words}"])
    return Plan(title=title, changes=tuple(changes), context={**context, "notes": said})


def _plan_out(host: str, title: str, spare: Spare, names: Names | None, conf: str, wait: float) -> Plan:
    try:
        configuration, upstream, address = _found(host, spare, names, conf)
    except NotFoundError as error:  # this balancer is as it is to be; whether any has it, suits() tells
        return Plan(title=title, changes=(), context={"notes": [error.message]})
    edits = _edits(host, configuration, upstream, address, spare, names)
    chosen = shiftrules.choose(configuration.upstreams(), spare.as_shift, names)
    found = Found(host=host, configuration=configuration, chosen=chosen)
    steps = ["down", *([] if spare.how == "down" else [GONE[spare.how]])][-max(len(edits), 1) :]
    said = [f"{address} in {upstream.name}: {words}" for words in steps]
    changes, context = shift.chain(found, conf, title, edits, said)
    if changes and spare.how != "down":
        changes[-1] = shiftact.after_drain(changes[-1], address, wait, changes[-1].command)
    return Plan(
        title=title, changes=tuple(changes), context={**context, "notes": shift.notes_of(chosen, spare.as_shift)}
    )


def _edits(
    host: str, configuration: Configuration, upstream: Upstream, address: str, spare: Spare, names: Names | None
) -> list[Edits]:
    try:
        if spare.action == "in":
            return sparesrules.bring_in(upstream, spare, address, configuration.files)
        chosen = shiftrules.choose(configuration.upstreams(), spare.as_shift, names)
        return sparesrules.take_out(chosen, spare, configuration.files)
    except UsageError as error:
        raise UsageError(f"{host}: {error.message}", hint=error.hint) from None


def _compared(host: str, address: str, path: str, answers: Mapping[str, Answer], *, same: bool) -> list[str]:
    """Refuse a spare that does not answer, or not as the others; return what differs otherwise."""
    mine = answers[address]
    if not mine.ok:
        raise UsageError(f"{host}: {address} does not answer {path} as a spare that may come in: {mine}",
                         hint="look at it first; a status from 200 to 399 is wanted")  # fmt: skip
    said = []
    for other, answer in answers.items():
        if not answer.ok or (answer.status, answer.digest) == (mine.status, mine.digest):
            continue
        words = NOTE_OTHER.format(address, path, other, mine, answer)
        if same:
            raise UsageError(f"{host}: {words}", hint="put the same release on it, or ask another path, or same=false")
        said.append(words)
    return said[:1]


def _sharing(
    configuration: Configuration, upstream: Upstream, address: str, spare: Spare, names: Names | None
) -> Sharing:  # fmt: skip
    try:
        edits = _edits(configuration.installation.host, configuration, upstream, address, spare, names)
    except UsageError:
        edits = []
    texts: dict[str, str] = {}
    for edit in edits:
        texts |= edit
    number = [one.directive for one in configuration.upstreams()].index(upstream.directive)
    after = configuration.edited(texts).upstreams()[number]
    return Sharing(upstream=upstream.name, method=upstream.method, before=upstream.servers, after=after.servers)


__all__ = [
    "Proof", "Spare", "answers_table", "ask", "astray", "balancers", "look", "meant", "names_of", "notes",
    "overview", "plan", "proof_table", "prove_all", "shares_chart", "shares_table", "sharing", "silent", "suits",
    "telling",
]  # fmt: skip
