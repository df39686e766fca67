r"""How one program is started where only a shell can be asked: on a host behind sshd, and behind ``sudo``.

The user's login shell may be csh or fish, its rc files may print, and words may hold anything. So the shell is given
one fixed line, made of characters that every shell takes literally between single quotes::

    exec /bin/sh -c 'while IFS= read -r w; do case $w in NONCE*) eval ...'

It reads lines from stdin until the one that begins with the run's nonce (a line with a password for ``sudo`` that
``sudo`` did not ask for is passed over), and that line holds the rest: environment, words, a mark on stdout and stderr
after which the program's own output begins, and ``exec``. So no value ever stands in a command line of the host but the
program's own, and a result is free of what rc files and ``sudo`` print.
"""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass

from opsnb.fleet.values import PATH, Command

NEVER_STARTED = 126  # what the shell ends with when its stdin ended before the program's line
KEPT_NOISE = 4096  # bytes before the mark that are kept to explain why there was no start
PRINTABLE = range(0x20, 0x7F)

_READ = (
    "while IFS= read -r opsnb_l; do "
    'case $opsnb_l in {nonce}*) eval "${{opsnb_l#{nonce}}}"; exit 126;; esac; '
    "done; exit 126"
)
_SUDO = 'LC_ALL=C; PATH={path}; export LC_ALL PATH; exec sudo {flags} -- /bin/sh -c "$1"'

KILL = (
    'read -r s < "/proc/$1/stat" || exit 0; s=${s##*) }; set -- "$1" $s; '
    'case $4 in 0|1|"") ;; *) kill -s KILL -- "-$4" ;; esac; kill -s KILL "$1"'
)
"""Ends the process group of a process, and itself: the process is ``$1``; its stat line has state, parent and group."""


@dataclass(frozen=True, kw_only=True)
class Boot:
    """How to start one command.

    Args:
        argv: What runs it: a shell, or ``sudo`` and a shell.
        line: The same as one line for a login shell.
        head: What goes to stdin before the command's own input.
        nonce: What marks the line on stdin and the begin of output.
        prompt: What ``sudo`` prints when it asks for a password; empty where it asks for nothing.
    """

    argv: tuple[str, ...]
    line: str
    head: bytes
    nonce: str
    prompt: bytes = b""


def boot(command: Command, *, sudo: bool, password: str | None = None) -> Boot:
    """Return how to start a command.

    Args:
        command: The command.
        sudo: Whether through ``sudo``.
        password: What ``sudo`` asks for; ``None`` where it asks for nothing.
    """
    nonce = f"opsnb{secrets.token_hex(16)}"
    read = _READ.format(nonce=nonce)
    argv: tuple[str, ...] = ("/bin/sh", "-c", read)
    head = nonce.encode() + _start(command, nonce) + b"\n"
    prompt = ""
    if sudo:
        flags = "-n" if password is None else '-k -S -p "$2"'
        argv = ("/bin/sh", "-c", _SUDO.format(path=PATH, flags=flags), "opsnb", read)
        if password is not None:
            prompt = f"sudo password {secrets.token_hex(8)}: "
            argv += (prompt,)
            head = password.encode() + b"\n" + head
    line = "exec " + " ".join(f"'{word}'" for word in argv)
    return Boot(argv=argv, line=line, head=head, nonce=nonce, prompt=prompt.encode())


def _start(command: Command, nonce: str) -> bytes:
    """Return the shell text, one line, that sets everything up and becomes the program."""
    parts = [b"PATH=" + shlex.quote(PATH).encode(), b"LC_ALL=C", b"export PATH LC_ALL"]
    for name, value in command.environment.items():
        parts += _assigned(name, value)
        parts.append(b"export " + name.encode())
    parts.append(b"set --")
    for word in command.argv:
        parts += _assigned("opsnb_w", word)
        parts.append(b'set -- "$@" "$opsnb_w"')
    parts.append(f"unset opsnb_l opsnb_w; printf '%s\\n' {nonce}; printf '%s %s\\n' {nonce} $$ >&2".encode())
    parts.append(b'exec "$@"')
    return b"; ".join(parts)


def _assigned(name: str, word: str) -> list[bytes]:
    """Return shell text that assigns a word: quoted when it is printable ASCII, else by its bytes in octal."""
    data = word.encode("utf-8", "surrogateescape")
    if all(byte in PRINTABLE for byte in data):
        return [f"{name}={shlex.quote(word)}".encode()]
    octal = "".join(f"\\{byte:03o}" for byte in data)
    return [f"{name}=$(printf '{octal}x')".encode(), f"{name}=${{{name}%x}}".encode()]


class Unveil:
    """Drops what comes on a stream before the mark, whichever pieces it comes in.

    Args:
        nonce: The mark; the rest of its line belongs to it.
    """

    def __init__(self, nonce: str) -> None:
        self._mark = nonce.encode()
        self._before = bytearray()
        self.started = False
        self.rest_of_mark = ""  # what stood on the mark's line: the process's number, on stderr

    @property
    def noise(self) -> bytes:
        """The end of what came before the mark, or all that came when there was none."""
        return bytes(self._before[-KEPT_NOISE:])

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of it is the program's."""
        if self.started:
            return data
        self._before += data
        at = self._before.find(self._mark)
        end = self._before.find(b"\n", at) if at >= 0 else -1
        if end < 0:
            if at < 0 and len(self._before) > 2 * KEPT_NOISE:  # a mark may still begin in the last bytes
                del self._before[:-KEPT_NOISE]
            return b""
        self.started = True
        self.rest_of_mark = self._before[at + len(self._mark) : end].decode("ascii", "replace").strip()
        rest = bytes(self._before[end + 1 :])
        del self._before[at:]
        return rest
