"""Activation costs what the files cost: no more for each when there are ten times as many."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from activate.conftest import FRONT, Office
from opsnb.control.flows.activate import activate, differing
from opsnb.control.flows.active import active
from places import notebook

LARGE = 10  # times as much
SLACK = 3  # times as long as linear, on a machine that does other things too


def fill(office: Office, files: int, hosts: int) -> None:
    """Write notebooks of 20 cells, and an inventory."""
    root = office.place.root
    for number in range(files):
        path = root / f"runbooks/area{number % 20}/n{number}.ipynb"
        path.parent.mkdir(exist_ok=True)
        front = FRONT.format(id=f"A{chr(65 + number // 1000)}A-{number % 1000:03}", risk="read")
        path.write_bytes(notebook(*[f"x = {number} + {cell}" * 10 for cell in range(20)], front=front))
    lines = (
        f"  h{n}: {{address: 10.{n // 65536}.{n // 256 % 256}.{n % 256}, labels: {{role: web}}}}" for n in range(hosts)
    )
    (root / "inventory.yaml").write_text("hosts:\n" + "\n".join(lines) + "\n", encoding="utf-8")


def touch(root: Path) -> None:
    """Change one host and one notebook."""
    inventory, path = root / "inventory.yaml", root / "runbooks/area0/n0.ipynb"
    inventory.write_text(inventory.read_text("utf-8").replace("  h7: {address: 10.0.0.7,", "  h7: {address: 10.9.9.9,"))
    path.write_bytes(path.read_bytes().replace(b"x = 0 + 3", b"x = 1 + 3"))


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return how long something takes: the least of some times."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def measure(office: Office, files: int, hosts: int) -> dict[str, float]:
    """Return the seconds of each step at this size."""
    fill(office, files, hosts)
    took = {"second person": seconds(lambda: office.join("bob", "engineer"))}
    office.services.inventory()
    touch(office.place.root)
    took["difference"] = seconds(lambda: differing(office.services, office.first))
    seen = differing(office.services, office.first)
    assert [row["name"] for row in seen["changes"]] == ["h7", "runbooks/area0/n0.ipynb"]
    took["activate"] = seconds(
        lambda: activate(office.services, office.first, files=seen["files"], active=seen["active"])
    )
    office.services.inventory()
    took["each run"] = seconds(lambda: active(office.services), 50)
    took["each host"] = seconds(office.services.inventory, 50)
    return took


@pytest.mark.slow
def test_ten_times_as_much_takes_ten_times_as_long(tmp_path: Path) -> None:
    """2,000 notebooks and 10,000 hosts take about ten times as long as 200 and 1,000; what each run pays stays small."""
    small, large = Office(tmp_path / "small"), Office(tmp_path / "large")
    try:
        few, many = measure(small, 200, 1_000), measure(large, 200 * LARGE, 1_000 * LARGE)
    finally:
        small.app.close()
        large.app.close()
    for step in ("second person", "difference", "activate"):
        assert many[step] < few[step] * LARGE * SLACK + 1, (step, few, many)
    assert many["each run"] < 0.05
    assert many["each host"] < 0.005
