"""Reveal: a secret's value goes to a run that may have it, and is masked everywhere before it does.

In order: it is sealed in the request, or belongs to a host that is; it is read from its source; it stands nowhere in
what was sealed; the run's masker knows it; the ledger says that it was released. Then the conductor has the run's
supervisor register it too, and only when that has acknowledged does the kernel get the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.base.errors import RefusedError
from opsnb.base.masking import Masker
from opsnb.base.parameters import did_you_mean
from opsnb.control.flows.seal import blob_path
from opsnb.control.ledger.events import Purpose, SecretRevealed
from opsnb.control.ledger.store import append
from opsnb.control.runs import store
from opsnb.control.secrets.store import reference_id

if TYPE_CHECKING:
    from opsnb.control.flows.converse import Conversation
    from opsnb.control.flows.services import Services
    from opsnb.control.secrets import Released

NOTE = "revealed"  # what a run was given: {"reference", "version"}; enough to scan its record after a crash


def secret(conversation: Conversation, message: dict[str, Any]) -> str:
    """Answer the link's ``secret``: the value of one that is sealed in the request.

    Raises:
        RefusedError: If it is not.
    """
    name = str(message["name"])
    sealed = conversation.body["secrets"]
    if name not in sealed:
        hint = did_you_mean(name, sealed, what="secrets of this request") or f"secrets: [{name}] in the front matter"
        raise RefusedError(f"secret '{name[:100]}' is not sealed in this request; {hint}")
    return release(conversation, conversation.services.secrets.read(name), Purpose.REVEAL)


def masker_after_crash(services: Services, run: str) -> tuple[Masker, list[str]]:
    """Return the masker of a run whose control plane died, and the references that could not be read again."""
    with services.database.transaction() as connection:
        given = store.noted(connection, run, NOTE)
    masker, lost = services.masker(run), []
    for row in given:
        try:
            masker.register(row["reference"], _again(services, row).value)
        except Exception:  # noqa: BLE001  (any source may be away; the record says which secret was not looked for)
            lost.append(str(row["reference"]))
    return masker, sorted(set(lost))


def _again(services: Services, row: dict[str, Any]) -> Released:
    source, _, rest = str(row["reference"]).partition(":")
    if source == "file":
        return services.secrets.read_file(rest)
    return services.secrets.read(row["reference"], int(row["version"]))


def release(conversation: Conversation, released: Released, purpose: Purpose) -> str:
    """Have a value masked from now on, record that it is released, and return it."""
    name, value = released.reference, released.value
    alone = Masker()
    alone.register(name, value)
    _refuse_sealed(conversation, alone, name)
    conversation.masker.register(name, value)
    with conversation.services.database.transaction() as connection:
        store.note(connection, conversation.run, NOTE, {"reference": name, "version": released.version})
        known = reference_id(connection, name)
        append(connection, SecretRevealed(
            run=conversation.run, secret=known, version=released.version, purpose=purpose,
        ))  # fmt: skip
    conversation.to_mask.append((name, value))
    return value


def _refuse_sealed(conversation: Conversation, alone: Masker, name: str) -> None:
    """Refuse what stands in the open already, in evidence that cannot be masked without altering it."""
    body = conversation.body
    where = [f"parameter '{key}'" for key, value in body["parameters"].items() if alone.holds(value)]
    if not where and alone.holds({k: v for k, v in body.items() if k != "secrets"}):
        where = ["the sealed request"]
    if alone.hits(blob_path(conversation.services, body["notebook"]).read_bytes()):
        where.append(f"the runbook {body['path']}")
    if conversation.plan is not None and alone.holds(conversation.plan.as_json()):
        where.append("the plan")
    if where:
        raise RefusedError(
            f"the value of secret '{name}' stands in the open in {' and '.join(where)}, and that is evidence; "
            "take it out there, choose a new value, and ask again"
        )
