"""``opsnb doctor``: what is missing, stale or unsafe, each with the command that mends it."""

from __future__ import annotations

import click

from opsnb.cli.output import here, json_option, print_json, safe

MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Look at this machine and workspace; exits 1 when something does not work or is not safe."""
    from opsnb.client.connection import Client
    from opsnb.client.control import answers
    from opsnb.control.flows.examine import examine

    place = here(ctx)
    up = place.token.exists() and answers(Client(place))
    findings = examine(place, up=up)
    problems = sum(1 for f in findings if f.state == "problem")
    if as_json:
        print_json(
            {"up": up, "workspace": str(place.root), "problems": problems, "checks": [f.as_json() for f in findings]}
        )
        return 1 if problems else 0
    for finding in findings:
        mark, colour = MARKS[finding.state.value]
        click.echo(f"{click.style(mark, fg=colour, bold=True)} {finding.name}: {safe(finding.found)}")
        if finding.mend and finding.state != "ok":
            click.echo(f"    → {safe(finding.mend)}")
    click.echo("no problem found" if not problems else f"{problems} problem(s)")
    return 1 if problems else 0
