"""Hostile values on the way to a machine, as a child process and behind a real sshd, and through the kits that change.

A value arrives byte for byte, as a word, a variable, input, a file's name or content, a script's argument; or it is
refused in words before anything was started. None is carried out: no file, no process, on either side.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from fleets import Hosts
from hostile.sampled import part
from hostile.values import MARK, sendable, values
from nearby import carry_out
from opsnb.base.errors import OpsnbError
from opsnb.fleet import Machine
from opsnb.kits import files, script
from opsnb.kits.prepare import clock, kernel, keys, software, users

pytestmark = pytest.mark.slow
VALUES = values()
MOST = 100_000  # bytes of one word that Linux takes for sure
SHORT = [value for value in VALUES if sendable(value) and len(value.encode()) < 4_000]
SCRIPT = """#!/bin/sh
for value; do printf '%s\\0' "$value"; done > "arguments"
printf '%s\\0' {variables} > "variables"
"""


def _tried(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a call gave, or the words in which it was refused."""
    try:
        return call(), ""
    except OpsnbError as error:
        return None, str(error)


def _word(machine: Machine, value: str, **options: Any) -> str:
    result, refused = _tried(lambda: machine.run("printf", "%s", value, **options))
    if refused:
        assert not sendable(value), (value[:80], refused)
        return "refused"
    if not result.ok and len(value.encode("utf-8", "replace")) > MOST:
        assert "too long" in result.why, result.why
        return "refused"
    assert result.ok, (value[:80], result)
    assert result.stdout == value.encode("utf-8", "surrogateescape"), value[:80]
    return "data"


@pytest.mark.parametrize("sudo", [False, True])
def test_a_word_is_data(machine: Machine, sudo: bool) -> None:  # noqa: FBT001  (pytest passes it by name)
    """As an argument of a program, as the person who logs in and through sudo."""
    became = [_word(machine, value, sudo=sudo) for value in part(VALUES, 4 if sudo else 1)]
    assert became.count("data") > len(became) * 0.9


def test_many_words_at_once_are_data(machine: Machine) -> None:
    """All of them in one command line, in their order."""
    result = machine.run("printf", "%s\\0", *SHORT)
    assert result.stdout.decode().split("\0")[:-1] == SHORT


def test_variables_and_input_are_data(machine: Machine) -> None:
    """As an environment variable, and on stdin."""
    for value in part(SHORT, 4):
        assert machine.run("printenv", "level", environment={"level": value}).stdout == value.encode() + b"\n"
    everything = "\n".join(value for value in VALUES if sendable(value)).encode()
    assert machine.run("cat", stdin=everything).stdout == everything


def test_files_of_any_name_and_content(machine: Machine) -> None:
    """A file with the value as its name and as its content is made, read and removed; or it is refused."""
    folder = f"/tmp/hostile-{secrets.token_hex(8)}"
    assert machine.changing.run("mkdir", folder).ok
    made = 0
    for value in part(VALUES, 12):
        for path, content in ((f"{folder}/{value}", "x"), (f"{folder}/plain", value)):
            values_of = {"content": content}
            plan, refused = _tried(lambda p=path, v=values_of: files.plan_file(machine.name, p, "${content}", v))
            if refused:
                assert folder in refused, refused[:200]
                continue
            carry_out(plan)
            assert files.read_file(path, machine.name) == {"content": content, "mode": "0644"}
            listed = machine.run("ls", "-A", folder).stdout.count(b"\n") - path.rpartition("/")[2].count("\n")
            assert listed == 1, value[:80]
            carry_out(plan.inverse())
            made += 1
    assert made > 30
    assert machine.changing.run("rmdir", folder).ok


def test_a_scripts_values(machine: Machine) -> None:
    """As arguments and as variables of a script, all at once: they arrive in their order, byte for byte."""
    folder = f"/tmp/hostile-{secrets.token_hex(8)}"
    assert machine.changing.run("mkdir", folder).ok
    short = [value for value in SHORT if len(value.encode()) < 1_000]
    names = [f"v{number}" for number in range(len(short))]
    text = SCRIPT.replace("{variables}", " ".join(f'"${name}"' for name in names))
    script._EXITS.clear()
    plan = script.plan_script(
        machine.name, "hostile.sh", text, directory=folder, arguments=short,
        environment=dict(zip(names, short, strict=True)), undo="rm arguments variables\n",
    )  # fmt: skip
    carry_out(plan)
    for name in ("arguments", "variables"):
        assert machine.run("cat", f"{folder}/{name}").stdout.decode().split("\0")[:-1] == short
    carry_out(plan.inverse())
    assert machine.changing.run("rmdir", folder).ok


def test_a_scripts_environment_is_its_own(machine: Machine) -> None:
    """Nothing of the login, of sudo or of the control plane is in it."""
    folder = f"/tmp/hostile-{secrets.token_hex(8)}"
    assert machine.changing.run("mkdir", folder).ok
    text = "cat /proc/self/environ | tr '\\0' '\\n' | cut -d= -f1 >names\n"
    script._EXITS.clear()
    plan = script.plan_script(
        machine.name, "own.sh", text, directory=folder, environment={"level": "1"}, undo="rm names"
    )
    carry_out(plan)
    names = set(machine.run("cat", f"{folder}/names").text.split())
    assert (
        {"PATH", "LC_ALL", "HOME", "TMPDIR", "level"}
        <= names
        <= {"PATH", "LC_ALL", "HOME", "TMPDIR", "level", "PWD", "OLDPWD"}
    )
    carry_out(plan.inverse())
    assert machine.changing.run("rmdir", folder).ok


def test_what_prepares_a_host_takes_names_only(machine: Machine) -> None:
    """User, group, shell, key, package, zone, server, setting: a name, or refused; plans only, and nothing is begun."""
    host = machine.name
    ways = {
        "user": lambda v: users.plan(host, v, uid=2900, shell="/bin/sh", groups=[]),
        "group": lambda v: users.plan(host, "nobody", uid=65534, shell="/bin/sh", groups=[v]),
        "shell": lambda v: users.plan(host, "fresh", uid=2900, shell=v, groups=[]),
        "key": lambda v: keys.plan(host, "fresh", v),
        "package": lambda v: software.plan(host, [f"-{v}"], []),
        "service": lambda v: software.plan(host, [], [v]),
        "zone": lambda v: clock.plan_zone(host, v),
        "server": lambda v: clock.plan_ntp(host, [v], chrony=True),
        "setting": lambda v: kernel.plan(host, {v: "1"}),
        "value": lambda v: kernel.plan(host, {"vm.swappiness": v}),
    }
    planned = refused = 0
    for way, call in ways.items():
        for value in part(VALUES, 3):
            change, words = _tried(lambda c=call, v=value: c(v))
            assert len(words) < 1_000, way
            assert change is None or sendable(str(change.after)), (way, value)
            refused, planned = refused + bool(words), planned + (not words)
    assert refused > 10 * planned


def test_nothing_stays_on_the_hosts(rehearsal: Hosts) -> None:
    """After all of the above no value was carried out on the host, and no folder of ours is left."""
    assert rehearsal.sudo("web1", f"find / -xdev -name '{MARK}*' -not -path '/proc/*'") == ""
    assert rehearsal.sudo("web1", "find /tmp -maxdepth 1 -name 'opsnb-*' -o -maxdepth 1 -name 'hostile-*'") == ""
