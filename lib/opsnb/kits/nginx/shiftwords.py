"""What is said about a change of a back end: of each step, and what a reader should know before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import shiftrules
from opsnb.kits.nginx.iphash import peers_of_upstream, predict
from opsnb.kits.nginx.shiftrules import Chosen, Wanted
from opsnb.kits.nginx.upstreams import Upstream, UpstreamServer

NETWORKS = 2048  # client networks (/24) that are tried, spread over all of them
SPREAD = 2_654_435_761  # Knuth's multiplier, by which consecutive numbers fall far apart
NOTE_MOVED = "under ip_hash {0:.0f} % of all client networks (/24) meet another server afterwards"

NOTE_IP_HASH = (
    "{0} keeps its place under {1}: clients of the other servers stay where they are, its own are spread over them"
)
NOTE_REMAP = "under {1} a new weight moves clients of every server to another one"
NOTE_ELSEWHERE = "{0} is in the upstream {1} too ({2}), which this does not change"
NOTE_SHARED = "the line is a part of the upstream {1} too ({2}): both change"
NOTE_DOWN = "{0} is down, so its new weight counts once it is returned"


def said_of(chosen: Chosen, wanted: Wanted, steps: int) -> list[str]:
    """Return what each step does to a back end, for the reader: ``10.0.0.1:8000 in shop: weight 2``."""
    words = [f"weight {weight}" for weight in wanted.weights] or [""]
    if wanted.action != "weight":
        words[0] = f"{'down' if wanted.action == 'drain' else 'up'}{', ' * bool(words[0])}{words[0]}"
    told = words[-steps:] if steps else ["as it is in the file, which nginx has not loaded"]
    return [f"{chosen.address} in {chosen.upstream.name}: {one}" for one in told]


def notes_of(chosen: Chosen, wanted: Wanted) -> list[str]:
    """Return what a reader should know beside the plan, as sentences."""
    upstream = chosen.upstream
    said = []
    if upstream.method in shiftrules.KEEPS_PLACES:
        note = NOTE_REMAP if wanted.weights else NOTE_IP_HASH
        said.append(note.format(chosen.address, upstream.method))
    starts = {(line.file, line.directive.start) for line in chosen.lines}
    for other in chosen.elsewhere:
        shared = any((s.file, s.directive.start) in starts for s in other.servers)
        said.append((NOTE_SHARED if shared else NOTE_ELSEWHERE).format(chosen.address, other.name, other.where))
    if wanted.action == "weight" and chosen.down:
        said.append(NOTE_DOWN.format(chosen.address))
    return said


def moved(upstream: Upstream, after: Sequence[UpstreamServer]) -> list[str]:
    """Return as a note which share of clients meets another server under ``ip_hash``; none where it cannot be told."""
    try:
        old, new = (peers_of_upstream(replace(upstream, servers=tuple(s))) for s in (upstream.servers, after))
        clients = [_network(number) for number in range(NETWORKS)]
        changed = sum(predict(one, old).server != predict(one, new).server for one in clients)
    except UsageError:  # another method, or a name whose addresses only a host knows
        return []
    return [NOTE_MOVED.format(100 * changed / NETWORKS)]


def _network(number: int) -> str:
    octets = (number * SPREAD) % 2**24
    return f"{octets >> 16}.{octets >> 8 & 255}.{octets & 255}.1"
