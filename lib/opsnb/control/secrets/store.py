"""The encrypted store: names and versions in the database, values encrypted, the key in a file beside it.

Rules:

* A value enters by ``set`` and leaves only by ``open``; nothing lists values.
* A ciphertext is bound to its name and version: rows that are exchanged do not open.
* The newest two versions of a name are kept: a run that was given the older one can still be scanned for it.
* The self-test decrypts a row of its own at every start: a wrong key is found before it is needed.
* What the control plane keeps for itself (the keys of people's authenticators) lies here too, under names that begin
  with a colon: no secret can be called so, no reference names one, and no list shows one. A new key takes them along.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, delete, func, insert, select, update

from opsnb.base.clock import new_id, stamp
from opsnb.base.errors import AlteredError, NotFoundError, UsageError
from opsnb.base.masking import check_value
from opsnb.base.parameters.nearest import did_you_mean
from opsnb.control.database import metadata
from opsnb.control.secrets.keyring import KEY_FILE, RESTORE, Key, new_key, read_keys, write_keys

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MAX_NAME = 100  # characters
MAX_VALUE = 64 * 1024  # characters; a key, a certificate, a service account
KEPT_VERSIONS = 2
OWN = ":"  # how the names of what the control plane keeps for itself begin
SELF_TEST = ""  # the name of the row that every start decrypts; no secret can be called so

secret_names = Table(
    "secret_names",  # every reference that was ever set or released; the ledger knows it by its id
    metadata,
    Column("reference", String, primary_key=True),
    Column("id", String, nullable=False, unique=True),
)
secret_values = Table(
    "secret_values",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("key", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", String, nullable=False),
    Column("by", String, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What may be told about a stored secret."""

    name: str
    id: str
    version: int
    at: str
    by: str

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def check_name(name: str) -> str:
    """Return a name that a stored secret may have.

    Raises:
        UsageError: If it is another.
    """
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        raise UsageError(
            f"'{name[:MAX_NAME]}' is not a secret's name: letters, digits, '.', '_', '-', in parts joined by '/'",
            hint="call it like db/prod",
        )
    return name


def reference_id(connection: Connection, reference: str) -> str:
    """Return the id under which the ledger knows a reference; it is made when it is first needed, and stays."""
    row = connection.execute(select(secret_names.c.id).where(secret_names.c.reference == reference)).scalar()
    if row is not None:
        return str(row)
    made = f"s-{new_id()}"
    connection.execute(insert(secret_names).values(reference=reference, id=made))
    return made


class SecretStore:
    """The stored secrets of one workspace.

    Args:
        state: The workspace's ``.opsnb/``.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._keys: list[Key] = []

    def check(self, connection: Connection) -> None:
        """Test at the start that what is stored can be read.

        Raises:
            RefusedError: If others may read the key file.
            AlteredError: If the key is missing, damaged, or another one.
        """
        self._keys = read_keys(self._state)
        used = set(connection.execute(select(secret_values.c.key)).scalars())
        if not used:
            return
        count = len({name for name in connection.execute(select(secret_values.c.name)).scalars() if name != SELF_TEST})
        if not self._keys:
            raise AlteredError(
                f"{self._state / KEY_FILE} is missing, and {count} stored secret(s) are encrypted with it", hint=RESTORE
            )
        if missing := used - {key.id for key in self._keys}:
            raise AlteredError(
                f"{self._state / KEY_FILE} is another key than the one that {count} stored secret(s) are encrypted "
                f"with ({', '.join(sorted(missing))})",
                hint=RESTORE,
            )
        for row in connection.execute(select(secret_values).where(secret_values.c.name == SELF_TEST)):
            self._key(row.key).open(row.name, row.version, row.sealed)
        if len(self._keys) > 1:  # a rotation was cut short: finish it
            self._rewrite(connection)

    def settle(self) -> None:
        """Forget keys that nothing is encrypted with any more; the transaction that saw to it is committed."""
        if len(self._keys) > 1:
            self._keys = self._keys[:1]
            write_keys(self._state, self._keys)

    def set(self, connection: Connection, name: str, value: str, by: str) -> tuple[str, int]:
        """Store a value as the newest version of a name; return its id and version.

        Raises:
            UsageError: If the name or the value cannot be one; never repeats the value.
        """
        check_name(name)
        check_value(name, value)
        if len(value) > MAX_VALUE or "\0" in value:
            raise UsageError(f"secret '{name}': a value is text of at most {MAX_VALUE} characters without NUL")
        version = (self._latest(connection, name) or 0) + 1
        self._put(connection, name, version, value, by)
        old = (secret_values.c.name == name) & (secret_values.c.version <= version - KEPT_VERSIONS)
        connection.execute(delete(secret_values).where(old))
        return reference_id(connection, name), version

    def remove(self, connection: Connection, name: str) -> str:
        """Delete every version of a name; return its id.

        Raises:
            NotFoundError: If there is none.
        """
        self.require(connection, name)
        connection.execute(delete(secret_values).where(secret_values.c.name == name))
        return reference_id(connection, name)

    def open(self, connection: Connection, name: str, version: int = 0) -> tuple[str, int]:
        """Return a value and its version, the newest by default.

        Raises:
            NotFoundError: If there is none.
            AlteredError: If it does not open.
        """
        self.require(connection, name)
        wanted = version or self._latest(connection, name)
        where = (secret_values.c.name == name) & (secret_values.c.version == wanted)
        row = connection.execute(select(secret_values).where(where)).one_or_none()
        if row is None:
            raise NotFoundError(f"secret '{name}' has no version {version} any more")
        return self._key(row.key).open(row.name, row.version, row.sealed), int(row.version)

    # -- what the control plane keeps for itself -------------------------------------------------------------------

    def keep(self, connection: Connection, name: str, value: str) -> None:
        """Keep a value of the control plane's own, instead of the one before."""
        self.drop(connection, name)
        self._put(connection, OWN + name, 1, value, "")

    def kept(self, connection: Connection, name: str) -> str:
        """Return a value of the control plane's own; empty where there is none.

        Raises:
            AlteredError: If it does not open.
        """
        row = connection.execute(select(secret_values).where(secret_values.c.name == OWN + name)).one_or_none()
        return "" if row is None else self._key(row.key).open(row.name, row.version, row.sealed)

    def drop(self, connection: Connection, name: str) -> None:
        """Forget a value of the control plane's own."""
        connection.execute(delete(secret_values).where(secret_values.c.name == OWN + name))

    def rotate_key(self, connection: Connection) -> int:
        """Encrypt everything anew under a new key; return how many values. Call :meth:`settle` after the commit."""
        if not self._keys:
            return 0
        self._keys = [new_key(), *self._keys]
        write_keys(self._state, self._keys)
        return self._rewrite(connection)

    def listed(self, connection: Connection) -> list[Listed]:
        """Return what is stored, by name; no value."""
        query = (
            select(secret_values, secret_names.c.id)
            .join(secret_names, secret_names.c.reference == secret_values.c.name)
            .order_by(secret_values.c.name, secret_values.c.version)
        )
        newest = {row.name: row for row in connection.execute(query)}
        return [Listed(name=r.name, id=r.id, version=r.version, at=r.at, by=r.by) for r in newest.values()]

    def names(self, connection: Connection) -> list[str]:
        """Return the names, sorted."""
        return sorted(
            n for n in connection.execute(select(secret_values.c.name).distinct()).scalars() if _is_a_secret(n)
        )

    def require(self, connection: Connection, name: str) -> None:
        """Refuse a name that is not stored.

        Raises:
            NotFoundError: Holds the nearest name.
        """
        if self._latest(connection, name) is None or not _is_a_secret(name):
            names = self.names(connection)
            hint = did_you_mean(name, names, what="secrets") or f"set it with: opsnb secret set {name}"
            raise NotFoundError(f"no secret is called '{name}'", hint=hint)

    def _latest(self, connection: Connection, name: str) -> int | None:
        query = select(func.max(secret_values.c.version)).where(secret_values.c.name == name)
        found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def _put(self, connection: Connection, name: str, version: int, value: str, by: str) -> None:
        if not self._keys:
            self._keys = [new_key()]
            write_keys(self._state, self._keys)
        key = self._keys[0]
        if self._latest(connection, SELF_TEST) is None and name != SELF_TEST:
            self._put(connection, SELF_TEST, 1, "self-test", by)
        sealed = key.seal(name, version, value)
        row = {"name": name, "version": version, "key": key.id, "sealed": sealed, "at": stamp(), "by": by}
        connection.execute(insert(secret_values).values(**row))

    def _rewrite(self, connection: Connection) -> int:
        key, rows = self._keys[0], list(connection.execute(select(secret_values)))
        for row in rows:
            value = self._key(row.key).open(row.name, row.version, row.sealed)
            where = (secret_values.c.name == row.name) & (secret_values.c.version == row.version)
            values = {"key": key.id, "sealed": key.seal(row.name, row.version, value)}
            connection.execute(update(secret_values).where(where).values(**values))
        return sum(1 for row in rows if _is_a_secret(row.name))

    def _key(self, name: str) -> Key:
        for key in self._keys:
            if key.id == name:
                return key
        raise AlteredError(f"no key '{name}' is in {self._state / KEY_FILE}", hint=RESTORE)


def _is_a_secret(name: str) -> bool:
    return name != SELF_TEST and not name.startswith(OWN)
