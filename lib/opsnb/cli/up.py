"""``opsnb up``: serve a workspace in the foreground."""

from __future__ import annotations

import os
import sys

import click

from opsnb.base.interpreter import argv_of
from opsnb.cli.output import here, json_option, print_json


@click.command("up")
@click.option("--listen", default="", metavar="HOST:PORT", help="Serve the API on TCP too: loopback, or with TLS.")
@click.option("--tls-cert", "certificate", default="", metavar="FILE", help="The certificate chain, PEM.")
@click.option("--tls-key", "key", default="", metavar="FILE", help="Its key, PEM.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="A name that this machine is reached by.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, listen: str, certificate: str, key: str, names: tuple[str, ...], as_json: bool
) -> None:  # fmt: skip
    """Serve this workspace until Ctrl-C: run what is submitted, several at once."""
    place = here(ctx)
    more = [word for name in names for word in ("--name", name)]
    for option, value in (("--listen", listen), ("--tls-cert", certificate), ("--tls-key", key)):
        more += [option, value] if value else []
    if as_json:
        print_json({"workspace": str(place.root), "socket": str(place.socket), "listen": listen or None})
        sys.stdout.flush()
    where = f"{place.socket}" + (f" and {listen}" if listen else "")
    click.echo(f"serving {place.root} on {where}  (Ctrl-C stops the runs, records them, and ends)", err=True)
    os.execv(sys.executable, argv_of("opsnb.web.server", str(place.root), *more))  # noqa: S606  (argv, no shell)
