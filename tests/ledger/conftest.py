"""A ledger as the control plane keeps it: a real database, a real signer, a real outputs/ directory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from opsnb.base.canonical import canonical, digest, salted, sha256
from opsnb.control.database import metadata, open_engine
from opsnb.control.ledger import store
from opsnb.control.ledger.events import (
    Event,
    Isolation,
    PlanProposed,
    RequestSealed,
    RunClaimed,
    RunFinished,
    RunRecorded,
)
from opsnb.control.ledger.publish import Publication, publish, site_event
from opsnb.control.ledger.signer import Signer
from opsnb.control.records import Mode, Risk, Verdict

ORIGIN = "opsnb.example/test"
DAY = "2026/11/23"
SALTS = ("notebook", "files", "html", "request", "plan")


class Log:
    """One workspace's ledger under ``root``: ``.opsnb`` and ``outputs``."""

    def __init__(self, root: Path, origin: str = ORIGIN) -> None:
        self.root, self.state, self.outputs = root, root / ".opsnb", root / "outputs"
        for folder in (self.state, self.outputs):
            folder.mkdir(parents=True, exist_ok=True)
        self.engine = open_engine(self.state / "opsnb.db")
        tables = [store.ledger_entries, store.ledger_head]
        metadata.create_all(self.engine, tables=tables)
        self.signer = Signer.open(self.state, origin)
        with self.transaction() as connection:
            store.open_ledger(connection, origin)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction, rolled back on an exception."""
        with self.engine.begin() as connection:
            yield connection

    def append(self, *events: Event) -> list[store.Position]:
        """Append events in one transaction."""
        with self.transaction() as connection:
            return [store.append(connection, event) for event in events]

    def publish(self) -> Publication:
        """Publish as the control plane does: first the site's entry, when it is due."""
        with self.transaction() as connection:
            event = site_event(connection, self.signer)
            if event is not None:
                store.append(connection, event)
        with self.transaction() as connection:
            return publish(connection, self.signer, self.outputs)

    def checkpoint(self) -> bytes:
        """Sign the head."""
        with self.transaction() as connection:
            return self.signer.checkpoint(connection)

    def request(self) -> dict[str, Any]:
        """Seal a request."""
        name = f"q-{secrets.token_hex(4)}"
        body = {
            "schema": 1,
            "request": name,
            "parameters": {"hosts": "web*"},
            "title": "检查",
            "nonce": "8f3a",
        }
        salts = {salt: secrets.token_hex(32) for salt in SALTS}
        sealed = salted(salts["request"], canonical(body))
        self.append(RequestSealed(request=name, risk=Risk.CHANGE, digest=sealed))
        return {"id": name, "body": body, "salts": salts, "plan": None, "plan_digest": None}

    def run(
        self,
        request: dict[str, Any],
        *,
        files: dict[str, bytes] | None = None,
        plan: bool = False,
        manifest: dict[str, Any] | None = None,
        entries: dict[str, str] | None = None,
        finished_before: bool = False,
    ) -> Path:
        """Record a run of a request; return its folder.

        Args:
            request: What :meth:`request` returned.
            files: What the run left under ``files/``.
            plan: Whether it is a plan run, which proposes a plan.
            manifest: Members of manifest.json that shall be others than the true ones.
            entries: Digests that its entries shall hold instead of the true ones, by field.
            finished_before: Whether a control plane died after it had finished the run and before it recorded it.
        """
        run, mode = f"r-{secrets.token_hex(4)}", Mode.PLAN if plan else Mode.APPLY
        self.append(RunClaimed(run=run, request=request["id"], mode=mode, by="p-1"))
        if plan:
            request["plan"] = {"title": "one change", "changes": [{"host": "web1"}]}
            request["plan_digest"] = digest(request["plan"])
            hidden = salted(request["salts"]["plan"], request["plan_digest"].encode())
            self.append(PlanProposed(run=run, request=request["id"], plan=hidden))
        contents = {"run.ipynb": f'{{"cells": ["{run}"]}}'.encode(), "run.html": f"<p>{run}</p>".encode()}
        contents |= {f"files/{name}": data for name, data in (files or {}).items()}
        rows = [{"path": n, "size": len(d), "sha256": sha256(d)} for n, d in sorted(contents.items())]
        contents["manifest.json"] = canonical({
            "schema": 1, "run": run, "salts": request["salts"], "files": rows, "request": request["body"],
            "request_digest": digest(request["body"]), "plan": request["plan"],
            "plan_digest": request["plan_digest"], "record": {"run": run, "title": "检查"}, **(manifest or {}),
        })  # fmt: skip
        self._enter(run, request, mode, contents, entries or {}, finished_before=finished_before)
        folder = self.outputs / ".incoming" / run
        for name, data in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        (self.outputs / DAY).mkdir(parents=True, exist_ok=True)
        return folder.rename(self.outputs / DAY / run)

    def _enter(
        self, run: str, request: dict[str, Any], mode: Mode, contents: dict[str, bytes], entries: dict[str, str],
        *, finished_before: bool,
    ) -> None:  # fmt: skip
        salts = request["salts"]
        rows = [{"path": n, "size": len(d), "sha256": sha256(d)} for n, d in sorted(contents.items()) if "/" in n]
        true = {
            "notebook": salted(salts["notebook"], contents["run.ipynb"]),
            "files": salted(salts["files"], canonical(rows)),
            "html": salted(salts["html"], contents["run.html"]),
            "manifest": sha256(contents["manifest.json"]),
        }
        said = {**true, **entries}
        finished = RunFinished(
            run=run, request=request["id"], mode=mode, verdict=Verdict.DONE, isolation=Isolation.LANDLOCK,
            notebook=said["notebook"], files=said["files"],
        )  # fmt: skip
        recorded = RunRecorded(run=run, path=f"{DAY}/{run}", html=said["html"], manifest=said["manifest"])
        if finished_before:
            self.append(replace(finished, notebook="ab" * 32, verdict=Verdict.ABORTED))
        self.append(finished, recorded)

    def fill(self) -> list[Path]:
        """Record a plan run, its apply run with files, and a run of another request; publish."""
        first = self.request()
        folders = [
            self.run(first, plan=True),
            self.run(first, files={"a.txt": b"left behind", "deep/b.bin": bytes(range(256))}),
            self.run(self.request()),
        ]
        self.publish()
        return folders

    def lines(self) -> list[dict[str, Any]]:
        """Return the published entries."""
        text = (self.outputs / "ledger/entries.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()


@pytest.fixture
def new_log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    """Make ledgers in directories of their own: ``new_log("name")``."""
    made: list[Log] = []

    def make(name: str = "ws", origin: str = ORIGIN) -> Log:
        made.append(Log(tmp_path / name, origin))
        return made[-1]

    yield make
    for log in made:
        log.close()


@pytest.fixture
def log(new_log: Callable[..., Log]) -> Log:
    """A ledger that has just begun."""
    return new_log()
