"""``nginx -t`` on a copy, by somebody who is not root: the whole configuration, and nothing of the host is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearby import carry_out, nearby
from nginx.tiers import Nginx, fetch
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.changing import plan_files
from opsnb.kits.nginx.testing import judge, turned
from ports import quiet_ports

HOST = "near1"
OK = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n"
PID = 'nginx: [emerg] open() "/run/nginx.pid" failed (13: Permission denied)\n'
LOG = '2026/11/26 01:00:00 [emerg] 12#12: open() "/var/log/nginx/error.log" failed (13: Permission denied)\n'
ALERT = (
    'nginx: [alert] could not open error log file: open() "/var/log/nginx/error.log" failed (13: Permission denied)\n'
)
KEY = (
    'nginx: [emerg] cannot load certificate key "/etc/ssl/private/x.key": BIO_new_file() failed (SSL: error:8000000D:system'
    " library::Permission denied:calling fopen(/etc/ssl/private/x.key, r) error:10080002:BIO routines::system lib)\n"
)
BROKEN = 'nginx: [emerg] unknown directive "x" in /etc/nginx/conf.d/a.conf:3\n'
FAILED = "nginx: configuration file /etc/nginx/nginx.conf test failed\n"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """One that is not started yet, and hosts that are this machine."""
    made = Nginx(tmp_path / "nginx")
    try:
        with nearby():
            yield made
    finally:
        made.stop()


def site(port: int, word: str) -> str:
    """Return a server block that says a word."""
    return f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{word}\\n"; }} }}\n'


def everything(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Every file and link below a folder, with what rename, write and chmod would move."""
    found = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        if path.suffix not in {".log", ".pid"}:
            found[str(path)] = (info.st_mode, info.st_ino, info.st_ctime_ns, data)
    return found


@pytest.mark.parametrize(
    ("code", "said", "whole", "words"),
    [
        (
            0,
            OK + "nginx: configuration file /etc/nginx/nginx.conf test is successful\n",
            True,
            "the test is successful",
        ),
        (1, ALERT + OK + PID + FAILED, True, "syntax is ok; what only root may open was not tried: /run/nginx.pid"),
        (1, OK + LOG + FAILED, True, "was not tried: /var/log/nginx/error.log"),
        (
            1,
            ALERT + KEY + FAILED,
            False,
            "read the configuration up to what only root may read: cannot load certificate key",
        ),
    ],
)
def test_what_only_root_may_open_is_told_from_what_is_wrong(code: int, said: str, whole: bool, words: str) -> None:  # noqa: FBT001  (pytest passes it by name)
    """Captured answers: judged, and said in words that do not claim more than was tested."""
    found = judge("web1", "watch", code, said)
    assert found.whole is whole
    assert words in found.words
    assert "as watch" in found.words


@pytest.mark.parametrize(
    "said",
    [
        BROKEN + FAILED,
        ALERT + BROKEN + FAILED,
        OK + PID + 'nginx: [emerg] open() "/x/y.log" failed (2: No such file or directory)\n' + FAILED,
        FAILED,
        "",
    ],
)
def test_what_is_wrong_is_refused(said: str) -> None:
    """Also beside what is only not permitted, and when nginx gives no reason at all."""
    with pytest.raises(UsageError, match="nginx refuses the configuration"):
        judge("web1", "watch", 1, said)


def test_includes_are_turned_and_nothing_else() -> None:
    """Absolute ones become relative to the main file's folder; comments, quotes and relative ones stay."""
    text = 'include /etc/nginx/conf.d/*.conf; # include /etc/x;\ninclude "/srv/a b/*.conf";\ninclude mime.types;\nreturn 200 "include /etc/y;";\n'
    assert turned(text, "/etc/nginx/nginx.conf", "/etc/nginx") == (
        'include "conf.d/*.conf"; # include /etc/x;\ninclude "../../srv/a b/*.conf";\ninclude mime.types;\nreturn 200 "include /etc/y;";\n'
    )


def test_files_elsewhere_links_and_whatever_lies_beside_take_part(nginx: Nginx) -> None:
    """A folder of another place, a linked folder, a linked site, a file that a directive names: all found, none touched."""
    old, new, linked = quiet_ports(3)
    elsewhere = nginx.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.conf").write_text(site(old, "old"))
    available = nginx.root / "available"
    available.mkdir()
    (available / "site").write_text(site(linked, "linked") + "map $host $x { include names.map; }\n")
    (nginx.root / "enabled").mkdir()
    (nginx.root / "enabled/site").symlink_to(available / "site")
    (nginx.root / "names.map").write_text("a b;\n")
    (nginx.root / "folder").symlink_to(elsewhere)
    nginx.conf.write_text(
        nginx.conf.read_text().replace(
            "include ", f"include {elsewhere}/*.conf; include enabled/*; include folder/*.conf2; include "
        )
    )
    nginx.start()
    before = everything(nginx.root.parent)
    plan = plan_files(HOST, {str(elsewhere / "a.conf"): site(new, "new"), str(available / "site"): site(linked, "other") + "map $host $x { include names.map; }\n"},
                      conf=str(nginx.conf))  # fmt: skip
    with pytest.raises(UsageError, match=r"elsewhere/a\.conf:1"):
        plan_files(HOST, {str(elsewhere / "a.conf"): "nonsense;"}, conf=str(nginx.conf))
    with pytest.raises(UsageError, match="enabled/site:1"):
        plan_files(HOST, {str(available / "site"): "nonsense;"}, conf=str(nginx.conf))
    assert everything(nginx.root.parent) == before
    carry_out(plan)
    assert (fetch(new), fetch(linked)) == ("new\n", "other\n")
    assert (nginx.root / "enabled/site").is_symlink()


def test_a_file_that_is_to_go_takes_no_part(nginx: Nginx) -> None:
    """A configuration that one file breaks on disk is fine without it, and says so when another file is planned."""
    (port,) = quiet_ports(1)
    nginx.start()
    bad, good = nginx.root / "conf.d/bad.conf", str(nginx.root / "conf.d/good.conf")
    bad.write_text("nonsense on;\n")
    with pytest.raises(UsageError, match=r"conf.d/bad.conf:1"):
        plan_files(HOST, {good: site(port, "good")}, conf=str(nginx.conf))
    plan = plan_files(HOST, {good: site(port, "good"), str(bad): None}, conf=str(nginx.conf))
    assert plan.context["tested whole"] is True
    carry_out(plan)
    assert fetch(port) == "good\n"
    assert not bad.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="root reads every key")
def test_a_key_that_only_root_reads_is_not_read(nginx: Nginx) -> None:
    """The plan is made, says how far the test went, and the change itself tests the rest before anything is loaded."""
    port, other = quiet_ports(2)
    key, certificate = nginx.root / "x.key", nginx.root / "x.pem"
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=x",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    key.chmod(0o600)
    nginx.add(
        "tls.conf", f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate x.pem; ssl_certificate_key x.key; }}\n"
    )
    nginx.start()
    plan = plan_files(HOST, {str(nginx.root / "conf.d/z.conf"): site(other, "z")}, conf=str(nginx.conf))
    assert plan.context["tested whole"] is False
    assert "nginx -t as nobody read the configuration up to what only root may read" in plan.context["tested"]
    carry_out(plan)
    assert fetch(other) == "z\n"


def test_nothing_of_a_test_is_left(nginx: Nginx) -> None:
    """The private directory is removed, after a test that passes and after one that does not."""
    nginx.start()
    (port,) = quiet_ports(1)
    path = str(nginx.root / "conf.d/a.conf")
    plan_files(HOST, {path: site(port, "a")}, conf=str(nginx.conf))
    with pytest.raises(UsageError):
        plan_files(HOST, {path: "nonsense;"}, conf=str(nginx.conf))
    assert list(Path("/tmp").glob(f"tmp.*/root{nginx.root}")) == []
