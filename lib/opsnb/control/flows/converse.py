"""The control plane's end of one run link: it takes reports, decides what is let through, and approves nothing.

A kernel is not trusted. Every message is checked for its shape, its size and its place in the run; a change is made
known to the database and the ledger before it is let through.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from opsnb.base.canonical import digestible, salted, same
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.masking import Masker
from opsnb.base.plan import Plan
from opsnb.control.flows.hosts import THIS_MACHINE
from opsnb.control.flows.paths import writes_configs
from opsnb.control.flows.refuse import MAX_WRITTEN, attempt_of, write_down
from opsnb.control.flows.reveal import secret
from opsnb.control.ledger.events import IntentClosed, IntentOpened, Outcome, PlanProposed
from opsnb.control.ledger.store import append
from opsnb.control.records import Mode
from opsnb.control.runs import store
from opsnb.control.runs.launcher import AGENT
from opsnb.control.runs.terminal import Terminal
from opsnb.control.secrets import request_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsnb.control.flows.services import Services

MAX_MESSAGES = 100_000  # of one run
UNMASKED = frozenset({  # a plan that holds a secret is refused instead; a session is masked where it is recorded
    "plan", "secret", "credential", "terminal",
})  # fmt: skip
MAX_CHECKS = 10_000  # of one run
MAX_TEXT = 4_000  # characters of a check's promise or a reason
MAX_NAME = 200  # characters of an evidence's name


class Refused(OpsnbError):  # noqa: N818  (an answer, not a fault)
    """What the kernel is told when it may not."""


@dataclass
class Conversation:
    """The state of one run link.

    Args:
        services: What the flow needs.
        run: The run's id.
        mode: Its mode.
        request: Its request's id.
        body: Its sealed request.
        end: Orders the supervisor to end the run after the current cell.
        tell: Passes an event to those who watch.
        masker: Masks what the kernel says before it is kept or told.
        to_mask: Names and values that the supervisor has to know before the answer at hand leaves.
    """

    services: Services
    run: str
    mode: Mode
    request: str
    body: dict[str, Any]
    end: Callable[[str], None]
    tell: Callable[[dict[str, Any]], None]
    terminal: Terminal = field(default_factory=Terminal)
    masker: Masker = field(default_factory=Masker)
    to_mask: list[tuple[str, str]] = field(default_factory=list)
    folder: str = ""
    isolation: str = "none"
    plan: Plan | None = None
    let_through: bool = False
    drifted: bool = False
    messages: int = 0
    checks: int = 0
    refusals: int = 0
    holds: list[str] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one message of the kernel."""
        number = message.get("id")
        self.messages += message.get("op") != "terminal"  # a session has as many as its time brings
        self.to_mask.clear()
        handler = _HANDLERS.get(str(message.get("op")))
        try:
            if handler is None:
                raise Refused(f"unknown message '{str(message.get('op'))[:40]}'")
            if self.messages > MAX_MESSAGES:
                raise Refused(f"more than {MAX_MESSAGES} messages")
            if message["op"] not in UNMASKED:
                message = {**self.masker.value(message), "op": message["op"]}
            return {"id": number, "ok": True, "value": handler(self, message)}
        except (OpsnbError, KeyError, TypeError, ValueError) as error:
            text = error.message if isinstance(error, OpsnbError) else f"malformed message: {error!r}"
            text = self.masker.text(text)[:MAX_TEXT]
            if isinstance(error, OpsnbError):
                self._write_down(str(message.get("op")), text)
            return {"id": number, "ok": False, "error": text}
        except SQLAlchemyError as error:  # a full disk, as a rule: what cannot be recorded is not let through
            self.services.give_up_reserve()
            return {"id": number, "ok": False, "error": f"it could not be recorded: {type(error).__name__}"}

    def _write_down(self, op: str, why: str) -> None:
        """Keep what was refused; after a drift a fleet's threads still ask, and that is no attempt at anything."""
        attempt = attempt_of(op)
        if attempt is None or self.drifted or self.refusals >= MAX_WRITTEN:
            return
        self.refusals += 1
        with contextlib.suppress(SQLAlchemyError):  # a full disk: it stays refused
            write_down(self.services, self.run, attempt, why)

    # -- what a kernel may say -------------------------------------------------------------------------------------

    def _context(self, _: dict[str, Any]) -> dict[str, Any]:
        how = "isolated by Landlock" if self.isolation == "landlock" else "NOT ISOLATED"
        return {
            "run": self.run, "request": self.request, "runbook": self.body["id"] or self.body["runbook"],
            "mode": self.mode.value,
            "hosts": self.body["hosts"], "requester": self.body["requester"]["name"], "isolation": how,
            "files": f"{self.folder}/files", "configs": str(self.services.workspace.configs),
            "hiding_key": request_key(self.services.workspace.state, self.request), "batch": self._bound(),
            "agent": self._agent(),
        }  # fmt: skip

    def _agent(self) -> str:
        if AGENT not in os.environ:
            return ""
        from opsnb.control.flows.login import agent_for  # with it comes the inventory

        return agent_for(self.services, self.body["hosts"])

    def _applicable(self, message: dict[str, Any]) -> None:
        if not message["fits"]:
            why = str(message["why"])[:MAX_TEXT]
            instead = str(message.get("instead", ""))[:MAX_NAME]
            self._note("inapplicable", why + (f"; use {instead} instead" if instead else ""))
            self.end("the runbook does not apply here")

    def _plan(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.mode is Mode.READ:
            raise Refused("a runbook of risk 'read' has nothing to propose")
        if self.plan is not None:
            raise Refused("a run proposes one plan")
        plan = Plan.from_json(message["plan"])
        self._refuse_secrets(plan)
        sealed = {h["name"] for h in self.body["hosts"]}
        if writes_configs(self.services, self.body["writes"]):
            sealed.add(THIS_MACHINE)  # where configs/ lies: Landlock lets nothing else there be written
        if foreign := sorted(set(plan.hosts) - sealed):
            raise Refused(f"the plan names hosts that the request does not: {', '.join(foreign)}")
        answers = {Mode.PLAN: self._planned, Mode.APPLY: self._checked, Mode.UNDO: self._inverted}
        return answers.get(self.mode, self._remaining)(plan)

    def _refuse_secrets(self, plan: Plan) -> None:
        """A plan is digested, approved and undone as it is: a mask in it would be written to a host one day."""
        for number, change in enumerate(plan.changes):
            if names := self.masker.holds(change.as_json()):
                what = self.masker.text(change.what)[:MAX_NAME]
                raise Refused(
                    f"change {number} of the plan ({what}) holds the value of secret "
                    f"{', '.join(names)}; plan with its digest or its reference and reveal it where it is applied"
                )
        if names := self.masker.holds([plan.title, plan.context]):
            raise Refused(f"the plan's title or context holds the value of secret {', '.join(names)}")

    def _planned(self, plan: Plan) -> dict[str, Any]:
        self.plan = plan
        value = digestible(plan.as_json())
        with self.services.database.transaction() as connection:
            row = store.request_row(connection, self.request)
            connection.execute(
                update(store.requests).where(store.requests.c.id == self.request)
                .values(plan=value, plan_digest=plan.digest, plan_run=self.run)
            )  # fmt: skip
            store.note(connection, self.run, "planned", plan.digest)
            hidden = salted(row.salts["plan"], plan.digest.encode())
            append(connection, PlanProposed(run=self.run, request=self.request, plan=hidden))
        self.tell({"ev": "plan", "digest": plan.digest, "changes": len(plan.changes)})
        self.end("the plan is ready")
        return {"apply": False, "plan": None, "why": ""}

    def _checked(self, plan: Plan) -> dict[str, Any]:
        with self.services.database.transaction() as connection:
            approved = store.request_row(connection, self.request).plan_digest
        self.plan = plan
        if plan.digest != approved:
            why = f"the plan is {plan.digest[:16]}… now and {str(approved)[:16]}… was approved; nothing was touched"
            self._drift(why)
            return {"apply": False, "plan": None, "why": f"DRIFTED: {why}"}
        self._let_through(plan)
        return {"apply": True, "plan": None, "why": ""}

    def _inverted(self, _: Plan) -> dict[str, Any]:
        with self.services.database.transaction() as connection:
            undoes = store.run_row(connection, self.run).undoes
            plan = Plan.from_json(store.request_row(connection, self.request).plan)
            kept = store.made(connection, str(undoes))
        self.plan = plan.only(kept).inverse()
        self._let_through(self.plan)
        return {"apply": True, "plan": digestible(self.plan.as_json()), "why": f"undoing run {undoes}"}

    def _remaining(self, _: Plan) -> dict[str, Any]:
        """Let through what no run of this request has made yet, from the plan that was approved."""
        with self.services.database.transaction() as connection:
            plan = Plan.from_json(store.request_row(connection, self.request).plan)
            made = store.made_of_request(connection, self.request)
            left = [number for number in range(len(plan.changes)) if number not in made]
            store.note(connection, self.run, "numbers", left)
        self.plan = plan.only(left)
        self._let_through(self.plan)
        why = f"retrying {len(left)} of {len(plan.changes)} approved changes; the others were made"
        return {"apply": True, "plan": digestible(self.plan.as_json()), "why": why}

    def _drift_found(self, message: dict[str, Any]) -> None:
        number = self._number(message)
        assert self.plan is not None
        change = self.plan.changes[number]
        touched = f"{len(self.begun)} changes were made before" if self.begun else "nothing was touched"
        self._drift(f"{change.host}: {change.what} is no longer as planned; {touched}")

    def _intent(self, message: dict[str, Any]) -> None:
        if not self.mode.changes or not self.let_through or self.drifted:
            raise Refused(f"no change is let through in mode {self.mode.value}" + (" after a drift" * self.drifted))
        number = self._number(message)
        if number in self.begun:
            raise Refused(f"change {number} was begun already")
        assert self.plan is not None
        change = self.plan.changes[number]
        going = {self.plan.changes[n].host for n in self.begun - self.closed} | {change.host}
        if 0 < self._bound() < len(going):
            raise Refused(f"the policy lets {self._bound()} hosts be changed at a time, and this is one more")
        with self.services.database.transaction() as connection:
            store.open_intent(connection, self.run, number, change.host, change.what)
            append(connection, IntentOpened(run=self.run, change=number))
        self.begun.add(number)
        self.tell({"ev": "change", "change": number, "host": change.host, "what": change.what, "state": "begun"})

    def _result(self, message: dict[str, Any]) -> None:
        number = self._number(message)
        if number not in self.begun or number in self.closed:
            raise Refused(f"change {number} was not begun, or has its result")
        outcome = {True: "ok", None: "unknown"}.get(message["ok"], "failed")
        with self.services.database.transaction() as connection:
            store.close_intent(connection, self.run, number, outcome, str(message.get("error", ""))[:MAX_TEXT])
            append(connection, IntentClosed(run=self.run, change=number, outcome=Outcome(outcome)))
        self.closed.add(number)
        self.tell({"ev": "change", "change": number, "state": outcome})

    def _unreached(self, message: dict[str, Any]) -> None:
        number = self._number(message)
        if number in self.begun:
            raise Refused(f"change {number} was begun, so its host was reached")
        self._note("unreached", {"change": number, "why": str(message["why"])[:MAX_TEXT]})
        self.tell({"ev": "change", "change": number, "state": "unreachable"})

    def _check(self, message: dict[str, Any]) -> None:
        self.checks += 1
        if self.checks > MAX_CHECKS:
            raise Refused(f"more than {MAX_CHECKS} checks")
        got, want = message["got"], message["want"]
        digestible([got, want])  # refuses what has no place in a record
        row = {"what": str(message["what"])[:MAX_TEXT], "got": got, "want": want, "ok": same(got, want)}
        self._note("check", row)
        self.tell({"ev": "check", **row})

    def _evidence(self, message: dict[str, Any]) -> None:
        name = str(message["name"])
        if not name or len(name) > MAX_NAME:
            raise UsageError(f"an evidence's name has 1 to {MAX_NAME} characters")
        digestible(message["value"])
        self._note("evidence", {"name": name, "value": message["value"]})
        self.tell({"ev": "evidence", "name": name, "value": message["value"]})

    def _progress(self, message: dict[str, Any]) -> None:
        what = str(message.get("what", ""))[:MAX_NAME]
        self.tell({"ev": "progress", "done": int(message["done"]), "total": int(message["total"]), "what": what})

    def _terminal(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.terminal.exchange(message)

    def _secret(self, message: dict[str, Any]) -> str:
        return secret(self, message)

    def _credential(self, message: dict[str, Any]) -> dict[str, Any]:
        from opsnb.control.flows.login import credential  # with it comes the inventory

        return credential(self, message)

    def _finish(self, _: dict[str, Any]) -> dict[str, Any]:
        with self.services.database.transaction() as connection:
            store.note(connection, self.run, "finished", True)  # noqa: FBT003  (a JSON value)
            checks = store.noted(connection, self.run, "check")
            made = store.intent_rows(connection, self.run)
        held = sum(1 for c in checks if c["ok"])
        lines = [f"checks: {held} of {len(checks)} held"]
        lines += [f"  FAIL  {c['what']}" for c in checks if not c["ok"]]
        if self.mode.changes:
            lines.append(f"changes: {sum(1 for i in made if i.outcome == 'ok')} made")
        return {"lines": [*lines, "the control plane computes the verdict from checks and cell states"]}

    # -- shared ----------------------------------------------------------------------------------------------------

    def _bound(self) -> int:
        """How many hosts the sealed policy lets be changed at a time; 0: as many as the runbook says."""
        return int((self.body.get("policy") or {}).get("batch") or 0)

    def _number(self, message: dict[str, Any]) -> int:
        number = message["change"]
        if self.plan is None or type(number) is not int or not 0 <= number < len(self.plan.changes):
            raise Refused(f"there is no change {number!r} in this run's plan")
        return number

    def _let_through(self, plan: Plan) -> None:
        """From here on changes may be announced; every one that is not made counts against the verdict."""
        self.let_through = True
        self._note("through", [{"host": c.host, "what": c.what} for c in plan.changes])

    def _drift(self, why: str) -> None:
        self.drifted = True
        self._note("drifted", why)
        self.end("the plan has drifted")

    def _note(self, kind: str, value: Any) -> None:
        with self.services.database.transaction() as connection:
            store.note(connection, self.run, kind, value)


_HANDLERS: dict[str, Callable[[Conversation, dict[str, Any]], Any]] = {
    "context": Conversation._context,
    "applicable": Conversation._applicable,
    "plan": Conversation._plan,
    "drift": Conversation._drift_found,
    "intent": Conversation._intent,
    "result": Conversation._result,
    "unreached": Conversation._unreached,
    "check": Conversation._check,
    "evidence": Conversation._evidence,
    "progress": Conversation._progress,
    "terminal": Conversation._terminal,
    "secret": Conversation._secret,
    "credential": Conversation._credential,
    "finish": Conversation._finish,
}


def sealed_body(row: Any) -> dict[str, Any]:
    """Return the sealed request of a row."""
    return dict(json.loads(row.body))
