"""Files on this machine, written from a template: a plan first, then all or nothing.

Rules:

* A state is complete: ``{"content": text, "mode": "0644"}``, or ``None`` when there is no file; text is UTF-8.
* A template holds ``${name}``; every name must be given, and nothing in a template or a value is code. A ``$`` before
  anything else stays as it is (configuration files are full of ``$host``); ``$${name}`` writes ``${name}``.
* A write is a temporary file in the same directory, fsync, rename, fsync of the directory: a reader sees the old file
  or the new one, and a full disk leaves the old one. Mode as planned; owner and group stay as they were.
* Refused: relative paths, symbolic links, anything but a regular file, a file with more than one name (a rename would
  split them) or an access list (a rename would lose it), binary content, more than 256 KiB.

A confined run can write only below directories that its front matter names: ``writes: ["{directory}"]``.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.runbook.actuators import Actuator, register

VERB = "linux.file"
MAX_BYTES = 256 * 1024  # of one file; a plan carries its content twice
THIS_MACHINE = "localhost"
DEFAULT_MODE = "0644"
MODE = re.compile(r"[0-7]{4}")
PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^}\n]*)\}?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ACCESS_LIST = "system.posix_acl_access"
CONFINED_HINT = 'a confined run reads and writes only what its front matter names: writes: ["{directory}"]'

Value = str | int | float | bool


def read_file(path: str) -> dict[str, str] | None:
    """Return a file's state, ``None`` when there is no file.

    Returns:
        ``{"content": text, "mode": four octal digits}``.

    Raises:
        UsageError: If the path is relative, or what lies there is not a plain text file of at most 256 KiB.
        OpsnbError: If it cannot be read.
    """
    with _directory(path) as folder:
        return _read(folder, path)


def suits(path: str) -> tuple[bool, str]:
    """Return whether a file can be written at ``path``, and why, as a sentence for ``run.applicable``."""
    try:
        state = read_file(path)
    except OpsnbError as error:
        return False, error.message
    return True, f"{path} is " + ("a text file that can be replaced" if state else "free")


def plan_file(
    host: str, path: str, template: str, values: Mapping[str, Value], mode: str | None = None
) -> Plan:  # fmt: skip
    """Return the plan that makes ``path`` hold ``template`` filled in with ``values``; reads only.

    Args:
        host: ``localhost``: this machine.
        path: Absolute path of the file; its directory exists.
        template: Text with ``${name}``.
        values: What stands for each name.
        mode: Four octal digits; by default the mode that the file has, ``0644`` for a new one.

    Raises:
        UsageError: If an argument is wrong, or what lies at ``path`` is not a plain text file.
    """
    _this_machine(host)
    content = fill(template, values)
    before = read_file(path)
    after = _checked({"content": content, "mode": mode or (before["mode"] if before else DEFAULT_MODE)}, path)
    size = len(content.encode())
    context = {"bytes": size, "lines": len(content.splitlines()), "sha256": sha256(content.encode())}
    change = Change(
        host=host, what=f"file {path}", verb=VERB, target={"path": path}, before=before, after=after,
        command=_command(path, after), undo=_command(path, before),
    )  # fmt: skip
    return Plan(title=f"{path} from a template", changes=() if before == after else (change,), context=context)


def fill(template: str, values: Mapping[str, Value]) -> str:
    """Return the template with every ``${name}`` replaced by its value, once: values are never read as a template.

    Raises:
        UsageError: If a name is not given, is not a name, or its bracket is not closed; with its line.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        line = template.count("\n", 0, match.start()) + 1
        name = match[1]
        if not match[0].endswith("}") or not NAME.fullmatch(name):
            raise UsageError(f"line {line} of the template has {match[0]!r}; a placeholder is ${{name}}",
                             hint="to write it as it stands, double the dollar sign: $${")  # fmt: skip
        if name not in values:
            given = ", ".join(sorted(values)) or "none"
            raise UsageError(f"line {line} of the template wants '{name}', which was not given (given: {given})")
        return str(values[name])

    return PLACEHOLDER.sub(value_of, template)


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the file that ``target`` (``{"path": ...}``) names; see :func:`read_file`."""
    _this_machine(host)
    return read_file(_path_of(target))


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the file from ``before`` to ``after``; ``None`` means no file.

    Raises:
        OpsnbError: If the file is not as ``before`` says, or the system refuses; the file is then the old one (or, when
            only the directory's fsync failed, the new one), never a torn one.
    """
    _this_machine(host)
    path = _path_of(target)
    with _directory(path) as folder:
        found = _read(folder, path)
        if found != before:
            raise OpsnbError(f"{path} is no longer as planned; nothing was changed", hint="plan again")
        try:
            if after is None:
                _remove(folder, path)
            else:
                _write(folder, path, _checked(after, path))
        except OSError as error:
            raise OpsnbError(f"{path} could not be changed: {error.strerror}", hint=_hint(error)) from error


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _this_machine(host: str) -> None:
    if host != THIS_MACHINE:
        raise UsageError(f"host '{host}' cannot be reached; files are written on this machine, '{THIS_MACHINE}'")


def _path_of(target: JSON) -> str:
    if not isinstance(target, dict) or not isinstance(target.get("path"), str):
        raise UsageError(f"the target of {VERB} is {{'path': ...}}, found {target!r:.80}")
    return str(target["path"])


def _command(path: str, state: dict[str, str] | None) -> str:
    if state is None:
        return f"remove {path}"
    size = len(state["content"].encode())
    return f"write {path}: {size} bytes, mode {state['mode']}, by temporary file, fsync and rename"


def _checked(state: JSON, path: str) -> dict[str, str]:
    """Return a state that may be written."""
    if not isinstance(state, dict) or set(state) != {"content", "mode"}:
        raise UsageError(f"the state of {path} is 'content' and 'mode', found {state!r:.80}")
    content, mode = state["content"], state["mode"]
    if not isinstance(mode, str) or not MODE.fullmatch(mode):
        raise UsageError(f"the mode of {path} is {mode!r}; it is four octal digits", hint="0644")
    if not isinstance(content, str) or "\0" in content:
        raise UsageError(f"the content of {path} is not text")
    try:
        size = len(content.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the content of {path} holds a lone surrogate, which has no UTF-8 form") from error
    if size > MAX_BYTES:
        raise UsageError(f"the content of {path} is {size} bytes; at most {MAX_BYTES} are written")
    return {"content": content, "mode": mode}


@contextlib.contextmanager
def _directory(path: str) -> Iterator[int]:
    """Open the directory of ``path``, so that everything happens in that one, whatever is renamed meanwhile."""
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or str(pure) != path or not pure.name or "\0" in path:
        raise UsageError(f"the path is {path!r}; it is absolute and has no '..', '//' or '/' at its end")
    try:
        folder = os.open(pure.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"the directory {pure.parent} cannot be opened: {error.strerror}", hint=_hint(error)
        ) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _read(folder: int, path: str) -> dict[str, str] | None:
    name = PurePosixPath(path).name
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        _check_kind(info, path)
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OpsnbError(f"{path} cannot be read: {error.strerror}", hint=_hint(error)) from error
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        _check_kind(info, path)
        if ACCESS_LIST in _attributes(descriptor):
            raise UsageError(f"{path} has an access list, which a rewrite would lose", hint=f"getfacl {path}")
        try:
            data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise OpsnbError(f"{path} cannot be read: {error.strerror}", hint=_hint(error)) from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES} bytes, and a plan carries the whole file")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    if "\0" in content:
        raise UsageError(f"{path} is binary: it holds a NUL")
    return {"content": content, "mode": f"{stat.S_IMODE(info.st_mode):04o}"}


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError:  # a file system without extended attributes
        return []


def _check_kind(info: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(info.st_mode):
        raise UsageError(f"{path} is a symbolic link; links are not followed", hint="name the file that it leads to")
    if not stat.S_ISREG(info.st_mode):
        raise UsageError(f"{path} is not a regular file")
    if info.st_nlink > 1:
        raise UsageError(f"{path} has {info.st_nlink} names (hard links); a rewrite would split them")


def _write(folder: int, path: str, state: dict[str, str]) -> None:
    name = PurePosixPath(path).name
    temporary = f".opsnb-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(state["content"].encode())
            stream.flush()
            _keep_owner(descriptor, folder, path)
            os.fchmod(descriptor, int(state["mode"], 8))  # after the owner: chown clears bits
            os.fsync(descriptor)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _keep_owner(descriptor: int, folder: int, path: str) -> None:
    try:
        old = os.stat(PurePosixPath(path).name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)


def _remove(folder: int, path: str) -> None:
    name = PurePosixPath(path).name
    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid != os.geteuid():
        raise OpsnbError(f"{path} belongs to another user; removing it could not be undone")
    os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def _hint(error: OSError) -> str:
    return CONFINED_HINT if isinstance(error, PermissionError) else ""
