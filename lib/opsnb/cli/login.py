"""``opsnb login``: sign in to a control plane elsewhere; its token is kept, 0600, in one's configuration directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsnb.base.errors import UsageError
from opsnb.cli.asking import LINK, hidden, new_password
from opsnb.cli.output import json_option, print_json, say

if TYPE_CHECKING:
    from opsnb.base.workspace import Workspace


@click.command("login")
@click.argument("url")
@click.option("--user", default="", metavar="NAME", help="Whom to sign in; asked for without it.")
@click.option("--code", default="", metavar="CODE", help="The code of the authenticator, where there is one.")
@click.option(
    "--password-stdin",
    "by_stdin",
    is_flag=True,
    help="Read from stdin: the password; with --first the one-time code before it.",
)
@click.option("--token-stdin", "by_token", is_flag=True, help="Read an API token from stdin instead.")
@click.option("--sso", "by_provider", is_flag=True, help="Sign in with the provider, in a browser on any machine.")
@click.option("--first", is_flag=True, help="Set one's first password, with a one-time code, and sign in with it.")
@click.option("--ca", default="", metavar="FILE", help="Certificates to trust, PEM, instead of the system's.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, url: str, user: str, code: str, by_stdin: bool, by_token: bool, by_provider: bool, first: bool,
    ca: str, as_json: bool,
) -> None:  # fmt: skip
    """Sign in at URL (https://HOST:PORT). Commands outside of a workspace then go there, and with -w URL anywhere."""
    from dataclasses import replace

    from opsnb.base.workspace import Workspace
    from opsnb.client.connection import Client
    from opsnb.client.logins import Login, keep, login_of, read_url

    del ctx
    if by_token and (by_stdin or user or code):
        raise UsageError("--token-stdin needs no user, password or code")
    if by_provider and (by_token or by_stdin or user or code):
        raise UsageError("--sso asks the provider, in a browser: it needs no user, password, code or token")
    if first and (by_token or by_provider or user):
        raise UsageError("--first sets a password: the one-time code says whose, and no token or provider is asked")
    if ca and not Path(ca).is_file():
        raise UsageError(f"--ca {ca}: is no file")
    place = Workspace(Path.cwd(), read_url(url))
    if ca:  # a sign-in that fails leaves whoever was signed in as they were
        known = login_of(place.url) or Login(url=place.url, secret="", user="")
        keep(replace(known, ca=str(Path(ca).absolute())))
    if by_token:
        secret = sys.stdin.read().strip()
    elif by_provider:
        secret = _by_provider(place)
    else:
        Client(place, "").get("/api/login")  # who cannot be reached is said before anybody types a password
        user, given = _first(place, from_stdin=by_stdin) if first else _who(user, from_stdin=by_stdin)
        body = {"name": user, "password": given, "code": code, "label": f"opsnb login on {_here()}"}
        secret = Client(place, "").post("/api/login", body)["secret"]
    me = Client(place, secret).get("/api/whoami")
    keep(Login(url=place.url, secret=secret, user=me["user"], ca=str(Path(ca).absolute()) if ca else ""))
    if as_json:
        print_json({"url": place.url, "user": me["user"], "expires": me["expires"]})
        return
    about = {"url": place.url, "workspace": me["workspace"], "user": me["user"], "when": me["expires"]}
    click.echo(say("signed in to {url} ({workspace}) as {user} until {when}", **about))


def _who(user: str, *, from_stdin: bool) -> tuple[str, str]:
    user = user or click.prompt(say("User"), err=True)
    return user, hidden(say("Password"), from_stdin=from_stdin)


def _first(place: Workspace, *, from_stdin: bool) -> tuple[str, str]:
    """Set the first password of whoever the one-time code is for; return who that is, and the password."""
    from opsnb.client.connection import Client

    link, given = hidden(say(LINK), from_stdin=from_stdin), new_password(from_stdin=from_stdin)
    return str(Client(place, "").post("/api/enter", {"code": link, "password": given})["user"]), given


def _by_provider(place: Workspace) -> str:
    """Show where to sign in, and take the code that is shown there for a token.

    The address holds the digest of a secret that is made here and never shown: the code alone is worth nothing.
    """
    import base64
    import hashlib
    import secrets
    from urllib.parse import urlencode

    from opsnb.client.connection import Client

    client = Client(place, "")
    if not client.get("/api/login")["provider"]:
        raise UsageError(f"{place.url} signs in with no provider", hint="opsnb login URL --user NAME")
    verifier, label = secrets.token_urlsafe(48), f"opsnb login on {_here()}"
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    click.echo(say("open this address in a browser, on any machine, and sign in:"), err=True)
    click.echo(f"  {place.url}/login/oidc?{urlencode({'terminal': digest, 'label': label})}", err=True)
    code = click.prompt(say("Code that it shows"), err=True)
    return str(client.post("/api/login/sso", {"code": code, "verifier": verifier, "label": label})["secret"])


def _here() -> str:
    import os

    return os.uname().nodename[:60]
