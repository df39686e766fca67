"""``ssh_config`` (ssh_config(5)): every host that it names, with what ssh would use for it.

The first value found for a keyword holds. ``Include`` is followed, relative to the file's directory; ``Match all`` and
``Match host`` are read, other ``Match`` blocks are passed over with a note. Nothing is executed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from opsnb.base.errors import InventoryError
from opsnb.fleet.inventory.formats import known_hosts
from opsnb.fleet.inventory.formats.exchange import MAX_TEXT, Imported
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.values import DEFAULT_PORT

MAX_INCLUDES = 16  # levels, as in OpenSSH
LINE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*)")
TARGET = re.compile(r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]]+\]|[^:\s]+)(?::(?P<port>\d+))?/?")
WILD = re.compile(r"[*?!]")
THROUGH = re.compile(r"\bssh\b.*?(?:\s-W\s*\[?%h\]?:%p|\b(?:nc|netcat|ncat)\s)")
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass
class Block:
    """Lines that hold under conditions; each condition is a list of patterns of which one must match."""

    conditions: tuple[tuple[str, ...], ...]
    lines: list[tuple[str, str]] = field(default_factory=list)

    def holds(self, name: str) -> bool:
        """Return whether the lines hold for a host as it was named."""
        return all(_matches(patterns, name) for patterns in self.conditions)


class Config:
    """A configuration with everything that it includes.

    Args:
        path: The file.
        imported: Takes the notes.

    Raises:
        InventoryError: If it cannot be read.
    """

    def __init__(self, path: Path, imported: Imported) -> None:
        self._folder, self._imported = path.parent, imported
        self.blocks: list[Block] = []
        self._read(path, (), 0)

    def names(self) -> list[str]:
        """Return the names that stand in ``Host`` lines without wildcards, in order."""
        found: dict[str, None] = {}
        for block in self.blocks:
            for patterns in block.conditions[-1:]:
                found.update(dict.fromkeys(p for p in patterns if not WILD.search(p)))
        return list(found)

    def value(self, name: str, keyword: str) -> str:
        """Return the first value of a keyword for a host; empty when there is none."""
        return self.first(name, keyword)[1]

    def first(self, name: str, *keywords: str) -> tuple[str, str]:
        """Return whichever of some keywords comes first for a host, and its value; empty when none does."""
        for block in self.blocks:
            if block.holds(name):
                for key, value in block.lines:
                    if key in keywords:
                        return key, value
        return "", ""

    def _read(self, path: Path, conditions: tuple[tuple[str, ...], ...], depth: int) -> None:
        block = Block(conditions)
        self.blocks.append(block)
        for number, raw in enumerate(_text(path).splitlines(), 1):
            match = LINE.fullmatch(raw.rstrip())
            if raw.lstrip().startswith("#") or not raw.strip():
                continue
            words = _words(match[2]) if match else []
            if match is None or not words:
                raise InventoryError("wanted a keyword and its value", path=str(path), line=number)
            keyword = match[1].lower()
            if keyword in {"host", "match"}:
                block = Block((*conditions, self._patterns(keyword, words, f"{path} line {number}")))
                self.blocks.append(block)
            elif keyword == "include":
                self._include(words, block.conditions, depth)
                block = Block(block.conditions)  # what follows comes after what was included
                self.blocks.append(block)
            else:
                block.lines.append((keyword, match[2].strip() if keyword == "proxycommand" else words[0]))

    def _patterns(self, keyword: str, words: Sequence[str], where: str) -> tuple[str, ...]:
        if keyword == "host":
            return tuple(words)
        if [word.lower() for word in words] == ["all"]:
            return ("*",)
        if len(words) == 2 and words[0].lower() in {"host", "originalhost"}:  # noqa: PLR2004 - Match host a,b
            return tuple(words[1].split(","))
        self._imported.note(f"{where}: Match {' '.join(words)} is passed over")
        return ("!*",)

    def _include(self, words: Sequence[str], conditions: tuple[tuple[str, ...], ...], depth: int) -> None:
        if depth >= MAX_INCLUDES:
            raise InventoryError(
                f"files include each other more than {MAX_INCLUDES} levels deep", path=str(self._folder)
            )
        for word in words:
            pattern = Path(word).expanduser()
            base = Path(pattern.anchor) if pattern.is_absolute() else self._folder
            for path in sorted(base.glob(str(pattern.relative_to(base) if pattern.is_absolute() else pattern))):
                if path.is_file():
                    self._read(path, conditions, depth + 1)


def read(path: Path, known: Sequence[Path] = ()) -> Imported:
    """Read an ``ssh_config``.

    Args:
        path: The file.
        known: ``known_hosts`` files; by default the one beside it and the system's.

    Raises:
        InventoryError: If it cannot be read; names file and line.
    """
    imported = Imported()
    config = Config(path, imported)
    files = [p for p in known or (path.parent / "known_hosts", Path("/etc/ssh/ssh_known_hosts")) if p.is_file()]
    pinned = known_hosts.joined(known_hosts.parse(_text(file), str(file)) for file in files)
    imported.notes += pinned.notes
    reader = _Reader(config, imported, pinned, path.parent)
    for name in config.names():
        reader.host(name)
    return imported


def write(inventory: Inventory) -> str:
    """Return every host that is reached by ssh as ``ssh_config``; keys in files only, since no secret leaves."""
    lines = ["# Written by: opsnb host export --format ssh-config"]
    for host in inventory.hosts.values():
        if host.transport != "ssh":
            continue
        lines += ["", f"Host {host.name}", f"    HostName {host.address}"]
        lines += [f"    Port {host.port}"] if host.port != DEFAULT_PORT else []
        lines += [f"    User {_quoted(host.user)}"] if host.user else []
        lines += [f"    ProxyJump {host.via}"] if host.via else []
        credential = inventory.credentials.get(host.credential.get("observe", ""))
        if credential and credential.file:
            lines.append(f"    IdentityFile {_quoted(credential.file)}")
    return "\n".join(lines) + "\n"


class _Reader:
    """Turns the hosts of a configuration into hosts of ours."""

    def __init__(self, config: Config, imported: Imported, pinned: known_hosts.KnownHosts, folder: Path) -> None:
        self._config, self._imported, self._pinned, self._folder = config, imported, pinned, folder
        self._done: dict[str, str] = {}
        self._files: dict[str, known_hosts.KnownHosts] = {}

    def host(self, name: str) -> str:
        """Take one host over and return its name with us."""
        if name in self._done:
            return self._done[name]
        ours = self._done[name] = self._imported.name_of(name)
        match = TARGET.fullmatch(name)
        address = self._config.value(name, "hostname").replace("%h", name).replace("%%", "%") or name
        self._fill(ours, name, address, match["user"] or "" if match else "", 0)
        return ours

    def _fill(self, ours: str, name: str, address: str, user: str, port: int) -> None:
        value, fields = self._config.value, self._imported.hosts.setdefault(ours, {})
        port = port or _port(value(name, "port"), name)
        if address != ours:
            fields["address"] = address
        if port != DEFAULT_PORT:
            fields["port"] = port
        if user := user or value(name, "user"):
            fields["user"] = user
        if (via := self._via(name)) and via != ours:  # "Host *" gives the jump host itself one too
            fields["via"] = via
        fields["credential"] = self._credential(name)
        known = self._known(value(name, "userknownhostsfile"))
        if keys := known.keys_of(value(name, "hostkeyalias") or address, port):
            fields["keys"] = keys

    def _known(self, file: str) -> known_hosts.KnownHosts:
        """Return the keys that are known for a host: those of the file that it names itself, else those of all."""
        path = Path(file.replace("%d", "~")).expanduser()
        if not file or not path.is_file() or path.stat().st_size > MAX_TEXT:
            return self._pinned
        if file not in self._files:
            self._files[file] = known_hosts.parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
            self._imported.notes += self._files[file].notes
        return self._files[file]

    def _via(self, name: str) -> str:
        keyword, jump = self._config.first(name, "proxyjump", "proxycommand")  # the first one rules the other out
        command = jump
        if keyword == "proxycommand" and command.lower() != "none":
            words, jump = _words(command), ""
            hops = [w for w in words[1:] if TARGET.fullmatch(w) and not w.startswith("-") and "%" not in w]
            if THROUGH.search(command) and hops:
                jump = hops[0] if " -W" not in command else hops[-1]
            else:
                self._imported.note(f"host '{name}': its ProxyCommand is not taken over: {command[:80]}")
        if not jump or jump.lower() == "none":
            return ""
        before = ""
        for hop in jump.split(","):
            before = self._hop(hop.strip(), before)
        return before

    def _hop(self, hop: str, before: str) -> str:
        """Return our name of one jump host, reached through ``before``."""
        match = TARGET.fullmatch(hop)
        if match is None:
            self._imported.note(f"jump host '{hop}' is not understood and left out")
            return before
        alias = match["host"].strip("[]")
        plain = not match["user"] and not match["port"]
        if plain and not before:
            return self.host(alias)
        label = "-".join(part for part in (match["user"], alias, match["port"]) if part)
        ours = self._imported.name_of(f"{label}-via-{before}" if before else label)
        if ours not in self._imported.hosts:
            address = self._config.value(alias, "hostname").replace("%h", alias) or alias
            self._fill(ours, alias, address, match["user"] or "", int(match["port"] or 0))
            if before:
                self._imported.hosts[ours]["via"] = before
        return ours

    def _credential(self, name: str) -> str:
        file = self._config.value(name, "identityfile").replace("%d", "~").replace("%%", "%")
        if "%" in file:
            self._imported.note(f"host '{name}': IdentityFile {file} holds a token that is not read")
            file = ""
        if not file or file.lower() == "none":
            there = next((key for key in DEFAULT_KEYS if (self._folder / key).is_file()), None)
            if there is None:
                self._imported.credentials["agent"] = {"kind": "agent"}
                return "agent"
            home = self._folder == Path.home() / ".ssh"
            file = f"~/.ssh/{there}" if home else str(self._folder / there)
        if self._config.value(name, "certificatefile"):
            self._imported.note(f"host '{name}': its certificate is not taken over; store it with: opsnb secret set")
        return self._imported.credential_of_file(file)


def _matches(patterns: Sequence[str], name: str) -> bool:
    matched = False
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _port(text: str, name: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isdecimal():
        raise InventoryError(f"host '{name}': port '{text[:40]}' is no number")
    return int(text)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _quoted(text: str) -> str:
    return f'"{text}"' if re.search(r"\s", text) else text


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read(MAX_TEXT + 1)
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", path=str(path)) from None
    if len(text) > MAX_TEXT:
        raise InventoryError(f"has more than {MAX_TEXT} characters", path=str(path))
    return text
