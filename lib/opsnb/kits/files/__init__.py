"""Files on any host of a run, written from a template: a plan first, then all or nothing.

Rules:

* A state is complete: ``{"content": text, "mode": "0644"}``, with ``"owner": "USER:GROUP"`` where a plan asks for one,
  or ``None`` when there is no file; text is UTF-8.
* A template holds ``${name}``; every name must be given, and nothing in a template or a value is code. A ``$`` before
  anything else stays as it is (configuration files are full of ``$host``); ``$${name}`` writes ``${name}``.
* A write is a temporary file in the same directory, fsync, rename, fsync of the directory: a reader sees the old file
  or the new one, and a full disk or a broken line leaves the old one. Mode as planned; owner and group stay as they
  were unless the plan names them.
* Refused: relative paths, symbolic links, anything but a regular file, a file with more than one name (a rename would
  split them) or an access list (a rename would lose it), binary content, more than 256 KiB.

On this machine a confined run can write only below directories that its front matter names:
``writes: ["{directory}"]``. Other hosts are reached with the credential of the run, see :mod:`opsnb.kits.remote`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.files import here, there
from opsnb.kits.files.states import DEFAULT_MODE, MAX_BYTES, State, checked, content_of
from opsnb.kits.files.template import Value, fill
from opsnb.runbook.actuators import Actuator, register

__all__ = [
    "ACTUATOR",
    "MAX_BYTES",
    "VERB",
    "apply",
    "change_file",
    "fill",
    "observe",
    "plan_file",
    "read_file",
    "suits",
]

VERB = "linux.file"
THIS_MACHINE = "localhost"


def read_file(path: str, host: str = THIS_MACHINE, *, owned: bool = False) -> State | None:
    """Return a file's state, ``None`` when there is no file.

    Args:
        path: Its absolute path.
        host: The host on which it lies.
        owned: Whether the state says its owner.

    Returns:
        ``{"content": text, "mode": four octal digits}``, with ``"owner": "USER:GROUP"`` when asked for.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If the path is relative, or what lies there is not a plain text file of at most 256 KiB.
        OpsnbError: If it cannot be read.
    """
    return here.read(path, owned=owned) if host == THIS_MACHINE else there.read(host, path, owned=owned)


def suits(path: str, host: str = THIS_MACHINE) -> tuple[bool, str]:
    """Return whether a file can be written at ``path``, and why, as a sentence for ``run.applicable``."""
    try:
        state = read_file(path, host)
    except OpsnbError as error:
        return False, error.message
    return True, f"{path} is " + ("a text file that can be replaced" if state else "free")


def plan_file(
    host: str | Sequence[str],
    path: str,
    template: str,
    values: Mapping[str, Value],
    mode: str | None = None,
    owner: str | None = None,
) -> Plan:
    """Return the plan that makes ``path`` hold ``template`` filled in with ``values``; reads only.

    Args:
        host: A host of the run, ``localhost`` for this machine; or several, with one change for each that differs.
        path: Absolute path of the file; its directory exists.
        template: Text with ``${name}``.
        values: What stands for each name.
        mode: Four octal digits; by default the mode that the file has, ``0644`` for a new one.
        owner: ``USER:GROUP``; by default the owner stays.

    Raises:
        UnreachableError: If the host, or all of them, cannot be reached.
        UsageError: If an argument is wrong, or what lies at ``path`` is not a plain text file.
    """
    title = f"{path} from a template"
    content = content_of(fill(template, values), path)
    return remote.plan_each(title, host, lambda one: _plan_one(one, title, path, content, mode, owner))


def change_file(host: str, path: str, before: State | None, after: State | None) -> Change:
    """Return the change that brings a file from one state to another; reads nothing."""
    owned = any(state is not None and "owner" in state for state in (before, after))
    target = {"path": path, "owned": True} if owned else {"path": path}
    return Change(
        host=host, what=f"file {path}", verb=VERB, target=target, before=before, after=after,
        command=_command(path, after), undo=_command(path, before),
    )  # fmt: skip


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the file that ``target`` names, ``{"path": ..., "owned": bool}``; see :func:`read_file`."""
    path, owned = _target(target)
    return read_file(path, host, owned=owned)


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the file from ``before`` to ``after``; ``None`` means no file.

    Raises:
        UnreachableError: If the host cannot be reached: the file is the old one.
        UnknownOutcomeError: If nobody saw the end; it is the old file or the new one.
        OpsnbError: If the file is not as ``before`` says, or the system refuses; the file is then the old one (or, when
            only the directory's fsync failed, the new one), never a torn one.
    """
    path, owned = _target(target)
    if host == THIS_MACHINE:
        here.write(path, before, after, owned=owned)
    else:
        there.write(host, path, before, after)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _plan_one(host: str, title: str, path: str, content: str, mode: str | None, owner: str | None) -> Plan:
    before = read_file(path, host, owned=owner is not None)
    after: State = {"content": content, "mode": mode or (before["mode"] if before else DEFAULT_MODE)}
    if owner is not None:
        after["owner"] = owner
    after = checked(after, path)
    context = {"bytes": len(content.encode()), "lines": len(content.splitlines()), "sha256": sha256(content.encode())}
    changes = () if before == after else (change_file(host, path, before, after),)
    return Plan(title=title, changes=changes, context=context)


def _target(target: JSON) -> tuple[str, bool]:
    if not isinstance(target, dict) or not isinstance(target.get("path"), str):
        raise UsageError(f"the target of {VERB} is {{'path': ...}}, found {target!r:.80}")
    return str(target["path"]), bool(target.get("owned"))


def _command(path: str, state: State | None) -> str:
    if state is None:
        return f"remove {path}"
    size, owner = len(state["content"].encode()), f", owner {state['owner']}" if "owner" in state else ""
    return f"write {path}: {size} bytes, mode {state['mode']}{owner}, by temporary file, fsync and rename"
