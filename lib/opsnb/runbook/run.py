"""The run, seen from its notebook: it reports to the control plane and asks it before anything changes.

Without a control plane (plain papermill, a notebook opened by hand) a run observes and plans and records nothing;
after ``propose`` everything says "not in this mode" and the notebook ends normally.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON, digestible, same
from opsnb.base.errors import LinkError, NotFoundError, UsageError
from opsnb.base.plan import Plan
from opsnb.base.runlink import RunLink, connect
from opsnb.base.workspace import find
from opsnb.runbook.changing import Changing, batches
from opsnb.runbook.scraps import glue
from opsnb.runbook.tell import plan_text, value_text

NOT_IN_THIS_MODE = "not in this mode"


class Answer:
    """Whether something holds; true or false where it is tested, and silent at the end of a cell."""

    def __init__(self, *, holds: bool) -> None:
        self._holds = holds

    def __bool__(self) -> bool:
        return self._holds

    def __repr__(self) -> str:
        return str(self._holds)

    def _ipython_display_(self) -> None:
        """Show nothing: what there is to say was printed."""


class Run:
    """One run of one runbook. Get it from :func:`begin`.

    Attributes:
        runbook: The runbook's id.
        mode: ``read``, ``plan``, ``apply``, ``undo`` or ``retry``; ``plan`` where there is no control plane.
        hosts: Names of the sealed hosts; ``("localhost",)`` is this machine.
        files: A folder; what is left in it is kept with the record.
        configs: The workspace's folder of services' files; read and written as the front matter says.
        hiding_key: Under it contents that no plan may show are hashed: the same for all runs of one request.
    """

    def __init__(self, runbook: str, context: dict[str, Any], link: RunLink | None) -> None:
        self.runbook = runbook
        self.mode = str(context["mode"])
        self.hosts: tuple[str, ...] = tuple(h["name"] for h in context["hosts"])
        self.files = Path(context["files"])
        self.configs = Path(context["configs"])
        self.hiding_key = bytes.fromhex(context["hiding_key"])
        self._context = context
        self._link = link
        self.released: list[tuple[str, str]] = []  # hosts and what logs in there, for what masks by itself
        self._over = False  # after propose in a mode that does not change anything
        self._plan: Plan | None = None

    @property
    def linked(self) -> bool:
        """Whether a control plane listens."""
        return self._link is not None

    @property
    def link(self) -> RunLink | None:
        """The run link, for a terminal session; ``None`` where no control plane listens."""
        return self._link

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The sealed rows of the hosts: what `fleet.of(run)` reaches them with."""
        return [dict(row) for row in self._context["hosts"]]

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """Return the credential that is released for ``observe``, ``change`` or ``sudo`` on one of the run's hosts.

        Without a control plane that is the person's own: their ssh agent.

        Raises:
            LinkError: If it is not released: the one for changes is not, outside apply and undo.
        """
        if self._link is None:
            return {"kind": "agent"}
        answer = dict(self._link.ask("credential", host=host, purpose=purpose))
        self.released += [(host, answer[name]) for name in ("key", "passphrase", "password") if answer.get(name)]
        return answer

    def applicable(self, condition: object, why: str, *, instead: str = "") -> Answer:
        """Say whether this is the right runbook; the run stops here when it is not.

        Args:
            condition: Truthy when the runbook fits.
            why: What was looked at, as a sentence that reads well either way.
            instead: Id of the runbook to use instead.
        """
        fits = bool(condition)
        if self._link:
            self._link.ask("applicable", fits=fits, why=why, instead=instead)
        if fits:
            print(f"applicable: {why}")
        else:
            print(f"NOT APPLICABLE: {why}" + (f"; use {instead} instead" if instead else ""))
        return Answer(holds=fits)

    def propose(self, plan: Plan) -> Plan:
        """Hand in what would change; mode ``plan`` ends with this cell.

        Returns:
            The plan that counts from here on: ``plan`` itself, in mode ``undo`` the inverse of what was
            applied, in mode ``retry`` what an application left.
        """
        if self._link:
            answer = self._link.ask("plan", plan=digestible(plan.as_json()))
            if answer.get("plan") is not None:
                plan = Plan.from_json(answer["plan"])
            self._over = not answer["apply"]
            if answer.get("why"):
                print(answer["why"])
        else:
            self._over = True
        self._plan = plan
        print(plan_text(plan))
        return plan

    def change(self, plan: Plan, *, canary: int = 1, batch: int = 1) -> Answer:
        """Carry out the plan: ``canary`` hosts first, then ``batch`` at a time (see :mod:`opsnb.runbook.changing`).

        Each change is announced before it is made and its result told afterwards. Just before a change its thing is
        read again; when it is not as planned, nothing more is touched. What goes wrong ends its host; its batch is
        finished, and no further one is begun.

        The policy that applies may bound how many are changed at a time; then fewer are, and it says so.

        Returns:
            Whether every change was made. In a mode that changes nothing: says so and returns False.
        """
        batches((), canary, batch)
        if self._over or self._link is None or self.mode not in {"apply", "undo", "retry"}:
            print(
                f"change: {NOT_IN_THIS_MODE}. To apply: opsnb run {self.runbook}  (plans and names the request), then"
            )
            print(f"  opsnb run {self.runbook} --mode apply --request REQUEST")
            return Answer(holds=False)
        if plan is not self._plan:
            raise UsageError("change() takes the plan that propose() returned, nothing else")
        bound = int(self._context.get("batch", 0))
        if 0 < bound < max(canary, batch):
            print(f"the policy lets {bound} hosts be changed at a time")
            canary, batch = min(canary, bound), min(batch, bound)
        return Answer(
            holds=Changing(plan, self._link, again=self.mode == "retry").carry_out(canary=canary, batch=batch)
        )

    def check(self, what: str, got: JSON, want: JSON) -> Answer:
        """Look at one promise: it holds when ``got == want``. Each check is evidence at once.

        Args:
            what: The promise, as a sentence.
            got: What was found, JSON.
            want: What was wanted, JSON.
        """
        if self._over:
            print(f"{NOT_IN_THIS_MODE}: {what}")
            return Answer(holds=False)
        got, want = _plain(got), _plain(want)
        ok = same(got, want)
        if self._link:
            self._link.ask("check", what=what, got=got, want=want)
        print(f"{'PASS' if ok else 'FAIL'}  {what}: got {value_text(got)}, want {value_text(want)}")
        return Answer(holds=ok)

    def evidence(self, name: str, value: JSON) -> None:
        """Keep a named value with the record (also as a scrap in scrapbook's wire format)."""
        value = _plain(value)
        if self._link:
            self._link.ask("evidence", name=name, value=value)
        glue(name, value)

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Tell those who watch how far a long cell is."""
        if self._link:
            self._link.ask("progress", done=int(done), total=int(total), what=str(what))

    def finish(self) -> None:
        """Close the run: prints its summary; the control plane computes the verdict."""
        if self._link:
            summary = self._link.ask("finish")
            for line in summary["lines"]:
                print(line)
        else:
            print("no control plane: observed" + (" and planned" if self._plan else "") + ", nothing was recorded")


def begin(runbook: str) -> Run:
    """Start the run inside its notebook: prints who, what, where and the mode.

    Args:
        runbook: The id in the notebook's front matter.

    Raises:
        LinkError: If the control plane sealed another runbook.
    """
    link = connect()
    context = link.ask("context") if link else _unlinked()
    if link and context["runbook"] != runbook:
        raise LinkError(f"this run was sealed for {context['runbook']}, and the notebook says begin({runbook!r})")
    if context.get("agent"):  # a host of this run is reached with the keys of an SSH agent
        os.environ["SSH_AUTH_SOCK"] = context["agent"]
    run = Run(runbook, context, link)
    print(f"{runbook}  mode {run.mode}  on {', '.join(run.hosts)}  by {context['requester']}")
    if link:
        print(f"run {context['run']}  request {context['request']}  {context['isolation']}")
    else:
        print("no control plane: this run observes and plans, and records nothing")
    return run


def _unlinked() -> dict[str, Any]:
    return {
        "mode": "plan",
        "hosts": [{"name": "localhost", "transport": "local", "address": socket.gethostname()}],
        "files": os.getcwd(),  # noqa: PTH109  (the notebook's own folder)
        "configs": str(_workspace() / "configs"),
        "hiding_key": secrets.token_hex(32),
        "requester": getpass.getuser(),
    }


def _workspace() -> Path:
    """Return the workspace around the notebook's folder, or that folder where there is none."""
    try:
        return find(Path.cwd()).root
    except NotFoundError:
        return Path.cwd()


def _plain(value: JSON) -> JSON:
    """Return numpy and pandas scalars as Python's own, so that they are JSON."""
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, str | bytes | dict | list):
        value = item()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
