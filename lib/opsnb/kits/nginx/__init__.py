"""nginx: its configuration with file and line, where it runs, what it says and does.

``read(host)`` gives the whole configuration as it lies on a host, includes followed; ``find(host)`` only the
installation. Everything that reads text is pure and knows the file and the line of each word.
"""

from opsnb.kits.nginx.finding import Installation, Worker, find
from opsnb.kits.nginx.grammar import Directive, parse, walk
from opsnb.kits.nginx.reading import Configuration, Stored, read
from opsnb.kits.nginx.upstreams import Upstream, UpstreamServer, VirtualServer

__all__ = [
    "Configuration", "Directive", "Installation", "Stored", "Upstream", "UpstreamServer", "VirtualServer", "Worker",
    "find", "parse", "read", "walk",
]  # fmt: skip
