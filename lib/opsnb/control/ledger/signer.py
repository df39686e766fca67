"""Signs the ledger's head, and remembers outside the database what it signed.

Rules:

* The key is made once and never again: a ledger whose key is gone is not continued under another.
* The last signed checkpoint is kept in ``<state>/ledger-head`` before it is handed out. A database that is older than
  it (a restored backup), or whose first entries give another root, is refused: a log must not sign two histories.
* At start every entry is hashed anew; while the process lives, the tree it has hashed itself is carried forward and
  only new entries are read.
* Only a committed head is signed.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from opsnb.base.errors import AlteredError, RefusedError, UsageError
from opsnb.control.ledger import store
from opsnb.control.ledger.events import ORIGIN
from opsnb.control.ledger.files import read_if_there, replace_file, sync_directory
from opsnb.control.ledger.note import Checkpoint, SigningKey, VerifierKey, verify_checkpoint
from opsnb.control.ledger.tree import EMPTY_ROOT, Frontier

KEY_NAME = "ledger.key"
HEAD_NAME = "ledger-head"
RESTORED = "put the newest database back; if it is lost, keep this state directory as evidence and begin a new one"


class Signer:
    """The ledger's key and the head it signed last. One process at a time, under the caller's lock.

    Args:
        state: The state directory (``.opsnb``).
        key: The signing key; its name is the ledger's origin.
    """

    def __init__(self, state: Path, key: SigningKey) -> None:
        self._state = state
        self._key = key
        self._hashed: Frontier | None = None  # the tree over entries that this process hashed itself

    @classmethod
    def open(cls, state: Path, origin: str) -> Signer:
        """Open the key under ``state``, or make it for a new ledger called ``origin``.

        Raises:
            UsageError: If the origin is not a name for a ledger, or the key file is not a key.
            RefusedError: If others may read the key.
            AlteredError: If the key is gone, is another ledger's, or the kept head is missing or damaged.
        """
        if not ORIGIN.fullmatch(origin):
            raise UsageError(f"'{origin}' cannot name a ledger: wanted {ORIGIN.pattern}")
        path = state / "keys" / KEY_NAME
        text = read_if_there(path)
        if text is None:
            return cls(state, _create(state, origin))
        if path.stat().st_mode & 0o077:
            raise RefusedError(f"{path} may be read by others", hint=f"chmod 600 {path}")
        try:
            key = SigningKey.from_text(text.decode("ascii", "replace").strip())
        except UsageError as error:
            raise AlteredError(f"{path}: {error.message}", hint="put the key back from a backup") from error
        if key.verifier.name != origin:
            raise AlteredError(f"{path} is the key of '{key.verifier.name}', not of '{origin}'")
        signer = cls(state, key)
        signer.kept()
        return signer

    @property
    def verifier(self) -> VerifierKey:
        """The public half of the key."""
        return self._key.verifier

    @property
    def vkey(self) -> str:
        """The verifier key as one line of text, without a newline."""
        return self._key.verifier.text

    def kept(self) -> Checkpoint:
        """Return the head that was signed last.

        Raises:
            AlteredError: If the kept head is missing, damaged, or not this key's.
        """
        path = self._state / HEAD_NAME
        note = read_if_there(path)
        if note is None:
            raise AlteredError(f"{path} is missing: nobody can say what was signed last", hint=RESTORED)
        try:
            return verify_checkpoint(note, self.verifier)
        except (UsageError, AlteredError) as error:
            raise AlteredError(f"{path}: {error.message}", hint=RESTORED) from error

    def check(self, connection: Connection) -> store.Head:
        """Hash every entry and compare with the database's own head and with the kept one; O(n).

        Raises:
            AlteredError: If an entry, the head, or the history is not what was signed.
        """
        self._hashed = None
        return self._follow(connection)

    def checkpoint(self, connection: Connection) -> bytes:
        """Sign the current head, keep it, and return the signed note.

        Args:
            connection: Outside the transaction that appended: only a committed head is signed.

        Raises:
            AlteredError: If the database is older than the kept head or inconsistent with it.
            OpsnbError: If this transaction has appended.
        """
        store.require_committed(connection)
        found = self._follow(connection)
        note = self._key.sign(Checkpoint(origin=self.verifier.name, size=found.size, root=found.root).text)
        path = self._state / HEAD_NAME
        if read_if_there(path) != note:
            replace_file(path, [note], staging=self._state, mode=0o600)
        return note

    def _follow(self, connection: Connection) -> store.Head:
        kept, found = self.kept(), store.head(connection)
        if found.size < kept.size:
            raise AlteredError(
                f"the database holds {found.size} ledger entries, and {kept.size} were signed: it is an older one",
                hint=RESTORED,
            )
        tree = self._hashed
        if tree is None or not kept.size <= tree.size <= found.size:
            tree = Frontier()
        if tree.size <= kept.size:
            tree = _hash_on(connection, tree, kept.size)
            if tree.root != kept.root:
                raise AlteredError(
                    f"the first {kept.size} ledger entries are not those that were signed: the database was altered",
                    hint=RESTORED,
                )
        tree = _hash_on(connection, tree, found.size)
        if tree.root != found.root:
            raise AlteredError(f"the {found.size} ledger entries do not give the database's own root", hint=RESTORED)
        extra = store.stray(connection, found.size)
        if extra is not None:
            raise AlteredError(
                f"ledger entry {extra} is in the database, and its head says {found.size} entries", hint=RESTORED
            )
        self._hashed = tree
        return found


def _hash_on(connection: Connection, tree: Frontier, size: int) -> Frontier:
    end = store.end_of(connection, tree.size)
    for entry in store.read(connection, tree.size, size):
        if not entry.fits(tree.size, end):
            raise AlteredError(f"ledger entry {tree.size} is missing or was altered in the database", hint=RESTORED)
        tree, end = tree.push(entry.leaf), entry.end
    if tree.size != size:
        raise AlteredError(f"ledger entry {tree.size} is missing from the database", hint=RESTORED)
    return tree


def _create(state: Path, origin: str) -> SigningKey:
    keys = state / "keys"
    state.mkdir(parents=True, exist_ok=True)
    keys.mkdir(mode=0o700, exist_ok=True)
    keys.chmod(0o700)
    head = state / HEAD_NAME
    if _was_used(head):
        raise AlteredError(
            f"{keys / KEY_NAME} is missing, and {head} says that it signed; a ledger is not continued under a new key",
            hint="put the key back from a backup",
        )
    key = SigningKey.generate(origin)
    # The kept head comes first: from then on "no kept head" can only mean that somebody took it away.
    replace_file(
        head, [key.sign(Checkpoint(origin=origin, size=0, root=EMPTY_ROOT).text)], staging=state, mode=0o600,
    )  # fmt: skip
    replace_file(keys / KEY_NAME, [key.text.encode() + b"\n"], staging=keys, mode=0o600)
    sync_directory(state)
    return key


def _was_used(head: Path) -> bool:
    note = read_if_there(head)
    return note is not None and note.split(b"\n")[1:2] != [b"0"]
