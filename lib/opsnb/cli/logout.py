"""``opsnb logout``: have the token of an address revoked there, and forget it here."""

from __future__ import annotations

from pathlib import Path

import click

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.cli.output import json_option, print_json, progress, say, told


@click.command("logout")
@click.argument("url", default="")
@json_option
def command(url: str, as_json: bool) -> None:
    """Sign out of URL, by default of where one signed in last."""
    from opsnb.base.workspace import Workspace
    from opsnb.client.connection import Client
    from opsnb.client.logins import current, forget, login_of, read_url

    address = read_url(url) if url else current()
    if not address or login_of(address) is None:
        where = f"to {address}" if address else "here"
        raise UsageError(f"nobody is signed in {where}", hint=f"opsnb login {address or 'URL'}")
    revoked = True
    try:
        Client(Workspace(Path.cwd(), address)).post("/api/session/end")
    except OpsnbError as error:
        revoked = False
        progress(say("{url} did not revoke the token: {why}", url=address, why=told(error.message)))
    forget(address)
    if as_json:
        print_json({"url": address, "revoked": revoked})
    else:
        click.echo(say("signed out of {url}", url=address))
