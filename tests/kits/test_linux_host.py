"""Reading this machine, findings with their thresholds, and plots of hosts of every shape."""

from __future__ import annotations

import os
import socket
import threading
import time

import pandas as pd
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import linux
from opsnb.kits.linux import source as sources
from opsnb.runbook.show import _png

FIRST = {
    "/proc/stat": "cpu 100 0 0 1000\ncpu0 100 0 0 1000\n",
    "/proc/net/dev": "Inter-| Receive\n face |\n  eth0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
    "/proc/9/stat": "9 (worker) R 1 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0\n",
}
SECOND = {
    "/proc/stat": "cpu 196 0 0 1004\ncpu0 196 0 0 1004\n",
    "/proc/net/dev": "Inter-| Receive\n face |\n  eth0: 6144000 4500 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
    "/proc/9/stat": "9 (worker) R 1 9 9 0 -1 0 0 0 0 0 95 0 0 0 20 0 1 0 5 0 0 0\n",
    "/proc/9/status": "Uid:\t0\t0\t0\t0\nVmRSS:\t600 kB\n",
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Test\n",
    "/proc/loadavg": "2.50 1.00 0.50 3/90 99\n",
    "/proc/meminfo": "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 40 kB\nSwapTotal: 100 kB\nSwapFree: 10 kB\n",
    "/proc/mounts": "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /data;\\040reboot ext4 rw 0 0\nnas:/x /nas nfs rw 0 0\n",
    "/proc/uptime": "120.00 100.00\n",
    "/proc/pressure/memory": "some avg10=0.00 avg60=45.00 avg300=0.00 total=1\n",
    "/proc/net/tcp": "head\n",
    "/etc/passwd": "root:x:0:0::/:/bin/sh\n",
}
COUNTERS = {"/": "1 1000 300 300 100 50", "/data; reboot": "1 1000 20 20 100 50"}


def troubled(**changes):
    """Return the reading of a host in trouble, with some files replaced or (None) missing."""
    texts = {k: v for k, v in {**SECOND, **changes}.items() if v is not None}
    first, second = linux.Sample(at=10.0, texts=FIRST), linux.Sample(at=11.0, texts=texts)
    return linux.parse_host(first, second, COUNTERS)


@pytest.fixture(scope="module")
def here():
    """Return this machine, read once with a socket of our own that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = around()
        reading = linux.read_host(seconds=0.2)
        return reading, server.getsockname()[1], before, around()


def around():
    """Return what an independent reader sees of what other tests change: the memory that is left, the interfaces."""
    return psutil.virtual_memory().available / 2**20, set(psutil.net_io_counters(pernic=True))


def test_every_section_of_this_machine_is_read(here):
    """Nothing is missing on a machine with a /proc."""
    assert here[0].problems == {}
    assert here[0].sections_read == list(linux.SECTIONS)
    assert 0.2 <= here[0].seconds < 2


def test_cpus_memory_and_uptime_agree_with_psutil(here):
    """Counts and totals are those of an independent reader."""
    reading = here[0]
    assert reading.cpu.logical == psutil.cpu_count() == len(reading.cpu_usage) - 1
    assert reading.memory.total == psutil.virtual_memory().total / 2**20
    (before, _), (after, _) = here[2:]
    assert 0.8 * min(before, after) < reading.memory.available < 1.2 * max(before, after)
    assert reading.memory.swap_total == pytest.approx(psutil.swap_memory().total / 2**20, abs=1)
    assert reading.uptime == pytest.approx(time.time() - psutil.boot_time(), abs=60)


def test_disks_agree_with_psutil(here):
    """Size and use of the root file system are df's."""
    row = here[0].disks.set_index("mount").loc["/"]
    usage = psutil.disk_usage("/")
    assert row["size_gib"] == pytest.approx(usage.total / 2**30)
    assert row["used_percent"] == pytest.approx(usage.percent, abs=1)


def test_network_interfaces_agree_with_psutil(here):
    """The same interfaces, none invented."""
    (_, before), (_, after) = here[2:]
    assert before & after <= set(here[0].network["interface"]) <= before | after


def test_this_process_and_its_listening_socket_are_seen(here):
    """Our own process has our name and user; our own port stands among those that this machine alone reaches."""
    reading, port = here[:2]
    me = reading.processes.set_index("pid").loc[os.getpid()]
    assert me["user"] == psutil.Process().username()
    assert me["threads"] >= 1
    assert me["memory_mib"] > 10
    ports = linux.listening_ports(reading.sockets, reading.users).set_index("port")
    assert ports.loc[port]["reach"] == "this machine only"


def test_a_busy_process_is_measured(tmp_path):
    """A process that burns one CPU shows about 100 % of one CPU, not 0 and not of all CPUs."""
    child = psutil.Popen(["sh", "-c", "while :; do :; done"], cwd=tmp_path)
    try:
        begun, before = time.monotonic(), sum(child.cpu_times()[:2])
        mine = linux.read_host(seconds=0.5).processes.set_index("pid").loc[child.pid]
        got = 100 * (sum(child.cpu_times()[:2]) - before) / (time.monotonic() - begun)
    finally:
        child.kill()
        child.wait()
    assert 0 < 0.5 * got < mine["cpu_percent"] <= 115  # a loaded test machine leaves it little


@pytest.mark.parametrize("seconds", [0.0, 0.19, 60.1, float("nan")])
def test_an_interval_out_of_range_is_refused(seconds):
    """Too short an interval measures ticks, too long a one makes people wait: both are refused at once."""
    with pytest.raises(UsageError, match=r"0\.2 to 60"):
        linux.read_host(seconds=seconds)


def test_a_section_that_fails_hides_no_other():
    """One damaged file is one problem and one finding; the others are read; asking for it says why."""
    reading = troubled(**{"/proc/meminfo": "damaged\n", "/proc/loadavg": None})
    assert set(reading.problems) == {"load", "memory", "processes"}
    assert "cpu usage" in reading.sections_read
    assert {f.what for f in linux.findings(reading)} >= {"section 'memory' could not be read"}
    with pytest.raises(OpsnbError, match=r"'load' of this host could not be read: .*/proc/loadavg"):
        _ = reading.load


def test_a_host_in_trouble_yields_ranked_findings_with_their_thresholds():
    """Each rule that is crossed shows the measured number and its limit; the worst come first."""
    found = linux.findings(troubled())
    by_what = {f.what: (f.severity.value, f.value, f.threshold) for f in found}
    assert by_what == {
        "load over 1 minute for each CPU": ("critical", 2.5, 2.0),
        "memory available": ("critical", 4.0, 5),
        "space used on '/data; reboot'": ("critical", 98.0, 95),
        "file system /nas did not answer": ("critical", 2.0, 2),
        "CPU busy, all CPUs": ("warning", 96.0, 90),
        "swap used": ("warning", 90.0, 50),
        "received packets on eth0": ("warning", 4500.0, 4000),
        "received data on eth0": ("warning", 6000.0, 5000),
        "memory of worker (pid 9)": ("warning", 60.0, 50),
        "pressure on memory, last minute": ("warning", 45.0, 20),
        "CPU of worker (pid 9)": ("notice", 95.0, 90),
        "time since the machine started": ("notice", 2.0, 10),
    }
    order = [list(linux.Severity).index(f.severity) for f in found]
    assert order == sorted(order)
    assert [f.what for f in found][:2] == ["load over 1 minute for each CPU", "memory available"]
    assert linux.count_by_severity(found) == {"critical": 4, "warning": 6, "notice": 2}


def test_findings_read_well_as_text_and_as_a_table():
    """The text numbers them and names threshold, reason and next step; the table has a column for each."""
    found = linux.findings(troubled())
    text = linux.findings_text(found)
    assert text.startswith("1. CRITICAL  ")
    assert "received packets on eth0\n   4,500 packets/s (threshold 4,000)\n   why:  " in text
    assert linux.findings_table(found).shape == (12, 7)
    assert linux.findings_text([]) == "No threshold was crossed."


def test_a_healthy_host_has_no_finding():
    """Values at a threshold, not beyond it, are no finding."""
    calm = linux.Thresholds(
        cpu_busy_percent=96, load_per_cpu=2.5, load_per_cpu_critical=3, memory_available_percent=4,
        memory_available_percent_critical=1, swap_used_percent=90, receive_packets_s=4500, receive_kb_s=6000,
        process_cpu_percent=95, process_memory_percent=60, pressure_percent=45, restarted_minutes=2,
    )  # fmt: skip
    found = linux.findings(troubled(**{"/proc/mounts": "/dev/sda1 / ext4 rw 0 0\n"}), calm)
    assert found == []


def test_names_from_a_machine_cannot_reach_the_readers_shell_or_terminal():
    """A mount point with a command in it is quoted in what to type; a name with an escape is shown as one."""
    hostile = {"/proc/9/stat": SECOND["/proc/9/stat"].replace("worker", "\x1b[31mw\nx")}
    text = linux.findings_text(linux.findings(troubled(**hostile)))
    assert "du -xh '/data; reboot'" in text
    assert "\\x1b[31mw\\nx" in text
    assert "\x1b" not in text


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(0, 100), st.floats(0, 100))
def test_a_finding_never_ranks_below_its_threshold(value, threshold):
    """The excess is at least 1 whichever side is the bad one, and never divides by zero."""
    finding = linux.Finding(severity=linux.Severity.NOTICE, what="x", value=value, threshold=threshold, unit="%",
                            why="", look_next="")  # fmt: skip
    assert finding.excess >= 1


def test_a_file_system_that_does_not_answer_is_not_waited_for(monkeypatch):
    """A mount that hangs costs the time limit once, however many hang, and the others still answer."""
    release = threading.Event()
    real = os.statvfs

    def hang(path):
        if path.startswith("/hung"):
            release.wait(30)
        return real("/")

    monkeypatch.setattr(sources, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(os, "statvfs", hang)
    try:
        answers = linux.ThisMachine().filesystems(["/hung/1", "/", "/hung/2"])
    finally:
        release.set()
    assert set(answers) == {"/"}


def test_what_a_run_cannot_see_is_said_with_the_command_that_shows_it():
    """The owner of a listening socket is named first, with ss over SSH."""
    table = linux.blind_spots("web-1")
    assert table.iloc[0]["by_ssh"] == "ssh web-1 'sudo ss -ltnup'"
    assert table["why"].str.len().min() > 10


def usage(cpus):
    """Return a CPU table of a host with that many CPUs."""
    names = ["all", *map(str, range(cpus))]
    rows = [{"cpu": n, **{f"{k}_percent": 10.0 for k in ("busy", "user", "system", "iowait", "steal")}} for n in names]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("cpus", [1, 31, 32, 256])
def test_a_cpu_plot_stays_readable_with_any_number_of_cpus(cpus):
    """At most 32 bars are drawn, the sum of all first; the rest is counted in the title."""
    axes = linux.cpu_chart(usage(cpus)).axes[0]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels[0] == "all CPUs"
    assert len(labels) == min(cpus + 1, 32)
    assert ("more in the table" in axes.get_title(loc="left")) == (cpus > 31)


@pytest.mark.parametrize("name", ["/data$1$\\frac{", "/媒体/视频", "/a\x1b[31m\n", "/" + "x" * 300, "/_^{}", "/a$^$b"])
def test_no_mount_point_can_break_a_plot(name):
    """Formulas, Chinese, control characters and endless names are drawn as plain short text, without a warning."""
    row = {"mount": name, "used_percent": 97.0, "answered": True}
    assert _png(linux.disk_chart(pd.DataFrame([row])))


def test_plots_take_empty_and_unknown_values():
    """No disk, no interface, a wrapped counter and swap all give a figure."""
    disks = pd.DataFrame({"mount": [], "used_percent": [], "answered": pd.Series([], dtype=bool)})
    rates = pd.DataFrame({"interface": ["eth0", "eth1"], "receive_packets_s": [float("nan"), 90_000.0]})
    figures = [linux.disk_chart(disks), linux.network_chart(rates), linux.memory_chart(troubled().memory)]
    assert all(_png(f) for f in figures)
