"""Help in a terminal of 80 columns."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from opsnb.cli.main import COMMANDS, cli

GROUPS = (
    "requests",
    "runs",
    "host",
    "runbook",
    "rehearse",
    "secret",
    "user",
    "role",
    "department",
    "delegate",
    "audit",
)


@pytest.mark.parametrize("group", [*GROUPS, "user token"])
def test_no_sentence_breaks_off(group: str) -> None:
    """The help of a group says of each command its whole first sentence."""
    assert group.split(maxsplit=1)[0] in COMMANDS
    shown = CliRunner().invoke(cli, [*group.split(), "--help"], terminal_width=80).output
    listed = shown.partition("Commands:\n")[2]
    assert listed.count("\n") > 1
    assert "..." not in listed
