"""The inventory of a large fleet; how long it takes is measured by `make bench` (tests/bench/inventory.py)."""

from __future__ import annotations

import pytest

from bench.inventory import inventory_of
from opsnb.fleet.inventory import load, loads
from opsnb.fleet.inventory.edit import set_keys

pytestmark = pytest.mark.slow


def test_ten_thousand_hosts_are_read_and_chosen_among():
    """An inventory of 10,000 hosts is read whole, and a selection finds exactly those that it means."""
    inventory = loads(inventory_of(10_000))
    assert len(inventory.hosts) == 10_000
    wanted = [
        name for name, host in inventory.hosts.items()
        if host.labels.get("role") == "nginx" and host.environment == "prod" and name != "web00001"
    ]  # fmt: skip
    assert len(wanted) > 3000
    assert list(inventory.select("role=nginx & env=prod & !web00001")) == wanted


def test_one_entry_of_ten_thousand_is_changed_alone(tmp_path):
    """Pinning a key in a large file changes that host's lines and no other."""
    text = inventory_of(10_000)
    (tmp_path / "inventory.yaml").write_text(text)
    key = load(tmp_path).host("web00001").keys[0]
    set_keys(tmp_path, "web05000", [key])
    before, after = text.splitlines(), (tmp_path / "inventory.yaml").read_text().splitlines()
    at = before.index("  web05000:")
    assert [*before[: at + 6]] == after[: at + 6]
    assert before[at + 7 :] == after[-len(before[at + 7 :]) :]
    assert key in "".join(after[at + 6 : at + 9])
