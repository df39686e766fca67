"""``opsnb audit``: show, verify, checkpoint, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from opsnb.base.errors import UsageError
from opsnb.cli.group import Commands
from opsnb.cli.output import here, json_option, print_json, safe, say, table, workspace


@click.group("audit", cls=Commands)
def command() -> None:
    """Show, verify, export the ledger."""


@command.command("show")
@click.argument("run", required=False, default="")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_context
def show(ctx: click.Context, run: str, limit: int, as_json: bool) -> None:
    """Show the ledger's entries: of one RUN and its request, or the latest ones."""
    from opsnb.client import connect

    found = connect(workspace(ctx)).get("/api/audit/entries", run=run, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [(e["index"], e["at"], e["kind"], _what(e, found["names"])) for e in found["entries"]]
    table((say("INDEX"), say("AT"), say("KIND"), say("WHAT")), rows)
    click.echo(say("size {n}  root {root}", n=found["size"], root=found["root"]))


def _what(entry: dict[str, Any], names: dict[str, str]) -> str:
    """Return what an entry says, with names where it has ids."""
    rest = {
        k: names.get(v, v) if isinstance(v, str) else v for k, v in entry.items() if k not in {"index", "at", "kind"}
    }
    return " ".join(f"{k}={v[:12] + '…' if isinstance(v, str) and len(v) == 64 else v}" for k, v in rest.items())  # noqa: PLR2004


@command.command("verify")
@click.argument("path", required=False)
@click.option("--head", metavar="FILE", help="A checkpoint that you kept: nothing before it may have changed.")
@click.option("--key", metavar="VKEY|FILE", help="The ledger's public key, as you know it.")
@json_option
@click.pass_context
def verify(ctx: click.Context, path: str | None, head: str | None, key: str | None, as_json: bool) -> int:
    """Verify outputs/ (or PATH: an outputs directory or an export) offline, to the byte.

    Exit codes: 0 intact, 1 altered (says where), 2 could not check. The same code as outputs/ledger/verify.py.
    """
    import opsnb.control.ledger.verify as verifier

    place = Path(path) if path else here(ctx).outputs
    arguments = [str(place)]
    for name, value in (("--head", head), ("--key", key)):
        if value:
            arguments += [name, value]
    return int(verifier.main([*arguments, *(["--json"] if as_json else [])]))


@command.command("checkpoint")
@json_option
@click.pass_context
def checkpoint(ctx: click.Context, as_json: bool) -> None:
    """Sign and publish the ledger's head, and print it: keep it somewhere else."""
    from opsnb.client import connect

    found = connect(workspace(ctx)).post("/api/audit/checkpoint")
    print_json(found) if as_json else click.echo(found["note"], nl=False)


@command.command("export")
@click.argument("run")
@click.option("-o", "--output", metavar="FILE", help="Where to write it (default: RUN.zip here).")
@json_option
@click.pass_context
def export(ctx: click.Context, run: str, output: str | None, as_json: bool) -> None:
    """Export one run as a file that anyone verifies offline: python3 verify.py FILE."""
    from opsnb.client import connect

    data = connect(workspace(ctx)).download(f"/api/audit/export/{run}")
    target = Path(output or f"{run}.zip")
    if target.exists():
        raise UsageError(f"{target} exists already; nothing was written", hint="name another with -o FILE")
    try:
        target.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"run": run, "file": str(target), "bytes": len(data)})
    else:
        click.echo(f"{safe(str(target))}  {len(data)} bytes   verify it with: python3 verify.py {safe(str(target))}")
