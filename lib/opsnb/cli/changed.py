"""What became of people, in words: one line for each user, role or department that is another now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from opsnb.cli.output import safe

MARKS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


def say_changes(changes: Sequence[dict[str, Any]]) -> None:
    """Print what differs: ``~ user bob  roles: none → web-ops``."""
    for row in changes:
        mark, colour = MARKS[row["change"]]
        fields = (_field(name, old, new, row["change"]) for name, (old, new) in row["fields"].items())
        told = "  ".join(("", *fields))
        click.echo(click.style(mark, fg=colour) + safe(f" {row['what']} {row['name']}{told}"))
    if not changes:
        click.echo("all is so already")


def _field(name: str, old: Any, new: Any, change: str) -> str:
    if change == "added":
        return f"{name}: {_value(new)}"
    return f"{name}: {_value(old)}" if change == "removed" else f"{name}: {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "none")
