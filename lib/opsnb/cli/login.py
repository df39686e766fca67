"""``opsnb login``: sign in to a control plane elsewhere; its token is kept, 0600, in one's configuration directory."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from opsnb.base.errors import UsageError
from opsnb.cli.output import json_option, print_json, safe


@click.command("login")
@click.argument("url")
@click.option("--user", default="", metavar="NAME", help="Whom to sign in; asked for without it.")
@click.option("--code", default="", metavar="CODE", help="The code of the authenticator, where there is one.")
@click.option("--password-stdin", "by_password", is_flag=True, help="Read the password from stdin.")
@click.option("--token-stdin", "by_token", is_flag=True, help="Read an API token from stdin instead.")
@click.option("--ca", default="", metavar="FILE", help="Certificates to trust, PEM, instead of the system's.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, url: str, user: str, code: str, by_password: bool, by_token: bool, ca: str, as_json: bool
) -> None:  # fmt: skip
    """Sign in at URL (https://HOST:PORT). Commands outside of a workspace then go there, and with -w URL anywhere."""
    from dataclasses import replace

    from opsnb.base.workspace import Workspace
    from opsnb.client.connection import Client
    from opsnb.client.logins import Login, keep, login_of, read_url

    del ctx
    if by_token and (by_password or user or code):
        raise UsageError("--token-stdin needs no user, password or code")
    if ca and not Path(ca).is_file():
        raise UsageError(f"--ca {ca}: is no file")
    place = Workspace(Path.cwd(), read_url(url))
    if ca:  # a sign-in that fails leaves whoever was signed in as they were
        known = login_of(place.url) or Login(url=place.url, secret="", user="")
        keep(replace(known, ca=str(Path(ca).absolute())))
    if by_token:
        secret = sys.stdin.read().strip()
    else:
        user = user or click.prompt("User", err=True)
        given = (
            sys.stdin.readline().rstrip("\n") if by_password else click.prompt("Password", hide_input=True, err=True)
        )
        body = {"name": user, "password": given, "code": code, "label": f"opsnb login on {_here()}"}
        secret = Client(place, "").post("/api/login", body)["secret"]
    me = Client(place, secret).get("/api/whoami")
    keep(Login(url=place.url, secret=secret, user=me["user"], ca=str(Path(ca).absolute()) if ca else ""))
    if as_json:
        print_json({"url": place.url, "user": me["user"], "expires": me["expires"]})
        return
    click.echo(safe(f"signed in to {place.url} ({me['workspace']}) as {me['user']} until {me['expires']}"))


def _here() -> str:
    import os

    return os.uname().nodename[:60]
