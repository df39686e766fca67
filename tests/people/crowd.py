"""A small firm to decide about, and strategies that make other ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Action, Delegate, Department, Grant, Kind, Person, Role, Site, Target
from opsnb.control.records import Risk

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDS = ("u-1", "u-2", "u-3", "u-4", "u-5")
WEB_OPS = Role(
    id="r-web", name="web-ops", grants=(
        Grant(action=Action.APPROVE, runbooks=("NGX-*",), environments=("staging",)),
        Grant(action=Action.PLAN, runbooks=("NGX-*",), groups=("web",), risk=Risk.CHANGE),
    ),
)  # fmt: skip


def person(number: int, **fields: object) -> Person:
    """Return person ``number``: u-1 is anna, u-2 bob, u-3 chen, u-4 dora, u-5 deploy."""
    name = ("anna", "bob", "chen", "dora", "deploy")[number - 1]
    return Person(**{"id": f"u-{number}", "name": name, **fields})  # type: ignore[arg-type]


def firm(**fields: object) -> Directory:
    """Return a firm: anna administers, bob is of web-ops, chen has no role, deploy is a service account."""
    made = {
        "people": {p.id: p for p in (
            person(1), person(2, department="d-web"), person(3, department="d-web"), person(4, department="d-ops"),
            person(5, kind=Kind.SERVICE, department="d-web"),
        )},
        "departments": {
            "d-ops": Department(id="d-ops", name="Operations", leader="u-1"),
            "d-web": Department(id="d-web", name="Web", parent="d-ops", leader="u-2"),
        },
        "roles": {"r-web": WEB_OPS},
        "memberships": {"u-1": ("administrator",), "u-2": ("r-web",), "u-5": ("administrator", "r-web")},
    }  # fmt: skip
    return Directory(**{**made, **fields})  # type: ignore[arg-type]


def delegation(
    from_: str, to: str, *, begin: datetime = NOW - HOUR, end: datetime = NOW + HOUR, **more: object
) -> Delegate:
    """Return a delegation that holds at NOW."""
    return Delegate(id=f"g-{from_}-{to}", from_=from_, to=to, begin=begin, end=end, by=from_, **more)  # type: ignore[arg-type]


def target(
    *environments: str, runbook: str = "NGX-010", risk: Risk = Risk.CHANGE, groups: tuple[str, ...] = ("web",)
) -> Target:
    """Return a target with one host in each environment."""
    sites = tuple(Site(name=f"web{n}", environment=e, groups=frozenset(groups)) for n, e in enumerate(environments, 1))
    return Target(runbook=runbook, risk=risk, sites=sites)


RUNBOOKS = st.sampled_from(["NGX-010", "NGX-011", "MYS-001", "work/NGX-1.ipynb", "NGX-1.ipynb", ""])
PLACES = ("staging", "prod", "test", "")
GROUPS = ("web", "db", "app")
SITES = st.builds(
    Site, name=st.sampled_from(["web1", "db1", "app1"]), environment=st.sampled_from(PLACES),
    groups=st.frozensets(st.sampled_from(GROUPS)),
)  # fmt: skip
TARGETS = st.builds(
    Target, runbook=RUNBOOKS, risk=st.sampled_from(Risk), sites=st.lists(SITES, max_size=4).map(tuple),
    environments=st.lists(st.sampled_from(PLACES), max_size=2).map(tuple),
)  # fmt: skip
GRANTS = st.builds(
    Grant, action=st.sampled_from(Action), risk=st.sampled_from(Risk),
    runbooks=st.sampled_from([("*",), ("NGX-*",), ("MYS-001",), ("NGX-*", "MYS-*")]),
    environments=st.sampled_from([("*",), ("staging",), ("prod", "test"), ("t*",)]),
    groups=st.sampled_from([("*",), ("web",), ("db", "app")]),
)  # fmt: skip
ROLES = st.lists(GRANTS, max_size=4).map(lambda g: Role(id="r-own", name="own", grants=tuple(g)))
TIMES = st.integers(-50, 50).map(lambda n: NOW + n * timedelta(minutes=10))
DELEGATES = st.builds(
    Delegate, id=st.just("g-1"), from_=st.sampled_from(IDS), to=st.sampled_from(IDS), begin=TIMES, end=TIMES,
    by=st.just("u-1"), removed=st.none() | TIMES,
)  # fmt: skip
DIRECTORIES = st.builds(
    lambda kinds, active, roles, memberships, delegates: firm(
        people={
            p: person(n, kind=kinds[n - 1], active=active[n - 1], department="d-web") for n, p in enumerate(IDS, 1)
        },
        roles={"r-own": roles}, memberships=dict(zip(IDS, memberships, strict=True)), delegates=tuple(delegates),
    ),
    st.lists(st.sampled_from(Kind), min_size=5, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5), ROLES,
    st.lists(
        st.lists(st.sampled_from(["r-own", "approver", "engineer", "oncall"]), max_size=2).map(tuple), min_size=5,
        max_size=5,
    ),
    st.lists(DELEGATES, max_size=5),
)  # fmt: skip
