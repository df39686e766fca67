"""The odd host out: by median and MAD, never by what it does to them itself, never among three."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.kits import linux

CALM = {f"web{n}": 10.0 + n for n in range(8)}
numbers = st.floats(-1e6, 1e6)


def test_a_host_far_from_the_others_is_odd_and_they_are_not():
    """One busy host among eight calm ones is named, with the median of all."""
    middle, odd = linux.scored({**CALM, "web8": 95.0}, least=10)
    assert set(odd) == {"web8"}
    assert middle == median([*CALM.values(), 95.0])
    assert odd["web8"] > 3.5


def test_two_odd_hosts_do_not_hide_each_other():
    """Mean and standard deviation would be moved by both; median and MAD are not."""
    assert set(linux.scored({**CALM, "web8": 95.0, "web9": 99.0}, least=10)[1]) == {"web8", "web9"}


def test_a_host_is_odd_downwards_too():
    """The one host that gets no traffic is as interesting as the one that gets all."""
    odd = linux.scored({f"web{n}": 900.0 + n for n in range(6)} | {"web6": 0.0}, least=100)[1]
    assert list(odd) == ["web6"]
    assert odd["web6"] < -3.5


def test_where_all_agree_but_one_that_one_is_odd():
    """The MAD is 0 there; the mean distance takes its place."""
    assert set(linux.scored({**{f"web{n}": 3.0 for n in range(6)}, "web6": 40.0}, least=3)[1]) == {"web6"}


def test_a_difference_that_nobody_would_act_on_is_not_odd():
    """Far in terms of spread, close in terms of work: nothing."""
    assert linux.scored({**{f"web{n}": 3.0 for n in range(6)}, "web6": 5.0}, least=3)[1] == {}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_under_four_hosts_nobody_is_odd_and_the_record_says_so(count):
    """Two or three values have no middle to be far from."""
    values = {f"web{n}": 1000.0 * n for n in range(count)}
    assert linux.scored(values)[1] == {}
    assert "nobody was judged" in linux.standout_text(dict.fromkeys(values))


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(numbers, min_size=4, max_size=40), st.floats(0, 1e3))
def test_no_more_than_half_of_the_hosts_are_ever_odd(values, least):
    """The odd ones are a minority whatever the values; equal values are judged equally."""
    hosts = {f"h{n}": v for n, v in enumerate(values)}
    _, odd = linux.scored(hosts, least)
    assert len(odd) <= len(hosts) / 2
    assert all(host in odd for host, v in hosts.items() for o in odd if v == hosts[o])


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.floats(0, 100), min_size=4, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_hosts_changes_nothing(values, random):
    """The same hosts in another order are judged alike."""
    hosts = [(f"h{n}", v) for n, v in enumerate(values)]
    shuffled = random.sample(hosts, len(hosts))
    assert linux.scored(dict(hosts))[1] == linux.scored(dict(shuffled))[1]
