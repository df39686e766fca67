"""The values that every control service shares: what a run is, which states it may pass, what its record says.

Rules without I/O. A run's life is ``QUEUED → STARTING → RUNNING → RECORDING → ENDED``; it may end early from any
state through ``RECORDING``, and only an ended run has a verdict that no longer changes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from opsnb.base.errors import OpsnbError


class Mode(StrEnum):
    """What a run may do."""

    READ = "read"  # only reads, no plan
    PLAN = "plan"  # only reads, ends in a plan
    APPLY = "apply"  # carries out an approved plan
    UNDO = "undo"  # carries out the inverse of a plan that was applied
    RETRY = "retry"  # carries out what an application did not finish

    @property
    def changes(self) -> bool:
        """Whether a run in this mode may change something."""
        return self not in {Mode.READ, Mode.PLAN}


class Risk(StrEnum):
    """What a runbook may do to the hosts it names."""

    READ = "read"  # changes nothing
    CHANGE = "change"  # changes something that can be undone
    DANGER = "danger"  # changes something that may not be undone


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"  # accepted, waiting for a worker
    STARTING = "starting"  # claimed by a worker, its kernel is being prepared
    RUNNING = "running"  # cells are executing
    RECORDING = "recording"  # the notebook is final, its record is being written
    ENDED = "ended"  # the record is in outputs/, the verdict stands


class Verdict(StrEnum):
    """How a run ended; computed by the control plane, never by a cell."""

    DONE = "DONE"  # every cell completed, every check held
    PLANNED = "PLANNED"  # mode plan ended in a plan
    NOT_APPLICABLE = "NOT_APPLICABLE"  # the runbook said that it is the wrong one
    FAILED = "FAILED"  # a cell failed or a check did not hold
    DRIFTED = "DRIFTED"  # the plan is no longer what was approved; nothing was touched
    ABORTED = "ABORTED"  # stopped, timed out or killed
    LOST = "LOST"  # a change was begun and has no result: nobody knows


class CellState(StrEnum):
    """What became of one cell."""

    COMPLETED = "completed"  # ran to its end
    FAILED = "failed"  # raised
    INTERRUPTED = "interrupted"  # stopped or timed out while it ran
    KILLED = "killed"  # its kernel died while it ran
    SKIPPED = "skipped"  # carries the tag skip-execution
    NOT_EXECUTED = "not executed"  # the run ended before it
    TEXT = "text"  # markdown or raw: nothing to execute


class ActKind(StrEnum):
    """What somebody did about a request, or the clock did."""

    APPROVE = "approve"  # yes to exactly this request and plan
    RETURN = "return"  # plan anew, for the reason given
    REJECT = "reject"  # no, by a handler of an open step: the request ends
    VETO = "veto"  # no, by anybody entitled, whatever the others said: the request ends
    WITHDRAW = "withdraw"  # the requester takes the request back
    DELEGATE = "delegate"  # a handler hands their part of a step to another entitled person
    ESCALATE = "escalate"  # the clock: the step waited too long, its further handlers join
    EXPIRE = "expire"  # the clock: nobody can approve it any more
    COMMENT = "comment"  # words only
    REVIEW = "review"  # somebody looked afterwards at what went without an approval


class ApprovalStatus(StrEnum):
    """What the acts about a request add up to."""

    OPEN = "open"  # more has to be said
    APPROVED = "approved"  # enough was said, and it is still valid
    RETURNED = "returned"  # the requester has to plan anew
    REJECTED = "rejected"  # ended by a handler
    VETOED = "vetoed"  # ended by a veto
    WITHDRAWN = "withdrawn"  # ended by the requester
    EXPIRED = "expired"  # the time is over

    @property
    def final(self) -> bool:
        """Whether nothing that is said about this request and plan changes it any more."""
        return self not in {ApprovalStatus.OPEN, ApprovalStatus.APPROVED}


class Cause(StrEnum):
    """What keeps a change from being claimed: the one thing that is not as it was approved, or not as it has to be."""

    REQUEST = "request"  # its sealed bytes are others in the database
    PARAMETERS = "parameters"  # so are its parameters
    PLAN = "plan"  # there is none, or it is another than was approved
    NOTEBOOK = "notebook"  # its bytes are others
    REVISION = "revision"  # what is on the disk is not what was activated
    TOOLKIT = "toolkit"  # so is what it imports from here
    POLICY = "policy"  # another one applies, or it says something else
    HOSTS = "hosts"  # a host has come or gone
    HOST_KEY = "host_key"  # a host has another key
    INVENTORY = "inventory"  # a host is described otherwise, or cannot be looked up
    ISOLATION = "isolation"  # this system cannot confine a kernel
    WRITES = "writes"  # the user that kernels are may not write where the runbook writes
    PERSON = "person"  # somebody who is needed has left
    ROLE = "role"  # somebody who is needed may not any more
    DELEGATE = "delegate"  # a delegation that was used does not hold, or one stands against it
    SELF = "self"  # the requester's own approval does not count here
    FREEZE = "freeze"  # nothing may be changed now, or not for as long as it may take
    APPROVALS = "approvals"  # more people have to approve
    ENDED = "ended"  # it was returned, rejected, vetoed or withdrawn
    EXPIRED = "expired"  # its time is over
    CLAIMED = "claimed"  # it was claimed before
    GLASS = "glass"  # the broken glass under which it was started does not let it through
    GRANT = "grant"  # by hand on protected hosts: no grant holds any more


class Start(StrEnum):
    """When an approved request is applied."""

    ASKED = "asked"  # when somebody entitled says so
    APPROVED = "approved"  # as soon as it is approved
    TIME = "time"  # at a set time, or when it is approved after that


TRANSITIONS = {
    RunState.QUEUED: {RunState.STARTING, RunState.RECORDING},
    RunState.STARTING: {RunState.RUNNING, RunState.RECORDING, RunState.QUEUED},
    RunState.RUNNING: {RunState.RECORDING},
    RunState.RECORDING: {RunState.ENDED},
    RunState.ENDED: set(),
}


class IllegalTransitionError(OpsnbError):
    """A run was asked to move to a state that does not follow its own."""


def check_transition(run: str, old: RunState, new: RunState) -> None:
    """Raise unless ``old → new`` is legal.

    Raises:
        IllegalTransitionError: Names the run, both states and the legal ones.
    """
    if new not in TRANSITIONS[old]:
        legal = ", ".join(sorted(TRANSITIONS[old])) or "none"
        raise IllegalTransitionError(f"run {run} cannot go from '{old}' to '{new}'; legal: {legal}")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise looked at: what, what was found, what was wanted, whether it held."""

    what: str
    got: Any
    want: Any
    ok: bool


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What became of one cell of the executed notebook (``index`` counts all its cells from 0)."""

    index: int
    state: CellState
    seconds: float | None = None
    why: str = ""
    cut_bytes: int = 0  # output bytes that were cut here; 0 when all is there


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that a run's rendered record says besides its cells. JSON in, JSON out.

    Times are ISO 8601 UTC. ``hosts`` are the sealed rows; ``approvals`` rows are ``{"who", "at", "self"}``;
    ``without``, of a run that nobody had to approve, is ``{"policy", "review_due", "told"}``, of one under a broken
    glass ``{"glass", "who", "until", "review_due", "told"}``: request, names, times;
    ``applied`` rows are ``{"change", "host", "what", "state", "why"}`` with state ``ok | failed | unknown |
    unreachable | not begun``; ``plan`` is ``Plan.as_json()``; ``ledger`` is ``{"index", "size", "root", "at"}`` of the
    entry ``run.finished``;
    ``facts`` is the front matter as written; ``parameters`` rows are ``{"name", "value", "label", "default"}``.
    """

    run: str
    request: str
    request_digest: str
    runbook: str  # the id, or the file name of a notebook without front matter
    title: str
    promise: str = ""
    risk: Risk = Risk.READ
    mode: Mode = Mode.READ
    verdict: Verdict = Verdict.DONE
    reason: str = ""  # one sentence: why this verdict
    requester: str = ""
    why: str = ""  # the reason that the requester gave
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    hosts: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    without: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] | None = None
    applied: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)  # {"path", "size", "sha256"}
    notes: list[str] = field(default_factory=list)  # cut output, isolation, anything the reader must know
    isolation: str = ""
    holds: list[str] = field(default_factory=list)  # what holds the kernel besides: system calls, user, cgroup
    digests: dict[str, str] = field(default_factory=dict)  # notebook (sealed), toolkit, executed
    ledger: dict[str, Any] = field(default_factory=dict)
    root_prefix: str = ""  # relative path from the record to outputs/, for links

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Record:
        """Read a record that :meth:`as_json` wrote; unknown fields are left out."""
        known = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        known["risk"], known["mode"] = Risk(known["risk"]), Mode(known["mode"])
        known["verdict"] = Verdict(known["verdict"])
        known["checks"] = [Check(**c) for c in known.get("checks", [])]
        known["cells"] = [Cell(**{**c, "state": CellState(c["state"])}) for c in known.get("cells", [])]
        return cls(**known)
