"""What a running nginx shows: errors of its log, stub_status, certificates, limits; on a real one, and in any shell."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from nginx import certificates
from nginx.tiers import NGINX, Nginx, fetch
from nobody import AS_NOBODY, everybodys
from opsnb.kits import nginx
from opsnb.kits.nginx import survey, surveytables, surveytext
from opsnb.kits.nginx.finding import Installation
from opsnb.kits.nginx.reading import read_installation
from opsnb.kits.nginx.scripts import SHOWN
from opsnb.kits.nginx.surveylook import look, taken
from opsnb.kits.nginx.surveyrules import Case
from places import wait_for
from ports import quiet_ports

CONFIGS = Path(__file__).with_name("configs")
TAKEN = sorted(
    p.parent.name for p in CONFIGS.glob("*/expected.json") if "refused" not in json.loads(p.read_text("utf-8"))
)
needs_nginx = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed here")
SITE = """
upstream gone {{ server 127.0.0.1:{closed} max_fails=1 fail_timeout=60s; }}
server {{ listen 127.0.0.1:{port}; server_name shop.example;
  location / {{ proxy_pass http://gone; }}
  location = /status {{ stub_status; }} }}
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Nginx, int, int]]:
    """An nginx whose back end is gone: it, its port, the closed port."""
    port, closed = quiet_ports(2)
    one = Nginx(tmp_path / "n", workers=2)
    one.add("site.conf", SITE.format(port=port, closed=closed))
    one.start()
    try:
        yield one, port, closed
    finally:
        one.stop()


@needs_nginx
def test_what_a_running_one_shows(running: tuple[Nginx, int, int]) -> None:
    """Refused connections and "no live upstreams" by address, the counters, how many files a worker may open."""
    one, port, closed = running
    for _ in range(2):
        assert "502" in fetch(port)
    shown = look(nginx.read("localhost", str(one.conf)))
    kinds = {(row.address, row.kind): row.count for row in shown.errors}
    assert kinds[f"127.0.0.1:{closed}", "connect failed: Connection refused"] >= 1
    (status,) = shown.status.values()
    assert (status.dropped, status.active) == (0, 1)
    assert status.requests >= 3
    assert shown.open_files
    assert shown.notes == []


@needs_nginx
def test_certificates_are_looked_at(running: tuple[Nginx, int, int]) -> None:
    """One that is there with its end, one that is not there, one that is none."""
    one, _, _ = running
    certificates.write(one.root / "k.pem", one.root / "a.pem", days=9)
    one.add("tls.conf", f"server {{ listen 127.0.0.1:{quiet_ports(1)[0]} ssl; ssl_certificate a.pem; ssl_certificate_key k.pem;"
                        " ssl_certificate gone.pem; ssl_certificate nginx.conf; }")  # fmt: skip
    shown = look(nginx.read("localhost", str(one.conf)))
    assert [(c.path.rpartition("/")[2], c.there, c.expires is not None) for c in shown.certificates] == [
        ("a.pem", True, True), ("gone.pem", False, False), ("nginx.conf", True, False)]  # fmt: skip
    case = survey._case("localhost", str(one.conf), 60)
    assert not isinstance(case, Exception)
    seen = survey.Survey(cases={"localhost": case}, unread={}, addresses={})
    ids = {found.id: found.where for _, found in seen.findings()}
    assert ids["no-certificate"] == f"{one.root}/conf.d/tls.conf:1"
    assert "expires" in ids


@needs_nginx
def test_a_file_that_changed_after_the_load_is_named(running: tuple[Nginx, int, int]) -> None:
    """Nothing at first; then the file that was touched and no other; nothing again after a reload."""
    one, _, _ = running

    def newer() -> tuple[str, ...]:
        case = survey._case("localhost", str(one.conf), 60)
        assert not isinstance(case, Exception)
        return case.newer

    wait_for(lambda: newer() == (), 30)
    path = one.root / "conf.d/site.conf"
    path.write_text(path.read_text() + "# edited\n")
    assert newer() == (str(path),)
    before = one.workers()
    os.kill(one.pid, 1)
    wait_for(lambda: bool(one.workers()) and not set(one.workers()) & set(before), 20)
    wait_for(lambda: newer() == (), 30)


@pytest.mark.parametrize("name", TAKEN)
def test_every_shape_is_surveyed(name: str) -> None:
    """Findings and all tables of each configuration that people write, whatever stands in it."""
    installation = Installation(host="localhost", binary="", conf=str(CONFIGS / name / "nginx.conf"), prefix="/nowhere")
    found = read_installation(installation)
    case = Case(found=found, shown=look(found))
    seen = survey.Survey(cases={"localhost": case}, unread={}, addresses={"localhost": ""})
    tables = [getattr(surveytables, table)(seen) for table in dir(surveytables) if table.endswith("_table")]
    text = "".join(frame.to_string() for frame in tables) + surveytext.findings_text(seen)
    assert not {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n"}
    assert len(surveytables.servers_table(seen)) <= len(case.found.servers())
    assert surveytables.lost(seen) == {}
    json.dumps(surveytables.evidence(seen)).encode()


@pytest.mark.parametrize(
    "shell",
    [["/bin/dash"], ["/bin/bash"], ["/bin/busybox", "sh"]],
    ids=lambda argv: Path(argv[-1]).name + str(len(argv)),
)
def test_the_script_runs_in_any_shell(tmp_path: Path, shell: list[str]) -> None:
    """The same answers with nothing but busybox's own programs; NULs and binary bytes in a log do no harm."""
    if not Path(shell[0]).exists():
        pytest.skip(f"there is no {shell[0]} here")
    path = os.environ["PATH"]
    if len(shell) > 1:
        (tmp_path / "tools").mkdir()
        subprocess.run(["/bin/busybox", "--install", "-s", str(tmp_path / "tools")], check=True)
        path = str(tmp_path / "tools")
    line = b'2026/01/10 11:30:02 [error] 7#7: *4 no live upstreams while connecting to upstream, client: 1.2.3.4, upstream: "http://shop/"\n'
    (tmp_path / "log").write_bytes(b"\0\xff\xfe other\n" + line * 3)
    asked = [
        ("log", f"{tmp_path}/log", "", None),
        ("log", f"{tmp_path}/none", "", None),
        ("limits", str(os.getpid()), "", None),
    ]
    words = [word for kind, value, more, _ in asked for word in (kind, value, more)]
    done = subprocess.run(
        [*shell, "-c", SHOWN, "opsnb", "0", "100000", *words], capture_output=True, check=False, env={"PATH": path}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = taken(done.stdout.decode("utf-8", "replace"), asked, 10_000_000)
    assert [(e.address, e.count) for e in shown.errors] == [("shop", 3)]
    assert shown.now
    assert shown.open_files
    assert len(shown.notes) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="another user is needed")
def test_what_may_not_be_read_is_asked_for_as_root_or_named() -> None:
    """Strictly: exit 77, so that it is asked again as root; where nobody is root, it is a note."""
    with everybodys() as home:
        (home / "log").write_text("x")
        (home / "log").chmod(0o600)
        run = [*AS_NOBODY, "/bin/sh", "-c", SHOWN, "opsnb", "1", "100", "log", f"{home}/log", ""]
        assert subprocess.run(run, capture_output=True, check=False).returncode == 77
        run[8] = "0"
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert taken(done.stdout, [("log", f"{home}/log", "", None)]).notes == [f"{home}/log may not be read"]
