"""The keys of a fleet: one for each host, one to look with, one to change with. Made by ssh-keygen."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opsnb.base.errors import OpsnbError

OBSERVE_KEY, CHANGE_KEY = "key", "key-change"
KEYGEN_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Keys:
    """A fleet's keys.

    Args:
        observe: Public key line of the credential that looks.
        change: Public key line of the credential that changes.
        private: Private host keys by host.
        public: Public host keys by host, without comments.
    """

    observe: str
    change: str
    private: Mapping[str, str]
    public: Mapping[str, str]


def keys(folder: Path, hosts: Sequence[str], *, keygen: str, lock: int) -> Keys:
    """Return the fleet's keys; those that are not in ``folder`` yet are made, each file for its owner only.

    Args:
        folder: The fleet's state directory.
        hosts: The names of the hosts.
        keygen: Path of ssh-keygen.
        lock: The fleet's lock, which is held until every key is made, even if this process is killed.

    Raises:
        OpsnbError: If a key is not made.
    """
    places = [folder / OBSERVE_KEY, folder / CHANGE_KEY, *(host_key(folder, name) for name in hosts)]
    missing = [place for place in places if not _half(place).exists()]
    running = [(place, _make(place, keygen, lock)) for place in missing]
    said = [process.communicate(timeout=KEYGEN_SECONDS)[0] for _, process in running]
    for (place, process), text in zip(running, said, strict=True):
        if process.returncode != 0:
            raise OpsnbError(f"ssh-keygen made no {place}: {text.strip()}")
    return Keys(
        observe=_public(folder / OBSERVE_KEY, "rehearsal"),
        change=_public(folder / CHANGE_KEY, "rehearsal-change"),
        private={name: host_key(folder, name).read_text(encoding="ascii") for name in hosts},
        public={name: _public(host_key(folder, name), "") for name in hosts},
    )


def host_key(folder: Path, name: str) -> Path:
    """Return where a host's private key lies."""
    return folder / f"{name}.hostkey"


def _half(place: Path) -> Path:
    """Return where the public half lies, which ssh-keygen writes last."""
    return place.with_name(place.name + ".pub")


def _make(place: Path, keygen: str, lock: int) -> subprocess.Popen[str]:
    place.unlink(missing_ok=True)  # half of a pair
    argv = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(place)]
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=[lock]
    )


def _public(place: Path, comment: str) -> str:
    kind, key = _half(place).read_text(encoding="ascii").split()[:2]
    return f"{kind} {key} {comment}".strip()
