"""Who may let a change through, written anew from docs/approvals.md, policies.md and claims.md.

No code of the program is used here. The oracle keeps its own books of people, delegations, requests, acts and claims,
with moments as whole seconds, and answers for every act whether it is let in, for every claim what stands against it
(nothing: it has to be granted), and for every request what its acts add up to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

TIMEOUT = 300  # seconds that a run may take
BOT = "robot"
HOUR, DAY = 3600, 86400
ENDS = {"veto": "vetoed", "withdraw": "withdrawn", "reject": "rejected"}
FINAL = {*ENDS.values(), "returned", "expired"}
WORDY = {"return", "reject", "veto", "comment", "review"}
EVERYWHERE = ("prod", "staging")
READERS = {"administrator", "engineer", "oncall", "approver"}  # roles that may read all there is
MAY = {  # role -> action -> (environments, risks)
    "administrator": dict.fromkeys(
        ("request", "apply", "approve", "exec", "break"), (EVERYWHERE, ("change", "danger"))
    ),
    "engineer": dict.fromkeys(("request", "apply", "exec"), (EVERYWHERE, ("change", "danger"))),
    "oncall": dict.fromkeys(("request", "apply", "exec", "break"), (EVERYWHERE, ("change", "danger"))),
    "approver": {"approve": (EVERYWHERE, ("change", "danger"))},
    "stager": {"approve": (("staging",), ("change", "danger"))},
    "minor": {"approve": (EVERYWHERE, ("change",))},
}


@dataclass(frozen=True)
class Step:
    """One step: whom it means, how many of them (0: all), and who is called after how long."""

    by: tuple[str, ...] = ("anyone",)
    need: int = 1
    name: str = "approve"
    within: int = 0
    then: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What holds for a request. Two that are equal are the same policy."""

    name: str = "all"
    steps: tuple[Step, ...] = (Step(),)
    parallel: bool = False
    validity: int = DAY
    open_for: int = 7 * DAY
    own: bool = True
    review: int = 0
    freezes: tuple[tuple[int, int], ...] = ()
    free: frozenset[str] = frozenset()
    protected: bool = False
    breakers: tuple[str, ...] = ()  # who may break the glass
    glass_most: int = 0


@dataclass(frozen=True)
class Said:
    """One act that was let in; ``who`` is empty for the clock."""

    kind: str
    who: str
    voice: str
    at: int
    plan: str
    step: str = ""
    to: str = ""

    @property
    def key(self):
        """The order of time."""
        return self.at, self.step, self.who, self.voice, self.kind, self.to


@dataclass
class Claimed:
    """One claim that was granted: what became of it, and which changes of the plan it made."""

    run: str
    mode: str
    undoes: str
    verdict: str = ""
    made: set[int] = field(default_factory=set)


@dataclass
class Asked:
    """One request."""

    requester: str
    authors: frozenset[str]
    plan: str
    sealed: Rules
    asked: int
    hosts: tuple[tuple[str, str], ...]  # name, environment
    risk: str = "change"
    said: list[Said] = field(default_factory=list)
    claimed: list[Claimed] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)  # what is not as it was sealed
    owed: bool = False  # a review, once it went without an approval
    seconds: int = 0  # of a grant, or of a broken glass
    glass: bool = False
    under: list[tuple[Claimed | None, str]] = field(default_factory=list)  # what was begun under it: claim, request

    def of(self, kind, step=None):
        """Return the acts of a kind about this plan, oldest first."""
        return sorted(
            (s for s in self.said if s.kind == kind and s.plan == self.plan and step in (None, s.step)),
            key=lambda s: s.key,
        )

    def made(self):
        """Return the changes that the application and its retries have made."""
        return {n for c in self.claimed if c.mode in {"apply", "retry"} for n in c.made}


@dataclass
class Books:
    """Everybody and everything."""

    roles: dict[str, set[str]]
    active: set[str]
    policy: str
    rules: dict[str, dict[str, Rules]]  # policy -> environments with risk -> rules
    leader: str = ""
    delegations: list[list] = field(default_factory=list)  # [principal, delegate, begin, end]
    requests: dict[str, Asked] = field(default_factory=dict)

    # -- people --------------------------------------------------------------------------------------------------------

    def people(self):
        """Everybody who is here, without service accounts."""
        return self.active - {BOT}

    def alone(self):
        """Whether one person is left."""
        return len(self.people()) == 1

    def stands(self, delegate, principal, now):
        """Whether somebody stands for somebody at a moment; both have to be here."""
        return {delegate, principal} <= self.people() and any(
            d[0] == principal and d[1] == delegate and d[2] <= now < d[3] for d in self.delegations
        )

    def stood(self, delegate, principal, since, until):
        """Whether somebody stood for somebody at any moment of a time, whatever became of it."""
        return any(
            d[0] == principal and d[1] == delegate and d[2] < d[3] and d[2] <= until and since < d[3]
            for d in self.delegations
        )

    def may(self, who, action, asked):
        """Whether somebody who is here has, for each host, a role that covers it."""
        if who not in self.active or (who == BOT and action == "approve"):
            return False
        grants = [MAY[role][action] for role in self.roles.get(who, ()) if action in MAY[role]]
        return all(any(e in places and asked.risk in risks for places, risks in grants) for _, e in asked.hosts)

    def meant(self, by, asked):
        """Everybody whom handlers mean; ``anyone`` stands for itself."""
        found = set()
        for word in by:
            kind, _, name = word.partition(":")
            if kind == "role":
                found |= {p for p in self.people() if name in self.roles[p]}
            elif kind == "applicant_leader":
                found |= {self.leader} if self.leader in self.people() - {asked.requester} else set()
            elif kind == "leader":
                found |= {self.leader} & self.people()
            else:
                found.add(name or word)
        return found

    def never(self, who, asked, rules, now):
        """Whether somebody's yes is worth nothing, whoever let them handle it."""
        if who == BOT:
            return True
        if who == asked.requester:
            return not (self.alone() and rules.own)
        return who in asked.authors or self.stood(who, asked.requester, asked.asked, now)

    # -- what holds ----------------------------------------------------------------------------------------------------

    def now_rules(self, asked):
        """What is asked for now: a broken glass holds for its seconds and is never one's own to review."""
        rules = self.policy_rules(asked)
        if not asked.glass:
            return rules
        return replace(rules, validity=min(asked.seconds, rules.glass_most), own=False, review=DAY)

    def policy_rules(self, asked):
        """The rules that hold now for a request."""
        found = self.rules[self.policy]
        places = "+".join(sorted({e for _, e in asked.hosts}))
        return found.get(f"{places} {asked.risk}") or found.get(places) or found["*"]

    def flow(self, asked):
        """The steps that hold now: none for whom the policy lets go without."""
        rules = self.now_rules(asked)
        if asked.glass:
            return ()
        goes = not asked.seconds and asked.requester in rules.free & self.people()
        return () if goes else rules.steps

    def looked_at(self, asked):
        """Whether what goes without a step is owed a review."""
        rules = self.now_rules(asked)
        return not self.flow(asked) and bool(rules.free or rules.review)

    # -- approvals -----------------------------------------------------------------------------------------------------

    def handlers(self, step, asked):
        """Whom a step means now, the further ones with them once they were called."""
        called = bool(asked.of("escalate", step.name))
        return self.meant((*step.by, *(step.then if called else ())), asked)

    def handed(self, step, asked):
        """Who handed their part of a step to whom; the first time counts."""
        found = {}
        for act in asked.of("delegate", step.name):
            found.setdefault(act.who, act.to)
        return found

    def fit(self, who, voice, given, step, asked, now):
        """Whether somebody, with the right of ``voice``, may handle a step."""
        rules, hands = self.now_rules(asked), self.handed(step, asked)
        if who not in self.active or any(self.never(p, asked, rules, now) for p in (who, voice)):
            return False
        if not {"anyone", voice} & self.handlers(step, asked):
            return False
        if voice != who and hands.get(voice) == who:
            return self.may(who, "approve", asked)
        if voice in hands or (voice != who and not all(self.stands(who, voice, t) for t in (given, now))):
            return False
        return self.may(voice, "approve", asked)

    def counts(self, one, asked, now):
        """Whether an approval is worth something at a moment."""
        rules = self.now_rules(asked)
        step = next((s for s in self.flow(asked) if s.name == one.step), None)
        closes = min(asked.asked + rules.open_for, one.at + 1) if one.at < asked.asked + rules.open_for else 0
        return (
            step is not None
            and asked.asked <= one.at < closes
            and one.at <= now < one.at + rules.validity
            and self.fit(one.who, one.voice, one.at, step, asked, now)
        )

    def counted(self, asked, now):
        """The approvals that count: each person and each right once, whichever was first."""
        found: list[Said] = []
        for one in asked.of("approve"):
            used = {s.who for s in found}, {s.voice for s in found}
            if one.who not in used[0] and one.voice not in used[1] and self.counts(one, asked, now):
                found.append(one)
        return found

    def needs(self, step, asked):
        """How many people a step needs."""
        if step.need:
            return step.need
        rules = self.now_rules(asked)
        able = {p for p in self.meant(step.by, asked) if not self.out(p, asked, rules)}
        return max(1, len(able) + sum(not self.meant((word,), asked) for word in step.by))

    def out(self, who, asked, rules):
        """Whether all of several people are without this one: not for being the requester's delegate."""
        if who == asked.requester:
            return not (self.alone() and rules.own)
        return who == BOT or who in asked.authors

    def done(self, step, asked, now):
        """The approvals of a step that has enough; else nothing."""
        found = [s for s in self.counted(asked, now) if s.step == step.name]
        needed = self.needs(step, asked)
        return found[:needed] if len(found) >= needed else []

    def enough(self, asked, now):
        """Whether every step has enough."""
        return all(self.done(step, asked, now) for step in self.flow(asked))

    def since(self, asked, now):
        """When each step that has not enough opened, by name; those that wait for others are not there."""
        found, opened = {}, asked.asked
        for step in self.flow(asked):
            done = self.done(step, asked, now)
            if not done:
                found[step.name] = opened
                if not self.now_rules(asked).parallel:
                    break
            elif not self.now_rules(asked).parallel:
                opened = max(opened, done[-1].at)
        return found

    def lapses(self, asked, now):
        """When the approvals that were enough for the first time are too old; None: they never were."""
        validity, flow = self.now_rules(asked).validity, self.flow(asked)
        for one in asked.of("approve"):
            if one.at <= now and self.enough(asked, one.at):
                ends = []
                for step in flow:
                    found = [s.at for s in self.counted(asked, one.at) if s.step == step.name]
                    ends.append(found[-self.needs(step, asked)] + validity)
                return min(ends)
        return None

    def status(self, asked, now):
        """What the acts come to."""
        kinds = {s.kind for s in asked.said}
        for kind, word in ENDS.items():
            if kind in kinds:
                return word
        if asked.of("return"):
            return "returned"
        rules = self.now_rules(asked)
        if any(s.at >= asked.asked for s in asked.of("expire")):
            return "expired"
        if not self.flow(asked):
            return "approved" if now < asked.asked + rules.validity else "expired"
        lapses, enough = self.lapses(asked, now), self.enough(asked, now)
        closed = now >= asked.asked + rules.open_for
        if (lapses is not None and now >= lapses) or (closed and not (enough and lapses is not None)):
            return "expired"
        return "approved" if enough else "open"

    def ticked(self, asked, now):
        """Return a request as the clock leaves it before anybody is judged, and what the clock said."""
        said = []
        for step in self.flow(asked):
            after = replace(asked, said=[*asked.said, *said])
            if self.status(after, now) not in FINAL and step.within and not after.of("escalate", step.name):
                opened = self.since(after, now).get(step.name)
                if opened is not None and now >= opened + step.within:
                    said.append(Said("escalate", "", "", now, asked.plan, step.name))
        after = replace(asked, said=[*asked.said, *said])
        known = any(s.at >= asked.asked for s in after.of("expire"))
        if self.status(after, now) == "expired" and not known:
            said.append(Said("expire", "", "", now, asked.plan))
        return replace(asked, said=[*asked.said, *said]), said

    def chosen(self, who, voice, asked, now):
        """The first open step that somebody may approve, else the first open one."""
        used = self.counted(asked, now)
        opened = [s for s in self.flow(asked) if s.name in self.since(asked, now)]
        if who in {s.who for s in used} or voice in {s.voice for s in used}:
            return (opened[0] if opened else None), False
        able = next((s for s in opened if self.fit(who, voice, now, s, asked, now)), None)
        return (able or (opened[0] if opened else None)), able is not None

    def lets_say(self, kind, who, voice, asked, now, *, to="", words=True, unread=False):  # noqa: PLR0911
        """Whether an act is let in. ``unread``: they read another plan; ``asked`` is as the clock left it."""
        status, able = self.status(asked, now), self.may(who, "approve", asked)
        if who not in self.active or unread or (kind in WORDY and not words):
            return False
        if kind == "comment":
            return self.sees(who, asked, now)
        if kind == "review":
            return (
                (asked.owed or self.looked_at(asked))
                and not asked.of("review")
                and able
                and not self.never(who, asked, self.now_rules(asked), now)
                and (not asked.glass or (status != "approved" and self._over(who, asked)))
            )
        if status in FINAL:
            return False
        if kind == "withdraw":
            return who == voice == asked.requester
        if kind == "veto":
            return who == voice != asked.requester and able
        return status != "approved" and self._handles(kind, who, voice, asked, now, to)

    def sees(self, who, asked, now):
        """Whether somebody who is here may see a request: they read everything, asked for it, or may approve it."""
        voices = {who, *(p for p in self.people() if self.stands(who, p, now))}
        return (
            bool(READERS & set(self.roles.get(who, ())))
            or who == asked.requester
            or any(self.may(voice, "approve", asked) for voice in voices)
        )

    def _over(self, who, glass):
        """Whether all that was done under a broken glass has ended, and somebody might have approved each."""
        asked = [self.requests.get(request) for _, request in glass.under]
        going = any(run is not None and not run.verdict for run, _ in glass.under)
        return not going and all(a is None or self.may(who, "approve", a) for a in asked)

    def _handles(self, kind, who, voice, asked, now, to):
        """What takes a handler of an open step."""
        step, able = self.chosen(who, voice, asked, now)
        if kind == "approve":
            return able and asked.sealed == self.policy_rules(asked)
        if step is None or not self.fit(who, voice, now, step, asked, now):
            return False
        if kind in {"return", "reject"}:
            return True
        used = {p for s in self.counted(asked, now) for p in (s.who, s.voice)}
        taken = {"anyone", to} & self.handlers(step, asked) or to in self.handed(step, asked).values()
        return (
            who == voice
            and who not in used
            and not taken
            and not self.never(to, asked, self.now_rules(asked), now)
            and self.may(to, "approve", asked)
        )

    def able(self, request, now):
        """Everybody who may approve now, with whose right."""
        asked, _ = self.ticked(self.requests[request], now)
        pairs = [(p, p) for p in sorted(self.people())]
        pairs += [(p, q) for p in sorted(self.people()) for q in sorted(self.people() - {p})]
        return [(p, q) for p, q in pairs if self.lets_say("approve", p, q, asked, now)]

    # -- claims --------------------------------------------------------------------------------------------------------

    def unapproved(self, asked, now):
        """What is missing of the approvals: each cause that is true; nothing: they are enough."""
        status, rules = self.status(asked, now), self.now_rules(asked)
        if status == "approved":
            return set()
        found = {"expired"} if status == "expired" else {"ended"} if status in FINAL else {"approvals"}
        for one in asked.of("approve") if status == "open" else ():
            if one in self.counted(asked, now):
                continue
            both = {one.who, one.voice}
            stood = any(self.stood(p, asked.requester, asked.asked, now) for p in both)
            hands = any(a.who == one.voice and a.to == one.who for a in asked.of("delegate"))
            lent = one.who == one.voice or hands or self.stands(one.who, one.voice, now)
            found |= {"person"} if both - self.active else set()
            found |= {"self"} if asked.requester in both else set()
            found |= {"delegate"} if stood or not lent else set()
            found |= set() if self.may(one.voice, "approve", asked) else {"role"}
            found |= {"expired"} if now >= one.at + rules.validity else set()
        return found

    def frozen(self, asked, now):
        """Whether a run that begins now would touch a freeze."""
        return any(begin < now + TIMEOUT and now < end for begin, end in self.now_rules(asked).freezes)

    def standing(self, asked, starter, now):
        """What else stands against a change, the approvals aside."""
        found = set(asked.wrong)
        found |= set() if asked.sealed == self.policy_rules(asked) else {"policy"}
        for who, action in ((asked.requester, "request"), (starter, "apply")):
            if not self.may(who, action, asked):
                found.add("role" if who in self.active else "person")
        return found | ({"freeze"} if self.frozen(asked, now) else set())

    def used(self, asked, mode, undoes, changes):
        """What was claimed before: an application once, an undo or a retry only after the one before, and never over."""
        if mode == "apply":
            return {"claimed"} if any(c.mode == "apply" for c in asked.claimed) else set()
        going = any(not c.verdict for c in asked.claimed)
        if mode == "undo":
            done = any(c.mode == "undo" and c.undoes == undoes and c.verdict == "DONE" for c in asked.claimed)
            of = any(c.run == undoes and c.made for c in asked.claimed)
            return {"claimed"} if going or done or not of else set()
        over = any(c.mode == "undo" for c in asked.claimed) or len(asked.made()) == changes
        began = any(c.mode == "apply" for c in asked.claimed)
        return {"claimed"} if going or over or not began else set()

    def against(self, request, starter, now, mode="apply", undoes="", under=""):
        """Every cause that stands against a claim; nothing: it has to be granted.

        ``under`` is the broken glass that it is started under: one that covers it stands for approvals and goes through
        a freeze, one that is worth nothing is a reason of its own where something else is missing.
        """
        asked = self.requests[request]
        standing, lacking = self.standing(asked, starter, now), self.unapproved(asked, now)
        lacking |= standing & {"freeze"}
        standing = (standing - {"freeze"}) | self.used(asked, mode, undoes, len(asked.hosts))
        if not under or not lacking:
            return standing | lacking
        holds = starter == asked.requester and self.covers(under, starter, asked, now)
        return standing | (lacking & {"ended"}) | (set() if holds else {"glass"})

    def breaks(self, who, asked, now):
        """Whether somebody may break the glass on hosts."""
        rules = self.policy_rules(asked)
        late = any(
            a.glass and a.requester == who and not a.of("review") and now >= a.asked + DAY
            for a in self.requests.values()
        )
        return self.may(who, "break", asked) and self._named(who, rules, asked) and who != BOT and not late

    def _named(self, who, rules, asked):
        return who in self.meant(rules.breakers, asked) & self.people()

    def covers(self, glass, who, asked, now):
        """Whether a broken glass lets somebody do something now."""
        broken = self.requests[glass]
        return (
            broken.glass
            and broken.requester == who != BOT
            and now >= broken.asked
            and broken.sealed == self.policy_rules(broken)
            and self._named(who, self.policy_rules(broken), broken)
            and self.may(who, "break", broken)
            and self.status(broken, now) == "approved"
            and set(asked.hosts) <= set(broken.hosts)
            and self._named(who, self.policy_rules(asked), asked)
        )

    def covering(self, who, asked, now):
        """The broken glasses that let somebody do something now."""
        return [g for g, a in self.requests.items() if a.glass and self.covers(g, who, asked, now)]

    def let(self, request, starter, now):
        """Return a request as it is when somebody starts it, and what is said with that; None: they may not.

        The only person of a workspace approves their own request by starting it, one whose time is over asks anew.
        """
        asked = self.requests[request]
        if self.standing(asked, starter, now):
            return None, []
        if not self.unapproved(asked, now):
            return asked, []
        status, rules = self.status(asked, now), self.now_rules(asked)
        own = self.alone() and rules.own and starter == asked.requester
        if not own or status not in {"open", "expired"}:
            return None, []
        after = replace(asked, asked=now) if status == "expired" else asked
        said = []
        if self.status(after, now) == "open":
            after, said = self.ticked(after, now)
            step, able = self.chosen(starter, starter, after, now)
            if not able or not self.lets_say("approve", starter, starter, after, now):
                return None, []
            said.append(Said("approve", starter, starter, now, asked.plan, step.name))
            after = replace(after, said=[*after.said, said[-1]])
        return (after, said) if not self.unapproved(after, now) else (None, [])

    def holds(self, who, action, hosts, now):
        """Whether a grant of somebody's lets them work by hand on hosts now."""
        for asked in self.requests.values():
            whole = asked.seconds and not asked.glass and asked.requester == who and "request" not in asked.wrong
            if not whole or asked.sealed != self.policy_rules(asked) or not hosts <= {h for h, _ in asked.hosts}:
                continue
            given = max((s.at for s in self.counted(asked, now)), default=asked.asked)
            if self.status(asked, now) == "approved" and now < given + asked.seconds:
                return action == "exec"
        return False

    def by_hand(self, who, action, hosts, now):
        """Every cause that stands against working by hand on hosts; nothing: they may."""
        here = self.here(who, hosts, now)
        if not self.may(who, action, here):
            return {"role" if who in self.active else "person"}
        held = not self.now_rules(here).protected or self.holds(who, action, set(hosts), now)
        held = held or bool(self.covering(who, here, now))
        return set() if held else {"grant"}

    def here(self, who, hosts, now):
        """Return what somebody does by hand, as a request that was not asked for."""
        return Asked(who, frozenset(), "", None, now, tuple(hosts.items()))
