"""Login: which credential of which host is released when; with a real store and inventory, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows.converse import Conversation
from opsnb.control.flows.reveal import masker_after_crash
from opsnb.control.flows.seal import blob_path
from opsnb.control.ledger.store import head, read
from opsnb.control.records import Mode
from places import Place, notebook

pytestmark = pytest.mark.slow

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nlook{0}aaaaaaaaaaaaaaaa\n-----END OPENSSH PRIVATE KEY-----\n"
INVENTORY = """
credentials:
  look: {kind: key, secret: ssh/look}
  touch: {kind: key, secret: ssh/touch, passphrase: ssh/pass, certificate: ssh/cert}
  word: {kind: password, secret: ssh/word}
  own: {kind: agent}
  mine: {kind: key, file: KEYFILE}
  state: {kind: key, file: STATEFILE}
hosts:
  web1: {address: 127.0.0.1, via: gate, credential: {observe: look, change: touch}, sudo: {secret: sudo/web}, keys: ["PUBLIC"]}
  gate: {address: 127.0.0.2, credential: word, keys: ["PUBLIC"]}
  web2: {address: 127.0.0.3, credential: {observe: own, change: mine}, keys: ["PUBLIC"]}
  web3: {address: 127.0.0.4, credential: state, keys: ["PUBLIC"]}
"""
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHr1tlVeHdZ3oEMfcvyhpa7tzsO7tmT9jLLL0Lk0cAgP"
VALUES = {
    "ssh/look": KEY.format("look"), "ssh/touch": KEY.format("touch"), "ssh/pass": "pass-pass-pass",
    "ssh/cert": "ssh-ed25519-cert-v01@openssh.com AAAAcert", "ssh/word": "word-word-word", "sudo/web": "sudo-sudo-sudo",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane that runs nothing, with stored secrets and an inventory."""
    place = Place(tmp_path_factory.mktemp("login") / "ws")
    make(place.root)
    place.settings(kernel="spawn")
    keyfile = place.root / "id_ed25519"
    keyfile.write_text(KEY.format("file"), encoding="ascii")
    text = INVENTORY.replace("PUBLIC", PUBLIC).replace("KEYFILE", str(keyfile))
    (place.root / "inventory.yaml").write_text(
        text.replace("STATEFILE", str(place.root / ".opsnb/token")), encoding="utf-8"
    )
    made = App(place.workspace)
    made.start()
    for name, value in VALUES.items():
        made.set_secret(name, value, rotate=False)
    blob = blob_path(made.services, "0" * 64)
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(notebook("1"))
    yield made
    made.close()


def talk(app: App, mode: Mode, *, let_through: bool = False, drifted: bool = False, run: str = "r-1") -> Conversation:
    """Return a conversation of a run on web1 (through gate), web2 and web3."""
    from opsnb.fleet.inventory import load

    inventory = load(app.workspace.root)
    body = {
        "hosts": [inventory.row(name) for name in ("web1", "web2", "web3")], "secrets": [], "parameters": {},
        "notebook": "0" * 64, "path": "runbooks/x.ipynb",
    }  # fmt: skip
    return Conversation(
        services=app.services, run=run, mode=mode, request="q-1", body=body, end=lambda _: None, tell=lambda _: None,
        let_through=let_through, drifted=drifted, masker=app.services.masker(run),
    )  # fmt: skip


def ask(conversation: Conversation, host: str, purpose: str) -> Any:
    """Return what is released, or why not."""
    answer = conversation.answer({"id": 1, "op": "credential", "host": host, "purpose": purpose})
    return answer["value"] if answer["ok"] else answer["error"]


@pytest.mark.parametrize("mode", list(Mode))
def test_observe_at_any_time(app: App, mode: Mode) -> None:
    """The key to look with is released in every mode, to the jump host as well, and sudo's password too."""
    conversation = talk(app, mode)
    assert ask(conversation, "web1", "observe") == {"kind": "key", "key": VALUES["ssh/look"]}
    assert conversation.to_mask == [("ssh/look", VALUES["ssh/look"])]
    assert ask(conversation, "gate", "observe") == {"kind": "password", "password": "word-word-word"}
    assert ask(conversation, "web1", "sudo") == {"kind": "password", "password": "sudo-sudo-sudo"}
    assert ask(conversation, "web2", "observe") == {"kind": "agent"}
    assert conversation.to_mask == []


@pytest.mark.parametrize(("mode", "let_through", "drifted"), [
    (Mode.READ, False, False), (Mode.READ, True, False), (Mode.PLAN, False, False), (Mode.PLAN, True, False),
    (Mode.APPLY, False, False), (Mode.APPLY, True, True), (Mode.UNDO, False, False), (Mode.UNDO, True, True),
])  # fmt: skip
def test_change_is_refused_until_a_plan_is_let_through(
    app: App, mode: Mode, *, let_through: bool, drifted: bool
) -> None:
    """Outside apply and undo, before the plan was compared, and after a drift, nothing to change with is released."""
    conversation = talk(app, mode, let_through=let_through, drifted=drifted)
    assert "is released when a plan was let through" in ask(conversation, "web1", "change")
    assert conversation.to_mask == []
    assert not conversation.masker.hits(VALUES["ssh/touch"])


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.UNDO])
def test_change_is_released_afterwards(app: App, mode: Mode) -> None:
    """Then key, passphrase and certificate come together, each to be masked; a key's file is read on this side."""
    conversation = talk(app, mode, let_through=True, run=f"r-{mode.value}")
    found = ask(conversation, "web1", "change")
    assert found == {k: VALUES[n] if k != "kind" else n for k, n in
                     {"kind": "key", "key": "ssh/touch", "passphrase": "ssh/pass", "certificate": "ssh/cert"}.items()}  # fmt: skip
    assert [name for name, _ in conversation.to_mask] == ["ssh/touch", "ssh/pass", "ssh/cert"]
    assert ask(conversation, "web2", "change")["key"] == KEY.format("file")
    assert conversation.masker.text("looktouchaaaaaaaaaaaaaaaa").startswith("«secret ssh/touch»")


def test_who_gets_nothing(app: App) -> None:
    """A host that is not sealed, the workspace's own keys, a purpose that is none."""
    conversation = talk(app, Mode.APPLY, let_through=True)
    assert "is not sealed in this request" in ask(conversation, "web9", "observe")
    assert "nothing there is a credential" in ask(conversation, "web3", "observe")
    assert "observe, change or sudo" in ask(conversation, "web1", "reveal")
    assert "malformed" in ask(conversation, "web1", "root")
    assert "names no password for sudo" in ask(conversation, "web2", "sudo")
    assert conversation.to_mask == []


def test_each_release_is_in_the_ledger_first(app: App) -> None:
    """One entry for each value, with its purpose; what cannot be recorded is not released."""
    conversation = talk(app, Mode.APPLY, let_through=True, run="r-ledger")
    ask(conversation, "web1", "change")
    with app.services.database.transaction() as connection:
        entries = [e.value for e in read(connection, 0, head(connection).size)]
    mine = [e for e in entries if e["kind"] == "secret.revealed" and e["run"] == "r-ledger"]
    assert [e["purpose"] for e in mine] == ["change"] * 3
    assert len({e["secret"] for e in mine}) == 3


def test_a_crashed_run_is_scanned_for_what_it_was_given(app: App) -> None:
    """After the control plane died, its masker is made anew from what was noted, older versions and files included."""
    conversation = talk(app, Mode.APPLY, let_through=True, run="r-crash")
    ask(conversation, "web1", "sudo")
    ask(conversation, "web2", "change")
    app.services.maskers.pop("r-crash")
    app.set_secret("sudo/web", "another-password", rotate=True)
    masker, lost = masker_after_crash(app.services, "r-crash")
    assert lost == []
    assert masker.hits("it was sudo-sudo-sudo and lookfileaaaaaaaaaaaaaaaa") == [
        f"file:{app.workspace.root}/id_ed25519",
        "sudo/web",
    ]
    app.remove_secret("sudo/web")
    app.services.maskers.pop("r-crash")
    assert masker_after_crash(app.services, "r-crash")[1] == ["sudo/web"]
