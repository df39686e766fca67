"""WHO, as values: people and service accounts, departments, roles with their grants, delegates, and what is asked.

Rules without I/O. Ids are what the ledger and the database hold; names are what people read. A name may change, an id
never does, and a person who has left stays known by both.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from opsnb.control.records import Risk

ANY = ("*",)  # every runbook, environment or group; the default of a grant
NOTEBOOK = ".ipynb"
RISKS = (Risk.READ, Risk.CHANGE, Risk.DANGER)  # from the least to the highest


class Kind(StrEnum):
    """What stands behind a name."""

    PERSON = "person"  # somebody
    SERVICE = "service"  # a program: may ask and apply where it is granted, and never approves


class Action(StrEnum):
    """What a role may allow."""

    READ = "read"  # see runs, requests, records; run what only reads
    PLAN = "plan"  # run a change in mode plan
    REQUEST = "request"  # ask for approval of a plan
    APPROVE = "approve"  # approve, return, reject or veto somebody else's request
    APPLY = "apply"  # start, retry or undo what was approved
    EXEC = "exec"  # run a command by hand
    SSH = "ssh"  # open a terminal
    CP = "cp"  # copy files by hand
    TRUST = "trust"  # pin a host's keys
    SECRET = "secret"  # noqa: S105  (store, rotate and remove secrets)
    ACTIVATE = "activate"  # make changed workspace files the ones that hold
    ADMINISTER = "administer"  # users, departments, roles, delegates
    AUDIT = "audit"  # read the ledger, export and verify it, read who logged in
    FREEZE = "freeze"  # declare and lift freeze windows
    BREAK_GLASS = "break_glass"  # act without approval in an emergency; reviewed afterwards

    @property
    def verb(self) -> str:
        """The action as a sentence says it: ``may not keep secrets``."""
        return VERBS.get(self, self.value)


VERBS = {
    Action.EXEC: "run commands by hand", Action.SSH: "open terminals", Action.CP: "copy files by hand",
    Action.TRUST: "pin host keys", Action.SECRET: "keep secrets", Action.BREAK_GLASS: "break the glass",
}  # fmt: skip


ON_RUNBOOKS = frozenset({Action.READ, Action.PLAN, Action.REQUEST, Action.APPROVE, Action.APPLY})
ON_HOSTS = ON_RUNBOOKS | {Action.EXEC, Action.SSH, Action.CP, Action.TRUST, Action.BREAK_GLASS}
PEOPLE_ONLY = frozenset({Action.APPROVE, Action.ACTIVATE, Action.ADMINISTER, Action.BREAK_GLASS})  # no service account


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person or a service account.

    Args:
        id: Never changes, never used twice.
        name: What they sign in with.
        kind: A service account never approves.
        department: A department's id; empty without one.
        active: Somebody who has left is made inactive, never erased.
        display: Their full name, for people to read.
        mail: Where to write to.
    """

    id: str
    name: str
    kind: Kind = Kind.PERSON
    department: str = ""
    active: bool = True
    display: str = ""
    mail: str = ""

    @property
    def shown(self) -> str:
        """The name as people read it: the full name never without the one that is theirs alone."""
        return f"{self.display} ({self.name})" if self.display and self.display != self.name else self.name


@dataclass(frozen=True, kw_only=True)
class Department:
    """A node of the tree of departments; ``parent`` is a department's id, ``leader`` a person's, both may be empty."""

    id: str
    name: str
    parent: str = ""
    leader: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One thing that a role allows, and where.

    Args:
        action: What.
        runbooks: Globs of runbook ids (``NGX-*``), for what is done with runbooks.
        environments: Globs of environments. A host without one is covered by ``*`` alone.
        groups: Globs of host groups; a host must be in one of them. ``*`` covers a host without groups too.
        risk: The highest risk.
    """

    action: Action
    runbooks: tuple[str, ...] = ANY
    environments: tuple[str, ...] = ANY
    groups: tuple[str, ...] = ANY
    risk: Risk = Risk.DANGER

    def __str__(self) -> str:
        """Return the grant in words: ``approve NGX-* in staging on web up to change``; :mod:`.grants` reads them."""
        words = [self.action.value]
        words += [",".join(self.runbooks)] if self.runbooks != ANY else []
        words += [f"in {','.join(self.environments)}"] if self.environments != ANY else []
        words += [f"on {','.join(self.groups)}"] if self.groups != ANY else []
        words += [f"up to {self.risk}"] if self.risk is not Risk.DANGER else []
        return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class Role:
    """A named set of grants."""

    id: str
    name: str
    grants: tuple[Grant, ...] = ()
    builtin: bool = False


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """``to`` may approve in place of ``from_`` from ``begin`` until before ``end``. All three who are persons' ids.

    ``removed`` is when somebody ended it early; it is kept, so that nobody can hide that it was there.
    """

    id: str
    from_: str
    to: str
    begin: datetime
    end: datetime
    by: str
    removed: datetime | None = None

    @property
    def until(self) -> datetime:
        """When it ends, or ended early."""
        return self.end if self.removed is None else min(self.end, self.removed)

    def holds(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return self.begin <= now < self.until

    def held_between(self, since: datetime, now: datetime) -> bool:
        """Whether it held at any moment from ``since`` to ``now``, both included."""
        return self.begin < self.until and self.begin <= now and since < self.until


@dataclass(frozen=True, kw_only=True)
class Site:
    """One host, as far as a grant looks at it."""

    name: str
    environment: str = ""
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Site:
        """Return the host of a sealed row (``name``, ``environment``, ``groups``)."""
        environment, groups = row.get("environment") or "", row.get("groups") or ()
        return cls(name=str(row["name"]), environment=str(environment), groups=frozenset(map(str, groups)))


@dataclass(frozen=True, kw_only=True)
class Target:
    """What something is to be done with.

    Args:
        runbook: Its id, or the path of a notebook outside the catalog; empty where no runbook is meant.
        risk: The runbook's.
        sites: The hosts.
        environments: Environments meant without hosts (a freeze).
    """

    runbook: str = ""
    risk: Risk = Risk.READ
    sites: tuple[Site, ...] = ()
    environments: tuple[str, ...] = ()

    @classmethod
    def of(cls, runbook: str, risk: Risk | str, rows: Iterable[Mapping[str, Any]]) -> Target:
        """Return the target of a run with these sealed host rows."""
        return cls(runbook=runbook, risk=Risk(risk), sites=tuple(Site.of(row) for row in rows))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts."""
        return tuple(site.name for site in self.sites)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An answer with its reason, in names that people read.

    Args:
        ok: The answer.
        reason: One sentence: what allows it, or what is missing.
        on_behalf_of: The id of the person whose right was used, when it is not the actor's own.
        through: The ids of the roles that allow it.
    """

    ok: bool
    reason: str
    on_behalf_of: str = ""
    through: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts in a call, and how they came in.

    Args:
        person: Who.
        via: ``local`` (the token in ``.opsnb/``), ``session`` or ``token``.
        scopes: The actions that the session or token is good for; ``*`` is all that the person may.
        token: The id of the session or token.
    """

    person: Person
    via: str = "local"
    scopes: frozenset[str] = field(default_factory=lambda: frozenset(ANY))
    token: str = ""

    def in_scope(self, action: Action) -> bool:
        """Whether the session or token is good for this action."""
        return "*" in self.scopes or action.value in self.scopes


def covers(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the globs matches; an empty name is matched by ``*`` alone."""
    return any(p == "*" or (name and fnmatch.fnmatchcase(name, p)) for p in patterns)


def covers_runbook(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the globs matches a runbook: a glob of ids never matches a notebook that is known by its path."""
    if name.endswith(NOTEBOOK):
        patterns = tuple(p for p in patterns if p == "*" or p.endswith(NOTEBOOK))
    return covers(patterns, name)
