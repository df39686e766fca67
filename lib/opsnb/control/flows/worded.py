"""Requests of words: what is asked for without a notebook, sealed like any other."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, update

from opsnb.base.canonical import canonical, digestible, salted, sha256
from opsnb.base.plan import Plan
from opsnb.control.approvals.policy import Policy
from opsnb.control.ledger.events import RequestSealed
from opsnb.control.ledger.store import append
from opsnb.control.people.values import Actor
from opsnb.control.records import Risk
from opsnb.control.runs import store


def body_of(
    request: str, runbook: str, title: str, hosts: list[dict[str, Any]], policy: Policy, **more: Any
) -> dict[str, Any]:
    """Return what is sealed of a request of words: for which hosts, under which policy, and what else is said."""
    return dict(digestible({
        "request": request, "runbook": runbook, "title": title, "hosts": hosts, "labels": [], "locks": [],
        "authors": [], "policy": policy.as_json(), "tightened": {}, "parameters": {}, "nonce": secrets.token_hex(16),
        **more,
    }))  # fmt: skip


def seal_words(connection: Connection, actor: Actor, body: dict[str, Any]) -> None:
    """Store a request of words, with an empty plan, and its entry in the ledger."""
    data, salts = canonical(body), {name: secrets.token_hex(32) for name in ("request", "plan")}
    plan = Plan(title=body["title"], changes=())
    store.add_request(
        connection, id=body["request"], submission=body["request"], digest=sha256(data), body=data, parameters={},
        salts=salts, runbook=body["runbook"], risk=Risk.CHANGE.value, requester=actor.person.id,
    )  # fmt: skip
    values = {"plan": digestible(plan.as_json()), "plan_digest": plan.digest}
    connection.execute(update(store.requests).where(store.requests.c.id == body["request"]).values(**values))
    append(connection, RequestSealed(
        request=body["request"], risk=Risk.CHANGE, digest=salted(salts["request"], data)
    ))  # fmt: skip
