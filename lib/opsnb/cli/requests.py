"""``opsnb requests``: list and show requests, and take back, hand on, comment and review them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click

from opsnb.cli.output import json_option, print_json, safe, table, told, workspace

COLOURS = {"open": "yellow", "approved": "green", "planned": "cyan", "used": "blue"}  # all others: red
NEXT = "approve|return|reject|veto"
DIFFERENCE = {"+": "green", "-": "red"}
MAX_LINES = 80  # of a plan that are shown where not all of it is asked for
STATUSES = "waiting (open or approved), used (a run took it), all, or one of them: open, approved, expired, ..."
NOTICES = {
    "run": "{what}, asked for by {who}, began",
    "free": "{what}, asked for by {who}, began and nobody had to approve it",
    "glass": "{who} BROKE THE GLASS",
    "glass_run": "{what}, asked for by {who}, began UNDER BROKEN GLASS",
    "review_overdue": "nobody has reviewed in time what {who} did",
}


@click.group("requests")
def command() -> None:
    """List and show what was asked for; take back, hand on, comment, review."""


@command.command("list")
@click.option("--status", default="waiting", show_default=True, metavar="WORD", help=f"Which: {STATUSES}")
@click.option("--mine", is_flag=True, help="Only what you asked for.")
@click.option("--runbook", default="", metavar="ID", help="Only requests for this runbook.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@click.option("--before", type=int, metavar="NUMBER", help="Go on below this number, the last one that you saw.")
@json_option
@click.pass_context
def list_requests(
    ctx: click.Context, status: str, mine: bool, runbook: str, limit: int, before: int | None, as_json: bool
) -> None:
    """List requests, newest first."""
    from opsnb.client import connect

    query: dict[str, Any] = {"status": "" if status == "all" else status, "runbook": runbook, "limit": limit}
    query |= {"mine": "true"} if mine else {}
    query |= {"before": before} if before is not None else {}
    page = connect(workspace(ctx)).get("/api/requests", **query)
    if as_json:
        print_json(page)
        return
    _first(page)
    names = ("number", "request", "runbook", "risk", "status", "requester", "asked", "until")
    heads = ("NUMBER", "REQUEST", "RUNBOOK", "RISK", "STATUS", "ASKED BY", "ASKED", "UNTIL")
    table(heads, [tuple(row[name] or "-" for name in names) for row in page["requests"]])
    if page["next"]:
        click.echo(f"more: opsnb requests list --before {page['next']}", err=True)


@command.command("notices")
@click.option("--all", "everything", is_flag=True, help="Those that you saw, too.")
@click.option("--keep", is_flag=True, help="Leave them as not seen.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200))
@json_option
@click.pass_context
def list_notices(ctx: click.Context, everything: bool, keep: bool, limit: int, as_json: bool) -> None:
    """Show what you are told of: broken glass, runs that nobody had to approve, reviews that are overdue."""
    from opsnb.client import connect

    client = connect(workspace(ctx))
    page = client.get("/api/notices", everything=str(everything).lower(), limit=limit)
    if page["notices"] and not keep:
        client.post("/api/notices/seen", {"upto": page["notices"][0]["number"]})
    if as_json:
        print_json(page)
        return
    for row in page["notices"]:
        about = f"run {row['run']} of request {row['request']}" if row["run"] else f"request {row['request']}"
        why = told(NOTICES[row["kind"]].format(who=row["by"], what=row["runbook"]))
        click.echo(f"{safe(row['at'])}  {why}: {about}")
    click.echo(
        "no notice that you have not seen" if not page["notices"] else "more about one: opsnb requests show REQUEST"
    )


@command.command("show")
@click.argument("request")
@click.option("--plan", "every", is_flag=True, help="The whole plan, however long it is.")
@json_option
@click.pass_context
def show(ctx: click.Context, request: str, every: bool, as_json: bool) -> None:
    """Show one request: its plan, what is missing, who may act, what was said, what became of it."""
    from opsnb.client import connect

    whole = {"plan": "true"} if every or not as_json else {}
    shown = connect(workspace(ctx)).get(f"/api/requests/{quote(request, safe='')}", **whole)
    print_json(shown) if as_json else tell_request(shown, every=every)


@command.command("withdraw")
@click.argument("request")
@click.option("--comment", default="", metavar="TEXT", help="Why.")
@json_option
@click.pass_context
def withdraw(ctx: click.Context, request: str, comment: str, as_json: bool) -> None:
    """Take back what you asked for."""
    _say(ctx, request, "withdraw", as_json, comment=comment)


@command.command("comment")
@click.argument("request")
@click.argument("text")
@json_option
@click.pass_context
def comment_on(ctx: click.Context, request: str, text: str, as_json: bool) -> None:
    """Say something about a request; it changes nothing."""
    _say(ctx, request, "comment", as_json, comment=text)


@command.command("hand")
@click.argument("request")
@click.argument("user")
@click.option("--step", default="", metavar="NAME", help="The step; the one that you may handle otherwise.")
@json_option
@click.pass_context
def hand(ctx: click.Context, request: str, user: str, step: str, as_json: bool) -> None:
    """Hand your part of a step to USER, who has to be entitled to approve it."""
    _say(ctx, request, "delegate", as_json, to=user, step=step)


@command.command("review")
@click.argument("request")
@click.option("--comment", required=True, metavar="TEXT", help="What you found.")
@json_option
@click.pass_context
def review(ctx: click.Context, request: str, comment: str, as_json: bool) -> None:
    """Record that you looked at what went without an approval."""
    _say(ctx, request, "review", as_json, comment=comment)


def _first(page: dict[str, Any]) -> None:
    """Print what a list begins with: broken glass that holds, reviews that are owed, one's own notices."""
    for row in page.get("glass", ()):
        text = f" BREAK-GLASS {row['request']}: {row['who']} until {row['until']} "
        click.echo(click.style(safe(text), bg="red", fg="white", bold=True))
    for row in page.get("owed", ()):
        word = click.style("OVERDUE review", fg="red", bold=True) if row["overdue"] else "review owed"
        click.echo(f"{word} " + safe(f"of {row['request']} ({row['runbook']} by {row['who']}) until {row['due']}"))
    if page.get("notices"):
        click.echo(f"{page['notices']} notice(s): opsnb requests notices")


def _say(ctx: click.Context, request: str, act: str, as_json: bool, **body: str) -> None:
    from opsnb.client import connect

    said = {key: value for key, value in body.items() if value}
    shown = connect(workspace(ctx)).post(f"/api/requests/{quote(request, safe='')}/{act}", said)
    print_json(shown) if as_json else tell_request(shown)


def tell_request(shown: dict[str, Any], *, every: bool = False) -> None:
    """Print a request for people, with ``every`` line of its plan or the first ones."""
    status = shown["status"] or "planned"
    word = click.style(status, fg=COLOURS.get(status, "red"), bold=True)
    click.echo(f"request {shown['request']}  {word}  {told(shown['reason'])}")
    click.echo(safe(f"  {shown['runbook']}  {shown['title']}  (risk {shown['risk']}, policy {shown['policy']})"))
    click.echo(safe(f"  asked by {shown['requester']}: {shown['why'] or 'no reason given'}"))
    click.echo(safe(f"  hosts {', '.join(shown['hosts'])}"))
    if shown["leave"]:
        _leave(shown["leave"])
    elif shown["under"] is None:
        _plan(shown["plan"], shown["request"], every=every)
    for step in shown["steps"]:
        state = "done" if step["done"] else "open" if step["open"] else "waits"
        click.echo(safe(f"  step {step['step']}: {step['has']} of {step['needed']} approval(s), {state}"))
    for act in shown["acts"]:
        _act(act)
    if shown["able"]:
        click.echo(safe(f"  who may approve it: {', '.join(shown['able'])}"))
        click.echo(f"    opsnb {NEXT} {shown['request']} --comment TEXT")
    _start(shown)
    _review(shown)
    for run in shown["runs"]:
        line = f"  run {run['run']}  {run['mode']}  {run['verdict'] or run['state']}  {told(run['reason'] or '')}"
        click.echo(safe(line.rstrip()))


def _review(shown: dict[str, Any]) -> None:
    """Print what was done under a broken glass, and whether somebody reviewed what went without an approval."""
    for row in shown["under"] or ():
        what = " ".join(map(str, row["command"])) if row["command"] else row["title"]
        click.echo(safe(f"  under it {row['at']}  run {row['run']}  {row['runbook']} {row['mode']}: {what}"))
        click.echo(safe(f"    on {', '.join(row['hosts'])}  {row['verdict'] or row['state']}  record {row['record']}"))
    if shown["under"] == []:
        click.echo("  nothing was done under it")
    if shown.get("review_due") and not shown["reviewed"]:
        word = click.style("OVERDUE", fg="red", bold=True) if shown["overdue"] else "owed"
        click.echo(
            f"  review {word} until {shown['review_due']}: opsnb requests review {shown['request']} --comment TEXT"
        )


def _act(act: dict[str, Any]) -> None:
    who = act["by"] + (f" for {act['for']}" if act["for"] else "") + (f" to {act['to']}" if act["to"] else "")
    void = "  (does not count" + f": {told(act['void'])}" * bool(act["void"]) + ")"
    void = void if act["act"] == "approve" and not act["counts"] else ""
    click.echo(safe(f"  {act['at']}  {act['act']} by {who}{void}  {act['comment']}".rstrip()))


def _leave(leave: dict[str, Any]) -> None:
    click.echo(f"  holds until {leave['until']}" if leave["until"] else f"  does not hold: {told(leave['why'])}")


def _plan(plan: dict[str, Any] | None, request: str, *, every: bool) -> None:
    """Print each change that the plan makes: as far as there is room, or ``every`` line."""
    if plan is None:
        click.echo("  no plan yet")
        return
    click.echo(f"  plan {plan['digest'][:16]}  {len(plan['changes'])} change(s), record {plan['record'] or 'none'}")
    lines = [line for change in plan["changes"] for line in _change(change)]
    shown = lines if every else lines[:MAX_LINES]
    for colour, line in shown:
        click.echo(click.style(f"    {safe(line)}", fg=colour or None))
    if len(shown) < len(lines):
        click.echo(f"    {len(lines) - len(shown)} more lines: opsnb requests show --plan {request}")


def _change(change: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a change's lines, each with its colour; without its states, which not every answer has, its heading."""
    yield "", f"{change['host']}: {change['what']}"
    if "after" not in change:
        return
    from opsnb.base.plan import difference

    for row in difference(change["before"], change["after"]):
        yield DIFFERENCE.get(row[:1], ""), f"  {row}"
    yield "", f"  do:   {change['command']}"
    yield "", f"  undo: {change['undo']}"


def _start(shown: dict[str, Any]) -> None:
    start = shown["start"]
    if start is None or start["run"] or not shown["status"]:
        return
    if start["start"] == "asked" and shown["status"] == "approved":
        click.echo(f"  start it: opsnb run {shown['runbook']} --mode apply --request {shown['request']}")
    elif start["start"] != "asked":
        when = f"at {start['due']}" if start["start"] == "time" else "when approved"
        click.echo(safe(f"  starts {when}" + (f"; kept back: {told(start['why'])}" if start["why"] else "")))
