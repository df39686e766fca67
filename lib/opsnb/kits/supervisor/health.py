"""A page that is asked on the host itself until it answers 200: whether a program does what it is there for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.supervisor.acting import ASK

URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]|\{address\})(?::\d{1,5})?(?:/[A-Za-z0-9._~/&=?+-]*)?")
MAX_URL = 500  # characters
WELL = 200


def checked_url(url: str) -> str:
    """Return a URL that may be asked; empty for none.

    Raises:
        UsageError: If it is none, or holds what no health page has in its address.
    """
    if url and (len(url) > MAX_URL or not URL.fullmatch(url)):
        raise UsageError(
            f"the page is {url!r:.200}; wanted http://HOST:PORT/PATH, where {{address}} stands for the host's own",
            hint="http://{address}:8000/health",
        )
    return url


def url_of(host: str, url: str) -> str:
    """Return the page of one host: ``{address}`` becomes its address in the inventory."""
    address = str(fleet.machine(host).row.get("address") or host)
    return checked_url(url).replace("{address}", f"[{address}]" if ":" in address else address)


def statuses(hosts: Sequence[str], url: str) -> dict[str, str]:
    """Return what each host's page is answered with: ``200``, ``000`` for no answer, or why it could not be asked."""

    def one(host: str) -> str:
        try:
            return remote.look(host, ASK, url_of(host, url)).text.strip()
        except OpsnbError as error:
            return error.message

    return remote.over(hosts, one) if url else {}
