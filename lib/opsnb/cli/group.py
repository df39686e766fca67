"""A group of commands whose help lists each with its whole first sentence: a sentence that breaks off says nothing."""

from __future__ import annotations

import click


class Commands(click.Group):
    """A group; its commands are listed by name."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, wrapped and not cut."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(command)) for name, command in found if command is not None])


def _sentence(command: click.Command) -> str:
    """Return what a command's help begins with: to the first full stop, in one line."""
    return " ".join((command.help or "").split()).partition(". ")[0].rstrip(".") + "."
