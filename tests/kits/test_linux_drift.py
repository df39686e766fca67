"""Drift: exactly what was planted is found, on the host where it was planted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kits import answers
from opsnb.base.errors import UsageError
from opsnb.fleet import Fleet
from opsnb.kits import linux
from opsnb.kits.linux.driftread import AREAS, VOLATILE

HOSTS = ("web1", "web2", "web3", "web4", "web5")
SAME = {area: {f"{area} {n}": f"value {n}" for n in range(6)} for area in AREAS}


def group(hosts=HOSTS, **of_host):
    """Return equal hosts, with areas of some replaced."""
    rows = {host: {area: dict(names) for area, names in SAME.items()} for host in hosts}
    for host, areas in of_host.items():
        for area, names in areas.items():
            rows[host][area].update(names)
    return {host: linux.Settings(areas=areas, offset=(0.0, 0.1)) for host, areas in rows.items()}


def test_equal_hosts_have_no_difference():
    """Nothing is found where nothing differs, and what was compared is counted."""
    found = linux.differences(group())
    assert found == []
    assert linux.odd_hosts(group(), found) == {}
    assert list(linux.compared_table(group(), found)["hosts"]) == [5] * len(AREAS)
    assert linux.drift_text(group(), found) == "5 hosts compared with what most hosts have: 0 odd"


names = st.sampled_from([(area, name) for area in AREAS for name in (*SAME[area], "new")])
planted = st.dictionaries(names, st.tuples(st.sampled_from(HOSTS), st.sampled_from(["other", "gone"])), max_size=12)


@settings(deadline=None)  # a busy machine is no failure
@given(planted)
def test_exactly_what_was_planted_is_found(changes):
    """A value changed, added or removed on one of five hosts is one difference there, whatever else was planted."""
    hosts = group()
    wanted = set()
    for (area, name), (host, kind) in changes.items():
        values = hosts[host].areas[area]
        if kind == "gone" and name not in values:
            continue
        values.pop(name, None)
        if kind == "other":
            values[name] = "another value"
        wanted.add((host, area, name))
    found = linux.differences(hosts)
    assert {(d.host, d.area, d.name) for d in found} == wanted
    assert all(d.shared == "4 of 5" for d in found)
    assert sum(len(rows) for rows in linux.odd_hosts(hosts, found).values()) == len(wanted)


def test_a_named_host_is_right_even_against_the_majority():
    """With a reference host the others are odd, and it never is."""
    hosts = group(web1={"packages": {"nginx": "1.26"}})
    assert {d.host for d in linux.differences(hosts)} == {"web1"}
    found = linux.differences(hosts, "web1")
    assert {d.host for d in found} == set(HOSTS) - {"web1"}
    assert {(d.found, d.reference) for d in found} == {("not there", "1.26")}
    with pytest.raises(UsageError, match="'web9' was not read"):
        linux.differences(hosts, "web9")


def test_two_against_two_have_no_majority_and_all_are_listed():
    """Nobody is called right where nobody is."""
    hosts = group(HOSTS[:4], web1={"files": {"/etc/x": "a"}}, web2={"files": {"/etc/x": "a"}}, web3={"files": {"/etc/x": "b"}},
                  web4={"files": {"/etc/x": "b"}})  # fmt: skip
    found = linux.differences(hosts)
    assert [(d.host, d.found, d.reference, d.shared) for d in found] == [
        ("web1", "a", "b", "no majority"), ("web2", "a", "b", "no majority"),
        ("web3", "b", "a", "no majority"), ("web4", "b", "a", "no majority"),
    ]  # fmt: skip


def test_what_each_host_has_as_its_own_is_noted_and_nobody_is_odd():
    """A file with the host's own address in it is different everywhere by design."""
    hosts = group(**{host: {"files": {"/etc/ssh/sshd_config": f"own {host}"}} for host in HOSTS})
    assert linux.differences(hosts) == []
    assert list(linux.drift_notes(hosts)["not_compared"]) == ["files: /etc/ssh/sshd_config: each host has its own"]


def test_an_area_that_a_host_could_not_tell_is_no_difference():
    """A host without sysctl is left out of that comparison and named, not called odd in 700 settings."""
    hosts = group()
    areas = {area: names for area, names in SAME.items() if area != "kernel settings"}
    hosts["web2"] = linux.Settings(areas=areas, notes=("kernel settings: nothing on this host tells them",))
    assert linux.differences(hosts) == []
    table = linux.compared_table(hosts, []).set_index("area")
    assert table.loc["kernel settings"]["hosts"] == 4
    assert list(linux.drift_notes(hosts)["host"]) == ["web2"]


@pytest.mark.parametrize(("offset", "odd"), [((0.9, 0.1), False), ((1.9, 0.5), False), ((2.3, 0.5), False), ((37.0, 0.5), True),
                                             ((-37.0, 0.5), True), ((9.0, 8.0), False), ((None, None), False)])  # fmt: skip
def test_a_clock_is_odd_beyond_two_seconds_and_its_own_uncertainty(offset, odd):
    """A slow line makes a clock uncertain, not wrong."""
    hosts = group()
    hosts["web3"] = replace(hosts["web3"], offset=offset)
    found = linux.differences(hosts)
    assert [(d.host, d.name) for d in found] == ([("web3", "clock")] if odd else [])


def test_volatile_settings_and_asked_for_patterns_are_left_out_and_listed():
    """A counter is never compared; what is left out stands in a table with its reason."""
    text = (
        (answers.DATA / "answer_settings" / "debian-12-root.txt")
        .read_text()
        .split("=== expected")[0]
        .split("=== answer\n")[1]
    )
    found = linux.parse_settings(answers.answer(text), ["/etc/passwd"], ["kernel settings: vm.*", "packages: libc6*"])
    assert not {"kernel.hostname", "fs.file-nr", "kernel.random.uuid", "net.ipv4.conf.lo.rp_filter"} & set(
        found.areas["kernel settings"]
    )
    assert "net.ipv4.conf.all.rp_filter" in found.areas["kernel settings"]
    assert "vm.swappiness" not in found.areas["kernel settings"]
    assert "libc6:amd64" not in found.areas["packages"]
    listed = set(linux.left_out(["packages: libc6*"])["left_out"])
    assert {f"kernel settings: {pattern}" for pattern in VOLATILE} | {"packages: libc6*"} <= listed
    text = linux.left_out_text(["packages: libc6*"])
    assert all(pattern in text for pattern in VOLATILE)
    assert "asked for in this run: packages: libc6*" in text


@pytest.mark.parametrize("path", ["etc/passwd", "-rf", "/etc/\0x", "/a\nb", ""])
def test_a_path_that_is_not_one_is_refused_before_any_host_is_asked(path):
    """Only absolute paths on one line travel to a host."""
    with pytest.raises(UsageError, match="not an absolute path"):
        linux.read_settings(Fleet([]), [path])


def test_names_from_hosts_are_shown_never_obeyed():
    """An escape sequence in a value arrives as visible text in the evidence."""
    hosts = group(web2={"users": {"m\x1b[31m": "\x1b]8;;http://x\x07"}})
    rows = linux.odd_hosts(hosts, linux.differences(hosts))["web2"]
    assert "\x1b" not in rows[0]
    assert "\\x1b" in rows[0]
