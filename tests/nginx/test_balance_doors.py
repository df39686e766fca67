"""Where requests come in, and where a new file belongs: told from a configuration alone. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from opsnb.base.errors import UsageError
from opsnb.kits.nginx.balancer import named, new_texts, own_path, wanted
from opsnb.kits.nginx.doors import doors, url_of_listen
from opsnb.kits.nginx.finding import Installation
from opsnb.kits.nginx.grammar import parse
from opsnb.kits.nginx.reading import Configuration, Stored, _Found, assembled, patterns
from opsnb.kits.nginx.render import HEAD

CONF = "/etc/nginx/nginx.conf"
UP = "upstream shop { server 10.0.0.1; }"
SITE = "server {{ {listen} server_name {names}; location {location} {{ proxy_pass {target}; }} }}"


def configuration(main: str, **others: str) -> Configuration:
    """Return a configuration of texts: the main one, and others by their paths."""
    texts = {CONF: main, **others}
    trees = {path: parse(text, path) for path, text in texts.items()}
    stored = {path: Stored(path=path, real=path, mode="0644", owner="root:root", modified=0.0) for path in texts}
    asked = {pattern for tree in trees.values() for pattern in patterns(tree, "/etc/nginx")}
    matched = {pattern: tuple(sorted(path for path in texts if fnmatchcase(path, pattern))) for pattern in asked}
    found = _Found(texts=texts, stored=stored, trees=trees, matched=matched)
    return assembled(Installation(host="web1", binary="/usr/sbin/nginx", conf=CONF, prefix="/usr/share/nginx"), found)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("80", "http://127.0.0.1:80"), ("8080 default_server", "http://127.0.0.1:8080"), ("*:81", "http://127.0.0.1:81"),
        ("10.0.0.1", "http://10.0.0.1:80"), ("10.0.0.1:82 reuseport", "http://10.0.0.1:82"), ("[::]:83", "http://[::1]:83"),
        ("[::1]", "http://[::1]:80"), ("443 ssl http2", "https://127.0.0.1:443"), ("name.example:84", "http://name.example:84"),
        ("unix:/run/x.sock", ""), ("80 proxy_protocol", ""), ("443 quic", ""), ("0.0.0.0:85", "http://127.0.0.1:85"),
        ("80;evil", ""),
    ],
)  # fmt: skip
def test_a_listen_value_is_asked_on_the_host_itself(listen: str, url: str) -> None:
    """Every address is the loopback one; what curl cannot simply ask is not asked."""
    assert url_of_listen(listen.split(" ")) == url


@pytest.mark.parametrize(
    ("site", "seen"),
    [
        ({}, ("http://127.0.0.1:80", "/", "shop.example", "http")),
        ({"location": "/api/"}, ("http://127.0.0.1:80", "/api/", "shop.example", "http")),
        ({"location": "= /one"}, ("http://127.0.0.1:80", "/one", "shop.example", "http")),
        ({"location": "~ [.]php$"}, ("http://127.0.0.1:80", "/", "shop.example", "http")),
        ({"names": "_ *.a.example b.example"}, ("http://127.0.0.1:80", "/", "b.example", "http")),
        ({"names": "~^www b.example"}, ("http://127.0.0.1:80", "/", "b.example", "http")),
        ({"target": "https://shop/x"}, ("http://127.0.0.1:80", "/", "shop.example", "https")),
        ({"target": "http://shop$request_uri"}, None),
        ({"target": "http://shopping"}, None),
        ({"listen": "listen unix:/run/x;"}, None),
        ({"listen": "listen 443 ssl; listen 8080;"}, ("http://127.0.0.1:8080", "/", "shop.example", "http")),
    ],
)
def test_the_way_in_is_the_server_and_location_that_pass_to_it(
    site: dict[str, str], seen: tuple[str, ...] | None
) -> None:
    """With a name and a path that it takes; others of the configuration are not it."""
    text = SITE.format(**{"listen": "", "names": "shop.example", "location": "/", "target": "http://shop", **site})
    found = doors(configuration(f"events {{ }} http {{ {UP} server {{ listen 90; }} {text} }}"), "shop")
    assert [(d.url, d.path, d.name, d.scheme) for d in found] == ([seen] if seen else [])


def test_a_way_in_without_tls_comes_first_and_includes_are_seen() -> None:
    """Of several; also through a file that a server block includes."""
    site = "server { listen 443 ssl; include /etc/nginx/pass.conf; } server { listen 81; location / { if ($a) { proxy_pass http://shop; } } }"
    seen = configuration(
        f"http {{ {UP} {site} }}", **{"/etc/nginx/pass.conf": "location /x { proxy_pass http://shop; }"}
    )
    assert [(d.url, d.where.rpartition("/")[2]) for d in doors(seen, "shop")] == [
        ("http://127.0.0.1:81", "nginx.conf:1"), ("https://127.0.0.1:443", "pass.conf:1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("main", "path"),
    [
        ("http { include mime.types; include conf.d/*.conf; include sites-enabled/*; }", "/etc/nginx/conf.d/shop.conf"),
        ("http { include /srv/vhosts/*.conf; }", "/srv/vhosts/shop.conf"),
        ("http { include sites-enabled/*; }", "/etc/nginx/sites-enabled/shop.conf"),
        (
            "include modules/*.conf; http { include more.conf; } stream { include s/*.conf; }",
            "/etc/nginx/late/shop.conf",
        ),
    ],
)
def test_a_new_file_belongs_into_a_folder_that_http_includes_whole(main: str, path: str) -> None:
    """The first one, also by an include in an included file; not into main, stream, or a server block."""
    seen = configuration(main, **{"/etc/nginx/more.conf": "include late/*.conf;", "/etc/nginx/mime.types": ""})
    assert own_path(seen, "shop") == path


@pytest.mark.parametrize(
    "main",
    ["http { }", "http { include mime.types; }", "http { include */x/*.conf; }", "http { include conf.d/*.vhost; }",
     "include conf.d/*.conf; http { }", "stream { include conf.d/*.conf; } http { }", "http { server { include c/*.conf; } }"],
)  # fmt: skip
def test_without_such_a_folder_it_is_refused(main: str) -> None:
    """A file that nobody reads would look like a change."""
    with pytest.raises(
        UsageError, match=r"web1: no include in http of /etc/nginx/nginx\.conf takes a new file shop\.conf"
    ):
        own_path(configuration(main, **{"/etc/nginx/mime.types": ""}), "shop")


def test_the_files_that_change_follow_from_what_is_there_and_what_is_asked() -> None:
    """In place; a file of its own; both; and its own file again, whole."""
    none = configuration("http { include conf.d/*.conf; }")
    alone, site = wanted("shop", ["10.0.0.2"]), wanted("shop", ["10.0.0.2"], listen="81")
    place, own = "/etc/nginx/conf.d/a.conf", "/etc/nginx/conf.d/shop.conf"
    inside = configuration("http { include conf.d/*.conf; }", **{place: UP})
    assert new_texts(inside, alone) == {place: "upstream shop {\n    server 10.0.0.2;\n}"}
    assert list(new_texts(none, alone)) == [own]
    both = new_texts(inside, site)
    assert sorted(both) == [place, own]
    assert "upstream" not in both[own].replace("proxy_next_upstream", "")
    text = new_texts(none, site)[own]
    assert text.startswith(HEAD)
    assert "zone shop 64k;" in text
    assert "keepalive 16;" in text
    assert new_texts(configuration("http { include conf.d/*.conf; }", **{own: text}), site) == {own: text}


def test_a_stream_upstream_of_the_same_name_is_another_one() -> None:
    """Requests are not passed to it; and two in http, which nginx refuses, are named with their places."""
    seen = configuration(f"http {{ include c/*.conf; }} stream {{ {UP} }}")
    assert list(new_texts(seen, wanted("shop", ["10.0.0.2"]))) == ["/etc/nginx/c/shop.conf"]
    assert named(wanted("", ["10.0.0.2"]), seen).tier.name == "backend"
    with pytest.raises(UsageError, match=r"nginx\.conf:1 and .*nginx\.conf:2"):
        new_texts(configuration(f"http {{ {UP}\n{UP} }}"), wanted("shop", ["10.0.0.2"]))
