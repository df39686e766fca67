"""Why an approval that was given counts no more: what a claim stops at, and what whoever reads the request sees."""

from __future__ import annotations

from datetime import datetime, timedelta

from opsnb.base.clock import stamp
from opsnb.control.approvals.handlers import conflict
from opsnb.control.approvals.values import Act, ActKind
from opsnb.control.flows.case import Case
from opsnb.control.records import Cause


def void(case: Case, act: Act, now: datetime) -> tuple[Cause, str] | None:
    """Return why an approval counts no more; ``None``: nothing stands against it."""
    who, name = case.who, case.who.name
    for person in dict.fromkeys((act.person, act.voice)):
        if not who.active(person):
            return Cause.PERSON, f"{name(person)}, who approved, is not active any more"
        if why := conflict(person, case.flow, case.subject, who, now):
            own = person == case.subject.requester
            stood = who.stood_for(person, case.subject.requester, case.subject.asked, now)
            return Cause.SELF if own else Cause.DELEGATE if stood else Cause.PERSON, why
    handed = any(a.kind is ActKind.DELEGATE and a.to == act.person and a.person == act.voice for a in case.acts)
    if act.on_behalf_of and not handed and (why := who.not_standing(act.person, act.on_behalf_of, now)):
        return Cause.DELEGATE, why
    if why := who.entitled(act.voice, case.subject, now):
        return Cause.ROLE, why
    if now >= act.at + timedelta(seconds=case.flow.validity):
        return Cause.EXPIRED, f"{name(act.person)} approved at {stamp(act.at)}, too long ago"
    return None
