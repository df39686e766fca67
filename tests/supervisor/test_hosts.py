"""The kit against real supervisord on rehearsal hosts: what it reads, and what it changes and proves."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fleets import Hosts
from fleetside import opened
from hostile.values import values
from nearby import carry_out
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import supervisor
from opsnb.kits.supervisor import Program, adding, render, rolling
from places import wait_for

pytestmark = pytest.mark.slow
CONF = "/etc/supervisor/conf.d"
HEALTH = "http://{address}:8000/health"
SLEEP = ["/bin/sleep", "1000"]


# Nothing to do where all is as it was; else what a test left goes, and what it stopped is started.
TIDY = """cd /etc/supervisor/conf.d
left=$(ls | grep -v -e '^shop.conf$' -e '^worker.conf$')
[ -z "$left" ] && [ "$(supervisorctl status | grep -c RUNNING)" = 2 ] && exit 0
rm -f $left
supervisorctl update >/dev/null
supervisorctl start all >/dev/null
n=0
until [ "$(supervisorctl status | grep -c RUNNING)" = 2 ]; do
  n=$((n + 1))
  [ "$n" -lt 200 ] || exit 1
  sleep 0.1
done
"""


@pytest.fixture(scope="module")
def hosts(webtier: Hosts) -> Hosts:
    """The hosts as a run sees them."""
    plan = webtier.fleet.plan()
    assert plan is not None
    opened(webtier.root, *[host.name for host in plan.hosts])
    return webtier


@pytest.fixture(autouse=True)
def tidy(hosts: Hosts) -> Iterator[None]:
    """Every application host has its two programs RUNNING, and no other, after a test."""
    yield
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: hosts.sudo(name, TIDY), ("app1", "app2", "app3")))


def states(place: Hosts, host: str) -> dict[str, str]:
    """Return the state of each process by supervisorctl itself."""
    rows = [line.split() for line in place.sudo(host, "supervisorctl status || true").splitlines()]
    return {row[0]: row[1] for row in rows}


def found(host: str, process: str) -> Any:
    """Return a process with its life, as the survey has it."""
    return next(
        (p, life) for h, p, life in supervisor.survey([host], parts="sl").processes() if (h, p.name) == (host, process)
    )


def program(**values: Any) -> Program:
    """Return a program for tests."""
    return Program(**{"name": "extra", "command": SLEEP, "startsecs": 1, **values})


# Reading.


def test_every_host_is_told_apart(hosts: Hosts) -> None:
    """A Supervisor that answers, one that does not run, and a host without power: each is named for what it is."""
    hosts.process("web3").kill()
    try:
        seen = supervisor.survey(["app1", "db1", "web3"])
    finally:
        hosts.restore()
    assert list(seen.supervised) == ["app1"]
    assert seen.silent == {"db1": "supervisord does not run: its socket unix:///var/run/supervisor.sock is not there"}
    assert seen.unread["web3"][0] == "unreachable"
    assert supervisor.hosts_table(seen)["supervisord"].tolist()[0].startswith("4.")
    assert supervisor.logless(seen) == []


def test_a_host_without_supervisor_is_named(hosts: Hosts) -> None:
    """No supervisorctl and no configuration: the host has no Supervisor, and that is no failure."""
    hosts.sudo("db1", "mv /usr/bin/supervisorctl /usr/bin/supervisorctl.away")
    try:
        seen = supervisor.survey(["db1"])
    finally:
        hosts.sudo("db1", "mv /usr/bin/supervisorctl.away /usr/bin/supervisorctl")
    assert (seen.without, seen.silent, seen.unread) == (["db1"], {}, {})
    assert supervisor.hosts_table(seen)["supervisord"].tolist() == ["no Supervisor"]


def test_a_crash_is_survived_and_counted(hosts: Hosts) -> None:
    """A process that is killed comes back with another pid, and the survey counts one restart more."""
    before, life = found("app1", "shop")
    hosts.sudo("app1", f"kill -9 {before.pid}")

    def again() -> bool:
        now = found("app1", "shop")[0]
        return (now.state, now.pid != before.pid) == ("RUNNING", True)

    wait_for(again, 30)
    _, then = found("app1", "shop")
    assert (then.restarts, then.unexpected) == (life.restarts + 1, life.unexpected + 1)
    assert then.last_exit == "terminated by SIGKILL"


def test_a_restart_by_somebody_is_no_crash(hosts: Hosts) -> None:
    """A program that a person restarts has one start more and no restart of Supervisor's."""
    _, life = found("app2", "worker")
    hosts.sudo("app2", "supervisorctl restart worker")
    _, then = found("app2", "worker")
    assert (then.starts, then.restarts) == (life.starts + 1, life.restarts)


def test_reading_changes_nothing(hosts: Hosts) -> None:
    """`reread` starts, stops and restarts nothing, with a new, a changed and a removed program on disk."""
    hosts.sudo(
        "app1",
        f"printf '[program:new]\\ncommand=/bin/sleep 9\\n' >{CONF}/new.conf; sed -i s/startsecs=1/startsecs=2/ {CONF}/worker.conf",
    )
    hosts.sudo("app1", f"mv {CONF}/shop.conf /srv/")
    before = hosts.sudo(
        "app1",
        "supervisorctl pid all; cat /var/log/supervisor/supervisord.log | wc -l; ls -la --time-style=full-iso /etc/supervisor/*",
    )
    seen = supervisor.survey(["app1"])
    assert seen.readings["app1"].differs == {"new": "available", "worker": "changed", "shop": "disappeared"}
    assert supervisor.pending(seen)["group"].tolist() == ["worker", "new", "shop"] or len(supervisor.pending(seen)) == 3
    assert (
        hosts.sudo(
            "app1",
            "supervisorctl pid all; cat /var/log/supervisor/supervisord.log | wc -l; ls -la --time-style=full-iso /etc/supervisor/*",
        )
        == before
    )
    hosts.sudo("app1", f"mv /srv/shop.conf {CONF}/; sed -i s/startsecs=2/startsecs=1/ {CONF}/worker.conf")


def test_the_broken_come_first_with_their_last_words(hosts: Hosts) -> None:
    """FATAL before all others, with the end of its stderr, of its stdout where that is empty, and file and line."""
    # On a busy machine the shell takes its time to end, and has not run all the same.
    text = '[program:bad]\ncommand=/bin/sh -c "echo no such database >&2; exit 3"\nstartretries=0\nstartsecs=60\n'
    text += '[program:mute]\ncommand=/bin/sh -c "echo only this; exit 3"\nstartretries=0\nstartsecs=60\n'
    hosts.ssh("app3", f"sudo tee {CONF}/bad.conf >/dev/null && sudo supervisorctl update", stdin=text)
    wait_for(lambda: list(states(hosts, "app3").values()).count("FATAL") == 2, 20)
    seen = supervisor.survey(["app2", "app3"])
    table = supervisor.processes_table(seen)
    assert table["process"].tolist()[:2] == ["bad", "mute"]
    assert table["says"].tolist()[:2] == [f"{CONF}/bad.conf:1", f"{CONF}/bad.conf:5"]
    words = supervisor.last_words(seen)
    assert "no such database" in words
    assert "only this" in words
    assert set(supervisor.odd_programs(seen)["program"]) == set()  # a program that one host has alone is not expected


def test_the_odd_host_is_named(hosts: Hosts) -> None:
    """A host whose program has another option, or lacks it, is named; hosts' own addresses are no difference."""
    assert supervisor.odd_programs(supervisor.survey(["app1", "app2", "app3"])).empty
    hosts.sudo("app2", f"sed -i s/startsecs=1/startsecs=4/ {CONF}/shop.conf; mv {CONF}/worker.conf /srv/")
    odd = supervisor.odd_programs(supervisor.survey(["app1", "app2", "app3"]))
    hosts.sudo("app2", f"sed -i s/startsecs=4/startsecs=1/ {CONF}/shop.conf; mv /srv/worker.conf {CONF}/")
    assert odd.to_dict("records") == [
        {"host": "app2", "program": "shop", "option": "startsecs", "here": "4", "others": "1"},
        {"host": "app2", "program": "worker", "option": "(program)", "here": "(not there)", "others": "on 2 of 3 hosts"},
    ]  # fmt: skip


def test_a_socket_with_a_password_and_a_configuration_elsewhere(hosts: Hosts) -> None:
    """Another supervisord, with a password and its file in another place, is found and asked; the password is nowhere."""
    conf = (
        "[unix_http_server]\nfile=/run/other.sock\nusername=u\npassword=verysecret\n[supervisord]\nlogfile=/var/log/other.log\n"
        "pidfile=/run/other.pid\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[supervisorctl]\nserverurl=unix:///run/other.sock\nusername=u\npassword=verysecret\n[program:alone]\ncommand=/bin/sleep 1000\n"
    )
    hosts.ssh(
        "db1",
        "sudo mkdir -p /opt/sup && sudo tee /opt/sup/s.conf >/dev/null && sudo chmod 600 /opt/sup/s.conf",
        stdin=conf,
    )
    hosts.sudo("db1", "cd /opt/sup && supervisord -c s.conf")
    try:
        wait_for(lambda: "RUNNING" in hosts.sudo("db1", "supervisorctl -c /opt/sup/s.conf status || true"), 20)
        seen = supervisor.survey(["db1"])
        assert (seen.readings["db1"].conf, supervisor.summary(seen)) == (
            "/opt/sup/s.conf", "1 supervisord answered; processes: 1 RUNNING",
        )  # fmt: skip
        shown = str(supervisor.evidence(seen)) + supervisor.processes_table(seen).to_string()
        assert "verysecret" not in shown
    finally:
        hosts.sudo("db1", "supervisorctl -c /opt/sup/s.conf shutdown; rm -r /opt/sup")


# Start, stop, restart.


def test_a_restart_is_bound_to_the_process_that_was_planned() -> None:
    """The same plan twice has the same digest; once the process is another one, the plan is another, and drift is seen."""
    plan, same = (supervisor.plan_processes("app1", "restart", ["shop"], url=HEALTH) for _ in range(2))
    assert plan.digest == same.digest
    before = found("app1", "shop")[0].pid
    carry_out(plan)
    after = found("app1", "shop")[0].pid
    assert after != before
    assert supervisor.astray(plan) == []
    (change,) = plan.changes
    assert rolling.observe("app1", change.target) == change.after  # a retry takes it as made
    assert supervisor.plan_processes("app1", "restart", ["shop"], url=HEALTH).digest != plan.digest
    carry_out(plan.inverse())  # nothing to do: it runs as before
    assert found("app1", "shop")[0].pid == after
    assert supervisor.astray(plan.inverse()) == []


def test_stop_and_start_and_back(hosts: Hosts) -> None:
    """What is so already is no change; a stop is undone by a start; all processes of a host go together."""
    plan = supervisor.plan_processes("app3", "stop", ["all"])
    assert [c.what for c in plan.changes] == ["process shop", "process worker"]
    carry_out(plan)
    assert states(hosts, "app3") == {"shop": "STOPPED", "worker": "STOPPED"}
    assert supervisor.plan_processes("app3", "stop", ["all"]).changes == ()
    carry_out(plan.inverse())
    assert states(hosts, "app3") == {"shop": "RUNNING", "worker": "RUNNING"}
    assert supervisor.plan_processes("app3", "start", ["shop", "worker"]).changes == ()


def test_a_restart_of_what_is_down_is_undone_by_a_stop(hosts: Hosts) -> None:
    """A restart starts what was stopped, and its undo stops it again: the state before."""
    hosts.sudo("app1", "supervisorctl stop worker")
    plan = supervisor.plan_processes("app1", "restart", ["worker"])
    carry_out(plan)
    assert states(hosts, "app1")["worker"] == "RUNNING"
    carry_out(plan.inverse())
    assert states(hosts, "app1")["worker"] == "STOPPED"


def test_a_restart_that_was_cut_off_goes_on(hosts: Hosts) -> None:
    """Stopped and not yet started is partway: a retry starts it, and does not stop what runs."""
    plan = supervisor.plan_processes("app1", "restart", ["worker"])
    (change,) = plan.changes
    hosts.sudo("app1", "supervisorctl stop worker")
    state = rolling.observe("app1", change.target)
    assert rolling.partway(change.target, change.before, change.after, state)
    rolling.apply("app1", change.target, state, change.after)
    assert rolling.observe("app1", change.target) == change.after
    assert not rolling.partway(change.target, change.before, change.after, change.before)


def test_a_crash_on_purpose_proves_the_restart(hosts: Hosts) -> None:
    """action=crash kills the process and waits for the next; one that is not started again is said to be so."""
    _, life = found("app2", "shop")
    plan = supervisor.plan_processes("app2", "crash", ["shop"], url=HEALTH)
    carry_out(plan)
    assert found("app2", "shop")[1].restarts == life.restarts + 1
    carry_out(adding_plan("app2", program(autorestart="false")))
    with pytest.raises(OpsnbError, match="not started again: is autorestart off"):
        carry_out(supervisor.plan_processes("app2", "crash", ["extra"]))
    hosts.sudo("app2", "supervisorctl stop worker")
    with pytest.raises(UsageError, match="cannot crash"):
        supervisor.plan_processes("app2", "crash", ["worker"])


def test_a_page_that_does_not_answer_fails_the_change(hosts: Hosts) -> None:
    """RUNNING is not enough where a page is named: what it answered is said; stopping asks nothing."""
    hosts.sudo("app1", "touch /var/lib/shop/unwell")
    try:
        plan = supervisor.plan_processes("app1", "restart", ["shop"], url=HEALTH, seconds=3)
        with pytest.raises(OpsnbError, match="answered with 503, wanted 200"):
            carry_out(plan)
        assert supervisor.statuses(["app1"], HEALTH) == {"app1": "503"}
        carry_out(supervisor.plan_processes("app1", "stop", ["shop"], url=HEALTH))
    finally:
        hosts.sudo("app1", "rm /var/lib/shop/unwell")
    assert supervisor.statuses(["app1"], HEALTH) == {"app1": "000"}


@pytest.mark.parametrize(
    ("host", "programs", "said"),
    [
        ("app1", ["shopp"], "did you mean 'shop'"), ("db1", ["shop"], "does not run"), ("app1", [], "no program is named"),
        ("app1", ["a b"], "is called 'a b'"), ("app1", ["-c"], "is called"), ("app1", ["x;reboot"], "is called"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_said(host: str, programs: list[str], said: str) -> None:
    """A wrong name is answered with the nearest right one; a host without a supervisord that answers is named."""
    with pytest.raises(UsageError) as caught:
        supervisor.plan_processes(host, "restart", programs)
    assert said in str(caught.value)


# Adding and changing.


def adding_plan(host: str, wanted: Program, **options: Any) -> Plan:
    """Plan a program with a short wait."""
    return supervisor.plan_program(host, wanted, seconds=6, **options)


def test_a_program_is_added_changed_and_removed_again(hosts: Hosts) -> None:
    """Added, proven, a second plan empty; changed, undone byte for byte and running as before; removed by the undo."""
    first = adding_plan("app1", program(numprocs=2, environment={"A": "50%, 'x' y"}))
    assert [c.before for c in first.changes] == [None]
    carry_out(first)
    assert states(hosts, "app1") | {} == {
        "extra:extra_00": "RUNNING", "extra:extra_01": "RUNNING", "shop": "RUNNING", "worker": "RUNNING",
    }  # fmt: skip
    assert adding_plan("app1", program(numprocs=2, environment={"A": "50%, 'x' y"})).changes == ()
    assert supervisor.programs_astray(first) == []
    text = hosts.sudo("app1", f"cat {CONF}/extra.conf; stat -c '%a %U:%G' {CONF}/extra.conf")
    second = adding_plan("app1", program(command=["/bin/sleep", "2000"], user="www-data"))
    carry_out(second)
    assert hosts.sudo("app1", "ps -o user=,args= -p $(supervisorctl pid extra)") == "www-data /bin/sleep 2000\n"
    carry_out(second.inverse())
    assert (
        hosts.sudo("app1", f"cat {CONF}/extra.conf; stat -c '%a %U:%G' {CONF}/extra.conf").splitlines()[:-1]
        == text.splitlines()[:-1]
    )
    assert (
        hosts.sudo("app1", "tr '\\0' '\\n' </proc/$(supervisorctl pid extra:extra_01)/environ | grep ^A=")
        == "A=50%, 'x' y\n"
    )
    carry_out(first.inverse())
    assert states(hosts, "app1") == {"shop": "RUNNING", "worker": "RUNNING"}
    assert hosts.sudo("app1", f"ls {CONF}") == "shop.conf\nworker.conf\n"


def test_hostile_words_reach_the_process_as_they_are(hosts: Hosts) -> None:
    """Words that would be shell, ConfigParser or % syntax are the arguments of the real process, byte for byte."""
    taken = []
    for value in values():
        try:
            render(program(command=["/bin/x", value]))
        except UsageError:
            continue
        if value and len(value.encode()) < 300:
            taken.append(value)
    words = taken[:: len(taken) // 120][:150]
    plan = adding_plan("app2", program(command=["/bin/sh", "-c", "sleep 1000; :", *words]))
    carry_out(plan)
    seen = hosts.sudo("app2", "base64 -w0 /proc/$(supervisorctl pid extra)/cmdline")
    assert base64.b64decode(seen).decode().split("\0")[3:-1] == words
    assert len(words) > 100
    carry_out(plan.inverse())


def test_a_program_that_is_there_is_changed_in_its_own_file(hosts: Hosts) -> None:
    """The shop, written by somebody else: replaced in its file, proven by its page, and back byte for byte."""
    before = hosts.sudo("app2", f"cat {CONF}/shop.conf")
    wanted = program(
        name="shop", command=["/usr/bin/uwsgi", "--ini", "/opt/shop/uwsgi.ini"], directory="/opt/shop", user="www-data",
        environment={"SHOP_LOG": "/var/log/shop/access.log"}, stopwaitsecs=5,
    )  # fmt: skip
    plan = adding_plan("app2", wanted, url=HEALTH)
    assert plan.changes[0].target["path"] == f"{CONF}/shop.conf"
    carry_out(plan)
    assert "stopwaitsecs=5" in hosts.sudo("app2", f"cat {CONF}/shop.conf")
    carry_out(plan.inverse())
    assert hosts.sudo("app2", f"cat {CONF}/shop.conf") == before
    assert supervisor.survey(["app2"]).readings["app2"].differs == {}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/usr/bin/python3", "-c", "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(777)"], "daemonizes itself"),
        (["/bin/sh", "-c", "echo no such database >&2; exit 3"], "no such database"),
        (["/nonexistent/program"], "can't find command"),
    ],
)  # fmt: skip
def test_what_does_not_stay_is_put_back(hosts: Hosts, command: list[str], said: str) -> None:
    """It daemonizes itself, or ends, or is not there: said, put back, nothing of it left, the others untouched."""
    before = hosts.sudo("app3", f"supervisorctl pid all; ls -la --time-style=full-iso {CONF}")
    with pytest.raises(OpsnbError) as caught:
        carry_out(adding_plan("app3", program(command=command)))
    assert said in str(caught.value)
    assert "put back" in str(caught.value)
    assert hosts.ssh("app3", "pgrep -f 'time.sleep[(]777'").stdout == ""
    after = hosts.sudo("app3", f"supervisorctl pid all; ls -la --time-style=full-iso {CONF}")
    assert [line for line in after.splitlines() if not line.endswith(" .")] == [
        line for line in before.splitlines() if not line.endswith(" .")
    ]
    assert supervisor.survey(["app3"]).readings["app3"].differs == {}


def test_a_change_that_fails_brings_the_old_program_back(hosts: Hosts) -> None:
    """A running program gets a command that ends at once: the old file is back, and the old command runs again."""
    carry_out(adding_plan("app1", program()))
    text = hosts.sudo("app1", f"cat {CONF}/extra.conf; stat -c '%a %U:%G %Y' {CONF}/extra.conf")
    with pytest.raises(OpsnbError, match="put back"):
        carry_out(adding_plan("app1", program(command=["/bin/false"])))
    assert hosts.sudo("app1", f"cat {CONF}/extra.conf; stat -c '%a %U:%G %Y' {CONF}/extra.conf") == text
    wait_for(lambda: states(hosts, "app1")["extra"] == "RUNNING", 20)
    assert hosts.sudo("app1", "ps -o args= -p $(supervisorctl pid extra)") == "/bin/sleep 1000\n"


def test_a_file_that_is_new_and_not_taken_is_partway(hosts: Hosts) -> None:
    """A host that died between file and update: the state says that it is not loaded, and a retry goes on from there."""
    (change,) = adding_plan("app1", program()).changes
    hosts.ssh("app1", f"sudo tee {CONF}/extra.conf >/dev/null", stdin=str(change.after["content"]))
    state = adding.observe("app1", change.target)
    assert state["loaded"] is False
    assert adding.partway(change.target, change.before, change.after, state)
    adding.apply("app1", change.target, state, change.after)
    assert adding.observe("app1", change.target) == change.after
    assert states(hosts, "app1")["extra"] == "RUNNING"


def test_what_cannot_be_changed_is_refused(hosts: Hosts) -> None:
    """A file with several programs, a group, another's change on disk, a broken file: refused with where and what to do."""
    text = (
        "[program:one]\ncommand=/bin/sleep 1000\n[program:two]\ncommand=/bin/sleep 1000\n[group:pair]\nprograms=one\n"
    )
    hosts.ssh("app1", f"sudo tee {CONF}/many.conf >/dev/null", stdin=text)
    with pytest.raises(UsageError, match=r"one stands at .*many.conf:1 together with \[program:two\]"):
        adding_plan("app1", program(name="one"))
    with pytest.raises(UsageError, match="there is a group 'pair'"):
        adding_plan("app1", program(name="pair"))
    hosts.sudo("app1", f"rm {CONF}/many.conf; sed -i s/startsecs=1/startsecs=2/ {CONF}/worker.conf")
    with pytest.raises(UsageError, match="is not what runs"):
        adding_plan("app1", program(name="worker"))
    hosts.sudo("app1", f"sed -i s/startsecs=2/startsecs=1/ {CONF}/worker.conf; printf '[program:x]\\n' >{CONF}/x.conf")
    with pytest.raises(UsageError, match="cannot read what is on disk"):
        adding_plan("app1", program())
