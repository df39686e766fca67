"""What stands out in an nginx configuration and in how it runs, each with file and line, worst first. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from opsnb.kits.linux.findings import Severity
from opsnb.kits.nginx.grammar import PLAIN, Directive, walk
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.scopes import Chain, chains, nearest, target
from opsnb.kits.nginx.surveylook import Shown
from opsnb.kits.nginx.surveywords import Finding, finding
from opsnb.kits.nginx.tokens import WILD
from opsnb.kits.nginx.tokens import shown as quoted
from opsnb.kits.nginx.values import WITHOUT_BACKUP

PASSES = ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass")
OLD_TLS = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})
SOON, FEW_ERRORS = 21, 3  # days to a certificate's end; errors below which nobody is told
EVERYBODY = frozenset({"0.0.0.0/0", "::/0"})
FORWARDED = frozenset({"x-forwarded-for", "x-real-ip", "forwarded"})
USUALLY_EMPTY = frozenset({"conf.d", "default.d", "modules", "modules-enabled", "sites-enabled"})  # of distributions
KEEPS_BY_ITSELF = [1, 29, 7]  # since then nginx asks back ends with HTTP/1.1 and keeps connections


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the rules look at.

    Args:
        found: The configuration.
        shown: What the host shows besides.
        newer: Files that changed after the running configuration was loaded.
    """

    found: Configuration
    shown: Shown
    newer: tuple[str, ...] = ()

    @property
    def workers(self) -> int:
        """How many workers run, else how many are asked for; ``auto`` counts as 2."""
        running = sum(not worker.leaving for worker in self.found.installation.workers)
        asked = next((d.arguments[0] for d in self.found.main if d.name == "worker_processes" and d.arguments), "1")
        return running or (int(asked) if asked.isdigit() else 2)

    def chains(self) -> Iterator[Chain]:
        """Yield every server and location of ``http`` with the blocks around it."""
        for server in self.found.servers():
            if server.context == "http":
                yield from chains((*server.around, server.directive), server.directive)


def findings(case: Case) -> list[Finding]:
    """Return what stands out, worst first, then by what it is, then by file and line."""
    found = dict.fromkeys(one for rule in RULES for one in rule(case))
    order = list(Severity)
    return sorted(found, key=lambda f: (order.index(f.severity), f.what, _line(f.where)))


def _running(case: Case) -> Iterator[Finding]:
    installation = case.found.installation
    if installation.pid is None:
        yield finding("stopped", installation.conf)
    for path in case.newer:
        yield finding("newer", path)
    for one in (d for outer in case.found.main if outer.name == "events" for d in outer.named("worker_connections")):
        connections = int(one.arguments[0]) if one.arguments and one.arguments[0].isdigit() else 0
        if case.shown.open_files and connections * 2 > case.shown.open_files:
            yield finding("descriptors", one.where, connections=connections, files=case.shown.open_files)


def _semicolons(case: Case) -> Iterator[Finding]:
    for path, tree in case.found.trees.items():
        text = case.found.files[path]
        for one in walk(tree):
            for word, (begin, end) in zip(one.arguments, one.spans[1:], strict=True):
                begun = text[text.rfind("\n", 0, begin) + 1 : begin]
                if word in PLAIN and not begun.strip() and text[begin:end] == word:
                    yield finding("semicolon", one.where, name=quoted(word), directive=one.name)


def _seen(case: Case) -> Iterator[Finding]:
    for url, status in case.shown.status.items():
        if status.dropped > 0:
            yield finding("dropped", "", count=status.dropped, url=url)
    for row in case.shown.errors:
        if row.kind == "no live upstreams":
            yield finding("no-upstream", "", name=quoted(row.address, 80), count=row.count, last=row.last)
        elif row.count >= FEW_ERRORS:
            yield finding(
                "upstream-errors", "", name=quoted(row.address, 80), kind=row.kind, count=row.count, last=row.last
            )


def _certificates(case: Case) -> Iterator[Finding]:
    for one in case.shown.certificates:
        where, name = one.directive.where, quoted(one.path, 120)
        if one.there is False:
            yield finding("no-certificate", where, name=name)
        elif one.expires and case.shown.now:
            left = one.expires.replace(tzinfo=None) - case.shown.now
            if left < timedelta(days=SOON):
                key = "expired" if left < timedelta(0) else "expires"
                yield finding(key, where, name=name, day=one.expires.date(), left=left.days)


def _shares(case: Case) -> Iterator[Finding]:
    for one in case.found.upstreams():
        if one.zone or case.workers < 2 or len(one.servers) < 2:  # noqa: PLR2004  (one has nothing to share)
            continue
        weighted = one.method == "round_robin" and len({s.weight for s in one.servers}) > 1
        if any(word.startswith("max_conns=") for s in one.servers for word in s.other):
            yield finding("limit-without-zone", one.where, workers=case.workers)
        elif weighted or one.method == "least_conn":
            method = "weights" if weighted else one.method
            yield finding("share-without-zone", one.where, method=method, workers=case.workers)


def _upstreams(case: Case) -> Iterator[Finding]:
    words = {a for d in walk(case.found.main) if d.name != "upstream" for a in d.arguments}
    used = words | {part for word in words for part in re.split(r"[/:${}]+", word)}
    for one in case.found.upstreams():
        name = quoted(one.name, 80)
        for server in one.servers:
            if server.backup and one.method in WITHOUT_BACKUP:
                yield finding("backup-refused", server.where, name=name, method=one.method)
        if one.servers and all(s.down for s in one.servers):
            yield finding("all-down", one.where, name=name)
        if len(one.servers) > 1 and sum(not s.down for s in one.servers) == 1:
            yield finding("one-left", one.where, name=name)
        if one.name not in used:
            yield finding("unused", one.where, name=name)


def _keepalive(case: Case) -> Iterator[Finding]:
    installation = case.found.installation
    numbers = [int(n) for n in re.findall(r"\d+", installation.version)[:3]]
    by_itself = installation.name == "nginx" and numbers >= KEEPS_BY_ITSELF
    by_name = {u.name: u for u in case.found.upstreams() if u.context == "http"}
    for chain in case.chains():
        for passed in chain[-1].named("proxy_pass"):
            upstream = by_name.get(target(passed))
            if not upstream or by_itself:
                continue
            version = [d.arguments for d in nearest(chain, "proxy_http_version")]
            headers = [d.arguments for d in nearest(chain, "proxy_set_header")]
            if upstream.keepalive is None:
                yield finding("no-keepalive", upstream.where, name=quoted(upstream.name, 80))
            elif ("1.1",) not in version or ("Connection", "") not in headers:
                yield finding("lost-keepalive", passed.where, name=quoted(upstream.name, 80))


def _targets(case: Case) -> Iterator[Finding]:
    names = {u.name for u in case.found.upstreams() if u.context == "http"} | {"localhost"}
    for chain in case.chains():
        for passed in chain[-1].named(*PASSES):
            host = target(passed).partition(":")[0]
            if {host, target(passed)} & names or not re.fullmatch(r"(?=.*[A-Za-z_])[A-Za-z0-9_-]+", host):
                continue  # one label, no dot: such a name is an upstream's, or the search domain's
            if host != "unix":
                yield finding("undefined", passed.where, directive=passed.name, name=quoted(host, 80))


def _names(case: Case) -> Iterator[Finding]:
    seen: dict[tuple[str, str], Directive] = {}
    for server in (one for one in case.found.servers() if one.context == "http"):
        for words in server.listens:
            for name in dict.fromkeys(server.names or ("",)):
                first = seen.setdefault((_socket(words[0]), name.lower()), server.directive)
                if first is not server.directive:
                    yield finding("twice", server.where, name=quoted(name, 80), listen=words[0], first=first.where)
            if {"default_server", "default"} & set(words[1:]):
                first = seen.setdefault((_socket(words[0]), " default"), server.directive)
                if first is not server.directive:
                    yield finding("default-twice", server.where, listen=words[0], first=first.where)


def _includes(case: Case) -> Iterator[Finding]:
    for one, paths in case.found.includes:
        if not paths and WILD & set(one.arguments[0]) and not USUALLY_EMPTY & set(one.arguments[0].split("/")):
            yield finding("empty-include", one.where, name=quoted(one.arguments[0], 120))


def _clients(case: Case) -> Iterator[Finding]:
    hashed = {u.name for u in case.found.upstreams() if u.method == "ip_hash"}
    forwarded = any("$http_x_forwarded_for" in a for d in walk(case.found.main) for a in d.arguments)
    for chain in case.chains():
        trusted = nearest(chain, "set_real_ip_from")
        for one in trusted:
            if EVERYBODY & set(one.arguments):
                yield finding("everybody-trusted", one.where, name=one.arguments[0])
        if trusted:
            continue
        for one in chain[-1].named("listen"):
            if "proxy_protocol" in one.arguments:
                yield finding("protocol-unused", one.where)
        for passed in chain[-1].named("proxy_pass"):
            if target(passed) in hashed and forwarded:
                yield finding("hash-of-balancer", passed.where)


def _passed_on(case: Case) -> Iterator[Finding]:
    for chain in case.chains():
        for passed in chain[-1].named("proxy_pass"):
            headers = {d.arguments[0].lower() for d in nearest(chain, "proxy_set_header") if d.arguments}
            if not headers & FORWARDED:
                yield finding("client-not-passed", passed.where)


def _answers(case: Case) -> Iterator[Finding]:
    for http in (d for d in case.found.main if d.name == "http" and d.block is not None):
        if http.value("server_tokens", "on") != "off":
            yield finding("tokens", http.where)
        if http.value("gzip") == "on" and not http.named("gzip_proxied"):
            yield finding("gzip-proxied", http.named("gzip")[-1].where)
    for one in walk(case.found.main):
        if one.name == "ssl_protocols" and (old := sorted(OLD_TLS & set(one.arguments))):
            yield finding("old-tls", one.where, names=", ".join(old))


def _locations(case: Case) -> Iterator[Finding]:
    for chain in case.chains():
        one = chain[-1]
        if one.name != "location" or not one.arguments:
            continue
        path = one.arguments[-1]
        prefix = one.arguments[0] not in {"=", "~", "~*"} and not path.startswith("@")
        if prefix and one.value("alias").endswith("/") and not path.endswith("/"):
            yield finding("alias", one.where, name=quoted(path, 80))
        if one.named("stub_status") and not any(nearest(chain, word) for word in ("allow", "deny", "auth_basic")):
            yield finding("open-status", one.where)


RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _running, _semicolons, _seen, _certificates, _upstreams, _shares, _keepalive, _targets, _names, _includes, _clients,
    _passed_on, _answers, _locations,
)  # fmt: skip


def _socket(listen: str) -> str:
    """Return the address and port that a ``listen`` means."""
    address = re.sub(r"^\*(?=:|$)", "0.0.0.0", listen)  # noqa: S104  (compared only)
    if address.isdigit():
        return f"0.0.0.0:{address}"
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address
    return f"{address}:80"


def _line(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (where, 0)
