"""``opsnb``: the command line. Commands are imported when they are called, so that help is instant."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from opsnb.base.errors import OpsnbError
from opsnb.base.version import VERSION

BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended

COMMANDS = {
    "init": ("opsnb.cli.workspace", "Make a workspace."),
    "demo": ("opsnb.cli.demo", "Run the first runbooks here, render, verify, and say where to look."),
    "doctor": ("opsnb.cli.doctor", "Find what is missing, stale or unsafe, and what mends it."),
    "up": ("opsnb.cli.up", "Serve this workspace: run what is submitted."),
    "run": ("opsnb.cli.run", "Run a runbook."),
    "request": ("opsnb.cli.request", "Plan a change and ask for its approval."),
    "approve": ("opsnb.cli.approve:approve", "Approve a request."),
    "return": ("opsnb.cli.approve:return_", "Send a request back to be planned anew."),
    "reject": ("opsnb.cli.approve:reject", "Refuse a request."),
    "veto": ("opsnb.cli.approve:veto", "Stop a request whatever others said."),
    "requests": ("opsnb.cli.requests", "List and show what was asked for."),
    "grant": ("opsnb.cli.grant", "Ask to work by hand on protected hosts, for a time."),
    "exec": ("opsnb.cli.exec", "Run a command on hosts, recorded."),
    "ssh": ("opsnb.cli.ssh", "Open a terminal on a host, recorded."),
    "cp": ("opsnb.cli.cp", "Copy files to hosts (planned) or from them, recorded."),
    "runs": ("opsnb.cli.runs", "List, show, follow, stop and undo runs."),
    "host": ("opsnb.cli.host", "Keep the inventory: add, trust, check, import hosts."),
    "runbook": ("opsnb.cli.runbook", "List, show, write, lint and test runbooks."),
    "rehearse": ("opsnb.cli.rehearse", "Start, show and take down hosts to try things on."),
    "secret": ("opsnb.cli.secret", "Set, list, rotate and remove secrets; no command shows a value."),
    "user": ("opsnb.cli.user", "Add, list, show, change, deactivate and import users."),
    "role": ("opsnb.cli.role", "Show and make roles: what people may do, and where."),
    "department": ("opsnb.cli.department", "Keep the tree of departments and their leaders."),
    "delegate": ("opsnb.cli.delegate", "Have somebody approve in somebody's place for a time."),
    "login": ("opsnb.cli.login", "Sign in to a control plane elsewhere; commands then go there."),
    "logout": ("opsnb.cli.logout", "Sign out there; its token holds no more."),
    "whoami": ("opsnb.cli.whoami", "Say who you are there, and what you may."),
    "activate": ("opsnb.cli.activate", "See which files differ from those that hold, and have them hold."),
    "audit": ("opsnb.cli.audit", "Show, verify, export the ledger."),
}


class Lazy(click.Group):
    """A group whose commands are modules that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are met."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(name), attribute or "command")
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is no such one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="opsnb")
@click.option(
    "--workspace",
    "-w",
    metavar="DIR|URL",
    default=".",
    help="A directory in the workspace (default: here), or where one is served.",
)
@click.pass_context
def cli(ctx: click.Context, workspace: str) -> None:
    """Operations as notebooks: planned, approved, executed, and kept as evidence."""
    ctx.obj = workspace


def main(argv: list[str] | None = None) -> Any:
    """Entry point; an error of ours is a message and an exit code, never a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]  # behind it: others' words
    try:
        sys.exit(cli.main(args=arguments, prog_name="opsnb", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        if as_json:
            report(ClickError(error), as_json=True)
        else:
            misused(error)
        sys.exit(error.exit_code)
    except OpsnbError as error:
        report(error, as_json=as_json)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(BROKEN_PIPE)


def entry() -> None:
    """What the console script calls: :func:`main`, without winding the interpreter down (7 ms of each command)."""
    try:
        main()
    except SystemExit as ended:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:  # the reader of a pipe has gone
            os._exit(BROKEN_PIPE)
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


class ClickError(OpsnbError):
    """A usage error of click, in our shape."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        self.exit_code = error.exit_code


def misused(error: click.ClickException) -> None:
    """Print how a command has to be written, on stderr: click's words, in the language of whoever reads them."""
    from opsnb.cli.output import ENGLISH, reader, say, told

    context = error.ctx if isinstance(error, click.UsageError) else None
    if reader() == ENGLISH or isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    if context is not None:
        click.echo(context.get_usage().replace("Usage: ", say("Usage: "), 1), err=True)
        click.echo(say("Try '{command}' for help.", command=f"{context.command_path} --help") + "\n", err=True)
    click.echo(say("Error: {why}", why=told(error.format_message())), err=True)


def report(error: OpsnbError, *, as_json: bool) -> None:
    """Print an error: one JSON document on stdout, or words on stderr."""
    if as_json:
        import json

        value = {"message": error.message, "hint": error.hint, "exit": error.exit_code}
        print(json.dumps({"error": value}, ensure_ascii=False))
        return
    from opsnb.cli.output import told

    click.echo(click.style(told("error: "), fg="red", bold=True) + told(error.message), err=True)
    if error.hint:
        click.echo(f"  → {told(error.hint)}", err=True)


if __name__ == "__main__":
    entry()
