"""An nginx configuration as it lies on a host: every file that it is made of, includes followed as nginx does.

Rules:

* An include is relative to the folder of the main file. One with ``*``, ``?`` or ``[`` may match nothing; any other
  must be there.
* Files are read by one fixed script, a level of includes in each round trip, and once more as root where they
  may not be read.
* A file that includes itself, on whatever way, is refused; so is more than :data:`MAX_FILES`,
  :data:`MAX_BYTES`, :data:`MAX_LEVELS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from posixpath import dirname, join

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.finding import Installation, find
from opsnb.kits.nginx.grammar import MAX_DEPTH, Directive, parse, walk
from opsnb.kits.nginx.scripts import READ
from opsnb.kits.nginx.tokens import WILD, decode, encode, shown
from opsnb.kits.nginx.upstreams import Upstream, VirtualServer, servers_of, upstreams_of

MAX_BYTES = 8 * 1024 * 1024  # of one file
MAX_TOTAL = 24 * 1024 * 1024  # of all files of one round trip; a machine's output has 32 MiB
MAX_FILES = 2_000
MAX_LEVELS = 16  # includes within includes
MAX_DIRECTIVES = 1_000_000  # a file that is included twice counts twice


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How a file lies on the host.

    Args:
        path: Its name in the configuration.
        real: Its name when links are followed: the file that is changed when it is edited.
        mode: Four octal digits.
        owner: ``USER:GROUP``.
        modified: When its content changed last, seconds since 1970.
    """

    path: str
    real: str
    mode: str
    owner: str
    modified: float


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One nginx's configuration.

    Args:
        installation: Whose it is.
        files: Each file's text by its name in the configuration, the main one first.
        stored: How each lies on the host.
        trees: Each file's directives as it is written.
        main: The main file's directives, each ``include`` replaced by what it names.
        includes: Each ``include`` with the files that it named, in nginx's order.
    """

    installation: Installation
    files: Mapping[str, str]
    stored: Mapping[str, Stored]
    trees: Mapping[str, tuple[Directive, ...]]
    main: tuple[Directive, ...]
    includes: tuple[tuple[Directive, tuple[str, ...]], ...] = ()

    def upstreams(self) -> tuple[Upstream, ...]:
        """Return every upstream, in the order of the text."""
        return upstreams_of(self.main)

    def servers(self) -> tuple[VirtualServer, ...]:
        """Return every server, in the order of the text."""
        return servers_of(self.main)

    def upstream(self, name: str) -> Upstream:
        """Return one upstream.

        Raises:
            UsageError: If there is none of this name, or one in ``http`` and one in ``stream``.
        """
        found = [u for u in self.upstreams() if u.name == name]
        if len(found) == 1:
            return found[0]
        host, names = self.installation.host, ", ".join(sorted({u.name for u in self.upstreams()}))
        if found:
            where = " and ".join(u.where for u in found)
            raise UsageError(f"{host}: the upstream '{name}' is there {len(found)} times: {where}")
        raise UsageError(
            f"{host}: no upstream {shown(name, 80)} in {self.installation.conf}", hint=names or "it has none"
        )

    def edited(self, texts: Mapping[str, str]) -> Configuration:
        """Return the configuration as it would be with other texts in some of its files.

        Raises:
            UsageError: If nginx could not read it.
        """
        folder = dirname(self.installation.conf)
        return assembled(self.installation, _Found(
            texts={**self.files, **texts}, stored=dict(self.stored),
            trees={**self.trees, **{path: parse(text, path) for path, text in texts.items()}},
            matched={join(folder, one.arguments[0]): paths for one, paths in self.includes},
        ))  # fmt: skip


@dataclass
class _Found:
    """What was read so far."""

    texts: dict[str, str] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    trees: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    matched: dict[str, tuple[str, ...]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def read(host: str, conf: str = "") -> Configuration:
    """Return the configuration of the nginx on a host, as it lies there now.

    Args:
        host: The host.
        conf: The configuration file, when it is not the running one's or the usual one.

    Raises:
        NotFoundError: If there is no nginx.
        UsageError: If nginx could not read it: names file and line, what was found, what was wanted.
        UnreachableError: If the host cannot be reached.
        OpsnbError: If a file may not be read, or changed meanwhile.
    """
    return read_installation(find(host, conf))


def read_installation(installation: Installation) -> Configuration:
    """Return the configuration of an installation; raises as :func:`read` does."""
    host, main = installation.host, installation.conf
    found = _Found()
    try:
        wanted = [main]
        for _ in range(MAX_LEVELS + 1):
            _take(found, wanted, _ask(host, wanted))
            fresh = [path for path in found.texts if path not in found.trees]
            for path in fresh:
                found.trees[path] = parse(found.texts[path], path)
            named = (pattern for path in fresh for pattern in patterns(found.trees[path], dirname(main)))
            wanted = [pattern for pattern in dict.fromkeys(named) if pattern not in found.matched]
            if not wanted:
                break
        return assembled(installation, found)
    except UsageError as error:
        prefix = "" if error.message.startswith(f"{host}: ") else f"{host}: "
        raise UsageError(f"{prefix}{error.message}", hint=error.hint) from None


def patterns(tree: tuple[Directive, ...], folder: str) -> list[str]:
    """Return what the includes of a file name, absolute."""
    return [join(folder, d.arguments[0]) for d in walk(tree) if _includes(d)]


def assembled(installation: Installation, found: _Found) -> Configuration:
    """Return a configuration of what was read; pure.

    Raises:
        UsageError: If an include names nothing, or the file that it stands in, or includes are too deep.
    """
    main = installation.conf
    if main not in found.trees:
        raise UsageError(f"{main}: found {found.why.get(main, 'no such file')}, wanted the configuration of nginx")
    whole = _Whole(found, dirname(main))
    return Configuration(
        installation=installation, files=found.texts, stored=found.stored, trees=found.trees,
        main=whole.expanded(found.trees[main], (main,), 0), includes=tuple(whole.includes.values()),
    )  # fmt: skip


class _Whole:
    """Replaces includes by what they name."""

    def __init__(self, found: _Found, folder: str) -> None:
        self.found, self.folder, self.left = found, folder, MAX_DIRECTIVES
        self.includes: dict[tuple[str, int], tuple[Directive, tuple[str, ...]]] = {}

    def expanded(self, tree: tuple[Directive, ...], chain: tuple[str, ...], depth: int) -> tuple[Directive, ...]:
        rows: list[Directive] = []
        for one in tree:
            self.left -= 1
            if depth > MAX_DEPTH or self.left < 0:
                what = f"blocks more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else "too many directives"
                raise UsageError(f"{one.where}: found {what}, wanted fewer")
            if _includes(one):
                for path in self.named(one, chain):
                    rows += self.expanded(self.found.trees[path], (*chain, path), depth)
            elif one.block:
                rows.append(replace(one, block=self.expanded(one.block, chain, depth + 1)))
            else:
                rows.append(one)
        return tuple(rows)

    def named(self, one: Directive, chain: tuple[str, ...]) -> tuple[str, ...]:
        pattern = join(self.folder, one.arguments[0])
        if len(chain) > MAX_LEVELS:
            raise UsageError(f"{one.where}: found includes more than {MAX_LEVELS} deep, wanted fewer")
        paths = self.found.matched.get(pattern, ())
        bad = [p for p in (*paths, pattern) if p in self.found.why]
        if bad or not (paths or WILD & set(pattern)):
            why = self.found.why[bad[0]] if bad else "no such file"
            what = shown(bad[0] if bad else pattern, 200)
            raise UsageError(f"{one.where}: found {why}: {what}, wanted a file to include")
        for path in paths:
            if path in chain:
                way = " -> ".join((*chain[chain.index(path) :], path))
                raise UsageError(f"{one.where}: found a file that includes itself: {way}, wanted no cycle")
        self.includes[one.file, one.start] = (one, paths)
        return paths


def _includes(one: Directive) -> bool:
    return one.name == "include" and one.block is None and len(one.arguments) == 1


def _ask(host: str, wanted: Sequence[str]) -> bytes:
    for path in wanted:
        if not path.isprintable():
            raise UsageError(f"the path is {shown(path, 200)}; a name that is read has printable characters")
    return remote.look(host, READ, str(MAX_BYTES), str(MAX_TOTAL), str(MAX_FILES), *wanted).stdout


def _take(found: _Found, wanted: Sequence[str], answer: bytes) -> None:
    """Take an answer of :data:`READ` apart."""
    at = 0
    rows: dict[str, list[str]] = {pattern: [] for pattern in wanted}

    def line() -> str:
        nonlocal at
        end = answer.find(b"\n", at)
        if end < 0:
            raise OpsnbError("the host's answer ended before its end", hint="does its shell print something?")
        text, at = decode(answer[at:end]), end + 1
        return text

    while (head := line()) != "end":
        kind, number, *rest = head.split(" ")
        pattern = wanted[int(number) - 1]
        if kind == "none":
            found.why[pattern] = "no such file"
            continue
        path = line()
        rows[pattern].append(path)
        if kind == "other":
            found.why[path] = " ".join(rest)
            continue
        size, mode, owner, modified = rest
        found.stored[path] = Stored(path=path, real=line(), mode=mode.zfill(4), owner=owner, modified=float(modified))
        found.texts[path] = decode(answer[at : at + int(size)])
        at += int(size)
    for pattern, paths in rows.items():
        found.matched[pattern] = tuple(sorted((p for p in paths if p in found.texts or p in found.why), key=encode))


__all__ = ["WILD", "Configuration", "Stored", "assembled", "patterns", "read", "read_installation"]
