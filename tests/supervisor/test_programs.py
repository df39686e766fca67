"""A program as a section: what supervisord itself reads back is what was meant, and what it cannot read is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile.values import values
from opsnb.base.errors import UsageError
from opsnb.kits.supervisor.daemons import daemonizes
from opsnb.kits.supervisor.program import Program, processes, render

PYTHON = Path("/usr/bin/python3")
# supervisord's own reader: a line of JSON in, what it read in that section out.
READER = """
import json, sys, tempfile
from supervisor.options import ServerOptions
for line in sys.stdin:
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write("[supervisord]\\n" + json.loads(line)); file.flush()
        options = ServerOptions()
        options.configfile = file.name
        try:
            options.process_config(do_usage=False)
            import shlex
            rows = [[p.name, shlex.split(p.command), p.directory, p.uid is not None, p.environment, p.autostart,
                     str(p.autorestart), p.startsecs, p.startretries, p.stopsignal, p.stopwaitsecs, p.stopasgroup,
                     p.killasgroup]
                    for g in options.process_group_configs for p in g.process_configs]
        except ValueError as error:
            rows = str(error)
    print(json.dumps(rows), flush=True)
"""
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=30)


class Reader:
    """supervisord's parser, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def read(self, text: str) -> Any:
        """Return what it read, a row a process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """The real parser of the system's Supervisor."""
    if subprocess.run([PYTHON, "-c", "import supervisor"], capture_output=True, check=False).returncode:
        pytest.skip("Supervisor is not installed on this machine")
    process = subprocess.Popen([PYTHON, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Reader(process)
    process.communicate(timeout=20)


def rendered(program: Program) -> str:
    """Return the section, empty where the program is refused."""
    try:
        return render(program)
    except UsageError:
        return ""


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=6), st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), WORDS, max_size=4))
def test_supervisord_reads_back_what_was_meant(reader: Reader, words: list[str], environment: dict[str, str]) -> None:
    """Every word and variable arrives as it is, or the program is refused; nothing becomes another option."""
    text = rendered(Program(name="shop", command=["/bin/x", *words], environment=environment))
    if text:
        (row,) = reader.read(text)
        assert row[:2] == ["shop", ["/bin/x", *words]]
        assert row[4] == environment


def test_hostile_words_arrive_or_are_refused(reader: Reader) -> None:
    """450 hostile values, directives of Supervisor among them, as a word and as a variable: as they are, or refused."""
    more = ["%(ENV_HOME)s", "x\n[program:evil]\ncommand=/bin/id", "a ; b", "a # b", ";", "#", "%%", "100%", 'a"b', "a'b",
            "\\", "a\\", "$HOME `id` $(id)", "[program:evil]", "environment=A=1", "x\rcommand=y", "x\x85y", "x y"]  # fmt: skip
    arrived = 0
    for value in [*values(), *more]:
        if text := rendered(Program(name="shop", command=["/bin/x", value], environment={})):
            rows = reader.read(text)
            assert [row[:2] for row in rows] == [["shop", ["/bin/x", value]]], value[:80]
            arrived += 1
        if text := rendered(Program(name="shop", command=["/bin/x"], environment={"A": value, "B": "b"})):
            (row,) = reader.read(text)
            assert row[4] == {"A": value, "B": "b"}, value[:80]
            arrived += 1
    assert arrived > 500


def test_every_option_arrives(reader: Reader) -> None:
    """All options at once are what supervisord reads; several processes are numbered as the kit says."""
    program = Program(
        name="job-1", command=["/bin/sh", "-c", "while :; do date +%s; done"], directory="/tmp", user="root",
        environment={"A": "1,2=3"}, autostart=False, autorestart="unexpected", startsecs=7, startretries=9,
        stopsignal="INT", stopwaitsecs=33, as_group=True, numprocs=3,
    )  # fmt: skip
    rows = reader.read(render(program))
    assert [f"job-1:{row[0]}" for row in rows] == processes(program)
    assert rows[0][1:] == [
        ["/bin/sh", "-c", "while :; do date +%s; done"], "/tmp", True, {"A": "1,2=3"}, False, rows[0][6], 7, 9, 2, 33,
        True, True,
    ]  # fmt: skip
    assert "Unexpected" in rows[0][6]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "all"}, "takes it for every program"), ({"name": "a b"}, "the name is 'a b'"), ({"name": "x]"}, "name"),
        ({"command": []}, "0 words"), ({"command": ["sleep"]}, "absolute path"), ({"command": ["/bin/x", "a ;b"]}, "comment"),
        ({"command": ["/bin/x", "a\nb"]}, "control character"), ({"directory": "rel"}, "directory"), ({"directory": "/a/../b"}, "directory"),
        ({"user": "a;b"}, "user"), ({"environment": {"a-b": "1"}}, "variable"), ({"environment": {"A": "'x'"}}, "begins or ends"),
        ({"environment": {"A": "it's \"x"}}, "both kinds"), ({"environment": {"A": "a #b"}}, "comment"),
        ({"stdout_log": "/x %(y)s"}, "log"), ({"numprocs": 0}, "numprocs"), ({"startsecs": 601}, "startsecs"),
        ({"stopsignal": "9"}, "signal"), ({"autorestart": "no"}, "autorestart"), ({"command": ["/usr/sbin/nginx"]}, "daemon off;"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(wrong: dict[str, Any], said: str) -> None:
    """Each wrong value is refused with its name and what was wanted."""
    with pytest.raises(UsageError) as caught:
        render(Program(**{"name": "shop", "command": ["/bin/sleep", "9"], **wrong}))
    assert said in str(caught.value)


FOREGROUND = [
    "/usr/sbin/nginx -g|daemon off;", "/usr/sbin/nginx -c /x -g|worker_processes 2; daemon off;", "/usr/sbin/nginx|-gdaemon off;",
    "uwsgi --ini /a.ini", "uwsgi -s/run/django.sock", "gunicorn app:app", "celery worker", "redis-server --daemonize no",
    "mysqld --datadir=/Data", "mariadbd -h/var/Data", "php-fpm8.2 -F", "php-fpm --nodaemonize", "sshd -D", "sshd -De", "rsyslogd -n",
    "httpd -DFOREGROUND", "memcached -u x", "catalina.sh run", "zkServer.sh start-foreground", "java -jar x.jar", "supervisord -n",
    "sh -c|exec app 2>&1", "bash -c|a && b", "sh -c|a >&2 || b", "sh /opt/x.sh", "env A=1 sudo -u x gunicorn a", "python3 app.py",
    "python3 -m http.server", "timeout 5 sleep 9", "keepalived -n", "rsync --daemon --no-detach", "named -f", "dnsmasq -k", "",
]  # fmt: skip
BACKGROUND = [
    "/usr/sbin/nginx", "/usr/sbin/nginx -g|daemon on;", "uwsgi --daemonize /x.log", "uwsgi --daemonize=/x", "uwsgi -d /x", "gunicorn -D a",
    "gunicorn a --daemon", "celery worker --detach", "celery multi start w1", "redis-server --daemonize yes", "redis-server --daemonize=yes",
    "mysqld --daemonize", "php-fpm", "php-fpm8.2 -y /x", "sshd", "rsyslogd", "apache2", "apachectl start", "memcached -d -u x",
    "mongod --fork", "elasticsearch -d", "supervisord", "varnishd -a :80", "catalina.sh start", "startup.sh", "zkServer.sh start",
    "kafka-server-start.sh -daemon x", "rabbitmq-server -detached", "sh -c|app &", "bash -lc|nohup app", "sh -c|setsid app; true",
    "nohup app", "setsid app", "start-stop-daemon --background --start", "systemctl start x", "service x start", "/etc/init.d/x start",
    "env A=1 sudo -u x gunicorn -D a", "nice -n 5 timeout 9 memcached -d", "python3 -m celery multi start", "python3 /usr/bin/gunicorn -D x",
    "sh /opt/catalina.sh start", "fdfs_trackerd /etc/fdfs/tracker.conf", "haproxy -D -f x", "rsync --daemon", "jsvc X", "pg_ctl start",
]  # fmt: skip


def words_of(text: str) -> list[str]:
    """Return words: split at blanks, and what stands behind ``|`` is one word."""
    head, _, last = text.partition("|")
    return [*head.split(), *([last] if last else [])]


@pytest.mark.parametrize("command", FOREGROUND)
def test_what_stays_in_the_foreground_is_taken(command: str) -> None:
    """A command that stays is not refused."""
    assert daemonizes(words_of(command)) == ""


@pytest.mark.parametrize("command", BACKGROUND)
def test_what_goes_into_the_background_is_refused(command: str) -> None:
    """A command that daemonizes itself is refused with what to write instead."""
    assert len(daemonizes(words_of(command)).split()) > 4


@given(st.lists(st.text(max_size=12), max_size=6))
def test_no_command_breaks_the_rules(words: list[str]) -> None:
    """Whatever the words, there is an answer."""
    assert isinstance(daemonizes(words), str)


def test_the_reader_is_the_real_one(reader: Reader) -> None:
    """The oracle is supervisord's parser: it refuses what supervisord refuses, and cuts what supervisord cuts."""
    assert "does not specify a command" in reader.read("[program:x]\n")
    assert reader.read("[program:x]\ncommand=/bin/x a ;b\n")[0][1] == ["/bin/x", "a"]
    assert sys.version_info >= (3, 11)
