"""A service's files, as values: what the manifest says, where a variable's value comes from, what may be named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opsnb.base.errors import UsageError
from opsnb.kits.files.states import plain

MANIFEST = "config.yaml"
VARIABLES = "variables.yaml"
COMMON = "common"  # the folder of what all environments share
NAME = re.compile(r"\w[\w.-]{0,99}")  # of a service, of an environment: one folder
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
MAX_FILES = 100  # of one service: so many are replaced together (kits/swap)
MAX_PATH = 1024  # characters
STAGED = "%s"  # in a validation command: the staged file
PLAIN_VALUE = re.compile(r"[\w .,:/@+=%*~()\[\]^-]*")
"""What a variable may hold where the manifest gives it no pattern: nothing that ends a text in quotes, a statement, a
line or a block in any configuration language that we know of."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a service.

    Args:
        path: Where it lies on its hosts.
        source: Where it lies below ``<environment>/`` or ``common/``.
        hosts: A selector: which of a run's hosts have it; empty: all.
        mode: Four octal digits; empty: as it is there, 0644 for a new one (0600 for a sensitive one).
        owner: ``USER:GROUP``; empty: as it is there.
        template: Whether ``${name}`` in it is filled in.
        sensitive: Whether its contents are shown as keyed hashes only.
        validate: Argv: with ``%s``, run on the staged file before anything is replaced; without, run when all files are
            in place and nothing is activated yet. It must end with 0.
        activate: Argv that makes the service use the file, once a host.
        line: The line of its entry in the manifest.
    """

    path: str
    source: str = ""
    hosts: str = ""
    mode: str = ""
    owner: str = ""
    template: bool = False
    sensitive: bool = False
    validate: tuple[str, ...] = ()
    activate: tuple[str, ...] = ()
    line: int = 0

    @property
    def checks_staged(self) -> bool:
        """Whether its validation command looks at the staged file."""
        return any(STAGED in word for word in self.validate)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a variable may hold.

    Args:
        pattern: A regular expression that the whole value matches; empty: ``PLAIN_VALUE``.
        choices: The values that it may have; empty: any.
    """

    pattern: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``configs/<service>/config.yaml`` says.

    Args:
        service: The service.
        files: Its files, in order.
        rules: What its variables may hold.
        path: The manifest, as the reader knows it.
    """

    service: str
    files: tuple[File, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)
    path: str = ""

    def file(self, path: str) -> File | None:
        """Return the entry of a file by where it lies on hosts."""
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A variable's value and where it comes from."""

    value: str
    origin: str


def folder_name(value: str, what: str) -> str:
    """Return a service's or an environment's name, which is the name of one folder.

    Raises:
        UsageError: If it is none.
    """
    if not NAME.fullmatch(value):
        raise UsageError(
            f"{what} {value!r:.80} is not a name",
            hint="letters, digits, '_', '.' and '-', and no dot in front: it is a folder below configs/",
        )
    return value


def host_path(path: str) -> str:
    """Return a file's path on a host: absolute, plain, one printable line.

    Raises:
        UsageError: If it is not.
    """
    plain(path)
    if not path.isprintable() or len(path) > MAX_PATH:
        raise UsageError(f"the path {path!r:.200} is not printable text of at most {MAX_PATH} characters")
    return path
