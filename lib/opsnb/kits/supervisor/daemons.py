"""Commands that daemonize themselves: Supervisor sees them end, starts another, and loses hold of both.

Pure: a command in, the reason out. Known cases by their flags; every other one is found by what it does, see
:mod:`opsnb.kits.supervisor.adding`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

WRAPPERS = {  # what only starts another program: how many words of its own it has before that, flags not counted
    "env": 0, "nice": 0, "ionice": 0, "chrt": 1, "timeout": 1, "stdbuf": 0, "numactl": 0, "sudo": 0, "gosu": 1,
    "su-exec": 1, "setpriv": 0, "authbind": 0, "time": 0, "exec": 0, "dumb-init": 0, "tini": 0,
}  # fmt: skip
WITH_VALUE = {  # flags of theirs that take the next word along
    "env": ("-u", "-C"), "nice": ("-n",), "ionice": ("-c", "-n"), "sudo": ("-u", "-g", "-h", "-p"),
    "stdbuf": ("-i", "-o", "-e"), "timeout": ("-s", "-k"), "numactl": ("-N", "-m", "-C"),
}  # fmt: skip
SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh", "busybox")
LETTERS = re.compile(r"-[A-Za-z]{1,4}")  # flags of one letter each; a longer word is one flag and its value
PYTHON = re.compile(r"python[0-9.]*")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")
BACKGROUND = re.compile(r"(?<![&>|])&(?![&>])|\bnohup\b|\bsetsid\b|\bdisown\b|\bstart-stop-daemon\b|\bdaemon(?:ize)?\s")
STARTERS = ("nohup", "setsid", "daemonize", "start-stop-daemon", "systemctl", "service", "initctl", "rc-service")


def daemonizes(command: Sequence[str]) -> str:
    """Return why Supervisor cannot keep a command, and what to write instead; empty where nothing is known."""
    words = _unwrapped(list(command))
    if not words:
        return ""
    name = _name(words[0])
    if name in SHELLS:
        return _shell(name, words[1:])
    if PYTHON.fullmatch(name):
        words = _module(words)
        name = _name(words[0]) if words else ""
    if name in STARTERS:
        return f"{name} puts the program into the background and ends; name the program itself"
    if words and "/init.d/" in words[0]:
        return f"{words[0]} starts a service and ends; name the program itself"
    for names, daemon, instead in RULES:
        if name in names and daemon(words[1:]):
            return f"{name} goes into the background; {instead}"
    return ""


def _has(*flags: str) -> Callable[[Sequence[str]], bool]:
    """Whether a flag is given: ``--daemon``, ``--daemon=x``, or a letter among others: ``-dP``."""
    return lambda words: any(_given(word, flag) for word in words for flag in flags)


def _lacks(*flags: str) -> Callable[[Sequence[str]], bool]:
    return lambda words: not any(_given(word, flag) for word in words for flag in flags)


def _given(word: str, flag: str) -> bool:
    if flag.startswith("--") or len(flag) > 2:  # noqa: PLR2004  (a dash and a letter)
        return word == flag or word.startswith(flag + "=")
    return bool(LETTERS.fullmatch(word)) and flag[1:] in word[1:]


def _yes(flag: str) -> Callable[[Sequence[str]], bool]:
    """Whether ``--daemonize yes`` is given, in one word or two."""
    return lambda words: any(
        word == f"{flag}=yes" or (word == flag and index + 1 < len(words) and words[index + 1] == "yes")
        for index, word in enumerate(words)
    )


def _nginx(words: Sequence[str]) -> bool:
    told = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-g"]
    told += [word[2:] for word in words if word.startswith("-g") and len(word) > 2]  # noqa: PLR2004  (the flag itself)
    return not any(re.search(r"(?:^|;|\s)daemon\s+off\s*;", text) for text in told)


def _says(*wanted: str) -> Callable[[Sequence[str]], bool]:
    return lambda words: any(word in wanted for word in words)


def _lacks_word(*wanted: str) -> Callable[[Sequence[str]], bool]:
    return lambda words: not any(word in wanted for word in words)


RULES: tuple[tuple[tuple[str, ...], Callable[[Sequence[str]], bool], str], ...] = (
    (("nginx", "openresty"), _nginx, "add the words -g 'daemon off;'"),
    (("uwsgi",), _has("--daemonize", "--daemonize2", "-d"), "leave --daemonize out"),
    (("gunicorn", "gunicorn3"), _has("--daemon", "-D"), "leave --daemon out"),
    (("celery",), _has("--detach", "-D"), "leave --detach out"),
    (("celery",), _says("multi"), "use 'celery worker', not 'celery multi'"),
    (("redis-server", "redis-sentinel", "valkey-server"), _yes("--daemonize"), "write --daemonize no"),
    (("mysqld", "mariadbd"), _has("--daemonize", "-D"), "leave --daemonize out"),
    (("php-fpm", "php-fpm7.4", "php-fpm8.1", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4"), _lacks("-F", "--nodaemonize"),
     "add -F"),
    (("sshd",), _lacks("-D", "-d"), "add -D"),
    (("rsyslogd",), _lacks("-n"), "add -n"),
    (("httpd", "apache2"), _lacks("-DFOREGROUND", "-X"), "add -DFOREGROUND"),
    (("apachectl", "apache2ctl"), _lacks("-DFOREGROUND"), "add -DFOREGROUND"),
    (("haproxy",), _has("-D"), "leave -D out, add -db"),
    (("memcached",), _has("-d", "--daemon"), "leave -d out"),
    (("mongod", "mongos"), _has("--fork"), "leave --fork out"),
    (("elasticsearch", "opensearch", "logstash"), _has("-d", "--daemonize"), "leave -d out"),
    (("supervisord",), _lacks("-n", "--nodaemon"), "add -n"),
    (("varnishd",), _lacks("-F", "-d"), "add -F"),
    (("keepalived",), _lacks("-n", "--dont-fork"), "add -n"),
    (("dnsmasq",), _lacks("-k", "-d", "--keep-in-foreground", "--no-daemon"), "add -k"),
    (("lighttpd",), _lacks("-D"), "add -D"),
    (("squid",), _lacks("-N", "--foreground"), "add --foreground"),
    (("named",), _lacks("-f", "-g"), "add -f"),
    (("cron",), _lacks("-f"), "add -f"),
    (("crond",), _lacks("-n", "-f"), "add -n"),
    (("zabbix_agentd", "zabbix_server", "zabbix_proxy"), _lacks("-f", "--foreground"), "add -f"),
    (("pg_ctl",), _says("start", "restart"), "name postgres itself"),
    (("fdfs_trackerd", "fdfs_storaged", "fdhtd"), lambda _: True, "FastDFS knows no other way; use its own service"),
    (("catalina.sh", "startup.sh"), _lacks_word("run"), "use 'catalina.sh run'"),
    (("zkServer.sh",), _lacks_word("start-foreground"), "use 'zkServer.sh start-foreground'"),
    (("kafka-server-start.sh", "zookeeper-server-start.sh"), _says("-daemon"), "leave -daemon out"),
    (("rabbitmq-server",), _has("-detached"), "leave -detached out"),
    (("jsvc",), _lacks("-nodetach"), "add -nodetach"),
    (("rsync",), lambda words: "--daemon" in words and "--no-detach" not in words, "add --no-detach"),
)  # fmt: skip


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _unwrapped(words: list[str]) -> list[str]:
    """Return a command without what only starts it: ``env A=b sudo -u x prog`` is ``prog``."""
    while words and (name := _name(words[0])) in WRAPPERS:
        own = WRAPPERS[name]
        rest = words[1:]
        while rest and (rest[0].startswith("-") or own or (name == "env" and ASSIGNMENT.fullmatch(rest[0]))):
            word = rest.pop(0)
            if word == "--":
                break
            if word in WITH_VALUE.get(name, ()) and rest:
                rest.pop(0)
            elif not word.startswith("-") and not ASSIGNMENT.fullmatch(word):
                own -= 1
        words = rest
    return words


def _shell(name: str, words: Sequence[str]) -> str:
    """Look into ``sh -c TEXT`` for what goes into the background; a script that is named is not read."""
    for index, word in enumerate(words[:-1]):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            found = BACKGROUND.search(words[index + 1])
            return f"{name} runs {found.group().strip()!r} there and ends before the program does" if found else ""
    scripts = [word for word in words if not word.startswith("-")]
    return daemonizes(scripts) if scripts and _name(scripts[0]) in _SCRIPTS else ""


def _module(words: Sequence[str]) -> list[str]:
    """Return what Python runs: ``python3 -m celery multi`` is ``celery multi``, ``python3 /x/gunicorn`` the script."""
    for index, word in enumerate(words[1:], 1):
        if word == "-m":
            return list(words[index + 1 :])
        if not word.startswith("-"):
            return list(words[index:])
    return []


_SCRIPTS = {name for names, _, _ in RULES for name in names if name.endswith(".sh")} | {"catalina.sh"}
