"""Hostile values in every argument of the drain and spares kits, nginx directives among them, against a real nginx."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile.sampled import part
from hostile.values import COMMANDS, executed, values
from nearby import nearby
from nginx.tier import Tier, tier
from opsnb.base.errors import OpsnbError
from opsnb.base.plan import Plan
from opsnb.kits.nginx import shift, spares
from opsnb.kits.nginx.shift import Wanted
from opsnb.kits.nginx.sparesrules import Spare

pytestmark = pytest.mark.slow
HOST = "near1"
C = COMMANDS[0]
DIRECTIVES = (
    "; }", "{", "}", "; include /etc/passwd;", "10.0.0.9:80; server 10.0.0.8:80", "10.0.0.9:80 down; }", "a:1;#", "a:1 #",
    "a:1\n    server b:1", "a:1\\", "a:1;\r\nserver b:1", "${host}", "$host", "$arg_x:80", "'a:1'", '"a:1"', "a:1' down", 'a:1"',
    f"a:1; content_by_lua_block {{ os.execute('{C}') }}", "lua_code_cache", f"a:1; init_by_lua 'os.execute(\"{C}\")'",
    "a:1 weight=0", "a:1 weight=-1", "a:1 backup", "a:1 resolve", "a:1 service=http", "unix:/run/../etc/passwd", "unix:", "unix:;",
    "load_module /tmp/x.so", "ssl_engine dynamic", "[::1", "[::1]:x", "[::1%eth0]:80", "a:1,b:2", "a:0", "a:65536", "a:1:2", "*", "~^a$",
)  # fmt: skip
VALUES = [v for v in (*DIRECTIVES, *part(values(), 25)) if len(v) < 5_000]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    """A tier of which a and b serve."""
    folder = tmp_path_factory.mktemp("web")
    folder.chmod(0o755)
    with nearby(), tier(folder, "server {a};", "server {b};") as made:
        yield made


def tried(call: Callable[[], Plan]) -> str:
    """Return in which words something was refused; empty when it was planned."""
    try:
        call()
    except OpsnbError as error:
        return str(error)
    return ""


def test_nothing_but_a_back_end_is_drained_or_brought_in(web: Tier) -> None:
    """As server, upstream, path and configuration file: refused in short words, or an address and nothing else."""
    conf, before, a = str(web.conf), web.site.read_bytes(), web.backends["a"]
    ways: dict[str, Callable[[str], Plan]] = {
        "server to drain": lambda v: shift.plan([HOST], Wanted(action="drain", server=v), conf=conf),
        "upstream to drain": lambda v: shift.plan([HOST], Wanted(action="drain", server=a, upstream=v or "x"), conf=conf),
        "spare to bring in": lambda v: spares.plan([HOST], Spare(action="in", server=v), conf=conf),
        "back end to take out": lambda v: spares.plan([HOST], Spare(action="out", server=v, upstream="shop"), conf=conf),
        "path": lambda v: spares.plan([HOST], Spare(action="in", server=web.backends["c"]), conf=conf, path=v),
        "action": lambda v: shift.plan([HOST], Wanted(action=v, server=a), conf=conf),
        "how": lambda v: spares.plan([HOST], Spare(action="out", server=a, how=v), conf=conf),
    }  # fmt: skip
    refused = planned = 0
    for way, call in ways.items():
        for value in VALUES if way in {"server to drain", "spare to bring in", "path"} else part(VALUES, 5):
            words = tried(lambda c=call, v=value: c(v))
            assert len(words) < 1_500, (way, value[:60], len(words))
            assert "Traceback" not in words
            refused, planned = refused + bool(words), planned + (not words)
            if not words and way in {"server to drain", "spare to bring in"}:
                raise AssertionError((way, value))
    assert refused > 80
    assert planned < refused / 10
    assert web.site.read_bytes() == before
    assert executed(web.folder, Path.cwd()) == []


def test_a_configuration_file_is_a_file(web: Tier) -> None:
    """As ``conf``: refused by name, nothing is read that nginx would not read."""
    for value in part([v for v in VALUES if v], 4):
        words = tried(lambda v=value: shift.plan([HOST], Wanted(action="drain", server=web.backends["a"]), conf=v))
        assert words, value
        assert "root:" not in words
    assert executed(web.folder, Path.cwd()) == []
