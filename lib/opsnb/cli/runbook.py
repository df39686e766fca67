"""``opsnb runbook``: list, show and lint read the files themselves and need no control plane; new, test: authoring."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsnb.base.errors import NotFoundError
from opsnb.cli import authoring
from opsnb.cli.output import here, json_option, print_json, safe, table

if TYPE_CHECKING:
    from opsnb.base.parameters import Parameter
    from opsnb.control.catalog import Catalog, Finding, Runbook


@click.group("runbook")
def command() -> None:
    """List, show, write, lint and test runbooks."""


command.add_command(authoring.new)
command.add_command(authoring.test)


@command.command("list")
@json_option
@click.pass_context
def list_runbooks(ctx: click.Context, as_json: bool) -> None:
    """List what can run, and what is broken and why."""
    catalog = _catalog(ctx)
    if as_json:
        rows = [r.summary() for r in catalog.runbooks]
        built_in = [r.summary() for r in catalog.built_in]
        print_json({"runbooks": rows, "built_in": built_in, "broken": [b.as_json() for b in catalog.broken]})
        return
    if not catalog.runbooks and not catalog.broken:
        click.echo("there are no notebooks under runbooks/; these come with opsnb", err=True)
    table(
        ("ID", "TITLE", "RISK", "OWNER", "PATH"),
        [
            (r.id or "-", r.title, r.risk.value, r.front.owner if r.front else "-", r.path)
            for r in (*catalog.runbooks, *catalog.built_in)
        ],
    )
    for broken in catalog.broken:
        click.echo(click.style("broken ", fg="red", bold=True) + safe(broken.error.message))
        if broken.error.hint:
            click.echo(f"  → {safe(broken.error.hint)}")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show one runbook, by id or path: its facts and its parameters."""
    runbook = _catalog(ctx).find(name, str(Path.cwd()))
    if as_json:
        print_json(runbook.as_json())
        return
    click.echo(click.style(f"{safe(runbook.id or '-')}  {safe(runbook.title)}", bold=True))
    for fact, value in _facts(runbook).items():
        click.echo(f"  {fact.ljust(10)} {safe(value)}")
    click.echo()
    if not runbook.parameters:
        click.echo("It takes no parameters.")
        return
    table(
        ("PARAMETER", "TYPE", "DEFAULT", "CONSTRAINTS", "LABEL"),
        [(p.name, str(p.type), _default(p), constraints(p), p.label) for p in runbook.parameters],
    )


@command.command("lint")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option(
    "--explain", metavar="CODE", default="", help="Say what a code asks, why, and show a wrong and a right cell."
)
@json_option
@click.pass_context
def lint(ctx: click.Context, paths: tuple[str, ...], strict: bool, explain: str, as_json: bool) -> int:
    """Say what is to be put right in notebooks, folders or ids; all of runbooks/ by default.

    Exits 1 on an error. A warning is a rule that could misjudge: it is shown, and counts only with --strict.
    """
    if explain:
        return _explain(explain, as_json=as_json)
    catalog = _catalog(ctx)
    count = 0
    found: list[Finding] = []
    for path in paths or ("",):
        number, findings = _lint(catalog, path)
        count, found = count + number, found + findings
    code = int(any(strict or f.severity == "error" for f in found))
    if as_json:
        print_json({"notebooks": count, "findings": [f.as_json() for f in found]})
        return code
    for finding in found:
        click.echo(safe(str(finding)))
    click.echo(f"{authoring.tally(found)} in {count} notebook{'s'[: count != 1]}", err=True)
    return code


def constraints(parameter: Parameter) -> str:
    """Return what a parameter's values are held to, in words."""
    low, high = parameter.minimum, parameter.maximum
    said = re.search(rf"(?<!\w){re.escape(parameter.unit)}(?!\w)", parameter.label)  # the label may name the unit
    unit = f" {parameter.unit}" if parameter.unit and not said else ""
    words = [
        "required" if parameter.required else "",
        parameter.kind.value if parameter.kind else "",
        f"one of {', '.join(map(str, parameter.choices))}" if parameter.choices else "",
        f"{low} to {high}" if low is not None and high is not None else "",
        f"at least {low}" if low is not None and high is None else "",
        f"at most {high}" if low is None and high is not None else "",
        f"length up to {parameter.length}" if parameter.length is not None else "",
        f"matches {parameter.pattern}" if parameter.pattern else "",
    ]
    return "; ".join(w for w in words if w) + unit


def _catalog(ctx: click.Context) -> Catalog:
    from opsnb.control.catalog import Catalog

    return Catalog.load(here(ctx).root)


def _lint(catalog: Catalog, path: str) -> tuple[int, list[Finding]]:
    """Return how many notebooks were looked at, and the findings."""
    from opsnb.control.catalog import lint_catalog, lint_notebook
    from opsnb.control.catalog.lint import ids

    if path and not Path(path).is_dir():
        return 1, lint_notebook(catalog.locate(path, str(Path.cwd())), catalog.workspace, ids(catalog))
    folder = Path(path).resolve() if path else catalog.workspace
    count = sum((catalog.workspace / entry.path).is_relative_to(folder) for entry in catalog.entries)
    if path and not count:
        raise NotFoundError(
            f"{path} holds no notebook of the catalog",
            hint=f"name a notebook, or a folder in {catalog.workspace}{os.sep}runbooks",
        )
    return count, lint_catalog(catalog, folder)


def _explain(code: str, *, as_json: bool) -> int:
    from opsnb.base.parameters import did_you_mean
    from opsnb.control.catalog.explain import EXPLANATIONS

    found = EXPLANATIONS.get(code.upper())
    if found is None:
        hint = did_you_mean(code.upper(), EXPLANATIONS, what="codes")
        raise NotFoundError(f"no lint code is called {code!r:.40}", hint=hint)
    print_json(found.as_json()) if as_json else click.echo(str(found))
    return 0


def _facts(runbook: Runbook) -> dict[str, str]:
    own: dict[str, Any] = {"path": runbook.path, "digest": runbook.digest, "risk": runbook.risk.value}
    facts = {k: v for k, v in runbook.facts.items() if k not in {"id", "title", "parameters"}}
    return {name: _words(value) for name, value in {**own, **facts}.items()}


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _default(parameter: Parameter) -> str:
    import json

    return "-" if parameter.required else json.dumps(parameter.default, ensure_ascii=False)
