"""What a drain, a weight shift and a return do to an upstream, and when they are refused. Pure: values in, texts out.

Rules:

* A back end is drained by the word ``down`` where it stands: its line, its weight and, under ``ip_hash`` and ``hash``,
  every other client's server stay as they are.
* Refused: draining the last server that is up; leaving only ``backup`` servers, which then serve although nobody
  decided that they should; a weight of a server that stands on several lines; a name that is not there.
* After an edit the whole file is read again: exactly the words of that one server line differ, or nothing is planned.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits.nginx import edit
from opsnb.kits.nginx.grammar import Directive, parse, walk
from opsnb.kits.nginx.iphash import endpoint
from opsnb.kits.nginx.upstreams import Upstream, UpstreamServer

ACTIONS = ("drain", "weight", "return")
KEEPS_PLACES = frozenset({"ip_hash", "hash"})  # a client's server depends on every line, so that down is not removal
MAX_WEIGHT = 65_535
MAX_STEPS = 20

Names = Mapping[str, Sequence[str]]  # hosts of the inventory to their addresses
Edits = Mapping[str, str]  # files to their new texts


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is wanted of one back end.

    Args:
        action: ``drain``, ``weight`` or ``return``.
        server: Its address as the configuration has it, or the name of a host of the run that has this address.
        upstream: The upstream's name; empty for the only one that has the server.
        weight: Its new weight, for ``weight`` and ``return``; 0 leaves it.
        steps: Weights on the way there, each a change of its own.
    """

    action: str
    server: str
    upstream: str = ""
    weight: int = 0
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: Names it.
        """
        if self.action not in ACTIONS:
            raise UsageError(f"the action is {self.action!r:.80}; wanted one of {', '.join(ACTIONS)}")
        if not self.server:
            raise UsageError("no server is named", hint="server=10.0.0.1:8000, as the upstream has it")
        for weight in self.weights:
            if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= MAX_WEIGHT:
                raise UsageError(f"a weight is {weight!r:.80}; it is a whole number from 1 to {MAX_WEIGHT}",
                                 hint="no requests at all: action=drain")  # fmt: skip
        if len(self.steps) > MAX_STEPS:
            raise UsageError(f"{len(self.steps)} steps are given; at most {MAX_STEPS} are taken")
        if self.action == "drain" and self.weights:
            raise UsageError("a drain takes no weight: the line keeps the one that it has", hint="action=weight")
        if self.action == "weight" and not self.weights:
            raise UsageError("no weight is given", hint="weight=3")

    @property
    def weights(self) -> tuple[int, ...]:
        """Every weight, in the order in which it is set."""
        return (*self.steps, *([self.weight] if self.weight else []))


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The back end that is meant, in one configuration.

    Args:
        upstream: Its upstream.
        lines: Its server lines there; almost always one.
        elsewhere: Other upstreams that have it too.
    """

    upstream: Upstream
    lines: tuple[UpstreamServer, ...]
    elsewhere: tuple[Upstream, ...] = ()

    @property
    def address(self) -> str:
        """Its address as the configuration has it."""
        return self.lines[0].address

    @property
    def down(self) -> bool:
        """Whether it gets nothing."""
        return all(line.down for line in self.lines)


def choose(upstreams: Iterable[Upstream], wanted: Wanted, names: Names | None = None) -> Chosen:
    """Return the back end that is meant.

    Args:
        upstreams: Of one configuration.
        wanted: What is wanted.
        names: Hosts of the run to their addresses, by which a server may be called too.

    Raises:
        NotFoundError: If there is none; the hint has the nearest name.
        UsageError: If several could be meant.
    """
    everything = tuple(upstreams)
    named = [one for one in everything if not wanted.upstream or one.name == wanted.upstream]
    if not named:
        raise NotFoundError(f"there is no upstream {wanted.upstream!r:.80}",
                            hint=_nearest(wanted.upstream, [one.name for one in everything]))  # fmt: skip
    _one_of_a_name(named, wanted.upstream)
    found = [(one, matching(one.servers, wanted.server, names)) for one in named]
    having = [(one, lines) for one, lines in found if lines]
    if not having:
        where = f"the upstream {wanted.upstream} has" if wanted.upstream else "no upstream has"
        no = " no" if wanted.upstream else " a"
        addresses = [server.address for one in named for server in one.servers]
        raise NotFoundError(f"{where}{no} server {wanted.server!r:.120}", hint=_nearest(wanted.server, addresses))
    if len(having) > 1:
        where = ", ".join(f"{one.name} ({one.where})" for one, _ in having)
        raise UsageError(f"{len(having)} upstreams have {wanted.server}: {where}", hint=f"upstream={having[0][0].name}")
    upstream, lines = having[0]
    if len({line.address for line in lines}) > 1:
        several = ", ".join(line.address for line in lines)
        raise UsageError(f"{wanted.server} is several servers of {upstream.name}: {several}", hint="name one of them")
    others = [one for one in everything if one is not upstream and matching(one.servers, lines[0].address)]
    return Chosen(upstream=upstream, lines=lines, elsewhere=tuple(others))


def matching(
    servers: Sequence[UpstreamServer], name: str, names: Names | None = None
) -> tuple[UpstreamServer, ...]:  # fmt: skip
    """Return the server lines that a name means: an address as it stands, without ``:80``, or a host's addresses."""
    exact = tuple(s for s in servers if endpoint(s.address) == endpoint(name))
    if exact or not names or name not in names:
        return exact
    return tuple(s for s in servers if host_of(s.address) in {*names[name], name})


def host_of(address: str) -> str:
    """Return an address without its port and brackets."""
    return endpoint(address).rpartition(":")[0].strip("[]")


def refuse(chosen: Chosen, wanted: Wanted) -> None:
    """Refuse what would leave the tier without what it needs.

    Raises:
        UsageError: With the reason and the next move.
    """
    upstream, name = chosen.upstream, chosen.upstream.name
    if wanted.action == "weight" and len(chosen.lines) > 1:
        lines = ", ".join(str(line.line) for line in chosen.lines)
        several = f"{chosen.address} stands on {len(chosen.lines)} lines of {name} ({lines}); which one is not said"
        raise UsageError(several, hint="let one line with a weight say it")
    if wanted.action != "drain" or chosen.down:
        return
    rest = [s for s in upstream.servers if s not in chosen.lines and not s.down]
    if not rest:
        last = f"{chosen.address} is the last back end of {name} that is up ({chosen.lines[0].where})"
        hint = "return another one first: action=return"
        raise UsageError(f"{last}; nginx would answer 502 to everybody", hint=hint)
    if all(s.backup for s in rest) and not all(line.backup for line in chosen.lines):
        spare = ", ".join(s.address for s in rest)
        why = "they stand in when everything else has failed, and nothing would stand in for them"
        hint = "return another back end first, or bring a spare in: NGX-013"
        raise UsageError(f"only backup servers of {name} would be left ({spare}): {why}", hint=hint)


def steps(chosen: Chosen, wanted: Wanted, files: Mapping[str, str]) -> list[Edits]:
    """Return the new texts, step by step; a step that changes nothing is left out.

    Args:
        chosen: The back end.
        wanted: What is wanted.
        files: The texts of the configuration's files.

    Raises:
        UsageError: If it is refused.
    """
    refuse(chosen, wanted)
    weights: tuple[int, ...] = wanted.weights or (0,)
    found: list[Edits] = []
    now, places = dict(files), _places(chosen, files)
    for weight in weights:
        after = _edited(places, wanted.action, weight, now)
        if changed := {path: text for path, text in after.items() if text != now[path]}:
            found.append(changed)
        now = after
    return found


def _edited(places: Mapping[str, Sequence[int]], action: str, weight: int, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files with one step made."""
    found = dict(files)
    for path, numbers in places.items():
        for number in numbers:
            if weight:
                found[path] = edit.set_weight(found[path], _numbered(found[path], path, number), weight)
            if action == "drain":
                found[path] = edit.set_down(found[path], _numbered(found[path], path, number))
            elif action == "return":
                found[path] = edit.remove_down(found[path], _numbered(found[path], path, number))
        proven(files[path], found[path], path, numbers)
    return found


def _places(chosen: Chosen, files: Mapping[str, str]) -> dict[str, list[int]]:
    """Return for each file which of its directives are the back end's lines: edits of words keep that number."""
    places: dict[str, list[int]] = {}
    for line in chosen.lines:
        starts = [d.start for d in walk(parse(files[line.file], line.file))]
        if line.directive.start not in starts:
            raise UsageError(f"{line.where}: the server line is not as it was read", hint="plan again")
        places.setdefault(line.file, []).append(starts.index(line.directive.start))
    return places


def _numbered(text: str, path: str, number: int) -> Directive:
    return list(walk(parse(text, path)))[number]


def proven(old: str, new: str, path: str, numbers: Sequence[int]) -> None:
    """See that nothing but the words of some directives differs in what nginx reads.

    Raises:
        OpsnbError: If more differs; then nothing is planned.
    """
    before, now = ([(d.name, d.arguments, d.raw) for d in walk(parse(text, path))] for text in (old, new))
    differ = {n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b}
    if len(before) != len(now) or not differ <= set(numbers):
        raise OpsnbError(f"{path}: the edit would change more than this server line; nothing is planned")


def _one_of_a_name(found: Sequence[Upstream], name: str) -> None:
    if name and len(found) > 1:
        where = " and ".join(one.where for one in found)
        raise UsageError(f"the upstream {name} is there {len(found)} times: {where}; which one is not said",
                         hint="give them names of their own, or name the main file: conf=")  # fmt: skip


def _nearest(name: str, known: Sequence[str]) -> str:
    unique = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, unique, n=1, cutoff=0.3)
    return f"did you mean {near[0]}?" if near else (f"there is {', '.join(unique[:20])}" if unique else "there is none")


__all__ = [
    "ACTIONS", "Chosen", "Edits", "Names", "Wanted", "choose", "endpoint", "host_of", "matching", "refuse",
    "steps",
]  # fmt: skip
