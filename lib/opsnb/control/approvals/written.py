"""``policies:`` of ``opsnb.yaml``, read strictly into values. Who the people named in it are is asked later."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsnb.base.errors import ParameterError, SettingsError
from opsnb.base.nearest import did_you_mean
from opsnb.base.parameters import duration_seconds
from opsnb.control.approvals.freeze import Freeze, Moment
from opsnb.control.approvals.policy import ANYONE, GLASS_MOST, GLASS_REVIEW, REVIEW, Free, Glass, Policies, Policy, Rule
from opsnb.control.approvals.values import DAY, HOUR, Flow, Handler, HandlerKind, Need, Step
from opsnb.control.records import Risk

NAME = re.compile(r"\w[\w.-]{0,62}")  # of a policy, step, freeze: any script
MAX_PEOPLE = 20  # approvals that one step may ask for
MAX_ITEMS = 100  # of one list
MAX_HOSTS = 100_000
MAX_TEXT = 200  # characters
SELF = {"while_alone": True, "never": False}
ORDER = {"in_order": False, "parallel": True}
NAMELESS = {HandlerKind.ANYONE, HandlerKind.APPLICANT_LEADER}
APPROVE = "approve"  # the one step of a policy that writes no steps

Reader = Callable[[Any], Any]


def read_policies(value: Mapping[str, Any]) -> Policies:
    """Return the policies that the settings hold, in their order.

    Raises:
        SettingsError: Names the policy, the key, what was found and what was wanted.
    """
    return Policies(rules=tuple(_rule(name, found) for name, found in value.items()))


class _Fields:
    """The fields of one mapping; each is taken once, and what is left over is unknown."""

    def __init__(self, at: str, value: Any, known: Mapping[str, Reader]) -> None:
        self.at, self.known = at, known
        if not isinstance(value, Mapping):
            raise SettingsError(f"{at}: found {value!r:.60}, wanted keys and values")
        for key in value:
            if key not in known:
                raise SettingsError(f"{at}: unknown key '{key}'", hint=did_you_mean(str(key), known, what="keys"))
        self.values = {key: self._read(key, found) for key, found in value.items()}

    def _read(self, key: str, found: Any) -> Any:
        try:
            return self.known[key](found)
        except ParameterError as error:
            raise SettingsError(f"{self.at}.{key}: {error.message}", hint=error.hint) from None
        except SettingsError as error:  # of a field further inside, which names the rest of the way
            raise SettingsError(f"{self.at}.{error.message}", hint=error.hint) from None

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field's value."""
        return self.values.get(key, default)

    def refuse(self, key: str, why: str, hint: str = "") -> SettingsError:
        """Return the error that says why a field cannot stand there."""
        return SettingsError(f"{self.at}.{key}: {why}", hint=hint)


# -- one policy ----------------------------------------------------------------------------------------------------


def _rule(name: str, value: Any) -> Rule:
    at = f"policies.{name}"
    if not NAME.fullmatch(name):
        raise SettingsError(f"{at}: wanted a name of up to 63 letters, digits, dots, dashes")
    fields = _Fields(at, value, POLICY)
    risks = fields.get("risk", frozenset({Risk.CHANGE, Risk.DANGER}))
    flow = Flow(
        steps=_steps(fields, value),
        parallel=fields.get("order", False),
        open_for=fields.get("open_for", 7 * DAY),
        validity=fields.get("validity", DAY),
        own=fields.get("self_approval", True),
        review=fields.get("review", 0.0),
    )
    policy = Policy(
        names=(name,), steps=flow, free=_free(fields), notice=fields.get("notice", ()),
        max_hosts=fields.get("max_hosts", 0), batch=fields.get("batch", 0), freezes=fields.get("freezes", ()),
        protected=fields.get("protected", False), grant=fields.get("grant", HOUR), glass=_glass(fields),
    )  # fmt: skip
    return Rule(
        policy=policy, risks=risks, environments=fields.get("environments", ("*",)),
        runbooks=fields.get("runbooks", ("*",)),
    )  # fmt: skip


def _steps(fields: _Fields, value: Mapping[str, Any]) -> tuple[Step, ...]:
    if "steps" in value:
        for key in ("approvals", "by", "within", "escalate_to"):
            if key in value:
                raise fields.refuse(key, "does not go with 'steps'", f"write {key} into a step")
        steps: tuple[Step, ...] = fields.get("steps")
        if len({s.name for s in steps}) != len(steps):
            raise fields.refuse("steps", "two steps have the same name")
        return steps
    if fields.get("approvals") == (Need.SOME, 0):
        for key in ("by", "within", "escalate_to"):
            if key in value:
                raise fields.refuse(key, "does not go with 'approvals: 0'")
        return ()
    return (_step(fields, APPROVE),)


def _step(fields: _Fields, name: str) -> Step:
    need, count = fields.get("approvals", (Need.SOME, 1))
    handlers = fields.get("by", ANYONE)
    if count < 1:
        raise fields.refuse("approvals", "a step needs at least 1")
    if need is Need.ALL and any(h.kind is HandlerKind.ANYONE for h in handlers):
        raise fields.refuse("approvals", "'all' of anyone is nobody in particular", "by: [role:NAME, person:NAME]")
    if bool(fields.get("within")) != bool(fields.get("escalate_to")):
        raise fields.refuse("within", "'within' and 'escalate_to' go together")
    return Step(
        name=name, handlers=handlers, need=need, count=count, within=fields.get("within", 0.0),
        escalate_to=fields.get("escalate_to", ()),
    )  # fmt: skip


def _written_steps(value: Any) -> tuple[Step, ...]:
    found = []
    for number, item in enumerate(_list(value), 1):
        fields = _Fields(f"steps.{number}", item, STEP)
        found.append(_step(fields, fields.get("name", f"{APPROVE} {number}")))
    return tuple(found)


def _free(fields: _Fields) -> tuple[Free, ...]:
    free = fields.get("free")
    return () if free is None else (free,)


def _glass(fields: _Fields) -> tuple[Glass, ...]:
    glass = fields.get("break_glass")
    return () if glass is None else (glass,)


def _read_glass(value: Any) -> Glass:
    fields = _Fields("break_glass", value, BREAK_GLASS)
    people = _named(fields, "break_glass: {for: [role:duty-lead], at_most: 30m, notice: [...]}")
    return Glass(
        people=people, notice=fields.get("notice", ()), at_most=fields.get("at_most", GLASS_MOST),
        review=fields.get("review", GLASS_REVIEW),
    )  # fmt: skip


def _named(fields: _Fields, hint: str) -> tuple[Handler, ...]:
    """Whom ``for`` means: people in particular."""
    people: tuple[Handler, ...] = fields.get("for", ())
    if not people:
        raise ParameterError("'for' is missing", hint=hint)
    if any(h.kind in NAMELESS for h in people):
        raise ParameterError("'for' names persons, roles or leaders", hint=hint)
    return people


def _read_free(value: Any) -> Free:
    fields = _Fields("free", value, FREE)
    hint = "free: {for: [role:on-call], runbooks: [...], notice: [...]}"
    for key in ("for", "runbooks", "notice"):
        if not fields.get(key):
            raise ParameterError(f"'{key}' is missing", hint=hint)
    return Free(
        people=_named(fields, hint), runbooks=fields.get("runbooks"), notice=fields.get("notice"),
        review=fields.get("review", REVIEW),
    )  # fmt: skip


def _read_freezes(value: Any) -> tuple[Freeze, ...]:
    if not isinstance(value, Mapping):
        raise ParameterError(f"found {value!r:.60}, wanted names with from and to")
    found = []
    for name, item in value.items():
        if not NAME.fullmatch(str(name)):
            raise ParameterError(f"found {name!r:.70}, wanted a name of up to 63 letters, digits, dots, dashes")
        fields = _Fields(f"freezes.{name}", item, FREEZE)
        begin, end = fields.get("from"), fields.get("to")
        if begin is None or end is None or begin.kind != end.kind:
            raise fields.refuse("to", "'from' and 'to' are of one kind", "from: Fri 18:00 and to: Mon 08:00")
        if begin == end or (begin.day and (end.day, end.clock) < (begin.day, begin.clock)):
            raise fields.refuse("to", "ends before it begins")
        zone, why = fields.get("zone", "UTC"), fields.get("why", "")
        found.append(Freeze(name=str(name), begin=begin, end=end, zone=zone, why=why))
    return tuple(found)


# -- one value -----------------------------------------------------------------------------------------------------


def _list(value: Any) -> list[Any]:
    found = value if isinstance(value, list) else [value]
    if not found or len(found) > MAX_ITEMS:
        raise ParameterError(f"found {len(found)} items, wanted 1 to {MAX_ITEMS}")
    return found


def _texts(value: Any) -> tuple[str, ...]:
    for item in _list(value):
        if not isinstance(item, str) or len(item) > MAX_TEXT or not item.isprintable():
            raise ParameterError(f"found {item!r:.60}, wanted text")
    return tuple(_list(value))


def _risks(value: Any) -> frozenset[Risk]:
    texts = _texts(value)
    for text in texts:
        if text not in {Risk.CHANGE, Risk.DANGER}:
            raise ParameterError(f"found {text!r}, wanted change or danger", hint="risk read never needs an approval")
    return frozenset(Risk(t) for t in texts)


def _handlers(value: Any) -> tuple[Handler, ...]:
    found = []
    for text in _texts(value):
        kind, _, name = text.partition(":")
        if kind not in set(HandlerKind) or (kind in NAMELESS) == bool(name.strip()):
            hint = "person:NAME, role:NAME, leader:DEPARTMENT, applicant_leader or anyone"
            raise ParameterError(f"found {text[:60]!r}, wanted who", hint=hint)
        found.append(Handler(kind=HandlerKind(kind), name=name.strip()))
    return tuple(dict.fromkeys(found))


def _approvals(value: Any) -> tuple[Need, int]:
    if value in ("all", "any"):
        return Need(value), 1
    return Need.SOME, _number(value, 0, MAX_PEOPLE)


def _number(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ParameterError(f"found {value!r:.60}, wanted a number from {least} to {most}")
    return value


def _bound(most: int) -> Reader:
    return lambda value: _number(value, 1, most)


def _seconds(most: float) -> Reader:
    def read(value: Any) -> float:
        plain = isinstance(value, int | float | str) and not isinstance(value, bool)
        seconds = duration_seconds(str(value)) if plain else 0.0
        if not 0 < seconds <= most:
            wanted = f"wanted a duration up to {most / HOUR:.0f}h"
            raise ParameterError(f"found {value!r:.60}, {wanted}", hint="like 45m, 1h")
        return seconds

    return read


def _choice(choices: Mapping[str, bool]) -> Reader:
    def read(value: Any) -> bool:
        if value not in choices:
            raise ParameterError(f"found {value!r:.60}, wanted {' or '.join(choices)}")
        return choices[value]

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ParameterError(f"found {value!r:.60}, wanted true or false")
    return value


def _moment(value: Any) -> Moment:
    return Moment.parse(value if isinstance(value, str) else repr(value))


def _zone(value: Any) -> str:
    try:
        return str(ZoneInfo(str(value)))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ParameterError(
            f"found {value!r:.60}, wanted a time zone", hint="Asia/Shanghai, Europe/Berlin, UTC"
        ) from None


def _text(value: Any) -> str:
    return _texts([value])[0]


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ParameterError(f"found {value!r:.70}, wanted a name of up to 63 letters, digits, dots, dashes")
    return value


ASKS: dict[str, Reader] = {
    "approvals": _approvals,
    "by": _handlers,
    "within": _seconds(30 * DAY),
    "escalate_to": _handlers,
}
STEP: dict[str, Reader] = {"name": _name, **ASKS}
FREE: dict[str, Reader] = {"for": _handlers, "runbooks": _texts, "notice": _handlers, "review": _seconds(7 * DAY)}
BREAK_GLASS: dict[str, Reader] = {
    "for": _handlers,
    "notice": _handlers,
    "at_most": _seconds(GLASS_MOST),
    "review": _seconds(GLASS_REVIEW),
}
FREEZE: dict[str, Reader] = {"from": _moment, "to": _moment, "zone": _zone, "why": _text}
POLICY: dict[str, Reader] = {
    "risk": _risks,
    "environments": _texts,
    "runbooks": _texts,
    **ASKS,
    "steps": _written_steps,
    "order": _choice(ORDER),
    "open_for": _seconds(90 * DAY),
    "validity": _seconds(30 * DAY),
    "self_approval": _choice(SELF),
    "max_hosts": _bound(MAX_HOSTS),
    "batch": _bound(MAX_HOSTS),
    "freezes": _read_freezes,
    "free": _read_free,
    "break_glass": _read_glass,
    "notice": _handlers,
    "review": _seconds(7 * DAY),
    "protected": _flag,
    "grant": _seconds(8 * HOUR),
}
