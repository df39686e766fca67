"""trust, check and facts against real sshd: the rehearsal fleet."""

from __future__ import annotations

import json

import pytest

from fleets import Hosts
from inventories import ed25519
from opsnb.fleet.inventory import fingerprint, load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts(rehearsal: Hosts) -> Hosts:
    """The rehearsal fleet, with hosts of one's own that lead to the same machines and whose keys nobody trusts yet."""
    web, db = rehearsal.status[0], rehearsal.status[-1]
    done = rehearsal.opsnb("host", "add", "mine", f"ops@{web['address']}:{web['port']}", "--credential", "rehearsal")
    assert done.returncode == 0, done.stderr
    target = f"ops@{db['address']}:{db['port']}"
    done = rehearsal.opsnb("host", "add", "inner", target, "--credential", "rehearsal", "--via", "mine")
    assert done.returncode == 0, done.stderr
    return rehearsal


def test_check_names_what_to_do_about_each_host(hosts):
    """A host that answers is ok; one without a pinned key says so and how to go on, and the others are asked still."""
    done = hosts.opsnb("host", "check", "mine,inner,web1", "--json")
    assert done.returncode == 1
    rows = {row["host"]: row for row in json.loads(done.stdout)["hosts"]}
    assert (rows["web1"]["status"], rows["web1"]["next"]) == ("ok", "")
    assert (rows["mine"]["status"], rows["mine"]["next"]) == ("not trusted", "opsnb host trust mine")
    assert rows["inner"]["next"] == "opsnb host trust mine"


def test_trust_wants_somebody_who_compares(hosts):
    """Without a terminal, a fingerprint or --yes nothing is trusted; a fingerprint that is not the host's neither."""
    web = hosts.public(hosts.status[0]["name"])
    done = hosts.opsnb("host", "trust", "mine")
    assert done.returncode == 3
    assert fingerprint(web) in done.stdout
    assert "on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in done.stdout
    assert "Traceback" not in done.stderr
    done = hosts.opsnb("host", "trust", "mine", "--fingerprint", fingerprint(ed25519("another")))
    assert done.returncode == 3
    assert f"it has {fingerprint(web)}" in done.stderr
    assert load(hosts.root).host("mine").keys == ()


def test_trust_pins_records_and_proves(hosts):
    """The key with the fingerprint is pinned, the ledger has who and salted digests, and the audit trail verifies."""
    web = hosts.public(hosts.status[0]["name"])
    done = hosts.json("host", "trust", "mine", "--fingerprint", fingerprint(web))
    assert (done["status"], done["keys"][0]["line"], done["before"]) == ("trusted", web, [])
    assert load(hosts.root).host("mine").keys == (web,)
    lines = (hosts.root / "outputs/ledger/entries.jsonl").read_text().splitlines()
    entry = json.loads(lines[done["ledger"]["index"]])
    assert (entry["kind"], entry["replaced"]) == ("host.trusted", False)
    assert web.split()[1] not in lines[done["ledger"]["index"]]
    assert hosts.verify().returncode == 0
    row = hosts.client.get("/api/hosts/mine/trust")["trusted"][0]
    assert (row["keys"], row["entry"], "salt" in row) == ([web], done["ledger"]["index"], False)
    assert hosts.json("host", "trust", "mine", "--yes")["status"] == "unchanged"
    assert hosts.opsnb("host", "check", "mine").returncode == 0


def test_trust_reaches_through_a_jump_host(hosts):
    """A host behind another is asked from there, in a recorded run; then it answers."""
    done = hosts.json("host", "trust", "inner", "--yes")
    assert done["keys"][0]["line"] == hosts.public(hosts.status[-1]["name"])
    assert hosts.opsnb("host", "check", "inner").returncode == 0


def test_a_changed_key_is_shown_loudly(hosts):
    """Another key than the pinned one is refused by the run, by trust, and replaced only when that is said."""
    path = hosts.root / "inventory.yaml"
    right, wrong = load(hosts.root).host("inner").keys[0], ed25519("wrong")
    path.write_text(path.read_text().replace(right, wrong))
    row = hosts.json("host", "check", "inner")["hosts"][0]
    assert (row["status"], row["next"]) == ("unreachable", "opsnb host trust inner")
    done = hosts.opsnb("host", "trust", "inner", "--yes")
    assert done.returncode == 3
    assert "THE HOST'S KEYS HAVE CHANGED" in done.stdout
    assert fingerprint(wrong) in done.stdout
    assert fingerprint(right) in done.stdout
    assert load(hosts.root).host("inner").keys == (wrong,)
    done = hosts.json("host", "trust", "inner", "--yes", "--replace")
    assert [key["line"] for key in done["before"]] == [wrong]
    assert load(hosts.root).host("inner").keys == (right,)
    entry = json.loads((hosts.root / "outputs/ledger/entries.jsonl").read_text().splitlines()[done["ledger"]["index"]])
    assert entry["replaced"] is True


def test_keys_can_come_from_a_file(hosts, tmp_path):
    """ssh-keyscan's output, known_hosts and .pub files give keys; what was seen must still be pinned when it is written."""
    path = tmp_path / "keys"
    path.write_text(f"# host:22 SSH-2.0\nhost {ed25519('f')}\n{ed25519('g')} root@host\n")
    assert hosts.opsnb("host", "add", "offline", "192.0.2.77").returncode == 0
    done = hosts.json("host", "trust", "offline", "--keys", str(path), "--yes")
    assert [key["line"] for key in done["keys"]] == [ed25519("f"), ed25519("g")]
    for body, message in (
        ({"keys": [ed25519("h")], "instead_of": []}, "have changed meanwhile"),
        ({"keys": ["ssh-ed25519 AAAA"], "instead_of": []}, "not a public key"),
    ):
        with pytest.raises(Exception, match=message):
            hosts.client.post("/api/hosts/offline/trust", body)
    with pytest.raises(Exception, match="no host is called 'nobody'"):
        hosts.client.post("/api/hosts/nobody/trust", {"keys": [ed25519("h")]})


def test_facts_are_dated_and_asked_for_once(hosts):
    """Facts come from the record of HST-002; they are asked for when there are none, and with --refresh."""
    first = hosts.json("host", "facts", "web1")["hosts"]["web1"]
    assert first["facts"]["hostname"] == "web1"
    assert first["at"].startswith("20")
    assert hosts.json("host", "facts", "web1")["hosts"]["web1"] == first
    both = hosts.json("host", "facts", "web1,web2")["hosts"]
    assert both["web1"]["run"] == first["run"] != both["web2"]["run"]
    fresh = hosts.json("host", "facts", "web1", "--refresh")["hosts"]["web1"]
    assert fresh["at"] > first["at"]
    assert "read 20" in hosts.opsnb("host", "facts", "web1").stdout
