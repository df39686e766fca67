"""Parsers against what hosts print: one captured text, one expected value, one file a case."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kits import answers
from opsnb.base.errors import UsageError
from opsnb.kits import linux

DATA = Path(__file__).parents[1] / "data" / "linux"
CASES = sorted(DATA.glob("*/*.txt"))


def filesystem(text):
    """Counters with both percentages."""
    found = linux.parse_filesystem(text)
    return {**asdict(found), "used_percent": found.used_percent, "inodes_percent": found.inodes_percent}


def one(parse):
    """Parse a case that is one text."""
    return lambda parts: parse(parts["input"])


def two(read, compare, *more):
    """Parse a case that is two samples."""
    return lambda parts: compare(read(parts["before"]), read(parts["after"]), *more)


def history(text):
    """A day, and the day in short."""
    day = linux.parse_sadf(text)
    return {**{f.name: getattr(day, f.name) for f in fields(day)}, "short": linux.history_table(day)}


PARSERS = {
    "addresses": one(linux.parse_addresses),
    "answer_facts": answers.facts,
    "answer_settings": answers.settings,
    "answer_triage": answers.triage,
    "cpuinfo": one(linux.parse_cpuinfo),
    "filesystem": one(filesystem),
    "loadavg": one(linux.parse_loadavg),
    "meminfo": one(linux.parse_meminfo),
    "mounts": one(linux.parse_mounts),
    "netstat": one(linux.parse_netstat),
    "net_dev": two(linux.parse_net_dev, linux.network_rates, 2.0),
    "passwd": one(lambda text: {str(uid): name for uid, name in linux.parse_passwd(text).items()}),
    "pressure": linux.parse_pressure,
    "process_stat": one(linux.parse_process_stat),
    "process_status": one(linux.parse_process_status),
    "sadf": one(history),
    "sockets": lambda parts: linux.parse_sockets(parts, byteorder="little"),
    "ss": one(linux.parse_ss),
    "stat": two(linux.parse_stat, linux.cpu_usage),
    "storage": one(lambda text: [m.point for m in linux.storage(linux.parse_mounts(text))]),
    "uptime": one(linux.parse_uptime),
}


def read_case(path):
    """Split a case into its texts and its expected value."""
    pieces = re.split(r"^=== (\w+)\n", path.read_bytes().decode(), flags=re.MULTILINE)[1:]
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    return parts, json.loads(parts.pop("expected"))


def plain(value):
    """Turn a result into JSON: NaN becomes null, numbers keep two decimals unless they are exact."""
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def test_every_folder_of_cases_has_a_parser():
    """No captured text lies about unused, and no parser is without one."""
    assert {path.parent.name for path in CASES} == set(PARSERS)


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_captured_text_gives_its_expected_value(path):
    """Each captured text is parsed to the value that stands beside it."""
    parts, expected = read_case(path)
    got = json.loads(json.dumps(plain(PARSERS[path.parent.name](parts))))
    assert got == approximately(expected)


def approximately(value):
    """Compare floats to two decimals, everything else exactly."""
    if isinstance(value, float):
        return pytest.approx(value, abs=0.005)
    if isinstance(value, dict):
        return {k: approximately(v) for k, v in value.items()}
    return [approximately(v) for v in value] if isinstance(value, list) else value


REFUSALS = {
    "stat": linux.parse_stat, "cpuinfo": linux.parse_cpuinfo, "loadavg": linux.parse_loadavg,
    "uptime": linux.parse_uptime, "meminfo": linux.parse_meminfo, "net_dev": linux.parse_net_dev,
    "mounts": linux.parse_mounts, "filesystem": linux.parse_filesystem, "process_stat": linux.parse_process_stat,
    "process_status": linux.parse_process_status, "sockets": lambda text: linux.parse_sockets({"tcp": "head\n" + text}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("text", ["what\n", "1 (x S\n", "<html>502</html>\n", "0: zz:1 00:2 0A\n"])
def test_a_text_of_another_form_is_refused_with_what_was_found(name, text):
    """A parser that meets something else names it instead of guessing or failing inside."""
    with pytest.raises(UsageError, match=re.escape(repr(text.rstrip()[:12])[:-1])):
        REFUSALS[name](text)


@settings(deadline=None)  # a busy machine is no failure
@given(
    name=st.binary(max_size=15).filter(lambda b: b"\0" not in b).map(lambda b: b.decode("utf-8", "backslashreplace"))
)
def test_no_process_name_can_move_the_numbers_of_its_line(name):
    """Whatever a process calls itself, name, state and ticks are read back as they are."""
    tail = " S 7 5 2 0 -1 4194368 294 0 0 0 700 5 0 0 20 0 3 0 99 1 1 1 1 1\n"
    found = linux.parse_process_stat(f"12 ({name}){tail}")
    assert (found.pid, found.name, found.state, found.parent, found.ticks) == (12, name, "sleeping", 7, 705)


ticks = st.fixed_dictionaries({
    n: st.integers(0, 10**9) for n in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
})  # fmt: skip


@settings(deadline=None)  # a busy machine is no failure
@given(before=ticks, spent=ticks)
def test_cpu_shares_lie_between_0_and_100_and_sum_up(before, spent):
    """Busy, idle and iowait make the whole interval; busy is user, system and steal."""
    after = {k: before[k] + spent[k] for k in before}
    row = linux.cpu_usage({"cpu": before}, {"cpu": after}).iloc[0]
    if sum(spent.values()) == 0:
        assert math.isnan(row["busy_percent"])
        return
    parts = row["user_percent"] + row["system_percent"] + row["steal_percent"]
    assert parts == pytest.approx(row["busy_percent"])
    assert 0 <= row["busy_percent"] + row["iowait_percent"] <= 100.000001


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_an_address_is_read_in_the_byte_order_of_its_machine(address, port):
    """The same socket printed by a little- and by a big-endian machine is the same socket."""
    octets = address.to_bytes(4, "big")
    line = "h\n 0: {}:{:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n"
    little = linux.parse_sockets({"tcp": line.format(octets[::-1].hex().upper(), port)}, byteorder="little")
    big = linux.parse_sockets({"tcp": line.format(octets.hex().upper(), port)}, byteorder="big")
    assert little.equals(big)
    assert little["local_address"][0] == ".".join(str(o) for o in octets)


def test_listening_ports_leave_out_connections_and_say_who_can_reach_them():
    """Loopback is 'this machine only', a wildcard is 'network', a connected UDP socket does not listen."""
    parts, _ = read_case(DATA / "sockets" / "ipv6-and-udp.txt")
    ports = linux.listening_ports(linux.parse_sockets(parts, byteorder="little"), {0: "root"})
    assert ports[["protocol", "port", "reach", "user"]].to_numpy().tolist() == [
        ["udp", 68, "network", "root"],
        ["tcp6", 80, "network", "root"],
        ["tcp6", 631, "this machine only", "root"],
    ]


def test_connection_states_count_both_forms_of_a_half_open_connection():
    """SYN_RECV counts request sockets (state 0x0C) too, as ss does; most frequent first."""
    parts, _ = read_case(DATA / "sockets" / "tcp-states.txt")
    states = linux.connection_states(linux.parse_sockets(parts, byteorder="little"))
    assert states.iloc[0].tolist() == ["SYN_RECV", 2]
    assert linux.top_peers(linux.parse_sockets(parts, byteorder="little"), 1).iloc[0].tolist() == ["203.0.113.9", 2]


def test_a_process_counts_from_its_start_when_its_pid_was_used_before():
    """A pid that another process had in the first sample does not lend it its ticks."""
    old = linux.ProcessStat(pid=5, name="a", state="running", parent=1, ticks=1000, threads=1, started=10)
    new = linux.ProcessStat(pid=5, name="b", state="running", parent=1, ticks=50, threads=1, started=99)
    status = {5: linux.ProcessStatus(uid=7, resident=2048)}
    table = linux.process_table({5: old}, {5: new}, status, seconds=2.0, memory_mib=100.0, users={})
    assert table.iloc[0][["name", "user", "cpu_percent", "memory_mib", "memory_percent"]].tolist() == [
        "b", "7", 25.0, 2.0, 2.0,
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_rates_want_two_different_times(seconds):
    """Two samples of one moment give an error, never an infinite rate."""
    with pytest.raises(UsageError, match="two samples"):
        linux.network_rates({}, {}, seconds)
    with pytest.raises(UsageError, match="two samples"):
        linux.process_table({}, {}, {}, seconds=seconds, memory_mib=1.0, users={})
