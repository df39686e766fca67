"""``opsnb runbook``: list, show and lint read the files themselves and need no control plane; new, test: authoring.

Where the workspace lies elsewhere, list and show ask its control plane.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from opsnb.base.errors import NotFoundError
from opsnb.cli import authoring
from opsnb.cli.group import Commands
from opsnb.cli.output import asked, here, json_option, print_json, safe, say, table, workspace

if TYPE_CHECKING:
    from opsnb.base.workspace import Workspace
    from opsnb.control.catalog import Catalog, Finding


@click.group("runbook", cls=Commands)
def command() -> None:
    """List, show, write, lint and test runbooks."""


command.add_command(authoring.new)
command.add_command(authoring.test)


@command.command("list")
@json_option
@click.pass_context
def list_runbooks(ctx: click.Context, as_json: bool) -> None:
    """List what can run, and what is broken and why; from elsewhere what one may see there."""
    place = workspace(ctx)
    value = asked(place, "/api/runbooks") if place.url else _catalog(ctx).as_json()
    if as_json:
        print_json(value)
        return
    if not value["runbooks"] and not value["broken"]:
        click.echo(say("there are no notebooks under runbooks/; these come with opsnb"), err=True)
    table(
        (say("ID"), say("TITLE"), say("RISK"), say("OWNER"), say("PATH")),
        [
            (r["id"] or "-", r["title"], r["risk"], r["owner"] or "-", r["path"])
            for r in (*value["runbooks"], *value["built_in"])
        ],
    )
    for broken in value["broken"]:
        click.echo(click.style("broken ", fg="red", bold=True) + safe(broken["error"]))
        if broken["hint"]:
            click.echo(f"  → {safe(broken['hint'])}")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show one runbook, by id or path: its facts and its parameters."""
    place = workspace(ctx)
    value = _afar(place, name) if place.url else _catalog(ctx).find(name, str(Path.cwd())).as_json()
    if as_json:
        print_json(value)
        return
    click.echo(click.style(f"{safe(value['id'] or '-')}  {safe(value['title'])}", bold=True))
    for fact, words in _facts(value).items():
        click.echo(f"  {fact.ljust(10)} {safe(words)}")
    click.echo()
    if not value["takes"]:
        click.echo(say("It takes no parameters."))
        return
    names = ("name", "type", "default", "constraints", "label")
    table(
        (say("PARAMETER"), say("TYPE"), say("DEFAULT"), say("CONSTRAINTS"), say("LABEL")),
        [[p[n] for n in names] for p in value["takes"]],
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


def _afar(place: Workspace, name: str) -> Any:
    """Return a runbook as the control plane elsewhere shows it; what is called by its path has slashes in its name."""
    if name.endswith(".ipynb"):
        return asked(place, "/api/notebook", path=name)
    return asked(place, f"/api/runbooks/{quote(name, safe='')}")


def _facts(value: dict[str, Any]) -> dict[str, str]:
    own = {name: value[name] for name in ("path", "digest", "risk")}
    facts = {k: v for k, v in value["facts"].items() if k not in {"id", "title", "parameters"}}
    return {name: _words(said) for name, said in {**own, **facts}.items()}


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
