"""Where a referenced secret comes from: the reference says it.

* ``db/prod``: the encrypted store of this workspace
* ``env:NAME``: the variable ``OPSNB_SECRET_NAME`` that ``opsnb up`` was started with
* ``vault:PATH#FIELD``: HashiCorp Vault
* ``file:PATH``: a private key's file, for a host's credential only
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from opsnb.base.errors import NotFoundError, RefusedError, UsageError
from opsnb.base.parameters.nearest import did_you_mean
from opsnb.control.database import Database
from opsnb.control.secrets.store import MAX_VALUE, SecretStore, check_name
from opsnb.control.secrets.vault import Vault, parse

PREFIX = "OPSNB_SECRET_"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_REFERENCE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Released:
    """A value on its way to a run. ``version`` is 0 where the source has none."""

    reference: str
    value: str
    version: int = 0

    def __repr__(self) -> str:
        return f"Released({self.reference!r})"


def reference(text: str) -> tuple[str, str]:
    """Return source (``store``, ``env``, ``vault``) and the rest of a reference.

    Raises:
        UsageError: If it is none.
    """
    if len(text) > MAX_REFERENCE:
        raise UsageError(f"a secret's reference has at most {MAX_REFERENCE} characters, found {len(text)}")
    source, colon, rest = text.partition(":")
    if not colon:
        return "store", check_name(text)
    if source == "env" and VARIABLE.fullmatch(rest):
        return "env", rest
    if source == "vault":
        parse(rest)
        return "vault", rest
    raise UsageError(
        f"'{text[:80]}' names no secret", hint="write a name like db/prod, env:NAME, or vault:team/db#password"
    )


def check_reference(text: str) -> str:
    """Return ``text`` if it is a reference.

    Raises:
        UsageError: If it is none.
    """
    reference(text)
    return text


class Environment:
    """The variables ``OPSNB_SECRET_*`` that the control plane was started with, taken out of its environment."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @classmethod
    def taken(cls, environ: MutableMapping[str, str] = os.environ) -> Environment:
        """Take them out of the environment: what is started from now on inherits none."""
        names = [name for name in environ if name.startswith(PREFIX)]
        return cls({name.removeprefix(PREFIX): environ.pop(name) for name in names})

    def read(self, name: str) -> str:
        """Return the value of ``env:NAME``.

        Raises:
            NotFoundError: If the control plane was started without it.
        """
        if name not in self._values:
            hint = did_you_mean(name, self._values, what="variables") if self._values else ""
            raise NotFoundError(
                f"the control plane was started without {PREFIX}{name}",
                hint=hint or f"start it with {PREFIX}{name} in its environment: opsnb up",
            )
        return self._values[name]


REHEARSAL = "rehearsal"  # below the state: keys of hosts that are there to try things on, and open nothing else


class Sources:
    """Every source of one workspace.

    Args:
        database: Where the encrypted store lies.
        store: The encrypted store.
        environment: What ``opsnb up`` was started with.
        vault: The Vault server, if there is one.
        state: The workspace's own state, from which no file is read.
    """

    def __init__(
        self, database: Database, store: SecretStore, environment: Environment, vault: Vault | None, state: Path
    ) -> None:
        self._database, self.store, self._environment, self._vault = database, store, environment, vault
        self._state = state

    def require(self, text: str) -> None:
        """Refuse a reference that nothing stands behind; Vault is asked only when the run asks.

        Raises:
            UsageError: If it is no reference.
            NotFoundError: If there is no such secret; the hint holds the nearest name.
        """
        source, rest = reference(text)
        if source == "store":
            with self._database.transaction() as connection:
                self.store.require(connection, rest)
        elif source == "env":
            self._environment.read(rest)
        else:
            self._server()

    def read(self, text: str, version: int = 0) -> Released:
        """Return the value behind a reference; of a stored one the given version, the newest by default.

        Never called inside a transaction: another source may take seconds.

        Raises:
            OpsnbError: Says what is missing and the next move.
        """
        source, rest = reference(text)
        if source == "env":
            return Released(reference=text, value=self._environment.read(rest))
        if source == "store":
            with self._database.transaction() as connection:
                value, found = self.store.open(connection, rest, version)
        else:
            value, found = self._server().read(*parse(rest))
        return Released(reference=text, value=value, version=found)

    def read_file(self, text: str) -> Released:
        """Return a private key's file, for a host's credential.

        Raises:
            UsageError: If it cannot be read.
            RefusedError: If it is one of the workspace's own keys.
        """
        path = Path(text).expanduser()
        above = path.resolve().parents
        if self._state.resolve() in above and self._state.resolve() / REHEARSAL not in above:
            raise RefusedError(f"file:{text} lies in the workspace's state, and nothing there is a credential")
        try:
            if path.stat().st_size > MAX_VALUE:
                raise UsageError(f"file:{text} is larger than {MAX_VALUE} bytes, wanted a private key")
            return Released(reference=f"file:{text}", value=path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"file:{text} cannot be read: {why}", hint="wanted a private key as a file") from error

    def _server(self) -> Vault:
        if self._vault is None:
            raise UsageError(
                "a secret of Vault is named, and the settings name no Vault",
                hint="set vault_address and vault_role_id in opsnb.yaml",
            )
        return self._vault
