"""``opsnb host check`` and ``opsnb host facts``: what hosts answer, as recorded runs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from opsnb.base.errors import OpsnbError
from opsnb.cli.output import here, json_option, print_json, progress, safe, say, table, workspace

COMMAND, FACTS = "HST-004", "HST-002"
CHECK_SECONDS = 30.0
WHY_WIDTH = 80  # columns of a reason in the table; --json has all of it
RUNS_READ = 200  # the latest runs of HST-002 in which facts are looked for
NEXT = (
    (r"host key|pinned", "opsnb host trust {host}"),
    (
        r"authentic|permission denied|login|credential|passphrase|password",
        "look at its credential: opsnb host show {host}",
    ),
    (r"resolve|name or service|getaddrinfo|not known", "the address does not resolve: opsnb host show {host}"),
    (r"refused", "nothing listens there: is sshd running, is the port right? opsnb host show {host}"),
    (r"timed out|time|no route|unreachable", "no answer: is it up, does it need a jump host (via)?"),
)


@click.command("check")
@click.argument("selector")
@json_option
@click.pass_context
def check(ctx: click.Context, selector: str, as_json: bool) -> int:
    """Log in to the hosts that SELECTOR chooses, and say what to do about each that does not answer."""
    from opsnb.fleet.inventory import load

    inventory = load(here(ctx).root)
    names = inventory.select(selector)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        path = [*inventory.row(name).get("via", ()), inventory.row(name)]
        step = next((s["name"] for s in path if s["transport"] == "ssh" and "key" not in s), None)
        if step:
            rows[name] = _row(name, "not trusted", f"no key of {step} is pinned", f"opsnb host trust {step}")
    asked = [name for name in names if name not in rows]
    result: dict[str, Any] = {}
    if asked:
        result = ran(ctx, ",".join(asked), ["true"], why="opsnb host check", seconds=CHECK_SECONDS)
        for row in result["evidence"].get("hosts", []):
            why = str(row.get("stderr", "")).strip().splitlines()
            rows[row["host"]] = _row(row["host"], row["status"], why[-1] if why else "", "", row.get("seconds"))
    found = [rows.get(name) or _row(name, "unknown", str(result.get("reason", "")), "") for name in names]
    if as_json:
        print_json({"hosts": found, "record": result.get("record")})
    else:
        table(
            (say("HOST"), say("STATUS"), say("SECONDS"), say("WHY"), say("NEXT")),
            [(r["host"], r["status"], r["seconds"] or "-", _cut(r["why"]) or "-", r["next"] or "-") for r in found],
        )
        count = sum(r["status"] == "ok" for r in found)
        click.echo(say("{n} of {m} answered", n=count, m=len(found)), err=True)
    return 0 if all(row["status"] == "ok" for row in found) else 1


@click.command("facts")
@click.argument("selector")
@click.option("--refresh", is_flag=True, help="Ask the hosts again.")
@json_option
@click.pass_context
def facts(ctx: click.Context, selector: str, refresh: bool, as_json: bool) -> int:
    """Show the latest facts of the hosts that SELECTOR chooses, and when they were read; ask for those missing."""
    from opsnb.client import connect
    from opsnb.fleet.inventory import load

    place = here(ctx)
    names = load(place.root).select(selector)
    known = {} if refresh else _recorded(connect(place), names)
    missing = [name for name in names if name not in known]
    if missing:
        progress(f"asking {len(missing)} host(s) for facts")
        run, result = _run(ctx, FACTS, {"hosts": ",".join(missing)}, "opsnb host facts")
        known |= _facts_of(run, {**result, "ended": _ended(ctx, run)}, missing)
    if as_json:
        print_json({"hosts": {name: known.get(name) for name in names}})
    else:
        for name in names:
            _tell(name, known.get(name))
    return 0 if all(name in known for name in names) else 1


def ran(
    ctx: click.Context, hosts: str, words: Sequence[str], *, why: str, seconds: float = CHECK_SECONDS
) -> dict[str, Any]:
    """Run one program on hosts by HST-004 and return the run's result."""
    return _run(ctx, COMMAND, {"hosts": hosts, "command": list(words), "seconds": seconds}, why)[1]


def _run(ctx: click.Context, runbook: str, values: dict[str, Any], why: str) -> tuple[str, dict[str, Any]]:
    from opsnb.client import submit

    place = workspace(ctx)
    body = {
        "runbook": runbook, "values": values, "folder": str(Path.cwd()), "why": why,
        "submission": os.urandom(16).hex(),
    }  # fmt: skip
    client, run = submit(place, "/api/runs", body)
    result: dict[str, Any] = {}
    for event in client.events(run["run"]):
        if event["ev"] == "end":
            result = dict(event["result"] or {})
    if "evidence" not in result:
        reason = result.get("reason") or f"run {run['run']} ended without a result"
        raise OpsnbError(f"{runbook}: {reason}", hint=f"opsnb runs log {run['run']}")
    return str(run["run"]), result


def _ended(ctx: click.Context, run: str) -> str:
    from opsnb.client import connect

    return str(connect(workspace(ctx)).get(f"/api/runs/{run}")["ended"])


def _recorded(client: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the latest facts that records hold, host by host."""
    found: dict[str, dict[str, Any]] = {}
    for row in client.get("/api/runs", limit=RUNS_READ, runbook=FACTS)["runs"]:
        left = [name for name in names if name not in found]
        if not left:
            break
        if row["result"]:
            found |= _facts_of(row["run"], {**row["result"], "ended": row["ended"]}, left)
    return found


def _facts_of(run: str, result: dict[str, Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    values = (result.get("evidence") or {}).get("facts")
    values = values if isinstance(values, dict) else {}
    return {
        name: {"at": result["ended"], "run": run, "record": result.get("record"), "facts": values[name]}
        for name in names
        if name in values
    }


def _tell(name: str, known: dict[str, Any] | None) -> None:
    if known is None:
        click.echo(click.style(name, bold=True) + f"  no facts; opsnb host check {name} says why")
        return
    click.echo(click.style(name, bold=True) + f"  read {known['at']}  run {known['run']}")
    for key, value in (known["facts"] if isinstance(known["facts"], dict) else {"facts": known["facts"]}).items():
        if value not in (None, "", [], {}):
            click.echo(safe(f"  {key}  {_short(value)}"))


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_short(inner)}" for key, inner in value.items() if inner not in (None, "", [], {}))
    return ", ".join(_short(item) for item in value) if isinstance(value, list) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= WHY_WIDTH else f"{text[: WHY_WIDTH - 1]}…"


def _row(host: str, status: str, why: str, following: str, seconds: Any = None) -> dict[str, Any]:
    if status != "ok" and not following:
        following = next((hint for pattern, hint in NEXT if re.search(pattern, why, re.IGNORECASE)), "")
        following = following.format(host=host) if following else f"opsnb host show {host}"
    return {"host": host, "status": status, "seconds": seconds, "why": why, "next": following}
