"""Hostile values through what looks at nginx: as a file's name, a word of a configuration, a search, a client, a server."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from hostile.sampled import part
from hostile.values import executed, values
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import nginx
from opsnb.kits.nginx import iphash, iphashhosts, survey
from opsnb.kits.nginx.tokens import MAX_WORD, decode, encode

DIRECTIVES = ("; }", "{", "}", "#", "\\", "${host}", "a;\nlua_code_cache off", "'; include /etc/passwd; #", '"}', "a\\;b", "$(id)", "`id`",
              "a b", "http { server { listen 1; } }", "\\'", '\\"', "content_by_lua_block { os.execute('id') }", "日志;", "a\rb", "\ta")  # fmt: skip
VALUES = [*DIRECTIVES, *values()]
NO_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")  # what no file holds: NUL, and surrogates of no byte
FILED = [v for v in VALUES if not NO_TEXT.search(v)]


def plain(text: str) -> bool:
    """Whether a text can be shown: one line, nothing that a reader cannot see."""
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


def refused(call) -> str:
    """Return the words in which something was refused; nothing when it was not."""
    try:
        call()
    except OpsnbError as error:
        return error.message
    return ""


def test_a_value_in_a_configuration_is_a_word_and_nothing_else() -> None:
    """Between quotes, escaped: the one argument of one directive, shown without a character that acts."""
    taken = 0
    for value in FILED:
        if len(encode(value)) * 2 > MAX_WORD:
            continue
        written = value.replace("\\", "\\\\").replace('"', '\\"')
        (one,) = nginx.parse(decode(encode(f'add_header X "{written}";')), "x")
        assert encode(one.arguments[1]) == encode(value)
        assert plain(survey.said(one))
        taken += 1
    assert taken > 300


def test_a_value_as_it_is_ends_no_other_file() -> None:
    """Unquoted in a file: taken apart or refused in words that can be printed, never another error."""
    said = [refused(lambda v=value: nginx.parse(decode(encode(f"server {{ root {v}; }}\n")), "x")) for value in FILED]
    assert all(plain(text) and (not text or text.startswith("x:")) for text in said)
    assert sum(bool(text) for text in said) > 20


def test_a_file_of_any_name_is_looked_for_and_nothing_is_carried_out() -> None:
    """As the main file's path: refused in words."""
    for value in part(VALUES, 60):
        for path in (value, f"/{value}"):
            with pytest.raises(OpsnbError) as refusal:
                nginx.read("localhost", path)
            assert plain(refusal.value.message.replace("\n", " ")), path
    assert executed() == []


def test_an_include_of_any_name_is_looked_for_and_nothing_is_carried_out(tmp_path: Path) -> None:
    """As a file that the configuration includes: read, or refused with file and line."""
    (tmp_path / "nginx.conf").touch()
    for value in [v for v in part(FILED, 60) if v and len(encode(v)) * 2 < MAX_WORD]:
        written = value.replace("\\", "\\\\").replace('"', '\\"')
        (tmp_path / "nginx.conf").write_bytes(encode(f'include "{written}";'))
        assert plain(refused(lambda: nginx.read("localhost", str(tmp_path / "nginx.conf")))), value
    assert executed(tmp_path) == []


def test_a_client_a_server_and_an_upstream_are_typed() -> None:
    """Whatever it is: an address, a server line, a name that is there; or refused in words."""
    for value in VALUES:
        for call in (
            lambda v=value: iphash.predict(v, iphash.peers_of_lines(["10.0.0.1"])),
            lambda v=value: iphash.peers_of_lines(["10.0.0.1", v]),
            lambda v=value: iphashhosts.look([], servers=["10.0.0.1"], upstream=v or "x"),
        ):
            with pytest.raises(UsageError) as refusal:
                call()
            assert plain(refusal.value.message), value
    assert executed() == []
