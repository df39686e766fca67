"""What it means to bring a spare in and to take a back end out, as edits; and when they are refused. Pure.

Rules:

* A spare is a back end that gets no requests: one that no line names, or one whose line says ``down``. A ``backup``
  is none: it serves when every other has failed, and only then. It becomes one of the others by losing that word.
* A new line is put behind the last server that is no backup, with the words on which those servers agree
  (``max_fails``, ``fail_timeout``, ``max_conns``), and its own weight.
* Going out: down first, then, once it is drained, removed or turned into a comment. Under ``ip_hash`` and ``hash`` a
  line that goes moves clients of every server; there it stays, as ``down``.
* Refused: fewer back ends than ``at_least`` afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits.nginx import edit, kinds, shiftrules
from opsnb.kits.nginx.grammar import Directive, parse, walk
from opsnb.kits.nginx.shiftrules import Chosen, Edits, Names
from opsnb.kits.nginx.upstreams import Upstream, UpstreamServer

ACTIONS = ("in", "out")
HOWS = ("remove", "comment", "down")
COMMENT = "out"
AGREED = ("max_conns=", "max_fails=", "fail_timeout=")


@dataclass(frozen=True, kw_only=True)
class Spare:
    """What is wanted.

    Args:
        action: ``in`` or ``out``.
        server: Address and port, or the name of a host of the run.
        upstream: The upstream's name; empty for the only one.
        weight: The weight to come in with; 0 for nginx's default, or the one that its line has.
        how: What becomes of the line of one that goes out: ``remove``, ``comment``, ``down``.
        at_least: Back ends that must be up afterwards, backups not counted.
    """

    action: str
    server: str
    upstream: str = ""
    weight: int = 0
    how: str = "remove"
    at_least: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: Names it.
        """
        if self.action not in ACTIONS or self.how not in HOWS:
            raise UsageError(f"the action is {self.action!r:.40} by {self.how!r:.40}; wanted {' or '.join(ACTIONS)}, "
                             f"and {', '.join(HOWS)}")  # fmt: skip
        if not self.server:
            raise UsageError("no server is named", hint="server=10.0.0.9:8000")
        if self.weight:
            kinds.count(self.weight, "the weight", least=1, most=shiftrules.MAX_WEIGHT)
        kinds.count(self.at_least, "at_least", least=1)

    @property
    def as_shift(self) -> shiftrules.Wanted:
        """The same as what is wanted of a line that is there."""
        action = "drain" if self.action == "out" else "return"
        return shiftrules.Wanted(action=action, server=self.server, upstream=self.upstream)


def the_upstream(upstreams: Sequence[Upstream], spare: Spare, names: Names | None = None) -> Upstream:
    """Return the upstream that is meant.

    Raises:
        NotFoundError: If there is none.
        UsageError: If several could be meant.
    """
    if spare.action == "out":
        return shiftrules.choose(upstreams, spare.as_shift, names).upstream
    named = [one for one in upstreams if not spare.upstream or one.name == spare.upstream]
    having = [one for one in named if shiftrules.matching(one.servers, spare.server, names)]
    found = having if len(having) == 1 else named
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{one.name} ({one.where})" for one in upstreams)
    if not found:
        raise NotFoundError(f"there is no upstream {spare.upstream!r:.80}", hint=f"there is {known or 'none'}")
    raise UsageError(f"{len(found)} upstreams could be meant: {known}", hint=f"upstream={found[0].name}")


def address_of(upstream: Upstream, spare: Spare, names: Names | None = None) -> str:
    """Return a spare's address and port: as given, or a host's address with the port on which the others agree.

    Raises:
        UsageError: If it is no address, or the port is not known.
    """
    lines = shiftrules.matching(upstream.servers, spare.server, names)
    if lines:
        return lines[0].address
    if not names or spare.server not in names:
        return kinds.address(spare.server)
    ports = {shiftrules.endpoint(s.address).rpartition(":")[2] for s in upstream.servers if "unix:" not in s.address}
    if len(ports) != 1:
        several = ", ".join(sorted(ports)) or "none"
        why = f"the port of {spare.server} is not known: the servers of {upstream.name} have {several}"
        raise UsageError(why, hint=f"server={names[spare.server][0]}:PORT")
    return kinds.address(f"{names[spare.server][0]}:{ports.pop()}")


def bring_in(upstream: Upstream, spare: Spare, address: str, files: Mapping[str, str]) -> list[Edits]:
    """Return the edit that lets a spare serve; none when it does already.

    Raises:
        UsageError: If it stands on several lines.
    """
    lines = shiftrules.matching(upstream.servers, address)
    if not lines:
        return [_added(upstream, f"{address}{f' weight={spare.weight}' if spare.weight else ''}", files)]
    if len(lines) > 1:
        raise UsageError(f"{address} stands on {len(lines)} lines of {upstream.name}; which one is not said",
                         hint="let one line with a weight say it")  # fmt: skip
    line, text = lines[0], files[lines[0].file]
    number = numbered(text, line)
    new = text
    for change in ("down", "backup"):
        new = edit.remove_word(new, _at(new, line.file, number), change)
    if spare.weight:
        new = edit.set_weight(new, _at(new, line.file, number), spare.weight)
    shiftrules.proven(text, new, line.file, [number])
    return [{line.file: new}] if new != text else []


def take_out(chosen: Chosen, spare: Spare, files: Mapping[str, str]) -> list[Edits]:
    """Return the edits that take a back end out: down, then what becomes of its line.

    Raises:
        UsageError: If it is refused, with the reason.
    """
    upstream = chosen.upstream
    shiftrules.refuse(chosen, spare.as_shift)
    rest = [s for s in upstream.servers if s not in chosen.lines and not s.down and not s.backup]
    if len(rest) < spare.at_least:
        few = f"{len(rest)} back ends of {upstream.name} would be up without {chosen.address}"
        hint = "bring a spare in first, or lower at_least"
        raise UsageError(f"{few}, and at least {spare.at_least} are wanted", hint=hint)
    if spare.how != "down" and upstream.method in shiftrules.KEEPS_PLACES:
        why = f"without the line of {chosen.address} clients of every server would meet another one"
        hint = "how=down: its line stays, and only its own clients move"
        raise UsageError(f"{upstream.name} chooses by {upstream.method}: {why}", hint=hint)
    edits = shiftrules.steps(chosen, spare.as_shift, files)
    if spare.how == "down":
        return edits
    now = {**files, **(edits[0] if edits else {})}
    return [*edits, _gone(chosen.lines, spare.how, files, now)]


def numbered(text: str, line: UpstreamServer) -> int:
    """Return which directive of a file a server line is."""
    starts = [d.start for d in walk(parse(text, line.file))]
    if line.directive.start not in starts:
        raise UsageError(f"{line.where}: the server line is not as it was read", hint="plan again")
    return starts.index(line.directive.start)


def _at(text: str, path: str, number: int) -> Directive:
    return list(walk(parse(text, path)))[number]


def _gone(
    lines: Sequence[UpstreamServer], how: str, files: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, str]:  # fmt: skip
    """Return the files without the lines; from the last one to the first, so that numbers stay true."""
    found: dict[str, str] = {}
    for line in sorted(lines, key=lambda one: one.directive.start, reverse=True):
        text = found.get(line.file, now[line.file])
        number = numbered(files[line.file], line)
        directive = _at(text, line.file, number)
        new = edit.remove_server(text, directive) if how == "remove" else edit.comment_server(text, directive, COMMENT)
        _one_more(new, text, line.file, number)
        found[line.file] = new
    return found


def _added(upstream: Upstream, words: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return the file with one more server line."""
    serving = [s for s in upstream.servers if not s.backup] or list(upstream.servers)
    agreed = [w for w in _agreed(serving) if not words.partition(" ")[2].startswith(w.partition("=")[0])]
    line = " ".join([words, *agreed])
    if not serving:
        path = upstream.file
        new = edit.add_first_server(files[path], upstream.directive, line)
    else:
        path = serving[-1].file
        new = edit.add_server(files[path], serving[-1].directive, line)
    before, after = (list(walk(parse(text, path))) for text in (files[path], new))
    place = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if _meant(a) != _meant(b)), len(before)
    )
    _one_more(files[path], new, path, place)
    return {path: new}


def _agreed(servers: Sequence[UpstreamServer]) -> list[str]:
    """Return the words of server lines that all of them have."""
    each = [[w for w in s.directive.arguments[1:] if w.startswith(AGREED)] for s in servers]
    return [word for word in each[0] if all(word in words for words in each)] if each else []


def _one_more(fewer: str, more: str, path: str, number: int) -> None:
    """See that a text has exactly one directive more than another one, a server, and nothing else differs."""
    short, long = ([_meant(d) for d in walk(parse(text, path))] for text in (fewer, more))
    if long[:number] + long[number + 1 :] != short or len(long) != len(short) + 1 or long[number][0] != "server":
        raise OpsnbError(f"{path}: the edit would change more than one server line; nothing is planned")


def _meant(directive: Directive) -> tuple[str, tuple[str, ...], str | None]:
    return directive.name, directive.arguments, directive.raw
