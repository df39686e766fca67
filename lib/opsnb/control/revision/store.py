"""Revisions in the database: who activated which files when, and the bytes of every one of them, by digest."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Integer, LargeBinary, String, Table, func, insert, select

from opsnb.base.canonical import salted, sha256
from opsnb.base.clock import stamp
from opsnb.base.errors import AlteredError
from opsnb.control.database import metadata
from opsnb.control.revision.files import Taken
from opsnb.control.revision.values import Activated, Revision

LEVEL = 1  # of compression: notebooks shrink to a fifth, and 2,000 of them take a second
AT_ONCE = 500  # digests in one statement

revisions = Table(
    "revisions", metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String, nullable=False),  # of the manifest, which is among the contents
    Column("salt", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
    Column("automatic", Boolean, nullable=False),
)  # fmt: skip
changes = Table(
    "revision_changes", metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("path", String, primary_key=True, index=True),
    Column("digest", String, nullable=False),  # empty: it has gone
    Column("mails", JSON, nullable=False),  # who wrote it, as git says
)  # fmt: skip
contents = Table(
    "revision_contents", metadata,
    Column("digest", String, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip


def latest(connection: Connection) -> tuple[int, str]:
    """Return number and digest of the active revision; 0 and nothing before the first."""
    newest = select(revisions.c.number, revisions.c.digest).order_by(revisions.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return (int(row.number), str(row.digest)) if row else (0, "")


def read(connection: Connection, number: int) -> Activated:
    """Return a revision.

    Raises:
        AlteredError: If what is kept is not what was activated.
    """
    row = connection.execute(select(revisions).where(revisions.c.number == number)).one()
    files = json.loads(content(connection, row.digest))["files"]
    return Activated(
        number=row.number, revision=Revision(files=files), by=row.by, at=row.at, automatic=bool(row.automatic)
    )


def listed(connection: Connection, most: int) -> list[dict[str, Any]]:
    """Return the latest revisions as rows, newest first, without their files."""
    rows = connection.execute(select(revisions).order_by(revisions.c.number.desc()).limit(most))
    return [{n: getattr(row, n) for n in ("number", "digest", "by", "at", "automatic")} for row in rows]


def content(connection: Connection, digest: str) -> bytes:
    """Return the bytes of a digest.

    Raises:
        AlteredError: If they are gone, or are others.
    """
    packed = connection.execute(select(contents.c.data).where(contents.c.digest == digest)).scalar()
    try:
        data = zlib.decompress(packed or b"")
    except zlib.error:
        data = b""
    if sha256(data) != digest:
        raise AlteredError(
            f"what was activated as {digest[:12]} is not in the database as it was",
            hint="activate anew: opsnb activate",
        )
    return data


def known(connection: Connection) -> frozenset[str]:
    """Return the digests whose bytes are kept."""
    return frozenset(connection.execute(select(contents.c.digest)).scalars())


def keep(
    connection: Connection, taken: Taken, by: str, mails: Mapping[str, Iterable[str]], *, automatic: bool
) -> tuple[Activated, str]:
    """Make what was taken the active revision; return it, and the salted digest for the ledger.

    Args:
        connection: The caller's transaction.
        taken: What was read from the disk.
        by: Who activates it, by id.
        mails: Path to the addresses of those who wrote it.
        automatic: Whether nobody was asked.
    """
    before, _ = latest(connection)
    old = read(connection, before).revision if before else Revision(files={})
    new, salt = taken.revision, secrets.token_hex(32)
    have = known(connection)
    rows = {**taken.contents, new.digest: new.manifest}
    packed = [{"digest": d, "data": zlib.compress(data, LEVEL)} for d, data in rows.items() if d not in have]
    for at in range(0, len(packed), AT_ONCE):
        connection.execute(insert(contents), packed[at : at + AT_ONCE])
    made = Activated(number=before + 1, revision=new, by=by, at=stamp(), automatic=automatic)
    connection.execute(
        insert(revisions).values(
            number=made.number, digest=new.digest, salt=salt, by=by, at=made.at, automatic=automatic
        )
    )
    changed = [
        {"revision": made.number, "path": p, "digest": new.files.get(p, ""), "mails": sorted(mails.get(p, ()))}
        for p in old.differing(new)
    ]
    if changed:
        connection.execute(insert(changes), changed)
    return made, salted(salt, new.manifest)


def wrote(connection: Connection, digest: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return who brought these bytes: ids of those who activated them, and e-mail addresses.

    Wherever they lay and whenever: a notebook that is moved, or taken back, has the authors that it had. Whoever
    activated the first revision did not write what was there already.
    """
    first = select(func.min(revisions.c.number)).scalar_subquery()
    asked = (
        select(changes.c.mails, revisions.c.by, (revisions.c.number == first).label("first"))
        .join(revisions, revisions.c.number == changes.c.revision)
        .where(changes.c.digest == digest)
    )
    rows = connection.execute(asked).all()
    return frozenset(row.by for row in rows if not row.first), frozenset(mail for row in rows for mail in row.mails)
