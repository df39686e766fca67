"""Several people and the real program: one server, each signed in from a home of their own, every answer as they meet it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsnb.control.flows.enter import MAYBE
from people_program.company import LINK, PASSWORD, PEOPLE, Company, code_of
from places import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The company, everybody signed in."""
    made = Company(tmp_path_factory.mktemp("company"))
    try:
        link = LINK.search(made.terminal)
        assert link, made.terminal
        assert made.browse("/enter", code=link[1], password=PASSWORD)[0] == 200
        status, page = made.browse("/enter", code=link[1], password=PASSWORD)
        assert (status, "once" in link[0], "of root" in page) == (401, False, False)
        made.owner("user", "add", "bob", "--role", "approver")
        people = {"users": {name: {"roles": [role]} for name, role in PEOPLE.items() if name != "bob"}}
        (made.place.root / "people.yaml").write_text(json.dumps(people), encoding="utf-8")
        made.owner("user", "import", "people.yaml")
        for name in PEOPLE:
            made.join(name)
            done = made.login(name)
            assert (done.returncode, f"as {name} until" in done.stdout) == (0, True), done.stderr
        yield made
    finally:
        made.place.close()


def refused(company: Company, who: str, *argv: str, code: int = 3) -> str:
    """Return what the program says to somebody whom it refuses; nothing is on stdout then."""
    done = company.as_(who, *argv)
    assert (done.returncode, done.stdout) == (code, ""), (argv, done.stdout, done.stderr)
    assert done.stderr.startswith("error: ")
    return done.stderr


def shown(company: Company, request: str, *more: str, who: str = "dora") -> Any:
    """Return a request as somebody is shown it."""
    return company.json(who, "requests", "show", request, *more)


def test_who_is_who(company: Company) -> None:
    """A wrong password and an unknown name are one answer; whoami says who and by what; the authenticator is wanted."""
    for who, password in (("bob", "not the password"), ("nobody", PASSWORD)):
        done = company.as_(who, "login", company.url, "--user", who, "--password-stdin", "--ca", str(company.cert),
                           given=f"{password}\n")  # fmt: skip
        assert (done.returncode, done.stderr) == (3, f"error: name, password or code is wrong\n  → {MAYBE}\n")
    assert "bob" in company.as_("bob", "whoami").stdout  # the token that he has still holds
    me = company.json("erin", "whoami")
    assert (me["user"], me["via"], me["roles"], me["url"]) == ("erin", "token", ["auditor"], company.url)
    secret = re.search(r"secret=([A-Z2-7]+)", company.place.opsnb("user", "codes").stdout)
    assert secret
    company.owner("user", "codes", "--code", code_of(secret[1]))
    as_owner = ("login", company.url, "--user", "root", "--password-stdin", "--ca", str(company.cert))
    given = f"{PASSWORD}\n"
    assert company.as_("root", *as_owner, given=given).returncode == 3
    assert company.as_("root", *as_owner, "--code", "000000", given=given).returncode == 3
    assert company.as_("root", *as_owner, "--code", code_of(secret[1], 1), given=given).returncode == 0


def test_from_the_request_to_the_change(company: Company) -> None:
    """Planned and asked for; refused to its requester and to who may not; read, approved, applied once, by who may."""
    request = company.request()
    for who, word in (("bob", "may approve"), ("dora", "-"), ("erin", "-")):
        listed = company.as_(who, "requests", "list").stdout
        assert re.search(rf"\d+ +{request}  TST-100  change  open +dora .* {word}\n", listed)
    page = company.as_("bob", "requests", "show", request).stdout
    plan = shown(company, request, "--plan")["plan"]["changes"][0]
    for line in ("+++ after", f"do:   {plan['command']}", f"undo: {plan['undo']}"):
        assert line in page
    assert "who may approve it: bob, carol, root" in page
    assert f"opsnb return|reject|veto {request} --comment TEXT" in page
    assert f"opsnb approve {request} --plan {shown(company, request)['plan']['digest'][:16]}\n" in page
    assert "dora asked for it, and nobody approves their own request" in refused(company, "dora", "approve", request)
    said = refused(company, "erin", "approve", request)
    assert "erin has the role auditor, which may not approve" in said
    assert "who may approve it: bob, carol, root" in said
    apply = ("run", "TST-100", "--mode", "apply", "--request", request)
    assert "needs the approval of another person" in refused(company, "dora", *apply)
    assert "another plan than the one they read" in refused(company, "bob", "approve", request, "--plan", "0123abcd")
    plan = shown(company, request)["plan"]["digest"]
    done = company.as_("bob", "approve", request, "--plan", plan[:12], "--comment", "read it")
    assert (done.returncode, "approve by bob  read it" in done.stdout) == (0, True)
    assert f"start it: opsnb {' '.join(apply)}" in done.stdout
    assert "bob has the role approver, which may not apply" in refused(company, "bob", *apply)
    result = company.json("dora", *apply)
    assert (result["verdict"], company.marks()) == ("DONE", ["web1", "web2"])
    assert f"was applied once already, by run {result['run']}" in refused(company, "dora", *apply)
    assert [run["verdict"] for run in shown(company, request)["runs"]] == ["PLANNED", "DONE"]


def test_every_no(company: Company) -> None:
    """Return, reject, veto and withdraw end it, each needs its reason where it has one, and says who and why."""
    ends = {"return": ("bob", "returned"), "reject": ("bob", "rejected"), "veto": ("carol", "vetoed")}
    plain = ("requests", "withdraw")
    for act, (who, status) in ends.items():
        request = company.request("--hosts", "web1")
        assert "Missing option '--comment'" in company.as_(who, act, request).stderr
        found = company.json(who, act, request, "--comment", "not like this")
        assert (found["status"], found["acts"][-1]["by"], found["acts"][-1]["comment"]) == (
            status,
            who,
            "not like this",
        )
        assert f"{who} " in refused(company, "dora", "run", "TST-100", "--mode", "apply", "--request", request)
    request = company.request("--hosts", "web1")
    assert "only dora, who asked for it, withdraws it" in refused(company, "bob", *plain, request)
    assert company.as_("erin", "requests", "comment", request, "I wonder").returncode == 0
    assert company.json("dora", *plain, request, "--comment", "no need")["status"] == "withdrawn"
    assert "the request is over: dora withdrew it" in refused(company, "bob", "approve", request)
    assert company.marks() == []
    assert company.json("bob", "requests", "list", "--status", "returned,rejected,vetoed,withdrawn")["requests"]


def test_a_step_that_is_handed_on(company: Company) -> None:
    """The policy names bob: nobody else handles the step until he hands it to somebody who may."""
    request = company.request("--hosts", "stage1")
    assert "carol is not one of those who handle step" in refused(company, "carol", "approve", request)
    assert "may not approve" in refused(company, "bob", "requests", "hand", request, "erin")
    assert "no user is called 'nobody'" in refused(company, "bob", "requests", "hand", request, "nobody", code=2)
    assert company.as_("bob", "requests", "hand", request, "carol").returncode == 0
    assert company.json("carol", "approve", request, "--for", "bob")["status"] == "approved"


def test_starts_of_themselves(company: Company) -> None:
    """`--start approved` starts with the approval, a time when it has come; each at its time and once."""
    begun_at = time.monotonic()
    at_once = company.request("--start", "approved", "--hosts", "web1")
    company.as_("bob", "approve", at_once)
    took = time.monotonic() - begun_at  # the next one takes as long, and is to be there before its time
    due = (datetime.now().astimezone() + timedelta(seconds=max(6, 3 * took))).replace(microsecond=0)
    later = company.request("--start", due.replace(tzinfo=None).isoformat(), "--hosts", "db1")
    company.as_("bob", "approve", later)
    begun = {"db1": 0.0}

    def started() -> bool:
        marks = {path.name for path in company.folder.iterdir()}
        begun["db1"] = begun["db1"] or ("db1" in marks) * datetime.now(UTC).timestamp()
        return marks == {"web1", "db1"}

    wait_for(started, 60 + 3 * took)
    assert begun["db1"] >= due.timestamp()
    wait_for(lambda: [r["verdict"] for r in shown(company, later)["runs"]] == ["PLANNED", "DONE"], 30)
    assert company.marks() == ["db1", "web1"]
    assert "is no time" in refused(company, "dora", "request", "TST-100", "--reason", "x", "--start", "soon", code=2)


def test_by_hand(company: Company) -> None:
    """A protected host takes a grant, approved by somebody else; each refusal says the next move, and it says until when."""
    words = ("exec", "db1", "--", "echo", "by hand")
    said = refused(company, "dora", *words)
    assert "policy prod protects db1: 'exec' needs a grant" in said
    assert "→ opsnb grant exec db1 --reason '...'" in said
    ask = ("grant", "exec", "db1", "--reason", "look at the queue", "--minutes")
    assert "60 minutes at most" in refused(company, "dora", *ask, "90", code=2)
    grant = company.json("dora", *ask, "30")["request"]
    assert f"who may approve it: opsnb requests show {grant}" in refused(company, "dora", *words)
    page = company.as_("bob", "approve", grant).stdout
    assert re.search(r"\n  holds until \d{4}-\d\d-\d\dT", page), page
    done = company.as_("dora", *words)
    assert (done.returncode, done.stdout) == (0, "db1 │ by hand\n")
    assert "may not run commands by hand" in refused(company, "bob", *words)
    company.as_("carol", "veto", grant, "--comment", "enough")
    assert f"grant {grant}: carol vetoed it" in refused(company, "dora", *words)
    assert f"does not hold: grant {grant}: carol vetoed it" in company.as_("bob", "requests", "show", grant).stdout


def test_break_glass(company: Company) -> None:
    """Whom the policy names acts at once and loudly; others are told and close it or look at it: never oneself."""
    asked = ("grant", "break-glass", "web", "--reason", "the shop is down", "--minutes", "20")
    assert "may not break the glass" in refused(company, "dora", *asked)
    glass = str(company.json("frank", *asked)["request"])
    request = company.request(who="frank")
    applied = company.as_("frank", "run", "TST-100", "--mode", "apply", "--request", request)
    assert (applied.returncode, company.marks()) == (0, ["web1", "web2"])
    by_hand = company.as_("frank", "exec", "web1", "--reason", "look", "--", "echo", "hello")
    for done in (applied, by_hand):
        assert f"BREAK-GLASS {glass} until" in done.stderr
    first, second = company.as_("erin", "requests", "list").stdout.splitlines()[:2]
    assert first.strip().startswith(f"BREAK-GLASS {glass}: frank until")
    assert f"review owed of {glass}" in second
    assert f"frank BROKE THE GLASS: request {glass}" in company.as_("erin", "requests", "notices").stdout
    assert "still holds" in refused(company, "bob", "requests", "review", glass, "--comment", "too early")
    company.json("frank", "requests", "withdraw", glass)
    assert "needs a grant" in company.as_("frank", "exec", "web1", "--", "true").stderr
    assert "nobody approves their own" in refused(company, "frank", "requests", "review", glass, "--comment", "fine")
    page = company.as_("bob", "requests", "show", glass).stdout
    assert re.findall(r"under it \S+  run \S+  (\S+ \w+): (.*)", page) == [
        ("TST-100 apply", "Mark hosts"), ("HST-004 read", "echo hello"),
    ]  # fmt: skip
    company.json("bob", "requests", "review", glass, "--comment", "looked at both records")
    run = json.loads(company.as_("erin", "runs", "list", "--runbook", "TST-100", "--json").stdout)["runs"][0]["run"]
    assert "nobody approved it: BREAK-GLASS, reviewed by bob at" in company.as_("erin", "runs", "show", run).stdout


def test_a_delegate_and_the_end_of_the_period(company: Company) -> None:
    """On behalf while the period lasts, shown as such; over by itself: refused with the time, listed as over, no claim."""
    begun_at = time.monotonic()
    first, second = company.request("--hosts", "web1"), company.request("--hosts", "web1")
    took = time.monotonic() - begun_at  # as the three commands that follow, or longer
    end = datetime.now().astimezone().replace(microsecond=0) + timedelta(seconds=max(12, 3 * took))
    until = end.replace(tzinfo=None).isoformat()
    made = company.json("carol", "delegate", "add", "carol", "erin", "--until", until)
    assert "has to say so" in refused(company, "erin", "approve", first)
    found = company.json("erin", "approve", first, "--for", "carol")
    assert [(a["by"], a["for"], a["counts"]) for a in found["acts"]] == [("erin", "carol", True)]
    assert "may not administer" in refused(company, "erin", "delegate", "add", "carol", "bob", "--until", "1d")
    wait_for(lambda: datetime.now().astimezone() >= end, 30 + 3 * took)
    ended = f"erin is not a delegate of carol any more: that ended at {end.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    assert ended in refused(company, "erin", "approve", second, "--for", "carol")
    assert ended in refused(company, "dora", "run", "TST-100", "--mode", "apply", "--request", first)
    assert f"(does not count: {ended})" in company.as_("bob", "requests", "show", first).stdout
    assert company.json("bob", "delegate", "list")["delegates"] == []
    (over,) = company.json("bob", "delegate", "list", "--all")["delegates"]
    assert (over["id"], over["state"], over["removed"]) == (made["id"], "over", None)
    assert company.marks() == []


def test_a_token_of_a_narrow_scope(company: Company) -> None:
    """A token that is good for reading reads, and its refusal says that it is the token that is too narrow."""
    token = company.as_("bob", "user", "token", "create", "look", "--scope", "read").stdout
    assert (
        company.as_("narrow", "login", company.url, "--token-stdin", "--ca", str(company.cert), given=token).stderr
        == ""
    )
    assert company.as_("narrow", "requests", "list").returncode == 0
    request = company.request("--hosts", "web1")
    assert "this token of bob is not good for 'approve'" in refused(company, "narrow", "approve", request)
    assert company.as_("narrow", "logout").returncode == 0
    said = refused(company, "narrow", "whoami", code=2)
    assert "opsnb login URL" in said
    assert refused(company, "narrow", "-w", company.url, "whoami") == (
        f"error: nobody is signed in to {company.url}\n  → opsnb login {company.url}\n"
    )
    assert "nobody is signed in here" in refused(company, "narrow", "logout", code=2)


def test_mistakes(company: Company) -> None:
    """A typo names what is near; a name of nobody, a status of none: 2, and the next move; JSON is one document, always."""
    request = company.request("--hosts", "web1")
    for typo in (f"{request}x", request[:-1], request.replace("-", "-1", 1)[:22]):
        assert f"did you mean {request}?" in refused(company, "bob", "approve", typo, code=2)
    assert "opsnb requests list" in refused(company, "bob", "requests", "show", "REQ", code=2)
    assert "there is no status 'opne'" in refused(company, "bob", "requests", "list", "--status", "opne", code=2)
    assert "no user is called 'bo'" in refused(company, "bob", "approve", request, "--for", "bo", code=2)
    for words, code in ((("approve", "REQ"), 2), (("run", "NGX-999"), 2), (("user", "may", "erin", "fly"), 2)):
        assert company.json("bob", *words, code=code)["error"]["exit"] == code
    assert company.json("dora", "approve", request, code=3)["error"]["exit"] == 3


def test_in_chinese(company: Company) -> None:
    """Whose locale is Chinese reads reasons and refusals in Chinese; what programs read stays as it is."""
    request, chinese = company.request("--hosts", "web1"), {"LC_ALL": "zh_CN.UTF-8"}
    done = company.as_("erin", "approve", request, **chinese)
    assert done.stderr == (
        f"错误：无法批准申请 {request}：erin 的角色为 auditor，无权执行操作“approve”\n"
        "  → 可以批准的人：bob, carol, root\n"
    )
    done = company.as_("bob", "user", "may", "erin", "exec", "--hosts", "web1", **chinese)
    assert (done.returncode, done.stdout) == (3, "不可以  erin 的角色为 auditor，无权执行操作“手工执行命令”\n")
    assert f"申请 {request}  待审批  步骤“approve”已有 0 个批准，共需 1 个" in company.as_(
        "bob", "requests", "show", request, **chinese
    ).stdout  # fmt: skip
    assert company.as_("erin", "approve", request, "--json", **chinese).stdout.startswith(
        '{"error": {"message": "approve'
    )


def test_what_ends(company: Company) -> None:
    """An expired token, a person who has left, a server that is gone: told apart, with the next move, and exit codes."""
    import sqlite3

    database = company.place.workspace.database
    with sqlite3.connect(database, timeout=30) as connection:
        past = "UPDATE tokens SET expires = '2026-01-01T00:00:00.000Z' WHERE kind = 'api'"
        assert connection.execute(past).rowcount >= len(PEOPLE)
    connection.close()
    assert refused(company, "bob", "requests", "list") == (
        "error: this api token is expired\n  → sign in again, or ask for a new token\n"
    )
    company.login("bob")
    company.owner("user", "deactivate", "bob")
    assert "bob is inactive" in refused(company, "bob", "requests", "list")
    server = company.place.servers[-1]
    server.terminate()
    server.wait(60)
    said = refused(company, "erin", "requests", "list", code=7)
    assert said.startswith(f"error: no control plane answers at {company.url}: ")
    assert company.json("erin", "whoami", code=7)["error"]["exit"] == 7
