"""The control plane's part of a session: two bounded queues, and a kernel that is woken exactly when it has to be."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import LinkError, RefusedError, UsageError
from opsnb.base.runlink import RunLink
from opsnb.control.flows import converse
from opsnb.control.records import Mode
from opsnb.control.runs.terminal import CLOSED, GONE, MAX_PIECE, MAX_SHOWN, MAX_TYPED, Terminal


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """One session's queues."""
    made = Terminal()
    yield made
    made.release()


def say(terminal: Terminal, data: bytes = b"") -> dict[str, Any]:
    """Say something as the kernel does."""
    return terminal.exchange({"output": base64.b64encode(data).decode()})


async def there() -> bool:
    """Be there."""
    return True


async def gone() -> bool:
    """Be gone."""
    return False


def shown(terminal: Terminal, present: Any = there) -> bytes:
    """Return all that a person is shown until the session is over, or the person gone."""

    async def collected() -> bytes:
        return b"".join([piece async for piece in terminal.follow(present)])

    return asyncio.run(collected())


@given(typed=st.lists(st.binary(max_size=40), max_size=12), said=st.lists(st.binary(max_size=40), max_size=12))
def test_nothing_is_lost_or_reordered(typed: list[bytes], said: list[bytes]) -> None:
    """What is typed reaches the kernel, what is said reaches the person: every byte once, in order."""
    terminal = Terminal()
    for keys in typed:
        terminal.type(keys, None, end=False)
    got = b"".join(base64.b64decode(say(terminal, piece)["input"]) for piece in [*said, b""])
    terminal.close()
    assert got == b"".join(typed)
    assert shown(terminal) == b"".join(said)
    terminal.release()


def test_both_ways_are_bounded(terminal: Terminal) -> None:
    """Too much typing is refused, too much output too, and nothing of it is taken."""
    with pytest.raises(RefusedError, match="input"):
        terminal.type(b"x" * (MAX_TYPED + 1), None, end=False)
    assert say(terminal, b"x" * MAX_SHOWN)["room"] == 0
    with pytest.raises(RefusedError, match="room"):
        say(terminal, b"x")
    assert say(terminal)["input"] == ""


def test_the_kernel_is_woken_once_for_each_news(terminal: Terminal) -> None:
    """A key wakes a kernel that has asked and got nothing; further keys wait for its question."""
    terminal.type(b"early", None, end=False)
    assert terminal.due() is False  # it has not asked yet
    assert base64.b64decode(say(terminal)["input"]) == b"early"
    assert terminal.due() is False  # nothing is new
    terminal.type(b"a", None, end=False)
    assert terminal.due() is True
    terminal.type(b"b", (80, 24), end=False)
    assert terminal.due() is False  # it is woken and will ask
    answer = say(terminal)
    assert (base64.b64decode(answer["input"]), answer["size"]) == (b"ab", [80, 24])


def test_a_kernel_without_room_is_woken_when_there_is_some(terminal: Terminal) -> None:
    """The host waits while the person's terminal is slow, and goes on when half of what waits is shown."""
    say(terminal, b"x" * MAX_SHOWN)

    async def half() -> None:
        pieces = terminal.follow(there)
        async for _ in pieces:
            if say(terminal)["room"] >= MAX_SHOWN // 2:
                break
            terminal.due()
        await pieces.aclose()

    assert terminal.due() is False
    asyncio.run(half())
    assert say(terminal)["room"] >= MAX_PIECE


def test_a_host_that_takes_no_input_is_given_none(terminal: Terminal) -> None:
    """A paste waits while the host does not read; the kernel is not woken for what it has no room for."""
    terminal.type(b"pasted", None, end=False)
    assert terminal.exchange({"output": "", "take": 0})["input"] == ""
    terminal.type(b" text", None, end=False)
    assert terminal.due() is False
    assert base64.b64decode(terminal.exchange({"output": "", "take": 3})["input"]) == b"pas"
    assert base64.b64decode(say(terminal)["input"]) == b"ted text"


def test_going_ends_the_session(terminal: Terminal) -> None:
    """A person who is not there any more, and one who closes it, are told apart."""
    assert shown(terminal, gone) == b""
    assert say(terminal)["end"] == GONE
    terminal.type(b"", None, end=True)
    assert say(terminal)["end"] == GONE  # the first reason stays
    other = Terminal()
    other.type(b"", None, end=True)
    assert say(other)["end"] == CLOSED
    other.release()


def test_what_is_said_at_the_end_is_shown(terminal: Terminal) -> None:
    """Output that arrived before the end is shown, and nobody types afterwards."""
    say(terminal, b"last words")
    terminal.close()
    assert shown(terminal) == b"last words"
    with pytest.raises(RefusedError, match="has ended"):
        terminal.type(b"x", None, end=False)


@pytest.mark.parametrize("size", [(0, 24), (80, 0), (1001, 24), (-1, 5)])
def test_a_window_has_a_size(terminal: Terminal, size: tuple[int, int]) -> None:
    """No size that a terminal cannot have reaches a host."""
    with pytest.raises(UsageError, match="columns"):
        terminal.type(b"", size, end=False)


def test_a_session_has_as_many_messages_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on what a run may say counts everything but a session's bytes."""
    monkeypatch.setattr(converse, "MAX_MESSAGES", 3)
    talk: Any = {"services": None, "body": {}, "end": print, "tell": print}
    conversation = converse.Conversation(run="r", mode=Mode.READ, request="q", **talk)
    answers = [conversation.answer({"id": n, "op": "terminal", "output": ""}) for n in range(20)]
    assert all(answer["ok"] for answer in answers)
    others = [conversation.answer({"id": n, "op": "progress", "done": 0, "total": 0}) for n in range(5)]
    assert [answer["ok"] for answer in others] == [True, True, True, False, False]
    conversation.terminal.release()


def test_a_wake_is_no_answer() -> None:
    """The run link takes a wake at any moment: it never stands for an answer, and is not lost before a question."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = RunLink(ours)
        assert link.woken() is False
        theirs.sendall(b'{"wake": true}\n')
        assert link.woken() is True
        assert link.woken() is False
        theirs.sendall(
            b'{"wake": true}\n' + json.dumps({"id": 1, "ok": True, "value": 7}).encode() + b'\n{"wake": true}\n'
        )
        assert link.ask("anything") == 7
        assert link.woken() is True
        theirs.close()
        with pytest.raises(LinkError, match="gone"):
            link.woken()
