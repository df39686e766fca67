"""How the program starts another process of itself."""

from __future__ import annotations

import sys


def argv_of(module: str, *words: str) -> list[str]:
    """Return the words that run one of our modules.

    ``-P``: without it Python imports from the folder in which somebody stands before anything else. A file there with
    the name of a module would run in the program's place, with all that the program may; in a workspace files are
    proposals. And every kernel would read that folder, for it reads what the program is imported from.
    """
    return [sys.executable, "-P", "-m", module, *words]
