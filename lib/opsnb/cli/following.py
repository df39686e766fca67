"""Follow a run to its end without showing its cells: for commands that show something of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsnb.cli.output import progress


def follow(
    client: Any,
    run: str,
    on_text: Callable[[str], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda text: progress(f"opsnb: {text}"),
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
        progress("stopping the run (Ctrl-C once more leaves it to end by itself)")
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
