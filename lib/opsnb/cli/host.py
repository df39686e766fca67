"""``opsnb host``: the inventory from the command line. What reads and writes files needs no control plane."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from opsnb.base.errors import UsageError
from opsnb.cli.hostfiles import export_hosts, import_hosts
from opsnb.cli.hostlive import check, facts
from opsnb.cli.hosttrust import trust
from opsnb.cli.output import here, json_option, print_json, safe, table

TARGET = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<address>\[[^\]]+\]|[^:\s]+|[0-9A-Fa-f:]{2,}(?:%\S+)?)(?::(?P<port>\d+))?"
)
SHOWN = ("user", "port", "via", "environment", "sudo", "container", "engine")


@click.group("host")
def command() -> None:
    """Keep the inventory: add, list, trust, check, import, export hosts."""


@command.command("list")
@click.argument("selector", default="")
@json_option
@click.pass_context
def list_hosts(ctx: click.Context, selector: str, as_json: bool) -> None:
    """List the hosts that SELECTOR chooses; all without one."""
    from opsnb.fleet.inventory import load

    inventory = load(here(ctx).root)
    names = inventory.select(selector) if selector else tuple(inventory.hosts)
    hosts = [inventory.host(name) for name in names]
    if as_json:
        print_json({"hosts": [_value(inventory, host.name) for host in hosts]})
        return
    if not hosts:
        click.echo("no hosts yet; add the first: opsnb host add NAME USER@ADDRESS   or opsnb init --from-ssh-config")
        return
    table(
        ("HOST", "ADDRESS", "USER", "VIA", "ENV", "GROUPS", "LABELS", "KEY"),
        [
            (h.name, _where(h), h.user or "-", h.via or "-", h.environment or "-", ",".join(h.groups) or "-",
             ",".join(f"{k}={v}" for k, v in h.labels.items()) or "-", _key(h))
            for h in hosts
        ],
    )  # fmt: skip


@command.command("show")
@click.argument("host")
@json_option
@click.pass_context
def show(ctx: click.Context, host: str, as_json: bool) -> None:
    """Show a host: everything that holds for it, and which group it comes from."""
    from opsnb.fleet.inventory import fingerprint, load
    from opsnb.fleet.inventory.edit import references

    root = here(ctx).root
    inventory = load(root)
    found = inventory.host(host)
    named_by = references(root, inventory, host)
    services = [name for name in inventory.services if host in inventory.hosts_of(name)]
    if as_json:
        origins = {"origins": dict(found.origins), "file": found.path, "line": found.line}
        print_json(_value(inventory, host) | origins | {"services": services, "referred_to_by": named_by})
        return
    click.echo(click.style(found.name, bold=True) + f"  {_where(found)}  {found.transport}")
    click.echo(f"  file  {found.path} line {found.line}" if found.path else "  this machine; it stands in no file")
    lines = [(name, getattr(found, name), name) for name in SHOWN if getattr(found, name) not in {"", "none"}]
    lines += [(f"label {key}", value, f"labels.{key}") for key, value in found.labels.items()]
    lines += [
        (f"variable {key}", json.dumps(value, ensure_ascii=False), f"variables.{key}")
        for key, value in found.variables.items()
    ]
    lines += [(f"{purpose} with", name, "credential") for purpose, name in found.credential.items()]
    for title, value, field in lines:
        origin = f"   (from group {found.origins[field]})" if field in found.origins else ""
        click.echo(safe(f"  {title}  {value}{origin}"))
    for title, names in (("groups", found.groups), ("services", services)):
        if names:
            click.echo(f"  {title}  {', '.join(names)}")
    for line in found.keys:
        click.echo(f"  key  {line.split()[0]}  {fingerprint(line)}")
    if found.transport == "ssh" and not found.keys:
        click.echo(f"  no key is pinned, so nothing connects to it yet: opsnb host trust {found.name}")
    for who in named_by:
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
    from opsnb.fleet.inventory import load
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
        print_json(_value(inventory, name) | {"file": file})
        return
    host = inventory.host(name)
    click.echo(f"added {name} to {file}")
    if host.transport == "ssh" and not host.credential:
        click.echo("  it has no credential: add one under credential: in the file, or use --key-file or --credential")
    if host.transport == "ssh":
        click.echo(f"next: opsnb host trust {name}   then: opsnb host check {name}")


@command.command("rm")
@click.argument("host")
@json_option
@click.pass_context
def remove(ctx: click.Context, host: str, as_json: bool) -> None:
    """Remove a host that no group, service, schedule or jump refers to."""
    from opsnb.fleet.inventory.edit import remove_host

    file = remove_host(here(ctx).root, host)
    print_json({"removed": host, "file": file}) if as_json else click.echo(f"removed {host} from {file}")


for one in (check, trust, facts, import_hosts, export_hosts):
    command.add_command(one)


def _value(inventory: Any, name: str) -> dict[str, Any]:
    host = inventory.host(name)
    return dict(inventory.row(name)) | {"pinned": bool(host.keys) or host.transport != "ssh"}


def _where(host: Any) -> str:
    if host.transport != "ssh":
        return str(host.container or host.transport)
    shown = f"[{host.address}]" if ":" in host.address else host.address
    return f"{shown}:{host.port}" if host.port != 22 else str(host.address)  # noqa: PLR2004 - the port of ssh


def _key(host: Any) -> str:
    if host.transport != "ssh":
        return "-"
    return "pinned" if host.keys else "none"


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
