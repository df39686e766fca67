"""Tables of several hosts: one row or some for each, what no host told in words, nothing unread as a zero."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from kits import answers
from opsnb.kits import linux
from opsnb.kits.linux import topics
from opsnb.runbook.show import _png

CASES = {"debian": "debian-12-root", "centos": "centos-7-written", "small": "busybox-without-awk-and-ss-written",
         "cut": "centos-7-cut-before-its-end-written"}  # fmt: skip
TABLES = ("load", "cpu", "memory", "disks", "network", "listening", "connections", "pressure")


def reading(name):
    """Return the reading of one captured host."""
    text = (answers.DATA / "answer_triage" / f"{CASES[name]}.txt").read_text()
    return linux.parse_capture(
        linux.taken_apart(answers.answer(text.split("=== expected")[0].split("=== answer\n")[1]))
    )


def seen(*names, **unread):
    """Return a triage of captured hosts."""
    return linux.Triage(readings={n: reading(n) for n in names}, unread=unread)


FOUR = seen(*CASES)


@pytest.mark.parametrize("topic", TABLES)
def test_a_topic_of_several_hosts_is_one_table(topic):
    """Every host that told it is in it, and only those; the host stands in front where rows are of hosts."""
    table = getattr(topics, topic)(FOUR)
    assert isinstance(table, pd.DataFrame)
    told = {"disks": {"debian", "centos"}, "connections": {"debian", "centos", "cut"}, "pressure": set(CASES)}
    if topic != "listening":
        assert table.columns[0] == "host"
        assert set(table["host"]) == told.get(topic, set(CASES))
    assert "not_seen" in linux.notes_table(FOUR)


@pytest.mark.parametrize("topic", TABLES)
def test_a_topic_of_one_host_is_its_detail(topic):
    """One host alone has no column for its name."""
    table = getattr(topics, topic)(seen("debian"))
    assert isinstance(table, pd.DataFrame)
    assert "host" not in table.columns


@pytest.mark.parametrize("topic", TABLES)
def test_a_topic_that_no_host_told_is_a_sentence(topic):
    """Nobody was read: words, not an empty table that looks like nothing there."""
    table = getattr(topics, topic)(linux.Triage(readings={}, unread={"web1": ("unreachable", "no route")}))
    assert isinstance(table, str)
    assert table


def test_what_one_host_did_not_tell_is_the_reason_and_never_a_zero():
    """A host without awk, stat and ss, alone: its topics are the reasons, and its figures leave them out."""
    small = seen("small")
    assert "no process of this host could be read" in topics.by_cpu(small, 5)
    assert "did not tell the sizes" in topics.disks(small)
    assert "/proc/net/tcp cannot be read" in topics.listening(small)
    assert "no plot" in topics.chart(small, "disks")
    kept = linux.evidence(small, linux.all_findings(small))
    assert "processes" not in kept
    assert "listening" not in kept
    assert linux.missing_sections(small) == {"small": ["disks", "processes", "sockets"]}
    notes = " ".join(linux.notes_table(small)["not_seen"])
    assert "no awk" in notes
    assert "no stat" in notes


def test_hosts_that_were_not_read_come_first_and_are_critical():
    """They stand before the worst finding of any host that was read."""
    some = seen("centos", web9=("unknown", "the line was lost"))
    found = linux.all_findings(some)
    assert found[0][0] == "web9"
    assert str(found[0][1].severity) == "critical"
    assert list(linux.unread_table(some.unread)["status"]) == ["unknown"]
    assert linux.read_text(some).startswith("1 of 2 hosts were read")


def test_the_same_finding_on_several_hosts_is_told_once_with_the_worst_first():
    """Two CentOS hosts with the same load: one paragraph, both names."""
    text = linux.all_findings_text(FOUR, linux.all_findings(FOUR))
    assert len(re.findall(r"WARNING  \w+: received packets on eth0\n", text)) == 1
    assert "also on" in text
    table = linux.all_findings_table(linux.all_findings(FOUR))
    assert len(table[table["what"] == "received packets on eth0"]) == 3


def test_a_port_is_one_row_with_the_hosts_that_have_it():
    """Port 22 is open on all hosts that told their sockets, port 3306 on one of them."""
    table = topics.listening(FOUR).set_index("port")
    assert set(table.loc[[3306]]["on"]) == {"debian"}
    assert set(table.loc[[80]]["on"]) <= {"centos", "cut", "centos, cut"}


def test_a_history_is_a_table_or_the_reason_of_each_host():
    """One host with sysstat among others: its day, and why the others have none; alone, the day in detail."""
    table = topics.history(topics.histories(FOUR)).set_index("host")
    assert table.loc["centos"]["busy_percent_max"] == 20.0
    assert "not installed" in table.loc["small"]["note"]
    assert "no plot" in topics.history_chart(topics.histories(FOUR))
    alone = topics.histories(seen("centos"))
    assert "eth0 packets/s in" in set(topics.history(alone)["what"])
    assert _png(topics.history_chart(alone))
    assert topics.history(topics.histories(seen("small", "cut"))).count("\n") == 1


@pytest.mark.parametrize("topic", ["cpu", "memory", "disks", "network"])
@pytest.mark.parametrize("names", [("debian",), tuple(CASES)])
def test_each_plot_is_drawn_for_one_and_for_several(topic, names):
    """A bar for each CPU or mount of one host, or for each of several hosts."""
    assert _png(topics.chart(seen(*names), topic))


def test_many_hosts_are_drawn_up_to_the_bound():
    """More hosts than bars: the largest are drawn, and the title counts the rest."""
    values = pd.Series({f"web{n}": float(n) for n in range(100, 0, -1)})
    figure = linux.hosts_chart(values, limit=90, title="CPU busy, %")
    assert "68 more" in figure.axes[0].get_title(loc="left")


def test_the_reader_must_see_itself():
    """A list of processes without the one that made it is not to be trusted, and is named."""
    assert linux.blind_hosts(seen("debian", "centos")) == []
    lost = linux.Triage(
        readings={"web1": SimpleNamespace(problems={}, reader=99, processes=reading("debian").processes)}, unread={}
    )
    assert linux.blind_hosts(lost) == ["web1"]
