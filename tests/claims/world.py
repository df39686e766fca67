"""A world without kernels for the claim's transaction: a real database, real flows, a ground that can be moved."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text, update

from claims.oracle import BOT, TIMEOUT, Books, Rules
from opsnb.base.canonical import canonical, digestible, sha256
from opsnb.base.clock import stamp
from opsnb.base.plan import Change, Plan
from opsnb.control.approvals.written import read_policies
from opsnb.control.database import Database, metadata
from opsnb.control.flows.ask import ask_in, set_start
from opsnb.control.flows.case import open_case, policy_of
from opsnb.control.flows.people_record import record
from opsnb.control.ledger.store import open_ledger
from opsnb.control.people import changes
from opsnb.control.people.store import directory
from opsnb.control.people.values import Actor, Kind, Person
from opsnb.control.records import Cause, Mode, Risk, RunState, Verdict
from opsnb.control.runs import store

ZERO = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
PEOPLE = {
    "anna": {"administrator"}, "bob": {"approver"}, "carol": {"approver"}, "dora": {"engineer"}, "erin": set(),
    BOT: {"engineer", "approver"},
}  # fmt: skip
HOSTS = [{"name": "web1", "transport": "local", "environment": "prod", "groups": ["web"], "key": "k"}]
PLAN = Plan(title="p", changes=(
    Change(host="web1", what="w", verb="v", target={}, before=None, after="x", command="c", undo="u"),
))  # fmt: skip


def at(minute: int) -> datetime:
    """Return a moment."""
    return ZERO + timedelta(minutes=minute)


def _clock(minute: int) -> str:
    return f"{at(minute):%Y-%m-%d %H:%M}"


POLICIES: dict[str, tuple[dict[str, Any], Rules]] = {
    "one": ({"approvals": 1}, Rules(need=1)),
    "two": ({"approvals": 2}, Rules(need=2)),
    "frozen too": (
        {"freezes": {"f": {"from": _clock(8), "to": _clock(240)}}}, Rules(need=1, freezes=((8, 240),)),
    ),
    "role": ({"approvals": 1, "by": "role:approver", "validity": "1h"}, Rules(need=1, only_role=True, validity=60)),
    "never own": ({"approvals": 1, "self_approval": "never"}, Rules(need=1, own=False)),
    "frozen": (
        {"freezes": {"f": {"from": _clock(8), "to": _clock(240)}}}, Rules(need=1, freezes=((8, 240),)),
    ),
    "free": (
        {"free": {"for": "person:dora", "runbooks": ["TST-*"], "notice": "role:approver"}},
        Rules(need=1, free=frozenset({"dora"})),
    ),
}  # fmt: skip


class MovedGround:
    """The world outside, as far as a claim asks; requests named in ``gone`` do not stand on it any more."""

    def __init__(self) -> None:
        self.policy = "one"
        self.gone: dict[str, Cause] = {}

    def policies(self) -> Any:
        """Those that hold."""
        return read_policies({"all": POLICIES[self.policy][0]})

    def moved(self, body: dict[str, Any]) -> tuple[Cause, str] | None:
        """What was moved under a request."""
        cause = self.gone.get(body["request"])
        return (cause, "moved") if cause else None


def books() -> Books:
    """The oracle's books of a new world."""
    return Books(
        roles={name: set(roles) for name, roles in PEOPLE.items()}, active=set(PEOPLE),
        policies={name: rules for name, (_, rules) in POLICIES.items()}, policy="one",
    )  # fmt: skip


def empty(database: Database) -> None:
    """Forget everything but the schema; what is only ever added, too."""
    names = [f'"{t.name}"' for t in metadata.sorted_tables]
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("DROP TRIGGER IF EXISTS acts_remain ON acts"))
        else:
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            connection.execute(text("DROP TRIGGER IF EXISTS acts_remain"))
        for name in reversed(names):
            connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608  (our own tables)
        connection.execute(text("INSERT INTO people_state (id, token) VALUES ('people', 'new')"))
        open_ledger(connection, "test")
        found = [
            changes.AddPerson(person=Person(id=n, name=n, kind=Kind.SERVICE if n == BOT else Kind.PERSON))
            for n in PEOPLE
        ]
        record(connection, found, "anna")
        record(
            connection,
            [changes.GiveRole(person=n, role=r) for n, roles in PEOPLE.items() for r in sorted(roles)],
            "anna",
        )


def actor(connection: Any, name: str) -> Actor:
    """Return somebody who acts, or a run that pretends to be somebody."""
    return Actor(person=directory(connection).person(name) or Person(id=name, name=name))


def seal(
    connection: Any, ground: MovedGround, request: str, requester: str, authors: frozenset[str]
) -> tuple[str, str]:
    """Store a request as sealing and planning leave it; return its digests."""
    policy = policy_of(ground.policies(), "TST-100", Risk.CHANGE, HOSTS, {})
    body = digestible({
        "request": request, "runbook": "TST-100", "title": "t", "path": "runbooks/x.ipynb", "hosts": HOSTS, "locks": [],
        "labels": [], "why": "", "authors": sorted(authors), "policy": policy.as_json(), "tightened": {}, "parameters": {},
        "limits": {"run_seconds": TIMEOUT * 60}, "nonce": secrets.token_hex(8),
    })  # fmt: skip
    data = canonical(body)
    store.add_request(
        connection, id=request, submission=request, digest=sha256(data), body=data, parameters={}, runbook="TST-100",
        salts={"plan": "00" * 32}, risk="change", requester=requester,
    )  # fmt: skip
    plan = digestible(PLAN.as_json())
    connection.execute(
        update(store.requests).where(store.requests.c.id == request).values(plan=plan, plan_digest=PLAN.digest)
    )
    return sha256(data), PLAN.digest


def put(connection: Any, ground: MovedGround, request: str, requester: str, start: str, now: datetime) -> None:
    """Ask for a request's approval."""
    set_start(connection, request, start, actor(connection, requester), now)
    ask_in(connection, open_case(connection, ground.policies(), request, now), now)


def end(connection: Any, run: str, verdict: Verdict) -> None:
    """End a run as recording does, one change made where it is done."""
    row = store.run_row(connection, run)
    if row.state == RunState.STARTING and Mode(row.mode).changes and not store.noted(connection, run, "refused"):
        store.open_intent(connection, run, 0, "web1", "w")
        store.close_intent(connection, run, 0, "ok" if verdict is Verdict.DONE else "failed", "")
    store.move(connection, run, RunState.RECORDING, verdict=verdict.value, ended=stamp())
    store.move(connection, run, RunState.ENDED)
    store.release_locks(connection, run)
