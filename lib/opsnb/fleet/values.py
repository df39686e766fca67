"""What is asked of a machine and what came of it, as values.

A command is an argv list, never shell text. Its ``str()`` is safe to print: quoted, with hidden words shown as ``***``.
What became of it is a value too: a machine that cannot be reached does not raise, it answers so.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opsnb.base.errors import OpsnbError, UnknownOutcomeError, UnreachableError, UsageError

HIDDEN = "***"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where programs are looked for, on every host
DEFAULT_SECONDS = 60.0  # how long a command may take
MAX_OUTPUT = 32 * 1024 * 1024  # bytes kept of each stream of one command unless it says less; the rest is cut, and said
LEFT_OPEN = "it left a child that holds its output open; what the child writes is not here"  # no trouble, but said


class Hidden(str):
    """A word that is used as it is and shown as ``***``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


class Status(StrEnum):
    """What is known about one command on one host."""

    OK = "ok"  # it ran and ended with exit code 0
    FAILED = "failed"  # it ran and ended otherwise: another exit code, or a signal
    UNREACHABLE = "unreachable"  # it never started: no connection, wrong key, refused login
    UNKNOWN = "unknown"  # it started and nobody saw its end: the line was lost, or its time was over


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program to run on a host.

    Args:
        argv: Program and arguments; each arrives exactly as it stands here. A :class:`Hidden` word is never shown.
        stdin: What it reads.
        seconds: How long it may take, connection and login included, from when it is the host's turn. Past that it is
            ended where that is possible: ``UNKNOWN`` when it was started, ``UNREACHABLE`` when it was not.
        environment: Variables besides ``PATH`` and ``LC_ALL=C``, which are always set.
        sudo: Whether it runs as root through ``sudo`` (``-n``, or with the host's password on stdin).
        most: Bytes that are kept of each of its streams.

    Raises:
        UsageError: If there is no program, its name begins with a dash, a word holds a NUL, or a variable's name is no
            identifier.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    seconds: float = DEFAULT_SECONDS
    environment: Mapping[str, str] = field(default_factory=dict)
    sudo: bool = False
    most: int = MAX_OUTPUT

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise UsageError("a command names a program")
        if self.argv[0].startswith("-"):
            raise UsageError(f"{self.argv[0]!r:.60} is an option, not a program")
        for word in (*self.argv, *self.environment.values()):
            if "\0" in word:
                raise UsageError(f"a word of a command holds a NUL: {word!r:.60}")
            try:
                word.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                raise UsageError(f"a word of a command holds a lone surrogate: {word!r:.60}") from None
        for name in self.environment:
            if not name.isidentifier() or not name.isascii():
                raise UsageError(f"{name!r:.60} is not the name of a variable")

    def __str__(self) -> str:
        return " ".join(HIDDEN if isinstance(word, Hidden) else shlex.quote(word) for word in self.argv)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one command on one host.

    Args:
        host: The host's name in the inventory.
        status: What is known.
        exit: Exit code; 128 + number when a signal ended it; ``None`` unless it is known.
        stdout: What it wrote, at most ``MAX_OUTPUT`` bytes.
        stderr: The same.
        seconds: From being asked for to the answer.
        error: Why there is no exit code, or what was cut, in words; empty when all is well.
    """

    host: str
    status: Status
    exit: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ran and ended with exit code 0."""
        return self.status is Status.OK

    @property
    def text(self) -> str:
        """What it wrote to stdout, as text: UTF-8, else GB18030, else with escapes."""
        return decoded(self.stdout)

    @property
    def errors(self) -> str:
        """What it wrote to stderr, as text."""
        return decoded(self.stderr)

    @property
    def why(self) -> str:
        """One line: why it is not ok; empty when it is."""
        if self.ok:
            return ""
        said = self.errors.strip().splitlines()
        how = self.error or f"exit {self.exit}"
        return f"{how}: {said[-1]}" if said and self.status is Status.FAILED else how

    def require(self) -> Result:
        """Return itself when it is ok.

        Raises:
            UnreachableError: If it never started.
            UnknownOutcomeError: If nobody saw its end.
            OpsnbError: If it ended otherwise than with 0.
        """
        if self.ok:
            return self
        kind = {Status.UNREACHABLE: UnreachableError, Status.UNKNOWN: UnknownOutcomeError}.get(self.status, OpsnbError)
        raise kind(f"{self.host}: {self.why}")

    def as_json(self) -> dict[str, Any]:
        """Return the row that ``opsnb exec --json`` prints."""
        return {
            "host": self.host, "status": self.status.value, "exit": self.exit, "stdout": self.text,
            "stderr": self.errors or self.error, "seconds": round(self.seconds, 3),
        }  # fmt: skip


class Results(Mapping[str, Result]):
    """What became of one command on several hosts; partial failure is a value. Iterates in the order of the hosts."""

    def __init__(self, rows: Mapping[str, Result]) -> None:
        self._rows = dict(rows)

    def __getitem__(self, host: str) -> Result:
        return self._rows[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def having(self, status: Status) -> dict[str, Result]:
        """Return the rows with this status."""
        return {host: row for host, row in self._rows.items() if row.status is status}

    @property
    def ok(self) -> dict[str, Result]:
        """Hosts on which it ended with 0."""
        return self.having(Status.OK)

    @property
    def failed(self) -> dict[str, Result]:
        """Hosts on which it ended otherwise."""
        return self.having(Status.FAILED)

    @property
    def unreachable(self) -> dict[str, Result]:
        """Hosts on which it never started."""
        return self.having(Status.UNREACHABLE)

    @property
    def unknown(self) -> dict[str, Result]:
        """Hosts on which nobody saw its end."""
        return self.having(Status.UNKNOWN)


class MissingFileError(OpsnbError):
    """There is no file of this name on the host."""


def decoded(data: bytes) -> str:
    """Return bytes as text: UTF-8, else GB18030 (old hosts with Chinese locales), else with escapes."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "backslashreplace")
