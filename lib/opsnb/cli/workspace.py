"""``opsnb init``: make a workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsnb.base.errors import UsageError
from opsnb.base.workspace import SETTINGS_FILE
from opsnb.cli.output import json_option, print_json, safe, say

if TYPE_CHECKING:
    from opsnb.fleet.inventory.formats.exchange import Imported

FOLDERS = ("runbooks", "schedules", "outputs", "configs")
IGNORED = (".opsnb/", "outputs/", "inventory/rehearsal.yaml", ".ipynb_checkpoints/")
SETTINGS = """\
# Settings of this workspace; every one has a default. All of them: docs/settings.md
name: {name}        # the ledger's origin: it cannot be changed once the ledger has begun
language: en        # en or zh_CN
"""
INVENTORY = """\
# Hosts, groups, services. This machine needs no entry.
hosts: {}
groups: {}
services: {}
"""


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".")
@click.option(
    "--from-ssh-config", "config", is_flag=False, flag_value="~/.ssh/config", metavar="[FILE]",
    help="Write the hosts of an ssh_config (~/.ssh/config) into the inventory.",
)  # fmt: skip
@json_option
def command(directory: str, config: str | None, as_json: bool) -> None:
    """Make a workspace in DIR (here by default); what is there already stays as it is."""
    root = Path(directory).absolute()
    found = _read(config) if config else None  # a file that cannot be read makes no workspace
    made = make(root)
    hosts = {**_hosts(root, found), "from": config} if found else None
    if as_json:
        print_json({"workspace": str(root), "made": made} | ({"hosts": hosts} if hosts else {}))
        return
    for name in made:
        click.echo(say("made {path}", path=name))
    if hosts:
        _tell(hosts)
    next_move = "opsnb run PATH"
    click.echo(
        say(
            "{path} is a workspace. Next: put a notebook into runbooks/ and run it with: {command}",
            path=root,
            command=next_move,
        )
    )


def _read(config: str) -> Imported:
    from opsnb.fleet.inventory.formats import ssh_config

    return ssh_config.read(Path(config).expanduser().absolute())


def _hosts(root: Path, found: Imported) -> dict[str, Any]:
    """Take the hosts of an ssh_config over; return what came of it."""
    from dataclasses import asdict

    from opsnb.fleet.inventory import load
    from opsnb.fleet.inventory.formats.exchange import merge

    merged = asdict(merge(root, found))
    inventory = load(root)
    rows = {name: inventory.row(name) for name in found.hosts}
    ready = [n for n, row in rows.items() if all("key" in step for step in (row, *row.get("via", ())))]
    return merged | {"ready": ready, "not_pinned": [n for n, row in rows.items() if "key" not in row]}


def _tell(hosts: dict[str, Any]) -> None:
    for note in hosts["notes"]:
        click.echo(safe(f"note: {note}"))
    for name, fields in hosts["different"].items():
        click.echo(safe(f"left as it is: {name} ({', '.join(fields)} differ)"))
    ready, rest = hosts["ready"], hosts["not_pinned"]
    click.echo(safe(f"{len(hosts['added'])} host(s) added from {hosts['from']}; see: opsnb host list"))
    if ready:
        click.echo(safe(f"{len(ready)} with the keys that your known_hosts holds; try: opsnb host check {ready[0]}"))
    if rest:
        click.echo(safe(f"{len(rest)} without a known key; first: opsnb host trust {rest[0]}"))


def make(root: Path) -> list[str]:
    """Make what a workspace needs and is not there; return the names.

    Raises:
        UsageError: If the place cannot be a workspace.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file, wanted a directory")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._") or "opsnb"
    files = {
        SETTINGS_FILE: SETTINGS.format(name=name[:60]),
        "inventory.yaml": INVENTORY,
        ".gitignore": "\n".join(IGNORED) + "\n",
    }
    made = []
    try:
        for folder in FOLDERS:
            if not (root / folder).is_dir():
                (root / folder).mkdir(parents=True)
                made.append(f"{folder}/")
        for file, text in files.items():
            if not (root / file).exists():
                (root / file).write_text(text, encoding="utf-8")
                made.append(file)
    except OSError as error:
        raise UsageError(f"{root} cannot be made a workspace: {error.strerror}: {error.filename}") from error
    return made
