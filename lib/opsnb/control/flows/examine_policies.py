"""Policies that name whom or what there is not: a slip that else shows when somebody waits for an approval in vain.

What ``opsnb.yaml`` says now is compared with the people of the database and the environments of the inventory. People
come and go, so none of it is an error of the settings: it is worth knowing, before it is activated best of all.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import quote

from opsnb.base.errors import OpsnbError
from opsnb.base.nearest import did_you_mean
from opsnb.base.settings import read as read_settings
from opsnb.base.workspace import SETTINGS_FILE, Workspace
from opsnb.control.approvals.policy import Policy, Rule
from opsnb.control.approvals.values import Handler, HandlerKind, Need, Step
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows.finding import Finding, State
from opsnb.control.people.builtin import ROLES
from opsnb.fleet.inventory import load

PEOPLE = "SELECT id, name, kind, active FROM people"
HELD = "SELECT role, person FROM memberships"
OWN = "SELECT id, name FROM roles"
LED = "SELECT id, name, leader FROM departments"


@dataclass(frozen=True, kw_only=True)
class Known:
    """Who is here: active people, who holds each role, who leads each department; ids, by a name without its case.

    ``others`` are those who left, and service accounts: whether it is one.
    """

    people: dict[str, str] = field(default_factory=dict)
    others: dict[str, bool] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)
    leaders: dict[str, str] = field(default_factory=dict)

    def meant(self, handler: Handler) -> set[str]:
        """Return whom a handler means; the applicant's leader is somebody, whoever it is."""
        name = handler.name.casefold()
        match handler.kind:
            case HandlerKind.PERSON:
                return {self.people.get(name, "")} - {""}
            case HandlerKind.ROLE:
                return self.roles.get(name, set())
            case HandlerKind.LEADER:
                return {self.leaders.get(name, "")} & set(self.people.values())
            case _:
                return {handler.kind}


def policies(workspace: Workspace) -> Iterator[Finding]:
    """Name what the policies of ``opsnb.yaml`` mean that is not there."""
    try:
        rules = read_policies(read_settings(workspace.root / SETTINGS_FILE).policies).rules
        environments = {host.environment for host in load(workspace.root).hosts.values()}
    except OpsnbError:
        return  # the settings, or the inventory, are a finding of their own
    known = _known(workspace)
    if known is None:
        return  # no state yet, or it lies in PostgreSQL
    found = [one for rule in rules for one in (*_strange(rule.policy, known), *_elsewhere(rule, environments))]
    for said, mend in found:
        yield Finding(name="policies", state=State.WARNING, found=said, mend=mend)
    if rules and not found:
        yield Finding(name="policies", state=State.OK, found="whom and what they name is there")


def _strange(policy: Policy, known: Known) -> Iterator[tuple[str, str]]:
    """Yield whom a policy names and nobody is, and steps for which there are too few."""
    named = [*policy.notice]
    for step in policy.steps.steps:
        named += [*step.handlers, *step.escalate_to]
    for free in policy.free:
        named += [*free.people, *free.notice]
    for glass in policy.glass:
        named += [*glass.people, *glass.notice]
    for handler in dict.fromkeys(named):
        if not known.meant(handler) and handler.kind is not HandlerKind.ANYONE:
            said, mend = _nobody(handler, known)
            yield f"{policy.name}: {handler.kind}:{handler.name} {said}", mend
    for step in policy.steps.steps:
        yield from _few(policy.name, step, known)


def _few(name: str, step: Step, known: Known) -> Iterator[tuple[str, str]]:
    handlers = (*step.handlers, *step.escalate_to)
    if step.need is not Need.SOME or any(handler.kind is HandlerKind.ANYONE for handler in handlers):
        return
    there = len(set().union(*map(known.meant, handlers)))
    if 0 < there < step.count:
        yield (
            f"{name}: step '{step.name}' wants {step.count} approvals, and it means {there}",
            "a smaller number of approvals, or more people in by:",
        )


def _elsewhere(rule: Rule, environments: set[str]) -> Iterator[tuple[str, str]]:
    for glob in rule.environments:
        if not any(fnmatchcase(one, glob) for one in (*environments, "")):
            hint = did_you_mean(glob, environments - {""}, what="environments")
            yield f"{rule.policy.name}: no host is in environment '{glob}'", hint or "see: opsnb host list"


def _nobody(handler: Handler, known: Known) -> tuple[str, str]:
    """Return why a handler means nobody, and what mends it."""
    name = handler.name.casefold()
    bot = known.others.get(name) if handler.kind is HandlerKind.PERSON else None
    if bot is None:
        return "is nobody here", _mend(handler, name, known)
    if bot:
        return "is a service account, and those never approve", "name a person"
    return "has left", f"name somebody else, or: opsnb user activate {handler.name}"


def _mend(handler: Handler, name: str, known: Known) -> str:
    match handler.kind:
        case HandlerKind.PERSON:
            return did_you_mean(name, known.people, what="people")
        case HandlerKind.LEADER if name in known.leaders:
            return f"opsnb department set '{handler.name}' --leader NAME"
        case HandlerKind.LEADER:
            return did_you_mean(name, known.leaders, what="departments") or "opsnb department add NAME"
        case _ if name in known.roles:
            return f"opsnb user set NAME --role {handler.name}"
        case _:
            return did_you_mean(name, known.roles, what="roles")


def _known(workspace: Workspace) -> Known | None:
    try:
        where = f"file:{quote(str(workspace.database.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=30)) as opened:
            people, held, own, led = (opened.execute(query).fetchall() for query in (PEOPLE, HELD, OWN, LED))
    except sqlite3.Error:
        return None
    names = {role: name.casefold() for role, name in own}
    active = {person for person, _, kind, here in people if here and kind == "person"}
    roles: dict[str, set[str]] = {name: set() for name in (*ROLES, *names.values())}
    for role, person in held:
        roles.setdefault(names.get(role, role), set()).update({person} & active)
    leaders = {key.casefold(): leader for row, name, leader in led for key in (row, name)}
    return Known(
        people={name.casefold(): person for person, name, *_ in people if person in active},
        others={name.casefold(): kind != "person" for person, name, kind, _ in people if person not in active},
        roles=roles, leaders=leaders,
    )  # fmt: skip
