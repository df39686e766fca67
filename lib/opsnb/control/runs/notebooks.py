"""Executed notebooks as they are written: their bytes, and what is kept of them when there is no room."""

from __future__ import annotations

import json
from typing import Any


def notebook_bytes(nb: Any) -> bytes:
    """Return a notebook as the bytes that are written: UTF-8, one-space indent, Chinese text as it is."""
    text = json.dumps(nb, ensure_ascii=False, indent=1, sort_keys=True)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def without_outputs(nb: Any) -> dict[str, Any]:
    """Return the notebook with its outputs replaced by a note, errors kept: for a full disk."""
    cells = []
    for cell in nb["cells"]:
        outputs = cell.get("outputs")
        if outputs:
            note = {"output_type": "stream", "name": "stderr", "text": "[opsnb: the disk was full, outputs were cut]\n"}
            outputs = [note, *(o for o in outputs if o["output_type"] == "error")]
            cell = {**cell, "outputs": outputs}  # noqa: PLW2901  (a changed copy stands in for the cell)
        cells.append(cell)
    return {**nb, "cells": cells}
