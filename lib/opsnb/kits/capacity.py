"""Capacity: how many application nodes carry a peak, and what happens when nodes are lost or the peak grows.

The formula is ``working = ceil(peak * (1 + headroom) / node_limit)``: the peak is planned larger by the headroom. Its
other reading, ``ceil(peak / (node_limit * (1 - headroom)))``, plans each node smaller by it. Both are shown; they give
the same number for the house's figures and part at other peaks. All arithmetic is exact (``Fraction``): in binary
floating point a peak that fits exactly would now and then cost one node more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import pandas as pd

from opsnb.base.errors import UsageError

SECONDS_IN_DAY = 86_400
FACTORS = (Fraction(1), Fraction(3, 2), Fraction(2))  # of the peak
LOST = (0, 1, 2)  # nodes
LIMIT = Fraction(10**15)  # more than any site has; keeps sums and plots sane
Number = int | float | str | Decimal | Fraction


@dataclass(frozen=True, kw_only=True)
class CapacityPlan:
    """How many nodes, from what, and what follows. Rates are requests/s.

    Args:
        page_views: Page views a day.
        users: Users a day.
        peak: Highest rate.
        node_limit: Rate at which one node gives out, as measured by a load test.
        headroom: Share kept in hand, 0 to below 1.
        spares: Nodes beyond those that work.
    """

    page_views: Fraction
    users: Fraction
    peak: Fraction
    node_limit: Fraction
    headroom: Fraction
    spares: int

    @property
    def needed(self) -> Fraction:
        """The rate to plan for: the peak and its headroom."""
        return self.peak * (1 + self.headroom)

    @property
    def exact(self) -> Fraction:
        """Nodes before rounding up."""
        return self.needed / self.node_limit

    @property
    def working(self) -> int:
        """Nodes that work."""
        return math.ceil(self.exact)

    @property
    def other_exact(self) -> Fraction:
        """Nodes before rounding up, by the other reading of headroom."""
        return self.peak / (self.node_limit * (1 - self.headroom))

    @property
    def other_working(self) -> int:
        """Nodes that work, by the other reading of headroom."""
        return math.ceil(self.other_exact)

    @property
    def total(self) -> int:
        """Nodes to have: working and spare."""
        return self.working + self.spares

    @property
    def mean(self) -> Fraction:
        """Page views a second, over the whole day."""
        return self.page_views / SECONDS_IN_DAY

    @property
    def views_per_user(self) -> Fraction | None:
        """Page views a day for each user; ``None`` without users."""
        return self.page_views / self.users if self.users else None

    def load(self, factor: Fraction, lost: int) -> Fraction | None:
        """Return the share of the remaining nodes' limit in use at ``factor`` times the peak, 1 is all of it.

        Args:
            factor: Times the peak.
            lost: Nodes that are gone, of all nodes; spares are taken to serve like the others.

        Returns:
            The share; ``None`` when no node is left.
        """
        left = self.total - lost
        return self.peak * factor / (left * self.node_limit) if left > 0 else None


def plan_capacity(
    *, page_views: Number, users: Number, peak: Number, node_limit: Number, headroom: Number, spares: int
) -> CapacityPlan:
    """Return the capacity plan.

    Args:
        page_views: Page views a day, 0 or more.
        users: Users a day, 0 or more.
        peak: Highest rate, requests/s, above 0. It is measured: page views give the mean only.
        node_limit: Requests/s at which one node gives out, above 0.
        headroom: Share kept in hand, 0 to below 1.
        spares: Nodes beyond those that work, 0 or more.

    Raises:
        UsageError: If a figure is out of range or not a number, with its name.
    """
    figures = {
        "page_views": _exact("page_views", page_views),
        "users": _exact("users", users),
        "peak": _exact("peak", peak, above_zero=True),
        "node_limit": _exact("node_limit", node_limit, above_zero=True),
        "headroom": _exact("headroom", headroom),
    }
    if figures["headroom"] >= 1:
        raise UsageError(f"headroom is {headroom}; it is a share, from 0 to below 1", hint="30 % is 0.30")
    if isinstance(spares, bool) or not isinstance(spares, int) or not 0 <= spares <= LIMIT:
        raise UsageError(f"spares is {spares!r}; it is a whole number of nodes, 0 or more")
    return CapacityPlan(**figures, spares=spares)


def nodes_table(plan: CapacityPlan) -> pd.DataFrame:
    """Return the sum, line by line: columns ``what``, ``value``, ``how``."""
    each = plan.views_per_user
    peak, limit, headroom = _text(plan.peak), _text(plan.node_limit), _text(plan.headroom)
    rows = [
        ("mean rate", f"{_text(plan.mean)} page views/s", f"{_text(plan.page_views)} / {SECONDS_IN_DAY:,} s"),
        ("views per user", _text(each) if each is not None else "-", f"{_text(plan.users)} users a day"),
        ("peak over mean", f"{_text(plan.peak / plan.mean)} times" if plan.mean else "-", "requests/s to page views/s"),
        ("rate to plan for", f"{_text(plan.needed)} requests/s", f"{peak} x (1 + {headroom})"),
        ("working nodes", str(plan.working), f"{_text(plan.needed)} / {limit} = {_text(plan.exact)}, rounded up"),
        ("the other reading", str(plan.other_working),
         f"{peak} / ({limit} x (1 - {headroom})) = {_text(plan.other_exact)}, rounded up"),
        ("spare nodes", str(plan.spares), "for a failure, a release, maintenance"),
        ("nodes in all", str(plan.total), f"{plan.working} working + {plan.spares} spare"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "value", "how"])


def loss_table(plan: CapacityPlan) -> pd.DataFrame:
    """Return what the nodes carry at 1, 1.5 and 2 times the peak with 0, 1 and 2 of all nodes lost.

    Columns: ``peak_times``, ``requests_s``, ``nodes_lost``, ``nodes_left``, ``load_percent`` (of the limit of the nodes
    that are left; NaN without any), ``verdict`` (see :func:`verdict`), ``short_by`` (nodes missing
    until the limit holds), ``nodes_wanted`` (working nodes that this rate wants with its headroom).
    """
    rows = []
    for factor in FACTORS:
        rate = plan.peak * factor
        wanted = math.ceil(rate * (1 + plan.headroom) / plan.node_limit)
        for lost in LOST:
            left = max(0, plan.total - lost)
            share = plan.load(factor, lost)
            short = max(0, math.ceil(rate / plan.node_limit) - left)
            rows.append((float(factor), float(rate), lost, left, float(share * 100) if share is not None else math.nan,
                         verdict(share, plan.headroom), short, wanted))  # fmt: skip
    names = [
        "peak_times",
        "requests_s",
        "nodes_lost",
        "nodes_left",
        "load_percent",
        "verdict",
        "short_by",
        "nodes_wanted",
    ]
    return pd.DataFrame(rows, columns=names)


def verdict(share: Fraction | None, headroom: Fraction) -> str:
    """Return what a load means: ``within headroom`` up to 1 / (1 + headroom), ``headroom in use`` below 1."""
    if share is None or share > 1:
        return "OVERLOADED"
    if share == 1:
        return "at the limit"
    return "within headroom" if share * (1 + headroom) <= 1 else "headroom in use"


def summary(plan: CapacityPlan) -> str:
    """Return the plan in sentences."""
    same = plan.other_working == plan.working
    first = plan.load(Fraction(1), 0)
    lines = [
        f"{plan.total} nodes: {plan.working} working + {plan.spares} spare.",
        f"The other reading of headroom gives {plan.other_working} working nodes"
        + (
            " too." if same else f": decide which one you mean before you buy ({plan.other_working - plan.working:+d})."
        ),
    ]
    if first is not None:
        lines.append(f"At the peak all {plan.total} together are at {float(first * 100):.0f} % of their limit.")
    if plan.mean > plan.peak:
        lines.append("The peak is below the mean of the page views: right only if a cache answers most of them.")
    return "\n".join(lines)


def load_chart(plan: CapacityPlan) -> Any:
    """Return a figure: load of the remaining nodes, % of their limit, by nodes lost, one group for each peak."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.9), layout="constrained")
    axes = figure.subplots()
    for position, (factor, colour) in enumerate(zip(FACTORS, ("#9dc3e6", "#2f6fb2", "#173a5e"), strict=True)):
        shares = [plan.load(factor, lost) for lost in LOST]
        heights = [float(s * 100) if s is not None else 0.0 for s in shares]
        texts = [f"{h:.0f} %" if s is not None else "no node" for s, h in zip(shares, heights, strict=True)]
        label = f"{float(factor):g} x peak ({_text(plan.peak * factor)}/s)"
        bars = axes.bar([lost + 0.27 * (position - 1) for lost in LOST], heights, 0.25, color=colour, label=label)
        axes.bar_label(
            bars, labels=texts, padding=2, fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        )
    inside = float(100 / (1 + plan.headroom))
    axes.axhline(100, color="#c0392b", linewidth=1.4, label="limit of the nodes")
    axes.axhline(inside, color="#7a7f87", linestyle="--", linewidth=1.2, label=f"headroom begins ({inside:.0f} %)")
    left = [max(0, plan.total - lost) for lost in LOST]
    axes.set_xticks(LOST, labels=[f"{lost} lost, {n} left" for lost, n in zip(LOST, left, strict=True)])
    axes.set_ylim(0, max(axes.get_ylim()[1], 115) * 1.06)
    axes.set_title("Load of the nodes that are left, % of their limit", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _exact(name: str, value: Number, *, above_zero: bool = False) -> Fraction:
    try:
        if isinstance(value, bool):
            raise TypeError  # noqa: TRY301  (the one message below fits)
        exact = value if isinstance(value, Fraction) else Fraction(Decimal(str(value)))  # 0.3 means three tenths
    except (InvalidOperation, ValueError, OverflowError, TypeError) as error:
        raise UsageError(f"{name} is {value!r}; it is a finite number") from error
    if exact < 0 or (above_zero and not exact) or exact > LIMIT:
        wanted = "above 0" if above_zero else "0 or more"
        raise UsageError(f"{name} is {value}; it is {wanted} and at most 10**15")
    return exact


def _text(value: Fraction) -> str:
    """Return a number for a reader: whole numbers whole, others to two decimals, with separators."""
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.2f}"
