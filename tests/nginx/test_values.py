"""Values of an nginx configuration: what we let through nginx takes, what we say nginx refuses it refuses."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile.values import values as hostile
from nginx.tiers import NGINX
from opsnb.base.errors import UsageError
from opsnb.kits.nginx import kinds, render, values
from opsnb.kits.nginx.values import Server, check_tier, server, servers

T = TypeVar("T")
CONF = """\
pid {root}/pid; error_log {root}/error.log;
events {{ }}
http {{ {text}
}}
"""
DIRECTIVES = (
    "; }", "}", "{", "a; include /etc/passwd", "$()", "`id`", "a\nlua_code_cache off;", "a;\nload_module x.so;", "${host}", "$host",
    "a #", "#", "\\", "a\\;", "'", '"', "'a'", '"a;"', "a b", " a", "a ", "\ta", "a\r\nserver b;", "a;b", "a{b}", "@x", "~.*", "%00",
    "unix:/a b", "unix:/a;", "unix:a", "unix:/../x", "unix:/" + "a" * 200, "10.0.0.1;", "[::1", "[::1]]", "[g::]", "[::1%eth0]:80",
    "set_by_lua_block { }", "content_by_lua 'os.execute()'", "a:80 weight=1;", "a:80 weight=$x", "a:80 weight=1}", "e\u0301", "a\u2028",
)  # fmt: skip
KINDS = (
    kinds.upstream_name, kinds.zone_size, kinds.size, kinds.time, kinds.header_name, kinds.address, kinds.cidr, kinds.server_name,
    kinds.listen, kinds.mime_type, kinds.path, server,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for configurations that are only tested."""
    return tmp_path_factory.mktemp("values")


def nginx_takes(folder: Path, text: str) -> tuple[bool, str]:
    """Whether nginx takes a configuration, and what it said."""
    path = folder / "nginx.conf"
    path.write_text(CONF.format(root=folder, text=text))
    done = subprocess.run([NGINX, "-t", "-p", str(folder), "-c", str(path), "-e", str(folder / "e")],
                          capture_output=True, text=True, check=False)  # fmt: skip
    return done.returncode == 0, done.stderr


def tried(call: Callable[[], T]) -> tuple[T | None, str]:
    """Return what a call gave, or the words in which it was refused."""
    try:
        return call(), ""
    except UsageError as error:
        return None, error.message


def upstream(lines: list[str], method: str = "") -> str:
    """Return an upstream block."""
    rows = "".join(f"    server {line};\n" for line in lines)
    return f"upstream shop {{\n    {method}\n{rows}}}\n"


addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda a: f"[{a}]"),
    st.sampled_from(["localhost", "unix:/run/app.sock", "127.0.0.1", "[::]", "255.255.255.255"]),
)
ports = st.one_of(st.just(""), st.integers(0, 70_000).map(lambda n: f":{n}"), st.sampled_from([":080", ":", ":x"]))
numbers = st.one_of(
    st.integers(-1, 70_000).map(str),
    st.sampled_from(["", "0", "00", "1.5", "1e3", "0x1", "+1", "99999999999999999999"]),
)
times = st.one_of(st.integers(0, 99_999).map(str), st.integers(0, 999).map(lambda n: f"{n}s"),
                  st.sampled_from(["1m", "2h", "1d", "500ms", "1M", "1y", "1w", "", "s", "1m30s", "-1", "1s1m"]))  # fmt: skip
words = st.one_of(
    numbers.map("weight={}".format), numbers.map("max_fails={}".format), numbers.map("max_conns={}".format),
    times.map("fail_timeout={}".format),
    st.sampled_from(["backup", "down", "resolve", "slow_start=30s", "weight", "route=a", "drain", "BACKUP", "service=http"]),
)  # fmt: skip
lines = st.builds(
    lambda a, p, w: " ".join([a + ("" if a.startswith("unix") else p), *w]),
    addresses,
    ports,
    st.lists(words, max_size=4),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=lines)
def test_a_server_line_that_is_let_through_is_taken_by_nginx(folder: Path, line: str) -> None:
    """And one that is refused because nginx refuses it, nginx refuses."""
    found, refused = tried(lambda: server(line))
    if found is None:
        assert "nginx refuses" not in refused or not nginx_takes(folder, upstream(["127.0.0.9", line]))[0], refused
        return
    assert nginx_takes(folder, upstream(["127.0.0.9:9", str(found)]))[0], line
    assert server(str(found)) == found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from([*values.STRATEGIES, "hash", "random"]),
    flags=st.lists(st.sampled_from(["", "backup", "down", "backup down", "weight=2"]), max_size=4),
)
def test_what_goes_together_is_what_nginx_takes(folder: Path, method: str, flags: list[str]) -> None:
    """Strategies with backup and down servers, none at all among them."""
    given_lines = [f"127.0.0.{n}:80 {flag}".strip() for n, flag in enumerate(flags, 1)]
    line = {"hash": "hash $uri;", "round_robin": "", "weighted": ""}.get(method, f"{method};")
    taken, said = nginx_takes(folder, upstream(given_lines, line))
    _, refused = tried(lambda: check_tier(method, tuple(map(server, given_lines))))
    assert taken is (not refused or "it is refused because" in refused), (refused, said)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    zone=st.sampled_from([None, "32k", "64k", "1m", "99999"]),
    keepalive=st.sampled_from([None, 0, 1, 16, 10_000]),
    listen=st.sampled_from(["8080", "127.0.0.1:1", "[::1]:2 default_server", "*:3 reuseport", "localhost:4"]),
    names=st.lists(
        st.sampled_from(["_", "a.example", "*.b.example", "x_y.example", "127.0.0.1"]), min_size=1, unique=True
    ),
    networks=st.lists(st.sampled_from(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"]), unique=True),
    header=st.sampled_from(["X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP"]),
    types=st.lists(st.sampled_from(["text/html", "text/css", "application/json"]), unique=True),
    status=st.sampled_from(["", "/nginx_status", "/a/b~c"]),
)
def test_every_file_that_is_rendered_is_taken_by_nginx(folder: Path, data, zone, keepalive, **site) -> None:  # type: ignore[no-untyped-def]
    """Whatever the values are; and a warning is said by none."""
    count = data.draw(st.integers(1, 4))
    strategy = data.draw(st.sampled_from(values.STRATEGIES))
    given_servers = servers(f"127.0.0.{n}:80 weight={n}" for n in range(1, count + 1))
    block = render.Site(listen=site["listen"], names=tuple(site["names"]), real_ip_from=tuple(site["networks"]), gzip=True,
                        real_ip_header=site["header"], gzip_types=tuple(site["types"]), status_path=site["status"])  # fmt: skip
    tier = render.Tier(name="shop", servers=given_servers, strategy=strategy, zone=zone, keepalive=keepalive)
    taken, said = nginx_takes(folder, render.new_file(tier, block, "shop"))
    assert taken, said
    assert "[warn]" not in said.replace('the "user" directive makes sense only', "")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_that_ends_or_begins_a_directive_is_of_any_kind(kind) -> None:  # type: ignore[no-untyped-def]
    """No directive, quote, brace, variable, blank or line end, and none of the hostile values that hold one."""
    let_through = []
    for value in (*DIRECTIVES, *hostile()):
        try:
            let_through.append(str(kind(value)))
        except UsageError:
            continue
    blank = " " if kind in {kinds.listen, server} else ""
    assert [
        v
        for v in let_through
        if not v.isascii() or not v.isprintable() or set(v) & set(";{}\"'\\$#`()|<>" + (" " if not blank else ""))
    ] == []
    assert len(let_through) < 40


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("10.0.0.1", "10.0.0.1:80"), ("10.0.0.1:8000", "10.0.0.1:8000"), ("[::1]", "[::1]:80"), ("[::1]:8000", "[::1]:8000"),
        ("app.example", "app.example:80"), ("unix:/run/a.sock", "unix:/run/a.sock"), ("server app_1:81 down;", "app_1:81"),
    ],
)  # fmt: skip
def test_an_address_has_a_port(line: str, address: str) -> None:
    """80 when none is written, so that two lines that mean one server are found."""
    assert server(line).endpoint == address


@pytest.mark.parametrize(
    ("lines", "strategy", "reason"),
    [
        (["a:1", "b:1 backup"], "ip_hash", "nginx refuses 'backup' (at b:1) together with ip_hash"),
        (["a:1 backup"], "round_robin", "backup servers only"),
        (["a:1 down", "b:1 down"], "least_conn", "every server is down"),
        (["a:80", "a"], "round_robin", "given twice"),
        ([], "round_robin", "no server is given"),
        (["a:1"], "fastest", "the strategy is 'fastest'"),
        (["a:1 weight=0"], "weighted", "nginx refuses weight=0"),
        (["a:1 slow_start=3s"], "weighted", "NGINX Plus"),
        (["a:1 resolve"], "weighted", "1.27.3"),
        (["10.0.0.256:1"], "weighted", "is not an IPv4 address"),
        (["a:1 weight=2 weight=3"], "weighted", "'weight' is given twice"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_reason(lines: list[str], strategy: str, reason: str) -> None:
    """Before anything is rendered."""
    with pytest.raises(UsageError) as caught:
        render.Tier(name="shop", servers=servers(lines), strategy=strategy)
    assert reason in caught.value.message


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "a", ""])
def test_a_network_is_one_and_not_everybody(network: str) -> None:
    """Believing everybody about the client's address would let anyone forge it."""
    with pytest.raises(UsageError):
        kinds.cidr(network)


def test_two_strategies_are_only_a_warning_to_nginx(folder: Path) -> None:
    """Which is why one parameter holds the strategy here: nginx would take the last and say so in a log."""
    taken, said = nginx_takes(folder, upstream(["127.0.0.1"], "least_conn; ip_hash;"))
    assert taken
    assert "load balancing method redefined" in said


@given(st.builds(Server, address=st.just("10.0.0.1:80"), weight=st.integers(1, 65_535), max_conns=st.integers(0, 10**6),
                 max_fails=st.integers(0, 10**6), fail_timeout=st.sampled_from(["10s", "0", "1m"]), backup=st.booleans(),
                 down=st.booleans()))  # fmt: skip
def test_a_server_is_written_as_it_is_read(one: Server) -> None:
    """Both ways."""
    assert server(str(one)) == one
