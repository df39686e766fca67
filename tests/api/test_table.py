"""Every route × everybody, from one table of expected answers; what has no row is denied, and fails here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.callers import EVERYBODY, SIGNED_IN, STRANGERS, Callers
from opsnb.control.flows.seal import Asked
from opsnb.web.table import TABLE

DENIED = {401, 403}


@dataclass(frozen=True)
class Row:
    """Who is let in, letter by letter (see callers), and what is sent.

    Args:
        who: They are let in; everybody else is refused.
        body: What is sent with a POST.
        path: Path parameters; ``run`` is a run of the engineer's that waits, where it is not given.
        said: What the refusal says that even those get who are let in, where the rules of the thing refuse it.
    """

    who: str
    body: Any = None
    path: dict[str, str] | None = None
    said: str = ""


READERS = "AEPUOSZR"
NOWHERE = {"run": "nowhere", "host": "nowhere", "name": "nowhere", "token": "nowhere", "delegate": "nowhere"}
EXPECTED: dict[str, Row] = {
    "GET /healthz": Row(EVERYBODY),
    "GET /metrics": Row(EVERYBODY),
    "GET /api": Row(EVERYBODY),
    "GET /api/openapi.json": Row(EVERYBODY),
    "GET /enter": Row(EVERYBODY),
    "POST /enter": Row(EVERYBODY, said="not valid"),
    "POST /api/session": Row(EVERYBODY),
    "GET /api/login": Row(EVERYBODY),
    "POST /api/login": Row(EVERYBODY),
    "POST /api/login/sso": Row(EVERYBODY),
    "GET /login/oidc": Row(EVERYBODY),
    "GET /login/oidc/back": Row(EVERYBODY, said="begun no sign-in"),
    "POST /login/oidc/code": Row(EVERYBODY, said="used already"),
    "POST /login/oidc/terminal": Row(EVERYBODY, said="used already"),
    "POST /api/enter": Row(EVERYBODY),
    "POST /api/session/end": Row(SIGNED_IN),
    "GET /api/whoami": Row(SIGNED_IN),
    "POST /api/password": Row(SIGNED_IN),
    "POST /api/codes": Row("AEPUON"),
    "POST /api/codes/confirm": Row("AEPUON", said="this is no code"),
    "POST /api/codes/remove": Row(SIGNED_IN, said="needs a code"),
    "GET /api/tokens": Row(SIGNED_IN),
    "POST /api/tokens": Row(SIGNED_IN),
    "POST /api/tokens/{token}/revoke": Row("A", path=NOWHERE),
    "GET /api/logins": Row("AUZ"),
    "POST /api/runs": Row(READERS, {"runbook": "HST-001"}),
    "POST /api/runs a change": Row("AEOSZ", {"runbook": "TST-001"}),
    "POST /api/runs a command": Row("AEOSZ", {"runbook": "HST-004", "values": {"command": ["true"]}}),
    "POST /api/runs a notebook of no catalog": Row(READERS, {"runbook": "nowhere.ipynb"}),
    "GET /api/runs": Row(READERS),
    "GET /api/runs/{run}": Row(READERS),
    "GET /api/runs/{run}/events": Row(READERS, path=NOWHERE),
    "GET /api/runs/{run}/file": Row(READERS),
    "POST /api/runs/{run}/stop": Row("AEOSZ"),
    "POST /api/runs/{run}/undo": Row("AEOSZ", said="nothing to undo"),
    "POST /api/runs/{run}/retry": Row("AEOSZ", said="nothing to retry"),
    "POST /api/runs/{run}/input": Row("E", {"data": ""}),
    "GET /api/runs/{run}/terminal": Row("AEOSZ", path=NOWHERE),
    "GET /api/requests": Row(READERS),
    "POST /api/requests": Row("AEOSZ"),
    "GET /api/requests/{name}": Row(READERS, path=NOWHERE),
    "POST /api/grants": Row(READERS, {"action": "exec", "hosts": "localhost", "reason": "x"}),  # it needs none there
    "POST /api/grants a broken glass": Row("", {"action": "break_glass", "hosts": "localhost", "reason": "x"}),
    "GET /api/notices": Row(SIGNED_IN),
    "POST /api/notices/seen": Row(SIGNED_IN, {"upto": 0}),
    "POST /api/requests/{name}/ask": Row("AEOSZ", path=NOWHERE),
    "POST /api/requests/{name}/{act}": Row(SIGNED_IN, path={"name": "nowhere", "act": "comment"}),
    "GET /api/hosts": Row(READERS),
    "GET /api/hosts/{host}": Row(READERS, path=NOWHERE),
    "GET /api/runbooks": Row(READERS),
    "GET /api/runbooks/{runbook}": Row(READERS, path={"runbook": "nowhere"}),
    "GET /api/notebook": Row(READERS),
    "GET /api/doctor": Row("A"),
    "GET /api/hosts/{host}/trust": Row(READERS, path=NOWHERE),
    "POST /api/hosts/{host}/trust": Row("AESZ", {"keys": ["x"]}, path=NOWHERE),
    "GET /api/secrets": Row("AZ"),
    "POST /api/secrets": Row("AZ"),
    "POST /api/secrets/remove": Row("AZ"),
    "POST /api/secrets/rotate-key": Row("AZ"),
    "GET /api/revision": Row(SIGNED_IN),
    "GET /api/revision/difference": Row(SIGNED_IN),
    "POST /api/revision": Row("A", {"files": "0" * 64, "active": 0}, said="files have changed"),
    "GET /api/users": Row(SIGNED_IN),
    "POST /api/users": Row("A"),
    "GET /api/users/{name}": Row(SIGNED_IN, path=NOWHERE),
    "POST /api/users/{name}": Row("A", path=NOWHERE),
    "GET /api/users/{name}/may/{action}": Row(SIGNED_IN, path={"name": "nowhere", "action": "read"}),
    "POST /api/users/{name}/link": Row("A", path=NOWHERE),
    "POST /api/users/{name}/identity": Row("A", {"source": "ldap"}, path=NOWHERE),
    "POST /api/people/import": Row("A"),
    "GET /api/roles": Row(SIGNED_IN),
    "POST /api/roles": Row("A"),
    "POST /api/roles/remove": Row("A"),
    "GET /api/departments": Row(SIGNED_IN),
    "POST /api/departments": Row("A"),
    "POST /api/departments/remove": Row("A"),
    "GET /api/delegates": Row(SIGNED_IN),
    "POST /api/delegates": Row(
        "A", {"principal": "nowhere", "delegate": "nowhere", "end": "2100-01-01T00:00:00Z"}
    ),
    "POST /api/delegates/{delegate}/end": Row("A", path=NOWHERE),
    "POST /api/audit/checkpoint": Row("AUZ"),
    "GET /api/audit/entries": Row("AUZ"),
    "GET /api/audit/export/{run}": Row("AUZ", path=NOWHERE),
    "GET /api/audit/verify": Row("AUZ"),
}  # fmt: skip


def routes(callers: Callers) -> set[str]:
    """Return every route that is served."""
    found = [route for route in callers.api.router.routes if isinstance(route, APIRoute)]
    assert len(found) == len(callers.api.router.routes), "a route of another kind needs a row and a test too"
    return {f"{method} {route.path}" for route in found for method in route.methods}


def test_every_route_has_a_row(callers: Callers) -> None:
    """A new route without a row in the table, or without an expected answer here, fails; so does a row without one."""
    assert routes(callers) == set(TABLE)
    assert {" ".join(key.split()[:2]) for key in EXPECTED} == set(TABLE)


@pytest.mark.parametrize("key", EXPECTED)
def test_who_is_let_in(callers: Callers, key: str) -> None:
    """Exactly those whom the table names are let in; a stranger gets 401, everybody else 403 with a reason."""
    row, (method, path) = EXPECTED[key], key.split()[:2]
    got = {}
    with callers.client() as client:
        for letter in EVERYBODY:
            run = callers.app.submit(Asked(runbook="HST-001"), actor=callers.actor("E")) if "{run}" in path else ""
            target = path.format(**(row.path or {"run": run}))
            body = {"json": {} if row.body is None else row.body} if method == "POST" else {}
            client.cookies.clear()
            answer = client.request(method, target, headers=callers.headers(letter), **body)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            let_in = answer.status_code not in DENIED or bool(row.said and row.said in answer.text)
            if not let_in:
                assert answer.json()["error"]["message"], answer.text
                assert answer.status_code == (401 if letter in STRANGERS else 403), (letter, answer.text)
            got[letter] = let_in
    assert {letter for letter, let_in in got.items() if let_in} == set(row.who)


def test_what_is_no_route_is_denied(callers: Callers) -> None:
    """A path that nobody serves is 401 to strangers and 404 to others; so is another method on a path that is there."""
    with callers.client() as client:
        for method, path in (("GET", "/api/nothing"), ("DELETE", "/api/runs"), ("GET", "/"), ("PUT", "/healthz")):
            assert client.request(method, path).status_code == 401
            assert client.request(method, path, headers=callers.headers("A")).status_code == 404
        for path in ("/api/runs/", "//api/runs", "/api/../api/runs", "/API/RUNS", "/api/runs%2f"):
            assert client.get(path, headers=callers.headers("N")).status_code in {403, 404}, path


def test_a_route_without_a_row_is_denied(callers: Callers) -> None:
    """A route that somebody adds and forgets in the table answers nobody, not even an administrator."""
    callers.api.add_api_route("/api/forgotten", lambda: {"secret": 1})
    try:
        with callers.client() as client:
            assert client.get("/api/forgotten", headers=callers.headers("A")).status_code == 404
    finally:
        callers.api.router.routes.pop()
