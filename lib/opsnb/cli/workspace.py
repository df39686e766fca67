"""``opsnb init``: make a workspace."""

from __future__ import annotations

import re
from pathlib import Path

import click

from opsnb.base.errors import UsageError
from opsnb.base.workspace import SETTINGS_FILE
from opsnb.cli.output import json_option, print_json

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
@json_option
def command(directory: str, as_json: bool) -> None:
    """Make a workspace in DIR (here by default); what is there already stays as it is."""
    root = Path(directory).absolute()
    made = make(root)
    if as_json:
        print_json({"workspace": str(root), "made": made})
        return
    for name in made:
        click.echo(f"made {name}")
    click.echo(f"{root} is a workspace. Next: put a notebook into runbooks/ and run it with: opsnb run PATH")


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
