"""What the command line prints: one JSON document with ``--json``, text for people otherwise; progress on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from opsnb.base.errors import NotFoundError, UsageError
from opsnb.base.workspace import Workspace, find

ENGLISH = "en"
PLACE = re.compile(r"\{(\w+)\}")
HERE = "."  # what --workspace says when nobody says anything
CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 160)) if c not in {9, 10}}
BIDI = {ord(c): f"\\u{ord(c):04x}" for c in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"}
UNSEEN = {ord(c): f"\\u{ord(c):04x}" for c in "\u00ad\u180e\u200b\u2028\u2029\u2060\ufeff"}
SHOWN = CONTROL | BIDI | UNSEEN
COLOURS = {
    "DONE": "green", "PLANNED": "cyan", "NOT_APPLICABLE": "yellow", "FAILED": "red", "DRIFTED": "magenta",
    "ABORTED": "red", "LOST": "red",
}  # fmt: skip

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def workspace(ctx: click.Context) -> Workspace:
    """Return the workspace that the command is about: named, else the one we are in, else who signed in to one's."""
    from pathlib import Path

    named = str(ctx.obj) if ctx.obj != HERE else os.environ.get("OPSNB_URL", HERE)
    if "://" in named:
        from opsnb.client.logins import read_url

        return Workspace(Path.cwd(), read_url(named))
    try:
        return find(Path(named))
    except NotFoundError as error:
        from opsnb.client.logins import current

        if named != HERE:
            raise
        if url := current():
            return Workspace(Path.cwd(), url)
        raise NotFoundError(error.message, hint=f"{error.hint}; where one is served: opsnb login URL") from None


def here(ctx: click.Context) -> Workspace:
    """Return the workspace that the command is about, for one that works on its files.

    Raises:
        UsageError: If it lies elsewhere.
    """
    found = workspace(ctx)
    if found.url:
        name = ctx.command_path.partition(" ")[2]
        raise UsageError(
            f"opsnb {name} works on the workspace's files, and those of {found.url} are not here",
            hint="run it on that machine, in the workspace's folder; for a workspace here: opsnb -w DIR ...",
        )
    return found


def asked(place: Workspace, path: str, /, **query: Any) -> Any:
    """Return what the control plane of a workspace elsewhere answers to a GET."""
    from opsnb.client import Client

    return Client(place).get(path, **query)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def safe(text: str) -> str:
    """Return text with control, direction and invisible characters shown and not obeyed."""
    return text.translate(SHOWN)


def told(text: str) -> str:
    """Return a finished sentence of the program in the language of whoever reads it, safe to print.

    What no catalogue holds, and every ``--json``, stays English.
    """
    if (tag := reader()) == ENGLISH:
        return safe(text)
    from opsnb.base.i18n import retell

    return safe(retell(text, tag))


def say(message: str, /, **values: object) -> str:
    """Return a message in the language of whoever reads it, each ``{name}`` replaced by its value, safe to print."""
    if (tag := reader()) == ENGLISH:  # without the catalogue's module, which costs more than the rest of a message
        return safe(PLACE.sub(lambda place: str(values.get(place[1], place[0])), message))
    from opsnb.base.i18n import translate

    return safe(translate(message, tag, **values))


def mark(message: str) -> str:
    """Return a message as it is; marks it for the catalogue where it stands before ``say`` tells it."""
    return message


def reader() -> str:
    """Return whose language is read here: the locale says, as for other programs (LC_ALL, LC_MESSAGES, LANG)."""
    tag = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return tag if tag.lower().startswith("zh") else ENGLISH


def progress(text: str) -> None:
    """Print a line of progress."""
    click.echo(safe(text), err=True)


def loud(run: dict[str, Any]) -> None:
    """Say, where it cannot be missed, that a run is started under a broken glass."""
    if under := run.get("under"):
        about = {"request": under["request"], "until": under["until"] or say("its end"), "due": under["review_due"]}
        text = say(" BREAK-GLASS {request} until {until}: everything is recorded and told; review due {due} ", **about)
        click.echo(click.style(text, bg="red", fg="white", bold=True), err=True)


def verdict(word: str | None) -> str:
    """Return a verdict in its colour."""
    return click.style(word or "-", fg=COLOURS.get(word or ""), bold=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; columns as wide as they need."""
    cells = [[safe(str(c)).replace("\n", " ") for c in row] for row in rows]
    widths = [max(_width(h), *(_width(r[i]) for r in cells), 0) for i, h in enumerate(headings)]
    heads = zip(headings, widths, strict=True)
    click.echo("  ".join(click.style(h, bold=True) + " " * (w - _width(h)) for h, w in heads).rstrip())
    for row in cells:
        line = "  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _width(text: str) -> int:
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
