"""This machine is what the inventory says it is, also where nobody asks for another: no policy is left by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsnb.base.errors import RefusedError
from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows import people
from opsnb.control.flows.hosts import rows_of
from opsnb.control.flows.seal import Asked
from opsnb.control.people.wanted import User
from places import Place

INVENTORY = (
    "hosts:\n  localhost: {environment: prod}\n  web1: {address: 192.0.2.1}\ngroups:\n  here: {hosts: [localhost]}\n"
)


def test_its_environment_and_groups_count(tmp_path: Path) -> None:
    """Whoever names no host, or this machine, is under the policy of its environment; alone, and with several people."""
    place = Place(tmp_path / "ws")
    make(place.root)
    place.settings(kernel="spawn", policies={"prod": {"environments": ["prod"], "protected": True}})
    inventory = place.root / "inventory.yaml"
    inventory.write_text("hosts: {}\n", encoding="utf-8")
    app = App(Workspace(place.root))
    try:
        asked = Asked(runbook="HST-004", values={"command": ["true"]})
        app.submit(asked)
        (bare,) = rows_of(app.services, "localhost")
        assert not {"environment", "groups"} & set(bare)
        inventory.write_text(INVENTORY, encoding="utf-8")
        (row,) = rows_of(app.services, "localhost")
        assert row == {**bare, "environment": "prod", "groups": ["here"]}
        with pytest.raises(RefusedError, match="policy prod protects localhost: 'exec' needs a grant"):
            app.submit(asked)
        people.add_user(app.services, app.actor, User(name="second"))
        inventory.write_text("hosts: [", encoding="utf-8")  # a proposal: what was activated holds
        assert rows_of(app.services, "localhost") == [row]
    finally:
        app.close()


def test_a_broken_inventory_keeps_nobody_from_this_machine(tmp_path: Path) -> None:
    """While one person has the workspace, what is wrong with its inventory is in nobody's way here."""
    place = Place(tmp_path / "ws")
    make(place.root)
    place.settings(kernel="spawn")
    (place.root / "inventory.yaml").write_text("hosts: {localhost: [", encoding="utf-8")
    app = App(Workspace(place.root))
    try:
        assert [row["name"] for row in rows_of(app.services, "localhost")] == ["localhost"]
    finally:
        app.close()
