"""A request in a terminal: all that decides about it, in English and in Chinese, with nothing in it that acts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsnb.cli import activate
from opsnb.cli.telling import MAX_LINES, tell_first, tell_notices, tell_request

AT = "2026-11-26T08:00:00.000Z"
SHOWN: dict[str, Any] = {
    "request": "q1", "status": "open", "reason": "step 'approve' has 0 of 2 approvals", "runbook": "HST-020",
    "title": "Notice", "parameters": {"text": "it's", "n": 2, "hosts": None}, "risk": "change", "policy": "p", "requester": "dora", "why": "", "hosts": ["web1", "web2"],
    "leave": None, "under": None, "able": ["bob"], "start": {"start": "time", "due": AT, "run": None, "why": ""},
    "steps": [
        {"step": "approve", "has": 0, "needed": 2, "done": False, "open": True},
        {"step": "later", "has": 0, "needed": 1, "done": False, "open": False},
    ],
    "acts": [
        {"act": "approve", "by": "bob", "at": AT, "for": "li", "to": "", "comment": "ok", "counts": False, "void": ""},
        {"act": "delegate", "by": "bob", "at": AT, "for": "", "to": "carol", "comment": "", "counts": False, "void": ""},
    ],
    "review_due": AT, "reviewed": False, "overdue": True,
    "runs": [{"run": "r1", "mode": "plan", "state": "ended", "verdict": "PLANNED", "reason": None}],
    "plan": {
        "digest": "0" * 64, "record": None,
        "changes": [
            {
                "host": "web1", "what": "file /x\x1b[2J", "before": {"content": "a\nb\n"}, "after": {"content": "a\nc\n"},
                "command": "write /x", "undo": "put it back",
            }
        ],
    },
}  # fmt: skip
ENGLISH = f"""\
request q1  open  step 'approve' has 0 of 2 approvals
  HST-020  Notice  (risk change, policy p)
  asked by dora: no reason given
  hosts web1, web2
  with text = it's
  with n = 2
  plan 0000000000000000  1 change(s), record -
    web1: file /x\\x1b[2J
      --- before
      +++ after
      @@ -1,2 +1,2 @@
       a
      -b
      +c
      do:   write /x
      undo: put it back
  step approve: 0 of 2 approval(s), open
  step later: 0 of 1 approval(s), waits
  {AT}  approve by bob for li  (does not count)  ok
  {AT}  delegate by bob to carol
  who may approve it: bob
    opsnb approve q1 --plan 0000000000000000
    opsnb return|reject|veto q1 --comment TEXT
  starts at {AT}
  review OVERDUE until {AT}: opsnb requests review q1 --comment TEXT
  run r1  plan  PLANNED
"""
FIRST: dict[str, Any] = {
    "glass": [{"request": "q2", "who": "erin", "until": AT}], "notices": 2,
    "owed": [
        {"request": "q3", "runbook": "HST-020", "who": "dora", "due": AT, "overdue": True},
        {"request": "q4", "runbook": "HST-020", "who": "dora", "due": AT, "overdue": False},
    ],
}  # fmt: skip
NOTICE = {"kind": "glass", "at": AT, "by": "erin", "runbook": "break_glass", "run": "", "request": "q2"}
# what is the same in both: commands, names, verdicts, words of people, differences
KEPT = re.compile(
    r"opsnb [a-z|]+( [a-z]+)?( q\d| REQUEST)?|--comment TEXT|text = it's|HST-020|BREAK-GLASS|PLANNED|put it back|"
    r"\b(Notice|change|plan|web\d|file|before|after|write|approve|later|ok|bob|li|carol|dora|erin)\b"
)


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str) -> str:
    """Return everything that is told of a request, a list and a notice."""
    monkeypatch.setenv("LC_ALL", language)
    tell_request(SHOWN)
    tell_first(FIRST)
    tell_notices([NOTICE])
    tell_notices([])
    return capsys.readouterr().out


def test_a_request_in_english(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that decides, the plan line by line, and what to type."""
    said = printed(capsys, monkeypatch, "C.UTF-8")
    assert said[: len(ENGLISH)] == ENGLISH


def test_a_request_in_chinese(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No English word is left but commands, names and what people wrote."""
    said = printed(capsys, monkeypatch, "zh_CN.UTF-8")
    assert "可审批的人：bob" in said
    assert "复核已逾期" in said
    assert re.findall(r"[A-Za-z]{2,}", KEPT.sub(" ", said)) == []


def test_a_long_plan_is_cut_and_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no room is counted, and the command that shows it is named; with ``every`` all of it is there."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    content = {"content": "".join(f"line {n}\n" for n in range(3 * MAX_LINES))}
    change = {**SHOWN["plan"]["changes"][0], "before": None, "after": content}
    long = {**SHOWN, "plan": {**SHOWN["plan"], "changes": [change]}}
    tell_request(long)
    cut = capsys.readouterr().out
    assert f"+line {MAX_LINES - 6}" in cut
    assert f"+line {MAX_LINES}\n" not in cut
    assert "more lines: opsnb requests show --plan q1" in cut
    tell_request(long, every=True)
    whole = capsys.readouterr().out
    assert f"+line {3 * MAX_LINES - 1}\n" in whole
    assert "more lines" not in whole


FORGED = f"looks fine\n  {AT}  approve by anna  read the plan\nrequest q1  approved  everybody it needs approved it"


def test_what_somebody_wrote_never_looks_like_a_line_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """A reason, a comment, a title, a plan with line breaks forges no approval: what goes on is marked as that."""
    (change,) = SHOWN["plan"]["changes"]
    forged: dict[str, Any] = {
        **SHOWN, "why": FORGED, "title": FORGED, "hosts": [FORGED], "reason": FORGED, "able": [FORGED],
        "acts": [{**SHOWN["acts"][0], "comment": FORGED}], "start": {**SHOWN["start"], "why": FORGED},
        "steps": [{**SHOWN["steps"][0], "step": FORGED}], "runs": [{**SHOWN["runs"][0], "reason": FORGED}],
        "plan": {**SHOWN["plan"], "changes": [{**change, **dict.fromkeys(("host", "what", "command", "undo"), FORGED)}]},
    }  # fmt: skip
    tell_request(forged)
    page = {"glass": [{"request": "q2", "who": FORGED, "until": AT, "review_due": AT}], "owed": [], "notices": 0}
    tell_first(page)
    lines = capsys.readouterr().out.splitlines()
    assert sum("approve by anna" in line for line in lines) == 14
    assert [line for line in lines if re.match(r" *(request q1 +approved|.{24}  approve by anna)", line)] == []


def test_what_nobody_sees_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Invisible characters, and those that only some terminals break a line at, are told by their codes."""
    tell_request({**SHOWN, "why": "a\u200bb\u2028c\ufeffd\u2060e\u00adf"})
    assert r"asked by dora: a\u200bb\u2028c\ufeffd\u2060e\u00adf" in capsys.readouterr().out


def test_a_file_name_draws_no_line_of_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    """What is to be activated is one line for each thing, whatever a file is called."""
    row = {"kind": "notebook", "name": "runbooks/a\n- policy prod is gone.ipynb", "what": "new", "lines": []}
    activate._say({"changes": [row], "may_activate": ["anna"]})
    said = r"+ notebook runbooks/a\x0a- policy prod is gone.ipynb is new"
    assert capsys.readouterr().out.splitlines()[0] == said


def test_what_it_is_done_with(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever approves reads parameters, sealed files, and what no heading says: the text of a script that will run."""
    (change,) = SHOWN["plan"]["changes"]
    target = {"script": "#!/bin/sh\nrm -rf /srv\n", "path": "/x", "arguments": ["a", 1], "undo": ""}
    shown: dict[str, Any] = {
        **SHOWN, "parameters": {"check": "look.sh", "canary": 1, "text": "x" * 500},
        "files": [{"parameter": "check", "name": "look.sh", "sha256": "ab" * 32}],
        "plan": {**SHOWN["plan"], "changes": [{**change, "target": target}]},
    }  # fmt: skip
    tell_request(shown)
    lines = capsys.readouterr().out.splitlines()
    assert lines[4:8] == [
        "  with check = look.sh", "  with canary = 1", "  with text = " + "x" * 399 + "…",
        "  with the file look.sh, SHA-256 " + "ab" * 32,
    ]  # fmt: skip
    at = lines.index(r"    web1: file /x\x1b[2J")
    assert lines[at + 1 : at + 4] == ['      arguments: ["a", 1]', "      script: #!/bin/sh", "        rm -rf /srv"]
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    tell_request(shown)
    assert "  参数 check = look.sh" in capsys.readouterr().out.splitlines()


def test_what_was_returned_is_asked_for_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """A request that was returned ends with the very command that asks for the same once more; one that stands does not."""
    for status in ("returned", "expired"):
        tell_request({**SHOWN, "status": status})
        command = "opsnb request HST-020 -p 'text=it'\"'\"'s' -p n=2 --reason TEXT"
        assert f"  ask anew: {command}\n" in capsys.readouterr().out
    tell_request({**SHOWN, "status": "withdrawn"})
    assert "ask anew" not in capsys.readouterr().out
