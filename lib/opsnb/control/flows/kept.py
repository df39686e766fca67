"""Hand out a file of a run's record to who may see the run: what its manifest lists, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from opsnb.base.errors import NotFoundError, UnavailableError
from opsnb.control.flows.allow import permit_run
from opsnb.control.people.values import Action, Actor

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def kept_file(services: Services, actor: Actor, run: str, name: str) -> Path:
    """Return where a file of a record lies.

    Args:
        services: What the flow needs.
        actor: Who wants it.
        run: The run's id.
        name: As the manifest lists it: ``files/...``, ``run.html``, ``run.ipynb``.

    Raises:
        NotFoundError: If there is no such run, or its record lists no such file.
        RefusedError: If they may not see it.
        UnavailableError: If the run has no record yet.
    """
    with services.database.transaction() as connection:
        path = str(permit_run(connection, actor, run, Action.READ, own=Action.READ).path or "")
    if not path:
        raise UnavailableError(f"run {run} has no record yet", hint="it is there when the run has ended")
    folder = services.workspace.outputs / path
    listed = {row["path"] for row in json.loads((folder / "manifest.json").read_bytes())["files"]}
    if name not in listed:
        raise NotFoundError(f"the record of run {run} lists no file {name!r:.200}")
    return Path(folder, name)
