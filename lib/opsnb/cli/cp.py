"""``opsnb cp``: files to hosts (a planned change, HST-006) and from hosts (HST-007)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.cli.following import follow, kept
from opsnb.cli.output import json_option, loud, print_json, progress, safe, say, told, verdict, workspace
from opsnb.cli.run import exit_code

if TYPE_CHECKING:
    from opsnb.client import Client

MOST_SENT = 22 * 1024 * 1024  # bytes; in base64 they fit into the largest body that the API takes
UP, DOWN = "HST-006", "HST-007"
SHORT = 12  # characters of a digest that are shown
ABORTED = 5


@click.command("cp")
@click.argument("words", metavar="SOURCE... TARGET", nargs=-1, required=True)
@click.option(
    "--mode", default="", metavar="MODE", help="Up: four octal digits (default: as it is, 0644 for new files)."
)
@click.option("--yes", is_flag=True, help="Up: apply the plan without asking.")
@click.option("--force", is_flag=True, help="Down: replace files that are there.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the record.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, words: tuple[str, ...], mode: str, yes: bool, force: bool, reason: str, as_json: bool
) -> int:
    """Copy files to hosts or from them: FILE... SELECTOR:DIR, or SELECTOR:PATH... DIR.

    To hosts: the plan is shown first and carried out when you say so; a file that is replaced is kept beside it, and
    opsnb runs undo puts it back. From hosts: into DIR/HOST/ when there are several. Each digest is compared.

    Exit codes: 0 done, 1 failed, 2 bad usage, 3 refused, 4 drifted, 5 aborted, 6 lost, 7 unavailable.
    """
    least = 2
    if len(words) < least:
        raise UsageError("wanted at least one source and a target", hint="opsnb cp FILE SELECTOR:DIR")
    *sources, target = words
    remote = [_remote(word) for word in sources]
    asked = _Asked(ctx, reason=reason, as_json=as_json)
    goal = _remote(target)
    if goal and not any(remote):
        return asked.up(sources, *goal, mode=mode, yes=yes)
    if not goal and all(remote):
        return asked.down([r for r in remote if r], Path(target), force=force)
    raise UsageError(
        "either all sources are on hosts, or the target is",
        hint="opsnb cp FILE... SELECTOR:DIR, or opsnb cp SELECTOR:PATH... DIR; a file with a colon: ./a:b",
    )


def _remote(word: str) -> tuple[str, str] | None:
    """Return selector and path of ``SELECTOR:PATH``, ``None`` for a path here."""
    selector, colon, path = word.partition(":")
    if not colon or "/" in selector:
        return None
    if not selector.strip() or not path.startswith("/"):
        raise UsageError(f"{word!r:.200}: wanted SELECTOR:/ABSOLUTE/PATH", hint="a file here: ./NAME")
    return selector, path


class _Asked:
    """One ``opsnb cp``."""

    def __init__(self, ctx: click.Context, *, reason: str, as_json: bool) -> None:
        self._place = workspace(ctx)
        self._reason, self._json = reason, as_json
        self._client: Client

    # -- to hosts --------------------------------------------------------------------------------------------------

    def up(self, files: list[str], selector: str, directory: str, *, mode: str, yes: bool) -> int:
        """Plan, show, ask, apply."""
        directory = str(PurePosixPath(directory))
        values = {"hosts": selector, "files": files, "directory": directory, "mode": mode}
        body = {"runbook": UP, "values": values}
        if self._place.url:
            sent = _read(files)
            body |= {"values": {**values, "files": list(sent)}, "files": sent}
        planned = self._run(body)
        changes = (planned.get("plan") or {}).get("changes", [])
        if planned.get("verdict") != "PLANNED":
            return self._tell(planned, planned=planned)
        self._show(planned, changes)
        if not changes:
            return self._tell(planned, planned=planned)
        if not yes and not self._agreed(len(changes), planned["request"]):
            return ABORTED
        applied = self._run({"runbook": UP, "mode": "apply", "request": planned["request"]})
        return self._tell(applied, planned=planned)

    def _show(self, planned: dict[str, Any], changes: list[dict[str, Any]]) -> None:
        for change in changes:
            before, after = change["before"], change["after"]
            was = f"{before['sha256'][:SHORT]}… {before['size']} bytes {before['mode']}" if before else say("no file")
            new = f"{after['sha256'][:SHORT]}… {after['size']} bytes {after['mode']}"
            progress(f"{change['host']}: {change['target']['path']}: {was} → {new}")
            progress("  " + say("undo: {what}", what=change["undo"]))
        for host, why in (planned["plan"].get("context", {}).get("unreachable") or {}).items():
            progress(f"{host}: " + say("not in the plan: {why}", why=told(str(why))))
        if not changes:
            progress(say("every file is there already; nothing has to change"))

    def _agreed(self, count: int, request: str) -> bool:
        if not sys.stdin.isatty():
            raise UsageError(
                f"{count} change(s) are planned and nobody is asked here",
                hint=f"read the plan, then: opsnb run {UP} --mode apply --request {request}; or opsnb cp --yes",
            )
        if click.confirm(say("Make {n} change(s)?", n=count), err=True):
            return True
        later = f"opsnb run {UP} --mode apply --request {request}"
        progress(say("nothing was changed; later: {command}", command=later))
        return False

    def _tell(self, result: dict[str, Any], *, planned: dict[str, Any]) -> int:
        if self._json:
            names = ("run", "request", "verdict", "reason", "record")
            print_json({**{n: result.get(n) for n in names}, "plan": planned.get("plan")})
        else:
            click.echo(f"{verdict(result.get('verdict'))}  {told(result.get('reason', ''))}")
            click.echo(say("record  {path}", path=result.get("record") or say("none")))
            if result.get("mode") == "apply" and result.get("verdict") in {"DONE", "FAILED"}:
                click.echo(say("to undo: {command}", command=f"opsnb runs undo {result['run']}"))
        return exit_code(result)

    # -- from hosts ------------------------------------------------------------------------------------------------

    def down(self, sources: list[tuple[str, str]], target: Path, *, force: bool) -> int:
        """Fetch into the record, then into ``target``."""
        selectors = list(dict.fromkeys(selector for selector, _ in sources))
        if len(selectors) > 1:
            raise UsageError(f"one selector for all paths, found {' and '.join(selectors)}", hint="join them with |")
        if not target.is_dir():
            raise UsageError(f"{target} is not a directory", hint=f"mkdir -p {target}")
        values = {"hosts": selectors[0], "paths": [path for _, path in sources]}
        result = self._run({"runbook": DOWN, "values": values})
        rows = result.get("evidence", {}).get("files", [])
        many = len({row["host"] for row in rows}) > 1
        put = [self._put(row, result, target, many=many, force=force) for row in rows]
        if self._json:
            print_json({"files": put, **{n: result.get(n) for n in ("run", "verdict", "reason", "record")}})
        else:
            for row in put:
                click.echo(f"{row['host']}: {safe(row['path'])}: {safe(row['error'] or row['to'])}")
            if result.get("verdict") != "DONE":
                click.echo(f"{verdict(result.get('verdict'))}  {told(result.get('reason', ''))}")
            click.echo(say("record  {path}", path=result.get("record") or say("none")), err=True)
        return exit_code(result) or int(any(row["error"] for row in put))

    def _put(
        self, row: dict[str, Any], result: dict[str, Any], target: Path, *, many: bool, force: bool
    ) -> dict[str, Any]:
        found = {n: row[n] for n in ("host", "path", "size", "sha256", "error")}
        if row["error"]:
            return {**found, "to": ""}
        try:
            goal = goal_of(target, row["host"] if many else "", PurePosixPath(row["path"]).name)
            if goal.exists() and not force:
                raise UsageError(f"{goal} is there already; --force replaces it")
            _copy(kept(self._place, self._client, result, f"files/{row['file']}"), goal, row["sha256"])
        except OpsnbError as error:
            return {**found, "to": "", "error": error.message}
        return {**found, "to": str(goal)}

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        from opsnb.client import submit

        more = {"folder": str(Path.cwd()), "why": self._reason, "submission": os.urandom(16).hex()}
        self._client, run = submit(self._place, "/api/runs", {**body, **more})
        loud(run)
        return follow(self._client, str(run["run"]))


def goal_of(target: Path, host: str, name: str) -> Path:
    """Return where a file goes that came from a host: right in the target, or in its folder of the host's name.

    Raises:
        OpsnbError: If what the control plane says leads elsewhere: it may lie, and this is somebody's own machine.
    """
    for word in (*([host] if host else []), name):
        if not word or "/" in word or word in {".", ".."} or not word.isprintable():
            raise OpsnbError(f"{word!r:.100} is no name of a host or a file, so nothing is written")
    return target / host / name


def _read(files: list[str]) -> dict[str, str]:
    """Return files of this machine as they are sent to a control plane elsewhere: name to base64.

    Raises:
        UsageError: If one cannot be read, two have one name, or they are too large together.
    """
    found: dict[str, bytes] = {}
    for text in files:
        path = Path(text)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{text}: {error.strerror}") from error
        if path.name in found:
            raise UsageError(f"two files are called {path.name}", hint="copy them one at a time")
        found[path.name] = data
    if (total := sum(map(len, found.values()))) > MOST_SENT:
        raise UsageError(
            f"{total} bytes are too many to send to a control plane elsewhere; {MOST_SENT} is the most",
            hint="copy fewer at a time, or on the control plane's machine",
        )
    return {name: base64.b64encode(data).decode() for name, data in found.items()}


def _copy(data: bytes, goal: Path, digest: str) -> None:
    """Write a file of the record if its digest is the host's; whole or not at all.

    Raises:
        OpsnbError: If it is not as it came, or cannot be written.
    """
    if hashlib.sha256(data).hexdigest() != digest:
        raise OpsnbError("what the record holds is not what the host has (a secret in it was masked?)")
    temporary = goal.with_name(f".{goal.name}.opsnb-{os.getpid()}")
    try:
        goal.parent.mkdir(exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(goal)
    except OSError as error:
        raise OpsnbError(f"{goal} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
