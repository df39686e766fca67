"""The inventory of a large fleet: read and selected in time that grows with the number of hosts, not faster."""

from __future__ import annotations

import pytest

from bench.inventory import inventory_of, seconds
from opsnb.fleet.inventory import load, loads
from opsnb.fleet.inventory.edit import set_keys

pytestmark = pytest.mark.slow


def test_reading_grows_with_the_hosts():
    """Ten times the hosts take at most 16 times the processor time, and 10,000 at most 4 s of it."""
    small, large = inventory_of(1000), inventory_of(10_000)
    few, many = seconds(lambda: loads(small), 5), seconds(lambda: loads(large), 2)
    assert many < 16 * few
    assert many < 4


def test_selecting_among_ten_thousand_is_instant():
    """A selection among 10,000 hosts takes at most 50 ms of processor time once the inventory is read."""
    inventory = loads(inventory_of(10_000))
    assert len(inventory.select("role=nginx & env=prod & !web00001")) > 3000
    assert seconds(lambda: inventory.select("role=nginx & env=prod & !web00001")) < 0.05


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
