"""The composition root: settings in, wired flows out. One :class:`App` owns the state of one workspace."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from opsnb.base.clock import now as current
from opsnb.base.errors import OpsnbError, RefusedError, UnavailableError
from opsnb.base.settings import Settings
from opsnb.base.workspace import Workspace
from opsnb.control.approvals.written import read_policies
from opsnb.control.catalog import Catalog
from opsnb.control.database import Database
from opsnb.control.flows import codes
from opsnb.control.flows import secrets as secrets_flow
from opsnb.control.flows.active import settings_of
from opsnb.control.flows.allow import permit_run, seen
from opsnb.control.flows.approve import lapse
from opsnb.control.flows.claim import claim_next
from opsnb.control.flows.enter import FirstDoor
from opsnb.control.flows.execute import execute, stop
from opsnb.control.flows.isolation import groups, kernel_user, reads_of
from opsnb.control.flows.kept import kept_file
from opsnb.control.flows.lobby import Lobby
from opsnb.control.flows.people import arrive
from opsnb.control.flows.record import publish_ledger
from opsnb.control.flows.recover import recover
from opsnb.control.flows.review import of_runs, started_under
from opsnb.control.flows.seal import Asked
from opsnb.control.flows.services import Services
from opsnb.control.flows.submit import retry, start_due, submit, undo
from opsnb.control.flows.telling import remind
from opsnb.control.flows.uploads import remove_old
from opsnb.control.ledger.events import RunStopped
from opsnb.control.ledger.signer import Signer
from opsnb.control.ledger.store import about, append, head, open_ledger, read
from opsnb.control.people.ldap import check_sign_in
from opsnb.control.people.store import directory
from opsnb.control.people.telling import names
from opsnb.control.people.values import Action, Actor
from opsnb.control.records import RunState
from opsnb.control.runs import store
from opsnb.control.runs.feed import Feed
from opsnb.control.runs.launcher import Launcher
from opsnb.control.runs.scratch import remove_stale
from opsnb.control.runs.terminal import MAX_SESSIONS, SESSION, Terminal
from opsnb.control.runs.toolkit import Toolkit
from opsnb.control.secrets import Environment, SecretStore, Sources, Vault

LOG = logging.getLogger("opsnb")
TURN_SECONDS = 1.0  # between two looks at what is due
STOPPED = "the control plane was stopped"


class App:
    """The control plane of one workspace. Opening it takes the owner's lock; close it to give that up.

    Raises:
        UnavailableError: If another process owns the workspace.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = settings_of(workspace)
        policies = read_policies(self.settings.policies)
        check_sign_in(self.settings.login)
        for folder in (workspace.state, workspace.incoming, workspace.runbooks):
            folder.mkdir(parents=True, exist_ok=True)
        workspace.state.chmod(0o700)
        self._lock = _take_lock(workspace.lock)
        environment = Environment.taken()  # before anything is started that would inherit it
        toolkit = Toolkit()
        launcher = Launcher(
            scratch=Path(tempfile.gettempdir()), reads=reads_of(workspace, toolkit),
            fork=self.settings.kernel == "fork", toolkit=toolkit.digest, ahead=self.settings.workers,
            user=kernel_user(self.settings, workspace), groups=groups(self.settings),
        )  # fmt: skip
        launcher.warm()  # before anything is opened: what it starts must hold nothing of ours
        database = Database(workspace.database)
        self.services = Services(
            workspace=workspace, settings=self.settings, database=database,
            catalog=Catalog.load(workspace.root), signer=Signer.open(workspace.state, self.settings.name),
            launcher=launcher, toolkit=toolkit, policies=policies,
            secrets=_sources(database, workspace, self.settings, environment),
        )  # fmt: skip
        self.person = arrive(self.services)
        self.actor = Actor(person=self.person)  # who comes with the token in .opsnb/
        self.token = _token(workspace.token)
        self.first = FirstDoor()
        self.lobby = Lobby()
        self._next_turn = 0.0
        self._stopping = threading.Event()
        self._workers: list[threading.Thread] = []
        self._sessions: list[threading.Thread] = []

    def start(self) -> None:
        """Check the ledger, end what was left unfinished, and start the workers."""
        services = self.services
        with services.database.transaction() as connection:
            open_ledger(connection, self.settings.name)
        with services.database.transaction() as connection:
            services.signer.check(connection)
        with services.database.transaction() as connection:
            services.secrets.store.check(connection)
            codes.encrypt(services, connection)
        services.secrets.store.settle()
        services.keep_reserve()
        remove_stale(tempfile.gettempdir())
        remove_old(self.workspace)
        if recovered := recover(services):
            LOG.warning("%d unfinished run(s) of a former control plane were ended", recovered)
        for number in range(self.settings.workers):
            thread = threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            thread.start()
            self._workers.append(thread)

    def stop_all(self) -> None:
        """Start nothing more, stop what runs, and wait until it is recorded. Queued runs stay queued."""
        self._stopping.set()
        self.services.ending = STOPPED  # before we look who runs: whoever is about to run looks at it afterwards
        for run in list(self.services.running):
            stop(self.services, run, STOPPED)
        self.services.wake()
        for thread in (*self._workers, *self._sessions):
            thread.join(timeout=60.0)
        for feed in list(self.services.feeds.values()):
            feed.end()

    def close(self) -> None:
        """Stop what runs, record it, and give the workspace up."""
        self.stop_all()
        self.services.launcher.close()
        self.services.database.close()
        self.workspace.socket.unlink(missing_ok=True)
        os.close(self._lock)

    # -- what the doors ask for ------------------------------------------------------------------------------------

    def submit(self, asked: Asked, *, request: str = "", start: str = "", actor: Actor | None = None) -> str:
        """Queue a run; return its id. With ``start`` an approval is asked for once it is planned."""
        return submit(self.services, asked, actor or self.actor, request=request, start=start)

    def undo(self, run: str, actor: Actor | None = None) -> str:
        """Queue the undoing of a run; return the new run's id."""
        return undo(self.services, run, actor or self.actor)

    def retry(self, run: str, actor: Actor | None = None) -> str:
        """Queue what an application did not finish; return the new run's id."""
        return retry(self.services, run, actor or self.actor)

    def stop(self, run: str, actor: Actor | None = None) -> dict[str, Any]:
        """Stop a run that is queued or running.

        Raises:
            NotFoundError: If there is no such run.
            RefusedError: If it is somebody else's, and they may not.
        """
        services, who = self.services, actor or self.actor
        with services.database.transaction() as connection:
            row = permit_run(connection, who, run, Action.APPLY, own=Action.READ)
            if row.state == RunState.ENDED:
                return {"run": run, "state": row.state, "verdict": row.verdict}
            append(connection, RunStopped(run=run, by=who.person.id))
            store.note(connection, run, "stop", who.person.name)
        stop(services, run, f"stopped by {who.person.name}")
        services.wake()
        return {"run": run, "state": "stopping", "verdict": None}

    def feed(self, run: str, actor: Actor | None = None) -> Feed:
        """Return a run's live events; those of an ended run are its result alone.

        Raises:
            NotFoundError: If there is no such run.
        """
        with self.services.database.transaction() as connection:
            row = permit_run(connection, actor or self.actor, run, Action.READ)
        feed = self.services.feed(run)
        if row.state == RunState.ENDED and run not in self.services.running and not feed.told:
            feed.tell({"ev": "end", "result": row.result})
            feed.end()
        return feed

    def terminal(self, run: str, actor: Actor | None = None) -> Terminal | None:
        """Return the terminal of a run that runs, ``None`` while it waits for its turn.

        Raises:
            NotFoundError: If there is no such run.
            RefusedError: If somebody else asked for it, or it has ended.
        """
        with self.services.database.transaction() as connection:
            row = store.run_row(connection, run)
            requester = store.request_row(connection, row.request).requester
        if requester != (actor or self.actor).person.id:
            raise RefusedError(f"run {run} belongs to somebody else: only who asked for a session may type into it")
        if row.state in {RunState.ENDED, RunState.RECORDING}:
            raise RefusedError(f"run {run} has ended")
        return self.services.terminals.get(run)

    def run(self, run: str, actor: Actor | None = None) -> dict[str, Any]:
        """Return one run as a JSON object."""
        with self.services.database.transaction() as connection:
            row = permit_run(connection, actor or self.actor, run, Action.READ, own=Action.READ)
            without = of_runs(connection, directory(connection), [row]).get(run)
            return {**_run_value(row), "under": started_under(connection, run), "without": without}

    def runs(self, most: int, runbook: str = "", actor: Actor | None = None) -> list[dict[str, Any]]:
        """Return the latest runs that somebody may see, newest first."""
        with self.services.database.transaction() as connection:
            rows = store.listed(connection, most, runbook=runbook)
            found = seen(connection, actor or self.actor, rows)
            without = of_runs(connection, directory(connection), found)
            return [{**_run_value(row), "without": without.get(row.id)} for row in found]

    def figures(self) -> dict[str, Any]:
        """Return how many runs are in which state and ended how, how long the ledger is, and how many workers work."""
        with self.services.database.transaction() as connection:
            states, verdicts = store.counted(connection)
            size = head(connection).size
        return {"states": states, "verdicts": verdicts, "ledger": size, "workers": self.settings.workers}

    def checkpoint(self) -> dict[str, Any]:
        """Publish the ledger and return its newest signed head."""
        publish_ledger(self.services)
        with self.services.database.transaction() as connection:
            note = self.services.signer.checkpoint(connection)
            found = head(connection)
        return {"note": note.decode(), "size": found.size, "root": found.root.hex(), "vkey": self.services.signer.vkey}

    def entries(self, run: str, most: int) -> dict[str, Any]:
        """Return ledger entries: those of one run and its request, or the latest ones."""
        with self.services.database.transaction() as connection:
            found = head(connection)
            if run:
                rows = about(connection, run=run, request=store.run_row(connection, run).request)
            else:
                rows = list(read(connection, max(0, found.size - most)))
            entries = [row.value for row in rows]
            said = names(directory(connection), entries)
        return {"size": found.size, "root": found.root.hex(), "entries": entries, "names": said}

    def kept_file(self, run: str, name: str, actor: Actor) -> Path:
        """Return where a file of a run's record lies."""
        return kept_file(self.services, actor, run, name)

    def export(self, run: str) -> bytes:
        """Return one run as a file that anyone verifies offline."""
        from opsnb.control.ledger.export import export_run

        publish_ledger(self.services)
        with self.services.database.transaction() as connection:
            store.run_row(connection, run)
            return export_run(connection, self.services.signer, self.workspace.outputs, run)

    def verify_database(self) -> dict[str, Any]:
        """Hash every entry in the database and compare with the head that was signed last.

        Raises:
            AlteredError: Says what does not match.
        """
        with self.services.database.transaction() as connection:
            found = self.services.signer.check(connection)
        return {"size": found.size, "root": found.root.hex()}

    def busy(self) -> int:
        """Return how many runs are queued or running."""
        with self.services.database.transaction() as connection:
            return store.busy(connection)

    def publish(self) -> None:
        """Bring the published ledger up to date."""
        publish_ledger(self.services)

    def set_secret(self, name: str, value: str, *, rotate: bool, actor: Actor | None = None) -> dict[str, Any]:
        """Store a secret's value; with ``rotate`` it must be there already."""
        return secrets_flow.set_secret(self.services, name, value, (actor or self.actor).person, rotate=rotate)

    def remove_secret(self, name: str, actor: Actor | None = None) -> dict[str, Any]:
        """Delete a stored secret."""
        return secrets_flow.remove_secret(self.services, name, (actor or self.actor).person)

    def rotate_key(self, actor: Actor | None = None) -> dict[str, Any]:
        """Encrypt every stored secret anew under a new key."""
        return secrets_flow.rotate_key(self.services, (actor or self.actor).person)

    def secrets(self) -> list[dict[str, Any]]:
        """Return what is stored; no value."""
        return secrets_flow.list_secrets(self.services)

    # -- the workers -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            news = self.services.news
            run = self._claim()
            if run is None:
                self.services.rest(news, 1.0)
            elif not self._is_session(run) or not self._aside(run):
                self._carry(run)

    def _carry(self, run: str) -> None:
        try:
            execute(self.services, run)
        except Exception:
            LOG.exception("run %s", run)
        self.services.launcher.refill()
        self._trim_feeds()

    def _is_session(self, run: str) -> bool:
        with self.services.database.transaction() as connection:
            return bool(store.run_row(connection, run).runbook == SESSION)

    def _aside(self, run: str) -> bool:
        """Carry a terminal session beside the workers: it lasts as long as a person sits there. Bounded."""
        self._sessions = [thread for thread in self._sessions if thread.is_alive()]
        if len(self._sessions) >= MAX_SESSIONS:
            return False
        thread = threading.Thread(target=self._carry, args=(run,), name=f"session-{run}", daemon=True)
        self._sessions.append(thread)
        thread.start()
        return True

    def _claim(self) -> str | None:
        try:
            self._turn()
            return claim_next(self.services)
        except OpsnbError:
            LOG.exception("claim")
            return None

    def _turn(self) -> None:
        """Do what the clock says, at most once a second: start what is due, say what is over."""
        if time.monotonic() >= self._next_turn:
            self._next_turn = time.monotonic() + TURN_SECONDS
            start_due(self.services)
            lapse(self.services, current())
            remind(self.services, current())

    def _trim_feeds(self) -> None:
        """Forget the live events of runs that ended a while ago; their records have everything."""
        feeds = self.services.feeds
        for run in list(feeds)[:-200]:
            if run not in self.services.running and feeds[run].over:
                feeds.pop(run, None)


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UnavailableError(
            f"another process owns this workspace ({path} is locked)",
            hint="it is served already: commands in this workspace go there; to serve it here, end that opsnb up first",
        ) from error
    os.utime(descriptor)  # since when, for those who wait for its socket
    return descriptor


def _sources(database: Database, workspace: Workspace, settings: Settings, environment: Environment) -> Sources:
    vault = None
    if settings.vault_address:
        vault = Vault(
            address=settings.vault_address, mount=settings.vault_mount, role=settings.vault_role_id,
            secret=lambda: sources.read(settings.vault_secret_id).value,
        )  # fmt: skip
    sources = Sources(database, SecretStore(workspace.state), environment, vault, workspace.state)
    return sources


def _token(path: Path) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="ascii").strip()


def _run_value(row: Any) -> dict[str, Any]:
    names = ("id", "request", "runbook", "title", "mode", "state", "verdict", "reason", "created", "started", "ended")
    value = {("run" if n == "id" else n): getattr(row, n) for n in names}
    value["record"] = f"outputs/{row.path}/run.html" if row.path else None
    value["result"] = row.result
    return value
