"""A disk that is full: what could not be recorded is refused as unavailable, nothing of it is there, and it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from api.callers import Callers

MOST = 1_073_741_823  # pages, as SQLite has it


@contextmanager
def full(callers: Callers) -> Iterator[None]:
    """Let the database grow no further: SQLite then says what it says of a full disk."""
    engine = callers.app.services.database.engine
    pages = 1

    def bound(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "begin", bound)
    try:
        yield
    finally:
        pages = MOST
        with callers.app.services.database.transaction():
            pass
        event.remove(engine, "begin", bound)


def test_a_full_disk(callers: Callers) -> None:
    """Exit code 7 and status 503 with the next move, in words; all of the change is missing; afterwards it is taken."""
    users = "".join(f"  full{n}: {{display: {'x' * 70}, roles: [auditor]}}\n" for n in range(200))
    body = {"text": f"users:\n{users}", "format": "yaml", "name": "people.yaml"}
    held = {"authorization": f"Bearer {callers.app.token}"}
    with callers.client() as client:
        with full(callers):
            answer = client.post("/api/people/import", json=body, headers=held)
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["exit"]) == (503, "UnavailableError", 7)
            assert error["message"] == "the database could not record it: database or disk is full"
            assert "opsnb doctor" in error["hint"]
            assert client.get("/api/users/full0", headers=held).status_code == 404
        assert client.post("/api/people/import", json=body, headers=held).status_code in {200, 201}
        assert client.get("/api/users/full199", headers=held).status_code == 200
