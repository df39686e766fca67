"""Where things lie in a workspace (DESIGN section 7), and which directory is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opsnb.base.errors import NotFoundError

SETTINGS_FILE = "opsnb.yaml"


@dataclass(frozen=True)
class Workspace:
    """A workspace by its root directory; one that is served elsewhere by its ``url``, and ``root`` is where we are."""

    root: Path
    url: str = ""

    @property
    def state(self) -> Path:
        """``.opsnb/``: database, keys, blobs, socket; never in git, for its owner only."""
        return self.root / ".opsnb"

    @property
    def outputs(self) -> Path:
        """``outputs/``: records, ledger, dashboards."""
        return self.root / "outputs"

    @property
    def incoming(self) -> Path:
        """Where records are written before one rename brings them in: on the same file system as ``outputs/``."""
        return self.outputs / ".incoming"

    @property
    def runbooks(self) -> Path:
        """``runbooks/``."""
        return self.root / "runbooks"

    @property
    def configs(self) -> Path:
        """``configs/``: the services' files, by service and environment."""
        return self.root / "configs"

    @property
    def socket(self) -> Path:
        """The API's Unix socket."""
        return self.state / "api.sock"

    @property
    def token(self) -> Path:
        """The first user's bearer token, mode 0600."""
        return self.state / "token"

    @property
    def lock(self) -> Path:
        """Held by the one process that owns the state."""
        return self.state / "owner.lock"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.state / "opsnb.db"

    @property
    def log(self) -> Path:
        """What the control plane has to say besides records."""
        return self.state / "opsnb.log"


def find(start: Path) -> Workspace:
    """Return the workspace that ``start`` lies in: the nearest directory upwards with an ``opsnb.yaml``.

    Raises:
        NotFoundError: If there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return Workspace(folder)
    raise NotFoundError(
        f"{start} is not in a workspace: no {SETTINGS_FILE} here or above",
        hint="make one with: opsnb init .   or go into one, or name it: opsnb --workspace DIR ...",
    )
