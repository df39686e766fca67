"""What a user who is not root sees: a folder that everybody may enter, and a program run as nobody."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@contextmanager
def everybodys() -> Iterator[Path]:
    """Yield a folder that everybody may enter (pytest's are their owner's alone), gone at the end."""
    with tempfile.TemporaryDirectory(prefix="opsnb-", dir="/var/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
