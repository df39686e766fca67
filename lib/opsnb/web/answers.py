"""How errors leave: ``{"error": {"type", "message", "hint", "exit"}}``; ``exit`` is the command line's exit code."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from opsnb.base.errors import NotFoundError, NotSignedInError, OpsnbError, RefusedError, UnavailableError, UsageError

STATUS = (
    (NotFoundError, 404), (NotSignedInError, 401), (RefusedError, 403), (UnavailableError, 503), (UsageError, 422),
    (OpsnbError, 409),
)  # fmt: skip
MEANINGS = {
    400: "The request cannot be read.",
    401: "Nobody is signed in, or the token or session does not hold.",
    403: "Refused; the message says why, and whom to ask.",
    404: "There is nothing of this name.",
    409: "It stands against what is there already, or against the evidence.",
    413: "The body is too large.",
    431: "The headers are too large.",
    422: "What was asked is wrong; the message says what was wanted.",
    503: "The control plane cannot do this now.",
}


class Failure(BaseModel):
    """What went wrong, and the next move."""

    type: str
    message: str
    hint: str
    exit: int


class Failed(BaseModel):
    """What an answer that is no success holds."""

    error: Failure


def status_of(error: OpsnbError) -> int:
    """Return the HTTP status of an error."""
    return next(code for kind, code in STATUS if isinstance(error, kind))


def value_of(error: OpsnbError) -> dict[str, Any]:
    """Return an error as JSON."""
    found = {"type": type(error).__name__, "message": error.message, "hint": error.hint, "exit": error.exit_code}
    return {"error": found}


def bytes_of(error: OpsnbError) -> bytes:
    """Return an error as it leaves; what is no text is written as an escape."""
    return json.dumps(value_of(error), ensure_ascii=True).encode()
