"""``opsnb up``: serve a workspace in the foreground."""

from __future__ import annotations

import os
import sys

import click

from opsnb.base.interpreter import argv_of
from opsnb.cli.output import here, json_option, reader


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
    more += ["--foreground", "--language", reader(), *(["--json"] if as_json else [])]
    os.execv(sys.executable, argv_of("opsnb.web.server", str(place.root), *more))  # noqa: S606  (argv, no shell)
