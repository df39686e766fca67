"""Words that nobody else may read: typed without being shown, or a line of stdin; never in a command line."""

from __future__ import annotations

import sys

import click

from opsnb.cli.output import mark, say

LINK = mark("One-time code")


def hidden(text: str, *, from_stdin: bool = False, twice: bool = False) -> str:
    """Return what is typed without being shown, ``twice`` if a slip would lock somebody out; or stdin's next line."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt(text, hide_input=True, confirmation_prompt=twice, err=True))


def new_password(*, from_stdin: bool) -> str:
    """Return the password to be set."""
    return hidden(say("New password"), from_stdin=from_stdin, twice=True)
