"""An upstream replaced where it stands: only its block changes, and what it then says is what was wanted. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import render, values
from opsnb.kits.nginx.grammar import Directive, parse, walk
from opsnb.kits.nginx.logged import log_of
from opsnb.kits.nginx.probe import parse_answers
from opsnb.kits.nginx.upstreams import upstreams_of
from opsnb.kits.nginx.values import Server

gaps = st.sampled_from(
    ["\n", "\n\n    ", " ", "\t", " # rack 4\n", "\n    # a note; with } and {\n    ", "\n#\n", "  "]
)
lines = st.sampled_from([
    "server 10.0.0.1:80;", "server  10.0.0.2:80  weight=3 ;", 'server "10.0.0.3:80" down;', "server 10.0.0.9:80 max_conns=5;", "ip_hash;",
    "least_conn;", "hash $uri consistent;", "zone shop 64k;", "keepalive 4;", "keepalive_timeout 30s;", "keepalive_requests 10;",
])  # fmt: skip
outside = st.sampled_from(["", "# before 商店\n", "map $a $b { default 1; }\n", "server { listen 80; }\n", "  "])
wanted = st.lists(
    st.builds(Server, address=st.sampled_from([f"10.0.0.{n}:80" for n in range(1, 6)]), weight=st.integers(1, 5)),
    min_size=1, max_size=4, unique_by=lambda one: one.address,
)  # fmt: skip


def block_of(text: str) -> Directive:
    """Return the upstream of a file's text."""
    return next(one for one in walk(parse(text, "a.conf")) if one.name == "upstream")


@given(
    parts=st.lists(st.tuples(gaps, lines), max_size=8),
    last=gaps,
    before=outside,
    after=outside,
    servers=wanted,
    strategy=st.sampled_from(values.STRATEGIES),
    zone=st.sampled_from([None, "", "128k"]),
    keepalive=st.sampled_from([None, 0, 8]),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_only_the_block_changes_and_it_says_what_was_wanted(
    parts, last, before, after, servers, strategy, zone, keepalive, ends
) -> None:  # type: ignore[no-untyped-def]
    """Whatever stood in it, however it was laid out: the rest is kept byte for byte, and a second time changes nothing."""
    body = "".join(gap + line for gap, line in parts) + last
    text = f"{before}upstream shop {{{body}\n}}{after}".replace("\n", ends)
    old = block_of(text)
    tier = render.Tier(name="shop", servers=tuple(servers), strategy=strategy, zone=zone, keepalive=keepalive)
    made = render.replaced_upstream(text, old, tier)
    new = block_of(made)
    assert made[: new.start] == text[: old.start]
    assert made[new.end :] == text[old.end :]
    assert made.count("\n") - made.count("\r\n") == (0 if ends == "\r\n" else made.count("\n"))
    (found,) = upstreams_of(parse("http {" + made + "}", "a.conf"))
    assert [(s.address, s.weight, s.down) for s in found.servers] == [(s.address, s.weight, s.down) for s in servers]
    assert found.method == (strategy if strategy in render.METHODS else "round_robin")
    assert [d.arguments for d in new.named("zone")] == (
        [d.arguments for d in old.named("zone")] if zone is None else [("shop", zone)] if zone else []
    )
    assert bool(new.named("keepalive_timeout")) is (bool(old.named("keepalive_timeout")) and keepalive != 0)
    assert render.replaced_upstream(made, new, tier) == made


@pytest.mark.parametrize(
    "line", ["sticky;", "include servers.conf;", "state /var/x;", "check interval=3000;", "queue 100;", "ntlm;"]
)
def test_a_line_that_is_not_understood_is_refused_with_its_place(line: str) -> None:
    """It may be lost or mean something else with another strategy; nobody guesses."""
    text = f"upstream shop {{\n    server 10.0.0.1;\n    {line}\n}}\n"
    with pytest.raises(UsageError, match=r"^a\.conf:3: '"):
        render.replaced_upstream(text, block_of(text), render.Tier(name="shop", servers=values.servers(["10.0.0.1"])))


def test_a_comment_stays_with_its_server_and_goes_with_it() -> None:
    """Before a server or behind it; that of one that is taken out goes, others stay where they belong."""
    text = "upstream shop { # top\n  # one\n  server 10.0.0.1; # rack 1\n  # two\n  server 10.0.0.2; # rack 2\n  # end\n}\n"
    tier = render.Tier(name="shop", servers=values.servers(["10.0.0.3", "10.0.0.2 weight=2"]))
    assert render.replaced_upstream(text, block_of(text), tier) == (
        "upstream shop { # top\n  server 10.0.0.3;\n  # two\n  server 10.0.0.2 weight=2; # rack 2\n  # end\n}\n"
    )


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        ("", []),
        ("HTTP/1.1 200 OK\r\nX-Node: a\r\n\r\nbody\nopsnb-end 200 0.001\n", [200]),
        ("\nopsnb-end 000 3.000\nHTTP/1.1 502 Bad\r\n\r\n\nopsnb-end 502 0.2\n", [0, 502]),
    ],
)
def test_what_curl_said_is_taken_apart(said: str, statuses: list[int]) -> None:
    """An answer that never came is one too."""
    assert [one.status for one in parse_answers(said)] == statuses


@pytest.mark.parametrize(
    ("log", "line", "who"),
    [
        ("log_format x '$http_user_agent|$upstream_addr'; access_log /l x;", "opsnb|10.0.0.1:80, 10.0.0.2:80", "10.0.0.1:80, 10.0.0.2:80"),
        ("log_format x '[$upstream_addr] \"$http_user_agent\"'; access_log /l x buffer=4k;", '[unix:/a] "o"', "unix:/a"),
        ("access_log /l combined;", "", None),
        ("access_log off;", "", None),
        ("log_format x '$upstream_addr'; access_log /l x;", "", None),
        ("log_format x '$http_user_agent $upstream_addr'; access_log syslog:server=a x;", "", None),
    ],
)  # fmt: skip
def test_the_access_log_is_used_only_when_its_format_tells(log: str, line: str, who: str | None) -> None:
    """Who answered and whose request it was; otherwise another way is taken."""

    class Seen:
        class installation:  # noqa: N801  (stands for a value)
            prefix = "/p"

    http = parse(f"http {{ {log} server {{ location / {{ }} }} }}", "x")[0]
    found = log_of(Seen, (http,))  # type: ignore[arg-type]
    if who is None:
        assert found is None
        return
    assert found is not None
    match = found.line.fullmatch(line)
    assert match is not None
    assert match["upstream_addr"] == who
