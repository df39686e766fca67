"""The roles that every workspace has. They are code, not rows: nobody can widen or lose them."""

from __future__ import annotations

from opsnb.control.people.values import Action, Grant, Role


def _role(name: str, *actions: Action) -> Role:
    return Role(id=name, name=name, grants=tuple(Grant(action=action) for action in actions), builtin=True)


ADMINISTRATOR = _role("administrator", *Action)
ENGINEER = _role(
    "engineer", Action.READ, Action.PLAN, Action.REQUEST, Action.APPLY, Action.EXEC, Action.SSH, Action.CP, Action.TRUST
)
APPROVER = _role("approver", Action.READ, Action.APPROVE)
AUDITOR = _role("auditor", Action.READ, Action.AUDIT)
ON_CALL = _role(
    "oncall", Action.READ, Action.PLAN, Action.REQUEST, Action.APPLY, Action.EXEC, Action.SSH, Action.CP,
    Action.BREAK_GLASS,
)  # fmt: skip

ROLES: dict[str, Role] = {role.id: role for role in (ADMINISTRATOR, ENGINEER, APPROVER, AUDITOR, ON_CALL)}
ABOUT = {
    "administrator": "may do everything, people and policies included",
    "engineer": "plans, asks for approval, applies what was approved, works by hand",
    "approver": "reads and approves, and changes nothing",
    "auditor": "reads everything, the ledger and the login history included",
    "oncall": "operator on call: an engineer who may break the glass",
}
