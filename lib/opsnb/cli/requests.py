"""``opsnb requests``: list and show requests, and take back, hand on, comment and review them."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote

import click

from opsnb.base.i18n import mark
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, say, table, workspace
from opsnb.cli.telling import tell_first, tell_notices, tell_request

WAITING = "waiting"
PAGE = 20  # requests that are listed at once, where nobody says how many
STATUSES = "waiting (open or approved), used (a run took it), all, or one of them: open, approved, expired, ..."
HEADS = (
    mark("NUMBER"), mark("REQUEST"), mark("RUNBOOK"), mark("RISK"), mark("STATUS"), mark("ASKED BY"), mark("ASKED"),
    mark("UNTIL"), mark("YOU"),
)  # fmt: skip


@click.group("requests", cls=Commands)
def command() -> None:
    """List and show what was asked for; take back, hand on, comment, review."""


@command.command("list")
@click.option("--status", default=WAITING, show_default=True, metavar="WORD", help=f"Which: {STATUSES}")
@click.option("--mine", is_flag=True, help="Only what you asked for.")
@click.option("--runbook", default="", metavar="ID", help="Only requests for this runbook.")
@click.option("--limit", default=PAGE, show_default=True, type=click.IntRange(1, 500))
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
    tell_first(page)
    names = ("number", "request", "runbook", "risk", "status", "requester", "asked", "until")
    rows = [tuple(row[name] or "-" for name in names) for row in page["requests"]]
    yours = [say("may approve") if row.get("for_you") else "-" for row in page["requests"]]
    table([say(head) for head in HEADS], [(*row, you) for row, you in zip(rows, yours, strict=True)])
    if page["next"]:
        again = ["opsnb", "requests", "list"]
        again += ["--status", status] if status != WAITING else []
        again += ["--mine"] if mine else []
        again += ["--runbook", runbook] if runbook else []
        again += ["--limit", str(limit)] if limit != PAGE else []
        again += ["--before", str(page["next"])]
        click.echo(say("more: {command}", command=shlex.join(again)), err=True)


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
    tell_notices(page["notices"])


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


def _say(ctx: click.Context, request: str, act: str, as_json: bool, **body: str) -> None:
    from opsnb.client import connect

    said = {key: value for key, value in body.items() if value}
    shown = connect(workspace(ctx)).post(f"/api/requests/{quote(request, safe='')}/{act}", said)
    print_json(shown) if as_json else tell_request(shown)
