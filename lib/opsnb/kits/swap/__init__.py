"""Files of a host that are replaced together: checked, put in place, validated, activated, proven, or put back.

Rules:

* A state is that of :mod:`opsnb.kits.files`: ``{"content", "mode"}``, with ``"owner"`` where asked for, or ``None``.
* Every file is compared with what was planned before the first is replaced.
* ``check`` looks at each new file before anything is replaced, ``validate`` at all of them in their places;
  ``activate`` makes the service take them, ``prove`` finds out whether it did. When one of these fails, every file is
  put back, byte for byte with owner, mode and times; and after ``activate`` had begun, it is run once more, so that the
  service has the old files again.
* All of it is one script and one round trip. It goes on to its end when the line is lost: then nobody knows which end
  that was, and what is on the host tells.
* Only when the host itself dies in the middle files can be new and not activated. What was replaced lies beside them
  then, as ``.NAME.opsnb-old``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.files.states import MAX_BYTES, State, checked, plain, text_of
from opsnb.kits.files.there import NO_FILE, was_words
from opsnb.kits.swap.script import READ, REPLACE

__all__ = ["MAX_FILES", "read", "replace"]

MAX_FILES = 100  # that are replaced together
MAX_TOTAL = 4 * 1024 * 1024  # bytes of all of them
MARGIN_SECONDS = 60.0  # for connecting and for the files, besides the programs

Files = Mapping[str, State | None]


def read(host: str, paths: Sequence[str], *, owned: bool = False) -> dict[str, State | None]:
    """Return the state of several files of a host, in one round trip; ``None`` where there is no file.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If a path is not absolute, or what lies there is not a plain text file of at most 256 KiB.
        OpsnbError: If one cannot be read.
    """
    _few(paths)
    if not paths:
        return {}
    data = remote.look(host, READ, str(MAX_BYTES), *paths).stdout
    states: dict[str, State | None] = {}
    for path in paths:
        head, _, data = data.partition(b"\n")
        words = head.decode("utf-8", "replace").split()
        if words == [NO_FILE]:
            states[path] = None
            continue
        if len(words) != 4 or words[0] != "file":  # noqa: PLR2004  (the words of READ)
            raise OpsnbError(
                f"{host}: the answer about {path} was {head!r:.80}", hint="does its shell print something?"
            )
        size = int(words[3])
        state = {"content": text_of(data[:size], f"{host}: {path}"), "mode": words[1].zfill(4)}
        states[path] = {**state, "owner": words[2]} if owned else state
        data = data[size:]
    return states


def replace(
    host: str,
    before: Files,
    after: Files,
    *,
    check: Sequence[str] = (),
    validate: Sequence[str] = (),
    activate: Sequence[str] = (),
    prove: Sequence[str] = (),
    seconds: float = 120.0,
) -> str:
    """Bring files of a host from ``before`` to ``after``, all of them or none; see the rules above.

    Args:
        host: A host of the run.
        before: The state of each file as it was planned.
        after: The state that each is to have; the same paths.
        check: A program and its arguments, for each new file; a word that ends in ``%s`` ends in the name under which
            the file lies beside its place.
        validate: A program that looks at the files in their places.
        activate: A program that makes the service take them.
        prove: A program that finds out whether it did.
        seconds: How long each of these may take.

    Returns:
        What the programs printed.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If it began and nobody saw its end.
        UsageError: If an argument is wrong, or what lies there is not a plain text file; nothing was changed.
        OpsnbError: If a file is not as planned, or a program failed, with its last words; the files are the old ones.
    """
    if set(before) != set(after):
        raise UsageError("files are replaced with the states before and after of the same paths")
    paths = sorted(after)
    _few(paths)
    if not paths:
        return ""
    words: list[str] = []
    contents: list[bytes] = []
    for path in paths:
        more, data = _file(path, before[path], after[path])
        words += more
        contents.append(data)
    if sum(map(len, contents)) > MAX_TOTAL:
        raise UsageError(f"the files have {sum(map(len, contents))} bytes; at most {MAX_TOTAL} are replaced together")
    programs = [word for program in (check, validate, activate, prove) for word in _program(program)]
    count = len(paths) * bool(check) + bool(validate) + 2 * bool(activate) + bool(prove)
    head = (str(MAX_BYTES), str(max(1, round(seconds))), str(len(paths)))
    data = b"".join(contents)
    return remote.act(
        host, REPLACE, *head, *words, *programs, stdin=data, seconds=count * seconds + MARGIN_SECONDS
    ).text  # fmt: skip


def _few(paths: Sequence[str]) -> None:
    if len(paths) > MAX_FILES or len(set(paths)) != len(paths):
        raise UsageError(f"{len(paths)} files; at most {MAX_FILES} are taken together, each once")
    for path in paths:
        plain(path)


def _file(path: str, before: State | None, after: State | None) -> tuple[list[str], bytes]:
    """Return the words of the script about one file, and its content."""
    was = was_words(before, path)
    if after is None:
        return [path, *was, NO_FILE, "", "", "0"], b""
    new = checked(after, path)
    data = new["content"].encode()
    return [path, *was, sha256(data), new["mode"], new.get("owner", ""), str(len(data))], data


def _program(argv: Sequence[str]) -> list[str]:
    if isinstance(argv, str) or any(not isinstance(word, str) or "\0" in word for word in argv):
        raise UsageError(f"a program is a list of words, found {argv!r:.80}")
    return [str(len(argv)), *argv]
