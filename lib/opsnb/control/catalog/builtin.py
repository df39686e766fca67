"""The runbooks that come with the program: they are in every workspace (docs/decisions/0010).

They are seen under ``built-in/``. A workspace that has a notebook with one of these ids uses its own.
"""

from __future__ import annotations

import re
from pathlib import Path

PREFIX = "built-in"  # the folder under which they are seen
PACKAGE = Path(__file__).resolve().parents[2]
FILES: dict[str, Path] = {}  # looked for once: they change only with the program
NAME = re.compile(r"[A-Z]{3}-[0-9]{3}-[a-z0-9-]+\.ipynb")


def folder() -> Path:
    """Return where they lie: inside an installed package, or in the clone that it was installed from."""
    packaged = PACKAGE / "runbooks"
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / "runbooks"


def files() -> dict[str, Path]:
    """Return the built-in notebooks, by the path under which a catalog knows them."""
    if not FILES:
        found = (path for path in folder().glob("*/*.ipynb") if NAME.fullmatch(path.name))
        FILES.update({f"{PREFIX}/{path.name}": path for path in sorted(found, key=lambda path: path.name)})
    return FILES


def by_id(name: str) -> Path | None:
    """Return the built-in notebook with this id."""
    return next((p for p in files().values() if p.name.startswith(f"{name}-")), None)


def ids() -> list[str]:
    """Return the ids of the built-in notebooks."""
    return ["-".join(path.name.split("-", 2)[:2]) for path in files().values()]


def shown(file: Path) -> str:
    """Return what a built-in notebook is called, ``""`` for any other file."""
    return next((name for name, path in files().items() if path == file), "")
