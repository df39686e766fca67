"""ip_hash: what is predicted is what a real nginx does, for hundreds of random addresses; everything else is refused."""

from __future__ import annotations

import http.client
import random
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nginx.tiers import NGINX, Nginx
from opsnb.base.errors import UsageError
from opsnb.kits import nginx
from opsnb.kits.nginx import iphash, iphashproof
from places import wait_for
from ports import quiet_ports

needs_nginx = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed here")
NODES = 5
TIERS = {
    "even": ["{0}", "{1}", "{2}"],
    "weights": ["{0} weight=5", "{1}", "{2} weight=2", "{3} weight=3"],
    "down": ["{0}", "{1} down", "{2}", "{3}"],
    "weights and down": ["{0} weight=2", "{1} weight=7 down", "{2} weight=3", "{3}", "{4} weight=4"],
    "mostly down": ["{0} weight=100 down", "{1} weight=90 down", "{2}", "{3}"],
    "one left": ["{0} down", "{1}", "{2} down"],
    "another order": ["{2}", "{0}", "{1}"],
    "one": ["{4}"],
}  # fmt: skip


class Tier:
    """A balancer with one upstream and one port for each tier, and back ends that say who they are."""

    def __init__(self, root: Path) -> None:
        ports = quiet_ports(NODES + len(TIERS) + 2)
        self.nodes = [f"127.0.0.1:{port}" for port in ports[:NODES]]
        self.ports = dict(zip([*TIERS, "mapped", "names"], ports[NODES:], strict=True))
        self.name_port = ports[0]
        self.nginx = Nginx(root, workers=2)
        self.nginx.add(
            "tiers.conf", "set_real_ip_from 127.0.0.1; real_ip_header X-Client;\n" + "".join(map(self._tier, TIERS))
        )
        both = "listen 127.0.0.1:{0}; listen [::1]:{0};"
        self.nginx.add("nodes.conf", "".join(
            f"server {{ {both.format(n.rpartition(':')[2])} location / {{ return 200 $server_addr:$server_port; }} }}\n"
            for n in self.nodes))  # fmt: skip
        self.nginx.add(
            "more.conf",
            f"""
            upstream mapped {{ ip_hash; {" ".join(f"server {n} max_fails=0;" for n in self.nodes[:4])} }}
            server {{ listen [::]:{self.ports["mapped"]} ipv6only=off; location / {{ proxy_pass http://mapped; }} }}
            upstream names {{ ip_hash; server localhost:{self.name_port} weight=2 max_fails=0; server {self.nodes[1]} max_fails=0; }}
            server {{ listen 127.0.0.1:{self.ports["names"]}; location / {{ proxy_pass http://names; }} }}""",
        )
        self.nginx.start()

    def _tier(self, name: str) -> str:
        servers = "".join(f"server {line} max_fails=0;" for line in self.lines(name))
        word = name.replace(" ", "_")
        return (f"upstream {word} {{ ip_hash; {servers} }} server {{ listen {self.ports[name]}; "
                f"location / {{ proxy_pass http://{word}; }} }}\n")  # fmt: skip

    def lines(self, name: str) -> list[str]:
        """The server lines of a tier."""
        return [line.format(*self.nodes) for line in TIERS[name]]

    @contextmanager
    def line(self, port: int, source: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
        """A connection to the balancer."""
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))) as line:
            yield line

    def met(self, port: int, addresses: list[str]) -> list[str]:
        """Which node each address meets: it comes in the header that nginx restores it from."""
        with self.line(port) as line:
            return [self.ask(line, {"X-Client": address}) for address in addresses]

    def ask(self, line: http.client.HTTPConnection, headers: dict[str, str]) -> str:
        """One request; the node that answered."""
        line.request("GET", "/", headers=headers)
        return line.getresponse().read().decode()


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    """The balancer of this module."""
    made = Tier(tmp_path_factory.mktemp("iphash") / "n")
    try:
        yield made
    finally:
        made.nginx.stop()


@pytest.fixture
def rng() -> random.Random:
    """Random numbers whose seed is printed, so that a failure can be seen again."""
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    return random.Random(seed)  # noqa: S311  (to be repeated, not to be secret)


def addresses_of(rng: random.Random, count: int) -> list[str]:
    """Random addresses, from a third as many /24s, so that most networks are met more than once."""
    networks = [f"{rng.randint(1, 223)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}" for _ in range(count // 3)]
    return [f"{rng.choice(networks)}.{rng.randint(1, 254)}" for _ in range(count)]


@needs_nginx
@pytest.mark.parametrize("name", TIERS)
def test_every_prediction_is_right(tier: Tier, rng: random.Random, name: str) -> None:
    """600 random addresses of about 200 networks: each meets the predicted server, with weights and with some down."""
    asked = addresses_of(rng, 600)
    found = iphash.predict_all(asked, iphash.peers_of_lines(tier.lines(name)))
    assert len({row.address.rpartition(".")[0] for row in found}) > 100
    wanted = {row.address: row.server for row in found}
    met = dict(zip(asked, tier.met(tier.ports[name], asked), strict=True))
    known = {address for address, server in wanted.items() if server != iphash.UNPREDICTABLE}
    assert {address: met[address] for address in known} == {address: wanted[address] for address in known}
    if (
        name != "mostly down"
    ):  # the hash of one address in some thousand stands still, and then on a server that is down
        assert len(known) >= len(wanted) * 0.97
    else:  # who is down for nearly everybody leaves some to round robin, and they are said
        assert 0 < len(wanted) - len(known) < len(wanted)


@needs_nginx
def test_source_addresses_are_hashed_alike(tier: Tier, rng: random.Random) -> None:
    """500 loopback addresses as the connections' own, without any header."""
    peers = iphash.peers_of_lines(tier.lines("weights"))
    for _ in range(500):
        address = f"127.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
        with tier.line(tier.ports["weights"], address) as line:
            assert tier.ask(line, {}) == iphash.predict(address, peers).server, address


@needs_nginx
def test_ipv6_counts_as_a_whole(tier: Tier, rng: random.Random) -> None:
    """All 16 octets; an IPv4 client on an IPv6 socket is one too."""
    asked = [f"2001:db8::{rng.randint(0, 65535):x}:{rng.randint(1, 65535):x}" for _ in range(300)]
    peers = iphash.peers_of_lines(tier.lines("weights and down"))
    met = dict(zip(asked, tier.met(tier.ports["weights and down"], asked), strict=True))
    known = {row.address: row.server for row in iphash.predict_all(asked, peers) if row.peer}
    assert {address: met[address] for address in known} == known
    assert len(known) >= len(met) * 0.97
    four = iphash.peers_of_lines(tier.nodes[:4])
    other = 0
    for number in range(1, 60):
        address = f"127.0.{number}.7"
        with tier.line(tier.ports["mapped"], address) as line:
            met = tier.ask(line, {})
        assert met == iphash.predict(f"::ffff:{address}", four).server
        other += met != iphash.predict(address, four).server
    assert other > 10  # so the difference matters


@needs_nginx
def test_a_name_counts_each_of_its_addresses(tier: Tier, rng: random.Random) -> None:
    """The server ``localhost`` is two where it has two addresses, IPv4 first, each with the whole weight."""
    found = nginx.read("localhost", str(tier.nginx.conf))
    resolved = iphashproof.resolve("localhost", ["localhost"])
    peers = iphash.peers_of_upstream(found.upstream("names"), resolved)
    assert [(p.endpoint, p.weight) for p in peers[:1]] == [(f"127.0.0.1:{tier.name_port}", 2)]
    if [family for family, *_ in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)].count(socket.AF_INET6):
        assert peers[1].endpoint == f"[::1]:{tier.name_port}"
    asked = addresses_of(rng, 300)
    met = [end.replace("::1:", "[::1]:") for end in tier.met(tier.ports["names"], asked)]
    ends = {p.address: p.peer.endpoint for p in iphash.predict_all(asked, peers) if p.peer}
    assert dict(zip(asked, met, strict=True)) == ends


@needs_nginx
def test_the_configuration_is_the_source(tier: Tier) -> None:
    """The servers of an upstream as they are read from the host, each with its file and line."""
    upstream = nginx.read("localhost", str(tier.nginx.conf)).upstream("weights_and_down")
    peers = iphash.peers_of_upstream(upstream)
    assert [(p.address, p.weight, p.down) for p in peers] == [
        (tier.nodes[0], 2, False), (tier.nodes[1], 7, True), (tier.nodes[2], 3, False), (tier.nodes[3], 1, False),
        (tier.nodes[4], 4, False)]  # fmt: skip
    assert peers[0].where == f"{tier.nginx.root}/conf.d/tiers.conf:{upstream.line}"


def test_one_network_meets_one_server() -> None:
    """By hand: 89, then 10, 0, 0; the last octet does not count."""
    value = (((89 * 113 + 10) % 6271 * 113 + 0) % 6271 * 113 + 0) % 6271
    peers = iphash.peers_of_lines(["10.0.0.1:8080 weight=2", "10.0.0.2"])
    wanted = "10.0.0.1:8080" if value % 3 < 2 else "10.0.0.2"
    assert {iphash.predict(f"10.0.0.{n}", peers).server for n in range(256)} == {wanted}
    assert iphash.predict("10.0.0.9", peers) == iphash.Prediction(
        address="10.0.0.9", server=wanted, peer=peers[wanted == "10.0.0.2"], tries=1
    )


def test_what_cannot_be_said_is_not_said() -> None:
    """Every server down: nobody; 21 times a server that is down: round robin."""
    up = iphash.Peer(address="a", endpoint="a", weight=1)
    down = iphash.Peer(address="b", endpoint="b", weight=1, down=True)
    assert iphash.predict("1.2.3.4", [down, down]).server == iphash.NOBODY
    assert iphash.predict("1.2.3.4", [down]).server == iphash.NOBODY
    heavy = iphash.Peer(address="b", endpoint="b", weight=65535, down=True)
    found = iphash.predict("1.2.3.4", [heavy, up, up])
    assert (found.server, found.peer, found.tries) == (iphash.UNPREDICTABLE, None, 21)
    assert iphash.predict("1.2.3.4", [heavy, up]).server == "a"  # round robin has no choice


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=8), st.ip_addresses())
def test_a_prediction_is_one_of_the_servers_that_are_up(rows, address) -> None:
    """Whatever the weights: a server that is up, or one of the two other words, always the same."""
    peers = [iphash.Peer(address=str(n), endpoint=str(n), weight=w, down=down) for n, (w, down) in enumerate(rows)]
    found = iphash.predict(str(address), peers)
    assert found == iphash.predict(str(address), peers)
    up = {peer.address for peer in peers if not peer.down}
    assert found.server in (up | {iphash.UNPREDICTABLE} if up else {iphash.NOBODY})
    assert found.tries <= iphash.TRIES + 1


@pytest.mark.parametrize("address", ["", "10.0.0", "10.0.0.0/24", "10.0.0.1:80", "[::1]", "fe80::1%eth0", "web1", "010.0.0.1", "1.2.3.4\n", "::ffff:1.2.3", "١.2.3.4", "10.0.0.256", "$(id)", "; }"])  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    """By name, on one line, with what was wanted."""
    with pytest.raises(UsageError, match="it is one IPv4 or IPv6 address") as refusal:
        iphash.predict(address, iphash.peers_of_lines(["10.0.0.1"]))
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["10.0.0.1", "10.0.0.2 backup"], "nginx refuses 'backup' (at 10.0.0.2) together with ip_hash"),
        ([], "no server is given"),
        (["app.example:80"], "the server 'app.example:80' is a name, and each of its addresses counts as a server"),
        (["10.0.0.1 down"], "every server is down"),
        (["10.0.0.1; }"], "the server line '10.0.0.1; }'"),
    ],
)
def test_servers_that_nginx_would_refuse_are_refused(lines: list[str], why: str) -> None:
    """With nginx's reason."""
    with pytest.raises(UsageError) as refusal:
        iphash.peers_of_lines(lines)
    assert refusal.value.message.startswith(why)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("server 10.0.0.1;", "x:1: the upstream 'u' is balanced by round_robin, not by ip_hash"),
        (
            "ip_hash; server 10.0.0.1;\nserver 10.0.0.2 backup;",
            "x:2: nginx refuses 'backup' (at 10.0.0.2) together with ip_hash",
        ),
        ("ip_hash;\n\nserver app:8000;", "x:3: the host has no address for 'app'"),
    ],
)
def test_an_upstream_that_cannot_be_predicted_is_refused_with_its_line(body: str, why: str) -> None:
    """Another method, a backup, a name that is nobody's."""
    (found,) = nginx.upstreams.upstreams_of(nginx.parse(f"http {{ upstream u {{ {body} }} }}", "x"))
    with pytest.raises(UsageError) as refusal:
        iphash.peers_of_upstream(found)
    assert refusal.value.message.startswith(why)


def test_addresses_are_bounded() -> None:
    """None at all, or too many, are refused; the same one twice stands once."""
    peers = iphash.peers_of_lines(["10.0.0.1", "10.0.0.2"])
    for count in (0, iphash.MAX_ADDRESSES + 1):
        with pytest.raises(UsageError, match="client addresses are given"):
            iphash.predict_all((str(n) for n in range(count)), peers)
    assert len(iphash.predict_all(["10.0.0.1", "10.0.0.1"], peers)) == 1


LOGS = [
    ("$remote_addr ua=$upstream_addr", "10.0.0.1 ua=10.1.0.1:80", [("10.0.0.1", "10.1.0.1:80", None)]),
    ("$msec|${remote_addr}|$upstream_addr|", "1700000000.5|::1|[::1]:80, 10.1.0.2:80|", [("::1", "[::1]:80", 1700000000.5)]),
    ('$remote_addr [$time_iso8601] "$request" $upstream_addr', '1.1.1.1 [2026-01-01T00:00:00+00:00] "GET /a b" 10.1.0.3:80 : 10.1.0.4:80', [("1.1.1.1", "10.1.0.3:80", 1767225600.0)]),
    ("$remote_addr $upstream_addr", "1.1.1.1 -", []),
    ("$remote_addr $upstream_addr.", "another format", []),
    ("[$time_local] $remote_addr $remote_addr $upstream_addr", "[01/Jan/2026:00:00:00 +0100] 1.1.1.1 1.1.1.1 unix:/a", [("1.1.1.1", "unix:/a", 1767222000.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("format_", "line", "wanted"), LOGS)
def test_an_access_log_says_who_met_whom(format_: str, line: str, wanted) -> None:
    """In any format that holds both addresses; of several servers the first, with the time where there is one."""
    assert [(p.address, p.endpoint, p.at) for p in iphashproof.pairs(line + "\n", format_)] == wanted


PROVEN = """
log_format who '$remote_addr -> $upstream_addr at $msec "$http_user_agent"';
upstream shop {{ ip_hash; {servers} }}
upstream other {{ server {node}; }}
{trust}
server {{ listen 127.0.0.1:{port}; server_name shop.example; access_log {log} {format};
  location / {{ proxy_pass http://other; }} location /shop/ {{ proxy_pass http://shop; }} }}
"""


@needs_nginx
@pytest.mark.parametrize("way", ["header", "source", "neither", "no format"])
def test_a_prediction_is_proven_on_the_host(tier: Tier, tmp_path: Path, way: str) -> None:
    """By requests whose address the host may choose, read back from the access log; or it is said why not."""
    one = Nginx(tmp_path / "n")
    (port,) = quiet_ports(1)
    servers = "".join(f"server {n} max_fails=0;" for n in tier.nodes)
    trust = "set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For;" if way == "header" else ""
    one.add("a.conf", PROVEN.format(servers=servers, node=tier.nodes[0], trust=trust, port=port, log=one.root / "a.log",
                                    format="combined" if way == "no format" else "who"))  # fmt: skip
    one.start()
    try:
        found = nginx.read("localhost", str(one.conf))
        upstream = found.upstream("shop")
        asked = [f"127.0.{n}.1" if way == "source" else f"203.0.{n}.1" for n in range(40)]
        wanted = {
            p.address: p.peer.endpoint for p in iphash.predict_all(asked, iphash.peers_of_upstream(upstream)) if p.peer
        }
        proof = iphashproof.prove(found, upstream, asked)
        if way in {"header", "source"}:
            assert {pair.address: pair.endpoint for pair in proof.answered} == wanted
            assert (len(set(wanted.values())), proof.notes) == (len(tier.nodes), [])
            wait_for(
                lambda: (
                    bool(iphashproof.prove(found, upstream, asked).sent)
                    and len(iphashproof.prove(found, upstream, asked, send=False).logged) >= 40
                ),
                20,
            )
        else:
            assert (proof.sent, proof.answered, len(proof.notes)) == ([], [], 1)
    finally:
        one.stop()
