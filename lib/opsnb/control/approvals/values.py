"""What an approval is made of: flows with steps and handlers, the acts of people, and what the acts add up to.

Values without I/O. People come in through :class:`Who`, a snapshot that the caller makes of them; this package knows
nobody. Every time is an aware ``datetime``; every duration is in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from opsnb.base.errors import UsageError
from opsnb.control import records
from opsnb.control.records import Risk

ActKind = records.ActKind
Status = records.ApprovalStatus
HOUR = 3600.0  # seconds
DAY = 24 * HOUR  # seconds


class HandlerKind(StrEnum):
    """How a step says who handles it."""

    ANYONE = "anyone"  # everybody entitled to approve the request
    PERSON = "person"  # the person of this name
    ROLE = "role"  # everybody who holds the role of this name
    LEADER = "leader"  # the leader of the department of this name
    APPLICANT_LEADER = "applicant_leader"  # the leader of whoever asked


class Need(StrEnum):
    """How many of those who may handle a step have to approve."""

    ANY = "any"  # one
    ALL = "all"  # each of them
    SOME = "some"  # as many as the step's count says


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Yes or no, and the reason in one sentence (English; ``base.i18n.retell`` says it in Chinese)."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True, order=True)
class Handler:
    """Who handles a step; ``name`` is empty for ``anyone`` and ``applicant_leader``."""

    kind: HandlerKind
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a flow.

    Args:
        name: Unique in its flow.
        handlers: Who may handle it: whoever one of them means.
        need: How many of those people have to approve.
        count: How many, where ``need`` is ``some``; where it is ``all``, how many at least.
        within: Seconds after which a step that is not done is escalated; 0: never.
        escalate_to: Who may handle it then too.
    """

    name: str
    handlers: tuple[Handler, ...]
    need: Need = Need.ANY
    count: int = 1
    within: float = 0.0
    escalate_to: tuple[Handler, ...] = ()

    def __post_init__(self) -> None:
        if not self.handlers or self.count < 1:
            raise UsageError(f"step '{self.name}' needs a handler and a count of at least 1")
        if self.need is Need.ALL and any(h.kind is HandlerKind.ANYONE for h in self.handlers):
            raise UsageError(f"step '{self.name}' cannot need all of anyone", hint="name persons or roles")


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What has to be said before a request counts as approved.

    Args:
        steps: The steps; none: approved as soon as it is asked for.
        parallel: Whether all steps are open at once, or each when those before it are done.
        open_for: Seconds from the asking in which approvals are taken.
        validity: Seconds that each approval counts.
        own: Whether the only person of a workspace may approve what they asked for themselves.
        review: Seconds from the asking in which somebody else has to look at what went without a step; 0: nobody.
    """

    steps: tuple[Step, ...] = ()
    parallel: bool = False
    open_for: float = 7 * DAY
    validity: float = DAY
    own: bool = True
    review: float = 0.0

    def __post_init__(self) -> None:
        if len({s.name for s in self.steps}) != len(self.steps):
            raise UsageError("two steps of one flow have the same name")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is asked for, as far as it decides who may approve.

    Args:
        request: The request's id.
        digest: Its digest as sealed.
        plan: The digest of the plan that people read.
        requester: Id of who asked.
        authors: Ids of the people who wrote the notebook.
        runbook: The runbook's id or path.
        risk: Its risk.
        environments: Every environment among its hosts; a host without one is in ``""``.
        groups: Every group among its hosts.
        asked: When it was asked for.
        review_due: When it has to be reviewed, where it went without an approval once: whoever was on call then may not
            be any more.
    """

    request: str
    digest: str
    plan: str
    requester: str
    authors: frozenset[str] = frozenset()
    runbook: str = ""
    risk: Risk = Risk.CHANGE
    environments: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    asked: datetime
    review_due: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Act:
    """What one person did (or the clock, then ``person`` is empty) about a request and the plan they read.

    Args:
        kind: What.
        person: Id of who did it.
        at: When.
        request: The request digest that they meant.
        plan: The plan digest that they meant.
        step: The step it is about; empty where it is about the whole request.
        on_behalf_of: Id of the person for whom they acted; empty: for themselves.
        to: Id of the person to whom a step was handed.
        comment: What they wrote.
    """

    kind: ActKind
    person: str = ""
    at: datetime
    request: str
    plan: str
    step: str = ""
    on_behalf_of: str = ""
    to: str = ""
    comment: str = ""

    @property
    def voice(self) -> str:
        """Whose right was used: that of the person acted for, else their own."""
        return self.on_behalf_of or self.person


@dataclass(frozen=True, kw_only=True)
class StepState:
    """Where a step stands.

    Args:
        name: The step's name.
        open: Whether it can be handled now.
        done: Whether enough people approved.
        needed: How many people it needs.
        approvals: The approvals that count, oldest first.
        people: Ids of those who may handle it now, not counting whoever ``anyone`` means.
        anyone: Whether everybody entitled may handle it.
        handed: Who handed their part to whom.
        escalated: Whether it was escalated.
        since: When it opened; ``None`` while it has not.
    """

    name: str
    open: bool
    done: bool
    needed: int
    approvals: tuple[Act, ...] = ()
    people: frozenset[str] = frozenset()
    anyone: bool = False
    handed: dict[str, str] = field(default_factory=dict)
    escalated: bool = False
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """What the acts about a request add up to at one moment.

    Args:
        status: The sum.
        reason: It in one sentence.
        steps: Each step.
        until: When an approved request stops being approved, or an open one stops taking approvals; else ``None``.
        own: Whether a counting approval is the requester's own.
        review_due: When what went without an approval has to be reviewed; ``None``: it has not.
        reviewed: Whether it was.
    """

    status: Status
    reason: str
    steps: tuple[StepState, ...] = ()
    until: datetime | None = None
    own: bool = False
    review_due: datetime | None = None
    reviewed: bool = False

    @property
    def approvals(self) -> tuple[Act, ...]:
        """Every approval that counts, step by step."""
        return tuple(a for s in self.steps for a in s.approvals)


class Who(Protocol):
    """People, as far as approvals ask: a snapshot of one moment. An id that nobody has is nobody: inactive."""

    def name(self, person: str) -> str:
        """Return what a person is called; the id where nobody has it."""

    def named(self, name: str) -> str:
        """Return the id of the person of this name; empty where there is none."""

    def active(self, person: str) -> bool:
        """Whether they are an active person of the workspace."""

    def bot(self, person: str) -> bool:
        """Whether this is a service account."""

    def alone(self) -> bool:
        """Whether the workspace has one active person (service accounts are none)."""

    def holders(self, role: str) -> frozenset[str]:
        """Return the ids of everybody who holds a role."""

    def leader(self, department: str) -> str:
        """Return the id of a department's leader; empty where it has none."""

    def leader_of(self, person: str) -> str:
        """Return the id of a person's leader; empty where they have none."""

    def stands_for(self, person: str, at: datetime) -> frozenset[str]:
        """Return the ids of those whose delegate the person is at a moment; never chained."""

    def stood_for(self, person: str, other: str, since: datetime, until: datetime) -> bool:
        """Whether the person was a delegate of another at any moment of a time, both ends included."""

    def entitled(self, person: str, subject: Subject, at: datetime) -> str:
        """Return why a person may not approve such a request on every host of it; empty: they may, by their own right.

        What somebody may only as a delegate is not theirs: then they act on behalf of the other, and say so.
        """
