"""The strictest of several flows: one that is satisfied only when each of them would be. Rules without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opsnb.control.approvals.values import Flow, Handler, HandlerKind, Need, Step

NOTEBOOK = "notebook"  # the step that a notebook's own wish adds
Key = frozenset[Handler]  # whom a step means


def least(one: int, other: int) -> int:
    """Return the lower of two bounds, where 0 is none."""
    return min(one, other) if one and other else one or other


def people(steps: Sequence[Step]) -> int:
    """Return how many different people steps need at least; one counts once in a flow."""
    return sum(1 if s.need is Need.ANY else s.count for s in steps)


def combined(flows: Sequence[Flow]) -> Flow:
    """Return a flow that asks for what each of several asks for.

    Steps that mean the same people are asked once, for the greatest number. Where one flow asks for a number of
    anybody, whoever is asked by another counts towards it. Order is kept where one of them has an order; a call for
    further handlers is kept where all agree on it.
    """
    kept: list[Step] = []
    for key in dict.fromkeys(_key(s) for f in flows for s in f.steps):
        groups = [[s for s in f.steps if _key(s) == key] for f in flows]
        kept += _agreed([g for g in groups if g]) if key != _ANYONE else []
    missing = max(people(f.steps) for f in flows) - people(kept)
    wanted = [s for f in flows for s in f.steps if _key(s) == _ANYONE]
    if missing > 0 and wanted:
        kept.append(replace(_agreed([[s] for s in wanted])[0], need=Need.SOME, count=missing))
    return Flow(
        steps=_named_apart(kept),
        parallel=all(f.parallel or len(f.steps) < 2 for f in flows) and len(kept) > 1,  # noqa: PLR2004
        open_for=min(f.open_for for f in flows),
        validity=min(f.validity for f in flows),
        own=all(f.own for f in flows),
        review=min((f.review for f in flows if f.review), default=0.0),
    )


def at_least(flow: Flow, count: int) -> Flow:
    """Return a flow that asks for ``count`` different people or more: as it is where it does already."""
    missing = count - people(flow.steps)
    if missing <= 0:
        return flow
    if len(flow.steps) == 1 and flow.steps[0].need is not Need.ALL:
        return replace(flow, steps=(replace(flow.steps[0], need=Need.SOME, count=count),))
    anyone = (Handler(kind=HandlerKind.ANYONE),)
    more = Step(name=NOTEBOOK, handlers=anyone, need=Need.SOME, count=missing)
    return replace(flow, steps=_named_apart([*flow.steps, more]))


def _key(step: Step) -> Key:
    """Whom a step means; who is meant beside anyone makes no difference."""
    if any(h.kind is HandlerKind.ANYONE for h in step.handlers):
        return _ANYONE
    return frozenset(step.handlers)


_ANYONE: Key = frozenset({Handler(kind=HandlerKind.ANYONE)})


def _agreed(groups: list[list[Step]]) -> list[Step]:
    """Of the steps that mean the same people, those of the flow that asks for most; all of them where one wants all."""
    most = max(groups, key=people)
    if every := [g for g in groups if any(s.need is Need.ALL for s in g)]:
        longest = max(every, key=len)
        most = longest if len(longest) > 1 else [replace(longest[0], count=people(most))]
    calls = {(s.within, s.escalate_to) for g in groups for s in g}
    return most if len(calls) == 1 else [replace(s, within=0.0, escalate_to=()) for s in most]


def _named_apart(steps: Sequence[Step]) -> tuple[Step, ...]:
    found: dict[str, Step] = {}
    for step in steps:
        name, number = step.name, 1
        while name in found:
            number += 1
            name = f"{step.name} {number}"
        found[name] = replace(step, name=name)
    return tuple(found.values())
