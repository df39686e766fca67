"""Where `opsnb cp` puts what comes from a host: below the target, whatever a control plane says."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsnb.base.errors import OpsnbError
from opsnb.cli.cp import goal_of


def test_a_file_lands_in_the_target() -> None:
    """By its name alone, or in a folder of the host's."""
    assert goal_of(Path("/x"), "", "hosts") == Path("/x/hosts")
    assert goal_of(Path("/x"), "上海-web1", "..hosts") == Path("/x/上海-web1/..hosts")


@pytest.mark.parametrize("word", ["..", ".", "/etc/ssh", "../../.ssh", "a/b", "a\nb", "a\0b"])
def test_a_control_plane_that_lies_writes_nothing_elsewhere(word: str) -> None:
    """A host or a file with a path for a name, or with a name that acts, is refused."""
    with pytest.raises(OpsnbError, match="nothing is written"):
        goal_of(Path("/x"), word, "authorized_keys")
    with pytest.raises(OpsnbError, match="nothing is written"):
        goal_of(Path("/x"), "web1", word)


def test_a_file_without_a_name_is_none() -> None:
    """A path that ends in no name names no file."""
    with pytest.raises(OpsnbError, match="nothing is written"):
        goal_of(Path("/x"), "", "")
