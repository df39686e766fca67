"""A world without kernels for the claim's transaction: a real database, real flows, a ground that can be moved.

It is begun anew for each history by putting a few rows back, past the triggers: a database that is made anew costs more
than the history.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import event, insert, select, text, update

from claims.oracle import BOT, DAY, HOUR, TIMEOUT, Books, Rules, Step
from opsnb.base.canonical import canonical, digestible, sha256
from opsnb.base.clock import stamp
from opsnb.base.plan import Change, Plan
from opsnb.control.approvals.policy import Policies
from opsnb.control.approvals.written import read_policies
from opsnb.control.database import Database, metadata
from opsnb.control.flows import grant
from opsnb.control.flows.ask import ask_in, set_start
from opsnb.control.flows.case import open_case, policy_of
from opsnb.control.flows.glass import break_in
from opsnb.control.flows.machine import machine_key
from opsnb.control.flows.people_record import record
from opsnb.control.ledger.store import open_ledger
from opsnb.control.people import changes
from opsnb.control.people.store import CACHE, directory
from opsnb.control.people.values import Action, Actor, Department, Grant, Kind, Person, Role
from opsnb.control.records import Cause, Mode, Risk, RunState, Verdict
from opsnb.control.runs import store

ZERO = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
PEOPLE = {
    "anna": {"administrator"}, "bob": {"approver"}, "carol": {"approver"}, "dora": {"engineer"}, "erin": set(),
    "finn": {"stager"}, BOT: {"engineer", "approver"},
}  # fmt: skip
ROLES = (
    Role(id="stager", name="stager", grants=(Grant(action=Action.APPROVE, environments=("staging",)),)),
    Role(id="minor", name="minor", grants=(Grant(action=Action.APPROVE, risk=Risk.CHANGE),)),
)
KEY = machine_key()  # as a local host is sealed
PLACES = {"web1": "prod", "web2": "prod", "s1": "staging"}
# what is asked for: its runbook, its risk, its hosts, and whether its runs take turns
KINDS = (
    ("TST-100", Risk.CHANGE, ("web1", "web2"), True),
    ("TST-100", Risk.CHANGE, ("web1", "s1"), False),
    ("TST-200", Risk.DANGER, ("web1", "web2"), False),
    ("TST-100", Risk.CHANGE, ("s1",), False),
)
DANGEROUS = 2  # which of them is


def at(second: int) -> datetime:
    """Return a moment."""
    return ZERO + timedelta(seconds=second)


def _clock(hours: int) -> str:
    return f"{at(hours * HOUR):%Y-%m-%d %H:%M}"


FREEZE = {"f": {"from": _clock(1), "to": _clock(4)}}
FROZEN = Rules(freezes=((HOUR, 4 * HOUR),))
PROD, STAGING = Rules(name="prod", steps=(Step(need=2),)), Rules(name="staging", validity=HOUR)
BOTH = replace(PROD, name="prod + staging", validity=HOUR)
BREAKERS = ("person:anna", "person:dora", "role:oncall")
GLASS = {"for": list(BREAKERS), "notice": ["person:erin"], "at_most": "30m"}
# the settings, and by hand what they come to for each set of environments (and risk) that is asked for
POLICIES: dict[str, tuple[dict[str, Any], dict[str, Rules]]] = {
    "none": ({}, {
        "prod change": Rules(name="built-in change"), "prod danger": Rules(name="built-in danger", validity=4 * HOUR),
        "*": Rules(name="built-in change"),
    }),
    "one": ({"all": {"approvals": 1}}, {"*": Rules()}),
    "two": ({"all": {"approvals": 2}}, {"*": Rules(steps=(Step(need=2),))}),
    "role": (
        {"all": {"by": "role:approver", "validity": "1h"}},
        {"*": Rules(steps=(Step(("role:approver",)),), validity=HOUR)},
    ),
    "two of three": (
        {"all": {"by": ["role:approver", "person:anna"], "approvals": 2, "open_for": "2h"}},
        {"*": Rules(steps=(Step(("role:approver", "person:anna"), 2),), open_for=2 * HOUR)},
    ),
    "never own": ({"all": {"self_approval": "never"}}, {"*": Rules(own=False)}),
    "frozen": ({"all": {"freezes": FREEZE}}, {"*": FROZEN}),
    "frozen too": ({"all": {"freezes": FREEZE, "approvals": 1}}, {"*": FROZEN}),
    "free": (
        {"all": {"free": {"for": "person:dora", "runbooks": ["TST-*"], "notice": "role:approver"}}},
        {"*": Rules(free=frozenset({"dora"}), review=0)},
    ),
    "nobody": (
        {"all": {"approvals": 0, "review": "24h", "validity": "2h"}},
        {"*": Rules(steps=(), review=DAY, validity=2 * HOUR)},
    ),
    "all": (
        {"all": {"by": "role:approver", "approvals": "all"}}, {"*": Rules(steps=(Step(("role:approver",), 0),))},
    ),
    "in order": (
        {"all": {"steps": [{"name": "lead", "by": "applicant_leader"}, {"name": "second", "by": "anyone"}]}},
        {"*": Rules(steps=(Step(("applicant_leader",), name="lead"), Step(name="second")))},
    ),
    "parallel": (
        {"all": {"order": "parallel", "steps": [
            {"name": "named", "by": ["person:bob", "person:finn"]}, {"name": "role", "by": "role:approver"},
        ]}},
        {"*": Rules(parallel=True, steps=(
            Step(("person:bob", "person:finn"), name="named"), Step(("role:approver",), name="role"),
        ))},
    ),
    "escalated": (
        {"all": {"by": "person:carol", "within": "30m", "escalate_to": ["person:anna", "leader:ops"]}},
        {"*": Rules(steps=(Step(("person:carol",), within=HOUR // 2, then=("person:anna", "leader:ops")),))},
    ),
    "by place": (
        {"prod": {"environments": ["prod"], "approvals": 2}, "staging": {"environments": ["stag*"], "validity": "1h"}},
        {"prod": PROD, "staging": STAGING, "*": BOTH},
    ),
    "by place too": (
        {"prod": {"environments": ["prod"], "approvals": 2, "protected": True},
         "staging": {"environments": ["stag*"], "validity": "1h"}},
        {"prod": replace(PROD, protected=True), "staging": STAGING, "*": replace(BOTH, protected=True)},
    ),
    "glass": (
        {"all": {"approvals": 2, "freezes": FREEZE, "protected": True, "break_glass": GLASS}},
        {"*": replace(FROZEN, steps=(Step(need=2),), protected=True, breakers=BREAKERS, glass_most=HOUR // 2)},
    ),
    "glass by place": (
        {"prod": {"environments": ["prod"], "break_glass": GLASS}, "staging": {"environments": ["stag*"]}},
        {"prod": Rules(name="prod", breakers=BREAKERS, glass_most=HOUR // 2), "staging": Rules(name="staging"),
         "*": Rules(name="prod + staging")},
    ),
    "protected": ({"all": {"protected": True}}, {"*": Rules(protected=True)}),
}  # fmt: skip
READ = {name: read_policies(config) for name, (config, _) in POLICIES.items()}


def hosts_of(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the sealed rows of hosts."""
    return [{"name": n, "transport": "local", "environment": PLACES[n], "groups": ["web"], "key": KEY} for n in names]


HOSTS = hosts_of(KINDS[0][2])


def plan_of(names: tuple[str, ...], title: str) -> Plan:
    """Return a plan of one change for each host."""
    return Plan(title=title, changes=tuple(
        Change(host=n, what="w", verb="v", target={}, before=None, after="x", command="c", undo="u") for n in names
    ))  # fmt: skip


class MovedGround:
    """The world outside, as far as a claim asks; requests named in ``gone`` do not stand on it any more."""

    def __init__(self) -> None:
        self.policy = "one"
        self.gone: dict[str, Cause] = {}

    def policies(self) -> Policies:
        """Those that hold."""
        return READ[self.policy]

    def moved(self, body: dict[str, Any]) -> tuple[Cause, str] | None:
        """What was moved under a request."""
        cause = self.gone.get(body["request"])
        return (cause, "moved") if cause else None


class Inventory:
    """The hosts, as far as a grant asks for them."""

    def select(self, selector: str) -> list[str]:
        """Return the names in a list of names."""
        return selector.split(",")

    def row(self, name: str) -> dict[str, Any]:
        """Return a host's row."""
        return hosts_of((name,))[0]


def services(database: Database, ground: MovedGround) -> Any:
    """Return what the flows take that open their own transaction."""
    return SimpleNamespace(database=database, policies=ground.policies(), inventory=Inventory)


@contextmanager
def clock(moment: datetime) -> Iterator[None]:
    """Have the asking for a grant happen at a moment."""
    before = grant.current
    grant.current = lambda: moment
    try:
        yield
    finally:
        grant.current = before


def books() -> Books:
    """The oracle's books of a new world."""
    return Books(
        roles={name: set(roles) for name, roles in PEOPLE.items()}, active=set(PEOPLE), policy="one", leader="bob",
        rules={name: rules for name, (_, rules) in POLICIES.items()},
    )  # fmt: skip


# -- the database ------------------------------------------------------------------------------------------------------


def hasty(database: Database) -> Database:
    """Let a database of these tests forget everything at a power cut, which is not what they are about."""

    @event.listens_for(database.engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        if database.engine.dialect.name == "sqlite":
            connection.execute("PRAGMA synchronous=OFF").fetchall()
            connection.execute("PRAGMA journal_mode=MEMORY").fetchall()
            connection.execute("PRAGMA secure_delete=OFF").fetchall()

    return database


def _people(connection: Any) -> None:
    found = [
        changes.AddPerson(person=Person(id=n, name=n, kind=Kind.SERVICE if n == BOT else Kind.PERSON, department="ops"))
        for n in PEOPLE
    ]
    record(connection, [changes.SetDepartment(department=Department(id="ops", name="ops", leader="bob"))], "anna")
    record(connection, found, "anna")
    record(connection, [changes.SetRole(role=role) for role in ROLES], "anna")
    given = [changes.GiveRole(person=n, role=r) for n, roles in PEOPLE.items() for r in sorted(roles)]
    record(connection, given, "anna")


KEPT: dict[int, dict[str, list[dict[str, Any]]]] = {}  # database -> table -> its rows when a history begins


def empty(database: Database) -> None:
    """Forget everything but the schema and the people of the beginning; what is only ever added, too."""
    with database.engine.begin() as connection:
        postgres = connection.dialect.name == "postgresql"
        connection.info.pop(CACHE, None)
        if postgres:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            (trigger,) = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'acts_remain'")).scalars()
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            connection.execute(text("DROP TRIGGER acts_remain"))
        kept = KEPT.get(id(database))
        used = TOUCHED if kept else [t.name for t in reversed(metadata.sorted_tables)]
        if postgres:
            connection.exec_driver_sql(";".join(f'DELETE FROM "{name}"' for name in used))  # noqa: S608  (our own)
        else:
            for name in used:
                connection.exec_driver_sql(f'DELETE FROM "{name}"')  # noqa: S608  (our own)
            connection.execute(text(trigger))
        if kept:
            for name, rows in kept.items():
                connection.execute(insert(metadata.tables[name]), rows)
            return
        connection.execute(text("INSERT INTO people_state (id, token) VALUES ('people', 'new')"))
        open_ledger(connection, "test")
        _people(connection)
        found = {n: [dict(r) for r in connection.execute(select(metadata.tables[n])).mappings()] for n in TOUCHED}
        KEPT[id(database)] = {name: rows for name, rows in found.items() if rows}


TOUCHED = [
    "acts", "approvals", "starts", "claims", "intents", "notes", "locks", "runs", "requests", "ledger_entries",
    "ledger_head", "glass_uses", "notices", "delegates", "memberships", "people", "departments", "roles", "people_state",
]  # fmt: skip


# -- requests and runs -------------------------------------------------------------------------------------------------


def actor(connection: Any, name: str) -> Actor:
    """Return somebody who acts, or a run that pretends to be somebody."""
    return Actor(person=directory(connection).person(name) or Person(id=name, name=name))


def seal(
    connection: Any, ground: MovedGround, request: str, requester: str, authors: frozenset[str], kind: int = 0
) -> tuple[str, str]:
    """Store a request as sealing and planning leave it; return its digests."""
    runbook, risk, names, turns = KINDS[kind]
    hosts = hosts_of(names)
    policy = policy_of(ground.policies(), runbook, risk, hosts, {})
    body = digestible({
        "request": request, "runbook": runbook, "id": runbook, "title": "t", "path": "runbooks/x.ipynb", "hosts": hosts,
        "locks": ["mark"] if turns else [], "labels": [], "why": "", "authors": sorted(authors),
        "policy": policy.as_json(), "tightened": {}, "parameters": {}, "limits": {"run_seconds": TIMEOUT},
        "nonce": secrets.token_hex(8),
    })  # fmt: skip
    data = canonical(body)
    store.add_request(
        connection, id=request, submission=request, digest=sha256(data), body=data, parameters={}, runbook=runbook,
        salts={"plan": "00" * 32}, risk=risk.value, requester=requester,
    )  # fmt: skip
    return sha256(data), plan(connection, request, names, "p")


def seal_by_hand(connection: Any, request: str, who: str, host: str) -> None:
    """Store a request to work by hand, as sealing leaves it."""
    hosts = hosts_of((host,))
    body = {
        "request": request, "runbook": "HST-004", "id": "HST-004", "title": "t", "hosts": hosts, "locks": [],
        "labels": [], "why": "", "authors": [], "policy": {}, "parameters": {}, "nonce": secrets.token_hex(8),
    }  # fmt: skip
    data = canonical(digestible(body))
    store.add_request(
        connection, id=request, submission=request, digest=sha256(data), body=data, parameters={}, runbook="HST-004",
        salts={"plan": "00" * 32}, risk="read", requester=who,
    )  # fmt: skip


def plan(connection: Any, request: str, names: tuple[str, ...], title: str) -> str:
    """Give a request a plan, as a run in mode plan does; return its digest."""
    made = plan_of(names, title)
    values = {"plan": digestible(made.as_json()), "plan_digest": made.digest}
    connection.execute(update(store.requests).where(store.requests.c.id == request).values(**values))
    return made.digest


def put(connection: Any, ground: MovedGround, request: str, requester: str, start: str, now: datetime) -> None:
    """Ask for a request's approval."""
    set_start(connection, request, start, actor(connection, requester), now)
    again(connection, ground, request, now)


def again(connection: Any, ground: MovedGround, request: str, now: datetime) -> None:
    """Ask for it, for the first time or with another plan."""
    ask_in(connection, open_case(connection, ground.policies(), request, now), now)


def end(connection: Any, run: str, verdict: Verdict, outcomes: dict[int, bool] | None = None) -> None:
    """End a run as recording does; ``outcomes`` says of each change that was begun whether it was made."""
    outcomes = {0: verdict is Verdict.DONE} if outcomes is None else outcomes
    if Mode(store.run_row(connection, run).mode) is Mode.RETRY:
        store.note(connection, run, "numbers", sorted(outcomes))
        outcomes = dict(enumerate(outcomes[n] for n in sorted(outcomes)))
    for number, made in outcomes.items():
        store.open_intent(connection, run, number, "web1", "w")
        store.close_intent(connection, run, number, "ok" if made else "failed", "")
    store.move(connection, run, RunState.RECORDING, verdict=verdict.value, ended=stamp())
    store.move(connection, run, RunState.ENDED)
    store.release_locks(connection, run)


def tamper(connection: Any, request: str, cause: Cause) -> dict[str, Any]:
    """Alter what the database holds of a request; return what stood there."""
    row = store.request_row(connection, request)
    body, digest = row.body, row.digest
    wrong: dict[Cause, dict[str, Any]] = {
        Cause.REQUEST: {"body": body.replace(b'"title":"t"', b'"title":"u"')},
        Cause.PARAMETERS: {"parameters": {"x": 1}},
        Cause.PLAN: {"plan": digestible(plan_of(("web1",), "other").as_json())},
    }
    assert digest
    values = wrong[cause]
    before = {name: getattr(row, name) for name in values}
    connection.execute(update(store.requests).where(store.requests.c.id == request).values(**values))
    return before


def smash(connection: Any, ground: MovedGround, who: str, hosts: str, seconds: int, now: datetime) -> str:
    """Break the glass on hosts; return the request."""
    rows = hosts_of(tuple(hosts.split(",")))
    return break_in(connection, ground.policies(), actor(connection, who), rows, "it burns", seconds, now)


def restore(connection: Any, request: str, values: dict[str, Any]) -> None:
    """Put back what was altered."""
    connection.execute(update(store.requests).where(store.requests.c.id == request).values(**values))
