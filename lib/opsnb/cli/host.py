"""``opsnb host``: the inventory from the command line. What reads and writes files needs no control plane.

Where the workspace lies elsewhere, list and show ask its control plane.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from opsnb.base.errors import UsageError
from opsnb.cli.group import Commands
from opsnb.cli.hostfiles import export_hosts, import_hosts
from opsnb.cli.hostlive import check, facts
from opsnb.cli.hosttrust import trust
from opsnb.cli.output import asked, here, json_option, print_json, safe, say, table, workspace

if TYPE_CHECKING:
    from opsnb.base.workspace import Workspace

TARGET = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<address>\[[^\]]+\]|[^:\s]+|[0-9A-Fa-f:]{2,}(?:%\S+)?)(?::(?P<port>\d+))?"
)
FIRST, OTHERS = "opsnb host add NAME USER@ADDRESS", "opsnb init --from-ssh-config"
SHOWN = ("user", "port", "via", "environment", "sudo", "container", "engine")


@click.group("host", cls=Commands)
def command() -> None:
    """Keep the inventory: add, list, trust, check, import, export hosts."""


@command.command("list")
@click.argument("selector", default="")
@json_option
@click.pass_context
def list_hosts(ctx: click.Context, selector: str, as_json: bool) -> None:
    """List the hosts that SELECTOR chooses; all without one. From elsewhere: of those that one may see there."""
    from opsnb.fleet.inventory import load, row_of

    place = workspace(ctx)
    if place.url:
        hosts = _afar(place, selector)
    else:
        inventory = load(place.root)
        hosts = [row_of(inventory, name) for name in (inventory.select(selector) if selector else inventory.hosts)]
    if as_json:
        print_json({"hosts": hosts})
        return
    if not hosts and place.url:
        click.echo(say("no hosts there that you may see"), err=True)
        return
    if not hosts:
        click.echo(say("no hosts yet; add the first: {command} or {other}", command=FIRST, other=OTHERS))
        return
    table(
        (say("HOST"), say("ADDRESS"), say("USER"), say("VIA"), say("ENV"), say("GROUPS"), say("LABELS"), say("KEY")),
        [
            (h["name"], _where(h), h.get("user", "-"), _via(h) or "-", h.get("environment", "-"),
             ",".join(h.get("groups", ())) or "-",
             ",".join(f"{k}={v}" for k, v in h.get("labels", {}).items()) or "-", _key(h))
            for h in hosts
        ],
    )  # fmt: skip


@command.command("show")
@click.argument("host")
@json_option
@click.pass_context
def show(ctx: click.Context, host: str, as_json: bool) -> None:
    """Show a host: everything that holds for it, and which group it comes from."""
    from opsnb.fleet.inventory import load, shown
    from opsnb.fleet.inventory.edit import references

    place = workspace(ctx)
    if place.url:
        found = asked(place, f"/api/hosts/{quote(host, safe='')}")
    else:
        inventory = load(place.root)
        found = shown(inventory, host, references(place.root, inventory, host))
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    """Print a host for people."""
    from opsnb.fleet.inventory import fingerprint

    click.echo(click.style(found["name"], bold=True) + safe(f"  {_where(found)}  {found['transport']}"))
    file, line = found["file"], found["line"]
    click.echo(safe(f"  file  {file} line {line}") if file else "  this machine; it stands in no file")
    plain = {**found, "via": _via(found) or "none"}
    lines = [(name, plain[name], name) for name in SHOWN if plain.get(name, "none") != "none"]
    lines += [(f"label {key}", value, f"labels.{key}") for key, value in found.get("labels", {}).items()]
    lines += [
        (f"variable {key}", json.dumps(value, ensure_ascii=False), f"variables.{key}")
        for key, value in found.get("variables", {}).items()
    ]
    lines += [(f"{purpose} with", name, "credential") for purpose, name in found.get("credential", {}).items()]
    for title, value, field in lines:
        origin = f"   (from group {found['origins'][field]})" if field in found["origins"] else ""
        click.echo(safe(f"  {title}  {value}{origin}"))
    for title in ("groups", "services"):
        if names := found.get(title):
            click.echo(f"  {title}  {', '.join(names)}")
    for pinned in found.get("keys", ()):
        click.echo(f"  key  {pinned.split()[0]}  {fingerprint(pinned)}")
    if not found["pinned"]:
        trust = f"opsnb host trust {found['name']}"
        click.echo("  " + say("no key is pinned, so nothing connects to it yet: {command}", command=trust))
    for who in found["referred_to_by"]:
        click.echo(safe(f"  referred to by {who}"))


@command.command("add")
@click.argument("name")
@click.argument("target", metavar="[[USER@]ADDRESS[:PORT]]", default="")
@click.option("--via", default="", metavar="HOST", help="The jump host, by its name here.")
@click.option("--env", "environment", default="", metavar="NAME", help="Its environment: prod, test, ...")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated.")
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE", help="A variable, JSON or text; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="List it in this group; may be repeated.")
@click.option("--credential", default="", metavar="NAME", help="How to log in; 'agent' uses the SSH agent.")
@click.option("--key-file", default="", metavar="FILE", help="Log in with the private key in this file.")
@click.option("--sudo", default="", metavar="HOW", help="passwordless, or secret:NAME for sudo with a password.")
@click.option("--container", default="", metavar="NAME", help="It is a container of the engine on this machine.")
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    target: str,
    via: str,
    environment: str,
    labels: tuple[str, ...],
    variables: tuple[str, ...],
    groups: tuple[str, ...],
    credential: str,
    key_file: str,
    sudo: str,
    container: str,
    as_json: bool,
) -> None:
    """Write a new host into the inventory; comments and all else in the file stay."""
    from opsnb.fleet.inventory import load, row_of
    from opsnb.fleet.inventory.edit import add_host

    root = here(ctx).root
    fields: dict[str, Any] = _target(name, target)
    fields |= {"transport": "container", "container": container} if container else {}
    fields |= {"via": via, "environment": environment, "credential": credential}
    fields |= {"labels": _pairs(labels), "variables": {k: _json(v) for k, v in _pairs(variables).items()}}
    if sudo:
        fields["sudo"] = {"secret": sudo.removeprefix("secret:")} if sudo.startswith("secret:") else sudo
    file = add_host(root, name, {k: v for k, v in fields.items() if v not in ("", {})}, groups, key_file=key_file)
    inventory = load(root)
    if as_json:
        print_json(row_of(inventory, name) | {"file": file})
        return
    host = inventory.host(name)
    click.echo(say("added {name} to {path}", name=name, path=file))
    if host.transport == "ssh" and not host.credential:
        click.echo(
            "  " + say("it has no credential: add one under credential: in the file, or use --key-file or --credential")
        )
    if host.transport == "ssh":
        look, pin = f"opsnb host check {name}", f"opsnb host trust {name}"
        click.echo(say("next: {command}   then: {other}", command=pin, other=look))


@command.command("rm")
@click.argument("host")
@json_option
@click.pass_context
def remove(ctx: click.Context, host: str, as_json: bool) -> None:
    """Remove a host that no group, service, schedule or jump refers to."""
    from opsnb.fleet.inventory.edit import remove_host

    file = remove_host(here(ctx).root, host)
    print_json({"removed": host, "file": file}) if as_json else click.echo(
        say("removed {name} from {path}", name=host, path=file)
    )


for one in (check, trust, facts, import_hosts, export_hosts):
    command.add_command(one)


def _afar(place: Workspace, selector: str) -> list[dict[str, Any]]:
    """Return all pages of the hosts that a selector chooses elsewhere."""
    found: list[dict[str, Any]] = []
    query = {"selector": selector} if selector else {}
    while True:
        page = asked(place, "/api/hosts", **query)
        found += page["hosts"]
        if not page["next"]:
            return found
        query["after"] = page["next"]


def _where(host: dict[str, Any]) -> str:
    if host["transport"] != "ssh":
        return str(host.get("container") or host["transport"])
    address, port = host["address"], host["port"]
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{port}" if port != 22 else str(address)  # noqa: PLR2004 - the port of ssh


def _via(host: dict[str, Any]) -> str:
    """Return the name of the jump host before a host; empty without one."""
    return str(host["via"][-1]["name"]) if host.get("via") else ""


def _key(host: dict[str, Any]) -> str:
    if host["transport"] != "ssh":
        return "-"
    return "pinned" if host["pinned"] else "none"


def _target(name: str, target: str) -> dict[str, Any]:
    """Return address, user and port of ``[USER@]ADDRESS[:PORT]``."""
    if not target:
        return {}
    match = TARGET.fullmatch(target)
    if match is None:
        raise UsageError(f"'{target}' is not [USER@]ADDRESS[:PORT]", hint="an IPv6 address with a port: [fe80::1]:22")
    address = match["address"].strip("[]")
    fields: dict[str, Any] = {"address": address} if address != name else {}
    fields |= {"user": match["user"]} if match["user"] else {}
    return fields | ({"port": int(match["port"])} if match["port"] else {})


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise UsageError(f"'{text}': wanted KEY=VALUE")
        if key in found:
            raise UsageError(f"'{key}' is given twice")
        found[key] = value
    return found


def _json(text: str) -> Any:
    """Return a JSON value, or the text itself where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
