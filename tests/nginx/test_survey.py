"""The survey's findings, each on a configuration that has it and on one that has not; errors, counters, differences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.kits.nginx import survey, surveytables, surveytext
from opsnb.kits.nginx.finding import Installation, Worker
from opsnb.kits.nginx.grammar import parse
from opsnb.kits.nginx.reading import Configuration, Stored
from opsnb.kits.nginx.surveylook import (
    Certificate,
    Shown,
    UpstreamErrors,
    parse_status,
    questions,
    taken,
    upstream_errors,
)
from opsnb.kits.nginx.surveyrules import Case, findings
from opsnb.kits.nginx.surveywords import WORDS

NOW = datetime(2026, 1, 10, 12, 0, 0)  # noqa: DTZ001  (a host's own clock)
PASSING = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Real-IP $remote_addr;'
TWO = "server 10.0.0.1:80; server 10.0.0.2:80;"
MAIN = "/n/nginx.conf"


def case(http: str, *, main: str = "", shown: Shown | None = None, newer: tuple[str, ...] = (), **installed) -> Case:
    """Return a case of a configuration; two workers run where nothing else is said."""
    text = f"{main}\nevents {{ worker_connections 512; }}\nhttp {{\n{http}\n}}\n"
    workers = tuple(Worker(pid=n, user="www", started=1.0, leaving=False) for n in (2, 3))
    installation = Installation(host="h", binary="/n", conf=MAIN, prefix="/n", name="nginx", version="1.22.1", **{"pid": 1, "workers": workers, "generation": "1-2", "user": "www", **installed})  # fmt: skip
    tree = parse(text, MAIN)
    stored = {MAIN: Stored(path=MAIN, real=MAIN, mode="0644", owner="root:root", modified=1.0)}
    found = Configuration(installation=installation, files={MAIN: text}, stored=stored, trees={MAIN: tree}, main=tree)
    return Case(found=found, shown=shown or Shown(now=NOW), newer=newer)


def up(body: str, more: str = "", name: str = "u") -> str:
    """Return an upstream that is used, and a server that passes to it."""
    return f"upstream {name} {{ {body} }} server {{ listen 80; {more} location / {{ {PASSING} proxy_pass http://{name}; }} }}"


def status(accepts: int, handled: int) -> Shown:
    """Return what stub_status said."""
    found = parse_status(
        f"Active connections: 1 \nserver accepts handled requests\n {accepts} {handled} 9 \nReading: 0 Writing: 1 Waiting: 0 \n"
    )
    assert found
    return Shown(now=NOW, status={"http://127.0.0.1/s": found})


def certificate(days: int | None, *, there: bool = True) -> Shown:
    """Return a certificate that ends in so many days."""
    directive = parse("ssl_certificate a.pem;", MAIN)[0]
    ends = None if days is None else (NOW + timedelta(days=days)).replace(tzinfo=UTC)
    return Shown(now=NOW, certificates=[Certificate(path="/n/a.pem", directive=directive, there=there, expires=ends)])


def errors(kind: str, count: int) -> Shown:
    """Return errors of one server."""
    return Shown(now=NOW, errors=[UpstreamErrors(address="10.0.0.1:80", kind=kind, count=count, first=NOW, last=NOW)])


SERVER = "server { listen 80; server_name a; } "
# id: what has it, what has it not
FOUND: dict[str, tuple[Case, Case]] = {
    "stopped": (case("", pid=None), case("")),
    "semicolon": (case("root /srv\n  index a;"), case("root /srv;\n  index a;\n log_format x\n 'index';")),
    "newer": (case("", newer=(MAIN,)), case("")),
    "descriptors": (case("", shown=Shown(open_files=1023)), case("", shown=Shown(open_files=1024))),
    "dropped": (case("", shown=status(10, 9)), case("", shown=status(10, 10))),
    "no-upstream": (case("", shown=errors("no live upstreams", 1)), case("", shown=errors("timed out", 9))),
    "upstream-errors": (case("", shown=errors("timed out", 3)), case("", shown=errors("timed out", 2))),
    "no-certificate": (case("", shown=certificate(None, there=False)), case("", shown=certificate(None))),
    "expired": (case("", shown=certificate(-1)), case("", shown=certificate(1))),
    "expires": (case("", shown=certificate(20)), case("", shown=certificate(22))),
    "limit-without-zone": (case(up("server a:1 max_conns=9; server b:1;")), case(up("zone z 64k; server a:1 max_conns=9; server b:1;"))),
    "share-without-zone": (case(up("server a:1 weight=3; server b:1;")), case(up("server a:1 weight=3; server b:1;"), workers=())),
    "backup-refused": (case(up("ip_hash; server a:1; server b:1 backup;")), case(up("least_conn; server a:1; server b:1 backup;"))),
    "all-down": (case(up("server a:1 down; server b:1 down;")), case(up("server a:1 down; server b:1;"))),
    "one-left": (case(up("server a:1 down; server b:1;")), case(up(TWO))),
    "unused": (case(f"upstream v {{ {TWO} }}"), case(f"upstream v {{ {TWO} }} map $uri $t {{ default v; }}")),
    "no-keepalive": (case(up(TWO)), case(up(f"{TWO} keepalive 8;"))),
    "lost-keepalive": (case(up(f"{TWO} keepalive 8;").replace("1.1", "1.0")), case(up(f"{TWO} keepalive 8;"))),
    "undefined": (case("server { location / { proxy_pass http://shop/; } }"), case(up(TWO, name="shop"))),
    "twice": (case(SERVER + SERVER.replace("listen 80", "listen *:80")), case(SERVER + SERVER.replace("listen 80", "listen 81"))),
    "default-twice": (case("server { listen 80 default_server; } server { listen 0.0.0.0:80 default_server; server_name b; }"),
                      case("server { listen 80 default_server; } server { listen 80; server_name b; }")),
    "everybody-trusted": (case(f"set_real_ip_from 0.0.0.0/0; {SERVER}"), case(f"set_real_ip_from 10.0.0.0/8; {SERVER}")),
    "protocol-unused": (case("server { listen 80 proxy_protocol; }"), case("server { listen 80 proxy_protocol; set_real_ip_from 10.0.0.1; }")),
    "hash-of-balancer": (case("log_format a $http_x_forwarded_for; " + up(f"ip_hash; {TWO}")),
                         case("log_format a $http_x_forwarded_for; set_real_ip_from 10.0.0.1; " + up(f"ip_hash; {TWO}"))),
    "client-not-passed": (case(up(TWO).replace("X-Real-IP", "X-Other")), case(up(TWO))),
    "tokens": (case(""), case("server_tokens off;")),
    "gzip-proxied": (case("gzip on;"), case("gzip on; gzip_proxied any;")),
    "old-tls": (case("ssl_protocols TLSv1 TLSv1.2;"), case("ssl_protocols TLSv1.2 TLSv1.3;")),
    "alias": (case("server { location /a { alias /srv/a/; } }"), case("server { location /a/ { alias /srv/a/; } }")),
    "open-status": (case("server { location /s { stub_status; } }"), case("server { allow 127.0.0.1; deny all; location /s { stub_status; } }")),
}  # fmt: skip


@pytest.mark.parametrize("key", FOUND)
def test_a_finding_is_there_when_it_should_be(key: str) -> None:
    """On the one configuration it stands out, with file and line where it has one, on the other it does not."""
    has, has_not = FOUND[key]
    found = [one for one in findings(has) if one.id == key]
    assert len(found) == 1, [one.id for one in findings(has)]
    assert key not in {one.id for one in findings(has_not)}
    assert not found[0].where or found[0].where.startswith(MAIN)
    assert "{" not in found[0].what + found[0].why


def test_every_finding_is_tested() -> None:
    """Each of the words has its case; the one that needs files is below."""
    assert set(FOUND) | {"empty-include"} == set(WORDS)


def test_an_include_that_names_nothing() -> None:
    """Where a pattern of one's own matches nothing; a distribution's empty folder is no finding."""
    one = case("include vhosts/*.conf; include conf.d/*.conf;")
    includes = tuple((d, ()) for d in one.found.main[-1].block or ())
    found = findings(replace(one, found=replace(one.found, includes=includes)))
    assert [(f.where, f.what) for f in found if f.id == "empty-include"] == [
        (f"{MAIN}:4", "include 'vhosts/*.conf' names no file")
    ]


def test_worst_comes_first() -> None:
    """Critical, then warnings, then notices."""
    found = findings(case(up("ip_hash; server a:1; server b:1 backup;") + "ssl_protocols SSLv3;", pid=None))
    assert [str(f.severity) for f in found] == sorted(
        (str(f.severity) for f in found), key=["critical", "warning", "notice"].index
    )
    assert {f.id for f in found[:2]} == {"backup-refused", "stopped"}


LOG = """\
2026/01/10 11:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", upstream: "http://10.0.0.1:80/x", host: "a"
2026/01/10 11:30:00 [error] 7#7: *2 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", upstream: "http://10.0.0.1:80/", host: "a"
2026/01/10 11:30:01 [error] 7#7: *3 upstream timed out (110: Connection timed out) while reading response header from upstream, client: ::1, server: , request: "GET / HTTP/1.1", upstream: "http://[2001:db8::1]:8080/", host: "a"
2026/01/10 11:30:02 [error] 7#7: *4 no live upstreams while connecting to upstream, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", upstream: "http://shop/", host: "a"
2026/01/10 11:30:03 [crit] 7#7: *5 connect() to unix:/run/a b.sock failed (2: No such file or directory) while connecting to upstream, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", upstream: "http://unix:/run/app.sock:/", host: "a"
2026/01/10 11:30:04 [error] 7#7: *6 upstream prematurely closed connection while reading response header from upstream, client: 1.2.3.4, upstream: "uwsgi://10.0.0.2:80", host: "a"
2026/01/10 11:30:05 [error] 7#7: *7 open() "/srv/upstream" failed (2: No such file or directory), client: 1.2.3.4
2026/01/08 11:30:00 [error] 7#7: *8 no live upstreams while connecting to upstream, client: 1.2.3.4, upstream: "http://old/", host: "a"
not a line of nginx that speaks of upstream
"""


def test_upstream_errors_are_counted_by_address() -> None:
    """Each kind of nginx's messages, within the time that was asked for."""
    rows = [(e.address, e.kind, e.count) for e in upstream_errors(LOG.splitlines(), NOW, 1440)]
    assert rows == [
        ("10.0.0.1:80", "connect failed: Connection refused", 2),
        ("10.0.0.2:80", "closed early", 1),
        ("[2001:db8::1]:8080", "timed out", 1),
        ("shop", "no live upstreams", 1),
        ("unix:/run/app.sock", "connect failed: No such file or directory", 1),
    ]
    assert sum(e.count for e in upstream_errors(LOG.splitlines(), NOW, 45)) == 5


@pytest.mark.parametrize("text", ["", "404 Not Found", "Active connections: x", "Active connections: 1\n"])
def test_what_is_no_stub_status_is_not_taken_for_one(text: str) -> None:
    """A page, or nothing."""
    assert parse_status(text) is None


def test_tengine_has_one_counter_more() -> None:
    """Its request_time is passed over."""
    found = parse_status(
        "Active connections: 2 \nserver accepts handled requests request_time\n 5 5 6 7 \nReading: 0 Writing: 1 Waiting: 1 \n"
    )
    assert found
    assert (found.accepts, found.requests, found.waiting) == (5, 6, 1)


def test_what_is_asked_on_a_host_is_from_its_configuration() -> None:
    """Logs by the prefix, certificates by the file's folder, stub_status where the host reaches it."""
    one = case("error_log logs/e; server { listen 10.0.0.9:443 ssl; server_name *.x a.b; ssl_certificate c/a.pem; ssl_certificate $v.pem;"
               " location = /s { stub_status; } } server { listen *:81; location /t { stub_status; } location ~ /u { stub_status; } }",
               main="error_log stderr; error_log syslog:server=a; error_log /v/log warn;")  # fmt: skip
    assert [(kind, value, more) for kind, value, more, _ in questions(one.found)] == [
        ("log", "/v/log", ""), ("log", "/n/logs/e", ""), ("certificate", "/n/c/a.pem", ""),
        ("status", "https://10.0.0.9:443/s", "a.b"), ("status", "http://127.0.0.1:81/t", "localhost"), ("limits", "2", "")]  # fmt: skip


@given(st.text(max_size=300) | st.lists(st.sampled_from(["@ now", "@ log 1", "@ status 2", "@ end", "| x", "| 2026/01/01 00:00:00", "! may not be read", "@ certificate 3", "@ limits 4", "| 12", "@ log 99"]), max_size=12).map("\n".join))  # fmt: skip
def test_any_answer_of_a_host_is_taken_without_an_accident(text: str) -> None:
    """A host may say anything: no error, and nothing that was not asked for."""
    one = case("server { listen 80; ssl_certificate a.pem; location /s { stub_status; } }")
    shown = taken(text, questions(one.found))
    assert len(shown.certificates) <= text.count("@ certificate")


def survey_of(**cases: Case) -> survey.Survey:
    """Return a survey of these hosts."""
    return survey.Survey(cases=cases, unread={}, addresses={host: f"10.0.9.{n}" for n, host in enumerate(cases, 1)})


def test_the_odd_host_is_named_with_its_line() -> None:
    """Two alike, one not: what it says, what the others say; comments, own address and own name are no difference."""
    text = "# {0}\nserver {{ listen 10.0.9.{1}:80; server_name {0}.x; keepalive_timeout {2}; }}"
    seen = survey_of(
        web1=case(text.format("web1", 1, 65)),
        web2=case(text.format("web2", 2, 65)),
        web3=case(text.format("web3", 3, 5)),
    )
    (row,) = survey.differences(seen)
    assert row == {"what": f"{MAIN}:5", "hosts": "web3", "says": "keepalive_timeout 5", "others": "keepalive_timeout 65",
                   "other hosts": "web1, web2"}  # fmt: skip


def test_hosts_differ_in_what_runs() -> None:
    """Version and workers; a host on which nginx does not run is no odd one."""
    seen = survey_of(a=case(""), b=case(""), c=case("", workers=()), d=case("", pid=None, workers=(), user="nobody"))
    assert [(r["what"], r["hosts"]) for r in survey.differences(seen)] == [("workers", "c")]


def test_hosts_that_were_not_surveyed_are_told_with_the_whole_reason() -> None:
    """Refused with file and line, and those without nginx; "(none)" where there are none."""
    seen = survey.Survey(cases={}, unread={"web3": ("refused", "/etc/nginx/sites-enabled/shop:22: found x, wanted y")},
                         absent=("db1",), addresses={})  # fmt: skip
    words = " ".join(surveytext.absent_text(seen).split())
    assert words == ("web3 refused: /etc/nginx/sites-enabled/shop:22: found x, wanted y"
                     " db1 no nginx: none runs, and none is in the usual places")  # fmt: skip
    assert surveytext.absent_text(survey_of()) == "(none)"


def test_hosts_of_one_role_are_compared() -> None:
    """A balancer and a cache are no odd ones of each other."""
    seen = survey_of(a=case("gzip on;"), b=case("gzip off;"), c=case("gzip off;"))
    assert [row["hosts"] for row in survey.differences(seen)] == ["a"]
    assert survey.differences(replace(seen, roles={"a": "web", "b": "cache", "c": "cache"})) == []


def test_equal_rows_of_several_hosts_stand_once() -> None:
    """Each table names the hosts at the end of a row; findings too."""
    seen = survey_of(a=case(up(TWO)), b=case(up(TWO)))
    table = surveytables.upstreams_table(seen)
    assert list(table["server"]) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert set(table["hosts"]) == {"a, b"}
    assert all(hosts == ("a", "b") for hosts, _ in seen.findings())
    assert surveytext.findings_text(seen).count("on:   a, b") == len(seen.findings())
    assert "web" not in surveytext.findings_text(survey_of())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proxy_set_header Authorization 'Basic c2VjcmV0';", "proxy_set_header Authorization ***"),
        ("secure_link_md5 '$uri hush';", "secure_link_md5 ***"),
        ("ssl_password_file /etc/p;", "ssl_password_file ***"),
        ("proxy_pass http://u:hush@10.0.0.1/;", "proxy_pass http://***@10.0.0.1/"),
        ("proxy_set_header X-Api-Key hush;", "proxy_set_header X-Api-Key ***"),
        ("fastcgi_param DB_PASSWORD hush;", "fastcgi_param DB_PASSWORD ***"),
        ("server_tokens off;", "server_tokens off"),
        ('proxy_set_header Connection "";', 'proxy_set_header Connection ""'),
        ("return 200 '\x1b[31m';", "return 200 \\x1b[31m"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    """In every table, and nothing else is."""
    assert survey.said(parse(text, "x")[0]) == shown


def test_a_search_finds_names_and_values() -> None:
    """Which line says it: the directive of that name, or any with the word in a value."""
    seen = survey_of(a=case("gzip on;\nserver { server_name gzip.example; listen 80; }"))
    table = surveytables.settings_table(seen, "gzip")
    assert list(zip(table["says"], table["where"], strict=True)) == [
        ("gzip on", f"{MAIN}:4"),
        ("server_name gzip.example", f"{MAIN}:5"),
    ]


def test_a_file_that_was_not_taken_whole_would_be_seen() -> None:
    """The check of the runbook: something between two directives that is no comment."""
    one = case("gzip on;")
    assert surveytables.lost(survey_of(a=one)) == {}
    broken = replace(one, found=replace(one.found, trees={MAIN: one.found.trees[MAIN][1:]}))
    assert surveytables.lost(survey_of(a=broken)) == {"a": [MAIN]}
