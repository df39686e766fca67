"""Grants as people write them: ``approve NGX-* in staging on web up to change``.

::

    ACTION[,ACTION...] [RUNBOOK,...] [in ENVIRONMENT,...] [on GROUP,...] [up to read|change|danger]

Names are globs. What is left out is not limited. :class:`.values.Grant` says itself in the same words.
"""

from __future__ import annotations

import re
from itertools import pairwise

from opsnb.base.errors import UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.people.names import shown
from opsnb.control.people.values import ANY, ON_HOSTS, ON_RUNBOOKS, Action, Grant
from opsnb.control.records import Risk

GLOB = re.compile(r"[\w.*?\[\]!/-]{1,80}")
FORM = "ACTION [RUNBOOK,...] [in ENVIRONMENT,...] [on GROUP,...] [up to RISK]"
EXAMPLE = "like: approve NGX-* in staging on web up to change"
MARKS = ("in", "on", "up")
MAX_GRANTS = 200  # of one role
MAX_GLOBS = 50  # in one list


def parse(text: str) -> tuple[Grant, ...]:
    """Return the grants that a text means: one for each of its actions.

    Raises:
        UsageError: Says which word is wrong.
    """
    words = re.sub(r"\s*,\s*", ",", text).split()
    if not words:
        raise UsageError("a grant is empty", hint=f"{FORM}, {EXAMPLE}")
    actions = [_action(word) for word in words.pop(0).split(",")]
    runbooks = _globs(words.pop(0), "runbooks") if words and words[0] not in MARKS else ANY
    places: dict[str, tuple[str, ...]] = {"in": ANY, "on": ANY}
    risk = Risk.DANGER
    seen: list[str] = []
    while words:
        mark = words.pop(0)
        if mark not in MARKS or mark in seen:
            raise UsageError(f"'{shown(text)}': '{shown(mark)}' is not understood here", hint=f"{FORM}, {EXAMPLE}")
        seen.append(mark)
        if mark == "up":
            risk = _risk(words)
        elif not words:
            raise UsageError(f"'{shown(text)}' ends after '{mark}'", hint=f"{FORM}, {EXAMPLE}")
        else:
            places[mark] = _globs(words.pop(0), "environments" if mark == "in" else "groups")
    grants = (
        Grant(action=a, runbooks=runbooks, environments=places["in"], groups=places["on"], risk=risk) for a in actions
    )
    return tuple(check(grant) for grant in grants)


def check(grant: Grant) -> Grant:
    """Return a grant whose limits mean something for its action.

    Raises:
        UsageError: If it limits what the action has not: a promise that would not be kept.
    """
    action = grant.action
    if action not in ON_RUNBOOKS and (grant.runbooks != ANY or grant.risk is not Risk.DANGER):
        raise UsageError(f"'{grant}': '{action}' is not about runbooks, so neither runbooks nor a risk limit it")
    if action not in ON_HOSTS and (grant.groups != ANY or (grant.environments != ANY and action is not Action.FREEZE)):
        raise UsageError(f"'{grant}': '{action}' is not about hosts, so they do not limit it", hint=f"write: {action}")
    return grant


def _action(word: str) -> Action:
    try:
        return Action(word)
    except ValueError:
        hint = did_you_mean(word, list(Action), what="actions")
        raise UsageError(f"'{shown(word)}' is nothing that a role may allow", hint=hint) from None


def _risk(words: list[str]) -> Risk:
    if len(words) < 2 or words[0] != "to" or words[1] not in set(Risk):  # noqa: PLR2004  ("to" and the risk)
        raise UsageError("after 'up' comes 'to read', 'to change' or 'to danger'", hint=EXAMPLE)
    words.pop(0)
    return Risk(words.pop(0))


def _globs(text: str, what: str) -> tuple[str, ...]:
    globs = text.split(",")
    if wrong := [glob for glob in globs if not GLOB.fullmatch(glob)]:
        raise UsageError(f"'{shown(wrong[0])}' is no name or glob of {what}", hint=EXAMPLE)
    if len(globs) > MAX_GLOBS:
        raise UsageError(f"{len(globs)} {what} in one grant, at most {MAX_GLOBS}", hint="use a glob: web-*")
    if any(a == b for a, b in pairwise(sorted(globs))):
        raise UsageError(f"a name stands twice among the {what} of a grant")
    return tuple(globs)
