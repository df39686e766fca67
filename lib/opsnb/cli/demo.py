"""``opsnb demo``: the first runbooks on this machine, for real, in a workspace of its own."""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.cli.output import json_option, print_json, progress, verdict
from opsnb.cli.run import View
from opsnb.cli.workspace import make

TOUR = ("HST-001", "LOD-010", "HST-020")


@click.command("demo")
@click.argument("directory", metavar="[DIR]", default="build/demo")
@json_option
@click.pass_context
def command(ctx: click.Context, directory: str, as_json: bool) -> int:
    """Run the first runbooks on this machine, render them, verify the ledger, and say where to look.

    Works in DIR (build/demo by default), made anew; the runbooks are copied from the current workspace.
    """
    source = Path(ctx.obj).absolute() / "runbooks"
    if not source.is_dir():
        raise UsageError(f"{source} is not there", hint="run the demo from a clone of opsnb")
    root = Path(directory).absolute()
    if root.exists():
        if not (root / "opsnb.yaml").is_file():
            raise UsageError(f"{root} exists and is not a workspace; the demo will not touch it")
        shutil.rmtree(root)
    make(root)
    shutil.copytree(source, root / "runbooks", dirs_exist_ok=True)
    return _tour(Workspace(root), as_json=as_json)


def _tour(place: Workspace, *, as_json: bool) -> int:
    from opsnb.client import connect

    started = time.monotonic()
    progress(f"demo in {place.root}: starting the control plane …")
    client = connect(place)
    notice = place.root / "notice"
    notice.mkdir()
    results = [_run(client, "HST-001", {}), _run(client, "LOD-010", {})]
    plan = _run(client, "HST-020", {"directory": str(notice)})
    applied = _run(client, "HST-020", {}, mode="apply", request=plan["request"])
    undone = _follow(client, client.post(f"/api/runs/{applied['run']}/undo"), "HST-020 undo")
    audit = _run(client, "AUD-001", {"outputs": str(place.outputs)})
    results += [plan, applied, undone, audit]
    code = _verify(place)
    if as_json:
        print_json({"workspace": str(place.root), "runs": results, "verified": code == 0})
    else:
        _where(place, results, time.monotonic() - started)
    wrong = [r for r in results if r["verdict"] not in {"DONE", "PLANNED"}]
    if wrong:
        raise OpsnbError(f"{len(wrong)} run(s) did not end well: {', '.join(r['run'] for r in wrong)}")
    return code


def _run(client: Any, runbook: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"runbook": runbook, "values": values, "why": "opsnb demo", "submission": secrets.token_hex(16), **more}
    return _follow(client, client.post("/api/runs", body), f"{runbook} {more.get('mode', '')}".strip())


def _follow(client: Any, run: dict[str, Any], what: str) -> dict[str, Any]:
    progress(f"\n{what}: {run['title']}")
    view = View()
    for event in client.events(run["run"]):
        if event["ev"] != "text":
            view.show(event)
        if event["ev"] == "end":
            result: dict[str, Any] = event["result"]
            click.echo(f"  {verdict(result['verdict'])}  {result['reason']}", err=True)
            return result
    raise OpsnbError(f"run {run['run']} was left by its control plane")


def _verify(place: Workspace) -> int:
    import subprocess

    progress(
        "\nverifying every record and the ledger, as an auditor would: python3 -I outputs/ledger/verify.py outputs"
    )
    script = place.outputs / "ledger" / "verify.py"
    argv = [sys.executable, "-I", str(script), str(place.outputs)]
    return subprocess.run(argv, stdout=sys.stderr, check=False).returncode


def _where(place: Workspace, results: list[dict[str, Any]], seconds: float) -> None:
    click.echo(f"\nWhere to look ({seconds:.1f} s for all of it):")
    for result in results:
        path = place.root / result["record"]
        click.echo(f"  {result['runbook']:8} {result['mode']:5} {verdict(result['verdict'])}  {path}")
    click.echo(f"  ledger   {place.outputs / 'ledger'}  (keep a copy of checkpoint and verify.py elsewhere)")
    click.echo("Next: open a record in a browser; README.md has the rest.")
