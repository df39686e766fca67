"""What may run: files as they were activated; outside of them only a look at this machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from activate.conftest import FRONT, Office
from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.base.i18n import CHINESE, retell
from opsnb.control.flows.activate import activate, differing
from opsnb.control.flows.admit import admit
from opsnb.control.flows.ground import Workspace
from opsnb.control.flows.seal import Asked, chosen, seal
from opsnb.control.records import Cause
from opsnb.control.runs import store

CONFIG = "files:\n- {path: shop.conf, to: /etc/shop.conf}\n"


def sealed(office: Office, runbook: str, **asked: Any) -> dict[str, Any]:
    """Seal a request; return its body."""
    request, _ = seal(office.services, Asked(runbook=runbook, **asked), office.first)
    with office.services.database.transaction() as connection:
        return dict(json.loads(store.request_row(connection, request).body))


def activated(office: Office) -> None:
    """Activate the files."""
    seen = differing(office.services, office.first)
    activate(office.services, office.first, files=seen["files"], active=seen["active"])


def test_a_changed_notebook_is_refused(office: Office) -> None:
    """A notebook that is not as it was activated does not run: the message says which cell, and who may activate."""
    office.join("bob", "engineer")
    assert sealed(office, "ONE-001")["runbook"] == "ONE-001"
    office.place.add("one", "print(666)", front=FRONT.format(id="ONE-001", risk="read"))
    with pytest.raises(RefusedError) as refused:
        sealed(office, "ONE-001")
    assert refused.value.message == "runbooks/one.ipynb differs from the active revision 1: cell 1 (code)"
    assert refused.value.hint.startswith(f"{office.first.person.name} may activate it: opsnb activate")
    activated(office)
    assert sealed(office, "ONE-001")["runbook"] == "ONE-001"


def test_a_claim_is_judged_by_the_revision_of_its_moment(office: Office) -> None:
    """A request whose very bytes were activated once is refused when another revision holds by now."""
    office.join("bob", "engineer")
    body, file = sealed(office, "ONE-001"), office.place.root / "runbooks/one.ipynb"
    old = file.read_bytes()
    office.place.add("one", "print(2)", front=FRONT.format(id="ONE-001", risk="read"))
    activated(office)
    file.write_bytes(old)
    with pytest.raises(RefusedError, match="active revision 2"):
        admit(office.services, chosen(office.services, "runbooks/one.ipynb"), body)
    with office.services.database.transaction():  # a claim asks inside its transaction
        cause, why = Workspace(office.services).moved(body) or (None, "")
    assert cause is Cause.REVISION
    assert "may activate it" in why
    assert retell(why, CHINESE).startswith("runbooks/one.ipynb 与生效版本 2 不同：单元格 1 (code)；可由 ")


def test_a_notebook_outside_may_look_at_this_machine(office: Office) -> None:
    """What nobody has activated runs as risk read here, and is called by its path, whatever id it claims."""
    office.join("bob", "engineer")
    office.place.add("new", "print(3)", front=FRONT.format(id="NEW-001", risk="read"))
    body = sealed(office, "NEW-001")
    assert body["runbook"] == "runbooks/new.ipynb"
    assert (body["secrets"], body["reads"], [row["name"] for row in body["hosts"]]) == ([], [], ["localhost"])


@pytest.mark.parametrize(("more", "hosts", "asks"), [
    ("risk: change\ntouches: x\nundo: y", "", "risk change"), ("risk: danger\ntouches: x\nundo: y", "", "risk danger"),
    ("risk: read\nsecrets: [db/password]", "", "the secrets db/password"),
    ("risk: read\nreads: [/etc/hostname]", "", "to read /etc/hostname"),
    ("risk: read\nhosts: here", "", "hosts"), ("risk: read", "here", "hosts"),
])  # fmt: skip
def test_a_notebook_outside_gets_nothing_else(office: Office, more: str, hosts: str, asks: str) -> None:
    """No change, no secret, no host of the inventory (not even this machine under a name there), no further path."""
    (office.place.root / "inventory.yaml").write_text("hosts:\n  here: {transport: local}\n", encoding="utf-8")
    office.app.set_secret("db/password", "hunter2-Xq9", rotate=False)
    office.join("bob", "engineer")
    front = f"id: NEW-001\ntitle: One\npromise: Says something.\nowner: web-ops\n{more}"
    parameters = 'hosts: str = "localhost"  # which' if hosts else ""
    office.place.add("new", "print(3)", front=front, parameters=parameters)
    with pytest.raises(RefusedError) as refused:
        sealed(office, "NEW-001", hosts=hosts)
    assert "not in the active revision 1" in refused.value.message
    assert asks in refused.value.message
    activated(office)
    assert sealed(office, "NEW-001", hosts=hosts)["runbook"] == "NEW-001"


def test_what_comes_with_the_program_needs_no_activation(office: Office) -> None:
    """Built-in runbooks are part of the program: they run in any workspace."""
    office.join("bob", "engineer")
    assert sealed(office, "HST-001")["runbook"] == "HST-001"


def test_a_notebook_that_is_gone(office: Office) -> None:
    """A runbook whose file was removed is not found, as always; its id does not lead to another file."""
    office.join("bob", "engineer")
    (office.place.root / "runbooks/one.ipynb").rename(office.place.root / "runbooks/moved.ipynb")
    assert sealed(office, "ONE-001")["runbook"] == "runbooks/moved.ipynb"
    with pytest.raises(OpsnbError):
        sealed(office, "runbooks/one.ipynb")


def test_a_script_beside_the_notebook(office: Office) -> None:
    """What a kernel reads beside its notebook is as it was activated: changed, new or gone, it refuses the run."""
    script = office.place.root / "runbooks/one.sh"
    script.write_text("echo 1\n")
    office.join("bob", "engineer")
    sealed(office, "ONE-001")
    for spoil in (
        lambda: script.write_text("echo 2\n"),
        script.unlink,
        lambda: script.with_name("x.py").write_text(""),
    ):
        spoil()
        with pytest.raises(RefusedError, match=r"runbooks/(one.sh|x.py) differs from the active revision"):
            sealed(office, "ONE-001")
        activated(office)
        sealed(office, "ONE-001")


def test_a_manifest_that_a_run_reads(office: Office) -> None:
    """A service's manifest is as it was activated for a run that reads it; that of another service does not matter."""
    for service in ("shop", "blog"):
        (office.place.root / "configs" / service).mkdir(parents=True)
        (office.place.root / "configs" / service / "config.yaml").write_text(CONFIG)
    front = FRONT.format(id="CFG-901", risk="read") + "\nreads: ['configs/{service}']"
    office.place.add("cfg", "print(1)", front=front, parameters='service: str = "shop"  # which')
    office.join("bob", "engineer")
    sealed(office, "CFG-901")
    (office.place.root / "configs/shop/config.yaml").write_text(CONFIG + CONFIG[7:])
    with pytest.raises(RefusedError, match=r"configs/shop/config\.yaml differs"):
        sealed(office, "CFG-901")
    sealed(office, "CFG-901", texts={"service": "blog"})
    sealed(office, "ONE-001")


def test_the_author_is_sealed(office: Office) -> None:
    """Who activated a change of the notebook stands among its authors in every request sealed with it."""
    bob = office.join("bob", "administrator")
    assert bob.person.id not in sealed(office, "ONE-001")["authors"]
    office.place.add("one", "print(2)", front=FRONT.format(id="ONE-001", risk="read"))
    seen = differing(office.services, bob)
    activate(office.services, bob, files=seen["files"], active=seen["active"])
    assert bob.person.id in sealed(office, "ONE-001")["authors"]
