"""Whom a step means, and who may never approve a request: the rules about persons, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from opsnb.control.approvals.values import Flow, Handler, HandlerKind, Subject, Who


def meant(handlers: Iterable[Handler], subject: Subject, who: Who) -> tuple[frozenset[str], bool]:
    """Return the ids of the people whom handlers mean, and whether one of them means anyone."""
    people: set[str] = set()
    anyone = False
    for handler in handlers:
        match handler.kind:
            case HandlerKind.ANYONE:
                anyone = True
            case HandlerKind.PERSON:
                people.add(who.named(handler.name))
            case HandlerKind.ROLE:
                people |= who.holders(handler.name)
            case HandlerKind.LEADER:
                people.add(who.leader(handler.name))
            case HandlerKind.APPLICANT_LEADER:
                people.add(who.leader_of(subject.requester))
    return frozenset(people - {""}), anyone


def conflict(person: str, flow: Flow, subject: Subject, who: Who, now: datetime) -> str:
    """Return why a person's yes to a request is worth nothing whoever let them handle it; empty: it is not.

    Args:
        person: Their id.
        flow: Whether the only person of a workspace may approve their own request.
        subject: What is asked for.
        who: People now.
        now: The moment up to which, since the asking, they must not have stood for the requester.
    """
    name = who.name(person)
    if who.bot(person):
        return f"{name} is a service account, and those never approve"
    if person == subject.requester:
        if not who.alone():
            return f"{name} asked for it, and nobody approves their own request"
        return "" if flow.own else f"{name} asked for it, and the policy wants another person"
    if person in subject.authors:
        return f"{name} is an author of the notebook"
    if who.stood_for(person, subject.requester, subject.asked, now):
        return f"{name} is a delegate of {who.name(subject.requester)}, who asked for it"
    return ""


def standing(person: str, subject: Subject, who: Who, now: datetime) -> str:
    """Return why a person may not approve such a request now; empty: they are active and entitled."""
    if not who.active(person):
        return f"{who.name(person)} is not an active person of this workspace"
    return who.entitled(person, subject, now)
