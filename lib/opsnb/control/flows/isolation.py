"""What holds kernels in this workspace: another user, control groups, and whether a change may do without Landlock."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import SettingsError
from opsnb.control.runs import account, cgroups
from opsnb.control.runs.account import Account, unreadable
from opsnb.control.runs.toolkit import Toolkit

if TYPE_CHECKING:
    from opsnb.base.settings import Settings
    from opsnb.base.workspace import Workspace
    from opsnb.control.flows.services import Services


def kernel_user(settings: Settings, workspace: Workspace) -> Account | None:
    """Return who kernels are; ``None``: who the control plane is.

    Raises:
        SettingsError: If there is no such user, or it cannot read what a kernel needs; names it and says what to do.
    """
    if not settings.kernel_user:
        return None
    found = account.account(settings.kernel_user)
    closed = unreadable(found, needed(workspace))
    if closed:
        raise SettingsError(
            f"kernel_user: '{found.name}' cannot read {', '.join(closed)}, which every kernel needs",
            hint="a directory above it is closed to others, as a home is: install Python and opsnb where everybody may "
            "read (/opt, /usr/local), keep the workspace there too, or leave kernel_user out",
        )
    return found


def unwritable(services: Services, folders: Iterable[str]) -> tuple[str, str] | None:
    """Return why a kernel can write to none of its sealed ``writes``, and what to do; ``None`` where it can.

    Landlock adds no permission: what the front matter names has to be open to the user that the kernel is.
    """
    user = services.launcher.user
    closed = account.unwritable(user, folders)
    if not closed:
        return None
    try:
        info = Path(closed[0]).stat()
    except OSError as error:
        return f"{closed[0]}, where the runbook writes, cannot be looked at: {error.strerror}", "make it, or plan anew"
    name = user.name if user else pwd.getpwuid(os.geteuid()).pw_name
    found = f"user {info.st_uid}, group {info.st_gid}, mode {stat.S_IMODE(info.st_mode):04o}"
    why = f"kernels run as '{name}', who may not write to {closed[0]} ({found}), and the runbook writes there"
    return why, f"chown {name} {closed[0]}, or setfacl -m u:{name}:rwx {closed[0]}; or name another directory"


def needed(workspace: Workspace) -> tuple[str, ...]:
    """Return what a kernel must be able to read: the interpreter, its library, the packages, the toolkit, runbooks."""
    import importlib.util

    packages = importlib.util.find_spec("ipykernel")
    places = [str(Path(sys.executable).resolve()), str(Path(os.__file__).parent), str(Toolkit().root)]
    places += [str(Path(packages.origin).parent)] if packages is not None and packages.origin else []
    return (*places, str(workspace.runbooks))


def groups(settings: Settings) -> dict[str, Any] | None:
    """Return where a run's control group is made and what it may use; moves this process where that is needed first."""
    where = cgroups.home(prepare=True)
    return cgroups.as_json(where, cgroups.Budget(memory=settings.memory, processes=settings.processes))


def reads_of(workspace: Workspace, toolkit: Toolkit) -> tuple[str, ...]:
    """Return what every kernel reads: the interpreter, the toolkit, runbooks/; nothing that holds the state."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(toolkit.root), str(workspace.runbooks)]
    places += [p for p in sys.path if p and Path(p).is_dir()]
    real = dict.fromkeys(Path(place).resolve() for place in places)
    kept = [own.resolve() for own in (workspace.state, workspace.outputs)]
    return tuple(str(p) for p in real if not any(p.is_relative_to(o) or o.is_relative_to(p) for o in kept))
