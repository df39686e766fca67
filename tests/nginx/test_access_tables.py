"""What is made of counts: sums over files and hosts, tables, findings, plots, which logs a configuration names."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.linux.findings import Severity
from opsnb.kits.nginx.access import evidence, findings, latency_chart, read_text, traffic_chart, window
from opsnb.kits.nginx.access import tables as shown
from opsnb.kits.nginx.access.answer import Answer, LogFile, Slow, parse_answer
from opsnb.kits.nginx.access.charts import DASHES, NOTHING
from opsnb.kits.nginx.access.counts import GROWTH, WIDTHS, Count, Series, Table, middle
from opsnb.kits.nginx.access.formats import Escape, parse_format
from opsnb.kits.nginx.access.logs import Log, configured_logs, with_rotated
from opsnb.kits.nginx.access.traffic import UNKNOWN_HOST, Node, Traffic
from opsnb.kits.nginx.access.window import Window
from opsnb.kits.nginx.finding import Installation
from opsnb.kits.nginx.grammar import parse
from opsnb.kits.nginx.reading import Configuration

FORMAT = parse_format('[$time_local] $host "$request" $status $bytes_sent $request_time $upstream_addr', "ops")
START = 1_795_651_200
BUCKETS = st.dictionaries(st.integers(0, 260), st.integers(1, 1000), max_size=8).map(Counter)


@st.composite
def counts(draw: st.DrawFn) -> Count:
    """A count whose figures belong together."""
    histogram = draw(BUCKETS)
    longest = max((int(GROWTH**bucket) for bucket in histogram), default=-1)
    return Count(requests=histogram.total() + draw(st.integers(0, 9)), bytes=draw(st.integers(0, 10**12)),
                 ms=draw(st.integers(0, 10**9)), most_ms=longest, histogram=histogram)  # fmt: skip


NAMED = st.dictionaries(st.sampled_from("abcdef"), counts(), max_size=5)


@given(NAMED, NAMED, counts(), counts(), st.integers(0, 50), st.integers(0, 50))
def test_tables_add_exactly(
    one: dict[str, Count], two: dict[str, Count], rest: Count, other: Count, low: int, high: int
) -> None:
    """The sum's total is the sum of totals; a name that one of them lacks may have been missed as often as its floor."""
    first, second = Table(rows=one, others=rest, floor=low), Table(rows=two, others=other, floor=high)
    wanted = Count()
    for count in (first.total, second.total):
        wanted.add(count)
    only_first, only_second = set(one) - set(two), set(two) - set(one)
    first.add(second)
    assert first.total == wanted
    assert first.floor == low + high
    assert {first.rows[name].missed for name in only_first} <= {high}
    assert {first.rows[name].missed for name in only_second} <= {low}


@given(
    st.lists(st.tuples(st.integers(0, 10**6), counts()), max_size=12), st.sampled_from(WIDTHS), st.sampled_from(WIDTHS)
)
def test_series_of_different_steps_add_exactly(rows: list[tuple[int, Count]], one: int, two: int) -> None:
    """The wider step stays, every request is in the step that its second lies in."""
    first, second = Series(width=one), Series(width=two)
    for number, (second_at, count) in enumerate(rows):
        series = (first, second)[number % 2]
        series.steps.setdefault(second_at // series.width, Count()).add(count)
    wide = max(one, two)
    wanted: dict[int, int] = {}
    for second_at, count in rows:
        wanted[second_at // wide] = wanted.get(second_at // wide, 0) + count.requests
    first.add(second)
    assert first.width == wide
    assert {step: count.requests for step, count in first.steps.items()} == wanted


@given(st.lists(st.integers(0, 3_600_000), min_size=1, max_size=80), st.floats(0.01, 0.999))
def test_a_quantile_is_within_the_error_of_its_bucket(times: list[int], q: float) -> None:
    """Of any times the quantile of the histogram is at most 3 % away from the exact one of that rank."""
    histogram = Counter(next(b for b in range(300) if ms < GROWTH**b) for ms in times)
    count = Count(requests=len(times), most_ms=max(times), histogram=histogram)
    exact = sorted(times)[max(1, -int(-(q * len(times)) // 1)) - 1]
    assert abs(count.quantile(q) - exact) <= 0.03 * exact + 1e-9
    assert middle(0) == 0


def log_of(host: str, *, requests: int = 1000, bad: int = 0, slow_ms: int = 50, quiet: range = range(0)) -> Node:
    """A node that served ten minutes: a step of 15 s has an equal part of the requests, but for quiet ones."""
    file = LogFile(number=0, size=10, name="/var/log/nginx/access.log", lines=requests, counted=requests, read=10)
    bucket = next(b for b in range(300) if slow_ms < GROWTH**b)
    steps = [n for n in range(40) if n not in quiet]
    each, left = divmod(requests, len(steps))
    for number, step in enumerate(steps):
        times = each + (left if number == len(steps) - 1 else 0)
        wrong = bad // len(steps) + (bad % len(steps) if number == 0 else 0)
        file.series.steps[START // 15 + step] = Count(
            requests=times, bytes=times * 100, server_errors=wrong, ms=times * slow_ms, most_ms=slow_ms,
            histogram=Counter({bucket: times}),
        )  # fmt: skip
    file.series.width = 15
    file.first, file.last = START, START + 599
    file.paths.rows = {"/": file.series.total}
    file.upstreams.rows = {"10.0.0.1:80": file.series.total}
    file.hosts.rows = {"x.example": file.series.total}
    file.status = {("200", "GET"): (requests - bad, 100, 10)} | ({("502", "GET"): (bad, 0, 0)} if bad else {})
    file.slowest = [Slow(ms=slow_ms, at=START, status="200", method="GET", upstream="-", path="/")]
    return Node(host=host, logs=[Log(pattern=file.name, format=FORMAT)], answer=Answer(files=[file], whole=True))


def seen_of(*nodes: Node, failed: dict[str, tuple[str, str]] | None = None) -> Traffic:
    """Traffic of nodes."""
    return Traffic(nodes={node.host: node for node in nodes}, failed=failed or {}, window=Window(), seconds=1.0)


def test_nodes_that_are_alike_are_no_finding() -> None:
    """Three nodes with the same traffic: nothing stands out."""
    assert findings(seen_of(log_of("web1"), log_of("web2"), log_of("web3"))) == []


@pytest.mark.parametrize(("odd", "what", "severity"), [
    ({"bad": 80}, "errors (5xx) of node web3", Severity.CRITICAL),
    ({"bad": 30}, "errors (5xx) of node web3", Severity.WARNING),
    ({"slow_ms": 900}, "p99 of node web3", Severity.WARNING),
    ({"requests": 5000}, "requests of node web3", Severity.NOTICE),
    ({"requests": 300}, "requests of node web3", Severity.NOTICE),
    ({"quiet": range(10, 14)}, "node web3 served nothing from 2026-11-26 00:02:30", Severity.WARNING),
])  # fmt: skip
def test_the_odd_node_is_named(odd: dict[str, Any], what: str, severity: Severity) -> None:
    """A node with more errors, slower, busier, idler or silent against two others is the finding, with its number."""
    found = findings(seen_of(log_of("web1"), log_of("web2"), log_of("web3", **odd)))
    assert (found[0].what, found[0].severity) == (what, severity), found
    assert not any("web1" in finding.what or "web2" in finding.what for finding in found)


def test_a_sudden_change_is_found_with_its_time() -> None:
    """From one step to the next three times the requests and more: the time, both rates, the threshold."""
    node = log_of("web1", requests=4000)
    for step, count in node.files[0].series.steps.items():
        if (step or 0) >= START // 15 + 20:
            count.requests *= 5
    [finding] = findings(seen_of(node))
    assert finding.what == "requests/s from 2026-11-26 00:05:00"
    assert finding.value == pytest.approx(500 / 15, abs=0.01)
    assert finding.threshold == pytest.approx(300 / 15, abs=0.01)


def test_lines_that_are_not_of_the_format_are_a_finding() -> None:
    """More than 1 % of them."""
    node = log_of("web1")
    node.files[0].odd, node.files[0].lines = 20, 1020
    node.files[0].samples = ["garbage\x1b[31m"]
    seen = seen_of(node)
    assert [f.what for f in findings(seen)] == ["lines that are not of the format"]
    assert list(shown.odd_table(seen)["sample"]) == ["garbage\\x1b[31m"]


def test_tables_hold_every_request_once() -> None:
    """Shares of nodes are 100 %, the first paths and the others are all requests, rates are over the whole time."""
    nodes = [log_of("web1"), log_of("web2", requests=3000, bad=60)]
    rows = {f"/p{i:02}": Count(requests=i) for i in range(1, 31)}
    nodes[0].files[0].paths = Table(rows=rows, others=Count(requests=535), floor=3)
    seen = seen_of(*nodes)
    table = shown.nodes_table(seen)
    assert table["share_%"].sum() == pytest.approx(100)
    assert list(table["requests_s"]) == pytest.approx([1000 / 600, 3000 / 600])
    paths = shown.paths_table(seen, "requests", 5)
    assert list(paths["path"]) == ["/", "/p30", "/p29", "/p28", "/p27", "(others)"]
    assert paths["requests"].sum() == 4000
    assert paths["missed"].iloc[0] == 3, "it has no row in web1's table, whose floor is 3"
    assert list(shown.paths_table(seen, "errors", 5)["path"]) == ["/", "(others)"]
    assert shown.status_table(seen)["requests"].sum() == 4000
    assert shown.busiest_table(seen, 3)["requests"].iloc[0] >= 100
    assert list(shown.latencies_table(seen)["node"]) == ["web1", "web2", "(all)"]
    assert len(shown.slowest_table(seen)) == 2
    kept = evidence(seen, findings(seen))
    assert (kept["requests"], kept["errors"], kept["status"]) == (4000, 60, {"200": 3940, "502": 60})
    assert "2 of 2 nodes" in read_text(seen)


def test_what_is_missing_is_said() -> None:
    """A host that failed, a log that is not there, one cut short, what a format does not tell."""
    node = log_of("web1")
    node.logs = [
        Log(pattern="/a.log", format=parse_format("[$time_local] $status")),
        Log(pattern="/b.log", format=FORMAT),
    ]
    node.answer.none = [1]
    node.answer.files[0].stopped = True
    node.answer.whole = False
    node.notes = ["nginx.conf:3: the log goes to syslog"]
    seen = seen_of(node, failed={"web2": ("unreachable", "no route")})
    why = list(shown.unread_table(seen)["why"])
    assert why[0] == "no route"
    assert any("/b.log: no such file" in text for text in why)
    assert any("the time was over" in text for text in why)
    assert any("end of the host's answer is missing" in text for text in why)
    assert any("syslog" in text for text in why)
    assert "latency ($request_time)" in list(shown.missing_table(seen)["not_told"])
    assert list(seen.table("hosts").rows) == [UNKNOWN_HOST]


def test_nothing_at_all_is_shown_as_nothing() -> None:
    """No node, no file, no line: empty tables, words for plots, figures of 0."""
    for seen in (seen_of(), seen_of(Node(host="web1", logs=[], answer=Answer(whole=True)))):
        assert findings(seen) == []
        for chart in (traffic_chart(seen), latency_chart(seen)):
            assert chart == NOTHING
        assert evidence(seen, [])["requests"] == 0
        assert evidence(seen, [])["latency_ms"]["max"] is None
        assert len(shown.paths_table(seen)) == len(shown.files_table(seen)) == 0


def test_plots_have_a_line_for_each_node() -> None:
    """Named, told apart in grey by their dashes, with a gap drawn as nothing; a hostile name is text."""
    nodes = [log_of("web1"), log_of("$\\frac$", quiet=range(10, 14)), log_of("网页")]
    figure = traffic_chart(seen_of(*nodes))
    figure.savefig(io.BytesIO())
    axes = figure.axes[0]
    assert [line.get_label() for line in axes.lines] == ["web1", "$\\\\frac$", "\\u7f51\\u9875"]
    assert [line.get_linestyle() for line in axes.lines] == list(DASHES[:3])
    assert min(axes.lines[1].get_ydata()) == 0
    assert min(axes.lines[0].get_ydata()) > 0
    times = axes.lines[0].get_xdata()
    assert (times[-1] - times[0]).total_seconds() == 39 * 15


@pytest.mark.parametrize(("since", "until", "minutes", "why"), [
    ("yesterday", "", 0, "no time"), ("2026-13-01", "", 0, "no time"), ("2026-11-26", "2026-11-25", 0, "not after"),
    ("2026-11-26T00:00Z", "2026-11-27", 0, "has no"), ("2026-11-26", "", 5, "together"), ("", "", -1, "0 or more"),
    ("9" * 40, "", 0, "no time"), ("$(id)", "", 0, "no time"),
])  # fmt: skip
def test_a_window_that_is_none_is_refused(since: str, until: str, minutes: int, why: str) -> None:
    """With what was given and what is wanted."""
    with pytest.raises(UsageError, match=why):
        window(since, until, minutes)


def configuration(http: str, prefix: str = "/usr/share/nginx/", built: tuple[str, ...] = ()) -> Configuration:
    """A configuration of one file."""
    text = f"http {{\n{http}\n}}\n"
    tree = parse(text, "/etc/nginx/nginx.conf")
    place = Installation(host="web1", binary="/n", conf="/etc/nginx/nginx.conf", prefix=prefix, configured=built)
    return Configuration(installation=place, files={place.conf: text}, stored={}, trees={place.conf: tree}, main=tree)


@pytest.mark.parametrize(("http", "wanted", "notes"), [
    ("", [("/var/log/nginx/access.log", "combined", "")], 0),
    ("access_log off;", [], 0),
    ("access_log /a.log; server { server_name x.example; }", [("/a.log", "combined", "")], 0),
    ("log_format m '$status'; server { server_name x.example y.example; access_log /a.log m buffer=32k flush=5s; }",
     [("/a.log", "m", "x.example")], 0),
    ("server { server_name x; access_log /a.log; } server { server_name y; access_log /a.log; }",
     [("/a.log", "combined", "")], 0),
    ("server { location / { if ($a) { access_log logs/b.log; } } }", [("/usr/share/nginx/logs/b.log", "combined", "")], 0),
    ("access_log /logs/$host.log; access_log '/logs/${server_name}[1].log';",
     [("/logs/*.log", "combined", ""), ("/logs/*[[]1].log", "combined", "")], 0),
    ("access_log syslog:server=127.0.0.1;", [], 1),
    ("access_log /a.log combined gzip=5;", [], 1),
    ("access_log /a.log nowhere;", [], 1),
    ("log_format bad '$status$pid$request'; access_log /a.log bad;", [], 1),
    ("log_format m '$status'; access_log /a.log; access_log /a.log m;", [("/a.log", "combined", "")], 1),
    ("log_format m escape=json '{\"s\":$status}'; access_log /a.log m if=$loggable;", [("/a.log", "m", "")], 0),
])  # fmt: skip
def test_which_logs_a_configuration_names(http: str, wanted: list[tuple[str, str, str]], notes: int) -> None:
    """Files with their formats and servers; what is no file, or has no format that can be read, is a note."""
    logs, found = configured_logs(configuration(http))
    assert [(log.pattern, log.format.name, log.server) for log in logs] == wanted
    assert len(found) == notes, found


def test_where_nginx_was_built_to_log() -> None:
    """Without any access_log it is the place of ./configure."""
    [log] = configured_logs(configuration("", built=("--http-log-path=/opt/logs/a.log",)))[0]
    assert log.pattern == "/opt/logs/a.log"
    assert [row.pattern for row in with_rotated([log])] == ["/opt/logs/a.log", "/opt/logs/a.log.*", "/opt/logs/a.log-*"]


@pytest.mark.parametrize("data", [b"", b"Welcome!\n", b"\xff" * 100])
def test_an_answer_of_something_else_is_refused(data: bytes) -> None:
    """What a login shell printed is not taken for an answer."""
    with pytest.raises(OpsnbError, match="said nothing that was asked for"):
        parse_answer(data, [Escape.DEFAULT])


def test_an_answer_that_was_cut_is_not_whole() -> None:
    """Of a file whose tables did not come to their end only what is whole stays, and it is said."""
    answer = parse_answer(
        b"motd\nopsnb-access\t1\nnow\t1\t+0000\nopen\t0\t10\t0\nat\t5\nfile\t/x\t1\t", [Escape.DEFAULT]
    )
    assert (answer.whole, answer.files) == (False, [])
