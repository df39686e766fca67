"""Ask a host with one script in one round trip, and take its answer apart: named texts, or why there are none.

The answer is ``@NUMBER name`` lines with a text behind each; see :mod:`opsnb.kits.linux.scripts`.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from opsnb.base.errors import OpsnbError
from opsnb.fleet import Machine, Status
from opsnb.fleet.values import decoded

MAX_ANSWER = 96 * 1024 * 1024  # bytes of one answer, unpacked; a host cannot fill this machine's memory
GZIP = 31  # zlib's window bits for a gzip stream
WAIT_SECONDS = 60.0  # what a slow host may take besides the interval of its samples


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a host said to a script.

    Args:
        texts: Name and text, in order; a name may come twice.
        whole: Whether the answer came to its end.
        began: Seconds since the epoch here, just before the host was asked.
        ended: The same, when its answer had arrived.
        received: Bytes that arrived.
        why: Why it is not whole.
    """

    texts: tuple[tuple[str, str], ...]
    whole: bool
    began: float
    ended: float
    received: int
    why: str = ""

    @property
    def by_name(self) -> dict[str, str]:
        """The texts; of a name that came twice, the last."""
        return dict(self.texts)

    def starting(self, word: str) -> list[str]:
        """Return what stands behind ``word`` in names: ``cut`` gives ``12 processes``."""
        return [name.removeprefix(word + " ") for name, _ in self.texts if name.startswith(word + " ")]


def ask(machine: Machine, script: str, *values: str, seconds: float = WAIT_SECONDS) -> Answer:
    """Run a constant script on a host with values as its arguments.

    Raises:
        UnreachableError: If the host cannot be reached.
        UnknownOutcomeError: If it answered nothing in time.
        OpsnbError: If it answered nothing of the script's form.
    """
    number = secrets.token_hex(8)
    began = time.time()
    result = machine.run("/bin/sh", "-c", script, "opsnb", number, *values, seconds=seconds)
    ended = time.time()
    if result.status is Status.UNREACHABLE:
        result.require()
    texts = sections(result.stdout, number)
    whole = bool(texts) and texts[-1][0] == "end"
    if not texts:
        result.require()
        raise OpsnbError(f"{machine.name}: /bin/sh ran and said nothing that was asked for: {result.text[:80]!r}")
    why = "" if whole else result.why or "the answer was cut short"
    return Answer(texts=trusted(texts), whole=whole, began=began, ended=ended, received=len(result.stdout), why=why)


def sections(data: bytes, number: str) -> list[tuple[str, str]]:
    """Return the named texts of an answer; what a login shell printed before the first is passed over."""
    mark = f"@{number} ".encode()
    data = b"\n" + unpacked(data, mark)
    found = []
    for piece in data.split(b"\n" + mark)[1:]:
        name, _, text = piece.partition(b"\n")
        found.append((decoded(name), decoded(text)))
    return found


def trusted(texts: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the texts that are known to be whole: of a cut answer all but the last, of which whole lines are kept.

    Lines are kept of ``filesystems`` only: one that hangs there must not hide those that answered.
    """
    if not texts or texts[-1][0] == "end":
        return tuple(texts)
    *kept, (name, text) = texts
    if name == "filesystems":
        kept.append((name, text[: text.rfind("\n") + 1]))
    return tuple(kept)


def unpacked(data: bytes, mark: bytes) -> bytes:
    """Return an answer with its gzip stream unpacked, as far as it arrived; at most ``MAX_ANSWER`` bytes."""
    head, line, rest = data.partition(mark + b"gzip\n")
    if not line:
        return data[:MAX_ANSWER]
    stream = zlib.decompressobj(GZIP)
    try:
        text = stream.decompress(rest, MAX_ANSWER)
    except zlib.error:
        text = b""
    return head + text + stream.unused_data
