"""What the ledger says: one value for each act that an auditor may ask about, and its canonical bytes.

Rules without I/O:

* An entry holds ids, enums, whole numbers, times and digests; free text and parameter values have no place in it, so
  that an entry never has to be deleted. A digest of content is salted: deleting content and salt redacts it.
* An entry is one line of canonical JSON: the event's fields with ``kind``, ``index`` (its place in the ledger, from 0)
  and ``at`` (UTC, milliseconds).
* A value that breaks a rule is refused when the event is made, long before it reaches the ledger.
"""

# ruff: noqa: RUF009 - one_of() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from opsnb.base.canonical import canonical
from opsnb.base.errors import UsageError
from opsnb.control.ledger.event import (
    HEX_DIGEST,
    STAMP,
    Event,
    checked,
    digested,
    flag,
    identifier,
    number,
    one_of,
    pattern,
)
from opsnb.control.ledger.events_activation import ACTIVATION_EVENTS
from opsnb.control.ledger.events_approvals import APPROVAL_EVENTS
from opsnb.control.ledger.events_claims import CLAIM_EVENTS
from opsnb.control.ledger.events_glass import GLASS_EVENTS
from opsnb.control.ledger.events_isolation import ISOLATION_EVENTS
from opsnb.control.ledger.events_login import LOGIN_EVENTS
from opsnb.control.ledger.events_people import PEOPLE_EVENTS
from opsnb.control.records import Mode, Risk, Verdict

ORIGIN = re.compile(r"[A-Za-z0-9._:/-]{1,120}")  # a schema-less URL, as C2SP tlog-checkpoint recommends
RUN_PATH = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/(?P<run>[A-Za-z0-9._:-]{1,80})")
SITE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,9}")
MAX_SITE_PATH = 200  # characters; verify.py reads no longer value
MAX_ENTRY = 1024 * 1024  # bytes of one entry; verify.py reads no longer line


class Outcome(StrEnum):
    """What became of one intended change."""

    OK = "ok"  # done
    FAILED = "failed"  # tried, and it did not work
    UNKNOWN = "unknown"  # nobody knows whether it happened


class Isolation(StrEnum):
    """What confined a run's kernel."""

    LANDLOCK = "landlock"  # an allow-list in the kernel of this system
    NONE = "none"  # nothing


class UnrecordedReason(StrEnum):
    """Why a run that ended has no record."""

    DISK_FULL = "disk_full"  # no room for it
    LOST = "lost"  # its notebook or working files are gone


class Purpose(StrEnum):
    """What a secret was released for."""

    REVEAL = "reveal"  # the notebook asked for its value
    OBSERVE = "observe"  # to read a host
    CHANGE = "change"  # to change a host, after the plan was let through
    SUDO = "sudo"  # to become root on a host


def _site_files(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(p, str)
        and len(p) <= MAX_SITE_PATH
        and SITE_PATH.fullmatch(p)
        and isinstance(d, str)
        and HEX_DIGEST.fullmatch(d)
        for p, d in value.items()
    )


@dataclass(frozen=True, kw_only=True)
class LedgerOpened(Event):
    """The ledger begins; always entry 0. ``origin`` names it in every checkpoint."""

    kind: ClassVar[str] = "ledger.opened"
    origin: str = pattern(ORIGIN, "1 to 120 of A-Z a-z 0-9 . _ : / -")


@dataclass(frozen=True, kw_only=True)
class RequestSealed(Event):
    """A request became unchangeable. ``digest`` is SHA-256(salt ‖ canonical request)."""

    kind: ClassVar[str] = "request.sealed"
    request: str = identifier()
    risk: Risk = one_of(Risk)
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class RunClaimed(Event):
    """A run took its request: from here on it may act."""

    kind: ClassVar[str] = "run.claimed"
    run: str = identifier()
    request: str = identifier()
    mode: Mode = one_of(Mode)
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class PlanProposed(Event):
    """A run proposed a plan. ``plan`` is SHA-256(salt ‖ ASCII plan digest)."""

    kind: ClassVar[str] = "plan.proposed"
    run: str = identifier()
    request: str = identifier()
    plan: str = digested()


@dataclass(frozen=True, kw_only=True)
class IntentOpened(Event):
    """A run is about to make one change of its plan, counted from 0."""

    kind: ClassVar[str] = "intent.opened"
    run: str = identifier()
    change: int = number()


@dataclass(frozen=True, kw_only=True)
class IntentClosed(Event):
    """What became of that change."""

    kind: ClassVar[str] = "intent.closed"
    run: str = identifier()
    change: int = number()
    outcome: Outcome = one_of(Outcome)


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event):
    """Somebody asked a run to stop."""

    kind: ClassVar[str] = "run.stopped"
    run: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """A run ended. ``notebook`` is SHA-256(salt ‖ run.ipynb), ``files`` SHA-256(salt ‖ canonical manifest rows)."""

    kind: ClassVar[str] = "run.finished"
    run: str = identifier()
    request: str = identifier()
    mode: Mode = one_of(Mode)
    verdict: Verdict = one_of(Verdict)
    notebook: str = digested()
    files: str = digested()
    isolation: Isolation = one_of(Isolation)


@dataclass(frozen=True, kw_only=True)
class RunRecorded(Event):
    """A run's record is complete. ``html`` is SHA-256(salt ‖ run.html), ``manifest`` SHA-256(manifest.json)."""

    kind: ClassVar[str] = "run.recorded"
    run: str = identifier()
    path: str = pattern(RUN_PATH, "YYYY/MM/DD/<run>")
    html: str = digested()
    manifest: str = digested()

    def __post_init__(self) -> None:
        super().__post_init__()
        match = RUN_PATH.fullmatch(self.path)
        if match is None or match["run"] != self.run or self.run.startswith("."):
            raise UsageError(f"ledger event {self.kind}: 'path' must end in the run's id, {self.run}")


@dataclass(frozen=True, kw_only=True)
class RunUnrecorded(Event):
    """A run ended and its record could not be kept: said here rather than left as a gap."""

    kind: ClassVar[str] = "run.unrecorded"
    run: str = identifier()
    reason: UnrecordedReason = one_of(UnrecordedReason)


@dataclass(frozen=True, kw_only=True)
class HostTrusted(Event):
    """Somebody trusted a host's keys. Each digest is SHA-256(salt ‖ ...): of its name, of the canonical key lines."""

    kind: ClassVar[str] = "host.trusted"
    by: str = identifier()
    host: str = digested()
    keys: str = digested()
    before: str = digested()
    replaced: bool = flag()


@dataclass(frozen=True, kw_only=True)
class SitePublished(Event):
    """The files of ``outputs/`` that belong to no run, path to SHA-256; the latest such entry holds."""

    kind: ClassVar[str] = "site.published"
    files: Mapping[str, str] = checked(_site_files, "relative paths with 64 lower-case hex digits each")


@dataclass(frozen=True, kw_only=True)
class SecretSet(Event):
    """Somebody stored a secret. ``secret`` is the id of its name; the ledger knows neither name nor value."""

    kind: ClassVar[str] = "secret.set"
    secret: str = identifier()
    version: int = number()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class SecretRotated(Event):
    """Somebody gave a stored secret a new value."""

    kind: ClassVar[str] = "secret.rotated"
    secret: str = identifier()
    version: int = number()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class SecretRemoved(Event):
    """Somebody deleted a stored secret, every version of it."""

    kind: ClassVar[str] = "secret.removed"
    secret: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class SecretsRekeyed(Event):
    """Somebody had all ``count`` stored values encrypted anew under a new key."""

    kind: ClassVar[str] = "secret.rekeyed"
    count: int = number()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class SecretRevealed(Event):
    """A secret was released to a run. ``version`` is 0 where its source has none."""

    kind: ClassVar[str] = "secret.revealed"
    run: str = identifier()
    secret: str = identifier()
    version: int = number()
    purpose: Purpose = one_of(Purpose)


_KINDS: tuple[type[Event], ...] = (
    LedgerOpened, RequestSealed, RunClaimed, PlanProposed, IntentOpened, IntentClosed, RunStopped,
    RunFinished, RunRecorded, RunUnrecorded, HostTrusted, SitePublished, SecretSet, SecretRotated, SecretRemoved,
    SecretsRekeyed, SecretRevealed, *PEOPLE_EVENTS, *LOGIN_EVENTS, *APPROVAL_EVENTS, *CLAIM_EVENTS, *ISOLATION_EVENTS,
    *ACTIVATION_EVENTS, *GLASS_EVENTS,
)  # fmt: skip
EVENTS: dict[str, type[Event]] = {event.kind: event for event in _KINDS}


def entry_bytes(event: Event, index: int, at: str) -> bytes:
    """Return the entry as one line of canonical JSON, without a newline.

    Args:
        event: What happened.
        index: The entry's place in the ledger, from 0.
        at: When, as :func:`opsnb.base.clock.stamp` writes it.

    Raises:
        UsageError: If the index or the time has another form, or the entry is over ``MAX_ENTRY`` bytes.
    """
    if type(index) is not int or index < 0 or not STAMP.fullmatch(at):
        raise UsageError(f"ledger entry {index!r} at {at!r}: wanted an index from 0 and a UTC time with milliseconds")
    data = canonical({**event.as_json(), "kind": event.kind, "index": index, "at": at})
    if len(data) > MAX_ENTRY:
        raise UsageError(f"ledger event {event.kind} is {len(data)} bytes long; at most {MAX_ENTRY} are kept")
    return data
