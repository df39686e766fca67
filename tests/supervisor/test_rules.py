"""Rules without a host: what is odd, what comes first, how a state becomes another, where a program may stand."""

from __future__ import annotations

from typing import Any

import pytest

from nearby import nearby
from opsnb.base.errors import UsageError
from opsnb.kits.supervisor import (
    Survey,
    evidence,
    hosts_table,
    last_words,
    odd_programs,
    pending,
    processes_table,
    summary,
    uptime_chart,
)
from opsnb.kits.supervisor.adding import partway, place_of
from opsnb.kits.supervisor.health import checked_url, url_of
from opsnb.kits.supervisor.reading import Reading, parse
from opsnb.kits.supervisor.rolling import _action
from opsnb.kits.supervisor.rolling import partway as cut_off
from opsnb.kits.supervisor.status import PROBLEMS, parse_status, problem_of

MAIN = "[include]\nfiles = /etc/c.d/*.conf\n"


def reading(**texts: str) -> Reading:
    """Return what a host is said to have answered; ``file_a`` is /etc/c.d/a.conf."""
    said = {"ctl": "/c", "conf": "/etc/s.conf", "now": "1 +0000", "boot": "b", "file /etc/s.conf": MAIN,
            "patterns": "/etc/c.d/*.conf"}  # fmt: skip
    for name, text in texts.items():
        word, _, rest = name.partition("_")
        said[f"file /etc/c.d/{rest}.conf" if word == "file" else f"{word} {rest}" if rest else name] = text
    data = b"".join(f"{name} {len(text.encode())}\n{text}\n".encode() for name, text in said.items())
    return parse(data + b"end 0\n\n", "web1")


def seen(**hosts: Reading) -> Survey:
    """Return a survey of hosts that know themselves by name and as 10.0.0.NAME."""
    return Survey(readings=hosts, unread={}, own={host: (f"10.0.0.{host}", host) for host in hosts})


def test_the_worst_come_first() -> None:
    """FATAL before BACKOFF before what was stopped, then by restarts: whoever looks at three in the morning sees it on top."""
    log = "2026-01-01 00:00:01 INFO spawned: 'b' with pid 1\n2026-01-01 00:00:02 INFO exited: b (exit status 1; not expected)\n"
    log += "2026-01-01 00:00:03 INFO spawned: 'b' with pid 2\n"
    one = reading(
        status="a RUNNING pid 1, uptime 0:00:05\nb RUNNING pid 2, uptime 2 days, 1:00:00\nc STOPPED Not started",
        log=log,
    )
    two = reading(status="d BACKOFF x\ne FATAL y", log=log)
    survey = seen(h1=one, h2=two)
    table = processes_table(survey)
    assert table["process"].tolist() == ["e", "d", "c", "b", "a"]
    assert table["uptime"].tolist() == ["", "", "", "2 d 1 h", "0:00:05"]
    assert table["restarts"].tolist() == [0, 0, 0, 1, 0]
    assert summary(survey) == "2 supervisord answered; processes: 1 FATAL, 1 BACKOFF, 1 STOPPED, 2 RUNNING"
    assert evidence(survey)["processes"]["h1 b"] == {"state": "RUNNING", "restarts": 1, "unexpected": 1}


def test_last_words_are_shown_never_obeyed() -> None:
    """The end of stderr, of stdout where that is empty; what a program printed to move the cursor is shown as text."""
    found = reading(
        status="a FATAL x\nb FATAL y\nc FATAL z", stderr_a="boom \x1b[2J", stdout_a="out", stderr_b="", stdout_b="only this",
        stderr_c="c: ERROR (no log file)", stdout_c="c: ERROR (no log file)",
    )  # fmt: skip
    words = last_words(seen(h1=found))
    assert "boom \\x1b[2J" in words
    assert "only this" in words
    assert "(it said nothing)" in words
    assert last_words(seen(h1=reading(status="a RUNNING pid 1, uptime 0:00:05"))).startswith("every process runs")


def test_who_is_odd() -> None:
    """An option of one host among three, a program that it lacks; own names and addresses are no difference."""
    usual = {f"file_{n}": f"[program:{n}]\ncommand=/x --at 10.0.0.{{}} {{}}\nstartsecs=1\n" for n in ("a", "b")}
    made = {h: {name: text.format(h, h) for name, text in usual.items()} for h in ("h1", "h2", "h3")}
    made["h2"]["file_a"] = made["h2"]["file_a"].replace("=1", "=9")
    made["h3"].pop("file_b")
    rows = odd_programs(seen(**{host: reading(status="", **texts) for host, texts in made.items()})).values.tolist()
    assert rows == [["h2", "a", "startsecs", "9", "1"], ["h3", "b", "(program)", "(not there)", "on 2 of 3 hosts"]]


def test_a_secret_of_a_command_is_not_told() -> None:
    """That a command or an environment differs is said, and not how; without a majority that is said too."""
    texts = {f"h{n}": f"[program:a]\ncommand=/x --password s{n}cret\nuser=u{n}\n" for n in range(3)}
    texts["h2"] = texts["h1"]
    table = odd_programs(seen(**{host: reading(status="", file_a=text) for host, text in texts.items()}))
    assert table["option"].tolist() == ["command", "user"]
    assert table["here"].tolist() == ["(another one)", "u0"]
    assert "cret" not in table.to_string()
    four = {f"h{n}": reading(status="", file_a=f"[program:a]\ncommand=/x\nuser=u{n}\n") for n in range(4)}
    assert odd_programs(seen(**four))["here"].tolist() == ["4 different values"]


def test_what_is_on_disk_and_does_not_run() -> None:
    """Each difference has the command that takes it; a file that cannot be read is named before all."""
    survey = seen(
        h1=reading(status="", reread="a: changed\nb: available"),
        h2=reading(status="", reread="ERROR: CANT_REREAD: bad"),
    )
    assert pending(survey).values.tolist() == [
        ["h1", "a", "other than what runs", "supervisorctl update a (restarts it)"],
        ["h1", "b", "new, and not started", "supervisorctl update b"],
        ["h2", "(all)", "cannot be read: CANT_REREAD: bad", "mend the file"],
    ]
    assert hosts_table(survey)["configuration"].tolist() == ["2 group(s) differ", "cannot be read"]


def test_a_plot_has_a_bar_for_each_process() -> None:
    """One bar a process up to a limit that is told, hostile names included; nothing to draw is said in words."""
    rows = "\n".join(f"$x${n} RUNNING pid {n}, uptime 0:00:0{n % 10}" for n in range(1, 31))
    figure = uptime_chart(seen(h1=reading(status=rows)))
    figure.canvas.draw()
    assert len(figure.axes[0].patches) == 24
    assert "6 more" in figure.axes[0].get_title(loc="left")
    assert uptime_chart(seen(h1=reading(status=""))) == "(no process)"


@pytest.mark.parametrize(
    ("before", "after", "crash", "does"),
    [
        ({"runs": "yes"}, {"runs": "no"}, False, "stop"), ({"runs": "no"}, {"runs": "yes"}, False, "start"),
        ({"runs": "trying"}, {"runs": "yes"}, False, "start"), ({"runs": "no"}, {"runs": "trying"}, False, "start"),
        ({"runs": "yes", "life": "a"}, {"runs": "yes", "life": "another"}, False, "restart"),
        ({"runs": "yes", "life": "a"}, {"runs": "yes", "life": "another"}, True, "crash"),
        ({"runs": "no", "life": ""}, {"runs": "yes", "life": "another"}, True, "start"),
        ({"runs": "trying", "life": ""}, {"runs": "yes", "life": "another"}, False, "restart"),
        ({"runs": "yes", "life": "another"}, {"runs": "yes", "life": "a"}, False, ""),
        ({"runs": "yes", "life": "another"}, {"runs": "no", "life": ""}, False, "stop"),
        ({"runs": "yes", "life": "another"}, {"runs": "trying", "life": ""}, False, ""),
    ],
)  # fmt: skip
def test_what_is_done_between_two_states(before: Any, after: Any, crash: bool, does: str) -> None:  # noqa: FBT001
    """Each pair of states, forwards and as an undo, has one way."""
    assert _action({"crash": crash}, before, after) == does


def test_what_is_partway() -> None:
    """A restart between stop and start; a file that is in place and not loaded. Nothing else is."""
    before, after = {"runs": "yes", "life": "a"}, {"runs": "yes", "life": "another"}
    assert [cut_off({}, before, after, state) for state in ({"runs": "no", "life": ""}, {"runs": "trying", "life": ""}, before, after, None)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert not cut_off({}, {"runs": "no"}, {"runs": "yes"}, {"runs": "trying"})
    file = {"content": "x", "mode": "0644"}
    gone = {"content": None, "mode": None, "loaded": False}
    assert partway({}, None, {**file, "loaded": True}, {**file, "loaded": False})
    assert partway({}, {**file, "loaded": True}, None, gone)
    assert not partway({}, None, {**file, "loaded": True}, {**file, "content": "y", "loaded": False})
    assert not partway({}, None, {**file, "loaded": True}, {**file, "loaded": True})


@pytest.mark.parametrize(
    ("texts", "name", "said"),
    [
        ({"file_a": "[program:a]\ncommand=x\n[program:b]\ncommand=y\n"}, "a", "together with [program:b]"),
        ({"file_a": "[program:a]\ncommand=x\n", "file_b": "[program:a]\ncommand=y\n"}, "a", "in several places"),
        ({"file_a": "[program:a]\ncommand=x\n", "file_b": "[group:g]\nprograms=a\n"}, "a", "in the group 'g'"),
        ({"file_b": "[group:g]\nprograms=a\n"}, "g", "there is a group 'g'"),
        ({"file_a": "[eventlistener:a]\ncommand=x\n"}, "a", "is of kind eventlistener"),
        ({"file_a": "[program:b]\ncommand=x\n"}, "a", "does not hold program a"),
        ({"patterns": ""}, "a", "includes no folder"),
    ],
)  # fmt: skip
def test_where_a_program_may_not_stand(texts: dict[str, str], name: str, said: str) -> None:
    """A place that cannot be replaced whole is refused, with where it is."""
    with pytest.raises(UsageError) as caught:
        place_of(reading(status="", **texts), name, "web1")
    assert said in str(caught.value)
    assert "web1" in str(caught.value)


def test_where_a_program_stands() -> None:
    """A new one beside the others, with their ending; one that is there in its own file, wherever it is."""
    assert place_of(reading(status=""), "a", "web1") == "/etc/c.d/a.conf"
    assert place_of(reading(status="", patterns="x.conf sub/*.ini"), "a", "web1") == "/etc/sub/a.ini"
    assert place_of(reading(status="", file_other="[program:a]\ncommand=x\n"), "a", "web1") == "/etc/c.d/other.conf"


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://a b/", "http://x/$(id)", "http://x/a\nb", "http://x;id/", "http://{host}/",
                                 "http://x/" + "a" * 500, "http://[::1", "-o/etc/x", "http://x/'"])  # fmt: skip
def test_a_page_that_is_none(url: str) -> None:
    """What is no plain URL is refused before any host is asked."""
    with pytest.raises(UsageError, match="the page is"):
        checked_url(url)


def test_a_page_of_each_host() -> None:
    """{address} is the host's address, in brackets where it is IPv6's; no page is no page."""
    with nearby(("near1",)):
        assert url_of("near1", "http://{address}:8000/health?a=1") == "http://near1:8000/health?a=1"
        assert url_of("near1", "") == ""
    assert checked_url("https://[2001:db8::1]:8443/x") == "https://[2001:db8::1]:8443/x"


def test_every_problem_has_words() -> None:
    """Each thing that supervisorctl says where it cannot ask has plain words, and a status line is none of them."""
    assert len({words for _, words in PROBLEMS}) == len(PROBLEMS)
    assert problem_of("shop RUNNING pid 4, uptime 0:00:26") == ""
    assert parse_status("unix:///x no such file\n")[1].startswith("supervisord does not run")
