"""``opsnb requests``: list and show requests, and take back, hand on, comment and review them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from opsnb.cli.output import json_option, print_json, safe, table, told, workspace

COLOURS = {"open": "yellow", "approved": "green", "planned": "cyan"}  # all others: red
NEXT = "approve|return|reject|veto"
MAX_CHANGES = 10  # of a plan that are shown
STATUSES = "waiting (open or approved), all, or one of them: open, approved, expired, ..."


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
    names = ("number", "request", "runbook", "risk", "status", "requester", "asked", "until")
    heads = ("NUMBER", "REQUEST", "RUNBOOK", "RISK", "STATUS", "ASKED BY", "ASKED", "UNTIL")
    table(heads, [tuple(row[name] or "-" for name in names) for row in page["requests"]])
    if page["next"]:
        click.echo(f"more: opsnb requests list --before {page['next']}", err=True)


@command.command("show")
@click.argument("request")
@json_option
@click.pass_context
def show(ctx: click.Context, request: str, as_json: bool) -> None:
    """Show one request: its plan, what is missing, who may act, what was said, what became of it."""
    from opsnb.client import connect

    shown = connect(workspace(ctx)).get(f"/api/requests/{quote(request, safe='')}")
    print_json(shown) if as_json else tell_request(shown)


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


def _say(ctx: click.Context, request: str, act: str, as_json: bool, **body: str) -> None:
    from opsnb.client import connect

    said = {key: value for key, value in body.items() if value}
    shown = connect(workspace(ctx)).post(f"/api/requests/{quote(request, safe='')}/{act}", said)
    print_json(shown) if as_json else tell_request(shown)


def tell_request(shown: dict[str, Any]) -> None:
    """Print a request for people."""
    status = shown["status"] or "planned"
    word = click.style(status, fg=COLOURS.get(status, "red"), bold=True)
    click.echo(f"request {shown['request']}  {word}  {told(shown['reason'])}")
    click.echo(safe(f"  {shown['runbook']}  {shown['title']}  (risk {shown['risk']}, policy {shown['policy']})"))
    click.echo(safe(f"  asked by {shown['requester']}: {shown['why'] or 'no reason given'}"))
    click.echo(safe(f"  hosts {', '.join(shown['hosts'])}"))
    _plan(shown["plan"])
    for step in shown["steps"]:
        state = "done" if step["done"] else "open" if step["open"] else "waits"
        click.echo(safe(f"  step {step['step']}: {step['has']} of {step['needed']} approval(s), {state}"))
    for act in shown["acts"]:
        _act(act)
    if shown["able"]:
        click.echo(safe(f"  who may approve it: {', '.join(shown['able'])}"))
        click.echo(f"    opsnb {NEXT} {shown['request']} --comment TEXT")
    _start(shown)
    for run in shown["runs"]:
        line = f"  run {run['run']}  {run['mode']}  {run['verdict'] or run['state']}  {told(run['reason'] or '')}"
        click.echo(safe(line.rstrip()))


def _act(act: dict[str, Any]) -> None:
    who = act["by"] + (f" for {act['for']}" if act["for"] else "") + (f" to {act['to']}" if act["to"] else "")
    void = "  (does not count" + f": {told(act['void'])}" * bool(act["void"]) + ")"
    void = void if act["act"] == "approve" and not act["counts"] else ""
    click.echo(safe(f"  {act['at']}  {act['act']} by {who}{void}  {act['comment']}".rstrip()))


def _plan(plan: dict[str, Any] | None) -> None:
    if plan is None:
        click.echo("  no plan yet")
        return
    click.echo(f"  plan {plan['digest'][:16]}  {len(plan['changes'])} change(s), record {plan['record'] or 'none'}")
    for change in plan["changes"][:MAX_CHANGES]:
        click.echo(safe(f"    {change['host']}: {change['what']}"))
    if len(plan["changes"]) > MAX_CHANGES:
        click.echo(f"    and {len(plan['changes']) - MAX_CHANGES} more, all in the record")


def _start(shown: dict[str, Any]) -> None:
    start = shown["start"]
    if start is None or start["run"] or not shown["status"]:
        return
    if start["start"] == "asked" and shown["status"] == "approved":
        click.echo(f"  start it: opsnb run {shown['runbook']} --mode apply --request {shown['request']}")
    elif start["start"] != "asked":
        when = f"at {start['due']}" if start["start"] == "time" else "when approved"
        click.echo(safe(f"  starts {when}" + (f"; kept back: {told(start['why'])}" if start["why"] else "")))
