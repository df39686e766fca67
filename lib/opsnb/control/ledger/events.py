"""What the ledger says: one value for each act that an auditor may ask about, and its canonical bytes.

Rules without I/O:

* An entry holds ids, enums, whole numbers, times and digests; free text and parameter values have no place in it, so
  that an entry never has to be deleted. A digest of content is salted: deleting content and salt redacts it.
* An entry is one line of canonical JSON: the event's fields with ``kind``, ``index`` (its place in the ledger, from 0)
  and ``at`` (UTC, milliseconds).
* A value that breaks a rule is refused when the event is made, long before it reaches the ledger.
"""

# ruff: noqa: RUF009 - _one_of() is dataclasses.field() with a check; it is meant to be called once, for the class
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

from opsnb.base.canonical import MAX_SAFE_INTEGER, canonical
from opsnb.base.errors import UsageError
from opsnb.control.records import Mode, Risk, Verdict

IDENT = re.compile(r"[A-Za-z0-9._:-]{1,80}")
ORIGIN = re.compile(r"[A-Za-z0-9._:/-]{1,120}")  # a schema-less URL, as C2SP tlog-checkpoint recommends
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
RUN_PATH = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/(?P<run>[A-Za-z0-9._:-]{1,80})")
SITE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,9}")
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
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


Check = Callable[[Any], bool]


def _field(check: Check, want: str, *, name: str = "") -> Any:
    return field(metadata={"check": check, "want": want, "name": name})


def _pattern(pattern: re.Pattern[str], want: str) -> Any:
    return _field(lambda v: isinstance(v, str) and pattern.fullmatch(v) is not None, want)


def _id() -> Any:
    return _pattern(IDENT, "an id of 1 to 80 of A-Z a-z 0-9 . _ : -")


def _digest() -> Any:
    return _pattern(HEX_DIGEST, "64 lower-case hex digits")


def _one_of(kind: type[StrEnum]) -> Any:
    return _field(lambda v: isinstance(v, kind), f"a {kind.__name__}: {', '.join(kind)}")


def _number() -> Any:
    return _field(lambda v: type(v) is int and 0 <= v <= MAX_SAFE_INTEGER, "a whole number from 0")


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
class Event:
    """Base of every event: checks its fields when it is made.

    Raises:
        UsageError: Names the event, the field and what was wanted; never repeats a value that may be a secret.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for f in fields(self):
            if not f.metadata["check"](getattr(self, f.name)):
                raise UsageError(f"ledger event {self.kind}: '{f.name}' must be {f.metadata['want']}")

    def as_json(self) -> dict[str, Any]:
        """Return the event's own fields as JSON values."""
        return {f.metadata["name"] or f.name: _plain(getattr(self, f.name)) for f in fields(self)}


@dataclass(frozen=True, kw_only=True)
class LedgerOpened(Event):
    """The ledger begins; always entry 0. ``origin`` names it in every checkpoint."""

    kind: ClassVar[str] = "ledger.opened"
    origin: str = _pattern(ORIGIN, "1 to 120 of A-Z a-z 0-9 . _ : / -")


@dataclass(frozen=True, kw_only=True)
class RequestSealed(Event):
    """A request became unchangeable. ``digest`` is SHA-256(salt ‖ canonical request)."""

    kind: ClassVar[str] = "request.sealed"
    request: str = _id()
    risk: Risk = _one_of(Risk)
    digest: str = _digest()


@dataclass(frozen=True, kw_only=True)
class RequestApproved(Event):
    """Somebody approved a request with the plan they read. ``plan`` is SHA-256(salt ‖ ASCII plan digest)."""

    kind: ClassVar[str] = "request.approved"
    request: str = _id()
    by: str = _id()
    plan: str = _digest()
    self_approved: bool = _field(lambda v: isinstance(v, bool), "true or false", name="self")


@dataclass(frozen=True, kw_only=True)
class RunClaimed(Event):
    """A run took its request: from here on it may act."""

    kind: ClassVar[str] = "run.claimed"
    run: str = _id()
    request: str = _id()
    mode: Mode = _one_of(Mode)
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class PlanProposed(Event):
    """A run proposed a plan. ``plan`` is SHA-256(salt ‖ ASCII plan digest)."""

    kind: ClassVar[str] = "plan.proposed"
    run: str = _id()
    request: str = _id()
    plan: str = _digest()


@dataclass(frozen=True, kw_only=True)
class IntentOpened(Event):
    """A run is about to make one change of its plan, counted from 0."""

    kind: ClassVar[str] = "intent.opened"
    run: str = _id()
    change: int = _number()


@dataclass(frozen=True, kw_only=True)
class IntentClosed(Event):
    """What became of that change."""

    kind: ClassVar[str] = "intent.closed"
    run: str = _id()
    change: int = _number()
    outcome: Outcome = _one_of(Outcome)


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event):
    """Somebody asked a run to stop."""

    kind: ClassVar[str] = "run.stopped"
    run: str = _id()
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """A run ended. ``notebook`` is SHA-256(salt ‖ run.ipynb), ``files`` SHA-256(salt ‖ canonical manifest rows)."""

    kind: ClassVar[str] = "run.finished"
    run: str = _id()
    request: str = _id()
    mode: Mode = _one_of(Mode)
    verdict: Verdict = _one_of(Verdict)
    notebook: str = _digest()
    files: str = _digest()
    isolation: Isolation = _one_of(Isolation)


@dataclass(frozen=True, kw_only=True)
class RunRecorded(Event):
    """A run's record is complete. ``html`` is SHA-256(salt ‖ run.html), ``manifest`` SHA-256(manifest.json)."""

    kind: ClassVar[str] = "run.recorded"
    run: str = _id()
    path: str = _pattern(RUN_PATH, "YYYY/MM/DD/<run>")
    html: str = _digest()
    manifest: str = _digest()

    def __post_init__(self) -> None:
        super().__post_init__()
        match = RUN_PATH.fullmatch(self.path)
        if match is None or match["run"] != self.run or self.run.startswith("."):
            raise UsageError(f"ledger event {self.kind}: 'path' must end in the run's id, {self.run}")


@dataclass(frozen=True, kw_only=True)
class RunUnrecorded(Event):
    """A run ended and its record could not be kept: said here rather than left as a gap."""

    kind: ClassVar[str] = "run.unrecorded"
    run: str = _id()
    reason: UnrecordedReason = _one_of(UnrecordedReason)


@dataclass(frozen=True, kw_only=True)
class HostTrusted(Event):
    """Somebody trusted a host's keys. Each digest is SHA-256(salt ‖ ...): of its name, of the canonical key lines."""

    kind: ClassVar[str] = "host.trusted"
    by: str = _id()
    host: str = _digest()
    keys: str = _digest()
    before: str = _digest()
    replaced: bool = _field(lambda v: isinstance(v, bool), "true or false")


@dataclass(frozen=True, kw_only=True)
class SitePublished(Event):
    """The files of ``outputs/`` that belong to no run, path to SHA-256; the latest such entry holds."""

    kind: ClassVar[str] = "site.published"
    files: Mapping[str, str] = _field(_site_files, "relative paths with 64 lower-case hex digits each")


@dataclass(frozen=True, kw_only=True)
class SecretSet(Event):
    """Somebody stored a secret. ``secret`` is the id of its name; the ledger knows neither name nor value."""

    kind: ClassVar[str] = "secret.set"
    secret: str = _id()
    version: int = _number()
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class SecretRotated(Event):
    """Somebody gave a stored secret a new value."""

    kind: ClassVar[str] = "secret.rotated"
    secret: str = _id()
    version: int = _number()
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class SecretRemoved(Event):
    """Somebody deleted a stored secret, every version of it."""

    kind: ClassVar[str] = "secret.removed"
    secret: str = _id()
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class SecretsRekeyed(Event):
    """Somebody had all ``count`` stored values encrypted anew under a new key."""

    kind: ClassVar[str] = "secret.rekeyed"
    count: int = _number()
    by: str = _id()


@dataclass(frozen=True, kw_only=True)
class SecretRevealed(Event):
    """A secret was released to a run. ``version`` is 0 where its source has none."""

    kind: ClassVar[str] = "secret.revealed"
    run: str = _id()
    secret: str = _id()
    version: int = _number()
    purpose: Purpose = _one_of(Purpose)


EVENTS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        LedgerOpened, RequestSealed, RequestApproved, RunClaimed, PlanProposed, IntentOpened, IntentClosed, RunStopped,
        RunFinished, RunRecorded, RunUnrecorded, HostTrusted, SitePublished, SecretSet, SecretRotated, SecretRemoved,
        SecretsRekeyed, SecretRevealed,
    )
}  # fmt: skip


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


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value
