"""Whatever fits the description of the API, and whatever does not: an answer that is described, and never a 500."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
import schemathesis
from httpx2 import InvalidURL
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from api.callers import Callers
from opsnb.web.table import TABLE

PROVE = bool(os.environ.get("OPSNB_PROVE"))
EXAMPLES = 300 if PROVE else 6  # for each route, of either kind
UNDESCRIBED = {
    "/api", "/api/openapi.json", "/enter", "/login/oidc", "/login/oidc/back", "/login/oidc/code", "/login/oidc/terminal",
}  # pages  # fmt: skip
ANSWERS: Counter[int] = Counter()
OWNER = {"authorization": "Bearer owner"}


@pytest.fixture(scope="module")
def client(callers: Callers) -> Iterator[TestClient]:
    """A client that sees a server's exception as a 500."""
    callers.app.token = OWNER["authorization"].split()[1]
    with callers.client(raise_server_exceptions=False) as client:
        yield client
    if told := os.environ.get("OPSNB_EVIDENCE"):
        Path(told).write_text(f"{sum(ANSWERS.values())} requests: {dict(sorted(ANSWERS.items()))}\n", encoding="utf-8")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does-not"])
@pytest.mark.parametrize("key", [key for key in TABLE if key.split()[1] not in UNDESCRIBED])
def test_no_500(callers: Callers, client: TestClient, key: str, mode: GenerationMode) -> None:
    """Every route, with what fits its description and with what does not, answers in the described form: no 500."""
    method, path = key.split()
    described = callers.api.openapi()
    operation = schemathesis.openapi.from_dict(described)[path][method]
    known = {int(code) for code in described["paths"][path][method.lower()]["responses"]}
    try:
        cases = operation.as_strategy(generation_mode=mode)
    except SkipTest:  # nothing about this route could be wrong
        return

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES, phases=(Phase.explicit, Phase.generate), derandomize=not PROVE, database=None,
        suppress_health_check=list(HealthCheck), deadline=None,
    )  # fmt: skip
    def ask(case: Any) -> None:
        sent = case.as_transport_kwargs(headers=OWNER, base_url="http://127.0.0.1")
        sent.pop("cookies", None)
        if isinstance(sent.get("data"), bytes | str):
            sent["content"] = sent.pop("data")
        sent["headers"] = {**dict(sent["headers"]), **OWNER}
        try:
            request = client.build_request(**sent)
        except (ValueError, InvalidURL):  # the client itself sends no such thing
            return
        answer = client.send(request)
        ANSWERS[answer.status_code] += 1
        assert answer.status_code != 500, (sent, answer.text)
        assert answer.status_code in known, (sent, answer.status_code, answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()["error"]) == {"type", "message", "hint", "exit"}, (sent, answer.text)

    try:
        ask()
    except Unsatisfiable:  # nothing that is sent to this route could be wrong
        assert mode is GenerationMode.NEGATIVE


EDGES = ("0", "-1", str(2**31), str(2**63 - 1), str(2**63), str(-(2**63) - 1), str(2**200), "", "%00", "x" * 3000)


def test_edges_of_queries(callers: Callers, client: TestClient) -> None:
    """No query's value at an edge, of a list without a row either, is a 500: what random values hardly find."""
    for path, methods in callers.api.openapi()["paths"].items():
        for method, said in methods.items():
            given = said.get("parameters", [])
            kinds = {p["name"]: p["schema"].get("$ref", "") for p in given if p["in"] == "path"}
            url = path.format(**{n: {"ActKind": "comment", "Action": "read"}.get(k[21:], n) for n, k in kinds.items()})
            for name in (p["name"] for p in given if p["in"] == "query"):
                for value in EDGES:
                    answer = client.request(method, url, params={name: value}, headers=OWNER)
                    assert answer.status_code in {200, 404, 409, 422}, (method, url, name, value, answer.text)


def test_every_route_is_described(callers: Callers) -> None:
    """Each route says what it does and which errors it gives; 401, 403 and 422 are among them, with their shape."""
    described = callers.api.openapi()
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            assert said.get("description"), f"{method} {path} has no description"
            for code in ("401", "403", "404", "422", "503"):
                shape = said["responses"][code]["content"]["application/json"]["schema"]["$ref"]
                assert shape.endswith("/Failed"), (method, path, code)


def test_the_page_lists_every_route(callers: Callers) -> None:
    """/api is a plain page: every route with what it does and who may, nothing from elsewhere, no script."""
    with callers.client() as client:
        page = client.get("/api").text
    for path, methods in callers.api.openapi()["paths"].items():
        assert all(f"{method.upper()} {path}" in page for method in methods)
    assert "<script" not in page
    assert "src=" not in page
    assert "http://" not in page.replace("http://127.0.0.1", "")
