"""The words of the survey's findings: how urgent, what, what comes of it, what to do. One row a finding, by its id.

Critical: it serves badly now, or will not start again. Warning: it does something else than it looks like. Notice:
worth knowing. What stands in braces is filled in by the rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from opsnb.kits.linux.findings import Severity

CRITICAL, WARNING, NOTICE = Severity.CRITICAL, Severity.WARNING, Severity.NOTICE

WORDS: dict[str, tuple[Severity, str, str, str]] = {
    "stopped": (
        CRITICAL,
        "nginx does not run with this file",
        "nobody is served by this host",
        "its error log; start it the way this host does",
    ),
    "semicolon": (
        CRITICAL,
        "a ';' seems to be missing before {name}",
        "nginx takes it for an argument of '{directive}', and refuses the file or does not what is meant",
        "nginx -t",
    ),
    "newer": (
        WARNING,
        "changed on disk after it was loaded",
        "the next reload brings what nobody has seen run",
        "nginx -t, then reload; or find out who changed it",
    ),
    "descriptors": (
        WARNING,
        "{connections} worker_connections, {files} open files a worker",
        "a proxied client takes two descriptors: this limit is met first",
        "worker_rlimit_nofile",
    ),
    "dropped": (
        WARNING,
        "{count} connections were accepted and not handled",
        "a limit was reached since the start ({url})",
        "worker_connections, open files",
    ),
    "no-upstream": (
        CRITICAL,
        "no server was left of {name}",
        "{count} times, last {last}: clients got 502",
        "the table of upstream errors: which servers failed before",
    ),
    "upstream-errors": (WARNING, "{name}: {kind}", "{count} times, last {last}", "that server, and its own logs"),
    "no-certificate": (
        CRITICAL,
        "certificate {name} is not there",
        "nginx does not start or reload without it",
        "put it there",
    ),
    "expired": (CRITICAL, "certificate {name} has expired", "on {day}: clients refuse it", "renew it"),
    "expires": (WARNING, "certificate {name} expires soon", "on {day}, in {left} days", "renew it"),
    "limit-without-zone": (
        WARNING,
        "max_conns without a zone",
        "each of {workers} workers counts for itself",
        "zone NAME 64k; (NGX-010)",
    ),
    "share-without-zone": (
        NOTICE,
        "{method} without a zone, {workers} workers",
        "each worker counts for itself: shares are not exact, failures are learned by each",
        "zone NAME 64k; (NGX-010)",
    ),
    "backup-refused": (
        CRITICAL,
        "'backup' together with {method} in upstream {name}",
        "nginx refuses it: the next start or reload fails",
        "leave it out, or choose another method",
    ),
    "all-down": (CRITICAL, "every server of upstream {name} is down", "its clients get 502", "return one: NGX-011"),
    "one-left": (
        NOTICE,
        "one server serves all of upstream {name}",
        "when it fails, nobody does",
        "return another: NGX-011",
    ),
    "unused": (
        NOTICE,
        "upstream {name} is not used",
        "nothing passes to it",
        "remove it, or find what was meant to use it",
    ),
    "no-keepalive": (
        NOTICE,
        "no keepalive in upstream {name}",
        "each request opens a connection to a back end",
        "keepalive 16; (NGX-010)",
    ),
    "lost-keepalive": (
        WARNING,
        "keepalive of upstream {name} has no effect here",
        "nginx asks with HTTP/1.0 or 'Connection: close'",
        'proxy_http_version 1.1; proxy_set_header Connection "";',
    ),
    "undefined": (
        WARNING,
        "{directive} to {name}, which is no upstream",
        "nginx asks DNS once, at its start, and does not start without an answer",
        "define the upstream, or write the name that was meant",
    ),
    "twice": (
        WARNING,
        "{name} on {listen} is there twice",
        "nginx ignores this one; the first is at {first}",
        "another name, or one server",
    ),
    "default-twice": (
        CRITICAL,
        "a second default_server on {listen}",
        "nginx refuses it; the first is at {first}",
        "leave one",
    ),
    "empty-include": (NOTICE, "include {name} names no file", "nothing is read here", "right as it is?"),
    "everybody-trusted": (
        WARNING,
        "set_real_ip_from {name}",
        "anybody may claim any address: limits and logs believe it",
        "the balancers' own networks",
    ),
    "protocol-unused": (
        WARNING,
        "PROXY protocol is taken, the client's address in it is not",
        "every client has the balancer's address",
        "set_real_ip_from, real_ip_header proxy_protocol;",
    ),
    "hash-of-balancer": (
        WARNING,
        "ip_hash by the balancer's address",
        "X-Forwarded-For is known here and not used: clients of one balancer meet one server",
        "set_real_ip_from, real_ip_header X-Forwarded-For;",
    ),
    "client-not-passed": (
        NOTICE,
        "the client's address is not passed on",
        "back ends log this host's address",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    ),
    "tokens": (NOTICE, "server_tokens is on", "answers tell nginx's version", "server_tokens off;"),
    "gzip-proxied": (
        NOTICE,
        "gzip, but not for what came through a proxy",
        "requests with a Via header get plain answers",
        "gzip_proxied any;",
    ),
    "old-tls": (WARNING, "ssl_protocols has {names}", "broken protocols are offered", "TLSv1.2 TLSv1.3"),
    "alias": (
        WARNING,
        "location {name} has no slash at its end, its alias has",
        "{name}../ leaves the folder",
        "a slash at the end of both",
    ),
    "open-status": (NOTICE, "stub_status for everybody", "counters are public", "allow 127.0.0.1; deny all;"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands out; a hint, not a verdict.

    Args:
        id: Key of :data:`WORDS`.
        severity: How urgent.
        what: What it is.
        where: File and line; empty where it is in no file.
        why: What comes of it.
        next: What to do, or to look at.
    """

    id: str
    severity: Severity
    what: str
    where: str
    why: str
    next: str


def finding(key: str, where: str, **values: object) -> Finding:
    """Return a finding with its words."""
    severity, what, why, to_do = WORDS[key]
    return Finding(
        id=key, severity=severity, what=what.format(**values), where=where, why=why.format(**values), next=to_do
    )
