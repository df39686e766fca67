"""Write the pages that come from the code: ``docs/cli.md`` from the commands, ``docs/lint.md`` from the lint rules.

``python docs/generate.py`` writes them; ``--check`` writes nothing and exits 1 when one of them is stale.
"""
# ruff: noqa: INP001, T201 - a program beside the pages, not a package; it says on stdout what it did

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

DOCS = Path(__file__).resolve().parent
WRITTEN = "<!-- Written by docs/generate.py; change the code and run `make docs`. -->"
LINT = (
    "`opsnb runbook lint` looks at every notebook under `runbooks/` and says what is to be put right: file, cell, "
    "line, code and how. It exits 1 when it finds something. Each code stands for a promise:"
)
GROUPS = {  # the fourth character of a code: what its group asks
    "0": "Can the notebook be used at all?",
    "1": "What must be cleared before it is committed",
    "2": "Names",
    "3": "Cells",
    "4": "What it says to the control plane",
}


def main(argv: list[str]) -> int:
    """Write the pages, or with ``--check`` say which are stale.

    Returns:
        The exit code: 0, or 1 when a page is stale.
    """
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    if stale and "--check" in argv:
        print(f"stale: {', '.join(f'docs/{n}' for n in stale)}; run: python docs/generate.py")
        return 1
    return 0


def cli_page() -> str:
    """Return ``cli.md``: every command with its arguments and options."""
    from opsnb.cli.main import cli

    found = list(commands(cli, ("opsnb",)))
    index = [f"- [`{' '.join(path)}`](#{'-'.join(path)}) {_first_line(command)}" for path, command in found]
    parts = ["# The command line", WRITTEN, *_description(cli), "\n".join(_options(cli)), "\n".join(index[1:])]
    for path, command in found[1:]:
        parts += [f"## {' '.join(path)}", f"```\n{_usage(path, command)}\n```", *_description(command)]
        parts += ["\n".join(rows)] if (rows := list(_options(command))) else []
    return "\n\n".join(parts) + "\n"


def lint_page() -> str:
    """Return ``lint.md``: every lint code with what holds where it finds nothing."""
    from opsnb.control.catalog.lint import CODES

    parts = ["# Lint codes", WRITTEN, LINT]
    for digit, title in GROUPS.items():
        rows = [f"| `{code}` | {promise} |" for code, promise in sorted(CODES.items()) if code[4] == digit]
        parts += [f"## {title}", "\n".join(["| code | what holds where it finds nothing |", "|---|---|", *rows])]
    parts += ["## Why, with a wrong and a right example", *_explanations()]
    lost = [code for code in CODES if code[4] not in GROUPS]
    if lost:
        raise SystemExit(f"docs/generate.py knows no group for {', '.join(lost)}: add it to GROUPS")
    return "\n\n".join(parts) + "\n"


def _explanations() -> Iterator[str]:
    """Yield a section for each code: how much it weighs, why it is asked, what is wrong and what is right."""
    from opsnb.control.catalog.explain import EXPLANATIONS

    for code, told in sorted(EXPLANATIONS.items()):
        yield f"### {code} ({told.severity})"
        yield f"{told.asks} {told.why}"
        yield f"Wrong:\n\n````\n{told.wrong.strip()}\n````"
        yield f"Right:\n\n````\n{told.right.strip()}\n````"


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and everything below it, each with its path such as ``("opsnb", "runs", "list")``."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, (*path, name))


def _usage(path: tuple[str, ...], command: click.Command) -> str:
    pieces = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    if any(isinstance(p, click.Option) for p in command.params):
        pieces.insert(0, "[OPTIONS]")
    if isinstance(command, click.Group):
        pieces.append("COMMAND ...")
    return " ".join([*path, *pieces])


def _argument(argument: click.Argument) -> str:
    if argument.metavar:
        return argument.metavar
    name = (argument.name or "").upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _description(command: click.Command) -> list[str]:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return [" ".join(p.split()) for p in paragraphs if p.strip()]


def _first_line(command: click.Command) -> str:
    return (_description(command) or [""])[0]


def _options(command: click.Command) -> Iterator[str]:
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield from ("| option | |", "|---|---|")
    for option in options:
        names = ", ".join(f"`{o}`" for o in (*option.opts, *option.secondary_opts))
        yield f"| {names}{_value(option)} | {_meaning(option)} |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if option.metavar:
        return f" {option.metavar}".replace("|", "\\|")
    if isinstance(option.type, click.Choice):
        return " " + " or ".join(f"`{c}`" for c in option.type.choices)
    return f" {option.type.name.split()[0].upper()}"


def _meaning(option: click.Option) -> str:
    default = option.default
    shown = option.show_default and isinstance(default, str | int) and not isinstance(default, bool)
    text = f"{option.help or ''} (default: {default})" if shown else option.help or ""
    return text.strip().replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "lint.md": lint_page}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
