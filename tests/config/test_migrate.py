"""CFG-011's kit: from a host or an environment to other hosts; what is lost and what still speaks of the old place."""

from __future__ import annotations

from typing import Any

import pytest

from config.conftest import Shop
from nearby import RunOfNames, carry_out
from opsnb import fleet
from opsnb.base.errors import UsageError
from opsnb.base.plan import Plan
from opsnb.kits import config
from opsnb.kits.config import hiding, migrate, sources

HOSTS = ("near1", "near2")


class RunOfTwo(RunOfNames):
    """Two hosts with addresses and variables of their own, in one file system."""

    def __init__(self) -> None:
        super().__init__(HOSTS)
        more: list[dict[str, Any]] = [
            {"address": "10.0.0.1", "variables": {"upstream": "app-old.example"}},
            {"address": "10.0.0.2", "variables": {"upstream": "app-new.example"}},
        ]
        self.rows = [{**row, **extra} for row, extra in zip(self.rows, more, strict=True)]


@pytest.fixture(autouse=True)
def two(shop: Shop) -> None:
    """Both hosts are open, and the one place is the shop's."""
    fleet.of(RunOfTwo())
    sources.at(shop.configs)
    hiding.use(b"a request")


def test_a_template_is_rendered_for_its_new_host(shop: Shop) -> None:
    """The new host's values go in; what was edited on the old one is shown as lost."""
    carry_out(config.plan_distribute("near1", shop.open()))
    shop.site.write_text(shop.site.read_text() + "by hand\n")
    moved = migrate.from_host(HOSTS, "near1", shop.open(), [], {})
    site = moved.files["near2"][0]
    assert site.content == "port 8080\nname shop on near2\nkeep $host and ${name}\n"
    assert "+by hand" in moved.lost[str(shop.site)]
    assert moved.targets == ("near2",)


def test_any_other_file_is_taken_as_it_is_there(shop: Shop) -> None:
    """With its mode and owner; named texts are replaced once; what still speaks of the old host is listed by line."""
    file = shop.root / "etc/proxy.conf"
    file.write_text(
        "listen 10.0.0.1:80;\nserver_name near1;\nproxy app-old.example;\nx10.0.0.1x near1.example near1-a\n"
    )
    file.chmod(0o755)
    moved = migrate.from_host(
        HOSTS, "near1", shop.open(), [str(file)], {"10.0.0.1:80": "10.0.0.2:80", "near1": "near2"}
    )
    one = moved.files["near2"][0]
    assert one.content == (
        "listen 10.0.0.2:80;\nserver_name near2;\nproxy app-old.example;\nx10.0.0.1x near2.example near2-a\n"
    )
    assert (one.file.mode, one.file.owner) == ("0755", f"{file.owner()}:{file.group()}")
    assert [(left.line, left.what) for left in moved.left] == [(3, "the value of 'upstream' in near1")]
    plain = migrate.from_host(HOSTS, "near1", shop.open(), [str(file)], {})
    assert [(left.line, left.what) for left in plain.left] == [
        (1, "the address of near1"), (2, "the name of near1"), (3, "the value of 'upstream' in near1"),
        (4, "the name of near1"),
    ]  # fmt: skip


def test_an_environments_files_become_anothers(shop: Shop) -> None:
    """Its own sources come along into the new folder; variables are the new ones; the undo takes both away."""
    shop.write("shop/prod/plain.conf", "only prod, port 8080\n")
    shop.write("shop/staging/variables.yaml", "port: 9090\n")
    before, place = shop.snapshot(), (shop.configs / "shop/staging/plain.conf")
    moved = migrate.from_environment(["near2"], shop.open("prod"), shop.open("staging"))
    plan = Plan.from_json(migrate.plan_migrate(moved, "prod to staging").as_json())
    assert plan.hosts == ("localhost", "near2")
    assert config.first(plan, 1) == 2
    assert [(left.line, left.what) for left in moved.left] == [
        (1, "the name of environment prod"), (1, "the value of 'port' in prod"),
    ]  # fmt: skip
    carry_out(plan)
    assert shop.site.read_text().startswith("port 9090\n")
    assert shop.plain.read_text() == place.read_text() == "only prod, port 8080\n"
    assert config.plan_distribute("near2", shop.open("staging")).changes == ()
    again = migrate.from_environment(["near2"], shop.open("prod"), shop.open("staging"))
    assert migrate.plan_migrate(again, "again").changes == ()
    carry_out(plan.inverse())
    assert shop.snapshot() == before
    assert not place.exists()


def test_a_guarded_file_moves_unseen(shop: Shop) -> None:
    """Neither in the plan nor among the lines that are listed."""
    file = shop.root / "etc/db.conf"
    file.write_text("password = hunter2 # for near1\n")
    moved = migrate.from_host(HOSTS, "near1", shop.open(), [str(file)], {"hunter2": "hunter3"})
    plan = migrate.plan_migrate(moved, "x")
    assert plan.hosts == ("near2",)
    assert "hunter" not in str(plan.as_json())
    assert [(left.what, left.text) for left in moved.left] == [("the name of near1", "")]


@pytest.mark.parametrize(
    ("source", "paths", "substitute", "says"),
    [
        ("near3", [], {}, "is none of the run's hosts"),
        ("near1", ["/nowhere/x"], {}, "/nowhere/x is not there"),
        ("near1", ["etc/x"], {}, "the path is"),
        ("near1", ["/etc"], {}, "not a regular file"),
        ("near1", ["/etc/hostname"], {"": "x"}, "is not a text to look for"),
        ("near1", ["/etc/hostname"], {"x": "a; include /etc/passwd;"}, "could end a statement or a line"),
        ("near1", ["/etc/hostname"], {"x": "a\nb"}, "could end a statement or a line"),
    ],
)
def test_what_cannot_be_moved_is_said(shop: Shop, source: str, paths: list[str], substitute: Any, says: str) -> None:
    """Before anything is done, in words."""
    with pytest.raises(UsageError, match=says):
        migrate.from_host(HOSTS, source, shop.open(), paths, substitute)


def test_the_same_environment_is_no_migration(shop: Shop) -> None:
    """It is what CFG-010 does."""
    with pytest.raises(UsageError, match="in already"):
        migrate.from_environment(["near2"], shop.open(), shop.open())
