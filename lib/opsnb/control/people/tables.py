"""The tables of people. Names are here alone; the ledger has ids, and digests that a row's salt opens."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table

from opsnb.control.database import metadata

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("kind", String, nullable=False, server_default="person"),
    Column("department", String, nullable=False, server_default=""),
    Column("active", Boolean, nullable=False, server_default="1"),
    Column("display", String, nullable=False, server_default=""),
    Column("mail", String, nullable=False, server_default=""),
    Column("salt", String, nullable=False, server_default=""),
)
departments = Table(
    "departments",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("parent", String, nullable=False),
    Column("leader", String, nullable=False),
    Column("salt", String, nullable=False),
)
roles = Table(
    "roles",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("grants", JSON, nullable=False),  # as grants.parse() reads them
    Column("salt", String, nullable=False),
)
memberships = Table(
    "memberships",
    metadata,
    Column("person", String, ForeignKey("people.id"), primary_key=True),
    Column("role", String, primary_key=True),  # a built-in role has no row
)
delegates = Table(
    "delegates",
    metadata,
    Column("id", String, primary_key=True),
    Column("principal", String, ForeignKey("people.id"), nullable=False),
    Column("person", String, ForeignKey("people.id"), nullable=False),
    Column("begin", String, nullable=False),
    Column("end", String, nullable=False),
    Column("by", String, nullable=False),
    Column("removed", String, nullable=True),
    Index("delegates_person", "person"),
)
people_state = Table(
    "people_state",  # one row: a token that is another after every change, by which a snapshot knows that it is old
    metadata,
    Column("id", String, primary_key=True),
    Column("token", String, nullable=False),
)
