"""``opsnb host import`` and ``opsnb host export``: other people's inventories."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from opsnb.base.errors import UsageError
from opsnb.cli.output import here, json_option, print_json, safe
from opsnb.fleet.inventory.formats import FORMATS

LISTED = 10  # names in a line


@click.command("import")
@click.argument("file")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What it is; told from name and content otherwise.")
@click.option("--replace", is_flag=True, help="Change hosts that are there with other fields.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be done, and write nothing.")
@json_option
@click.pass_context
def import_hosts(ctx: click.Context, file: str, kind: str | None, replace: bool, dry: bool, as_json: bool) -> None:
    """Take the hosts of FILE over: Ansible, ssh_config, CSV or Excel. No password is taken over."""
    from opsnb.fleet.inventory.formats.choose import read
    from opsnb.fleet.inventory.formats.exchange import merge

    root = here(ctx).root
    merged = merge(root, read(Path(file), kind), replace=replace, dry=dry)
    if as_json:
        print_json(asdict(merged) | {"dry_run": dry})
        return
    for note in merged.notes:
        click.echo(safe(f"note: {note}"))
    for word, names in (("added", merged.added), ("changed", merged.changed), ("there already", merged.same)):
        if names:
            click.echo(safe(f"{word}  {len(names)}: {_few(names)}"))
    for name, fields in list(merged.different.items())[:LISTED]:
        click.echo(safe(f"left as it is  {name}: {', '.join(fields)} differ (--replace takes them over)"))
    if len(merged.different) > LISTED:
        click.echo(f"left as they are  {len(merged.different) - LISTED} more")
    if merged.groups:
        click.echo(safe(f"groups  {len(merged.groups)}: {_few(merged.groups)}"))
    click.echo("nothing was written (--dry-run)" if dry else f"written  {', '.join(merged.files) or 'nothing'}")


@click.command("export")
@click.argument("selector", default="")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="Told from --out otherwise; ansible-yaml by default."
)
@click.option("--out", default="", metavar="FILE", help="Where to write; stdout otherwise.")
@json_option
@click.pass_context
def export_hosts(ctx: click.Context, selector: str, kind: str | None, out: str, as_json: bool) -> None:
    """Write the hosts that SELECTOR chooses (all by default) for Ansible, ssh, known_hosts, CSV or Excel."""
    from opsnb.fleet.inventory import load
    from opsnb.fleet.inventory.formats.choose import format_of, write

    inventory = load(here(ctx).root)
    if selector:
        inventory = inventory.only(inventory.select(selector))
    chosen = kind or (format_of(Path(out), b"") if out else "ansible-yaml")
    data = write(inventory, chosen)
    if out:
        try:
            Path(out).write_bytes(data)
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}") from None
    if as_json:
        text = None if out or chosen == "excel" else data.decode()
        print_json({"format": chosen, "hosts": len(inventory.hosts), "file": out or None, "text": text})
    elif out:
        click.echo(f"{len(inventory.hosts)} host(s) written to {out} ({chosen})")
    elif chosen == "excel":
        raise UsageError("a workbook does not go to a terminal", hint="--out hosts.xlsx")
    else:
        sys.stdout.write(data.decode())


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
