"""NGX-010: an upstream as it is to be, on every balancer, changed where it stands or written into a file of its own.

Rules:

* An upstream that the running configuration has is changed in place: only its block, in the file where it stands.
* One that it does not have gets a file of its own, in the first folder that ``http`` includes whole
  (``conf.d/*.conf``). With ``listen`` a server block stands in front of it. A file there that
  opsnb did not write is never replaced.
* Everything is validated before a host is looked at, and what nginx would refuse is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from posixpath import basename, dirname, join

from opsnb import fleet
from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import remote
from opsnb.kits.nginx import values
from opsnb.kits.nginx.changing import plan_files
from opsnb.kits.nginx.doors import Door, doors, url_of_listen
from opsnb.kits.nginx.finding import find
from opsnb.kits.nginx.grammar import Directive, walk
from opsnb.kits.nginx.probe import Probe
from opsnb.kits.nginx.reading import WILD, Configuration, read
from opsnb.kits.nginx.render import HEAD, Site, Tier, new_file, replaced_upstream
from opsnb.kits.nginx.upstreams import Upstream
from opsnb.kits.nginx.wanted import Wanted, named, wanted

__all__ = [
    "Wanted",
    "door_of",
    "http_upstream",
    "named",
    "new_texts",
    "notes",
    "own_path",
    "plan_balancer",
    "plan_one",
    "suits",
    "urls_of",
    "wanted",
]

ZONE, KEEPALIVE = "64k", 16  # of a new upstream, when nothing else is said


def suits(hosts: Sequence[str], conf: str = "") -> tuple[bool, str]:
    """Return whether every host that can be reached has an nginx that runs, and why, as a sentence."""
    for host in hosts:
        if fleet.machine(host).row.get("transport", "ssh") == "local" and host == fleet.THIS_MACHINE:
            return False, f"on {host} runs are confined and cannot reload nginx; give it an address in the inventory"

    def one(host: str) -> str:
        try:
            found = find(host, conf)
        except NotFoundError as error:
            return f"{error.message} (HST-010 installs packages)"
        except OpsnbError:  # named in the tables that follow
            return ""
        return "" if found.pid else f"{host}: no nginx runs with {found.conf}"

    why = [reason for reason in remote.over(hosts, one).values() if reason]
    return (False, "; ".join(why)) if why else (True, f"nginx runs on {len(hosts)} host(s), or they are named below")


def plan_balancer(hosts: str | Sequence[str], want: Wanted) -> Plan:
    """Return the plan that makes an upstream as wanted on every host; reads only.

    Raises:
        UnreachableError: If no host can be reached.
        UsageError: If something stands in its way on a host; names file and line.
        OpsnbError: If nginx does not run on one.
    """
    return remote.plan_each(
        "balance " + ("the only upstream" if want.only else want.tier.name), hosts, lambda host: plan_one(host, want)
    )


def plan_one(host: str, want: Wanted) -> Plan:
    """Return the plan of one host; see :func:`plan_balancer`."""
    seen = read(host, want.conf)
    want = named(want, seen)
    files = new_texts(seen, want)
    probe = _probe(seen, want)
    plan = plan_files(
        host, files, conf=want.conf, probe=probe, title=f"balance {want.tier.name}", seen=seen
    )  # fmt: skip
    plan.context["notes"] = notes(seen, want)
    plan.context["probe"] = _said(probe)
    return plan


def new_texts(seen: Configuration, want: Wanted) -> dict[str, str]:
    """Return the new text of each file that changes, by its real path. Pure.

    Raises:
        UsageError: If something stands in the way; names file and line.
    """
    host, name = seen.installation.host, want.tier.name
    found = http_upstream(seen, name)
    if found and not want.site:
        return {seen.stored[found.file].real: _replaced(seen, found, want.tier)}
    path = own_path(seen, name)
    there = seen.files.get(path)
    if there is not None and not there.startswith(HEAD):
        raise UsageError(
            f"{host}: {path} is there and was not written by opsnb", hint="move it, or name the upstream otherwise"
        )
    own = found is not None and found.file == path
    if want.site:
        _check_free(seen, want.site, path)
    tier = None if found and not own else _filled(want.tier, found)
    texts = {path: new_file(tier, want.site, name)}
    if found and not own:
        texts[seen.stored[found.file].real] = _replaced(seen, found, want.tier)
    return texts


def http_upstream(seen: Configuration, name: str) -> Upstream | None:
    """Return the upstream of a name that requests are passed to, ``None`` when there is none."""
    found = [one for one in seen.upstreams() if one.name == name and one.context == "http"]
    if len(found) > 1:
        raise UsageError(
            f"{seen.installation.host}: the upstream '{name}' is there twice: {' and '.join(u.where for u in found)}"
        )
    return found[0] if found else None


def own_path(seen: Configuration, name: str) -> str:
    """Return where a file of our own for an upstream belongs: a folder that ``http`` includes whole.

    Raises:
        UsageError: If ``http`` includes none.
    """
    file, conf = f"{name}.conf", seen.installation.conf
    fit = []
    for one in _http_includes(seen, seen.trees[conf], "main", set()):
        pattern = join(dirname(conf), one.arguments[0])
        if not WILD & set(dirname(pattern)) and WILD & set(pattern) and fnmatchcase(file, basename(pattern)):
            fit.append(join(dirname(pattern), file))
    if not fit:
        raise UsageError(
            f"{seen.installation.host}: no include in http of {conf} takes a new file {file}",
            hint=f"add 'include {join(dirname(conf), 'conf.d/*.conf')};' to its http block",
        )
    return fit[0]


def notes(seen: Configuration, want: Wanted) -> list[str]:
    """Return what a reader should know besides. Pure."""
    tier, found = _filled(want.tier, http_upstream(seen, want.tier.name)), []
    workers = len([one for one in seen.installation.workers if not one.leaving])
    if not tier.zone and workers > 1:
        found.append(
            f"without a zone each of the {workers} workers counts for itself: shares are near the weights only"
        )
    names = [
        s.address
        for s in tier.servers
        if any(c.isalpha() for c in s.address) and not s.address.startswith(("[", "unix:"))
    ]
    if names:
        found.append(f"nginx looks a name up when it loads and not again: {', '.join(names)}")
    if len(tier.servers) == 1:
        found.append("with one server nginx never leaves it out: max_fails and fail_timeout mean nothing")
    ways = doors(seen, tier.name)
    closing = [way.where for way in ways if not any(one.value("proxy_http_version") == "1.1" for one in way.chain)]
    if tier.keepalive and closing:
        found.append(f"keepalive does nothing without proxy_http_version 1.1 at {', '.join(closing)}")
    if not want.site and not ways:
        found.append(f"no location passes to {tier.name} yet: give listen, or add proxy_pass http://{tier.name};")
    return found


def _replaced(seen: Configuration, found: Upstream, tier: Tier) -> str:
    block = next(d for d in walk(seen.trees[found.file]) if d.start == found.directive.start and d.name == "upstream")
    try:
        return replaced_upstream(seen.files[found.file], block, tier)
    except UsageError as error:
        raise UsageError(f"{seen.installation.host}: {error.message}", hint=error.hint) from None


def _filled(tier: Tier, found: Upstream | None) -> Tier:
    """Return a tier with nothing left open: as it is in what was found, else as for a new one."""
    zone, keepalive = tier.zone, tier.keepalive
    if zone is None:
        there = found.directive.named("zone")[-1:] if found else ()
        zone = (there[0].arguments[1:2] or [""])[0] if there else "" if found else ZONE
    if keepalive is None:
        keepalive = (found.keepalive or 0) if found else KEEPALIVE
    return replace(tier, zone=zone, keepalive=keepalive)


def _check_free(seen: Configuration, site: Site, path: str) -> None:
    for other in seen.servers():
        if other.context != "http" or other.file == path:
            continue
        same = [words[0] for words in other.listens if words and words[0] == site.listen.split(" ")[0]]
        names = set(site.names) & {*other.names, *([] if other.names else ["_"])}
        if same and names:
            raise UsageError(
                f"{seen.installation.host}: {other.where} answers to {' '.join(sorted(names))} on {same[0]} already,"
                " and nginx would ignore the second", hint="leave listen empty to change the upstream alone",
            )  # fmt: skip


def _http_includes(seen: Configuration, tree: Sequence[Directive], context: str, past: set[str]) -> Iterator[Directive]:
    named = {(one.file, one.start): paths for one, paths in seen.includes}
    for one in tree:
        if one.name == "http" and one.block is not None and context == "main":
            yield from _http_includes(seen, one.block, "http", past)
        elif one.name == "include" and (one.file, one.start) in named:
            if context == "http":
                yield one
            for path in named[one.file, one.start]:
                if path not in past:
                    yield from _http_includes(seen, seen.trees[path], context, past | {path})


def _probe(seen: Configuration, want: Wanted) -> Probe:
    door = door_of(seen, want) or Door(url="", path="/", name="", scheme="http", where="")
    direct = tuple(urls_of(want.tier.servers, door).values()) if want.answering else ()
    return Probe(url=door.url, path=want.path or door.path, name=door.name, statuses=want.statuses, direct=direct)


def urls_of(servers: Sequence[values.Server], door: Door) -> dict[str, str]:
    """Return how servers that are not down are asked directly, by their address."""
    up = [one.address for one in servers if not one.down]
    return {one: one if one.startswith("unix:") else f"{door.scheme}://{one}" for one in up}


def _said(probe: Probe) -> str:
    name = probe.name or probe.url.partition("://")[2]
    through = f"{probe.count} GET requests for {probe.url.partition(':')[0]}://{name}{probe.path}, on the host itself"
    before = f"{len(probe.direct)} back end(s) that must answer before" if probe.direct else ""
    return "; ".join(filter(None, [before, through if probe.url else "no request: nothing passes to it"]))


def door_of(seen: Configuration, want: Wanted) -> Door | None:
    """Return where requests come in once the change is made, ``None`` when nothing passes to the upstream."""
    if want.site:
        name = next((n for n in want.site.names if n != "_" and "*" not in n), "")
        url = url_of_listen(want.site.listen.split(" "))
        return Door(url=url, path="/", name=name, scheme="http", where="listen")
    found = doors(seen, want.tier.name)
    return found[0] if found else None
