"""Entries hold ids, enums, numbers, times and digests, in one canonical line; anything else is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.control.ledger.event import Event
from opsnb.control.ledger.events import (
    EVENTS,
    IntentOpened,
    Isolation,
    Outcome,
    Purpose,
    RunFinished,
    RunRecorded,
    RunStopped,
    SitePublished,
    UnrecordedReason,
    entry_bytes,
)
from opsnb.control.ledger.events_approvals import RequestApproved
from opsnb.control.ledger.events_isolation import Attempt
from opsnb.control.ledger.events_login import Credential, Elsewhere
from opsnb.control.ledger.events_people import Account
from opsnb.control.records import ActKind, ApprovalStatus, Cause, Mode, Risk, Start, Verdict

AT = "2026-11-23T12:00:00.000Z"
DIGEST = "ab" * 32
GOOD: dict[str, Any] = {
    "origin": "opsnb.example/a", "request": "q-1", "run": "r-1", "by": "p-1", "risk": Risk.READ, "mode": Mode.PLAN,
    "verdict": Verdict.DONE, "digest": DIGEST, "plan": DIGEST, "notebook": DIGEST, "html": DIGEST, "manifest": DIGEST,
    "secret": "s-1", "version": 1, "count": 2, "purpose": Purpose.REVEAL,
    "host": DIGEST, "keys": DIGEST, "before": DIGEST, "replaced": False,
    "change": 0, "outcome": Outcome.OK, "isolation": Isolation.NONE, "self_approved": True,
    "person": "u-1", "principal": "u-2", "account": Account.PERSON, "role": "r-1", "department": "d-1",
    "voice": "u-2", "to": "u-3", "step": 1, "act": ActKind.VETO, "comment": DIGEST, "policy": DIGEST,
    "status": ApprovalStatus.APPROVED, "cause": Cause.NOTEBOOK, "start": Start.TIME, "due": AT,
    "attempt": Attempt.INTENT, "token": "t-1", "credential": Credential.API, "source": Elsewhere.LDAP,
    "revision": 2, "automatic": False, "glass": "q-2", "delegate": "g-1", "begin": AT, "end": AT,
    "path": "2026/11/23/r-1", "reason": UnrecordedReason.LOST, "files": DIGEST,
}  # fmt: skip
FREE = "a sentence that a person wrote"
CASES = [(kind, f.name) for kind, event in EVENTS.items() for f in fields(event)]


def good(kind: str) -> dict[str, Any]:
    """Return values that the event accepts."""
    values = {f.name: GOOD[f.name] for f in fields(EVENTS[kind])}
    return {**values, "files": {"ledger/vkey": DIGEST}} if kind == "site.published" else values


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_is_one_canonical_line(kind: str) -> None:
    """An entry is its fields, kind, index and time: sorted, compact, ASCII, readable back."""
    data = entry_bytes(EVENTS[kind](**good(kind)), 3, AT)
    value = json.loads(data)
    assert json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii") == data
    assert (value["kind"], value["index"], value["at"]) == (kind, 3, AT)


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("bad", [FREE, "", "密码", "a\nb", None, 1.5, -1, 2**53, ["x"], {"../x": DIGEST}])
def test_no_field_takes_free_text(kind: str, name: str, bad: object) -> None:
    """Each field of each event refuses free text and wrong types, and names itself without repeating the value."""
    values = {**good(kind), name: bad}
    with pytest.raises(UsageError, match=r"'path'|" + f"'{name}'") as caught:
        EVENTS[kind](**values)
    assert FREE not in str(caught.value)


@pytest.mark.parametrize("bad", [DIGEST.upper(), DIGEST[:-1], DIGEST + "0", DIGEST + "\n", "xy" * 32])
def test_digests_have_one_form(bad: str) -> None:
    """A digest is 64 lower-case hex digits."""
    with pytest.raises(UsageError, match="'html'"):
        RunRecorded(run="r-1", path="2026/11/23/r-1", html=bad, manifest=DIGEST)


@given(st.text())
def test_ids_are_ids(text: str) -> None:
    """Whatever a person types, an id is 1 to 80 letters, digits and . _ : - or refused."""
    plain = 0 < len(text) <= 80 and all(c.isascii() and (c.isalnum() or c in "._:-") for c in text)
    try:
        RunStopped(run="r-1", by=text)
    except UsageError:
        assert not plain
    else:
        assert plain


@pytest.mark.parametrize(
    "path", ["2026/11/23/r-2", "2026/11/23/../r-1", "/2026/11/23/r-1", "2026/11/r-1", "2026/11/23/r-1/"]
)
def test_a_record_lies_where_its_run_says(path: str) -> None:
    """``run.recorded`` names YYYY/MM/DD and its own run, nothing else."""
    with pytest.raises(UsageError, match="'path'"):
        RunRecorded(run="r-1", path=path, html=DIGEST, manifest=DIGEST)


@pytest.mark.parametrize(
    "path", ["..", "../a", "a/../b", "/a", "a//b", ".incoming/x", "a/.hidden", "a b", "a\\b", "", "a" * 201]
)
def test_site_paths_stay_inside(path: str) -> None:
    """``site.published`` names plain relative paths only."""
    with pytest.raises(UsageError, match="'files'"):
        SitePublished(files={path: DIGEST})


@pytest.mark.parametrize(("index", "at"), [(-1, AT), (True, AT), (0, "today"), (0, AT[:-1] + "+00:00"), (0, AT + "\n")])
def test_heading_has_one_form(index: int, at: str) -> None:
    """The index is a whole number from 0, the time UTC with milliseconds."""
    with pytest.raises(UsageError, match="index"):
        entry_bytes(IntentOpened(run="r-1", change=0), index, at)


def test_an_entry_has_a_greatest_length() -> None:
    """An entry that verify.py would not read is refused when it is made."""
    with pytest.raises(UsageError, match="1048576"):
        entry_bytes(SitePublished(files={f"dashboards/{n}.html": DIGEST for n in range(13_000)}), 1, AT)


def test_self_approval_is_said() -> None:
    """Whether somebody approved their own request stands in the entry."""
    event = RequestApproved(
        request="q-1", by="p-1", voice="p-1", step=1, plan=DIGEST, comment=DIGEST, self_approved=True
    )
    assert event.as_json()["self"] is True


def test_events_do_not_change() -> None:
    """An event is a value: no field can be set later."""
    event: Event = RunFinished(**good("run.finished"))
    with pytest.raises(AttributeError):
        event.run = "r-2"  # type: ignore[attr-defined]
