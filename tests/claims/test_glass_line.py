"""Break-glass with real runs: through a freeze and by hand, its records, its review; and what the program prints."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claims.firm import HOSTS, Firm
from opsnb.base.errors import RefusedError, UsageError
from opsnb.cli.workspace import make
from opsnb.control.approvals.values import ActKind
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows import people, requests, telling
from opsnb.control.flows.glass import break_glass
from opsnb.control.flows.seal import Asked
from opsnb.control.people.wanted import User
from places import Place, wait_for

pytestmark = pytest.mark.slow
FROZEN = {"always": {"from": "2020-01-01 00:00", "to": "2099-01-01 00:00", "why": "closing"}}
GLASS = {"for": ["role:oncall"], "notice": ["person:erin"]}
LS = Asked(runbook="HST-004", values={"hosts": "web1", "command": ["true"]}, why="looking")


@pytest.fixture(scope="module", autouse=True)
def _strict(firm: Firm) -> None:
    """A policy of production that freezes everything, protects hosts, and lets the person on call break the glass."""
    people.set_user(firm.services, firm.app.actor, User(name="dora", roles=("engineer", "oncall")))
    written = {"environments": ["prod"], "protected": True, "freezes": FROZEN, "break_glass": GLASS}
    firm.services.policies = read_policies({"prod": written})


@pytest.fixture
def glass(firm: Firm) -> Iterator[str]:
    """A broken glass; closed and reviewed afterwards, where the test has not."""
    made = break_glass(firm.services, firm.actor("dora"), "web", "the shop is down <b>", 1800)
    yield made
    shown = firm.shown(made)
    if shown["status"] == "approved":
        firm.say("dora", made, ActKind.WITHDRAW)
    if not shown["reviewed"]:
        firm.say("bob", made, ActKind.REVIEW)


def page(firm: Firm, run: dict[str, Any]) -> str:
    """Return a run's page."""
    firm.record(run)
    return (firm.place.root / firm.app.run(run["run"])["record"]).read_text(encoding="utf-8")


def test_a_change_through_a_freeze(firm: Firm) -> None:
    """Refused by the freeze; under the glass it is made and undone, said everywhere, and reviewed by somebody else."""
    request = firm.request()
    with pytest.raises(RefusedError, match="freeze 'always'"):
        firm.apply(request)
    glass = break_glass(firm.services, firm.actor("dora"), "web", "the shop is down", 1800)
    run = firm.apply(request)
    assert firm.app.run(run)["under"]["request"] == glass
    ended = firm.end(run)
    assert (ended["verdict"], firm.marks()) == ("DONE", ["web1", "web2"])
    record, html = firm.record(ended), page(firm, ended)
    assert (record["without"]["glass"], record["without"]["who"], record["approvals"]) == (glass, "dora", [])
    assert {"bob", "carol", "dora", "erin"} < set(record["without"]["told"])
    assert "which nobody approved" in html
    assert html.index("BREAK-GLASS") < html.index("DONE</strong>")
    assert "紧急破窗" in html
    kinds = [e["kind"] for e in firm.events(request) if e.get("run") == run]
    assert kinds.index("glass.used") < kinds.index("run.claimed")
    (firm.folder / "web1").write_text("marked")
    (firm.folder / "web2").write_text("marked")
    undone = firm.end(firm.app.undo(run, firm.actor("dora")))
    assert (undone["verdict"], firm.marks(), undone["without"]["glass"]) == ("DONE", [], glass)
    firm.say("dora", glass, ActKind.WITHDRAW)
    with pytest.raises(RefusedError, match="nobody approves their own"):
        firm.say("dora", glass, ActKind.REVIEW)
    under = firm.shown(glass)["under"]
    assert [(row["run"], row["mode"], row["verdict"]) for row in under] == [
        (run, "apply", "DONE"), (undone["run"], "undo", "DONE"),
    ]  # fmt: skip
    firm.say("bob", glass, ActKind.REVIEW)
    made = firm.app.run(run)["without"]
    assert (made["review"], made["reviewed"]["by"]) == (glass, "bob")
    assert firm.app.runs(1)[0]["without"]["reviewed"]["by"] == "bob"


def test_by_hand_on_protected_hosts(firm: Firm, glass: str) -> None:
    """A command needs no other grant while the glass holds; it is loud, recorded, listed for the review; then refused."""
    with pytest.raises(RefusedError, match="needs a grant"):
        firm.app.submit(LS, actor=_oncall(firm, "chen"))
    run = firm.app.submit(LS, actor=firm.actor("dora"))
    assert firm.app.run(run)["under"]["request"] == glass
    ended = firm.end(run)
    assert (ended["verdict"], ended["without"]["glass"]) == ("DONE", glass)
    assert "BREAK-GLASS" in page(firm, ended)
    (line,) = firm.shown(glass)["under"]
    assert (line["run"], line["command"], line["hosts"], line["why"]) == (run, ["true"], ["web1"], "looking")
    elsewhere = Asked(runbook="HST-004", values={"hosts": "db1", "command": ["true"]})
    with pytest.raises(RefusedError, match="needs a grant"):
        firm.app.submit(elsewhere, actor=firm.actor("dora"))
    narrow = firm.actor("dora", via="token", scopes=frozenset({"read", "exec"}))
    with pytest.raises(RefusedError, match="not good for 'break_glass'"):
        firm.app.submit(LS, actor=narrow)
    firm.say("carol", glass, ActKind.VETO)
    with pytest.raises(RefusedError, match="needs a grant"):
        firm.app.submit(LS, actor=firm.actor("dora"))


def _oncall(firm: Firm, name: str) -> Any:
    people.set_user(firm.services, firm.app.actor, User(name=name, roles=("approver", "oncall")))
    return firm.actor(name)


def test_lists_begin_with_it(firm: Firm, glass: str) -> None:
    """Whatever is asked for, a list begins with the glass that holds, the reviews that are owed, one's notices."""
    listed = requests.listed(firm.services, firm.actor("erin"), status="rejected")
    assert [row["request"] for row in listed["glass"]] == [glass]
    assert glass in [row["request"] for row in listed["owed"]]
    assert listed["notices"] == len(telling.mine(firm.services, firm.actor("erin"))["notices"]) > 0
    later = requests.listed(firm.services, firm.actor("erin"), before=1)
    assert "glass" not in later


def test_what_is_no_glass(firm: Firm) -> None:
    """Too long, without a reason, by somebody whom no policy names, or where none names anybody: refused."""
    dora = firm.actor("dora")
    with pytest.raises(UsageError, match="60 minutes at most, not 61"):
        break_glass(firm.services, dora, "web1", "why", 61 * 60)
    with pytest.raises(UsageError, match="says why"):
        break_glass(firm.services, dora, "web1", " ", 60)
    with pytest.raises(RefusedError, match="may not break the glass"):
        break_glass(firm.services, firm.actor("bob"), "web1", "why", 60)
    with pytest.raises(RefusedError, match="does not name"):
        break_glass(firm.services, firm.app.actor, "web1", "why", 60)
    with pytest.raises(RefusedError, match="built-in change does not name dora"):
        break_glass(firm.services, dora, "localhost", "why", 60)


def test_what_nobody_approves_says_so(firm: Firm) -> None:
    """An approval-free runbook: its record says that nobody had to approve it, who was told, until when it is reviewed."""
    own = firm.services.policies
    free = {"for": ["person:dora"], "runbooks": ["TST-*"], "notice": ["person:erin"], "review": "12h"}
    firm.services.policies = read_policies({"prod": {"environments": ["prod"], "free": free}})
    try:
        request = firm.request()
        run = firm.end(firm.apply(request))
        record, html = firm.record(run), page(firm, run)
        assert (firm.marks(), record["approvals"], record["without"]["told"]) == (["web1", "web2"], [], ["erin"])
        assert "NOT APPROVED BY ANYBODY" in html
        assert "未经任何人批准" in html
        assert "alarm-glass" not in html.partition("</style>")[2]
        (notice,) = [n for n in telling.mine(firm.services, firm.actor("erin"))["notices"] if n["run"] == run["run"]]
        assert (notice["kind"], notice["runbook"], notice["by"]) == ("free", "TST-100", "dora")
        assert run["without"]["reviewed"] is None
        firm.say("bob", request, ActKind.REVIEW)
        assert firm.app.run(run["run"])["without"]["reviewed"]["by"] == "bob"
    finally:
        firm.services.policies = own


def test_what_the_program_prints(tmp_path: Path) -> None:
    """`opsnb grant break-glass` and what follows it: loud on stderr, first in the list, a notice, doctor, its end."""
    place, me = Place(tmp_path / "ws"), getpass.getuser()
    make(place.root)
    glass = {"for": [f"person:{me}"], "at_most": "10m", "review": "1s"}
    place.settings(policies={"prod": {"environments": ["prod"], "protected": True, "break_glass": glass}})
    (place.root / "inventory.yaml").write_text(HOSTS, encoding="utf-8")
    place.up()
    try:
        shown = place.json("grant", "break-glass", "web1", "--reason", "it burns", "--minutes", "10")
        request = shown["request"]
        assert (shown["status"], shown["runbook"], shown["under"]) == ("approved", "break_glass", [])
        done = place.opsnb("exec", "web1", "--", "true")
        assert done.returncode == 0
        assert f"BREAK-GLASS {request} until" in done.stderr
        wait_for(lambda: place.json("whoami")["notices"] == 2, 30)  # broken, and its review is overdue after a second
        first, second, third = place.opsnb("requests", "list").stdout.splitlines()[:3]
        assert first.strip().startswith(f"BREAK-GLASS {request}: {me} until")
        assert f"review of {request}" in second
        assert third.startswith("2 notice(s)")
        assert "2 notice(s)" in place.opsnb("whoami").stdout
        notices = place.opsnb("requests", "notices").stdout
        assert f"nobody has reviewed in time what {me} did: request {request}" in notices
        assert f"{me} BROKE THE GLASS: request {request}" in notices
        assert "notice(s)" not in place.opsnb("whoami").stdout
        assert "under it" in place.opsnb("requests", "show", request).stdout
        assert "BREAK-GLASS, review owed until" in place.opsnb("runs", "list").stdout
        place.opsnb("requests", "withdraw", request)
        assert f"1 overdue: {request}" in place.opsnb("doctor").stdout
        refused = place.opsnb("grant", "break-glass", "web1", "--reason", "again", "--minutes", "1")
        assert (refused.returncode, "is overdue" in refused.stderr) == (3, True)
    finally:
        place.close()
