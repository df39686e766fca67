"""``opsnb doctor``: what is missing, stale or unsafe, each with the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsnb.cli.output import json_option, print_json, say, told, workspace

if TYPE_CHECKING:
    from opsnb.base.workspace import Workspace

MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Look at this machine and workspace, or those of a control plane elsewhere; exits 1 when something is wrong."""
    from opsnb.client.connection import Client

    place = workspace(ctx)
    found = Client(place).get("/api/doctor") if place.url else _here(place)
    if as_json:
        print_json(found)
        return 1 if found["problems"] else 0
    for check in found["checks"]:
        mark, colour = MARKS[check["state"]]
        said = told(f"{check['name']}: {check['found']}")
        click.echo(f"{click.style(mark, fg=colour, bold=True)} {said}")
        if check["mend"] and check["state"] != "ok":
            click.echo(f"    → {told(check['mend'])}")
    click.echo(say("{n} problem(s)", n=found["problems"]) if found["problems"] else say("no problem found"))
    return 1 if found["problems"] else 0


def _here(place: Workspace) -> dict[str, Any]:
    """Look without a control plane: it need not run, nor be able to."""
    from opsnb.client.connection import Client
    from opsnb.client.control import answers
    from opsnb.control.flows.examine import examined

    return examined(place, up=place.token.exists() and answers(Client(place)))
