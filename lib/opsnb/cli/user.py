"""``opsnb user``: who works here, what they may do, and many of them from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from opsnb.base.errors import RefusedError, UsageError
from opsnb.cli.changed import say_changes
from opsnb.cli.credentials import bind, codes, logins, password, token, unbind
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, safe, say, table, told, workspace

display_option = click.option("--display", metavar="TEXT", help="Their full name.")
mail_option = click.option("--mail", metavar="ADDRESS", help="Where to write to.")
department_option = click.option("--department", metavar="NAME", help="Where they work; '' for nowhere.")


@click.group("user", cls=Commands)
def command() -> None:
    """Add, list, show, change, deactivate and import users and service accounts."""


@command.command("add")
@click.argument("name")
@display_option
@mail_option
@department_option
@click.option("--role", "roles", multiple=True, metavar="NAME", help="A role that they get; again for more.")
@click.option("--service", is_flag=True, help="A service account: a program, which never approves.")
@json_option
@click.pass_context
def add(
    ctx: click.Context, name: str, display: str | None, mail: str | None, department: str | None,
    roles: tuple[str, ...], service: bool, as_json: bool,
) -> None:  # fmt: skip
    """Add NAME, which they sign in with. Without a role they may do nothing."""
    from opsnb.client import connect

    body = {
        "name": name, "kind": "service" if service else "person", "display": display or "", "mail": mail or "",
        "department": department or "", "roles": roles,
    }  # fmt: skip
    done = connect(workspace(ctx)).post("/api/users", body)
    _say(done, as_json=as_json)
    if not service and not as_json:
        click.echo(say("to let them set a password: {command}", command=f"opsnb user password {name}"), err=True)


@command.command("list")
@click.option("--all", "everybody", is_flag=True, help="Those who have left too.")
@click.option("--role", metavar="NAME", help="Who has this role.")
@click.option("--department", metavar="NAME", help="Who works there.")
@json_option
@click.pass_context
def list_(ctx: click.Context, everybody: bool, role: str | None, department: str | None, as_json: bool) -> None:
    """List users: their roles, department and leader, and for whom they stand in now."""
    from opsnb.client import connect

    query = {"everybody": "true"} if everybody else {}
    rows = connect(workspace(ctx)).get("/api/users", **query)["users"]
    rows = [r for r in rows if role is None or role.casefold() in r["roles"]]
    rows = [r for r in rows if department is None or r["department"].casefold() == department.casefold()]
    if as_json:
        print_json({"users": rows})
        return
    table((say("NAME"), say("FULL NAME"), say("ROLES"), say("DEPARTMENT"), say("LEADER"), say("NOTE")), [
        (r["name"], r["display"], ", ".join(r["roles"]) or say("none"), r["department"], r["leader"], _note(r))
        for r in rows
    ])  # fmt: skip


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show NAME: what they may do, and by which role."""
    from opsnb.client import connect

    found = connect(workspace(ctx)).get(f"/api/users/{quote(name, safe='')}")
    if as_json:
        print_json(found)
        return
    click.echo(click.style(safe(found["name"]), bold=True) + safe(f"  {found['display']}  {found['mail']}").rstrip())
    for word in ("department", "leader"):
        if found[word]:
            click.echo(f"{say(word)}  {safe(found[word])}")
    if note := _note(found):
        click.echo(safe(note))
    if found["elsewhere"]:
        click.echo(say("signs in by  {ways}", ways=", ".join(found["elsewhere"])))
    click.echo()
    table((say("MAY"), say("BY ROLE")), [(row["what"], row["role"]) for row in found["may"]])
    if not found["may"]:
        click.echo(say("nothing: no role has been given"))


@command.command("may")
@click.argument("name")
@click.argument("action")
@click.option("--runbook", default="", metavar="ID", help="With which runbook.")
@click.option("--hosts", default="", metavar="SEL", help="On which hosts; this machine otherwise.")
@json_option
@click.pass_context
def may(ctx: click.Context, name: str, action: str, runbook: str, hosts: str, as_json: bool) -> None:
    """Say whether NAME may do ACTION by their roles, and why; exit code 3 when not."""
    from opsnb.client import connect

    path = f"/api/users/{quote(name, safe='')}/may/{quote(action, safe='')}"
    found = connect(workspace(ctx)).get(path, runbook=runbook, hosts=hosts)
    if as_json:
        print_json(found)
    else:
        word, colour = (say("yes  "), "green") if found["ok"] else (say("no  "), "red")
        click.echo(click.style(word, fg=colour, bold=True) + told(found["reason"]))
    ctx.exit(0 if found["ok"] else RefusedError.exit_code)


@command.command("set")
@click.argument("name")
@display_option
@mail_option
@department_option
@click.option("--role", "give", multiple=True, metavar="NAME", help="A role that they get; again for more.")
@click.option("--no-role", "take", multiple=True, metavar="NAME", help="A role that they lose; again for more.")
@json_option
@click.pass_context
def set_(
    ctx: click.Context, name: str, display: str | None, mail: str | None, department: str | None,
    give: tuple[str, ...], take: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Change NAME's full name, mail, department or roles."""
    body = {"display": display, "mail": mail, "department": department, "give": give, "take": take}
    _change(ctx, name, body, as_json=as_json)


@command.command("deactivate")
@click.argument("name")
@json_option
@click.pass_context
def deactivate(ctx: click.Context, name: str, as_json: bool) -> None:
    """Let NAME leave: they may do nothing any more, and old records keep their name."""
    _change(ctx, name, {"active": False}, as_json=as_json)


@command.command("activate")
@click.argument("name")
@json_option
@click.pass_context
def activate(ctx: click.Context, name: str, as_json: bool) -> None:
    """Bring NAME back, with the roles that they had."""
    _change(ctx, name, {"active": True}, as_json=as_json)


@command.command("import")
@click.argument("file")
@click.option("--format", "kind", type=click.Choice(("yaml", "csv")), help="What it is; told from its name otherwise.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would change, and change nothing.")
@json_option
@click.pass_context
def import_(ctx: click.Context, file: str, kind: str | None, dry: bool, as_json: bool) -> None:
    """Take users, roles and departments from FILE, YAML or CSV: all of it, or nothing."""
    from opsnb.client import connect

    path = Path(file)
    if path.is_dir():
        raise UsageError(f"{file}: is a directory", hint="name a file, YAML or CSV")
    kind = kind or {".csv": "csv", ".yaml": "yaml", ".yml": "yaml"}.get(path.suffix.lower(), "")
    if not kind:
        raise UsageError(f"{file}: nobody can tell what it is", hint="--format yaml or --format csv")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8; in Excel: CSV UTF-8"
        raise UsageError(f"{file}: byte {error.start} is not UTF-8", hint=hint) from None
    place = workspace(ctx)
    body = {"text": text, "format": kind, "name": path.name, "dry_run": dry}
    done = connect(place).post("/api/people/import", body)
    if as_json:
        print_json(done)
        return
    say_changes(done["changes"])
    _say_notes(done)
    made = say("nothing was changed (--dry-run)") if dry else say("{n} change(s) made", n=len(done["changes"]))
    click.echo(made)


def _change(ctx: click.Context, name: str, body: dict[str, Any], *, as_json: bool) -> None:
    from opsnb.client import connect

    done = connect(workspace(ctx)).post(f"/api/users/{quote(name, safe='')}", body)
    _say(done, as_json=as_json)


def _say(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    say_changes(done["changes"])
    _say_notes(done)
    user = done["user"]
    if user["active"] and not user["roles"]:
        command = f"opsnb user set {user['name']} --role engineer"
        click.echo(say("{name} has no role and may do nothing: {command}", name=user["name"], command=command))


def _say_notes(done: dict[str, Any]) -> None:
    """Print what a change of people turned: from one to several, or back."""
    for note in done.get("notes", ()):
        click.echo(click.style(told(note), bold=True), err=True)


def _note(user: dict[str, Any]) -> str:
    notes = [say("service account")] if user["kind"] == "service" else []
    notes += [] if user["active"] else [say("has left")]
    notes += [say("stands in for {names}", names=", ".join(user["stands_for"]))] if user["stands_for"] else []
    names = ", ".join(user["delegates"])
    notes += [say("{names} stands in for them", names=names)] if len(user["delegates"]) == 1 else []
    notes += [say("{names} stand in for them", names=names)] if user["delegates"][1:] else []
    return " · ".join(notes)


for more in (token, password, codes, logins, bind, unbind):
    command.add_command(more)
