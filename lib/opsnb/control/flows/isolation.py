"""What holds kernels in this workspace: another user, control groups, and whether a change may do without Landlock."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import SettingsError
from opsnb.control.runs import cgroups
from opsnb.control.runs.account import Account, account, unreadable
from opsnb.control.runs.toolkit import Toolkit

if TYPE_CHECKING:
    from opsnb.base.settings import Settings
    from opsnb.base.workspace import Workspace


def kernel_user(settings: Settings, workspace: Workspace) -> Account | None:
    """Return who kernels are; ``None``: who the control plane is.

    Raises:
        SettingsError: If there is no such user, or it cannot read what a kernel needs; names it and says what to do.
    """
    if not settings.kernel_user:
        return None
    found = account(settings.kernel_user)
    closed = unreadable(found, needed(workspace))
    if closed:
        raise SettingsError(
            f"kernel_user: '{found.name}' cannot read {', '.join(closed)}, which every kernel needs",
            hint="a directory above it is closed to others, as a home is: install Python and opsnb where everybody may "
            "read (/opt, /usr/local), keep the workspace there too, or leave kernel_user out",
        )
    return found


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
