"""``opsnb host trust``: fetch a host's keys, let a person compare them, pin them, and record who trusted which."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from opsnb.base.errors import OpsnbError, RefusedError, UsageError
from opsnb.cli.output import here, json_option, print_json, progress, say

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
SCAN_SECONDS = 10.0
FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}  # the rest is ecdsa: ssh_host_ecdsa_key.pub


@click.command("trust")
@click.argument("host")
@click.option("--fingerprint", "fingerprints", multiple=True, metavar="SHA256:...", help="Trust the key that has it.")
@click.option("--yes", is_flag=True, help="Trust what is found without being asked: on a network you trust.")
@click.option("--replace", is_flag=True, help="Pin other keys than those that are pinned.")
@click.option(
    "--keys", "file", default="", metavar="FILE", help="Read public keys from a file ('-': stdin), not the net."
)
@json_option
@click.pass_context
def trust(
    ctx: click.Context, host: str, fingerprints: tuple[str, ...], yes: bool, replace: bool, file: str, as_json: bool
) -> None:
    """Pin the public keys of HOST; the ledger keeps who trusted which key.

    Nothing connects to a host without a pinned key. Compare the fingerprints that are shown with those that the host
    itself shows on its console.
    """
    from opsnb.client import connect
    from opsnb.fleet.inventory import load

    place = here(ctx)
    wanted = load(place.root).host(host)
    if wanted.transport != "ssh":
        raise UsageError(f"host '{host}' is reached by '{wanted.transport}', which has no keys to trust")
    for text in fingerprints:
        if not FINGERPRINT.fullmatch(text):
            raise UsageError(
                f"'{text}' is no fingerprint, wanted SHA256: and 43 characters", hint="ssh-keygen -lf FILE"
            )
    found = _from_file(file) if file else _fetched(ctx, wanted)
    status, keys = compare(wanted.keys, found)
    if not as_json:
        _show(wanted, status, found)
    if fingerprints:
        keys = _with(host, found, fingerprints)
        status = compare(wanted.keys, keys)[0]
    if status == "unchanged":
        print_json(_answer(host, status, wanted.keys, wanted.keys)) if as_json else click.echo(say("nothing to do"))
        return
    if status == "changed" and not replace:
        raise RefusedError(
            f"host '{host}' shows other keys than those that are pinned; nothing was changed",
            hint=f"find out why first; if the host was set up anew: opsnb host trust {host} --replace",
        )
    if not yes and not fingerprints and not _agreed(host):
        raise RefusedError(
            f"the keys of host '{host}' were not trusted", hint="opsnb host trust --fingerprint SHA256:..."
        )
    body = {"keys": keys, "instead_of": list(wanted.keys)}
    done = connect(place).post(f"/api/hosts/{quote(host, safe='')}/trust", body)
    if as_json:
        print_json(_answer(host, "trusted", keys, wanted.keys) | {"ledger": done["ledger"], "by": done["by"]})
    else:
        about = {"n": len(keys), "host": host, "who": done["by"], "entry": done["ledger"]["index"]}
        click.echo(say("trusted {n} key(s) of {host}; {who}, ledger entry {entry}", **about))
        click.echo(say("next: {command}", command=f"opsnb host check {host}"))


def compare(pinned: Any, found: list[str]) -> tuple[str, list[str]]:
    """Return what the keys found mean beside those that are pinned, and which keys would be pinned.

    ``new``: none was pinned. ``unchanged``: one that is pinned was found, and none of a pinned kind is another.
    ``changed``: everything else.
    """
    if not pinned:
        return "new", list(found)
    kinds = {line.split()[0] for line in pinned}
    others = [line for line in found if line.split()[0] in kinds and line not in pinned]
    if not others and any(line in pinned for line in found):
        return "unchanged", list(pinned)
    return "changed", list(found)


def _fetched(ctx: click.Context, host: Any) -> list[str]:
    if host.via:
        return _through(ctx, host)
    import logging

    from opsnb.fleet.ssh.keys import scan

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # a kind of key that a host lacks is no news
    progress(f"asking {host.address} port {host.port} for its keys")
    found = scan(host.address, host.port, None, SCAN_SECONDS)
    if not found:
        raise OpsnbError(f"{host.address} port {host.port} showed no key that can be pinned")
    return [str(line) for line in found]


def _through(ctx: click.Context, host: Any) -> list[str]:
    """Ask from the jump host, by a recorded run of ssh-keyscan there."""
    from opsnb.cli.hostlive import ran

    progress(f"asking {host.address} port {host.port} for its keys, from {host.via}")
    words = ["ssh-keyscan", "-T", str(int(SCAN_SECONDS)), "-p", str(host.port), host.address]
    result = ran(ctx, host.via, words, why=f"keys of {host.name}")
    row: dict[str, Any] = next(iter(result["evidence"].get("hosts", [])), {})
    found = _lines(str(row.get("stdout", "")))
    if not found:
        why = str(row.get("stderr", "")).strip().splitlines()
        raise OpsnbError(
            f"'{host.via}' got no key from {host.address} port {host.port}" + (f": {why[-1][:200]}" if why else ""),
            hint=f"opsnb host check {host.via}; or bring the keys: opsnb host trust {host.name} --keys FILE",
        )
    return found


def _from_file(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    found = _lines(text)
    if not found:
        raise UsageError(
            f"{name} holds no public key", hint="ssh-keyscan HOST, or the host's /etc/ssh/ssh_host_*_key.pub"
        )
    return found


def _lines(text: str) -> list[str]:
    """Return the key lines in the output of ssh-keyscan, in known_hosts or in .pub files."""
    from opsnb.fleet.inventory import key_line

    found: dict[str, None] = {}
    for line in text.splitlines():
        for candidate in (line, line.partition(" ")[2]):
            try:
                found[key_line(candidate)] = None
                break
            except ValueError:
                continue
    return list(found)


def _with(host: str, found: list[str], fingerprints: tuple[str, ...]) -> list[str]:
    from opsnb.fleet.inventory import fingerprint

    keys = [line for line in found if fingerprint(line) in fingerprints]
    missing = set(fingerprints) - {fingerprint(line) for line in keys}
    if missing:
        shown = ", ".join(fingerprint(line) for line in found)
        raise RefusedError(
            f"host '{host}' has no key with fingerprint {', '.join(sorted(missing))}; it has {shown}",
            hint="this may be another machine than you think: look at its console",
        )
    return keys


def _show(host: Any, status: str, found: list[str]) -> None:
    from opsnb.fleet.inventory import fingerprint

    if status == "changed":
        click.echo(click.style(say("THE HOST'S KEYS HAVE CHANGED"), fg="red", bold=True))
        click.echo(say("Either the machine was set up anew, or somebody stands between you and it."))
        for line in host.keys:
            click.echo(click.style(f"  pinned  {line.split()[0]}  {fingerprint(line)}", fg="red"))
    click.echo(say("{host} ({address} port {port}) shows:", host=host.name, address=host.address, port=host.port))
    for line in found:
        kind = line.split()[0]
        name = FILES.get(kind, "ecdsa")
        mark = "  " + say("pinned already") if line in host.keys else ""
        click.echo(f"  {kind}  {fingerprint(line)}{mark}")
        if status != "unchanged":
            command = f"ssh-keygen -lf /etc/ssh/ssh_host_{name}_key.pub"
            click.echo("      " + say("on the host: {command}", command=command))


def _agreed(host: str) -> bool:
    if not sys.stdin.isatty():
        raise RefusedError(
            f"nobody can be asked whether these are the keys of '{host}'",
            hint="compare a fingerprint and give it: --fingerprint SHA256:...; or --yes on a network you trust",
        )
    return click.confirm(say("Are these the host's fingerprints?"), default=False)


def _answer(host: str, status: str, keys: Any, pinned: Any) -> dict[str, Any]:
    from opsnb.fleet.inventory import fingerprint

    def shown(lines: Any) -> list[dict[str, str]]:
        return [{"type": line.split()[0], "fingerprint": fingerprint(line), "line": line} for line in lines]

    return {"host": host, "status": status, "keys": shown(keys), "before": shown(pinned)}
