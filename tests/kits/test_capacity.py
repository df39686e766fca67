"""Capacity: the house's figures, exact arithmetic, monotonicity, an oracle."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.kits import capacity
from opsnb.runbook.show import _png

HOUSE = {"page_views": 10_000_000, "users": 800_000, "peak": 1200.0, "node_limit": 300.0, "headroom": 0.30, "spares": 2}
rates = st.decimals(min_value=Decimal("0.01"), max_value=10**6, places=2)
shares = st.decimals(min_value=0, max_value=Decimal("0.95"), places=2)
plans = st.builds(
    capacity.plan_capacity, page_views=st.integers(0, 10**9), users=st.integers(0, 10**7), peak=rates, node_limit=rates,
    headroom=shares, spares=st.integers(0, 20),
)  # fmt: skip


def house(**changes):
    """Return the plan for the house's figures, some changed."""
    return capacity.plan_capacity(**{**HOUSE, **changes})


def test_the_houses_figures_give_eight_nodes():
    """10 million views, 1,200 requests/s, 300 a node, 30 % and 2 spares: 6 working + 2 spare, by both readings."""
    plan = house()
    assert (plan.total, plan.working, plan.spares, plan.other_working) == (8, 6, 2, 6)
    assert plan.exact == Fraction(26, 5)
    assert plan.other_exact == Fraction(40, 7)
    assert float(plan.mean) == pytest.approx(115.74, abs=0.01)
    assert plan.views_per_user == Fraction(25, 2)


def test_the_house_survives_two_lost_nodes_at_its_peak_and_not_at_twice_it():
    """The table's percentages and verdicts, row by row."""
    table = capacity.loss_table(house())
    assert [round(v, 1) for v in table["load_percent"]] == [50.0, 57.1, 66.7, 75.0, 85.7, 100.0, 100.0, 114.3, 133.3]
    assert table["verdict"].tolist() == [
        *["within headroom"] * 4, "headroom in use", "at the limit", "at the limit", "OVERLOADED", "OVERLOADED",
    ]  # fmt: skip
    assert table["short_by"].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 2]
    assert table["nodes_wanted"].tolist() == [6, 6, 6, 8, 8, 8, 11, 11, 11]


@pytest.mark.parametrize(
    ("peak", "limit", "headroom", "working"),
    [
        (1000, 1100, 0.1, 1),  # 1000 * 1.1 = 1100.0000000000002 in binary
        (300, 110, 0.1, 3),  # 300 * 1.1 / 110 = 3.0000000000000004
        (100, 115, 0.15, 1),  # 100 * 1.15 = 114.99999999999999
        (1200, 300, 0.25, 5),  # exactly 5
        (1200.01, 300, 0.25, 6),  # just above
        (0.3, 0.1, 0.0, 3),  # 0.3 / 0.1 = 2.9999999999999996
    ],
)
def test_a_peak_that_fits_exactly_costs_no_extra_node(peak, limit, headroom, working):
    """Figures mean the decimals that were typed: no binary rest rounds a node up, and none is lost either."""
    assert house(peak=peak, node_limit=limit, headroom=headroom).working == working


def test_the_two_readings_part_and_the_summary_says_so():
    """At 1,300 requests/s the second reading wants one node more, and the reader is told to decide."""
    plan = house(peak=1300)
    assert (plan.working, plan.other_working) == (6, 7)
    assert "decide which one you mean before you buy (+1)" in capacity.summary(plan)


@settings(deadline=None)  # a busy machine is no failure
@given(plans)
def test_working_nodes_are_enough_and_not_one_too_many(plan):
    """The oracle: an integer search finds the same number of nodes."""
    cents_needed = plan.peak * 100 * (100 + plan.headroom * 100)
    node = plan.node_limit * 100 * 100
    oracle = -(-cents_needed // node)
    assert plan.working == oracle
    assert plan.working * plan.node_limit >= plan.needed > (plan.working - 1) * plan.node_limit


@settings(deadline=None)  # a busy machine is no failure
@given(plans)
def test_the_other_reading_never_wants_fewer_nodes(plan):
    """1 / (1 - h) is never below 1 + h, so it is the more careful one."""
    assert plan.other_working >= plan.working


@settings(deadline=None)  # a busy machine is no failure
@given(plans, st.sampled_from(["peak", "headroom", "node_limit"]), st.integers(1, 90))
def test_more_peak_or_headroom_never_needs_fewer_nodes_and_stronger_nodes_never_more(plan, field, percent):
    """The number of nodes is monotone in each figure."""
    figures = {n: getattr(plan, n) for n in ("page_views", "users", "peak", "node_limit", "headroom", "spares")}
    step = Fraction(percent, 100)
    figures[field] = (
        min(figures[field] + step, Fraction(99, 100)) if field == "headroom" else figures[field] * (1 + step)
    )
    changed = capacity.plan_capacity(**figures)
    if field == "node_limit":
        assert changed.total <= plan.total
    else:
        assert changed.total >= plan.total


@settings(deadline=None)  # a busy machine is no failure
@given(plans)
def test_losing_nodes_or_growing_never_lowers_the_load(plan):
    """Loads grow with lost nodes and with the peak, and 'short by' is what brings the load to 100 % or less."""
    table = capacity.loss_table(plan)
    for _, group in table.groupby("peak_times"):
        loads = group["load_percent"].fillna(math.inf).tolist()
        assert loads == sorted(loads)
    for row in table.to_dict("records"):
        rate = plan.peak * Fraction(row["peak_times"])
        assert rate <= (row["nodes_left"] + row["short_by"]) * plan.node_limit
        assert (row["verdict"] == "OVERLOADED") == (row["short_by"] > 0)


def test_no_node_left_is_said_and_drawn():
    """One node without spares: losing it is an overload without a percentage, in the table and in the plot."""
    plan = house(peak=10, spares=0)
    table = capacity.loss_table(plan)
    assert table["nodes_left"].tolist()[:3] == [1, 0, 0]
    assert math.isnan(table["load_percent"][1])
    assert table["verdict"][1] == "OVERLOADED"
    assert _png(capacity.load_chart(plan))


def test_a_peak_below_the_mean_and_no_users_are_said():
    """Contradicting figures are pointed out; a site without users divides by nothing."""
    plan = house(peak=100, users=0)
    assert "below the mean" in capacity.summary(plan)
    assert capacity.nodes_table(plan).set_index("what").loc["views per user"]["value"] == "-"
    assert capacity.nodes_table(house(page_views=0)).set_index("what").loc["peak over mean"]["value"] == "-"


@pytest.mark.parametrize(
    ("field", "value"),
    [("peak", 0), ("peak", -1), ("peak", float("nan")), ("peak", "many"), ("peak", True), ("peak", None),
     ("node_limit", 0), ("node_limit", float("inf")), ("headroom", 1), ("headroom", -0.1), ("spares", -1),
     ("spares", 1.5), ("spares", True), ("page_views", -1), ("users", 1e16)],
)  # fmt: skip
def test_a_figure_out_of_range_is_refused_by_name(field, value):
    """The message names the figure and what it may be."""
    with pytest.raises(UsageError, match=f"^{field} is "):
        house(**{field: value})
