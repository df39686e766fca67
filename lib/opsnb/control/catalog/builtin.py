"""The runbooks that come with the program: the command line relies on them, so they are in every workspace.

They are seen under ``built-in/``. A workspace that has a notebook with one of these ids uses its own
(docs/decisions/0010).
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "built-in"  # the folder under which they are seen
PACKAGE = Path(__file__).resolve().parents[2]
FILES: dict[str, Path] = {}  # looked for once: they change only with the program
RELIED_ON = ("HST-001", "HST-002", "HST-003", "HST-004", "HST-005", "HST-006", "HST-007", "HST-010", "SCR-010")


def folder() -> Path:
    """Return where they lie: inside an installed package, or in the clone that it was installed from."""
    packaged = PACKAGE / "runbooks"
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / "runbooks" / "hosts"


def files() -> dict[str, Path]:
    """Return the built-in notebooks, by the path under which a catalog knows them."""
    if not FILES:
        FILES.update({f"{PREFIX}/{p.name}": p for name in RELIED_ON for p in sorted(folder().glob(f"{name}-*.ipynb"))})
    return FILES


def by_id(name: str) -> Path | None:
    """Return the built-in notebook with this id."""
    return next((p for p in files().values() if p.name.startswith(f"{name}-")), None)


def shown(file: Path) -> str:
    """Return what a built-in notebook is called, ``""`` for any other file."""
    return next((name for name, path in files().items() if path == file), "")
