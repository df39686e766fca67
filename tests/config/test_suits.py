"""What the runbooks ask of a run: is it the right one, and in an undo nothing of the one place is needed."""

from __future__ import annotations

from typing import Any

import pytest

from config.conftest import Shop
from opsnb import fleet
from opsnb.base.errors import UsageError
from opsnb.kits import config
from opsnb.runbook import Run

WEB: dict[str, Any] = {"name": "web1", "address": "10.0.0.1", "environment": "prod", "labels": {"role": "nginx"}}
APP: dict[str, Any] = {"name": "app1", "address": "10.0.0.2", "environment": "staging", "labels": {"role": "app"}}
PLAIN: dict[str, Any] = {"name": "any", "address": "10.0.0.3"}
HERE: dict[str, Any] = {"name": "localhost", "transport": "local"}


def run_of(shop: Shop, *rows: dict[str, Any], mode: str = "plan") -> Run:
    """Return a run on hosts that nobody reaches."""
    context = {"mode": mode, "hosts": list(rows), "files": str(shop.root), "configs": str(shop.configs),
               "hiding_key": "00" * 32}  # fmt: skip
    run = Run("CFG-010", context, None)
    fleet.of(run)
    return run


@pytest.mark.parametrize(
    ("rows", "fits", "says"),
    [
        ((WEB,), True, "has files for web1"),
        ((PLAIN,), True, "has files for any"),
        ((WEB, PLAIN), True, "has files for web1, any"),
        ((HERE,), False, "confined"),
        ((WEB, APP), False, "app1 is in environment staging, and the files are those of prod"),
    ],
)
def test_files_go_to_hosts_of_their_environment(shop: Shop, rows: Any, fits: bool, says: str) -> None:  # noqa: FBT001
    """A host of another one, and this machine, are refused in words."""
    run = run_of(shop, *rows)
    found, why = config.suits(run, config.open_for(run, "shop", "prod"))
    assert found is fits
    assert says in why


def test_a_host_without_files_is_named(shop: Shop) -> None:
    """Those that have some go on; where nobody has any the runbook is the wrong one."""
    shop.write("shop/config.yaml", "files:\n  - {path: /etc/x, source: plain.conf, hosts: role=nginx}\n")
    run = run_of(shop, WEB, PLAIN)
    place = config.open_for(run, "shop", "prod")
    assert config.suits(run, place) == (True, "configs/shop/config.yaml has files for web1; none for any")
    run = run_of(shop, PLAIN)
    assert not config.suits(run, place)[0]
    assert config.plan_for(run, place).changes == ()


@pytest.mark.parametrize(
    ("rows", "source", "environment", "says"),
    [
        ((WEB, PLAIN), "web1", "", ""),
        ((WEB,), "", "staging", ""),
        ((WEB, PLAIN), "", "", "name one of them"),
        ((WEB, PLAIN), "web1", "staging", "name one of them"),
        ((WEB,), "web1", "", "is the only host"),
        ((WEB,), "web9", "", "is none of the run's hosts"),
        ((WEB, APP), "web1", "", "app1 is in environment staging"),
        ((APP, WEB), "app1", "", ""),
    ],
)
def test_files_move_from_one_place(shop: Shop, rows: Any, source: str, environment: str, says: str) -> None:
    """From a host or from an environment, to hosts of the new environment; the source may be in another."""
    run = run_of(shop, *rows)
    place = config.opened_for(run, "shop", "prod")
    fits, why = config.suits_migration(run, place, source, environment)
    assert fits is not bool(says)
    assert says in why


def test_files_are_taken_from_one_host(shop: Shop) -> None:
    """Of the environment that they come into."""
    assert config.suits_taking(run_of(shop, WEB), "prod") == (True, "files of web1 come into configs/")
    assert not config.suits_taking(run_of(shop, WEB, PLAIN), "prod")[0]
    assert not config.suits_taking(run_of(shop, APP), "prod")[0]
    assert not config.suits_taking(run_of(shop, HERE), "prod")[0]


def test_there_is_something_to_compare(shop: Shop) -> None:
    """Files, and hosts or a place to compare them with."""
    run = run_of(shop, WEB, PLAIN)
    place = config.maybe_for(run, "shop", "prod")
    assert place is not None
    assert config.suits_comparison(run, [], place)[0]
    assert config.suits_comparison(run, ["/etc/x"], None)[0]
    assert not config.suits_comparison(run, [], None)[0]
    assert not config.suits_comparison(run_of(shop, WEB), ["/etc/x"], None)[0]
    assert not config.suits_comparison(run_of(shop, APP), [], place)[0]
    assert config.maybe_for(run, "", "") is None
    with pytest.raises(UsageError, match="given together"):
        config.maybe_for(run, "shop", "")
    assert config.other_for(run, place, "") is None
    with pytest.raises(UsageError, match="no service is named"):
        config.other_for(run, None, "staging")


def test_an_undo_needs_nothing_of_the_one_place(shop: Shop) -> None:
    """Manifest broken, sources gone, source host out of reach: nothing is read and every plan is empty."""
    shop.write("shop/config.yaml", "broken: [")
    run = run_of(shop, WEB, APP, mode="undo")
    place = config.open_for(run, "shop", "prod", {"x": "y"})
    assert config.suits(run, place)[0]
    assert config.survey_of(run, place).found == {}
    assert config.plan_for(run, place).changes == ()
    assert config.tables.variables(place, run.hosts).empty
    assert config.suits_migration(run, place, "web1", "")[0]
    moved = config.migration_for(run, config.opened_for(run, "shop", "prod"), "web1", "", [], {})
    assert config.plan_migration(run, moved).changes == ()
    assert config.tables.moved(moved).empty
    assert config.suits_taking(run, "prod")[0]
    assert config.look_for(run, place, ["/etc/x"], "refuse") == []
    assert config.plan_taken(run, place, []).changes == ()
    assert config.taken_again(run, "shop", "prod", ["/etc/x"], "refuse") == ()
    with pytest.raises(UsageError, match="not YAML"):
        config.open_for(run_of(shop, WEB), "shop", "prod")


def test_a_retry_goes_on_without_the_one_place(shop: Shop) -> None:
    """The approved plan counts: a manifest that broke meanwhile stops nothing, and what can be rendered is at hand."""
    run = run_of(shop, WEB, mode="retry")
    assert len(config.open_for(run, "shop", "prod").manifest.files) == 2
    shop.write("shop/config.yaml", "broken: [")
    place = config.open_for(run, "shop", "prod")
    assert place.manifest.files == ()
    assert config.suits(run, place)[0]
    assert config.plan_for(run, place).changes == ()
    assert config.opened_for(run, "shop", "prod").manifest.files == ()
    assert config.migration_for(run, place, "", "staging", [], {}).targets == ()


def test_paths_are_for_a_host(shop: Shop) -> None:
    """An environment's files are those of its manifest."""
    run = run_of(shop, WEB)
    place = config.opened_for(run, "shop", "prod")
    with pytest.raises(UsageError, match="come from a host"):
        config.migration_for(run, place, "", "staging", ["/etc/x"], {})


def test_tables_of_variables_hide_what_goes_into_sensitive_files(shop: Shop) -> None:
    """Values with where they come from, hosts with the same in one row; a sensitive file's are hidden."""
    manifest = (shop.configs / "shop/config.yaml").read_text()
    run = run_of(shop, WEB, PLAIN)
    rows = config.tables.variables(config.open_for(run, "shop", "prod", {"name": "sesame"}), run.hosts)
    assert rows.to_numpy().tolist() == [
        ["host", "(each its own)", "the host", "web1, any"],
        ["name", "sesame", "a parameter", "web1, any"],
        ["port", "8080", "configs/shop/prod/variables.yaml", "web1, any"],
    ]
    shop.write("shop/config.yaml", manifest.replace("template: true", "template: true\n    sensitive: true"))
    hidden = config.tables.variables(config.open_for(run, "shop", "prod", {"name": "sesame"}), run.hosts)
    assert "sesame" not in str(hidden.to_numpy().tolist())
