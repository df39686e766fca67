"""``opsnb runbook new`` writes one from a template or around a script; ``test`` lints one and runs it in plan."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsnb.base.errors import NotebookError, NotFoundError, UsageError
from opsnb.cli.output import here, json_option, print_json, safe, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsnb.base.workspace import Workspace
    from opsnb.control.catalog import Catalog, Finding
    from opsnb.control.catalog.authoring import New
    from opsnb.control.catalog.scripts import Script


@click.command("new")
@click.argument("name", metavar="ID")
@click.argument("title")
@click.option("--risk", type=click.Choice(["read", "change", "danger"]), help="What it may do; read by default.")
@click.option("--area", default="", metavar="AREA", help="Folder below runbooks/; by default the one of its prefix.")
@click.option("--owner", default="platform", metavar="NAME", help="Who answers for it (default: platform).")
@click.option(
    "--from-script", "script", metavar="FILE", help="Wrap this shell script; of risk change with an undo, else danger."
)
@json_option
@click.pass_context
def new(
    ctx: click.Context,
    name: str,
    title: str,
    risk: str | None,
    area: str,
    owner: str,
    script: str | None,
    as_json: bool,
) -> int:
    """Write a new runbook that lints clean and runs: edit it from there.

    A script says in comments what it takes: "# @param level: int = 3  # how much is kept" reaches it as the environment
    variable level, "# @undo FILE" names the script that undoes it. One that uses $1 or $@ gets a list of arguments.
    """
    from opsnb.control.catalog import Catalog, lint_notebook
    from opsnb.control.catalog.authoring import area_of, path_of, write
    from opsnb.control.catalog.lint import ids

    place = here(ctx)
    catalog = Catalog.load(place.root)
    if any(entry.id == name for entry in catalog.entries):
        raise UsageError(f"the id {name} is taken by {catalog.locate(name).relative_to(catalog.workspace)}")
    wanted = _wanted(name, title.strip(), owner, risk, script)
    path = path_of(wanted, area_of(name, area, catalog.runbooks))
    _create(place, path, write(wanted, path))
    findings = lint_notebook(place.root / path, place.root, ids(catalog) | {name})
    if as_json:
        print_json({"id": name, "path": path, "findings": [f.as_json() for f in findings]})
        return 0
    click.echo(say("wrote {path}", path=path))
    for finding in findings:  # a script may hold what no template does: a path of a home directory, a key
        click.echo(safe(str(finding)), err=True)
    click.echo(say("Next: edit it, then  {command}", command=f"opsnb runbook test {name}"))
    return 0


@click.command("test")
@click.argument("name", metavar="ID|PATH")
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("-f", "--file", "file", metavar="FILE", help="Parameters from a YAML or JSON file.")
@json_option
@click.pass_context
def test(ctx: click.Context, name: str, pairs: tuple[str, ...], file: str | None, as_json: bool) -> int:
    """Lint a runbook, then run it for real in mode plan; one that only reads is run as it is. Changes nothing.

    Exits 0 when lint finds no error and the run is done, planned or not applicable; 1 on a lint error, else as `run`.
    """
    from opsnb.cli.run import exit_code, tell
    from opsnb.control.catalog import Catalog

    place = here(ctx)
    catalog = Catalog.load(place.root)
    findings = _findings(catalog, name)
    if not as_json:
        for finding in findings:
            click.echo(safe(str(finding)))
        click.echo(f"lint    {tally(findings)}")
    result = _run(place, name, pairs, file) if _can_run(catalog, name) else None
    code = int(any(f.severity == "error" for f in findings)) or (exit_code(result) if result else 1)
    if as_json:
        print_json({"findings": [f.as_json() for f in findings], "result": result, "ok": code == 0})
        return code
    if result:
        for check in result.get("checks", []):
            if check["ok"]:
                click.echo(f"  PASS  {safe(check['what'])}")
        tell(result)
    return code


def tally(findings: Sequence[Finding]) -> str:
    """Return in words how much is to be put right."""
    errors = sum(f.severity == "error" for f in findings)
    warnings = len(findings) - errors
    words = [f"{errors} to put right" if errors or not warnings else "", f"{warnings} to look at" if warnings else ""]
    return " and ".join(w for w in words if w) if findings else "nothing to put right"


def _wanted(name: str, title: str, owner: str, risk: str | None, file: str | None) -> New:
    from opsnb.control.catalog.authoring import New
    from opsnb.control.records import Risk

    chosen = Risk(risk) if risk else None
    if file is None:
        return New(id=name, title=title, owner=owner, risk=chosen)
    script = _script(Path(file))
    undo = _script(Path(file).parent / script.undo) if script.undo else None
    return New(id=name, title=title, owner=owner, risk=chosen, script=script, script_name=Path(file).name, undo=undo)


def _script(file: Path) -> Script:
    from opsnb.control.catalog.scripts import MAX_SCRIPT, read_script

    try:
        if not file.is_file():
            raise NotFoundError(f"{file} is not a file", hint="an @undo names a file beside the script that says so")
        with file.open("rb") as stream:
            return read_script(stream.read(MAX_SCRIPT + 1), str(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _create(place: Workspace, path: str, content: bytes) -> None:
    file = place.root / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="move it away, or choose another title") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _findings(catalog: Catalog, name: str) -> list[Finding]:
    from opsnb.control.catalog import lint_notebook
    from opsnb.control.catalog.lint import ids

    return lint_notebook(catalog.locate(name, str(Path.cwd())), catalog.workspace, ids(catalog))


def _can_run(catalog: Catalog, name: str) -> bool:
    """Whether it can be asked for at all; where it cannot, lint has said why."""
    try:
        catalog.find(name, str(Path.cwd()))
    except NotebookError as error:
        click.echo(safe(f"cannot run: {error.message}"), err=True)
        return False
    return True


def _run(place: Workspace, name: str, pairs: tuple[str, ...], file: str | None) -> dict[str, Any]:
    from opsnb.cli.run import assignments, values_from, watch
    from opsnb.client import connect

    body = {
        "runbook": name, "texts": assignments(pairs), "values": values_from(file) if file else {},
        "folder": str(Path.cwd()), "mode": None, "request": "", "why": "opsnb runbook test",
        "submission": secrets.token_hex(16),
    }  # fmt: skip
    client = connect(place)
    return watch(client, client.post("/api/runs", body)["run"])
