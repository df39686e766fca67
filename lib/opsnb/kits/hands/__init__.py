"""By hand, but recorded: one command on many hosts, a terminal session, files to and from hosts.

``opsnb exec``, ``opsnb ssh`` and ``opsnb cp`` are runs of HST-004 to HST-007, which call these.
"""

from opsnb.kits.hands.command import on_every_host, table
from opsnb.kits.hands.copying import copied_wrong, plan_upload
from opsnb.kits.hands.fetching import fetch, fetched
from opsnb.kits.hands.sessions import terminal, transcript

__all__ = ["copied_wrong", "fetch", "fetched", "on_every_host", "plan_upload", "table", "terminal", "transcript"]
