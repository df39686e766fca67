"""``opsnb rehearse``: hosts to try things on, made on this machine and gone when they are taken down."""

from __future__ import annotations

import shlex
from typing import Any

import click

from opsnb.cli.group import Commands
from opsnb.cli.output import here, json_option, print_json, progress, say, table

MIB = 1 << 20


@click.group("rehearse", cls=Commands)
def command() -> None:
    """Hosts to try things on: real sshd on loopback addresses, gone when they are taken down."""


@command.command("up")
@click.option("--hosts", type=int, metavar="N", help="How many hosts (6).")
@click.option("--bare", is_flag=True, help="Hosts that serve nothing: no nginx, application or Supervisor.")
@json_option
@click.pass_context
def up(ctx: click.Context, hosts: int | None, bare: bool, as_json: bool) -> None:
    """Start a rehearsal fleet, or what is missing of it, and put it into the inventory.

    As root every host has a file system, users and processes of its own; web hosts run nginx, application hosts
    Supervisor with a small shop. Otherwise they share this machine and its user, and `status` says so.
    """
    from opsnb.rehearsal.fleet import Rehearsal

    value = Rehearsal(here(ctx), progress).up(hosts, services=not bare)
    if as_json:
        print_json(value)
        return
    _show(value)


@command.command("status")
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the rehearsal fleet: each host, what it serves, its memory, and what hosts share with this machine."""
    from opsnb.rehearsal.fleet import Rehearsal

    value = Rehearsal(here(ctx)).status()
    if as_json:
        print_json(value)
        return
    if not value["form"]:
        click.echo("no rehearsal fleet is here; start one: opsnb rehearse up")
        return
    _show(value)


@command.command("down")
@json_option
@click.pass_context
def down(ctx: click.Context, as_json: bool) -> None:
    """Take the rehearsal fleet down: end its processes, remove its files and its inventory."""
    from opsnb.rehearsal.fleet import Rehearsal

    count = Rehearsal(here(ctx), progress).down()
    if as_json:
        print_json({"ended": count})
        return
    click.echo(f"{count} hosts ended; nothing of the fleet is left")


def _show(value: dict[str, Any]) -> None:
    table(
        (
            say("host"), say("address"), say("port"), say("role"), say("environment"), say("serves"), say("state"),
            say("memory"),
        ),
        [
            (h["name"], h["address"], h["port"], h["role"], h["environment"], _serves(h["services"]),
             "up" if h["up"] else "down", f"{h['memory'] / MIB:.1f} MiB")
            for h in value["hosts"]
        ],
    )  # fmt: skip
    for line in value["missing"]:
        click.echo(line)
    if value["why"]:
        click.echo(f"hosts share this machine: {value['why']}")
    click.echo(f"shared with this machine: {', '.join(value['shared'])}")
    if not value["sudo"]:
        click.echo("no sudo on these hosts: changes that need it will not work")
    click.echo(f"try: ssh -F {shlex.quote(value['ssh_config'])} {value['hosts'][0]['name']}")


def _serves(services: list[dict[str, Any]]) -> str:
    """Return what a host serves in a few words: ``shop (uwsgi) :8000, supervisor``; what does not listen is said."""
    return ", ".join(
        (each["name"] if each["program"].startswith(each["name"]) else f"{each['name']} ({each['program']})")
        + (f" :{each['address'].rpartition(':')[2]}" if each["address"] else "")
        + ("" if each["up"] else " DOWN")
        for each in services
    )
