"""Follow a run to its end without showing its cells: for commands that show something of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError
from opsnb.base.workspace import Workspace
from opsnb.cli.output import progress, say, told

if TYPE_CHECKING:
    from opsnb.client import Client


def follow(
    client: Any,
    run: str,
    on_text: Callable[[str], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda text: progress(f"opsnb: {told(text)}"),
) -> dict[str, Any]:
    """Return the result of a run; Ctrl-C stops it.

    Args:
        client: The API's client.
        run: The run's id.
        on_text: Called with each piece of text that its notebook prints.
        on_notice: Called with what the control plane tells the person meanwhile.
    """
    try:
        return _end(client, run, on_text, on_notice)
    except KeyboardInterrupt:
        progress(say("stopping the run (Ctrl-C once more leaves it to end by itself)"))
        client.post(f"/api/runs/{run}/stop")
        return _end(client, run, lambda _: None, lambda _: None)


def _end(
    client: Any, run: str, on_text: Callable[[str], None], on_notice: Callable[[str], None]
) -> dict[str, Any]:  # fmt: skip
    for event in client.events(run):
        if event["ev"] == "text":
            on_text(event["text"])
        elif event["ev"] == "notice":
            on_notice(event["text"])
        elif event["ev"] == "end":
            return dict(event["result"])
    return dict(client.get(f"/api/runs/{run}").get("result") or {"run": run, "verdict": None})


def kept(place: Workspace, client: Client, result: dict[str, Any], name: str) -> bytes:
    """Return a file of a run's record: from outputs/ here, else from the control plane elsewhere.

    Here the control plane may have ended with its run.

    Raises:
        OpsnbError: If the record does not hold it.
    """
    if place.url:
        return client.kept(str(result["run"]), name)
    try:
        return ((place.root / str(result["record"])).parent / name).read_bytes()
    except OSError as error:
        raise OpsnbError(f"the record does not hold it: {error.strerror}") from error
