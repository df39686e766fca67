"""Where nginx is and what it is made of, on real ones: the running master first, includes as nginx follows them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nginx.tiers import NGINX, Nginx
from nobody import AS_NOBODY, everybodys
from opsnb.base.errors import NotFoundError, UsageError
from opsnb.kits import nginx
from opsnb.kits.nginx.finding import Process, Sight, installation, parse_command, parse_sight, parse_version
from opsnb.kits.nginx.grammar import walk
from opsnb.kits.nginx.scripts import FIND, READ
from places import wait_for
from ports import quiet_ports

SAID = {
    "nginx": ("nginx version: nginx/1.22.1 (Ubuntu)\nbuilt with OpenSSL 3\nconfigure arguments: --prefix=/a --with-cc-opt='-g -O2'\n", ("nginx", "1.22.1", ("--prefix=/a", "--with-cc-opt=-g -O2"))),
    "openresty": ("nginx version: openresty/1.21.4.1\nconfigure arguments:\n", ("openresty", "1.21.4.1", ())),
    "tengine": ("Tengine version: Tengine/2.3.2\nnginx version: nginx/1.17.3\nconfigure arguments: --a='\n", ("Tengine", "2.3.2", ("--a='",))),
    "angie": ("Angie version: Angie/1.5.0\n", ("Angie", "1.5.0", ())),
    "nothing": ("", ("", "", ())),
}  # fmt: skip

COMMANDS = {
    "nginx": {},
    "/usr/sbin/nginx -g daemon on; master_process on;": {"g": "daemon on; master_process on;"},
    "nginx -c conf/my nginx.conf -p /srv/a b -g daemon off; -e stderr": {
        "c": "conf/my nginx.conf", "p": "/srv/a b", "g": "daemon off;", "e": "stderr"},
    "./nginx -qc/etc/nginx.conf": {"c": "/etc/nginx.conf"},
    "nginx -g env A=-c; -c /x": {"g": "env A=-c;", "c": "/x"},
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    """An nginx that is not started yet."""
    made = Nginx(tmp_path / "n", workers=2)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("name", SAID)
def test_a_version_is_read(name: str) -> None:
    """Name, version and arguments of what ``-V`` says, also of nginx's kin."""
    text, wanted = SAID[name]
    assert parse_version(text) == wanted


@pytest.mark.parametrize("title", COMMANDS)
def test_a_command_line_is_read(title: str) -> None:
    """The options of a master, joined by blanks as its title shows them."""
    assert parse_command(f"nginx: master process {title}") == {"c": "", "p": "", "e": "", "g": ""} | COMMANDS[title]


def master(pid: int, title: str, *, uid: int = 0, parent: int = 1, start: int = 100) -> Process:
    """Return a master process."""
    return Process(
        pid=pid,
        parent=parent,
        start=start,
        uid=uid,
        user="u",
        title=f"nginx: master process {title}",
        exe="/n",
        cwd="/w",
    )


def test_which_master_is_meant() -> None:
    """Root's before somebody's; the younger of an upgrade; named by its file; several are not guessed."""
    rows = (
        master(10, "nginx -c /a"),
        master(11, "nginx -c /a", parent=10, start=200),
        master(12, "nginx -c /evil", uid=1000),
    )
    sight = Sight(processes=rows, binaries={"/n": ""}, boot=1000.0)
    assert (installation("h", sight).pid, installation("h", sight).loaded) == (11, 1002.0)
    assert installation("h", sight, "/other").pid is None
    several = Sight(processes=(*rows, master(13, "nginx -p rel -c b")), binaries={"/n": ""}, boot=0)
    with pytest.raises(UsageError, match=r"h: 3 nginx run here: /a \(pid 10\), /a \(pid 11\), /w/rel/b \(pid 13\)"):
        installation("h", several)
    assert installation("h", several, "/w/rel/b").prefix == "/w/rel"


def test_no_nginx_is_said() -> None:
    """A host without: no guess."""
    with pytest.raises(NotFoundError, match="h: no nginx runs"):
        installation("h", Sight(processes=(), binaries={}, boot=0))


def test_a_running_one_is_found(server: Nginx) -> None:
    """By its file: master, workers, user, version; another generation after a reload."""
    server.add("a.conf", f"server {{ listen 127.0.0.1:{quiet_ports(1)[0]}; }}")
    before = nginx.find("localhost", str(server.conf))
    assert (before.pid, before.generation, before.loaded) == (None, "", None)
    server.start()
    wait_for(lambda: len(nginx.find("localhost", str(server.conf)).workers) == 2, 10)
    found = nginx.find("localhost", str(server.conf))
    assert (found.pid, found.binary, found.prefix, found.name) == (
        server.pid,
        "/usr/sbin/nginx",
        str(server.root),
        "nginx",
    )
    assert "http_stub_status" in found.modules
    assert found.user == ("nobody" if os.getuid() == 0 else found.workers[0].user)
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: nginx.find("localhost", str(server.conf)).generation not in {"", found.generation}, 10)


def test_includes_are_followed(server: Nginx) -> None:
    """Globs sorted by bytes, nested, in any context, by links; each directive knows its file and line."""
    files = {
        "parts/10.conf": "upstream a { include hosts/*.list; zone z 64k; }\n",
        "parts/9.conf": "# nothing\n",
        "parts/.hidden.conf": "broken {",
        "hosts/one.list": "\nserver 127.0.0.1:1 weight=3 max_fails=0 fail_timeout=2s max_conns=9;\nserver unix:/x backup down;",
        "map.inc": "include more.inc;\n'a b' 1;",
        "more.inc": "'~^x{2}' 2;",
        "real/site": "server { listen 127.0.0.1:%d default_server; server_name a.example *.b; }",
        "日志.conf": "log_format 日志 '$remote_addr';",
    }  # fmt: skip
    for name, text in files.items():
        (server.root / name).parent.mkdir(exist_ok=True)
        (server.root / name).write_text(text.replace("%d", str(quiet_ports(1)[0])))
    (server.root / "sites").mkdir()
    (server.root / "sites/default").symlink_to("../real/site")
    server.add(
        "all.conf",
        "include parts/*.conf; include none/*.conf; include 日志.conf;\nmap $uri $m { include map.inc; }\ninclude sites/*;",
    )
    found = nginx.read("localhost", str(server.conf))
    names = [path.removeprefix(f"{server.root}/") for path in found.files]
    assert names[:4] == ["nginx.conf", "conf.d/all.conf", "parts/10.conf", "parts/9.conf"]
    assert "parts/.hidden.conf" not in names
    matched = {one.arguments[0]: paths for one, paths in found.includes}
    assert matched["parts/*.conf"] == (f"{server.root}/parts/10.conf", f"{server.root}/parts/9.conf"), (
        "by bytes, as glob does"
    )
    (a,) = found.upstreams()
    assert (a.name, a.zone, a.where) == ("a", "z", f"{server.root}/parts/10.conf:1")
    first, second = a.servers
    assert (first.address, first.weight, first.max_fails, first.fail_timeout, first.other, first.line) == (
        "127.0.0.1:1", 3, 0, "2s", ("max_conns=9",), 2)  # fmt: skip
    assert (second.address, second.backup, second.down, second.file) == (
        "unix:/x",
        True,
        True,
        f"{server.root}/hosts/one.list",
    )
    (site,) = found.servers()
    assert (site.names, site.listens[0][1:]) == (("a.example", "*.b"), ("default_server",))
    assert found.stored[f"{server.root}/sites/default"].real == f"{server.root}/real/site"
    assert [(d.name, d.arguments) for d in walk(found.main) if d.name.startswith(("a b", "~"))] == [
        ("~^x{2}", ("2",)),
        ("a b", ("1",)),
    ]
    tested = subprocess.run(
        [NGINX, "-t", "-p", server.root, "-c", server.conf, "-e", server.root / "e"], capture_output=True, check=False
    )
    assert tested.returncode == 0, tested.stderr


REFUSED = {
    "missing": ({"nginx.conf": "\ninclude no/such;"}, "nginx.conf:2: found no such file: '{}/no/such', wanted a file to include"),
    "folder": ({"nginx.conf": "include d/*;", "d/e/f": ""}, "nginx.conf:1: found a directory: '{}/d/e', wanted a file to include"),
    "dangling": ({"nginx.conf": "include links/*;"}, "nginx.conf:1: found not a regular file: '{}/links/gone', wanted a file to include"),
    "cycle": ({"nginx.conf": "http { include a; }", "a": "\ninclude b*;", "b": "include a;"},
              "b:1: found a file that includes itself: {}/a -> {}/b -> {}/a, wanted no cycle"),
    "itself": ({"nginx.conf": "include nginx.conf;"}, "nginx.conf:1: found a file that includes itself: {}/nginx.conf -> {}/nginx.conf, wanted no cycle"),
    "levels": ({"nginx.conf": "include 0;", **{str(n): f"include {n + 1};" for n in range(30)}}, "15:1: found includes more than 16 deep, wanted fewer"),
    "depth": ({"nginx.conf": "a { " * 40 + "include a;" + "}" * 40, "a": "b {" * 40 + "c;" + "}" * 40}, "a:1: found blocks more than 64 deep, wanted fewer"),
    "broken": ({"nginx.conf": "include a;", "a": "b;\n\n}"}, "a:3: found '}' that closes nothing, wanted a directive or the end of the file"),
    "none": ({}, "nginx.conf: found no such file, wanted the configuration of nginx"),
    "bomb": ({"nginx.conf": "include a;", **{chr(97 + n): f"include {chr(98 + n)};" * 12 for n in range(8)}, "i": "x;" * 12}, "i:1: found too many directives, wanted fewer"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_nginx_could_not_load_is_refused(tmp_path: Path, case: str) -> None:
    """With host, file and line, and what was wanted."""
    files, why = REFUSED[case]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/gone").symlink_to("/nonexistent")
    with pytest.raises(UsageError) as refusal:
        nginx.read("localhost", str(tmp_path / "nginx.conf"))
    assert refusal.value.message == f"localhost: {tmp_path}/{why.replace('{}', str(tmp_path))}"


def test_a_relative_file_is_refused() -> None:
    """A configuration is named by its absolute path."""
    with pytest.raises(UsageError, match=r"'nginx\.conf'; it is absolute"):
        nginx.find("localhost", "nginx.conf")


SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "sh"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_run_in_any_shell(tmp_path: Path, shell: str) -> None:
    """dash, bash and busybox with nothing but its own programs give the same answers."""
    if not Path(SHELLS[shell][0]).exists():
        pytest.skip(f"there is no {SHELLS[shell][0]} here")
    path = os.environ["PATH"]
    if shell == "busybox":
        tools = tmp_path / "tools"
        tools.mkdir()
        subprocess.run(["/bin/busybox", "--install", "-s", str(tools)], check=True)
        path = str(tools)
    for name in ("b.conf", "a.conf", "c d.conf"):
        (tmp_path / name).write_text(f"# {name}\n")
    asked = [f"{tmp_path}/*.conf", f"{tmp_path}/no", f"{tmp_path}/[ab].conf"]
    run = [*SHELLS[shell], "-c", READ, "opsnb", "1000", "1000", "9", *asked]
    done = subprocess.run(run, capture_output=True, text=True, check=False, env={"PATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line[0] == "#" or line[:4] in {"none", "end"}] == [
        "# a.conf", "# b.conf", "# c d.conf", "none 2", "# a.conf", "# b.conf", "end"]  # fmt: skip
    # what find() asks, of a binary of our own that it may ask, and of none that belongs to somebody else
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho nginx version: nginx/9.9 >&2\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [*SHELLS[shell], "-c", FIND, "opsnb", str(fake)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("btime ")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_running_one_is_found_in_any_shell(server: Nginx, tmp_path: Path, shell: str) -> None:
    """The master's number, its file, its workers and what -V says, with busybox's own programs too."""
    if not Path(SHELLS[shell][0]).exists():
        pytest.skip(f"there is no {SHELLS[shell][0]} here")
    path = os.environ["PATH"]
    if shell == "busybox":
        (tmp_path / "tools").mkdir()
        subprocess.run(["/bin/busybox", "--install", "-s", str(tmp_path / "tools")], check=True)
        path = str(tmp_path / "tools")
    server.start()
    wait_for(lambda: len(server.workers()) == 2, 10)
    run = [*SHELLS[shell], "-c", FIND, "opsnb"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, env={"PATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    found = installation("h", parse_sight(done.stdout), str(server.conf))
    assert (found.pid, len(found.workers), found.name) == (server.pid, 2, "nginx")
    assert found.version
    assert found.loaded


@pytest.mark.skipif(os.getuid() != 0, reason="another user is needed")
def test_what_may_not_be_read_is_asked_for_as_root() -> None:
    """A file, a folder or a pattern that the login may not see is never taken for absent: exit 77."""
    with everybodys() as home:
        (home / "closed").mkdir(mode=0o700)
        (home / "closed/a.conf").write_text("a;")
        (home / "secret").write_text("a;")
        (home / "secret").chmod(0o600)
        run = [*AS_NOBODY, "/bin/sh", "-c", READ, "opsnb", "100", "100", "9"]
        for ask in ("closed/*.conf", "closed/a.conf", "closed/none", "secret", "clos*/*.conf", "closed/*/x", "c*/d/x"):
            done = subprocess.run([*run, f"{home}/{ask}"], capture_output=True, text=True, check=False)
            assert done.returncode == 77, (ask, done.stdout)
            assert done.stderr.startswith(str(home)), ask
        for ask in ("none/*.conf", "none/a.conf", "none", "n*/*.conf"):
            assert subprocess.run([*run, f"{home}/{ask}"], capture_output=True, check=False).returncode == 0, ask


def test_a_process_that_only_calls_itself_nginx_is_not_run(tmp_path: Path) -> None:
    """Its title is its own invention: what it names is asked for its version only where it is root's or ours."""
    title = f"nginx: master process {tmp_path}/evil -c {tmp_path}/evil.conf"
    (tmp_path / "evil").write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    (tmp_path / "evil").chmod(0o755)
    if os.getuid() == 0:
        os.chown(tmp_path / "evil", 65534, 65534)
    sleeper = subprocess.Popen([title, "-c", "import time; time.sleep(60)"], executable=sys.executable)
    try:
        found = nginx.find("localhost", f"{tmp_path}/evil.conf")
        assert found.pid == sleeper.pid or os.getuid() == 0
        assert not (tmp_path / "pwned").exists()
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.skipif(os.getuid() != 0, reason="a PID namespace is made by root")
def test_a_containers_nginx_is_not_the_hosts(tmp_path: Path) -> None:
    """One in another PID namespace is seen in /proc and is not taken for the host's own."""
    one = Nginx(tmp_path / "n")
    argv = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        NGINX,
        "-p",
        str(one.root),
        "-c",
        str(one.conf),
        "-g",
        "daemon off;",
    ]
    inside = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: str(one.conf) in titles(), 10, inside)
        assert nginx.find("localhost", str(one.conf)).pid is None
    finally:
        for child in Path(f"/proc/{inside.pid}/task/{inside.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)  # the first process of its namespace: the whole of it ends
        inside.wait(timeout=20)


def titles() -> str:
    """Return what all processes that call themselves nginx are called."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(name for name in found if name.startswith("nginx: master"))
