"""``opsnb grant``: ask to work by hand on protected hosts, for a reason and for a time; or break the glass there."""

from __future__ import annotations

import click

from opsnb.cli.output import json_option, print_json, workspace
from opsnb.cli.telling import tell_request

GLASS = "break-glass"


@click.command("grant")
@click.argument("action", type=click.Choice(["exec", "ssh", "cp", GLASS]))
@click.argument("selector", metavar="SELECTOR")
@click.option("--reason", required=True, metavar="TEXT", help="Why; those who approve read it, and it is kept.")
@click.option("--minutes", default=30, show_default=True, type=click.IntRange(1, 480), help="How long it is to hold.")
@json_option
@click.pass_context
def command(ctx: click.Context, action: str, selector: str, reason: str, minutes: int, as_json: bool) -> None:
    """Ask for a grant of opsnb exec, ssh or cp on hosts that a policy protects.

    It is approved like any request, holds from then on for its minutes, and only for you.

    break-glass is for an emergency, and for whom a policy names: it holds at once, at most 60 minutes. You work by hand
    on these hosts, and start what you planned on them without an approval and through a freeze. Everybody who may
    approve there is told now, and somebody else reviews all of it. Close it early: opsnb requests withdraw REQUEST.
    """
    from opsnb.client import connect

    body = {"action": action.replace("-", "_"), "hosts": selector, "reason": reason, "seconds": minutes * 60}
    shown = connect(workspace(ctx)).post("/api/grants", body)
    print_json(shown) if as_json else tell_request(shown)
