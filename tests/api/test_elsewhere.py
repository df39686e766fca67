"""`opsnb exec`, `ssh` and `cp` from another machine's point of view: TLS, a signed-in session, another home, no workspace.

Who asks sees nothing of the workspace: an empty directory is mounted over it, in a mount namespace of the asking program.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.test_tcp import PASSWORD, Served
from persons import Person
from places import OPSNB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root hides the workspace from the one who asks"),
]
HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'
LONG = 400_000  # characters of output: more than evidence holds


class Elsewhere:
    """Somebody signed in from elsewhere, and a directory of the managed machine."""

    def __init__(self, root: Path) -> None:
        self.served = Served(root)
        self.home = self.served.home
        self.name = self.served.place.json("whoami")["user"]
        self.goal = Path(tempfile.mkdtemp(dir="/var/tmp"))
        self.enter(self.name)

    def enter(self, name: str) -> None:
        """Sign in with a password of one's own, by a link."""
        link = self.served.place.client.post(f"/api/users/{name}/link")
        self.served.ask("POST", "/api/enter", {"code": link["code"], "password": PASSWORD})
        ca = ("--ca", str(self.served.cert))
        done = self.opsnb("login", self.served.url, "--user", name, "--password-stdin", *ca, given=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr

    @property
    def through(self) -> tuple[str, ...]:
        """The words before those of the program: it sees an empty directory in place of the workspace."""
        hide = ("sh", "-c", HIDE, "sh", str(self.served.place.root))
        return ("unshare", "--mount", "--propagation", "private", *hide, str(OPSNB))

    @property
    def env(self) -> dict[str, str]:
        """Their variables."""
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home)}

    def opsnb(self, *argv: str, given: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run the program as they do."""
        return subprocess.run(
            [*self.through, *argv], cwd=self.home, env={**os.environ, **self.env, **env}, input=given, capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip

    def close(self) -> None:
        """End what was started."""
        self.served.place.close()
        shutil.rmtree(self.goal)


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """Somebody elsewhere."""
    made = Elsewhere(tmp_path_factory.mktemp("afar"))
    yield made
    made.close()


def test_exec(afar: Elsewhere) -> None:
    """A command's output comes whole, also what is too long for evidence: it is fetched from the record."""
    script = f"head -c {LONG} /dev/zero | tr '\\0' x; echo to-stderr >&2; exit 3"
    done = afar.opsnb("exec", "localhost", "--json", "--", "sh", "-c", script)
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["hosts"]
    assert (row["status"], row["exit"], row["stdout"], row["stderr"]) == ("failed", 3, "x" * LONG, "to-stderr\n")
    assert "to-stderr" in afar.opsnb("runs", "log", json.loads(done.stdout)["run"]).stdout


def test_cp_to_a_host_and_back(afar: Elsewhere) -> None:
    """Files of that machine are sent along, planned, applied byte for byte; a host's come back the same way."""
    data = bytes(range(256)) * 500
    (afar.home / "sent.bin").write_bytes(data)
    done = afar.opsnb("cp", "sent.bin", f"localhost:{afar.goal}", "--mode", "0640", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    there = afar.goal / "sent.bin"
    assert there.read_bytes() == data
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    (kept,) = afar.served.place.workspace.state.glob("uploads/*/sent.bin")
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (data, 0o600)
    back = afar.home / "back"
    back.mkdir()
    done = afar.opsnb("cp", "localhost:/bin/true", str(back), "--json")  # what a kernel on this machine may read
    assert done.returncode == 0, done.stderr + done.stdout
    assert (back / "true").read_bytes() == Path("/bin/true").read_bytes()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("cp", "nothing.bin", "localhost:/var/tmp", "--yes"), "No such file"),
        *(
            (tuple(words.split()), "are not here")
            for words in (
                "up",
                "host add x 192.0.2.1",
                "host check x",
                "host export",
                "runbook lint",
                "audit verify",
            )
        ),
        (("run", "HST-006", "-p", "files=/etc/hostname", "-p", "directory=/var/tmp"), "control plane's machine"),
    ],
)
def test_what_works_on_the_servers_machine_only(afar: Elsewhere, argv: tuple[str, ...], said: str) -> None:
    """A file of the server's machine is no file of theirs: the message says what to do, and nothing is begun here."""
    before = sorted(afar.home.rglob("*"))
    done = afar.opsnb(*argv)
    assert done.returncode in {2, 3}
    assert said in done.stderr
    assert sorted(afar.home.rglob("*")) == before


def test_the_doctor_looks_there(afar: Elsewhere) -> None:
    """`opsnb doctor` from elsewhere looks at the control plane's machine and finds what it finds there."""
    found, there = json.loads(afar.opsnb("doctor", "--json").stdout), afar.served.place.json("doctor")
    names = [check["name"] for check in there["checks"]]
    assert (found["up"], [check["name"] for check in found["checks"]]) == (True, names)
    assert found["workspace"] == str(afar.served.place.root)
    assert "control plane: answers" in afar.opsnb("doctor").stdout


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "x" * 300, "a\nb"])
def test_no_name_leads_out(afar: Elsewhere, name: str) -> None:
    """What is sent along has one name; another is refused and nothing is kept."""
    before = sorted(afar.served.place.workspace.state.rglob("uploads/*"))
    body = {"runbook": "HST-006", "values": {"files": [name], "directory": "/var/tmp"}, "files": {name: "eA=="}}
    held = {"authorization": f"Bearer {token(afar)}"}
    assert afar.served.ask("POST", "/api/runs", body, **held)[0] == 422
    assert sorted(afar.served.place.workspace.state.rglob("uploads/*")) == before


def token(afar: Elsewhere) -> str:
    """Return their token."""
    kept = json.loads((afar.home / "opsnb" / "logins.json").read_text(encoding="utf-8"))
    return str(kept["logins"][afar.served.url]["secret"])


def test_only_what_the_manifest_lists_is_handed_out(afar: Elsewhere) -> None:
    """A file of the record is handed out to who may see it; nothing beside it, and nothing to a stranger."""
    done = json.loads(afar.opsnb("exec", "localhost", "--json", "--", "true").stdout)
    path, held = f"/api/runs/{done['run']}/file?path=", {"authorization": f"Bearer {token(afar)}"}
    status, headers, page = afar.served.ask("GET", path + "run.html", **held)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    assert headers["content-disposition"].startswith("attachment")
    assert b"HST-004" in page
    for name in ("../../../../../.opsnb/token", "manifest.json", "/etc/hostname", "files", "", "run.html/../run.html"):
        assert afar.served.ask("GET", path + name, **held)[0] == 404, name
    assert afar.served.ask("GET", path + "run.html")[0] == 401


class Colleague(Elsewhere):
    """Somebody else, signed in from a home of their own, who may read where ``may`` says."""

    def __init__(self, afar: Elsewhere, name: str, may: str) -> None:
        self.served, self.name = afar.served, name
        self.home = afar.home.parent / name
        self.home.mkdir()
        for argv in (("role", "add", f"{name}s", "--may", may), ("user", "add", name, "--role", f"{name}s")):
            done = self.served.place.opsnb(*argv)
            assert done.returncode == 0, done.stderr
        self.enter(name)


INVENTORY = """
groups: {web: {hosts: [web1], via: jump, user: www}}
hosts:
  jump: {address: 192.0.2.9, environment: prod}
  web1: {environment: test, port: 2222, labels: {role: nginx}, variables: {a: [1, "é"]}}
"""
NEW = "  web2: {environment: test}\n"
READS = (
    "host list", "host list web&!jump --json", "host show web1", "host show web1 --json",
    "runbook list", "runbook list --json", "runbook show hst-004", "runbook show runbooks/plain.ipynb --json",
)  # fmt: skip


def test_what_there_is(afar: Elsewhere) -> None:
    """Hosts and runbooks are told as on the control plane's machine, with --json too; what is not there exits alike."""
    place = afar.served.place
    (place.root / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    place.add("plain", "1")
    place.add("bad", "1", front="id: nothing")
    for argv in (words.split() for words in READS):
        near, far = place.opsnb(*argv), afar.opsnb(*argv)
        assert (near.returncode, near.stderr) == (0, ""), near.stderr
        assert (far.returncode, far.stdout, far.stderr) == (0, near.stdout, ""), argv
    for argv in (("host", "show", "web9"), ("runbook", "show", "HST-999")):
        near, far = place.opsnb(*argv), afar.opsnb(*argv)
        assert (near.returncode, far.returncode) == (2, 2), far.stderr
        assert near.stderr.splitlines()[0] == far.stderr.splitlines()[0]


def test_what_there_is_for_others(afar: Elsewhere) -> None:
    """Who may read one environment sees its hosts; what is unknown and what is not theirs is told alike; what holds."""
    place = afar.served.place
    (place.root / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    mia = Colleague(afar, "mia", "read HST-* in test")
    assert [row["name"] for row in json.loads(mia.opsnb("host", "list", "--json").stdout)["hosts"]] == ["web1"]
    hidden, unknown = mia.opsnb("host", "show", "jump"), mia.opsnb("host", "show", "pump")
    assert (hidden.returncode, unknown.returncode) == (2, 2)
    assert hidden.stderr.replace("jump", "pump") == unknown.stderr
    assert "没有名为“jump”的主机" in mia.opsnb("host", "show", "jump", LC_ALL="zh_CN.UTF-8").stderr
    assert "HST-004" in mia.opsnb("runbook", "list").stdout
    assert "NGX-" not in mia.opsnb("runbook", "list").stdout
    assert mia.opsnb("runbook", "show", "NGX-001").returncode == 2
    (place.root / "inventory.yaml").write_text(INVENTORY + NEW, encoding="utf-8")
    for who in (afar, mia):  # two people by now: the files of a moment ago hold
        assert "web2" not in who.opsnb("host", "list").stdout
    assert "web2" in place.opsnb("host", "list").stdout
    done = place.opsnb("activate", "--yes")
    assert done.returncode == 0, done.stderr
    assert "web2" in mia.opsnb("host", "list").stdout


def test_ssh(afar: Elsewhere) -> None:
    """A session on a host, over TLS: keys there, the screen back, recorded as any other."""
    person = Person("ssh", "localhost", cwd=afar.home, through=afar.through, env=afar.env)
    try:
        person.shell()
        assert "7 keys" in person.run(b"echo $((3+4)) keys")
        person.type(b"exit\r")
        _, code = person.end()
        assert code == 0
    finally:
        person.close()
