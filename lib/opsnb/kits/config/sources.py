"""The verb ``config.source``: one file of the one place, written or removed by a run.

Rules:

* It lies below ``configs/`` of the workspace, on the machine of the control plane: the change's host is ``localhost``.
* A state is that of :mod:`opsnb.kits.files`; a sensitive one has ``"hidden"``, a keyed hash, for its content, and is
  only ever made new: what it would replace could not be brought back.
* Directories that a plan makes for it are removed by its undo, when they are empty.
* Git is not touched: a person looks at the difference, and commits it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change
from opsnb.kits import files
from opsnb.kits.config import hiding
from opsnb.kits.files.states import State
from opsnb.runbook import Run
from opsnb.runbook.actuators import Actuator, register

VERB = "config.source"
HOST = "localhost"
FOLDER = "configs"
_root: list[Path] = []


def use(run: Run) -> None:
    """Work with the one place of a run's workspace, and hide contents under its request's key."""
    at(run.configs)
    hiding.use(run.hiding_key)


def at(root: Path) -> None:
    """Work with the one place at ``root``."""
    _root[:] = [root]


def root() -> Path:
    """Return ``configs/`` of the workspace.

    Raises:
        OpsnbError: If nobody said which workspace.
    """
    if not _root:
        raise OpsnbError("no workspace was named", hint="config.use(run) comes first")
    return _root[0]


def read(path: str) -> State | None:
    """Return the state of a file of the one place; ``None`` where there is none.

    Args:
        path: Relative to ``configs/``.

    Raises:
        UsageError: If the path leads elsewhere, or what lies there is not a plain text file of at most 256 KiB.
    """
    place = root() / _plain(path)
    if not place.parent.is_dir():
        return None
    return files.read_file(str(place))


def change(path: str, content: str, *, mode: str, sensitive: bool = False) -> Change | None:
    """Return the change that makes a file of the one place hold ``content``; ``None`` where it does.

    Raises:
        UsageError: If it is sensitive and holds something else.
    """
    before = read(path)
    if before is not None and before["content"] == content:
        return None
    after: State = {"content": content, "mode": before["mode"] if before else mode}
    if sensitive and before is not None:
        raise UsageError(
            f"{FOLDER}/{path} is sensitive and holds something else, which no undo could bring back",
            hint="remove it there first; git has what was committed",
        )
    target = {"path": path, "sensitive": sensitive, "makes": _makes(path)}
    size = "" if sensitive else f": {len(content.encode())} bytes"
    return Change(
        host=HOST, what=f"{FOLDER}/{path}", verb=VERB, target=target, before=before,
        after=hiding.hide(after) if sensitive else after, command=f"write {FOLDER}/{path}{size}",
        undo=f"put {FOLDER}/{path} back" if before else f"remove {FOLDER}/{path}",
    )  # fmt: skip


def outside_in(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return changes of which only the first that wants a directory makes it: the undo goes backwards."""
    made: set[str] = set()
    found = []
    for change in changes:
        target: dict[str, Any] = dict(change.target)
        target["makes"] = [folder for folder in target["makes"] if folder not in made]
        made |= set(target["makes"])
        fields = {**change.as_json(), "target": target}
        found.append(Change(**fields))
    return tuple(found)


def observe(_host: str, target: JSON) -> JSON:
    """Return the state of the file that ``target`` names."""
    path, sensitive, _ = _target(target)
    state = read(path)
    return hiding.hide(state) if sensitive else state


def apply(_host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the file from ``before`` to ``after``; ``None`` means no file.

    Raises:
        OpsnbError: If it is not as ``before`` says, or the system refuses.
    """
    path, _, makes = _target(target)
    place = root() / path
    for folder in makes if after is not None else ():
        (root() / folder).mkdir(exist_ok=True)
    files.apply(HOST, {"path": str(place)}, _whole(read(path), before), _whole(None, after))
    for folder in reversed(makes if after is None else []):
        with contextlib.suppress(OSError):  # somebody else put something there meanwhile
            (root() / folder).rmdir()


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _whole(there: State | None, state: JSON) -> JSON:
    """Return a state with its content, where it is hidden."""
    if not hiding.hidden(state):
        return state
    if there is not None and hiding.hide(there) == state:
        return there
    content = hiding.held(state)
    if content is None:
        raise OpsnbError("the content of a sensitive file is not at hand any more", hint="plan again")
    return hiding.shown(state, content)


def _makes(path: str) -> list[str]:
    parents = [parent for parent in PurePosixPath(path).parents if str(parent) != "."]
    return [str(parent) for parent in reversed(parents) if not (root() / parent).exists()]


def _plain(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or str(pure) != path or len(pure.parts) < 2 or not path.isprintable():  # noqa: PLR2004  (service and file)
        raise UsageError(f"{path!r:.100} is not a file below {FOLDER}/")
    return path


def _target(target: JSON) -> tuple[str, bool, list[str]]:
    if not isinstance(target, Mapping) or not isinstance(target.get("path"), str):
        raise UsageError(f"the target of {VERB} names a path, found {target!r:.80}")
    makes: Any = target.get("makes", [])
    return _plain(target["path"]), bool(target.get("sensitive")), [str(folder) for folder in makes]
