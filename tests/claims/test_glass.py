"""A claim under a broken glass, at its edges: its time, its hosts, its person, its policy, and what it never lifts."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from claims import world
from claims.glass import GLASS, MINUTES, Ground, seconds, smash
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.values import ActKind
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.people_record import record
from opsnb.control.flows.submit import let, queue, start_due_in
from opsnb.control.ledger.store import read
from opsnb.control.people import changes
from opsnb.control.people.values import Action, Actor
from opsnb.control.records import Cause, Mode, Verdict
from opsnb.control.runs import claims, store

END = MINUTES * 60.0
FREEZE = {"now": {"from": "2026-11-26 07:00", "to": "2026-11-26 18:00"}}


def planned(connection: Any, ground: Any, who: str = "anna") -> str:
    """Seal a request."""
    request = f"q-{secrets.token_hex(4)}"
    world.seal(connection, ground, request, who, frozenset())
    return request


def claimed(connection: Any, ground: Any, run: str, at: float, verdict: Verdict = Verdict.DONE) -> str:
    """Claim a run, and end it; return the cause that refused it, or ``begun``."""
    assert begin_next(connection, ground, seconds(at)) == run
    refused = store.noted(connection, run, "refused")
    world.end(connection, run, Verdict.ABORTED if refused else verdict)
    return str(refused[-1]["cause"]) if refused else "begun"


def tried(connection: Any, ground: Any, glass: str, at: float, who: str = "anna", by: str = "") -> str:
    """Queue an application under a glass past every look, and claim it."""
    request = planned(connection, ground, who)
    return claimed(
        connection, ground, queue(connection, request, "TST-100", "t", Mode.APPLY, by or who, None, glass), at
    )


def say(connection: Any, ground: Any, who: str, request: str, kind: ActKind, at: float) -> None:
    """Have somebody do something about a request."""
    deed = Deed(kind=kind, comment="because")
    act_in(connection, ground.policies(), world.actor(connection, who), request, deed, seconds(at))


def test_its_time(connection: Any) -> None:
    """Not a second before it was broken; from that moment; to its last second, and not at its end."""
    ground = Ground()
    glass = smash(connection, ground)
    found = [tried(connection, ground, glass, at) for at in (-1, 0, END - 1, END, END + 1)]
    assert found == ["glass", "begun", "begun", "glass", "glass"]


def test_through_a_freeze(connection: Any) -> None:
    """It goes through a freeze, and nothing else does; its use is in the ledger and in the table of uses, once."""
    ground = Ground(freezes=FREEZE, approvals=0)
    glass = smash(connection, ground)
    assert tried(connection, ground, "", 1) == "freeze"
    assert tried(connection, ground, glass, 1) == "begun"
    (use,) = claims.under_glass(connection, glass)
    (entry,) = [e for e in read(connection) if e.kind == "glass.used"]
    assert (entry.value["glass"], entry.value["run"], entry.value["by"]) == (glass, use.run, "anna")


@pytest.mark.parametrize(("who", "kind"), [("bob", ActKind.VETO), ("anna", ActKind.WITHDRAW)])
def test_closed_between(connection: Any, who: str, kind: ActKind) -> None:
    """A veto by anybody entitled, or its person's own word, ends it at once: what is queued does not begin."""
    ground = Ground()
    glass = smash(connection, ground)
    run = queue(connection, planned(connection, ground), "TST-100", "t", Mode.APPLY, "anna", None, glass)
    say(connection, ground, who, glass, kind, 5)
    assert claimed(connection, ground, run, 6) == "glass"


@pytest.mark.parametrize("host", [{"name": "web9"}, {"key": "another"}, {"groups": ["others"]}, None])
def test_a_host_outside(connection: Any, host: dict[str, Any] | None) -> None:
    """It covers the very hosts that it was broken for: not another one, nor one more, nor its name with another key."""
    ground = Ground()
    first = [{**world.HOSTS[0], **host}] if host else []
    glass = smash(connection, ground, hosts=[*first, *world.HOSTS[1:]])
    assert tried(connection, ground, glass, 1) == "glass"


@pytest.mark.parametrize(("who", "by"), [("dora", "dora"), ("dora", "anna"), ("anna", "dora")])
def test_another_person(connection: Any, who: str, by: str) -> None:
    """Only what its person planned, and only when they start it themselves."""
    ground = Ground()
    record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")  # who might have broken one, too
    assert tried(connection, ground, smash(connection, ground), 1, who, by) == "glass"


def test_another_policy(connection: Any) -> None:
    """Under another policy than it was broken under it is worth nothing; so where the change's own names nobody."""
    ground = Ground()
    glass = smash(connection, ground)
    ground.written["validity"] = "2h"
    assert tried(connection, ground, glass, 1) == "glass"
    del ground.written["validity"]
    ground.first = {"runbooks": ["TST-*"]}
    assert tried(connection, ground, glass, 2) == "glass"
    ground.first["break_glass"] = {"for": "person:dora"}
    assert tried(connection, ground, glass, 3) == "glass"
    ground.first["break_glass"] = GLASS
    assert tried(connection, ground, glass, 4) == "begun"


def test_who_may_no_more(connection: Any) -> None:
    """Whoever lost the permission, or left, does nothing under what they broke."""
    ground = Ground()
    record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")
    glass = smash(connection, ground, "dora")
    assert tried(connection, ground, glass, 1, "dora") == "begun"
    record(connection, [changes.TakeRole(person="dora", role="oncall")], "anna")
    assert tried(connection, ground, glass, 2, "dora") == "glass"
    record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")
    record(connection, [changes.SetActive(person="dora", active=False)], "anna")
    assert tried(connection, ground, glass, 3, "dora") == "person"


def test_what_it_never_lifts(connection: Any) -> None:
    """What was moved, a veto of the change itself, a lock, and that a thing is claimed once stand against it, too."""
    ground = Ground()
    glass = smash(connection, ground)
    moved = planned(connection, ground)
    ground.gone[moved] = Cause.NOTEBOOK
    run = queue(connection, moved, "TST-100", "t", Mode.APPLY, "anna", None, glass)
    assert claimed(connection, ground, run, 1) == "notebook"
    ended = planned(connection, ground)
    world.put(connection, ground, ended, "anna", "asked", seconds(1))
    say(connection, ground, "bob", ended, ActKind.VETO, 2)
    run = queue(connection, ended, "TST-100", "t", Mode.APPLY, "anna", None, glass)
    assert claimed(connection, ground, run, 3) == "ended"
    once = planned(connection, ground)
    runs = [queue(connection, once, "TST-100", "t", Mode.APPLY, "anna", None, glass) for _ in range(2)]
    assert [claimed(connection, ground, run, 4) for run in runs] == ["begun", "claimed"]
    assert [bool(claims.of_run(connection, run)) for run in runs] == [True, False]


@pytest.mark.parametrize(("mode", "verdict"), [(Mode.UNDO, Verdict.DONE), (Mode.RETRY, Verdict.FAILED)])
def test_undo_and_retry(connection: Any, mode: Mode, verdict: Verdict) -> None:
    """An undo and a retry begin under it as an application does, also when the approvals are too old by then."""
    ground = Ground()
    request = planned(connection, ground)
    world.put(connection, ground, request, "anna", "asked", world.ZERO)
    say(connection, ground, "bob", request, ActKind.APPROVE, 1)
    run = queue(connection, request, "TST-100", "t", Mode.APPLY, "anna")
    assert claimed(connection, ground, run, 2, verdict) == "begun"
    late, undoes = 2 * 86400.0, run if mode is Mode.UNDO else None
    old = queue(connection, request, "TST-100", "t", mode, "anna", undoes)
    assert claimed(connection, ground, old, late) == "expired"
    glass = smash(connection, ground, now=seconds(late))
    again = queue(connection, request, "TST-100", "t", mode, "anna", undoes, glass)
    assert claimed(connection, ground, again, late + 1) == "begun"


def test_who_starts_says_so(connection: Any) -> None:
    """Whoever starts it themselves gets the glass noted; a token without that scope does not; nor does the clock."""
    ground = Ground(freezes=FREEZE, approvals=0)
    glass = smash(connection, ground)
    request = planned(connection, ground)
    world.put(connection, ground, request, "anna", "approved", seconds(1))
    assert start_due_in(connection, ground, seconds(2)) == []
    anna = world.actor(connection, "anna")
    narrow = Actor(person=anna.person, via="token", scopes=frozenset({Action.APPLY.value}))
    with pytest.raises(RefusedError, match="freeze"):
        let(connection, ground, narrow, request, seconds(3))
    assert let(connection, ground, anna, request, seconds(3)).under == glass


def test_an_approved_change_uses_none(connection: Any) -> None:
    """What is approved and not frozen begins as always, and owes no review, though its person has broken the glass."""
    ground = Ground()
    glass = smash(connection, ground)
    request = planned(connection, ground)
    world.put(connection, ground, request, "anna", "asked", seconds(1))
    say(connection, ground, "bob", request, ActKind.APPROVE, 2)
    run = queue(connection, request, "TST-100", "t", Mode.APPLY, "anna", None, glass)
    assert claimed(connection, ground, run, 3) == "begun"
    assert claims.under_glass(connection, glass) == []


def test_its_own_request_cannot_be_taken_for_another(connection: Any) -> None:
    """A request that is no broken glass, or one whose bytes were altered, lets nothing through."""
    ground = Ground()
    other = planned(connection, ground)
    world.put(connection, ground, other, "anna", "asked", seconds(0))
    assert tried(connection, ground, other, 1) == "glass"
    glass = smash(connection, ground, seconds=60.0)
    body = store.request_row(connection, glass).body.replace(b'"60.0"', b'"600.0"')
    connection.execute(store.requests.update().where(store.requests.c.id == glass).values(body=body))
    assert tried(connection, ground, glass, 2) == "glass"
