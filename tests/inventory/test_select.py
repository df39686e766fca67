"""Selectors: which hosts they mean, and what is said about those that mean none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventories import SHOP
from opsnb.base.errors import InventoryError
from opsnb.fleet.inventory import loads

INVENTORY = loads(SHOP)


@pytest.mark.parametrize(
    ("selector", "hosts"),
    [
        ("web1", "web1"),
        ("web3,web1", "web1 web3"),
        ("web*", "web1 web2 web3"),
        ("web[12]", "web1 web2"),
        ("all", "bastion web1 web2 web3 db1"),
        ("web", "web1 web2 web3"),
        ("role=nginx", "web1 web2 web3"),
        ("role=nginx & env=prod & !web2", "web1"),
        ("role = nginx & environment = prod", "web1 web2"),
        ("env!=prod", "web3"),
        ("role=n*", "web1 web2 web3"),
        ("role=*", "web1 web2 web3 db1"),
        ("!role=nginx", "bastion db1"),
        ("!(web1,web2) & web", "web3"),
        ("!web1,web2 & web", "web3"),
        ("bastion | role=nginx & env=test", "bastion web3"),
        ("(bastion | role=nginx) & env=prod", "bastion web1 web2"),
        ("group=prod", "web1 web2 db1"),
        ("service=shop", "web1 web2 web3"),
        ("service=shop & env=prod", "web1 web2"),
        ("rack=12", "db1"),
        ('"web1"', "web1"),
        ("localhost", "localhost"),
        ("localhost | web1", "web1 localhost"),
        ("!!web1", "web1"),
    ],
)
def test_a_selector_means_hosts_in_the_order_of_the_inventory(selector, hosts):
    """Each form of a selector gives the hosts that it names, in the inventory's order."""
    assert INVENTORY.select(selector) == tuple(hosts.split())


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("wep1", "no host or group is called 'wep1'", "did you mean 'web1'?"),
        ("rol=nginx", "no host has the label 'rol'", "did you mean 'role'?"),
        ("role=ngnix", "no host has role=ngnix", "did you mean 'nginx'?"),
        ("env=prd", "no host has env=prd", "did you mean 'prod'?"),
        ("service=shpo", "no service is called 'shpo'", "did you mean 'shop'?"),
        ("group=prd", "no group is called 'prd'", "did you mean 'prod'?"),
        ("shop", "'shop' is a service, not a host or group", "service=shop"),
        ("web1 & web2", "means no host", "opsnb host list"),
        ("zzz*", "means no host", "opsnb host list"),
        ("", "the selector is empty", "all"),
        ("  ", "the selector is empty", "all"),
        ("web1 web2", "column 6: 'web2' is one too many", "|"),
        ("web1 &", "column 7: it ends here", ""),
        ("(web1", "parenthesis of column 1 is not closed", ""),
        ("web1)", "column 5: ')' is one too many", ""),
        ("web*,!web3", "'!' stands in a list", "& !NAME"),
        ("role=", "it ends here, wanted a value", ""),
        ("& web1", "found '&', wanted a host, a group or key=value", ""),
        ('"web1', "a quotation mark is not closed", ""),
        ("!" * 40 + "web1", "nested more than", ""),
        ("(" * 40 + "web1" + ")" * 40, "nested more than", ""),
        ("a" * 20000, "at most 16384 are read", ""),
    ],
)
def test_a_selector_that_means_no_host_says_so_and_names_the_nearest(selector, message, hint):
    """What is unknown, empty or no selector is an error that says where and what would be right."""
    with pytest.raises(InventoryError) as caught:
        INVENTORY.select(selector)
    assert message in caught.value.message
    assert hint in caught.value.hint


NAMES = [*INVENTORY.hosts]
leaves = st.sampled_from([*NAMES, "all", "web", "prod", "role=nginx", "env!=prod", "role=m*", "web*"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} & {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} | {p[1]})"),
        inner.map(lambda e: f"!({e})"),
    ),
    max_leaves=8,
)


def chosen(selector: str) -> set[str]:
    """Return what a selector means; nothing when it means no host."""
    try:
        return set(INVENTORY.select(selector))
    except InventoryError as error:
        assert "means no host" in error.message  # noqa: PT017 - an empty set is a value here
        return set()


@given(expressions, expressions)
def test_selectors_are_sets(one, other):
    """``&``, ``|`` and ``!`` are intersection, union and complement, whatever stands in them."""
    assert chosen(f"({one}) & ({other})") == chosen(one) & chosen(other)
    assert chosen(f"({one}) | ({other})") == chosen(one) | chosen(other)
    assert chosen(f"!({one})") == set(NAMES) - chosen(one)
    assert chosen(f"{one} & !({one})") == set()


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text):
    """Any text is a selection of known hosts or an error of ours."""
    try:
        found = INVENTORY.select(text)
    except InventoryError:
        return
    assert found
    assert set(found) <= {*NAMES, "localhost"}


def test_a_hostile_glob_is_answered_at_once():
    """Many stars do not make the matcher slow."""
    started = time.perf_counter()
    with pytest.raises(InventoryError):
        INVENTORY.select("*a" * 2000 + "!")
    with pytest.raises(InventoryError):
        INVENTORY.select("*w" * 2000)
    assert time.perf_counter() - started < 1
