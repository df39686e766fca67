"""Hosts read by script: in every shell, with hostile names, cut answers, hung file systems and 200,000 sockets."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kits import answers
from opsnb.base.errors import OpsnbError, UnknownOutcomeError, UnreachableError, UsageError
from opsnb.fleet import Fleet, Machine, Result, Status
from opsnb.fleet.local import LocalTransport
from opsnb.kits import linux
from opsnb.kits.linux import asking, remote, scripts

SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "ash")}
NUMBER = answers.NUMBER


class Shell(LocalTransport):
    """This machine, where /bin/sh is another shell and PATH begins with a folder."""

    def __init__(self, shell=("/bin/sh",), path=""):
        super().__init__("web1")
        self.shell, self.path = shell, path

    def run(self, command, on_output=None):
        """Run it with the other shell."""
        environment = {"PATH": f"{self.path}:/usr/sbin:/usr/bin:/sbin:/bin"} if self.path else {}
        return super().run(replace(command, argv=(*self.shell, *command.argv[1:]), environment=environment), on_output)


class Said:
    """A host that answers what it is told to."""

    def __init__(self, stdout, status=Status.OK, error="", host="web1", noise=None):
        self.stdout, self.status, self.error, self.host, self.noise = stdout, status, error, host, noise

    def run(self, command, on_output=None):  # noqa: ARG002  (the seam's signature)
        """Answer, with the number of this question in it."""
        number = command.argv[4].encode()
        said = self.stdout.replace(NUMBER.encode(), number)
        if self.noise is not None:  # a login shell printed something first, and the answer came through gzip
            body, _, end = said.rpartition(b"\n@")
            said = self.noise + b"\n@%s gzip\n" % number + gzip.compress(body) + b"\n@" + end
        return Result(
            host=self.host, status=self.status, exit=0 if self.status is Status.OK else None, seconds=0.1,
            stdout=said, stderr=b"", error=self.error,
        )  # fmt: skip

    def close(self):
        """Nothing is open."""


def read(transport, seconds=0.2):
    """Read a host through a transport."""
    return linux.read_host(seconds=seconds, source=linux.RemoteHost(Machine("web1", transport)))


@pytest.fixture(params=SHELLS)
def shell(request):
    """Each shell that hosts have."""
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not on this machine")
    return words


def test_every_shell_reads_everything_that_an_independent_reader_sees(shell):
    """dash, bash and busybox ash give the same host, and psutil agrees with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        r = read(Shell(shell))
    assert r.problems == {}
    assert r.cpu.logical == psutil.cpu_count()
    assert r.memory.total == psutil.virtual_memory().total / 2**20
    assert r.seconds >= 0.2
    assert r.disks.set_index("mount").loc["/"]["size_gib"] == pytest.approx(psutil.disk_usage("/").total / 2**30)
    assert r.reader in set(r.processes["pid"])
    assert os.getpid() in set(r.processes["pid"])
    ports = linux.listening_ports(r.sockets, r.users, r.owners).set_index("port")
    assert ports.loc[port]["process"] == f"{psutil.Process().name()}[{os.getpid()}]"


def test_one_round_trip_and_a_bounded_answer():
    """A triage is one command; on a usual host it is some ten kilobytes long."""
    commands = []

    class Counted(Shell):
        def run(self, command, on_output=None):
            commands.append(command)
            return super().run(command, on_output)

    assert read(Counted()).received < 300_000
    assert len(commands) == 1


@pytest.mark.parametrize(
    "name", ["a\n/proc/1/stat:", ") R 1 1\n@x file", "\n@file /etc/pas", "$(reboot)`id`;", "中文 %s\\n"]
)
def test_no_process_name_can_pass_for_another_text(name):
    """Whatever a process calls itself, its name arrives whole and every other process keeps its own numbers."""
    code = f"import sys; open('/proc/self/comm', 'wb').write({name.encode()[:15]!r}); print('named', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"named\n"
        r = read(Shell())
        child.stdin.close()
    rows = r.processes.set_index("pid")
    assert r.problems == {}
    assert rows.loc[child.pid]["name"].encode() == name.encode()[:15]
    assert rows.loc[1]["name"] == psutil.Process(1).name()


@pytest.mark.slow
def test_a_file_system_that_hangs_costs_two_seconds_and_hides_no_other(tmp_path):
    """One that never answers is ended and reported; the others have their numbers."""
    real = shutil.which("stat")
    fake = tmp_path / "stat"
    fake.write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = / ] && exec sleep 600\nexec {real} "$@"\n')
    fake.chmod(0o755)
    started = time.monotonic()
    r = read(Shell(path=str(tmp_path)))
    assert time.monotonic() - started < 20
    disks = r.disks.set_index("mount")
    assert not disks.loc["/"]["answered"]
    assert disks.drop("/")["answered"].all()
    assert [f.what for f in linux.findings(r) if "did not answer" in f.what] == ["file system / did not answer"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]


def test_a_file_system_that_refuses_is_named_and_is_no_finding(tmp_path):
    """A mount that this user may not ask is a note, neither a hang nor an empty disk."""
    real = shutil.which("stat")
    fake = tmp_path / "stat"
    fake.write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = / ] && exit 1\nexec {real} "$@"\n')
    fake.chmod(0o755)
    r = read(Shell(path=str(tmp_path)))
    assert "/" not in set(r.disks["mount"])
    assert r.notes == ("1 file systems may not be asked by this user: /",)


def test_what_a_login_shell_prints_is_passed_over():
    """A banner before the answer, even one that looks like gzip, changes nothing."""
    text = (answers.DATA / "answer_triage" / "centos-7-written.txt").read_bytes().split(b"=== expected")[0]
    body = text.split(b"=== answer\n")[1]
    for noise in (b"", b"Welcome!\n", b"\x1f\x8b\x08 not gzip", b"\xff\xfe\n@other end\n"):
        r = read(Said(body, noise=noise))
        assert r.load.one == 3.1
        assert r.cpu_usage["busy_percent"].iloc[0] == 37.5


def test_a_host_in_another_encoding_is_read():
    """GBK in a user's name (an old host with a Chinese locale) disturbs nothing."""
    text = (answers.DATA / "answer_triage" / "centos-7-written.txt").read_bytes().split(b"=== expected")[0]
    body = text.split(b"=== answer\n")[1].replace("ÔËÎ¬".encode(), "运维".encode("gbk"))
    assert "运维".encode("gbk") in body
    assert read(Said(body)).users[1000] == "ops"


CAPTURED = (
    (answers.DATA / "answer_triage" / "debian-12-root.txt")
    .read_text()
    .split("=== expected")[0]
    .split("=== answer\n")[1]
)


WHOLE = linux.parse_capture(linux.taken_apart(answers.answer(CAPTURED)))


@settings(deadline=None, max_examples=150)  # a busy machine is no failure
@given(st.floats(0, 1))
def test_an_answer_that_was_cut_never_passes_for_a_whole_one(share):
    """Wherever the line breaks, what is told is whole, the end is said to be missing, and no disk is called hung by it."""
    cut = CAPTURED[: int(len(CAPTURED.rpartition("\n@")[0]) * share)]
    try:
        r = read(Said(cut.encode(), Status.UNKNOWN, "the line was lost"))
    except OpsnbError as error:
        assert "the line was lost" in str(error)  # noqa: PT017
        return
    assert any("the line was lost" in note for note in r.notes)
    assert [f.what for f in linux.findings(r) if "did not answer" in f.what] == []
    assert r.parts["load"].error or r.load == WHOLE.load
    assert r.parts["memory"].error or r.memory == WHOLE.memory
    assert r.parts["cpu"].error or r.cpu == WHOLE.cpu
    assert r.parts["disks"].error or set(r.disks["used_percent"]) <= set(WHOLE.disks["used_percent"])


@pytest.mark.parametrize(("status", "kind"), [(Status.UNREACHABLE, UnreachableError), (Status.UNKNOWN, UnknownOutcomeError),
                                              (Status.OK, OpsnbError)])  # fmt: skip
def test_a_host_that_says_nothing_is_an_error_of_its_kind(status, kind):
    """Unreachable, unknown and nonsense are told apart."""
    with pytest.raises(kind):
        read(Said(b"", status, "why"))


def test_an_answer_cannot_fill_this_machines_memory(monkeypatch):
    """A stream that unpacks to more than the bound is cut at it."""
    monkeypatch.setattr(asking, "MAX_ANSWER", 1000)
    bomb = b"@n gzip\n" + gzip.compress(b"0" * 10_000_000)
    assert len(asking.unpacked(bomb, b"@n ")) < 1100


def test_many_hosts_are_one_value_with_those_that_failed():
    """Each host is read or named with what became of it, in the order in which they were chosen."""
    hosts = Fleet([
        Machine("good", Shell(), {"transport": "ssh"}), Machine("away", Said(b"", Status.UNREACHABLE, "no route", "away"), {"transport": "ssh"}),
        Machine("lost", Said(b"", Status.UNKNOWN, "the line was lost", "lost"), {"transport": "ssh"}),
        Machine("odd", Said(b"<html>"), {"transport": "ssh"}),
    ])  # fmt: skip
    seen = linux.triage(hosts, seconds=0.2)
    assert list(seen.readings) == ["good"]
    assert seen.unread["away"] == ("unreachable", "no route")
    assert seen.unread["lost"] == ("unknown", "the line was lost")
    assert seen.unread["odd"][0] == "failed"
    text = linux.all_findings_text(seen, linux.all_findings(seen))
    assert text.startswith("1. CRITICAL  away: unreachable: nothing is known about this host")
    kept = linux.evidence(seen, linux.all_findings(seen))
    assert set(kept["hosts"]) == {"good"}
    assert kept["unread"]["lost"] == "unknown: the line was lost"
    assert "cpus" not in kept  # figures at the top level are those of one host


def test_an_interval_out_of_range_is_refused_before_any_host_is_asked():
    """Nobody is asked for a sample of 0 seconds."""
    hosts = Fleet([Machine("web1", Said(b""), {"transport": "ssh"})])
    with pytest.raises(UsageError, match=r"0\.2 to 60"):
        linux.triage(hosts, seconds=0)


def test_this_machine_is_read_without_a_script_and_others_with_one():
    """The way to read follows from the sealed row."""
    assert isinstance(linux.source_of(Machine("localhost", Shell(), {"transport": "local"})), linux.ThisMachine)
    assert isinstance(linux.source_of(Machine("web1", Shell(), {"transport": "ssh"})), linux.RemoteHost)


@pytest.mark.parametrize("text", [scripts.TRIAGE, scripts.FACTS, scripts.DRIFT])
def test_scripts_are_whole_and_hold_no_placeholder(shell, text):
    """Each shell parses each script, and no value was left to fill in."""
    assert "__" not in text
    done = subprocess.run([*shell, "-n", "-c", text], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_mount_numbers_from_a_host_cannot_point_elsewhere():
    """A line with a number out of range, or none, is passed over."""
    mounts = "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /data ext4 rw 0 0\n"
    lines = "2 1 2 3 4 5 6\n0 9 9 9 9 9 9\n3 9 9 9 9 9 9\n-1 x\nnonsense\n1 refused\n"
    assert remote.counters(mounts, lines) == {"/data": "1 2 3 4 5 6", "/": "refused"}


LARGE = 200_000


@pytest.mark.slow
def test_two_hundred_thousand_sockets_are_counted_within_seconds():
    """A storm of connections is read, by state and by peer, in the forms of /proc and of ss."""
    rows = [
        f"{i}: 0A01A8C0:01BB {i % 65536:04X}{i // 65536:04X}:{i % 60000 + 1:04X} 01 0:0 0 0 33" for i in range(LARGE)
    ]
    started = time.monotonic()
    table = linux.parse_sockets({"tcp": "head\n" + "\n".join(rows)}, "little")
    assert len(linux.connection_states(table)) == 1
    assert linux.connection_states(table)["connections"].iloc[0] == LARGE
    assert len(linux.top_peers(table, 5)) == 5
    lines = [f"tcp ESTAB 0 0 192.168.1.10:443 10.0.{i // 250 % 250}.{i % 250}:{i % 60000 + 1}" for i in range(LARGE)]
    assert len(linux.parse_ss("Netid State\n" + "\n".join(lines))) == LARGE
    assert time.monotonic() - started < 60  # about 5 s on a quiet machine


def test_more_sockets_than_the_bound_are_cut_and_named():
    """The script keeps its bound and tells how many it left out."""
    text = scripts.TRIAGE.replace(str(scripts.MAX_SOCKETS), "3")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        answer = asking.ask(Machine("web1", Shell()), text, "0.2", "1", seconds=60)
    seen = linux.taken_apart(answer)
    assert any("sockets of /proc/net/tcp" in note for note in seen.notes)
    assert len(linux.parse_sockets({"tcp": seen.second.texts["/proc/net/tcp"]})) == 3


HOSTILE = ("; touch {0}", "$(touch {0})", "`touch {0}`", "' ; touch {0} #", '"; touch {0} #', "| touch {0}", "& touch {0} &", "> {0}",
           "-x", "--", "%s%n", "\\0041", "*", "?", "[a-z]*", "~", "${{IFS}}touch", "中文 路径", " ", "a  b", "!x", "\t", "é", "{0}.$$")  # fmt: skip


def test_no_path_is_executed_or_expanded_on_a_host(tmp_path, shell):
    """Values that a shell would act on arrive as names of files: found where there is such a file, else not there."""
    canary = tmp_path / "canary"
    ends = [text.format(canary) for text in HOSTILE] + [
        f"{a}{b}".format(canary) for a in HOSTILE[:8] for b in HOSTILE[:8]
    ]
    there = tmp_path / "a  b; $(x)'\"*"
    there.write_text("known")
    paths = [f"/nowhere/{end}" for end in ends] + [str(there)]
    found, unread = linux.read_settings(Fleet([Machine("web1", Shell(shell), {"transport": "ssh"})]), paths)
    assert unread == {}
    files = found["web1"].areas["files"]
    assert not canary.exists()
    assert list(files) == list(dict.fromkeys(paths))
    assert {value for path, value in files.items() if path != str(there)} == {"not there"}
    assert files[str(there)].startswith("sha256 ")
