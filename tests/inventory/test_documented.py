"""docs/inventory.md: its examples do what it says."""

from __future__ import annotations

import re

import pytest

from inventories import ed25519
from opsnb.fleet.inventory import load, loads
from places import ROOT

PAGE = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
FORMAT = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
ROWS = re.findall(r"^\| (`.*?) \| ", PAGE.partition("## Selectors")[2].partition("## Changing")[0], re.MULTILINE)
SELECTORS = [text.replace("\\|", "|") for row in ROWS for text in re.findall(r"`([^`]+)`", row)]
MORE = "  web3: {labels: {role: nginx}}\n  db1: {labels: {role: db}, environment: prod}\n"


def test_the_example_is_an_inventory():
    """The example of the format is read, and means what its comments say."""
    inventory = loads(FORMAT)
    web1 = inventory.row("web1")
    assert [step["name"] for step in web1["via"]] == ["bastion"]
    assert web1["credential"] == {"observe": "ops", "change": "deploy"}
    assert inventory.host("web2").credential["observe"] == "ops"
    assert inventory.row("cache")["container"] == "redis-1"
    assert inventory.select("service=shop") == ("web1", "web2")


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_selector_of_the_table_means_hosts(selector):
    """Each selector that the table shows is read and chooses at least one host of the example."""
    assert len(SELECTORS) > 14
    assert loads(FORMAT.replace("groups:\n", MORE + "groups:\n", 1)).select(selector)


def test_the_python_example_runs(tmp_path, monkeypatch):
    """The example in Python works in a workspace with the example inventory."""
    (tmp_path / "inventory.yaml").write_text(
        FORMAT.replace("user: ops\n", f"user: ops\n    keys: ['{ed25519('x')}']\n", 1)
    )
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], {})  # noqa: S102 - the page's own example
    assert load(tmp_path).select("role=nginx & env=prod") == ("web1", "web2")


def test_the_limits_that_the_page_names_hold():
    """The page's figures are the code's."""
    from opsnb.base.yaml import MAX_NESTING
    from opsnb.fleet.inventory.written import MAX_BYTES

    assert f"over {MAX_NESTING} levels" in PAGE
    assert f"over {MAX_BYTES // 2**20} MiB" in PAGE
