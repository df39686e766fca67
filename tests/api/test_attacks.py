"""What somebody with an account tries at the API to see, take or break what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from api.callers import Callers
from claims import world
from opsnb.base.clock import now
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows import people
from opsnb.control.people import tokens, totp
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.values import Person
from opsnb.control.people.wanted import User
from opsnb.control.runs.claims import starts

START = {"runbook": "TST-001", "reason": "x"}


@contextmanager
def protected(callers: Callers) -> Iterator[None]:
    """Every host is protected for a while."""
    services = callers.app.services
    before, services.policies = services.policies, read_policies({"all": {"protected": True}})
    try:
        yield
    finally:
        services.policies = before


@pytest.fixture
def asked(callers: Callers) -> dict[str, Any]:
    """A grant that the engineer asked for."""
    with protected(callers), callers.client() as client:
        body = {"action": "exec", "hosts": "localhost", "reason": "a look at the KEEP-THIS queue"}
        done = client.post("/api/grants", json=body, headers=callers.headers("E"))
    assert done.status_code == 201, done.text
    return dict(done.json())


@pytest.fixture(scope="module")
def narrow(callers: Callers) -> Person:
    """Somebody who may read and approve what is done with other runbooks alone."""
    people.set_role(callers.app.services, callers.app.actor, "narrow", ("read,approve TST-9*", "read a*"), new=True)
    people.add_user(callers.app.services, callers.app.actor, User(name="p-Y", give=("narrow",)))
    return callers.person("Y")


def as_(callers: Callers, person: Person) -> dict[str, str]:
    """Return how somebody comes in."""
    return {"authorization": f"Bearer {callers.token(person)[0]}"}


def test_a_submission_is_ones_own(callers: Callers) -> None:
    """Who repeats somebody else's submission gets nothing of theirs; who repeats their own asks once."""
    body = {"runbook": "HST-001", "submission": "one-and-the-same"}
    with callers.client() as client:
        first, again = (client.post("/api/runs", json=body, headers=callers.headers("E")).json() for _ in range(2))
        assert again["run"] == first["run"]
        for letter in "AO":
            other = client.post("/api/runs", json=body, headers=callers.headers(letter))
            assert other.status_code == 403
            assert first["run"] not in other.text


def test_a_grant_is_no_submission(callers: Callers, asked: dict[str, Any]) -> None:
    """The id of a request that has no run is refused as a submission."""
    with callers.client() as client:
        body = {"runbook": "HST-001", "submission": asked["request"]}
        assert client.post("/api/runs", json=body, headers=callers.headers("E")).status_code == 403


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_start_beyond_all_calendars(callers: Callers, start: str) -> None:
    """A time that cannot be told in UTC is none."""
    with callers.client() as client:
        done = client.post("/api/requests", json={**START, "start": start}, headers=callers.headers("E"))
    assert done.status_code == 422
    assert "at a time, not at" in done.json()["error"]["message"]


def test_a_file_whose_name_no_file_system_takes(callers: Callers) -> None:
    """A name has as many bytes as fit beside what is put before and behind it; Chinese has three each."""
    with callers.client() as client:
        for name, status in (("文" * 60, 201), ("文" * 100, 422)):
            body = {"runbook": "HST-006", "values": {"files": [name], "directory": "/var/tmp"}, "files": {name: "AAAA"}}
            done = client.post("/api/runs", json=body, headers=callers.headers("E"))
            assert done.status_code == status, done.text


@pytest.mark.parametrize(("path", "body"), [("/api/runs", {"runbook": "HST-006"}), ("/api/requests", START)])
def test_a_folder_with_a_nul(callers: Callers, path: str, body: dict[str, Any]) -> None:
    """A folder is a path."""
    with callers.client() as client:
        sent = {**body, "values": {"files": ["x"]}, "folder": "/tmp\0"}
        local = {"authorization": f"Bearer {callers.app.token}"}
        assert client.post(path, json=sent, headers=local).status_code == 422


def test_who_may_not_read_it_sees_no_request(callers: Callers, asked: dict[str, Any], narrow: Person) -> None:
    """Reading is limited to what one's roles name, for requests as for runs: by their lists, by name, and by acting."""
    place, headers = f"/api/requests/{asked['request']}", as_(callers, narrow)
    with callers.client() as client:
        for done in (
            client.get(place, headers=headers), client.get(f"{place}?plan=true", headers=headers),
            client.post(f"{place}/comment", json={"comment": "hello"}, headers=headers),
            client.post(f"{place}/comment", json={"comment": "hello"}, headers=callers.headers("N")),
        ):  # fmt: skip
            assert done.status_code == 403, done.text
            assert "KEEP-THIS" not in done.text
        assert "may read TST-9*; this is exec" in client.get(place, headers=headers).json()["error"]["message"]
        listed = client.get("/api/requests?status=", headers=headers).json()
        assert asked["request"] not in json.dumps(listed["requests"])
        own = client.get("/api/requests?status=", headers=callers.headers("E")).json()
        assert asked["request"] in json.dumps(own["requests"])
        shown = client.get(place, headers=callers.headers("E")).json()
        assert [act["comment"] for act in shown["acts"]] == []


def test_who_may_not_read_it_sees_no_run(callers: Callers, narrow: Person) -> None:
    """A list of runs has those that one may read, also for who may read a runbook of some odd name."""
    with callers.client() as client:
        assert client.post("/api/runs", json={"runbook": "HST-001"}, headers=callers.headers("E")).status_code == 201
        assert client.get("/api/runs", headers=callers.headers("E")).json()["runs"] != []
        assert client.get("/api/runs", headers=as_(callers, narrow)).json()["runs"] == []


def test_a_delegate_sees_what_they_may_approve(callers: Callers, asked: dict[str, Any], narrow: Person) -> None:
    """Who stands in for an approver sees the requests that they may approve in their place."""
    services, actor = callers.app.services, callers.app.actor
    made = people.add_delegate(services, actor, "p-P", "p-Y", None, now() + timedelta(hours=1))
    with callers.client() as client:
        headers = as_(callers, narrow)
        assert client.get(f"/api/requests/{asked['request']}", headers=headers).status_code == 200
        people.end_delegate(services, actor, made["id"])
        assert client.get(f"/api/requests/{asked['request']}", headers=headers).status_code == 403


def test_codes_are_not_guessed_away(callers: Callers) -> None:
    """With a stolen session nobody tries all the codes there are to be rid of an authenticator: tries are counted."""
    with callers.client() as client:
        key = client.post("/api/codes", headers=callers.headers("U")).json()["key"]
        step = int(now().timestamp()) // totp.STEP_SECONDS
        given = {"code": totp.code_at(key, step)}
        assert client.post("/api/codes/confirm", json=given, headers=callers.headers("U")).status_code == 200
        good = {totp.code_at(key, step + n) for n in range(-2, 4)}
        wrong = next(f"{n:06d}" for n in range(10) if f"{n:06d}" not in good)
        said = [
            client.post("/api/codes/remove", json={"code": wrong}, headers=callers.headers("U")).json()["error"]["message"]
            for _ in range(12)
        ]  # fmt: skip
        assert said[0] == "that needs a code of the authenticator"
        assert said[-1].startswith("too many sign-ins have failed; wait ")
        removed = client.post("/api/codes/remove", json={"user": "p-U"}, headers=callers.headers("A"))
        assert removed.status_code == 200  # an administrator is not held back


def test_what_somebody_held_who_left_is_worth_nothing_when_they_are_back(callers: Callers) -> None:
    """A token or session of before is not good again: nobody knows who has had it meanwhile."""
    services, actor = callers.app.services, callers.app.actor
    people.add_user(services, actor, User(name="p-W", give=("engineer",)))
    held = [callers.token(callers.person("W"), kind)[0] for kind in (TokenKind.API, TokenKind.LINK)]
    headers = {"authorization": f"Bearer {held[0]}"}
    with callers.client() as client:
        assert client.get("/api/runs", headers=headers).status_code == 200
        for active in (False, True):
            people.set_user(services, actor, User(name="p-W", active=active))
            assert client.get("/api/runs", headers=headers).status_code == 401
        entered = client.post("/api/enter", json={"code": held[1], "password": "correct horse battery"})
        assert entered.status_code == 401
        said = [row["kind"] for row in client.get("/api/audit/entries", headers=callers.headers("A")).json()["entries"]]
    assert said[said.index("person.activated") :][:3] == ["person.activated", "token.revoked", "token.revoked"]


@pytest.mark.parametrize("start", ["approved", "2100-01-01T00:00+00:00"])
def test_a_token_that_starts_nothing_has_nothing_started(callers: Callers, start: str) -> None:
    """A start when it is approved, or at a time, is a start: a token that is not good for that arranges none."""
    person = callers.person("E").id
    with callers.app.services.database.transaction() as connection:
        secret, _ = tokens.issue(
            connection, TokenKind.API, person, by=person, now=now(), seconds=600,
            scopes=frozenset({"read", "plan", "request"}),
        )  # fmt: skip
    headers = {"authorization": f"Bearer {secret}"}
    with callers.client() as client:
        done = client.post("/api/requests", json={**START, "start": start}, headers=headers)
        assert (done.status_code, "is not good for 'apply'" in done.text) == (403, True)
        planned = client.post("/api/requests", json={**START, "start": "asked"}, headers=headers)
        assert planned.status_code == 201
        name = planned.json()["request"]
        with callers.app.services.database.transaction() as connection:
            world.plan(connection, name, ("localhost",), "p")
            connection.execute(delete(starts).where(starts.c.request == name))
        asked = client.post(f"/api/requests/{name}/ask", json={"reason": "x", "start": start}, headers=headers)
        assert (asked.status_code, "is not good for 'apply'" in asked.text) == (403, True)
