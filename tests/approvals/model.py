"""The rules of approvals once more, written from docs/approvals.md and nothing else: slow, flat, one reason a line.

``worth`` says of one approval which rules it breaks; ``status`` says what all acts come to. The engine is compared with
it over random worlds, and each rule can be broken here to see that the comparison would notice.
"""

from __future__ import annotations

from datetime import timedelta


def means(handlers, subject, people):
    """Everybody whom handlers mean; None is anybody."""
    found = set()
    for handler in handlers:
        kind = str(handler.kind)
        if kind == "anyone":
            found.add(None)
        elif kind == "person" and people.named(handler.name):
            found.add(handler.name)
        elif kind == "role":
            found |= people.roles.get(handler.name, frozenset())
        elif kind == "leader":
            found.add(people.leaders.get(handler.name, ""))
        elif kind == "applicant_leader":
            found.add(people.leaders_of.get(subject.requester, ""))
    return found - {""}


def alone(people):
    """One active person, service accounts aside."""
    return sum(p not in people.bots for p in people.active_ones) == 1


def never(person, flow, subject, people, now):
    """Whether a person's yes is worth nothing, whoever let them handle it."""
    if person in people.bots:
        return True
    if person == subject.requester:
        return not (flow.own and alone(people))
    stood = any(
        d.person == person and d.stands_for == subject.requester and d.begin <= now and subject.asked < d.end
        for d in people.delegates
    )
    return person in subject.authors or stood


def out(person, flow, subject, people):
    """Whether all of several people are without this one: not for being the requester's delegate."""
    mine = person == subject.requester and not (flow.own and alone(people))
    return person in people.bots or mine or (person != subject.requester and person in subject.authors)


def may(person, subject, people, now):
    """Active, and entitled in every environment."""
    if person not in people.active_ones or (person in people.lost and now >= people.lost[person]):
        return False
    return all((person, e) not in people.nowhere for e in subject.environments)


def current(acts, subject, kind, step=None):
    """The acts of a kind about this request and plan, oldest first."""
    found = [a for a in acts if a.kind == kind and a.request == subject.digest and a.plan == subject.plan]
    return sorted((a for a in found if step in (None, a.step)), key=lambda a: (a.at, a.step, a.person, a.voice, a.to))


def handed(acts, subject, step):
    """Who handed a step to whom, the first time."""
    found = {}
    for act in current(acts, subject, "delegate", step.name):
        if not act.on_behalf_of and act.person not in found:
            found[act.person] = act.to
    return found


def broken(act, flow, subject, acts, people, now):
    """The rules that an approval breaks."""
    step = next((s for s in flow.steps if s.name == act.step), None)
    if act.request != subject.digest or act.plan != subject.plan or step is None:
        return {"about something else"}
    called = bool(current(acts, subject, "escalate", step.name))
    handlers = means([*step.handlers, *(step.escalate_to if called else ())], subject, people)
    principal = act.on_behalf_of or act.person
    hands = handed(acts, subject, step)
    by_hand = act.on_behalf_of != "" and hands.get(act.on_behalf_of) == act.person
    stood = all(
        any(d.person == act.person and d.stands_for == principal and d.begin <= t < d.end for d in people.delegates)
        for t in (act.at, now)
    )
    rules = {
        "before it was asked": act.at < subject.asked,
        "from the future": act.at > now,
        "closed": act.at >= subject.asked + timedelta(seconds=flow.open_for),
        "too old": now >= act.at + timedelta(seconds=flow.validity),
        "the actor never": never(act.person, flow, subject, people, now),
        "the other never": never(principal, flow, subject, people, now),
        "inactive": act.person not in people.active_ones,
        "no handler": None not in handlers and principal not in handlers,
        "no delegate": act.on_behalf_of != "" and not by_hand and not stood,
        "handed on": not by_hand and principal in hands,
        "not entitled": not may(act.person if by_hand else principal, subject, people, now),
    }
    return {rule for rule, is_so in rules.items() if is_so}


def counted(flow, subject, acts, people, now):
    """The approvals that count: each person and each right once, whichever was first."""
    found = []
    for act in current(acts, subject, "approve"):
        used = {a.person for a in found}, {a.on_behalf_of or a.person for a in found}
        fresh = act.person not in used[0] and (act.on_behalf_of or act.person) not in used[1]
        if fresh and not broken(act, flow, subject, acts, people, now):
            found.append(act)
    return found


def needs(step, flow, subject, people):
    """How many people a step needs."""
    if str(step.need) == "all":
        everybody = means(step.handlers, subject, people)
        absent = [h for h in step.handlers if not means([h], subject, people)]
        able = [p for p in everybody if not out(p, flow, subject, people)]
        return max(step.count, len(able) + len(absent))
    return step.count if str(step.need) == "some" else 1


def status(flow, subject, acts, people, now):
    """What it all comes to, as a word."""
    own = {str(a.kind) for a in acts if a.request == subject.digest}
    this = {str(a.kind) for a in acts if a.request == subject.digest and a.plan == subject.plan}
    for kind, word in (("veto", "vetoed"), ("withdraw", "withdrawn"), ("reject", "rejected")):
        if kind in own:
            return word
    if "return" in this:
        return "returned"
    if any(a.at >= subject.asked for a in current(acts, subject, "expire")):
        return "expired"
    if not flow.steps:
        return "approved" if now < subject.asked + timedelta(seconds=flow.validity) else "expired"
    closed = now >= subject.asked + timedelta(seconds=flow.open_for)
    is_enough, was_long_ago = (f(flow, subject, acts, people, now) for f in (enough, lapsed))
    return "expired" if was_long_ago or (closed and not is_enough) else "approved" if is_enough else "open"


def enough(flow, subject, acts, people, now):
    """Whether every step has as many approvals as it needs."""
    yes = counted(flow, subject, acts, people, now)
    return all(sum(a.step == s.name for a in yes) >= needs(s, flow, subject, people) for s in flow.steps)


def lapsed(flow, subject, acts, people, now):
    """Whether there were enough once, and one of those that made it enough is too old by now."""
    times = [a.at for a in current(acts, subject, "approve") if a.at <= now]
    once = next((t for t in times if enough(flow, subject, acts, people, t)), None)
    if once is None:
        return False
    yes = counted(flow, subject, acts, people, once)
    for step in flow.steps:
        newest = sorted((a.at for a in yes if a.step == step.name), reverse=True)
        oldest_of_enough = newest[needs(step, flow, subject, people) - 1]
        if now >= oldest_of_enough + timedelta(seconds=flow.validity):
            return True
    return False
