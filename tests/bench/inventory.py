"""How long the inventory takes: load and select, 1,000 to 100,000 hosts. Run: ``python tests/bench/inventory.py``.

Processor seconds, the best of three, so that other work on the machine says little.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from opsnb.fleet.inventory import loads

SELECTORS = ("role=nginx & env=prod & !web00003", "web0*1", "web", "all", "web00001,web00002", "service=shop")


def inventory_of(hosts: int) -> str:
    """Return the text of an inventory with this many hosts: seven fields each, a pinned key, two groups, a service."""
    lines = ["credentials:", "  ops: {kind: key, secret: ssh/ops}", "hosts:"]
    for n in range(hosts):
        key = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + os.urandom(32)).decode()
        lines += [
            f"  web{n:05}:", f"    address: 10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "    user: ops",
            f"    environment: {'prod' if n % 3 else 'test'}",
            f"    labels: {{role: {'nginx' if n % 2 else 'db'}, rack: r{n % 40}}}", "    credential: ops",
            f'    keys: ["ssh-ed25519 {key}"]',
        ]  # fmt: skip
    lines += ["groups:", "  web: {select: role=nginx, variables: {weight: 3}}", "  all: {variables: {ntp: ntp1}}"]
    lines += ["services:", "  shop: {hosts: {prod: role=nginx & env=prod}}"]
    return "\n".join(lines) + "\n"


def seconds(function: Callable[[], Any], times: int = 3) -> float:
    """Return the least processor time that a call takes."""
    found = []
    for _ in range(times):
        started = time.process_time()
        function()
        found.append(time.process_time() - started)
    return min(found)


def main() -> None:
    """Print the figures."""
    for hosts in map(int, sys.argv[1:] or ("1000", "10000", "100000")):
        text = inventory_of(hosts)
        print(f"{hosts} hosts, {len(text) / 2**20:.1f} MiB: load {seconds(lambda text=text: loads(text)):.3f} s")
        inventory = loads(text)
        inventory.select("all & role=*")
        for selector in SELECTORS:
            took = seconds(lambda s=selector, i=inventory: i.select(s))
            print(f"  {took * 1000:8.2f} ms  {selector}  ({len(inventory.select(selector))} hosts)")
        row = seconds(lambda i=inventory: [i.row(name) for name in i.hosts])
        print(f"  {row * 1000:8.2f} ms  the rows of all")


if __name__ == "__main__":
    main()
