"""Release: only what is sealed, only when it may be, recorded; a plan never holds a value."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from opsnb.cli.workspace import make
from places import OPSNB, Place, text_of

pytestmark = pytest.mark.slow

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\n{0}aaaaaaaaaaaaaaaaaaaa\n{0}bbbbbbbbbbbbb\n-----END OPENSSH PRIVATE KEY-----\n"
INVENTORY = """
credentials:
  look: {kind: key, secret: ssh/look}
  touch: {kind: key, secret: ssh/touch, passphrase: ssh/pass}
  word: {kind: password, secret: ssh/word}
  own: {kind: agent}
hosts:
  web1: {address: 127.0.0.1, credential: {observe: look, change: touch}, sudo: {secret: sudo/web},
         keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHr1tlVeHdZ3oEMfcvyhpa7tzsO7tmT9jLLL0Lk0cAgP"]}
"""
FRONT = "id: REL-{n:03}\ntitle: t\npromise: p\nrisk: {risk}\nowner: me\ntouches: x\nundo: y\nsecrets: {secrets}"
BEGIN = "import opsnb\nfrom opsnb.base.plan import Change, Plan\nrun = opsnb.begin('REL-{n:03}')\n"
VALUE = "correct-horse-battery"


def put(place: Place, name: str, value: str) -> None:
    """Store a secret through the real program."""
    argv = [str(OPSNB), "secret", "set", name, "--stdin"]
    subprocess.run(argv, cwd=place.root, input=value.encode(), check=True, capture_output=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A served workspace with secrets and an inventory."""
    made = Place(tmp_path_factory.mktemp("release") / "ws")
    make(made.root)
    made.settings()
    (made.root / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    made.up()
    for name, value in {
        "db/prod": VALUE, "ssh/look": PRIVATE.format("look"), "ssh/touch": PRIVATE.format("touch"),
        "ssh/pass": "pass-pass-pass", "ssh/word": "word-word-word", "sudo/web": "sudo-sudo-sudo",
    }.items():  # fmt: skip
        put(made, name, value)
    yield made
    made.close()


def run(
    place: Place, n: int, *cells: str, secrets: str = "[db/prod]", risk: str = "read", **body: Any
) -> dict[str, Any]:
    """Run a notebook with front matter; return its result."""
    place.add(f"rel{n}", BEGIN.format(n=n), *cells, front=FRONT.format(n=n, risk=risk, secrets=secrets))
    return place.end(place.submit(f"REL-{n:03}", **body))


def test_only_what_is_sealed(served: Place) -> None:
    """A name that the front matter lacks is refused with the nearest right one; nothing is released."""
    result = run(served, 1, "opsnb.secret('db/prot').reveal()")
    assert result["verdict"] == "FAILED"
    assert "'db/prot' is not sealed in this request; did you mean 'db/prod'?" in result["reason"]
    assert "secret.revealed" not in served.kinds(result["run"])


def test_sealing_refuses_what_is_not_there(served: Place) -> None:
    """An unknown reference stops the request before it is sealed, with the nearest name; a parameter may fill one in."""
    for number, (secrets, says) in enumerate({
        "[db/pord]": "did you mean 'db/prod'?", "['env:NOPE']": "OPSNB_SECRET_NOPE", "['vault:a/b#c']": "vault_address",
        "['file:/etc/passwd']": "names no secret", "['../x']": "not a secret's name",
    }.items()):  # fmt: skip
        served.add("no", BEGIN.format(n=90), front=FRONT.format(n=90, risk="read", secrets=secrets))
        done = served.opsnb("run", "REL-090")
        assert done.returncode == 2, (number, done.stderr)
        assert says in done.stderr
    served.add("fill", "import opsnb\nrun = opsnb.begin('REL-091')\nassert opsnb.secret(f'db/{env}').reveal()\nrun.finish()",
               front=FRONT.format(n=91, risk="read", secrets="['db/{env}']"), parameters="env: str = 'prod'  # where")  # fmt: skip
    assert served.end(served.submit("REL-091"))["verdict"] == "DONE"
    done = served.opsnb("run", "REL-091", "-p", "env=prods")
    assert (done.returncode, "did you mean 'db/prod'?" in done.stderr) == (2, True)


def test_a_release_is_recorded(served: Place) -> None:
    """The ledger has the release with the secret's id and version, and neither its name nor its value."""
    result = run(served, 2, "s = opsnb.secret('db/prod'); print(s, repr(s), f'{s}'); s.reveal(); run.finish()")
    assert result["verdict"] == "DONE"
    assert "secret.revealed" in served.kinds(result["run"])
    lines = (served.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8")
    entry = next(
        e for e in map(json.loads, lines.splitlines()) if e["kind"] == "secret.revealed" and e["run"] == result["run"]
    )
    listed = {row["name"]: row for row in served.json("secret", "list")["secrets"]}
    assert (entry["secret"], entry["version"], entry["purpose"]) == (listed["db/prod"]["id"], 1, "reveal")
    assert "db/prod" not in lines
    assert served.verify().returncode == 0
    assert VALUE not in json.dumps(served.executed(result))
    assert "secret('db/prod')" in json.dumps(served.executed(result))


PLAN = "def change(n, after):\n    return Change(host='localhost', what=f'c{n}', verb='x', target={}, before=None, after=after, command='c', undo='u')\n"


def test_a_plan_with_a_value_is_refused(served: Place) -> None:
    """The change's number is named; nothing is stored, nothing is approved."""
    cell = (
        PLAN
        + "v = opsnb.secret('db/prod').reveal()\nrun.propose(Plan(title='t', changes=(change(0, 'a'), change(1, {'c': [v]}))))"
    )
    result = run(served, 3, cell, risk="change")
    assert result["verdict"] == "FAILED"
    assert "change 1 of the plan (c1) holds the value of secret db/prod" in result["reason"]
    assert result["plan"] is None


def test_what_stands_in_the_open_is_not_released(served: Place) -> None:
    """A value in a parameter, in the runbook or in the plan is evidence: it is not released, and the place is named."""
    served.add(
        "open", "import opsnb\nrun = opsnb.begin('REL-092')\nopsnb.secret('db/prod').reveal()",
        front=FRONT.format(n=92, risk="read", secrets="[db/prod]"), parameters="word: str = ''  # a word",
    )  # fmt: skip
    result = served.end(served.submit("REL-092", texts={"word": f"it is {VALUE}"}))
    assert "stands in the open in parameter 'word'" in result["reason"]
    result = run(served, 4, f"w = '{VALUE}'\nopsnb.secret('db/prod').reveal()")
    assert "stands in the open in the runbook runbooks/rel4.ipynb" in result["reason"]
    assert "secret.revealed" not in served.kinds(result["run"])


def test_credentials_by_purpose(served: Place) -> None:
    """A host that is not sealed, or a purpose that is none, gets nothing; and nothing of the attempt is released."""
    cell = (
        "def ask(host, purpose):\n"
        "    try: run.credential(host, purpose)\n"
        "    except Exception as e: print(host, purpose, type(e).__name__, e)\n"
        "    else: print(host, purpose, 'given')\n"
        "for h, p in (('web1', 'observe'), ('localhost', 'change'), ('localhost', 'reveal'), ('localhost', 'x'), ('localhost', 'sudo')): ask(h, p)"
    )
    result = run(served, 5, cell, "run.finish()", secrets="[]")
    said = text_of(served.executed(result)["cells"][2])
    for line in ("host 'web1' is not sealed", "localhost change LinkError the credential for changes on 'localhost'",
                 "observe, change or sudo", "localhost x LinkError", "names no password for sudo on 'localhost'"):  # fmt: skip
        assert line in said
    assert "given" not in said
    assert "secret.revealed" not in served.kinds(result["run"])


def test_without_a_control_plane(tmp_path: Any) -> None:
    """A notebook opened by hand is told what to do, and gets nothing."""
    from opsnb import secret
    from opsnb.base.errors import LinkError

    assert tmp_path
    with pytest.raises(LinkError, match="no control plane") as caught:
        secret("db/prod").reveal()
    assert "opsnb run" in caught.value.hint
