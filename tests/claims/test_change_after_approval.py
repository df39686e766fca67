"""Between approval and start something changes, one thing at a time: the claim stops, says which, and records it.

The application waits in the queue, already let through once, when the change is made: so it is the look inside the
claim's transaction that has to find it. A second look, when somebody asks for the start, says the same.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from claims.firm import HOSTS, Firm
from opsnb.base.clock import now, parse, stamp
from opsnb.base.errors import RefusedError
from opsnb.base.i18n import CHINESE, retell
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows import activate, people, requests
from opsnb.control.ledger.store import read
from opsnb.control.people.wanted import User
from opsnb.control.records import Cause
from opsnb.control.runs import store
from opsnb.control.runs.toolkit import PACKAGES, Toolkit
from places import wait_for

pytestmark = pytest.mark.slow
ENGLISH = re.compile(r"\b(the|is|has|was|not|who|may|touched)\b")  # words of our sentences, and of no name in them
Change = Callable[[Firm, str], Any]  # a context in which one thing is another


@contextmanager
def file(path: Any, content: bytes) -> Iterator[None]:
    """A file has other bytes for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def notebook(firm: Firm, _: str) -> Any:
    """One byte of the notebook."""
    data = firm.runbook.read_bytes()
    return file(firm.runbook, data.replace(b"marks", b"masks", 1))


def toolkit(firm: Firm, _: str) -> Any:
    """One byte of what notebooks import from here; of a copy, for this one is in use, also by other tests."""

    @contextmanager
    def other() -> Iterator[None]:
        own, copy = firm.services.toolkit, Toolkit()
        copy.root = firm.place.root / "toolkit"
        for name in PACKAGES:
            shutil.copytree(own.root / name, copy.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        assert copy.digest() == own.digest()
        path = copy.root / "base" / "plan.py"
        path.write_bytes(path.read_bytes() + b"#")
        firm.services.toolkit = copy
        try:
            yield
        finally:
            firm.services.toolkit = own

    return other()


def row(**values: Any) -> Change:
    """The request's row in the database, edited past the program."""

    def changed(firm: Firm, request: str) -> Any:
        @contextmanager
        def edited() -> Iterator[None]:
            with firm.services.database.transaction() as connection:
                found = store.request_row(connection, request)
                new = {k: v(getattr(found, k)) for k, v in values.items()}
                connection.execute(update(store.requests).where(store.requests.c.id == request).values(**new))
            yield

        return edited()

    return changed


def inventory(old: str, new: str) -> Change:
    """The inventory, edited and activated: a file that is only edited does not hold."""

    def changed(firm: Firm, _: str) -> Any:
        @contextmanager
        def edited() -> Iterator[None]:
            with file(firm.place.root / "inventory.yaml", HOSTS.replace(old, new).encode()):
                activated(firm)
                yield
            activated(firm)

        return edited()

    return changed


def activated(firm: Firm) -> None:
    """Make the workspace's files the ones that hold."""
    seen = activate.differing(firm.services, firm.app.actor)
    activate.activate(firm.services, firm.app.actor, files=seen["files"], active=seen["active"])


def policy(firm: Firm, _: str) -> Any:
    """Another policy holds, as after an activation."""

    @contextmanager
    def other() -> Iterator[None]:
        own = firm.services.policies
        firm.services.policies = read_policies({"prod": {"environments": ["prod"], "validity": "2h"}})
        try:
            yield
        finally:
            firm.services.policies = own

    return other()


def user(name: str, wanted: dict[str, Any], back: dict[str, Any]) -> Change:
    """A person is changed."""

    def changed(firm: Firm, _: str) -> Any:
        @contextmanager
        def other() -> Iterator[None]:
            people.set_user(firm.services, firm.app.actor, User(name=name, **wanted))
            try:
                yield
            finally:
                people.set_user(firm.services, firm.app.actor, User(name=name, **back))

        return other()

    return changed


def acted(who: str, kind: ActKind) -> Change:
    """Somebody says something else."""

    def changed(firm: Firm, request: str) -> Any:
        @contextmanager
        def said() -> Iterator[None]:
            firm.say(who, request, kind)
            yield

        return said()

    return changed


def host_key(*_: Any) -> Any:
    """This machine's key is another one."""
    from opsnb.control.flows import hosts

    @contextmanager
    def other() -> Iterator[None]:
        own = hosts.machine_key
        hosts.machine_key = lambda: "SHA256:other"
        try:
            yield
        finally:
            hosts.machine_key = own

    return other()


CHANGES: list[tuple[str, Change, Cause, str]] = [
    ("one byte of the notebook", notebook, Cause.NOTEBOOK, "TST-100.ipynb has changed"),
    ("the toolkit", toolkit, Cause.TOOLKIT, "the toolkit has changed"),
    ("a parameter in the database", row(parameters=lambda v: {**v, "hosts": "db1"}), Cause.PARAMETERS, "parameters"),
    ("the sealed bytes", row(body=lambda v: v.replace(b'"because"', b'"becauze"')), Cause.REQUEST, "not what was sealed"),
    ("the plan's result", row(plan=lambda v: {**v, "changes": v["changes"][:1]}), Cause.PLAN, "the plan of request"),
    ("the plan and its digest", row(plan_digest=lambda v: v[::-1]), Cause.PLAN, "the plan of request"),
    ("a host added to the group", inventory("[web1, web2]", "[web1, web2, db1]"), Cause.HOSTS, "db1 has come"),
    ("a host taken out", inventory("[web1, web2]", "[web1]"), Cause.HOSTS, "web2 has gone"),
    ("a host key", host_key, Cause.HOST_KEY, "web1 has another host key"),
    (
        "the inventory", inventory("web1: {transport: local, ", "web1: {transport: local, variables: {a: 1}, "),
        Cause.INVENTORY, "web1 has another variables",
    ),
    ("the policy", policy, Cause.POLICY, "policy prod is not what"),
    ("the approver left", user("bob", {"active": False}, {"active": True}), Cause.PERSON, "bob, who approved"),
    ("the requester left", user("dora", {"active": False}, {"active": True}), Cause.PERSON, "dora, who asked"),
    ("the approver's role", user("bob", {"take": ("approver",)}, {"give": ("approver",)}), Cause.ROLE, "bob has no role"),
    ("the requester's role", user("dora", {"take": ("engineer",)}, {"give": ("engineer",)}), Cause.ROLE, "dora, who asked"),
    ("a veto", acted("carol", ActKind.VETO), Cause.ENDED, "vetoed"),
    ("withdrawn", acted("dora", ActKind.WITHDRAW), Cause.ENDED, "withdrawn"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "cause", "words"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_each_change_stops_the_claim(firm: Firm, change: Change, cause: Cause, words: str) -> None:
    """The run ends without a kernel, says which thing it was, the ledger has its cause, and nothing was touched."""
    request = firm.request()
    firm.say("bob", request)
    firm.hold()
    run = firm.apply(request)
    with change(firm, request):
        firm.let_go()
        ended = firm.end(run)
        assert (ended["verdict"], firm.marks()) == ("ABORTED", [])
        assert words in ended["reason"]
        assert not ENGLISH.search(retell(ended["reason"], CHINESE))
        refused = [e for e in firm.events(request) if e["kind"] == "claim.refused"]
        assert [(e["run"], e["cause"]) for e in refused] == [(run, cause.value)]
        with pytest.raises(RefusedError, match=words.replace("(", r"\(")):
            firm.apply(request)
    assert not [e for e in firm.events(request) if e["kind"] == "run.claimed" and e["run"] == run]


def test_a_delegation_that_ended(firm: Firm) -> None:
    """What a delegate approved counts while the delegation holds, and not a moment longer."""
    made = people.add_delegate(firm.services, firm.app.actor, "chen", "erin", None, now() + timedelta(hours=1))
    request = firm.request()
    firm.say("erin", request, on_behalf_of="chen")
    firm.hold()
    run = firm.apply(request)
    people.end_delegate(firm.services, firm.app.actor, made["id"])
    firm.let_go()
    ended = firm.end(run)
    assert "erin is not a delegate of chen any more" in ended["reason"]
    assert [e["cause"] for e in firm.events(request) if e["kind"] == "claim.refused"] == ["delegate"]


def test_a_delegation_whose_period_is_over(firm: Firm) -> None:
    """Nobody does anything: the period ends while the request waits, and with it what was approved in it.

    It is over by the clock that the code uses. Whoever approved and whoever claims is told whose period ended when.
    """
    request, other = firm.request(), firm.request()
    end = parse(stamp(now())).replace(microsecond=0) + timedelta(seconds=4)
    made = people.add_delegate(firm.services, firm.app.actor, "chen", "erin", None, end)
    assert firm.say("erin", request, on_behalf_of="chen").status is Status.APPROVED
    firm.hold()
    run = firm.apply(request)
    wait_for(lambda: now() >= end, 10)
    firm.let_go()
    ended = firm.end(run)
    why = f"erin is not a delegate of chen any more: that ended at {stamp(end)}"
    assert ended["reason"].endswith(f"an approval does not count any more: {why}")
    (refused,) = [e for e in firm.events(request) if e["kind"] == "claim.refused"]
    assert (refused["run"], refused["cause"]) == (run, "delegate")
    with pytest.raises(RefusedError, match=why):
        firm.say("erin", other, on_behalf_of="chen")
    (act,) = [a for a in firm.shown(request)["acts"] if a["act"] == "approve"]
    assert (act["by"], act["for"], act["counts"], act["void"]) == ("erin", "chen", False, why)
    wait_for(lambda: lists(firm, request) == firm.shown(request)["status"] == "open", 10)
    assert [e["status"] for e in firm.events(request) if e["kind"] == "request.settled"] == ["approved", "open"]
    listed = {d["id"]: d for d in people.delegates(firm.services, firm.app.actor, everything=True)}
    assert listed[made["id"]]["state"] == "over"
    assert made["id"] not in {d["id"] for d in people.delegates(firm.services, firm.app.actor, everything=False)}
    with firm.services.database.transaction() as connection:
        kept = [e.value for e in read(connection) if e.value.get("delegate") == made["id"]]
    assert [(e["kind"], e["end"]) for e in kept] == [("delegate.added", stamp(end))]
    assert not ENGLISH.search(retell(ended["reason"], CHINESE))


def lists(firm: Firm, request: str) -> str:
    """Return the status of a request as lists show it."""
    page = requests.listed(firm.services, firm.app.actor, runbook="TST-100", most=20)["requests"]
    return str(next(row["status"] for row in page if row["request"] == request))


def test_a_file_edited_on_the_target(firm: Firm) -> None:
    """What was edited on a host between plan and change is compared just before it: DRIFTED, nothing touched."""
    request = firm.request()
    firm.say("bob", request)
    (firm.folder / "web1").write_text("somebody else's", encoding="utf-8")
    ended = firm.end(firm.apply(request))
    assert ended["verdict"] == "DRIFTED"
    assert (firm.folder / "web1").read_text(encoding="utf-8") == "somebody else's"
    assert firm.marks() == ["web1"]


def test_it_goes_through_when_all_is_as_it_was(firm: Firm) -> None:
    """A refusal uses nothing up: once all is as it was approved, the same request is applied."""
    request = firm.request()
    firm.say("bob", request)
    firm.hold()
    run = firm.apply(request)
    with notebook(firm, request):
        firm.let_go()
        assert firm.end(run)["verdict"] == "ABORTED"
    assert firm.end(firm.apply(request))["verdict"] == "DONE"
    assert firm.marks() == ["web1", "web2"]


def test_a_freeze_with_too_little_time(firm: Firm) -> None:
    """A freeze that begins before the runbook's timeout is over keeps it from starting; one after that does not."""
    from opsnb.control.approvals.freeze import Freeze, Moment
    from opsnb.control.approvals.policy import Policies, Rule
    from opsnb.control.flows.case import open_case
    from opsnb.control.flows.claim import stops
    from opsnb.control.flows.ground import Workspace

    begin = now().replace(second=0, microsecond=0) + timedelta(hours=2)
    freeze = Freeze(
        name="books", begin=Moment(clock=begin.timetz().replace(tzinfo=None), day=begin.date()),
        end=Moment(clock=begin.timetz().replace(tzinfo=None), day=(begin + timedelta(days=1)).date()),
    )  # fmt: skip
    own = firm.services.policies
    base = own.choose("change", ["prod"], "TST-100")
    firm.services.policies = Policies(rules=(Rule(policy=replace(base, names=("frozen",), freezes=(freeze,))),))
    try:
        request = firm.request()
        firm.say("bob", request)
        dora = firm.actor("dora").person.id
        for minutes, cause in ((-3, None), (-1, Cause.FREEZE), (30, Cause.FREEZE)):
            moment = begin + timedelta(minutes=minutes)
            with firm.services.database.transaction() as connection:
                case = open_case(connection, firm.services.policies, request, moment)
                stop = next(stops(case, Workspace(firm.services), dora, moment), None)
            assert (stop.cause if stop else None) == cause
            assert stop is None or "books" in stop.why
    finally:
        firm.services.policies = own
    assert list(firm.folder.iterdir()) == []


def test_a_file_that_is_only_edited_changes_nothing(firm: Firm) -> None:
    """A broken inventory on the disk is a proposal: what was approved goes through with the one that was activated."""
    request = firm.request()
    firm.say("bob", request)
    with file(firm.place.root / "inventory.yaml", b"hosts: ["):
        assert firm.end(firm.apply(request))["verdict"] == "DONE"
