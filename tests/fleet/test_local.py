"""This machine as somebody who is not root: becoming root with and without a password."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable

import pytest

from fleet.conftest import needs_root
from fleet.test_sudo import sudoers
from opsnb.fleet import Machine, Status
from opsnb.fleet.local import LocalTransport
from sshd import user

pytestmark = needs_root
WORD = "Local-Password-5"


def as_user(name: str, function: Callable[[], list[object]]) -> list[object]:
    """Return what a function returns in a child process that is that user."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            entry = pwd.getpwnam(name)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.write(writer, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    assert text, "the child failed"
    found: list[object] = json.loads(text)
    return found


@pytest.mark.parametrize("rule", ["ALL", "NOPASSWD: ALL"])
def test_a_password_goes_to_sudo_and_to_nobody_else(rule: str) -> None:
    """With a password the program is root's, its stdin and output are its own, whether sudo asks or not."""
    machine = Machine("here", LocalTransport("here", "password", lambda *_: {"kind": "password", "password": WORD}))

    def act() -> list[object]:
        result = machine.run("sh", "-c", "id -u; cat; exit 3", stdin=b"data\n", sudo=True)
        return [machine.run("id", "-u").text, result.text, result.errors, result.exit]

    with user("opsnblocal", password=WORD) as name, sudoers(name, rule):
        mine, root, errors, code = as_user(name, act)
    assert (mine != "0\n", root, errors, code) == (True, "0\ndata\n", "", 3)


@pytest.mark.slow
def test_what_refuses_has_started_nothing() -> None:
    """A wrong password, a password that nobody gave, no sudo at all: unreachable, with the reason."""

    def act() -> list[object]:
        found: list[object] = []
        for sudo in ("none", "passwordless", "password"):
            transport = LocalTransport("here", sudo, lambda *_: {"kind": "password", "password": "Wrong-Password"})
            result = Machine("here", transport).run("true", sudo=True)
            found += [result.status, result.error]
        return found

    with user("opsnblocal", password=WORD) as name, sudoers(name, "ALL"):
        found = as_user(name, act)
    assert found[::2] == [Status.UNREACHABLE] * 3
    assert "may not be used" in str(found[1])
    assert "a password is required" in str(found[3])
    assert "does not accept the password" in str(found[5])
