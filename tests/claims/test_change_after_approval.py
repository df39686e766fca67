"""Between approval and start something changes, one thing at a time: the claim stops, says which, and records it.

``CHANGES`` is the list: what changed, how, the ledger's cause, and the words of the reason in English and in Chinese.
Several people share the workspace, so its files hold as they were activated; dora asks, bob approves. What is edited on
a target is not the claim's to see: it stands below the table, at each of its moments.

The application waits in the queue, already let through once, when the change is made: so it is the look inside the
claim's transaction that has to find it. A second look, when somebody asks for the start, says the same.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from claims.firm import CELLS, FRONT, HOSTS, KEYS, PARAMETERS, Firm
from opsnb.base.clock import now, parse, stamp
from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.base.i18n import CHINESE, retell
from opsnb.base.plan import Plan
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.flows import activate, people, requests
from opsnb.control.flows.active import active
from opsnb.control.flows.seal import Asked
from opsnb.control.ledger.store import read
from opsnb.control.people.wanted import User
from opsnb.control.records import Cause, Mode
from opsnb.control.runs import store
from opsnb.control.runs.toolkit import PACKAGES, Toolkit
from places import notebook as notebook_of
from places import unhurried, wait_for

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


def notebook_activated(firm: Firm, request: str) -> Any:
    """The same byte, and somebody who may activates it: what was approved was another."""
    return and_activated(firm, notebook(firm, request))


@contextmanager
def and_activated(firm: Firm, change: Any) -> Iterator[None]:
    """What was changed holds, and what was there before holds again afterwards."""
    try:
        with change:
            activated(firm)
            yield
    finally:
        activated(firm)


@contextmanager
def script(firm: Firm, _: str) -> Iterator[None]:
    """A file beside the notebook, from where it could be imported."""
    path = firm.runbook.with_name("marks.py")
    path.write_text("MARK = 'another'\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink()


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
        before, data = path.stat(), path.read_bytes()
        path.write_bytes(data[:-1] + b" ")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same size and the same time
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


def fewer(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan without its last change."""
    return {**plan, "changes": plan["changes"][:-1]}


def replanned(firm: Firm, request: str) -> Any:
    """The plan and its digest, so that they fit each other."""
    with firm.services.database.transaction() as connection:
        plan = fewer(store.request_row(connection, request).plan)
    return row(plan=lambda _: plan, plan_digest=lambda _: Plan.from_json(plan).digest)(firm, request)


@contextmanager
def gone(firm: Firm, _: str) -> Iterator[None]:
    """The directory that the runbook writes."""
    firm.folder.rmdir()
    try:
        yield
    finally:
        firm.folder.mkdir(exist_ok=True)


def inventory(old: str, new: str) -> Change:
    """The inventory, edited and activated: a file that is only edited does not hold."""

    def changed(firm: Firm, _: str) -> Any:
        assert old in HOSTS
        return and_activated(firm, file(firm.place.root / "inventory.yaml", HOSTS.replace(old, new).encode()))

    return changed


def activated(firm: Firm) -> None:
    """Make the workspace's files the ones that hold."""
    seen = activate.differing(firm.services, firm.app.actor)
    activate.activate(firm.services, firm.app.actor, files=seen["files"], active=seen["active"])


def policy(firm: Firm, _: str) -> Any:
    """Another policy stands in opsnb.yaml, and is activated."""
    path = firm.place.root / "opsnb.yaml"
    more = b'policies: {"prod": {"environments": ["prod"], "validity": "2h"}}\n'
    return and_activated(firm, file(path, path.read_bytes() + more))


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


def machine(*_: Any) -> Any:
    """This machine is another one: its key is a digest of its id."""
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


EDGE, OTHER = (f"edge1: {{address: 192.0.2.7, environment: prod, keys: [ssh-ed25519 {k}]}}" for k in KEYS)
CHANGES: list[tuple[str, Change, Cause, str, str]] = [
    ("one byte of the notebook", notebook, Cause.NOTEBOOK, "TST-100.ipynb has changed", "TST-100.ipynb 已被改动"),
    (
        "one byte of the notebook, activated", notebook_activated, Cause.NOTEBOOK, "TST-100.ipynb has changed",
        "TST-100.ipynb 已被改动",
    ),
    (
        "a file beside the notebook", script, Cause.REVISION, "runbooks/marks.py differs from the active revision",
        "runbooks/marks.py 与生效版本",
    ),
    ("one byte of the toolkit", toolkit, Cause.TOOLKIT, "the toolkit has changed", "工具包已被改动"),
    (
        "a parameter", row(parameters=lambda v: {**v, "hosts": "db1"}), Cause.PARAMETERS, "the parameters of request",
        "的参数与封存的参数不一致",
    ),
    (
        "the sealed bytes", row(body=lambda v: v.replace(b'"because"', b'"becauze"')), Cause.REQUEST,
        "not what was sealed", "与封存的内容不一致",
    ),
    ("the plan's result", row(plan=fewer), Cause.PLAN, "the plan of request", "的计划与当时生成的计划不一致"),
    ("the plan's digest", row(plan_digest=lambda v: v[::-1]), Cause.PLAN, "the plan of request", "的计划与当时生成"),
    (
        "the plan's result and its digest", replanned, Cause.APPROVALS,
        "needs the approval of another person", "还需要他人批准",
    ),
    (
        "a host added to the group", inventory("[web1, web2]", "[web1, web2, db1]"), Cause.HOSTS, "db1 has come",
        "新增了 db1",
    ),
    ("a host taken out", inventory("[web1, web2]", "[web1]"), Cause.HOSTS, "web2 has gone", "少了 web2"),
    ("a host key", inventory(EDGE, OTHER), Cause.HOST_KEY, "edge1 has another host key", "edge1 的主机密钥已不同"),
    ("a host key taken away", inventory(EDGE, EDGE.partition(", keys")[0] + "}"), Cause.HOST_KEY,
     "no key is pinned for edge1", "尚未登记 edge1 的主机密钥"),
    ("this machine", machine, Cause.HOST_KEY, "web1 has another host key", "web1 的主机密钥已不同"),
    (
        "the inventory", inventory("web1: {transport: local, ", "web1: {transport: local, variables: {a: 1}, "),
        Cause.INVENTORY, "web1 has another variables", "web1 的 variables 已不同",
    ),
    ("the policy", policy, Cause.POLICY, "policy prod is not what", "策略 prod 已不是"),
    ("the directory", gone, Cause.WRITES, "where the runbook writes, cannot be looked at", "无法查看"),
    ("the approver left", user("bob", {"active": False}, {"active": True}), Cause.PERSON, "bob, who approved", "bob"),
    ("the requester left", user("dora", {"active": False}, {"active": True}), Cause.PERSON, "dora, who asked", "dora"),
    (
        "the approver's role", user("bob", {"take": ("approver",)}, {"give": ("approver",)}), Cause.ROLE,
        "bob has no role", "bob",
    ),
    (
        "the requester's role", user("dora", {"take": ("engineer",)}, {"give": ("engineer",)}), Cause.ROLE,
        "dora, who asked", "dora",
    ),
    ("a veto", acted("carol", ActKind.VETO), Cause.ENDED, "vetoed", "已被否决"),
    ("withdrawn", acted("dora", ActKind.WITHDRAW), Cause.ENDED, "withdrawn", "已撤回"),
]  # fmt: skip
IDS = [c[0] for c in CHANGES]


@pytest.mark.parametrize(("what", "change", "cause", "words", "chinese"), CHANGES, ids=IDS)
def test_each_change_stops_the_claim(
    firm: Firm, what: str, change: Change, cause: Cause, words: str, chinese: str
) -> None:
    """No kernel, nothing touched, the thing named in both languages, its cause in the ledger; asked again, the same."""
    assert active(firm.services) is not None
    request = firm.request(hosts="edge1" if "host key" in what else "web", directory=str(firm.folder))
    firm.say("bob", request)
    firm.hold()
    run = firm.apply(request)
    with change(firm, request):
        firm.let_go()
        ended = firm.end(run)
        assert (ended["verdict"], firm.marks() if firm.folder.exists() else []) == ("ABORTED", [])
        assert words in ended["reason"]
        told = retell(ended["reason"], CHINESE)
        assert chinese in told
        assert not ENGLISH.search(told)
        refused = [e for e in firm.events(request) if e["kind"] == "claim.refused"]
        assert [(e["run"], e["cause"]) for e in refused] == [(run, cause.value)]
        with pytest.raises(RefusedError, match=re.escape(words)):
            firm.apply(request)
        record = firm.record(ended)
    page = (firm.place.root / ended["record"]).read_text(encoding="utf-8")
    assert words in html.unescape(page)
    assert chinese in page
    assert record["applied"] == []
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
    end = parse(stamp(now())).replace(microsecond=0) + timedelta(seconds=unhurried(4))
    made = people.add_delegate(firm.services, firm.app.actor, "chen", "erin", None, end)
    assert firm.say("erin", request, on_behalf_of="chen").status is Status.APPROVED
    firm.hold()
    run = firm.apply(request)
    wait_for(lambda: now() >= end, 120)
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
    wait_for(lambda: lists(firm, request) == firm.shown(request)["status"] == "open", 30)
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


WAITS = """import time
pathlib.Path(directory, "compared").touch()
while not pathlib.Path(directory, "go").exists():
    time.sleep(0.02)"""


def test_a_file_edited_between_check_and_change(firm: Firm) -> None:
    """What was edited on a host after the plan was compared, and just before its change, is found there: DRIFTED."""
    cells = [cell.replace("TST-100", "TST-101") for cell in CELLS]
    path = firm.runbook.with_name("TST-101.ipynb")
    path.write_bytes(notebook_of(*cells[:2], WAITS, *cells[2:], front=FRONT.replace("TST-100", "TST-101"),
                                 parameters=PARAMETERS))  # fmt: skip
    activated(firm)
    asked = Asked(runbook="TST-101", values={"directory": str(firm.folder), "hosts": "web"}, why="because")
    request = str(firm.end(firm.app.submit(asked, start="asked", actor=firm.actor("dora")))["request"])
    firm.say("bob", request)
    run = firm.app.submit(Asked(runbook="TST-101", mode=Mode.APPLY), request=request, actor=firm.actor("dora"))
    wait_for((firm.folder / "compared").exists, 60)
    (firm.folder / "web1").write_text("somebody else's", encoding="utf-8")
    (firm.folder / "go").touch()
    ended = firm.end(run)
    assert ended["verdict"] == "DRIFTED"
    assert "web1: mark web1 is no longer as planned; nothing was touched" in ended["reason"]
    assert "web1：mark web1 已与计划不符" in retell(ended["reason"], CHINESE)
    assert (firm.folder / "web1").read_text(encoding="utf-8") == "somebody else's"
    assert firm.marks() == ["compared", "go", "web1"]


def test_another_parameter_at_the_start(firm: Firm) -> None:
    """Whoever starts an approved request can not give it another parameter, another host or another notebook."""
    request = firm.request()
    firm.say("bob", request)
    for asked in (
        Asked(runbook="TST-100", mode=Mode.APPLY, values={"directory": "/tmp"}),
        Asked(runbook="TST-100", mode=Mode.APPLY, hosts="db1"),
        Asked(runbook="HST-020", mode=Mode.APPLY),
    ):
        with pytest.raises(OpsnbError, match=request):
            firm.app.submit(asked, request=request, actor=firm.actor("dora"))
    assert firm.marks() == []


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
