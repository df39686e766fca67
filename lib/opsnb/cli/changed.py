"""What became of people, in words: one line for each user, role or department that is another now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from opsnb.cli.output import mark, safe, say

WORDS = (  # what changes, and what of it
    mark("user"), mark("role"), mark("department"), mark("active"), mark("builtin"), mark("display"), mark("kind"),
    mark("leader"), mark("mail"), mark("may"), mark("members"), mark("name"), mark("parent"), mark("roles"),
)  # fmt: skip
MARKS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


def say_changes(changes: Sequence[dict[str, Any]]) -> None:
    """Print what differs: ``~ user bob  roles: none → web-ops``."""
    for row in changes:
        sign, colour = MARKS[row["change"]]
        fields = (_field(name, old, new, row["change"]) for name, (old, new) in row["fields"].items())
        told = "  ".join(("", *fields))
        click.echo(click.style(sign, fg=colour) + safe(f" {say(row['what'])} {row['name']}{told}"))
    if not changes:
        click.echo(say("all is so already"))


def _field(name: str, old: Any, new: Any, change: str) -> str:
    shown = _value(old) if change == "removed" else _value(new)
    return f"{say(name)}: {shown}" if change in {"added", "removed"} else f"{say(name)}: {_value(old)} → {shown}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or say("none")
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    return str(value or say("none"))
