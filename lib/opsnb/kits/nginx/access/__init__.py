"""nginx's access logs: traffic of many hosts, counted where the logs lie, in memory that does not grow with them.

``traffic(hosts, window=window(minutes=60))`` gives :class:`Traffic`; tables, plots and findings take it. What is
counted and how exactly: docs/access-logs.md.
"""

from opsnb.kits.linux.findings import findings_text
from opsnb.kits.nginx.access.charts import latency_chart, traffic_chart
from opsnb.kits.nginx.access.counts import Count, Series, Table
from opsnb.kits.nginx.access.findings import Limits, findings
from opsnb.kits.nginx.access.formats import COMBINED, Escape, Format, parse_format
from opsnb.kits.nginx.access.logs import Log, configured_logs, named_logs
from opsnb.kits.nginx.access.record import evidence, read_text, sums
from opsnb.kits.nginx.access.scanning import scan
from opsnb.kits.nginx.access.tables import (
    busiest_table,
    cache_table,
    files_table,
    hosts_table,
    latencies_table,
    missing_table,
    nodes_table,
    odd_table,
    paths_table,
    slowest_table,
    status_table,
    unread_table,
    upstreams_table,
)
from opsnb.kits.nginx.access.traffic import Node, Traffic, traffic
from opsnb.kits.nginx.access.window import Window, window

__all__ = [
    "COMBINED", "Count", "Escape", "Format", "Limits", "Log", "Node", "Series", "Table", "Traffic", "Window",
    "busiest_table", "cache_table", "configured_logs", "evidence", "files_table", "findings", "findings_text",
    "hosts_table", "latencies_table", "latency_chart", "missing_table", "named_logs", "nodes_table", "odd_table",
    "parse_format", "paths_table", "read_text", "scan", "slowest_table", "status_table", "sums", "traffic",
    "traffic_chart", "unread_table", "upstreams_table", "window",
]  # fmt: skip
