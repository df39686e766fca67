"""The survey as tables: equal rows of several hosts stand once, with all of them; each row names file and line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.iphash import endpoint
from opsnb.kits.nginx.scopes import chains
from opsnb.kits.nginx.survey import Survey, differences, matching, said
from opsnb.kits.nginx.surveyrules import PASSES, Case
from opsnb.runbook.show import visible

ANSWERS = (
    *PASSES, "return", "rewrite", "root", "alias", "try_files", "stub_status", "content_by_lua_block", "js_content",
)  # fmt: skip
SETTINGS = (
    "worker_processes", "worker_connections", "worker_rlimit_nofile", "user", "error_log", "access_log",
    "keepalive_timeout", "client_max_body_size", "gzip", "gzip_proxied", "server_tokens", "ssl_protocols",
    "proxy_connect_timeout", "proxy_read_timeout", "proxy_next_upstream", "real_ip_header", "resolver",
)  # fmt: skip
MAX_EVIDENCE = 500


def overview(seen: Survey) -> pd.DataFrame:
    """Return one row a host: version, running, since when loaded, workers, user, file, counts."""
    rows = []
    for host, case in seen.cases.items():
        i = case.found.installation
        leaving = sum(w.leaving for w in i.workers)
        rows.append(
            (
                host,
                _name(case),
                i.pid is not None,
                _time(i.loaded),
                len(i.workers) - leaving,
                leaving,
                i.user,
                i.conf,
                len(case.found.files),
                len(case.found.servers()),
                len(case.found.upstreams()),
            )
        )
    return pd.DataFrame(
        rows,
        columns=[
            "host",
            "nginx",
            "running",
            "loaded (UTC)",
            "workers",
            "leaving",
            "user",
            "main file",
            "files",
            "servers",
            "upstreams",
        ],
    )


def findings_table(seen: Survey) -> pd.DataFrame:
    """Return what stands out, worst first: ``severity``, ``what``, ``where``, ``why``, ``next``, ``hosts``."""
    rows = [(str(f.severity), f.what, f.where or "-", f.why, f.next, ", ".join(hosts)) for hosts, f in seen.findings()]
    return pd.DataFrame(rows, columns=["severity", "what", "where", "why", "next", "hosts"])


def differences_table(seen: Survey) -> pd.DataFrame:
    """Return where hosts differ: ``what``, ``hosts``, ``says``, ``others``, ``other hosts``."""
    return pd.DataFrame(differences(seen), columns=["what", "hosts", "says", "others", "other hosts"])


def servers_table(seen: Survey) -> pd.DataFrame:
    """Return every server: ``context``, ``listen``, ``names``, ``locations``, ``where``, ``hosts``."""

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        for s in case.found.servers():
            listens = ", ".join(" ".join(words) for words in s.listens)
            number = sum(chain[-1].name == "location" for chain in chains((s.directive,), s.directive))
            yield s.context, listens, visible(" ".join(s.names)) or "-", number, s.where

    return _grouped(seen, rows, ["context", "listen", "names", "locations", "where"])


def locations_table(seen: Survey) -> pd.DataFrame:
    """Return what every location does: ``server``, ``location``, ``does``, ``where``, ``hosts``."""

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        for s in case.found.servers():
            for chain in chains((s.directive,), s.directive):
                answers = [
                    d
                    for d in chain[-1].named(*ANSWERS)
                    if d.name not in {"root", "try_files"} or chain[-1].name != "if"
                ]
                if answers or chain[-1].name == "location":
                    path = " > ".join(
                        " ".join((*([] if b.name == "location" else [b.name]), *b.arguments)) for b in chain[1:]
                    )
                    yield (
                        visible(s.names[0]) if s.names else s.listens[0][0] if s.listens else "-",
                        visible(path) or "-",
                        "; ".join(said(d) for d in answers) or "-",
                        chain[-1].where,
                    )

    return _grouped(seen, rows, ["server", "location", "does", "where"])


def upstreams_table(seen: Survey) -> pd.DataFrame:
    """Return every server of every upstream with what the configuration says and what was seen.

    Columns: ``upstream``, ``server``, ``weight``, ``state``, ``errors`` (the error log's, of this address), ``where``,
    ``hosts``, ``method``, ``fails`` (max_fails in fail_timeout), ``other`` words.
    """

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        for u in case.found.upstreams():
            method = u.method + (" zone" if u.zone else "")
            for s in u.servers:
                errors = sum(e.count for e in case.shown.errors if e.address == endpoint(s.address))
                state = "down" if s.down else "backup" if s.backup else "up"
                fails, other = f"{s.max_fails} in {s.fail_timeout}", visible(" ".join(s.other)) or "-"
                yield visible(u.name), s.address, s.weight, state, errors, s.where, method, fails, other
            if not u.servers:
                yield visible(u.name), "-", 0, "-", 0, u.where, method, "-", "-"

    columns = ["upstream", "server", "weight", "state", "errors", "where", "method", "fails", "other"]
    table = _grouped(seen, rows, columns)
    return table[["upstream", "server", "weight", "state", "errors", "where", "hosts", "method", "fails", "other"]]


def errors_table(seen: Survey) -> pd.DataFrame:
    """Return upstream errors: ``host``, ``address``, ``error``, ``count``, ``first``, ``last`` by the host's clock."""
    rows = [
        (host, visible(e.address), visible(e.kind), e.count, _clock(e.first), _clock(e.last))
        for host, case in seen.cases.items()
        for e in case.shown.errors
    ]
    return pd.DataFrame(rows, columns=["host", "address", "error", "count", "first", "last"])


def status_table(seen: Survey) -> pd.DataFrame:
    """Return what stub_status says: connections now, and counters since the start."""
    rows = [
        (host, url, s.active, s.reading, s.writing, s.waiting, s.accepts, s.dropped, s.requests)
        for host, case in seen.cases.items()
        for url, s in case.shown.status.items()
    ]
    columns = ["host", "url", "active", "reading", "writing", "waiting", "accepted", "dropped", "requests"]
    return pd.DataFrame(rows, columns=columns)


def certificates_table(seen: Survey) -> pd.DataFrame:
    """Return the certificates: ``file``, ``there``, ``expires``, ``where``, ``hosts``."""

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        for c in case.shown.certificates:
            there = "-" if c.there is None else "yes" if c.there else "no"
            yield visible(c.path), there, f"{c.expires:%Y-%m-%d}" if c.expires else "-", c.directive.where

    return _grouped(seen, rows, ["file", "there", "expires", "where"])


def settings_table(seen: Survey, search: str = "") -> pd.DataFrame:
    """Return which line says what, the usual settings or what a search finds: ``says``, ``where``, ``hosts``."""

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        found = (
            matching(case, search)
            if search
            else [d for name in SETTINGS for d in matching(case, name) if d.name == name]
        )
        yield from ((said(d), d.where) for d in found)

    return _grouped(seen, rows, ["says", "where"])


def modules_table(seen: Survey) -> pd.DataFrame:
    """Return the modules, and the hosts that have them: ``modules``, ``hosts``."""
    by_host: dict[tuple[str, ...], list[str]] = {}
    for host, case in seen.cases.items():
        by_host.setdefault(case.found.installation.modules, []).append(host)
    return pd.DataFrame([(" ".join(m) or "-", ", ".join(h)) for m, h in by_host.items()], columns=["modules", "hosts"])


def files_table(seen: Survey) -> pd.DataFrame:
    """Return the files of each configuration, and what includes them: ``file``, ``is``, ``included by``, ``hosts``."""

    def rows(case: Case) -> Iterator[tuple[Any, ...]]:
        by: dict[str, list[str]] = {}
        for one, paths in case.found.includes:
            for path in paths:
                by.setdefault(path, []).append(one.where)
        for path, stored in case.found.stored.items():
            places = list(dict.fromkeys(by.get(path, ["-"])))
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            yield (
                visible(path),
                "itself" if stored.real == path else visible(stored.real),
                places[0] + more,
                stored.mode,
            )

    return _grouped(seen, rows, ["file", "is", "included by", "mode"])


def notes_table(seen: Survey) -> pd.DataFrame:
    """Return what was not seen on hosts that were read: ``host``, ``not seen``."""
    rows = [(host, visible(note)) for host, case in seen.cases.items() for note in case.shown.notes]
    return pd.DataFrame(rows, columns=["host", "not seen"])


def evidence(seen: Survey) -> dict[str, Any]:
    """Return what is kept with the record, by name."""
    found = seen.findings()
    counts = Counter(str(f.severity) for _, f in found)
    return {
        **{f"findings_{s}": counts[s] for s in ("critical", "warning", "notice")},
        "hosts": {row["host"]: row for row in overview(seen).to_dict("records")},
        "upstreams": upstreams_table(seen).to_dict("records")[:MAX_EVIDENCE],
        "findings": [
            {"id": f.id, "severity": str(f.severity), "what": f.what, "where": f.where, "hosts": list(hosts)}
            for hosts, f in found[:MAX_EVIDENCE]
        ],
        "differences": differences(seen)[:MAX_EVIDENCE],
        "unread": {host: f"{status}: {why}" for host, (status, why) in seen.unread.items()},
        "absent": list(seen.absent),
    }


def lost(seen: Survey) -> dict[str, list[str]]:
    """Return the files of each host in which something was passed over: none, or it is a mistake of ours."""
    return {
        host: bad
        for host, case in seen.cases.items()
        if (bad := [path for path, tree in case.found.trees.items() if not _whole(case.found.files[path], tree)])
    }


def _whole(text: str, tree: tuple[Directive, ...]) -> bool:
    """Return whether between the directives of a file there are only spaces and comments."""
    ends = [0, *(d.end for d in tree)]
    gaps = [text[a:b] for a, b in zip(ends, [*(d.start for d in tree), len(text)], strict=True)]
    return all(not line.split("#")[0].strip() for gap in gaps for line in gap.split("\n"))


def _grouped(seen: Survey, rows: Any, columns: list[str]) -> pd.DataFrame:
    """Return equal rows of several hosts once, with the hosts in the last column."""
    by_row: dict[tuple[Any, ...], list[str]] = {}
    for host, case in seen.cases.items():
        for row in _unique(rows(case)):
            alone = len(seen.cases) == 1
            key = tuple(seen.alike(host, v) if isinstance(v, str) and not alone else v for v in row)
            by_row.setdefault(key, []).append(host)
    table = [(*row, ", ".join(hosts)) for row, hosts in by_row.items()]
    return pd.DataFrame(table, columns=[*columns, "hosts"])


def _unique(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    return dict.fromkeys(rows)


def _name(case: Case) -> str:
    return f"{case.found.installation.name} {case.found.installation.version}".strip()


def _time(at: float | None) -> str:
    return "-" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _clock(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%m-%d %H:%M:%S}"
