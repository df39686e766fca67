"""Every route, and what it takes to be let in: the one table. What is not in it is denied.

Where a row says ``here=False``, the guard asks whether somebody may do this anywhere at all, and the flow behind the
route decides with the runbook, the risk and the hosts that are meant, or with whose token it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opsnb.control.people.values import Action

BODY = 1024 * 1024  # bytes of a request's body
LARGE_BODY = 32 * 1024 * 1024  # where values and files come in


class Door(StrEnum):
    """Who is let in without a right of their own."""

    ANYBODY = "anybody"  # not even signed in: what signs in, and what holds no data
    NEAR = "near"  # on this machine anybody; from elsewhere who may read
    KNOWN = "known"  # anybody active who is signed in; the flow says what is theirs


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a route wants.

    Args:
        action: The right; ``None`` where ``door`` says all.
        door: Who is let in without one.
        here: Whether the guard's answer is the whole answer; otherwise the flow decides on the target too.
        body: Bytes that its body may have.
    """

    action: Action | None = None
    door: Door | None = None
    here: bool = True
    body: int = BODY


ANYBODY, NEAR, KNOWN = (Needs(door=door) for door in Door)


def _may(action: Action, *, here: bool = False, body: int = BODY) -> Needs:
    return Needs(action=action, here=here, body=body)


_ADMINISTER, _AUDIT, _SECRET = (_may(a, here=True) for a in (Action.ADMINISTER, Action.AUDIT, Action.SECRET))

TABLE: dict[str, Needs] = {
    "GET /healthz": NEAR,
    "GET /metrics": NEAR,
    "GET /api": ANYBODY,
    "GET /api/openapi.json": ANYBODY,
    # coming in
    "GET /enter": ANYBODY,
    "POST /enter": ANYBODY,
    "POST /api/session": ANYBODY,
    "POST /api/session/end": KNOWN,
    "GET /api/login": ANYBODY,
    "POST /api/login": ANYBODY,
    "POST /api/login/sso": ANYBODY,
    "GET /login/oidc": ANYBODY,
    "GET /login/oidc/back": ANYBODY,
    "POST /login/oidc/code": ANYBODY,
    "POST /login/oidc/terminal": ANYBODY,
    "POST /api/enter": ANYBODY,
    "GET /api/whoami": KNOWN,
    "POST /api/password": KNOWN,
    "POST /api/codes": KNOWN,
    "POST /api/codes/confirm": KNOWN,
    "POST /api/codes/remove": KNOWN,
    "GET /api/tokens": KNOWN,
    "POST /api/tokens": KNOWN,
    "POST /api/tokens/{token}/revoke": KNOWN,
    "GET /api/logins": KNOWN,
    # runs
    "POST /api/runs": _may(Action.READ, body=LARGE_BODY),
    "GET /api/runs": _may(Action.READ),
    "GET /api/runs/{run}": _may(Action.READ),
    "GET /api/runs/{run}/events": _may(Action.READ),
    "GET /api/runs/{run}/file": _may(Action.READ),
    "POST /api/runs/{run}/stop": _may(Action.READ),
    "POST /api/runs/{run}/undo": _may(Action.APPLY),
    "POST /api/runs/{run}/retry": _may(Action.APPLY),
    "POST /api/runs/{run}/input": _may(Action.SSH),
    "GET /api/runs/{run}/terminal": _may(Action.SSH),
    # requests: the flow decides with the request's own target
    "GET /api/requests": _may(Action.READ),
    "POST /api/requests": _may(Action.REQUEST, body=LARGE_BODY),
    "GET /api/requests/{name}": _may(Action.READ),
    "POST /api/grants": _may(Action.READ),  # and exec, ssh, cp or break_glass on the hosts, as its body says
    "POST /api/requests/{name}/ask": _may(Action.REQUEST),
    "POST /api/requests/{name}/{act}": KNOWN,  # a requester withdraws, a handler comments, an approver approves
    "GET /api/notices": KNOWN,
    "POST /api/notices/seen": KNOWN,
    # hosts and runbooks: the flow shows what the caller may see
    "GET /api/hosts": _may(Action.READ),
    "GET /api/hosts/{host}": _may(Action.READ),
    "GET /api/runbooks": _may(Action.READ),
    "GET /api/runbooks/{runbook}": _may(Action.READ),
    "GET /api/notebook": _may(Action.READ),
    "GET /api/doctor": _ADMINISTER,
    "GET /api/hosts/{host}/trust": _may(Action.READ),
    "POST /api/hosts/{host}/trust": _may(Action.TRUST),
    # secrets
    "GET /api/secrets": _SECRET,
    "POST /api/secrets": _SECRET,
    "POST /api/secrets/remove": _SECRET,
    "POST /api/secrets/rotate-key": _SECRET,
    # the active revision
    "GET /api/revision": KNOWN,
    "GET /api/revision/difference": KNOWN,
    "POST /api/revision": _may(Action.ACTIVATE, here=True),
    # people
    "GET /api/users": KNOWN,
    "POST /api/users": _ADMINISTER,
    "GET /api/users/{name}": KNOWN,
    "POST /api/users/{name}": _ADMINISTER,
    "GET /api/users/{name}/may/{action}": KNOWN,
    "POST /api/users/{name}/link": _ADMINISTER,
    "POST /api/users/{name}/identity": _ADMINISTER,
    "POST /api/people/import": _may(Action.ADMINISTER, here=True, body=LARGE_BODY),
    "GET /api/roles": KNOWN,
    "POST /api/roles": _ADMINISTER,
    "POST /api/roles/remove": _ADMINISTER,
    "GET /api/departments": KNOWN,
    "POST /api/departments": _ADMINISTER,
    "POST /api/departments/remove": _ADMINISTER,
    "GET /api/delegates": KNOWN,
    "POST /api/delegates": KNOWN,
    "POST /api/delegates/{delegate}/end": KNOWN,
    # the ledger
    "POST /api/audit/checkpoint": _AUDIT,
    "GET /api/audit/entries": _AUDIT,
    "GET /api/audit/export/{run}": _AUDIT,
    "GET /api/audit/verify": _AUDIT,
}
