"""Rules of draining, weighing and returning: what is edited, what is refused with which words, who gets which share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits.nginx import shifthealth, shiftlog, shiftrules, shiftshares, shiftwatch, shiftwords
from opsnb.kits.nginx.access.formats import from_arguments, parse_format
from opsnb.kits.nginx.grammar import parse
from opsnb.kits.nginx.shiftlog import Seen
from opsnb.kits.nginx.shiftrules import Wanted
from opsnb.kits.nginx.upstreams import Upstream, upstreams_of

TWO = """\
http {
  upstream shop {
    server 10.0.0.1:8000 weight=3;  # app1
    server 10.0.0.2:8000;
    server 10.0.0.9:8000 backup;
  }
  upstream api { server 10.0.0.1:8000; server app.example; server unix:/run/api.sock down; }
}
"""


def upstreams(text: str) -> tuple[Upstream, ...]:
    """Return the upstreams of a configuration's text."""
    return upstreams_of(parse(text, "f"))


def edited(text: str, wanted: Wanted) -> list[str]:
    """Return the text after each step."""
    chosen = shiftrules.choose(upstreams(text), wanted)
    return [edits["f"] for edits in shiftrules.steps(chosen, wanted, {"f": text})]


def one(servers: str, method: str = "") -> str:
    """Return a configuration with one upstream."""
    return f"http {{ upstream shop {{ {method} {servers} }} }}"


def test_a_drain_keeps_the_line_and_a_return_gives_the_old_text_back():
    """Down is one word behind the others; the weight stays in the line, so that the return needs none."""
    drain = Wanted(action="drain", server="10.0.0.1:8000", upstream="shop")
    [down] = edited(TWO, drain)
    assert down == TWO.replace("weight=3;", "weight=3 down;")
    assert edited(down, drain) == []
    assert edited(down, Wanted(action="return", server="10.0.0.1:8000", upstream="shop")) == [TWO]


def test_steps_are_texts_of_their_own_and_those_without_a_change_are_none():
    """From 3 by 3 and 2 to 1 is two steps; a return begins with the first weight."""
    wanted = Wanted(action="weight", server="10.0.0.1:8000", upstream="shop", steps=(3, 2), weight=1)
    assert edited(TWO, wanted) == [TWO.replace("weight=3", f"weight={n}") for n in (2, 1)]
    down = TWO.replace("10.0.0.2:8000;", "10.0.0.2:8000 down;")
    wanted = Wanted(action="return", server="10.0.0.2:8000", upstream="shop", steps=(2,), weight=4)
    assert edited(down, wanted) == [TWO.replace("10.0.0.2:8000;", f"10.0.0.2:8000 weight={n};") for n in (2, 4)]


def test_every_line_of_a_back_end_is_drained():
    """Two lines with one address are one back end; a weight of it is refused with both lines."""
    text = one("server a:1;\nserver b:1;\nserver a:1 weight=2;")
    assert edited(text, Wanted(action="drain", server="a:1")) == [
        one("server a:1 down;\nserver b:1;\nserver a:1 weight=2 down;")
    ]
    with pytest.raises(UsageError, match=r"a:1 stands on 2 lines of shop \(1, 3\)"):
        edited(text, Wanted(action="weight", server="a:1", weight=5))


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ("server a:1;", "a:1 is the last back end of shop that is up .*502"),
        ("server a:1; server b:1 down;", "the last back end"),
        ("server a:1; server b:1 backup;", r"only backup servers of shop would be left \(b:1\)"),
        ("server a:1; server b:1 down; server c:1 backup; server d:1 backup;", r"\(c:1, d:1\)"),
    ],
)
def test_a_drain_that_leaves_nobody_is_refused(servers: str, words: str):
    """The last one that is up, or only backups left: the reason and the next move."""
    with pytest.raises(UsageError, match=words) as caught:
        edited(one(servers), Wanted(action="drain", server="a:1"))
    assert "return another" in caught.value.hint
    assert edited(one("server a:1 down; server b:1;"), Wanted(action="drain", server="a:1")) == []


def test_which_back_end_is_meant():
    """By address, without the port 80, as a host of the run; unknown ones with the nearest, ambiguous ones with where."""
    found = upstreams(TWO)
    assert shiftrules.choose(found, Wanted(action="drain", server="app.example:80")).upstream.name == "api"
    assert shiftrules.choose(found, Wanted(action="drain", server="unix:/run/api.sock")).down
    names = {"app2": ["10.0.0.2"], "app1": ["10.0.0.1"], "app7": ["10.0.0.7"]}
    chosen = shiftrules.choose(found, Wanted(action="drain", server="app2"), names)
    assert (chosen.address, chosen.elsewhere) == ("10.0.0.2:8000", ())
    shop = shiftrules.choose(found, Wanted(action="drain", server="app1", upstream="shop"), names)
    assert [u.name for u in shop.elsewhere] == ["api"]
    with pytest.raises(UsageError, match=r"2 upstreams have app1: shop \(f:2\), api \(f:7\)"):
        shiftrules.choose(found, Wanted(action="drain", server="app1"), names)
    for server, near in (("10.0.0.3:8000", "10.0.0"), ("10.0.0.2:800", "10.0.0.2:8000"), ("app7", "")):
        with pytest.raises(NotFoundError, match="no upstream has a server") as caught:
            shiftrules.choose(found, Wanted(action="drain", server=server), names)
        assert near in caught.value.hint
    with pytest.raises(NotFoundError, match="no upstream 'shp'") as caught:
        shiftrules.choose(found, Wanted(action="drain", server="a", upstream="shp"))
    assert "did you mean shop?" in caught.value.hint


def test_an_upstream_name_that_is_there_twice_is_refused_with_both_places():
    """One in http and one in stream."""
    text = one("server a:1; server b:1;") + "\nstream { upstream shop { server a:1; server b:1; } }"
    with pytest.raises(UsageError, match="the upstream shop is there 2 times: f:1 and f:2"):
        shiftrules.choose(upstreams(text), Wanted(action="drain", server="a:1", upstream="shop"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"action": "drop"}, "the action is 'drop'"),
        ({"action": "drain", "weight": 3}, "a drain takes no weight"),
        ({"action": "weight"}, "no weight is given"),
        ({"action": "weight", "weight": 70_000}, "from 1 to 65535"),
        ({"action": "weight", "steps": (0,)}, "from 1 to 65535"),
        ({"action": "weight", "steps": (True,)}, "from 1 to 65535"),
        ({"action": "weight", "steps": (1,) * 21}, "at most 20"),
        ({"action": "drain", "server": ""}, "no server is named"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(values: dict[str, object], words: str):
    """Names the value, what was found and what was wanted."""
    with pytest.raises(UsageError, match=words):
        Wanted(**{"server": "a:1", **values})  # type: ignore[arg-type]


@given(
    weights=st.lists(st.integers(1, 50), min_size=2, max_size=8),
    flags=st.lists(st.sampled_from(["", " down", " backup"]), min_size=8, max_size=8),
    target=st.integers(0, 7),
)
def test_shares_are_weights_and_a_drain_gives_its_share_to_the_others(weights, flags, target):
    """Shares sum to one; a drained back end has none; the ratios of the others stay as they were."""
    servers = " ".join(f"server s{n}:1 weight={w}{f};" for n, (w, f) in enumerate(zip(weights, flags, strict=False)))
    text, name = one(servers), f"s{target % len(weights)}:1"
    before = shiftshares.shares(upstreams(text)[0].servers)
    assert sum(before.values()) == pytest.approx(1 if any("down" not in f for f in flags[: len(weights)]) else 0)
    try:
        changed = edited(text, Wanted(action="drain", server=name))
    except UsageError:
        return
    if not changed:  # it was down already
        assert before[name] == 0
        return
    after = shiftshares.shares(upstreams(changed[0])[0].servers)
    assert after[name] == 0
    assert sum(after.values()) == pytest.approx(1)
    for other in before:
        if other != name and before[other]:
            assert after[other] * (1 - before[name]) == pytest.approx(before[other])


def test_the_table_of_shares_says_what_becomes_of_whom():
    """Alike balancers share rows; the factor of the load stands beside the shares."""
    wanted = Wanted(action="drain", server="10.0.0.2:8000", upstream="shop")
    before = upstreams(TWO)[0].servers
    after = upstreams(edited(TWO, wanted)[0])[0].servers
    sharing = shiftshares.Sharing(upstream="shop", method="round_robin", before=before, after=after)
    table = shiftshares.shares_table({"web1": sharing, "web2": sharing})
    assert table.to_dict("list") == {
        "balancer": ["web1, web2"] * 3,
        "server": ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.9:8000"],
        "now": ["weight 3", "weight 1", "backup"],
        "share now (%)": [75.0, 25.0, 0.0],
        "then": ["weight 3", "down", "backup"],
        "share then (%)": [100.0, 0.0, 0.0],
        "load": ["x 1.33", "none", "as now"],
    }
    title = shiftshares.shares_chart({"web1": sharing}).axes[0].get_title(loc="left")
    assert title == "Share of requests, % (web1)"


def test_connections_are_those_of_nginx_and_nobody_elses():
    """A socket counts when a worker holds it and the back end is at its other end; an answer that is cut is refused."""
    text = (
        "worker 7 nginx: worker process\nsocket 7 100\nsocket 7 101\n"
        "worker 5 nginx: worker process is shutting down\nsocket 5 102\nline 101\nline 102\nline 999\nunix\nend\n"
    )
    sight = shiftwatch.parse_sight(text)
    assert (sight.connections, sight.leaving, sight.workers, sight.drained) == (3, 1, 2, False)
    assert shiftwatch.parse_sight("worker 7 nginx: worker process\nsocket 7 1\nline 2\nend").drained
    with pytest.raises(OpsnbError, match="ended early"):
        shiftwatch.parse_sight(text.removesuffix("end\n"))


def test_ends_are_written_as_the_kernel_writes_them():
    """IPv4, the same in an IPv6 socket, IPv6: little endian by words."""
    assert shiftwatch.ends_of(["127.0.0.1"], 8000) == ["0100007F:1F40", "0000000000000000FFFF00000100007F:1F40"]
    assert shiftwatch.ends_of(["2001:db8::1"], 80) == ["B80D0120000000000000000001000000:0050"]
    assert [shiftwatch.split(a) for a in ("10.0.0.1:8000", "[::1]:81", "[::1]", "app")] == [
        ("10.0.0.1", 8000), ("::1", 81), ("::1", 80), ("app", 80)
    ]  # fmt: skip


def test_tries_at_a_back_end_are_counted_from_a_log():
    """Each try counts with its own status; a line that is not in the format is counted as such."""
    form = from_arguments(("t", "$remote_addr $status $upstream_addr $upstream_status"))
    text = (
        "9.9.9.9 200 10.0.0.1:80 200\n9.9.9.9 200 10.0.0.1:80, 10.0.0.2:80 502, 200\n9.9.9.9 504 10.0.0.2:80 504\n"
        "9.9.9.9 200 10.0.0.1:80 : 10.0.0.2:80 200 : 200\n9.9.9.9 499 10.0.0.1:80 -\ngarbage\n"
    )
    assert shiftlog.count(text, form, "10.0.0.1:80") == Seen(requests=4, errors=2, told=True, others=1)
    assert shiftlog.count(text, form, "10.0.0.2:80") == Seen(requests=3, errors=1, told=True, others=1)
    plain = parse_format("combined")
    line = '1.2.3.4 - - [26/Nov/2026:01:00:00 +0000] "GET / HTTP/1.1" {} 5 "-" "x"\n'
    seen = shiftlog.count("".join(line.format(status) for status in (200, 404, 500, 502)), plain, "10.0.0.1:80")
    assert (seen.requests, seen.errors, seen.told, seen.percent) == (4, 2, False, 50.0)
    with pytest.raises(OpsnbError, match=r"step 2 was not begun: 2 errors in 4 requests .*50.0 %, at most 49 %"):
        shiftlog.ensure(seen, "10.0.0.1:80", 49, "step 2")
    shiftlog.ensure(seen, "10.0.0.1:80", 50, "step 2")


@pytest.mark.parametrize(
    ("line", "scheme"),
    [
        ("proxy_pass http://shop/x;", "http"), ("proxy_pass https://shop;", "https"), ("uwsgi_pass shop;", "tcp"),
        ("fastcgi_pass shop;", "tcp"), ("grpc_pass grpc://shop;", "tcp"), ("proxy_pass http://other;", "http"),
        ("proxy_pass http://$where;", "http"),
    ],
)  # fmt: skip
def test_how_an_upstream_is_spoken_to(line: str, scheme: str):
    """By what passes to it; plain HTTP where nothing says."""
    tree = parse(f"http {{ server {{ location / {{ {line} }} }} }}", "f")
    assert shifthealth.scheme_of(tree, "shop") == scheme


def test_what_moves_under_ip_hash_is_told():
    """A drain moves its own clients, a third of three; a weight moves many more; other methods tell nothing."""
    text = one("server 10.0.0.1:80; server 10.0.0.2:80; server 10.0.0.3:80;", "ip_hash;")

    def told(wanted: Wanted) -> float:
        [note] = shiftwords.moved(upstreams(text)[0], upstreams(edited(text, wanted)[-1])[0].servers)
        return float(note.split(" % ")[0].rpartition(" ")[2])

    assert told(Wanted(action="drain", server="10.0.0.2")) == pytest.approx(33.3, abs=3)
    assert told(Wanted(action="weight", server="10.0.0.2", weight=2)) > 50
    plain = upstreams(text.replace("ip_hash;", ""))[0]
    assert shiftwords.moved(plain, plain.servers[:2]) == []
