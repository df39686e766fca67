"""A service's files in a container with busybox: rendered, validated, replaced together, put back, undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nearby import carry_out
from opsnb import fleet
from opsnb.base.errors import OpsnbError
from opsnb.kits import config

MANIFEST = """files:
  - {path: /srv/shop/a.conf, source: a.conf, template: true, validate: [grep, -q, name, "%s"], activate: [sh, -c, "! grep bad /srv/shop/a.conf"]}
  - {path: /srv/shop/b.conf, source: b.conf, mode: "0600", owner: "root:root"}
"""


class RunOfOne:
    """A run with one host, and nothing to log in with."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.rows = [row]

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """A container asks for none."""
        raise AssertionError(f"{host}: {purpose}")


@pytest.mark.slow
def test_a_containers_files(container: dict[str, Any], tmp_path: Path) -> None:
    """The same scripts as on any host, on busybox's programs."""
    machine = fleet.of(RunOfOne(container))["box1"]
    folder = tmp_path / "shop/common"
    folder.mkdir(parents=True)
    (tmp_path / "shop/config.yaml").write_text(MANIFEST)
    (folder / "a.conf").write_text("name ${name} on ${host}\n")
    (folder / "b.conf").write_text("plain ü\n")
    service = config.open_service(tmp_path, "shop", "prod", {"name": "good"})
    plan = config.plan_distribute("box1", service)
    carry_out(plan)
    assert machine.run("cat", "/srv/shop/a.conf", "/srv/shop/b.conf").text == "name good on box1\nplain ü\n"
    assert machine.run("stat", "-c", "%a", "/srv/shop/b.conf").text == "600\n"
    assert config.plan_distribute("box1", service).changes == ()
    cells = config.compare(config.survey(["box1"], ["/etc/passwd"], service))
    assert {cell.verdict for cell in cells} == {"same"}
    with pytest.raises(OpsnbError, match="put back"):
        carry_out(config.plan_distribute("box1", config.open_service(tmp_path, "shop", "prod", {"name": "bad"})))
    assert machine.run("cat", "/srv/shop/a.conf").text == "name good on box1\n"
    carry_out(plan.inverse())
    assert not machine.run("ls", "/srv/shop").ok
