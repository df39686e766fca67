"""The API's routes for users, roles, departments and delegates. Who acts is asked of the guard, never of the body."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from opsnb.control.flows import people, people_explain
from opsnb.control.flows.services import Services
from opsnb.control.people.values import Actor, Kind
from opsnb.control.people.wanted import User

Who = Callable[[Request], Actor]
Name = Annotated[str, StringConstraints(max_length=20_000)]  # the rules of names say more clearly what is wrong


class Body(BaseModel):
    """Base of what these routes take; a field that is left out is 'as it is'."""

    model_config = ConfigDict(extra="forbid")


class NewUser(Body):
    """What ``POST /api/users`` takes."""

    name: Name
    kind: Kind = Kind.PERSON
    display: Name = ""
    mail: Name = ""
    department: Name = ""
    roles: tuple[Name, ...] = ()


class ChangedUser(Body):
    """What ``POST /api/users/{name}`` takes; ``give`` and ``take`` name roles."""

    display: Name | None = None
    mail: Name | None = None
    department: Name | None = None
    active: bool | None = None
    give: tuple[Name, ...] = ()
    take: tuple[Name, ...] = ()


class Imported(Body):
    """What ``POST /api/people/import`` takes: a file's text and name."""

    text: str
    format: str
    name: Name = "the file"
    dry_run: bool = False


class WantedRole(Body):
    """What ``POST /api/roles`` takes; ``new`` is false to change one that is there."""

    name: Name
    may: tuple[Name, ...] = ()
    new: bool = True


class WantedDepartment(Body):
    """What ``POST /api/departments`` takes; ``new`` is false to change one that is there."""

    name: Name
    parent: Name | None = None
    leader: Name | None = None
    rename: Name | None = None
    new: bool = True


class Named(Body):
    """What the routes take that remove something."""

    name: Name


class NewDelegate(Body):
    """What ``POST /api/delegates`` takes: times with an offset."""

    principal: Name
    delegate: Name
    begin: AwareDatetime | None = None
    end: AwareDatetime


def people_routes(api: FastAPI, services: Services, who: Who) -> None:
    """Add the routes.

    Args:
        api: To which.
        services: What the flows work with.
        who: Says who acts in a request.
    """
    _users(api, services, who)
    _roles(api, services, who)
    _departments(api, services, who)
    _delegates(api, services, who)


def _users(api: FastAPI, services: Services, who: Who) -> None:
    @api.get("/api/users")
    def listed(request: Request, everybody: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  (a query)
        """List users; those who have left only with `everybody`."""
        return {"users": people.users(services, who(request), everybody=everybody)}

    @api.post("/api/users", status_code=201)
    def add(request: Request, body: NewUser) -> dict[str, Any]:
        """Add a user or a service account."""
        wanted = User(
            name=body.name, kind=body.kind, display=body.display, mail=body.mail, department=body.department,
            give=body.roles,
        )  # fmt: skip
        return people.add_user(services, who(request), wanted)

    @api.get("/api/users/{name}")
    def show(request: Request, name: str) -> dict[str, Any]:
        """Show a user, with what they may do."""
        return people.user(services, who(request), name)

    @api.get("/api/users/{name}/may/{action}")
    def explain(request: Request, name: str, action: str, runbook: str = "", hosts: str = "") -> dict[str, Any]:
        """Say whether a user may do something, and why."""
        return people_explain.explain(services, who(request), name, action, runbook, hosts)

    @api.post("/api/users/{name}")
    def change(request: Request, name: str, body: ChangedUser) -> dict[str, Any]:
        """Change a user: full name, mail, department, roles, whether active."""
        return people.set_user(services, who(request), User(name=name, **body.model_dump()))

    @api.post("/api/people/import")
    def imported(request: Request, body: Imported) -> dict[str, Any]:
        """Take users, roles and departments from YAML or CSV: all of it, or nothing."""
        return people.import_people(services, who(request), body.text, body.format, body.name, dry=body.dry_run)


def _roles(api: FastAPI, services: Services, who: Who) -> None:
    @api.get("/api/roles")
    def listed(request: Request) -> dict[str, Any]:
        """List roles and what they allow."""
        return {"roles": people.roles(services, who(request))}

    @api.post("/api/roles", status_code=201)
    def put(request: Request, body: WantedRole) -> dict[str, Any]:
        """Make a role, or change one."""
        return people.set_role(services, who(request), body.name, body.may, new=body.new)

    @api.post("/api/roles/remove")
    def remove(request: Request, body: Named) -> dict[str, Any]:
        """Remove a role that nobody holds."""
        return people.drop_role(services, who(request), body.name)


def _departments(api: FastAPI, services: Services, who: Who) -> None:
    @api.get("/api/departments")
    def listed(request: Request) -> dict[str, Any]:
        """List departments and their leaders."""
        return {"departments": people.departments(services, who(request))}

    @api.post("/api/departments", status_code=201)
    def put(request: Request, body: WantedDepartment) -> dict[str, Any]:
        """Make a department, or change one."""
        fields = body.model_dump()
        return people.set_department(services, who(request), fields.pop("name"), **fields)

    @api.post("/api/departments/remove")
    def remove(request: Request, body: Named) -> dict[str, Any]:
        """Remove an empty department."""
        return people.drop_department(services, who(request), body.name)


def _delegates(api: FastAPI, services: Services, who: Who) -> None:
    @api.get("/api/delegates")
    def listed(request: Request, everything: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  (a query)
        """List who stands in for whom; what is over only with `everything`."""
        return {"delegates": people.delegates(services, who(request), everything=everything)}

    @api.post("/api/delegates", status_code=201)
    def add(request: Request, body: NewDelegate) -> dict[str, Any]:
        """Have somebody approve in somebody's place for a time."""
        begin: datetime | None = body.begin
        return people.add_delegate(services, who(request), body.principal, body.delegate, begin, body.end)

    @api.post("/api/delegates/{delegate}/end")
    def end(request: Request, delegate: str) -> dict[str, Any]:
        """End a delegation."""
        return people.end_delegate(services, who(request), delegate)
