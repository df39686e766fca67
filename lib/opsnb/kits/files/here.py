"""Files on this machine: every step below one directory that is held open, whatever is renamed meanwhile."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.files.states import MAX_BYTES, State, checked, plain, text_of

ACCESS_LIST = "system.posix_acl_access"
CONFINED_HINT = 'a confined run reads and writes only what its front matter names: writes: ["{directory}"]'


def read(path: str, *, owned: bool = False) -> State | None:
    """Return a file's state, ``None`` when there is no file.

    Raises:
        UsageError: If the path is relative, or what lies there is not a plain text file.
        OpsnbError: If it cannot be read.
    """
    with _directory(path) as folder:
        return _read(folder, path, owned=owned)


def write(path: str, before: JSON, after: JSON, *, owned: bool = False) -> None:
    """Bring a file from ``before`` to ``after``; ``None`` means no file.

    Raises:
        OpsnbError: If the file is not as ``before`` says, or the system refuses.
    """
    with _directory(path) as folder:
        if _read(folder, path, owned=owned) != before:
            raise OpsnbError(f"{path} is no longer as planned; nothing was changed", hint="plan again")
        try:
            if after is None:
                _remove(folder, path, owned=owned)
            else:
                _write(folder, path, checked(after, path))
        except OSError as error:
            raise OpsnbError(f"{path} could not be changed: {error.strerror}", hint=_hint(error)) from error


@contextlib.contextmanager
def _directory(path: str) -> Iterator[int]:
    """Open the directory of ``path``, so that everything happens in that one, whatever is renamed meanwhile."""
    pure = plain(path)
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


def _read(folder: int, path: str, *, owned: bool) -> State | None:
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
    state = {"content": text_of(data, path), "mode": f"{stat.S_IMODE(info.st_mode):04o}"}
    return {**state, "owner": _owner(info)} if owned else state


def _owner(info: os.stat_result) -> str:
    """Return ``USER:GROUP``, as stat(1) names them."""
    user, group = str(info.st_uid), str(info.st_gid)
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(info.st_uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(info.st_gid).gr_name
    return f"{user}:{group}"


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


def _write(folder: int, path: str, state: State) -> None:
    name = PurePosixPath(path).name
    temporary = f".opsnb-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(state["content"].encode())
            stream.flush()
            if "owner" in state:
                _give(descriptor, state["owner"])
            else:
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


def _give(descriptor: int, owner: str) -> None:
    user, _, group = owner.partition(":")
    try:
        uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise UsageError(f"there is no user or group '{owner}' on this machine") from error
    os.fchown(descriptor, uid, gid)


def _remove(folder: int, path: str, *, owned: bool) -> None:
    name = PurePosixPath(path).name
    if not owned and os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid != os.geteuid():
        raise OpsnbError(f"{path} belongs to another user; removing it could not be undone")
    os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def _hint(error: OSError) -> str:
    return CONFINED_HINT if isinstance(error, PermissionError) else ""
