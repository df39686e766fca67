"""The one place: where a source lies, where a variable's value comes from, what a value may hold, whose a file is."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.conftest import Shop
from opsnb.base.errors import UsageError
from opsnb.kits import config
from opsnb.kits.config.places import allow, chooses
from opsnb.kits.config.values import PLAIN_VALUE, Given, Rule

ROW: dict[str, Any] = {
    "name": "web1", "address": "10.0.0.1", "environment": "prod", "labels": {"role": "nginx", "a-b": "x"},
    "groups": ["web", "prod"], "variables": {"weight": 3, "fast": True, "deep": {"a": 1}},
}  # fmt: skip
SERVICE_ROW = {**ROW, "variables": {**ROW["variables"], "port": 9000}}


def test_a_value_comes_from_the_nearest_place(shop: Shop) -> None:
    """Parameter, inventory, environment, common, label and host: the first that has it wins, and is named."""
    before = shop.open().values(ROW)
    assert (before["port"].value, before["port"].origin) == ("8080", "configs/shop/prod/variables.yaml")
    assert (before["name"].value, before["name"].origin) == ("shop", "configs/shop/common/variables.yaml")
    assert (before["label_role"].value, before["address"].value, before["fast"].value) == ("nginx", "10.0.0.1", "true")
    assert "deep" not in before
    assert "label_a-b" not in before
    assert shop.open("staging").values(ROW)["port"].value == "80"
    inventory = shop.open().values(SERVICE_ROW)["port"]
    assert (inventory.value, inventory.origin) == ("9000", "the inventory")
    given = shop.open(port="7000").values(SERVICE_ROW)["port"]
    assert (given.value, given.origin) == ("7000", "a parameter")


def test_an_environment_hides_what_is_common(shop: Shop) -> None:
    """A source in the environment's folder comes before the one in common/; the reader is told which it is."""
    file = shop.open().manifest.files[1]
    assert shop.open().source(file)[0] == "configs/shop/common/plain.conf"
    shop.write("shop/prod/plain.conf", "of prod\n")
    assert shop.open().source(file) == ("configs/shop/prod/plain.conf", "of prod\n")
    assert shop.open("staging").source(file)[0] == "configs/shop/common/plain.conf"
    assert config.environments(shop.configs, "shop") == ["prod"]


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("shop/config.yaml", None, "configs/shop/config.yaml is not there"),
        ("shop/common/site.conf", None, "configs/shop/config.yaml:2: .* has no source"),
        ("shop/common/site.conf", "a\n${nobody}\n", "configs/shop/common/site.conf: line 2 .* wants 'nobody'"),
        ("shop/common/site.conf", "${a b}", "configs/shop/common/site.conf: line 1"),
        ("shop/common/site.conf", "bin\0ary", "configs/shop/common/site.conf is binary"),
        ("shop/common/site.conf", "x" * 262145, "configs/shop/common/site.conf is larger than 262144"),
        ("shop/prod/variables.yaml", "port: 8080; }", r"'port' \('8080; }', from .*variables.yaml\) does not match"),
        ("shop/prod/variables.yaml", "name: 'a; include /etc/passwd'", "'name' .* could end a statement or a line"),
        ("shop/prod/variables.yaml", 'name: "a\\nlisten 1"', "'name' .* could end a statement or a line"),
        ("shop/prod/variables.yaml", "port: [1]", "configs/shop/prod/variables.yaml:1: 'port'"),
    ],
)
def test_what_cannot_be_rendered_is_said_with_its_file(shop: Shop, path: str, text: str | None, says: str) -> None:
    """Manifest, source, template or variable: named as the reader knows it, and nothing is asked of a host."""
    if text is None:
        (shop.configs / path).unlink()
    else:
        shop.write(path, text)
    with pytest.raises(UsageError, match=says):
        config.wanted(shop.open(), ROW)


def test_a_link_in_the_one_place_is_not_followed(shop: Shop) -> None:
    """A source that leads elsewhere is refused."""
    (shop.configs / "shop/prod/site.conf").symlink_to("/etc/shadow")
    with pytest.raises(UsageError, match="is a symbolic link"):
        config.wanted(shop.open(), ROW)


@pytest.mark.parametrize("name", ["..", "a/b", "", "/etc", ".git", "-x", "a\nb", "shop\0"])
def test_a_service_or_environment_is_one_folder(shop: Shop, name: str) -> None:
    """Nothing that leads elsewhere is one."""
    for service, environment in ((name, "prod"), ("shop", name)):
        with pytest.raises(UsageError, match="is not a name"):
            config.open_service(shop.configs, service, environment)
    with pytest.raises(UsageError, match="is what all environments share"):
        shop.open("common")


def test_a_parameter_that_no_template_wants_is_refused(shop: Shop) -> None:
    """A typing mistake never means the default; the nearest right name is said."""
    with pytest.raises(UsageError, match=r"wants the variable 'prot'(.|\n)*'port'"):
        shop.open(prot="81")


@given(value=st.text(max_size=40))
def test_without_a_rule_a_value_ends_nothing(value: str) -> None:
    """What passes holds no quote, brace, semicolon, line end or variable of any language."""
    refused = True
    with contextlib.suppress(UsageError):
        allow("x", Given(value=value, origin="here"), None)
        refused = False
    assert refused is not bool(PLAIN_VALUE.fullmatch(value))
    assert refused or not set(value) & set("\n\r\t;{}'\"`$<>|&\\#!?\0")


def test_rules_say_what_a_value_may_be() -> None:
    """A pattern that matches the whole value, or choices."""
    allow("x", Given(value="a;b", origin="o"), Rule(pattern="a;."))
    allow("x", Given(value="gold", origin="o"), Rule(choices=("gold", "x;y")))
    with pytest.raises(UsageError, match="does not match"):
        allow("x", Given(value="a;b\n", origin="o"), Rule(pattern="a;."))
    with pytest.raises(UsageError, match="is none of: gold"):
        allow("x", Given(value="tin", origin="o"), Rule(choices=("gold",)))
    with pytest.raises(UsageError, match=r"\(hidden, from o\)"):
        allow("x", Given(value="sesame!", origin="o"), None, hidden=True)


@pytest.mark.parametrize(
    ("selector", "means"),
    [
        ("", True), ("role=nginx", True), ("role=app", False), ("web1", True), ("web2", False), ("web*", True),
        ("web2 | role=nginx", True), ("web", True), ("group=web & env=prod", True), ("group=db", False),
        ("!web2", True), ("!role=nginx", False), ("role!=app", True), ("nosuch=1", False), ("all", True),
    ],
)  # fmt: skip
def test_a_manifests_selector_means_a_host_or_not(selector: str, means: bool) -> None:  # noqa: FBT001
    """Hosts and groups that are not in the run may be named."""
    assert chooses(selector, ROW) is means
