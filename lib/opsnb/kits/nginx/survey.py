"""The nginx of every host of a run: what it is, what it says and where, how it is, and who differs from the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from opsnb import fleet
from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits.linux.triage import became
from opsnb.kits.nginx.grammar import Directive, walk
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.running import changed_since
from opsnb.kits.nginx.surveylook import DEFAULT_MINUTES, look
from opsnb.kits.nginx.surveyrules import Case, findings
from opsnb.kits.nginx.surveywords import Finding
from opsnb.runbook.show import visible

AT_ONCE = 50  # hosts that are read at a time
MAX_SAID = 200  # characters of a directive that are shown
MAX_DIFFERENT = 20  # directives that are told of one file
SECRET = re.compile(
    r"secret|passw|authorization|api_?-?key|(?:^|[_-])token$|(?:^|[_-])auth$|secure_link_md5", re.IGNORECASE
)
LOGIN = re.compile(r"(?<=://)[^/@\s]+:[^/@\s]+(?=@)")  # of a URL
MASK = "***"
SELF, NAME = "{host}", "{name}"  # stand where a host's configuration has the host's own address, its own name


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The hosts of one run.

    Args:
        cases: Host to what was read and seen there.
        absent: Hosts without nginx.
        unread: Host to what became of it, and why; a configuration that nginx could not read is among them.
        addresses: Host to its own address, by which hosts may differ.
        roles: Host to its role in the inventory: hosts of one role are compared.
    """

    cases: dict[str, Case]
    absent: tuple[str, ...] = ()
    unread: dict[str, tuple[str, str]]
    addresses: dict[str, str]
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> list[str]:
        """Every host that was asked."""
        return [*self.cases, *self.absent, *self.unread]

    def alike(self, host: str, text: str) -> str:
        """Return text of a host with its own address and name as words that are the same for every host."""
        if address := self.addresses.get(host, ""):
            text = text.replace(address, SELF)
        return re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", NAME, text)

    def findings(self) -> list[tuple[tuple[str, ...], Finding]]:
        """Return what stands out, worst first; the same on several hosts stands once, with all of them."""
        found: dict[Finding, list[str]] = {}
        for host, case in self.cases.items():
            for one in findings(case):
                found.setdefault(one, []).append(host)
        order = ("critical", "warning", "notice")
        rows = sorted(found.items(), key=lambda row: (order.index(row[0].severity), row[0].what))
        return [(tuple(hosts), one) for one, hosts in rows]


Progress = Callable[[int, int, str], None]


def survey(
    hosts: Sequence[str], conf: str = "", *, minutes: int = DEFAULT_MINUTES, progress: Progress | None = None
) -> Survey:
    """Read the nginx of every host, many at once; a host's trouble is a value and stops no other.

    Args:
        hosts: The hosts.
        conf: The configuration file, when it is not the running one's or the usual one.
        minutes: How far back upstream errors count.
        progress: Told after each host: how many are done, of how many, which.
    """
    found: dict[str, Case | OpsnbError] = {}
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(hosts)))) as pool:
        waiting = {pool.submit(_case, host, conf, minutes): host for host in hosts}
        for number, done in enumerate(as_completed(waiting), 1):
            found[waiting[done]] = done.result()
            if progress:
                progress(number, len(hosts), waiting[done])
    rows = {host: fleet.machine(host).row for host in hosts}
    errors = {host: error for host in hosts if isinstance(error := found[host], OpsnbError)}
    return Survey(
        cases={host: case for host in hosts if isinstance(case := found[host], Case)},
        absent=tuple(host for host, error in errors.items() if isinstance(error, NotFoundError)),
        unread={
            host: (_became(error), visible(str(error).splitlines()[0].removeprefix(f"{host}: ")))
            for host, error in errors.items()
            if not isinstance(error, NotFoundError)
        },
        addresses={host: str(rows[host].get("address", "")) for host in hosts},
        roles={host: str(dict(rows[host].get("labels") or {}).get("role", "")) for host in hosts},
    )


def suits(seen: Survey) -> tuple[bool, str]:
    """Return whether there is an nginx on any host, or may be, and on how many."""
    found, asked = len(seen.cases), len(seen.hosts)
    why = f"nginx on {found} of {asked} host(s)"
    if len(seen.absent) == asked:
        return False, f"{why}; " + ", ".join(seen.absent) + ": none runs, and none is in the usual places"
    return True, why


def without_workers(seen: Survey) -> list[str]:
    """Return the hosts on which a master runs and no worker of it is seen."""
    installations = {host: case.found.installation for host, case in seen.cases.items()}
    return [host for host, i in installations.items() if i.pid is not None and not i.workers]


def differences(seen: Survey) -> list[dict[str, str]]:
    """Return where hosts differ: ``what``, ``hosts``, ``says``, ``others``, ``other hosts``; none on a single host.

    A host's own address and name count as the same words everywhere. Of a file, directives are compared and not
    comments. Hosts of one role are compared; where nginx runs on several of them, those where it does not run are
    left out: that is a finding of its own.
    """
    rows: list[dict[str, str]] = []
    for role in dict.fromkeys(seen.roles.get(host, "") for host in seen.cases):
        alike = {host: case for host, case in seen.cases.items() if seen.roles.get(host, "") == role}
        running = {host: case for host, case in alike.items() if case.found.installation.pid is not None}
        rows += _among(seen, running if len(running) > 1 else alike)
    return rows


def said(one: Directive) -> str:
    """Return a directive on one line; what looks like a secret is masked."""
    arguments = [LOGIN.sub(MASK, word) for word in one.arguments]
    if SECRET.search(one.name):
        arguments = [MASK]
    elif len(arguments) > 1 and SECRET.search(arguments[0]):
        arguments = [arguments[0], MASK]
    text = visible(" ".join(word or '""' for word in (one.name, *arguments)))
    return f"{text[:MAX_SAID]}..." if len(text) > MAX_SAID else text


def matching(case: Case, words: str) -> list[Directive]:
    """Return the directives of a name, or with an argument in which the words occur, in the order of the text."""
    low = words.lower()
    return [d for d in walk(case.found.main) if d.name.lower() == low or any(low in a.lower() for a in d.arguments)]


def _case(host: str, conf: str, minutes: int) -> Case | OpsnbError:
    try:
        found = read(host, conf)
        return Case(found=found, shown=look(found, minutes), newer=_newer(found))
    except OpsnbError as error:
        return error


def _newer(found: Configuration) -> tuple[str, ...]:
    """Return the files that changed after the running configuration was loaded, as far as that can be told."""
    installation = found.installation
    if installation.pid is None or not installation.generation:
        return ()
    paths = {stored.real: stored.path for stored in found.stored.values()}
    late = changed_since(installation.host, installation.pid, list(paths))
    return tuple(sorted(paths[path] for path in late)) if len(late) < len(paths) else _by_time(found)


def _by_time(found: Configuration) -> tuple[str, ...]:
    """Return the same from whole seconds, where all is said to have changed: that stands for "cannot be told" too."""
    loaded = found.installation.loaded
    return tuple(sorted(s.path for s in found.stored.values() if loaded and s.modified > loaded + 1))


def _became(error: OpsnbError) -> str:
    return "refused" if isinstance(error, UsageError) else became(error)


def _among(seen: Survey, cases: dict[str, Case]) -> list[dict[str, str]]:
    """Return where hosts of one role differ."""
    rows: list[dict[str, str]] = []
    for name, values in _facts(cases).items():
        rows += _odd(name, values)
    for path in sorted({path for case in cases.values() for path in case.found.files}):
        rows += _files(seen, cases, path)
    return rows


def _facts(cases: dict[str, Case]) -> dict[str, dict[str, str]]:
    """Return what is compared between hosts: name to host to value."""
    facts: dict[str, dict[str, str]] = {}
    for host, case in cases.items():
        installation = case.found.installation
        rows: dict[str, Any] = {
            "version": f"{installation.name} {installation.version}",
            "running": "yes" if installation.pid else "no",
            "modules": " ".join(installation.modules),
            "workers": case.workers,
            "user": installation.user,
            "main file": installation.conf,
            "open files a worker": case.shown.open_files or "-",
            "files": " ".join(sorted(case.found.files)),
        }
        for name, value in rows.items():
            facts.setdefault(name, {})[host] = str(value)
    return facts


def _odd(name: str, values: dict[str, str]) -> list[dict[str, str]]:
    """Return the hosts whose value is not that of the most; for lists of words only what is more or less is told."""
    by_value: dict[str, list[str]] = {}
    for host, value in values.items():
        by_value.setdefault(value, []).append(host)
    if len(by_value) < 2:  # noqa: PLR2004  (all agree)
        return []
    usual = max(by_value, key=lambda value: len(by_value[value]))
    rows = []
    for value, hosts in by_value.items():
        if value != usual:
            mine, theirs = _only(value, usual)
            rows.append(
                {
                    "what": name,
                    "hosts": ", ".join(hosts),
                    "says": visible(mine) or "-",
                    "others": visible(theirs) or "-",
                    "other hosts": ", ".join(by_value[usual]),
                }
            )
    return rows


def _only(value: str, usual: str) -> tuple[str, str]:
    if " " not in value + usual:
        return value, usual
    mine, theirs = value.split(" "), usual.split(" ")
    return " ".join(w for w in mine if w not in theirs), " ".join(w for w in theirs if w not in mine)


def _files(seen: Survey, cases: dict[str, Case], path: str) -> list[dict[str, str]]:
    """Return the directives of one file by which hosts differ from the most."""
    lines: dict[str, list[tuple[str, int]]] = {}
    for host, case in cases.items():
        tree = case.found.trees.get(path)
        if tree is not None:
            lines[host] = [(seen.alike(host, said(d)), d.line) for d in walk(tree)]
    by_text: dict[tuple[str, ...], list[str]] = {}
    for host, rows in lines.items():
        by_text.setdefault(tuple(text for text, _ in rows), []).append(host)
    if len(by_text) < 2:  # noqa: PLR2004  (all agree, or one has it)
        return []
    usual = max(by_text, key=lambda text: len(by_text[text]))
    found: list[dict[str, str]] = []
    for text, hosts in by_text.items():
        if text != usual:
            found += _lines(path, lines[hosts[0]], lines[by_text[usual][0]], hosts, by_text[usual])
    return found


def _lines(
    path: str, mine: list[tuple[str, int]], theirs: list[tuple[str, int]], hosts: list[str], others: list[str]
) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    matcher = SequenceMatcher(None, [t for t, _ in mine], [t for t, _ in theirs], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal" and len(rows) < MAX_DIFFERENT:
            line = mine[min(a, len(mine) - 1)][1] if mine else 1
            rows.append(
                {
                    "what": f"{path}:{line}",
                    "hosts": ", ".join(hosts),
                    "says": "; ".join(t for t, _ in mine[a:b]) or "-",
                    "others": "; ".join(t for t, _ in theirs[c:d]) or "-",
                    "other hosts": ", ".join(others),
                }
            )
    return rows
