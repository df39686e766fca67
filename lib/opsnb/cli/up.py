"""``opsnb up``: serve a workspace in the foreground."""

from __future__ import annotations

import os
import sys

import click

from opsnb.cli.output import json_option, print_json, workspace


@click.command("up")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Serve this workspace until Ctrl-C: run what is submitted, several at once."""
    place = workspace(ctx)
    if as_json:
        print_json({"workspace": str(place.root), "socket": str(place.socket)})
        sys.stdout.flush()
    click.echo(f"serving {place.root} on {place.socket}  (Ctrl-C stops the runs, records them, and ends)", err=True)
    os.execv(sys.executable, [sys.executable, "-m", "opsnb.web.server", str(place.root)])  # noqa: S606  (argv, no shell)
