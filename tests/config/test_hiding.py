"""Contents that nobody may read: keyed by request, the same in its plan, apply and undo; masked in what programs say."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import AlteredError, UnavailableError
from opsnb.control.secrets import request_key
from opsnb.kits.config import hiding


def test_a_request_has_a_key_of_its_own(tmp_path: Path) -> None:
    """The same again, from the file too; another for each request and each workspace; nobody else reads the file."""
    key = request_key(tmp_path, "one")
    assert len(bytes.fromhex(key)) == 32
    assert request_key(tmp_path, "one") == key
    assert request_key(tmp_path, "two") != key
    assert request_key(tmp_path / "other", "one") != key
    file = tmp_path / "keys/hiding.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()


@pytest.mark.parametrize("text", ["", "no hex", "ab", "00" * 33])
def test_a_key_file_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    """Nothing is hidden under half a key."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/hiding.key").write_text(text)
    with pytest.raises(AlteredError, match="is not a key file"):
        request_key(tmp_path, "one")


@given(content=st.text(max_size=50), other=st.text(max_size=50))
def test_hashes_tell_contents_apart_and_nothing_else(content: str, other: str) -> None:
    """Same content, same hash, under one key; mode and owner stay; the content is at hand in this process only."""
    content, other = (text.encode("utf-8", "replace").decode() for text in (content, other))
    hiding.use(b"k")
    state = {"content": content, "mode": "0600", "owner": "a:b"}
    hidden = hiding.hide(state)
    assert hidden is not None
    assert hiding.hidden(hidden)
    assert (hidden["mode"], hidden["owner"], "content" in hidden) == ("0600", "a:b", False)
    assert (hiding.digest_of(other) == hidden["hidden"]) == (other == content)
    held = hiding.held(hidden)
    assert held == content
    assert hiding.shown(hidden, held) == state
    hiding.use(b"another")
    assert hiding.held(hidden) is None
    assert hiding.digest_of(content) != hidden["hidden"]


def test_what_a_program_quotes_is_masked() -> None:
    """Words of the content, however they are quoted; what is too short to be one is left."""
    said = 'line 1: "hunter2secret" near password=hunter2secret; a b'
    assert hiding.masked(said, ["password = hunter2secret\na b\n"]) == 'line 1: "***" near ***=***; a b'


def test_a_key_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A full disk, a file in the way: words, not a traceback."""
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(UnavailableError, match="hiding"):
        request_key(tmp_path, "one")
