"""Log formats: read as nginx reads them; a line that nginx writes is taken apart into what was in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nginx.accesslines import one
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.access.answer import unescaped
from opsnb.kits.nginx.access.formats import COMBINED, Escape, Format, parse_format

REAL = {  # formats as people write them, and what is counted of them
    COMBINED: "local request status bytes",
    '$remote_addr - [$time_local] "$request" $status $bytes_sent $body_bytes_sent': "local request status bytes",
    "$msec $status $request_method $scheme://$host$request_uri $request_time": "msec status method host uri took",
    '[$time_iso8601] ${status} "${request}" $request_length': "iso request status",
    '$http_x_forwarded_for - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" $request_time $upstream_response_time $upstream_addr $upstream_status $upstream_cache_status':
        "local request status bytes took utime uaddr ustatus cache",
    '{"t":"$time_iso8601","r":"$request","s":"$status","b":"$bytes_sent","d":"$request_time"}':
        "iso request status bytes took",
    "$time_local\t$server_name\t$uri\t$status": "local host uri status",
    "$msec|$time_local|$request_time": "msec took",
}  # fmt: skip


@pytest.mark.parametrize(("text", "roles"), REAL.items())
def test_what_is_counted_of_a_real_format(text: str, roles: str) -> None:
    """Each variable that is counted is found, one of several times is enough; text and pieces are the same."""
    made = parse_format(text)
    assert set(made.roles) == set(roles.split())
    bare = re.sub(r"\$\{(\w+)\}", r"$\1", text)
    assert made.first + "".join(f"${f.variable}{f.literal}" for f in made.fields) == bare
    assert made.compiled().count("\n") == len(made.fields)


@pytest.mark.parametrize(("text", "escape", "why"), [
    ("$status$request_time", "default", "side by side"),
    ("$status$remote_user $request", "default", "side by side"),
    ("$status $", "default", "begins no variable"),
    ("$status ${request", "default", "begins no variable"),
    ("$status\n$request", "default", "not one line each"),
    ("$status\0", "default", "not one line each"),
    ("$status\ud800", "default", "lone surrogate"),
    ("$remote_addr $pid", "default", "no variable that is counted"),
    ("nothing", "default", "no variable that is counted"),
    ("$status", "yaml", "escape=yaml"),
    ("$status " + "x" * 20_000, "default", "characters"),
    ("log_format", "default", "no variable that is counted"),
    ("log_format x 'unclosed", "default", "not closed"),
    ("log_format x", "default", "has no text"),
])  # fmt: skip
def test_what_is_no_format_is_refused(text: str, escape: str, why: str) -> None:
    """With the format's name and the reason."""
    with pytest.raises(UsageError, match=re.escape(why)):
        parse_format(text, escape=escape)


def test_a_whole_directive_may_be_pasted() -> None:
    """Name, escape, several strings in either quotes, over lines, as it stands in nginx.conf."""
    made = parse_format("""log_format main escape=json '$remote_addr "$request" '
        "\\"$status\\" "  '$body_bytes_sent';""")
    assert (made.name, made.escape) == ("main", Escape.JSON)
    assert made.first == ""
    assert [f.literal for f in made.fields] == [' "', '" "', '" ', ""]


SEPARATORS = st.sampled_from([" ", " | ", "\t", "] [", " - ", '" "', '","', " x=", "#"])
HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,12}", fullmatch=True)
SEGMENT = st.text(st.characters(codec="utf-8", exclude_characters="?/ \x00\n\r\t#"), min_size=1, max_size=8)
PATHS = st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
TIMES = st.integers(0, 500_000).map(lambda ms: f"{ms / 1000:.3f}")
FREE = st.text(st.characters(codec="utf-8", exclude_characters="\x00\n\r"), max_size=12)


def escaped(value: str, how: Escape) -> str:
    """Return a value as nginx writes it (ngx_http_log_escape, ngx_escape_json)."""
    if how is Escape.NONE:
        return value
    if how is Escape.JSON:
        return json.dumps(value, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007F")
    if not value:
        return "-"
    plain = set(range(0x20, 0x7F)) - {0x22, 0x5C}
    return "".join(chr(b) if b in plain else f"\\x{b:02X}" for b in value.encode())


@st.composite
def cases(draw: st.DrawFn) -> tuple[Format, str, dict[str, str]]:
    """A format, a line of it, and the values in it."""
    how = draw(st.sampled_from([Escape.DEFAULT, Escape.JSON]))
    values = {
        "host": draw(HOSTS), "status": str(draw(st.integers(100, 599))), "request_time": draw(TIMES),
        "bytes_sent": str(draw(st.integers(0, 10**12))), "request_method": draw(st.sampled_from(["GET", "POST", "PROPFIND"])),
        "request_uri": draw(PATHS) + draw(st.sampled_from(["", "?", "?a=1&b=/x?y"])), "http_user_agent": draw(FREE),
        "remote_user": draw(FREE), "upstream_addr": draw(st.sampled_from(["10.0.0.1:80", "unix:/run/a.sock"])),
    }  # fmt: skip
    order = draw(st.permutations(list(values)))
    free = ("http_user_agent", "remote_user", "request_uri")
    text, line = draw(st.sampled_from(["", "[", "<1> "])), ""
    line = text
    for name in order:
        around = '"' if name in free else draw(st.sampled_from(["", '"']))
        after = draw(SEPARATORS).strip('"') or ","
        text += f"{around}${{{name}}}{around}{after}"
        value = escaped(values[name], how)
        assume(around or after not in value)
        line += f"{around}{value}{around}{after}"
    return parse_format(text, escape=how), line, values


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_a_line_that_nginx_would_write_is_taken_apart(case: tuple[Format, str, dict[str, str]]) -> None:
    """Random formats, random values with quotes, backslashes, any Unicode: what is counted is what was put in."""
    made, line, values = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_text(line + "\n", encoding="utf-8")
        file = one(path, made)
    assert (file.counted, file.odd) == (1, 0), (line, file.samples)
    size, ms = int(values["bytes_sent"]), round(float(values["request_time"]) * 1000)
    assert file.status == {(values["status"], values["request_method"]): (1, size, ms)}
    assert list(file.paths.rows) == [values["request_uri"].partition("?")[0]]
    assert list(file.hosts.rows) == [values["host"]]
    assert list(file.upstreams.rows) == [values["upstream_addr"]]
    assert file.series.total.most_ms == ms


@given(FREE, st.sampled_from([Escape.DEFAULT, Escape.JSON]))
def test_escapes_are_taken_back(value: str, how: Escape) -> None:
    """Whatever nginx escapes in a value is what it was before."""
    assume(value or how is Escape.JSON)
    assert unescaped(escaped(value, how).encode(), how) == value


@pytest.mark.parametrize(
    "agent", ['say "hi" 500 "x" y', 'say "hi", x', 'a"', '"', "back\\", 'x\\"', '","s":500,"', "", "-", 'é"é']
)
def test_a_quoted_json_value_ends_where_json_says(agent: str, tmp_path: Path) -> None:
    """Quotes and backslashes in a value, also right before the text that follows it, do not end it."""
    quoted = [json.dumps(value, ensure_ascii=False) for value in (agent, f"/{agent}")]
    (tmp_path / "x.log").write_text(f"{quoted[0]} 200 {quoted[1]}\n", encoding="utf-8")
    file = one(tmp_path / "x.log", parse_format('"$http_user_agent" $status "$request_uri"', escape="json"))
    assert (file.counted, file.odd) == (1, 0)
    assert list(file.status) == [("200", "-")]
    assert list(file.paths.rows) == [f"/{agent}"]


LISTS = '$status "$request" $upstream_addr $upstream_status $upstream_response_time $upstream_cache_status'


@pytest.mark.parametrize(("line", "wanted"), [
    ('200 "GET / HTTP/1.1" 10.0.0.1:80 200 0.100 HIT', {"10.0.0.1:80": (1, 100, 0)}),
    ('200 "GET / HTTP/1.1" 10.0.0.1:80, 10.0.0.2:80 502, 200 0.001, 0.200 -', {"10.0.0.1:80": (1, 1, 1),
                                                                           "10.0.0.2:80": (1, 200, 0)}),
    ('200 "GET / HTTP/1.1" a:1, b:1 : c:1 504, 200 : 200 1.000, 0.002 : 0.003 -', {"a:1": (1, 1000, 1), "b:1": (1, 2, 0),
                                                                              "c:1": (1, 3, 0)}),
    ('502 "GET / HTTP/1.1" a:1, a:1 502, 502 -, - -', {"a:1": (2, 0, 2)}),
    ('400 "-" - - - -', {}),
])  # fmt: skip
def test_lists_of_upstreams(line: str, wanted: dict[str, tuple[int, int, int]], tmp_path: Path) -> None:
    """Blanks within an unquoted list do not end it; each try has its own time and its own status."""
    (tmp_path / "x.log").write_text(line + "\n")
    file = one(tmp_path / "x.log", parse_format(LISTS))
    assert (file.counted, file.odd) == (1, 0)
    rows = {name: (count.requests, count.ms, count.server_errors) for name, count in file.upstreams.rows.items()}
    assert rows == wanted


@pytest.mark.parametrize(("request_line", "method", "path"), [
    ("GET /a/b?c=d HTTP/1.1", "GET", "/a/b"),
    ("GET / HTTP/3.0", "GET", "/"),
    ("GET /old", "GET", "/old"),
    ("GET /a b HTTP/1.0", "GET", "/a b"),
    ("OPTIONS * HTTP/1.1", "OPTIONS", "*"),
    ("GET http://x.example/y?z HTTP/1.1", "GET", "http://x.example/y"),
    ("-", "(none)", "(none)"),
    ("", "(none)", "(none)"),
    (r"\x16\x03\x01\x02\x00\x01\x00", "(not HTTP)", "(not HTTP)"),
    (r"\x16\x03 \x01", "(not HTTP)", "(not HTTP)"),
    ("get / HTTP/1.1", "(not HTTP)", "(not HTTP)"),
    (r"GET /caf\xC3\xA9\x22 HTTP/1.1", "GET", '/café"'),
    ("GET /" + "x" * 9000 + " HTTP/1.1", "GET", "/" + "x" * 511 + "..."),
])  # fmt: skip
def test_request_lines(request_line: str, method: str, path: str, tmp_path: Path) -> None:
    """A request line is a method and a path; what is no HTTP is one name, however it looks."""
    (tmp_path / "x.log").write_text(f'"{request_line}" 200\n')
    file = one(tmp_path / "x.log", parse_format('"$request" $status'))
    assert list(file.paths.rows) == [path]
    assert list(file.status) == [("200", method)]


def test_an_unquoted_request_and_its_status(tmp_path: Path) -> None:
    """`$request $status` without quotes: a request line ends behind its protocol."""
    (tmp_path / "x.log").write_text("GET /a?b HTTP/1.1 404\nPOST /a HTTP/2.0 200\n\\x16 400\n")
    file = one(tmp_path / "x.log", parse_format("$request $status"))
    assert file.status == {("404", "GET"): (1, 0, 0), ("200", "POST"): (1, 0, 0), ("400", "(not HTTP)"): (1, 0, 0)}


@pytest.mark.parametrize(("path", "name"), [
    ("/users/17", "/users/:id"), ("/users/17/orders/0042/", "/users/:id/orders/:id/"), ("/v1/users", "/v1/users"),
    ("/f/0b1f9c2e-7a53-4b1e-9a0c-55aa66bb77cc", "/f/:id"), ("/c/deadbeef99", "/c/:id"), ("/c/deadbeef", "/c/deadbeef"),
    ("/c/abc123", "/c/abc123"), ("/2026/11/26/", "/:id/:id/:id/"), ("/", "/"),
])  # fmt: skip
def test_ids_become_one_path(path: str, name: str, tmp_path: Path) -> None:
    """Numbers, UUIDs and long hexadecimal words between slashes are ids; words with digits are not."""
    (tmp_path / "x.log").write_text(f'"GET {path} HTTP/1.1" 200\n' * 2)
    assert list(one(tmp_path / "x.log", parse_format('"$request" $status'), normalise=True).paths.rows) == [name]
    assert list(one(tmp_path / "x.log", parse_format('"$request" $status')).paths.rows) == [path]


@pytest.mark.parametrize(("line", "right"), [
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 5 0.1', True),
    ('26/Foo/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 5 0.1', False),
    ('26/Nov/2026 09:00:01 +0800 "GET / HTTP/1.1" 200 5 0.1', False),
    ('26/Nov/2026:09:00:01 +08 "GET / HTTP/1.1" 200 5 0.1', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 20 5 0.1', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 2000 5 0.1', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 x 0.1', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 5 fast', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 - -', True),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1" 200 5', False),
    ('26/Nov/2026:09:00:01 +0800 "GET / HTTP/1.1 200 5 0.1', False),
    ("", False),
])  # fmt: skip
def test_a_line_is_of_the_format_or_is_shown(line: str, right: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Every value that is counted is looked at; a line that does not fit is counted apart, with a sample."""
    (tmp_path / "x.log").write_text(line + "\n")
    file = one(tmp_path / "x.log", parse_format('$time_local "$request" $status $body_bytes_sent $request_time'))
    assert (file.counted, file.odd) == (int(right), int(not right))
    assert file.samples == ([] if right else [line])
    if right:
        assert file.first == 1_795_654_801
        assert file.zone == 8 * 3600


def test_many_methods_are_bounded(tmp_path: Path) -> None:
    """Invented methods do not make the table grow: 40 are told apart, the rest is one name, the sum exact."""
    names = [f"M{chr(65 + i // 26)}{chr(65 + i % 26)}" for i in range(300)]
    (tmp_path / "x.log").write_text("".join(f'"{name} / HTTP/1.1" 200\n' for name in names))
    file = one(tmp_path / "x.log", parse_format('"$request" $status'))
    counts = Counter({method: requests for (_, method), (requests, _, _) in file.status.items()})
    assert len(counts) == 41
    assert counts["(others)"] == 260
    assert counts.total() == 300
