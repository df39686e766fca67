"""Scraps: named values inside a notebook, in scrapbook's wire format, so that scrapbook reads what we glue.

The format (scrapbook 0.5, ``scrapbook/api.py`` and ``schemas.py``): a ``display_data`` output whose only MIME type is
``application/scrapbook.scrap.json+json``, with data ``{"name", "data", "encoder": "json", "version": 1}`` and metadata
``{"scrapbook": {"name", "data": true, "display": false}}``. scrapbook itself costs a second to import.
"""

from __future__ import annotations

from opsnb.base.canonical import JSON

MIME = "application/scrapbook.scrap.json+json"
MAX_SHOWN = 400  # characters of a value that are printed; the record's evidence has all of it


def glue(name: str, value: JSON) -> None:
    """Emit one scrap into the cell's output."""
    from IPython.display import display

    text = str(value)
    more = len(text) - MAX_SHOWN
    print(
        f"{name} = {text[:MAX_SHOWN]}"
        + (f"... and {more} more characters, in the record's evidence" if more > 0 else "")
    )
    data = {MIME: {"name": name, "data": value, "encoder": "json", "version": 1}}
    metadata = {"scrapbook": {"name": name, "data": True, "display": False}}
    display(data, metadata=metadata, raw=True)
