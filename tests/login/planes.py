"""A control plane whose settings name a directory or a provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.people import throttle
from places import Place


@contextmanager
def plane(folder: Path, login: dict[str, Any], **secrets: str) -> Iterator[App]:
    """Run a control plane in this process, with these settings of ``login:`` and secrets called ``KIND/opsnb``."""
    made = Place(folder)
    make(made.root)
    made.settings(login=login)
    app = App(Workspace(made.root))
    for kind, value in secrets.items():
        app.set_secret(f"{kind}/opsnb", value, rotate=False)
    yield app
    app.close()


def forget_tries(app: App) -> None:
    """Let no try of a test before count."""
    with app.services.database.transaction() as connection:
        connection.execute(throttle.throttles.delete())
