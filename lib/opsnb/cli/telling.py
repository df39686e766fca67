"""Requests as a terminal shows them, in the language of whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from shlex import quote
from typing import Any

import click

from opsnb.base.i18n import mark
from opsnb.cli.output import safe, say, told

COLOURS = {"open": "yellow", "approved": "green", "planned": "cyan", "used": "blue"}  # all others: red
DIFFERENCE = {"+": "green", "-": "red"}
MAX_LINES = 80  # of a plan that are shown where not all of it is asked for
MAX_VALUE = 400  # characters of a parameter's value
CONTINUED = "\n      │ "
OTHERS = "return|reject|veto"  # what else one may do about a request that one may approve
AGAIN = ("returned", "expired")  # whoever still wants it asks anew

NOTICES = {
    "run": "{what}, asked for by {who}, began",
    "free": "{what}, asked for by {who}, began and nobody had to approve it",
    "glass": "{who} BROKE THE GLASS",
    "glass_run": "{what}, asked for by {who}, began UNDER BROKEN GLASS",
    "review_overdue": "nobody has reviewed in time what {who} did",
}
STATUSES = (
    mark("planned"), mark("open"), mark("approved"), mark("returned"), mark("rejected"), mark("vetoed"),
    mark("withdrawn"), mark("expired"), mark("used"),
)  # fmt: skip
ACTS = (
    mark("approve"), mark("return"), mark("reject"), mark("veto"), mark("withdraw"), mark("delegate"), mark("comment"),
    mark("review"), mark("escalate"), mark("expire"),
)  # fmt: skip
STEPS = (mark("done"), mark("open"), mark("waits"))


def _echo(text: str, *, err: bool = False) -> None:
    """Print one line. What somebody wrote has line breaks of its own: behind each a mark says that it goes on.

    Without it a reason or a comment could draw what only the program says: an approval, a plan, another status.
    """
    click.echo(text.replace("\n", CONTINUED), err=err)


def tell_first(page: dict[str, Any]) -> None:
    """Print what a list begins with: broken glass that holds, reviews that are owed, one's own notices."""
    for row in page.get("glass", ()):
        text = f" BREAK-GLASS {row['request']}: " + say("{who} until {when}", who=row["who"], when=row["until"]) + " "
        _echo(click.style(safe(text), bg="red", fg="white", bold=True))
    for row in page.get("owed", ()):
        about = {"request": row["request"], "runbook": row["runbook"], "who": row["who"], "when": row["due"]}
        if row["overdue"]:
            text = say("OVERDUE review of {request} ({runbook} by {who}) until {when}", **about)
        else:
            text = say("review owed of {request} ({runbook} by {who}) until {when}", **about)
        _echo(click.style(text, fg="red" if row["overdue"] else None, bold=bool(row["overdue"])))
    if page.get("notices"):
        _echo(say("{n} notice(s): {command}", n=page["notices"], command="opsnb requests notices"))


def tell_notices(rows: list[dict[str, Any]]) -> None:
    """Print what somebody is told of."""
    for row in rows:
        run, request = row["run"], row["request"]
        about = say("request {request}", request=request)
        about = say("run {run} of {request}", run=run, request=about) if run else about
        why = told(NOTICES[row["kind"]].format(who=row["by"], what=row["runbook"]))
        _echo(f"{safe(row['at'])}  {why}: {about}")
    if not rows:
        _echo(say("no notice that you have not seen"))
    else:
        _echo(say("more about one: {command}", command="opsnb requests show REQUEST"))


def tell_request(shown: dict[str, Any], *, every: bool = False) -> None:
    """Print a request for people, with ``every`` line of its plan or the first ones."""
    _head(shown)
    if shown["leave"]:
        until, why = shown["leave"]["until"], told(shown["leave"]["why"])
        _echo("  " + (say("holds until {when}", when=until) if until else say("does not hold: {why}", why=why)))
    elif shown["under"] is None:
        _plan(shown["plan"], shown["request"], every=every)
    for step in shown["steps"]:
        state = say("done" if step["done"] else "open" if step["open"] else "waits")
        counts = {"step": step["step"], "has": step["has"], "needed": step["needed"]}
        _echo("  " + say("step {step}: {has} of {needed} approval(s), {state}", **counts, state=state))
    for act in shown["acts"]:
        _act(act)
    if shown["able"]:
        _echo("  " + say("who may approve it: {who}", who=", ".join(shown["able"])))
        plan = shown["plan"] if shown["plan"] and shown["plan"]["changes"] else None
        read = f" --plan {plan['digest'][:16]}" if plan else ""  # this one, and no later one
        _echo(f"    opsnb approve {shown['request']}{read}")
        _echo(f"    opsnb {OTHERS} {shown['request']} --comment TEXT")
    if shown["status"] in AGAIN and shown["under"] is None and not shown["leave"]:
        _echo("  " + say("ask anew: {command}", command=_again(shown)))
    _start(shown)
    _review(shown)
    for run in shown["runs"]:
        line = f"{run['run']}  {run['mode']}  {run['verdict'] or run['state']}  {told(run['reason'] or '')}"
        _echo("  " + say("run {run}", run=line.rstrip()))


def _head(shown: dict[str, Any]) -> None:
    status = shown["status"] or "planned"
    word = click.style(say(status), fg=COLOURS.get(status, "red"), bold=True)
    _echo(f"{say('request {request}', request=shown['request'])}  {word}  {told(shown['reason'])}")
    of = say("(risk {risk}, policy {policy})", risk=shown["risk"], policy=shown["policy"])
    _echo(safe(f"  {shown['runbook']}  {shown['title']}  {of}"))
    why = shown["why"] or say("no reason given")
    _echo("  " + say("asked by {who}: {why}", who=shown["requester"], why=why))
    _echo("  " + say("hosts {hosts}", hosts=", ".join(shown["hosts"])))
    for name, value in _given(shown):
        _echo("  " + say("with {name} = {value}", name=name, value=_value(value)))
    for file in shown.get("files") or ():
        _echo("  " + say("with the file {name}, SHA-256 {digest}", name=file["name"], digest=file["sha256"]))


def _whole(value: Any) -> str:
    """Return a value as a command takes it where it is text, else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(value: Any) -> str:
    """Return as much of a parameter's value as a line has room for."""
    text = _whole(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _review(shown: dict[str, Any]) -> None:
    """Print what was done under a broken glass, and whether somebody reviewed what went without an approval."""
    for row in shown["under"] or ():
        what = " ".join(map(str, row["command"])) if row["command"] else row["title"]
        doing = f"{row['runbook']} {row['mode']}: {what}"
        _echo("  " + say("under it {when}  run {run}  {what}", when=row["at"], run=row["run"], what=doing))
        ended, hosts = row["verdict"] or row["state"], ", ".join(row["hosts"])
        said = say("on {hosts}  {ended}  record {record}", hosts=hosts, ended=ended, record=row["record"])
        _echo(f"    {said}")
    if shown["under"] == []:
        _echo("  " + say("nothing was done under it"))
    if shown.get("review_due") and not shown["reviewed"]:
        about = {"when": shown["review_due"], "command": f"opsnb requests review {shown['request']} --comment TEXT"}
        if shown["overdue"]:
            text = click.style(say("review OVERDUE until {when}: {command}", **about), fg="red", bold=True)
        else:
            text = say("review owed until {when}: {command}", **about)
        _echo(f"  {text}")


def _act(act: dict[str, Any]) -> None:
    who = act["by"]
    who = say("{who} for {other}", who=who, other=act["for"]) if act["for"] else who
    who = say("{who} to {other}", who=who, other=act["to"]) if act["to"] else who
    what = say("{act} by {who}", act=say(act["act"]), who=who)
    void = ""
    if act["act"] == "approve" and not act["counts"]:
        why = told(act["void"])
        void = "  " + (say("(does not count: {why})", why=why) if why else say("(does not count)"))
    _echo(safe(f"  {act['at']}  {what}{void}  {act['comment']}".rstrip()))


def _plan(plan: dict[str, Any] | None, request: str, *, every: bool) -> None:
    """Print each change that the plan makes: as far as there is room, or ``every`` line."""
    if plan is None:
        _echo("  " + say("no plan yet"))
        return
    about = {"digest": plan["digest"][:16], "n": len(plan["changes"]), "record": plan["record"] or "-"}
    _echo("  " + say("plan {digest}  {n} change(s), record {record}", **about))
    lines = [line for change in plan["changes"] for line in _change(change)]
    shown = lines if every else lines[:MAX_LINES]
    for colour, line in shown:
        _echo(click.style(f"    {safe(line)}", fg=colour or None))
    if left := len(lines) - len(shown):
        _echo("    " + say("{n} more lines: {command}", n=left, command=f"opsnb requests show --plan {request}"))


def _change(change: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a change's lines, each with its colour; without its states, which not every answer has, its heading."""
    yield "", f"{change['host']}: {change['what']}"
    if "after" not in change:
        return
    from opsnb.base.plan import difference

    yield from _target(change)
    for row in difference(change["before"], change["after"]):
        yield DIFFERENCE.get(row[:1], ""), f"  {row}"
    yield "", "  " + say("do:   {what}", what=change["command"])
    yield "", "  " + say("undo: {what}", what=change["undo"])


def _target(change: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a change is done with, where its heading and its command do not say it: a script's text, say."""
    said = f"{change['what']} {change['command']}"
    for name, value in sorted((change.get("target") or {}).items()):
        if value not in ("", None, [], {}) and (text := _whole(value)) not in said:
            first, *more = text.splitlines()
            yield "", f"  {name}: {first}"
            yield from (("", f"    {line}") for line in more)


def _given(shown: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the parameters that have a value."""
    return [(name, value) for name, value in (shown.get("parameters") or {}).items() if value is not None]


def _again(shown: dict[str, Any]) -> str:
    """Return the command that plans and asks for the same once more."""
    given = [f" -p {quote(f'{name}={_whole(value)}')}" for name, value in _given(shown)]
    return f"opsnb request {quote(shown['runbook'])}{''.join(given)} --reason TEXT"


def _start(shown: dict[str, Any]) -> None:
    start = shown["start"]
    if start is None or start["run"] or not shown["status"]:
        return
    if start["start"] == "asked" and shown["status"] == "approved":
        how = f"opsnb run {shown['runbook']} --mode apply --request {shown['request']}"
        _echo("  " + say("start it: {command}", command=how))
    elif start["start"] != "asked":
        when = say("starts at {when}", when=start["due"]) if start["start"] == "time" else say("starts when approved")
        _echo(f"  {when}" + (say("; kept back: {why}", why=told(start["why"])) if start["why"] else ""))
