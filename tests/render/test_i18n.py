"""Messages: every one that the source marks has its Chinese, and stored sentences are told again in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import opsnb
from opsnb.base import i18n
from opsnb.base.errors import UsageError
from opsnb.control.records import CellState, Check, Mode, Verdict
from opsnb.control.render import words
from opsnb.control.runs.verdict import Seen, verdict

SOURCE = Path(opsnb.__file__).parent
CALLS = {"mark", "translate", "say", "_"}
FIELD = re.compile(r"\{(\w+)\}")


def in_python() -> set[str]:
    """Return the messages that Python files mark."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and node.args:
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                first = node.args[0]
                if name in CALLS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def in_templates() -> set[str]:
    """Return the messages that templates hold."""
    found = set()
    for path in SOURCE.rglob("*.j2"):
        for call in Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):  # noqa: S701  (parsed only)
            if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
                found.add(call.args[0].value)
    return found


def entries() -> list[i18n.Entry]:
    """Return the Chinese catalogue."""
    return list(i18n.catalogue(i18n.CHINESE))


def test_the_extraction_finds_messages():
    """The two readers of sources find what this package is known to hold."""
    assert "Who, what, where, when" in in_templates()
    assert "The run did what it promised." in in_python()


def test_every_message_has_its_chinese():
    """No message that a person reads is missing from the catalogue."""
    missing = (in_python() | in_templates()) - {e.message for e in entries()}
    assert missing == set()


def test_no_translation_is_left_over():
    """What the catalogue translates is still said somewhere."""
    known = in_python() | in_templates()
    assert {e.message for e in entries() if e.context not in i18n.RETOLD} - known == set()


def test_places_are_kept():
    """A translation fills the same places as its message, and holds Chinese."""
    for entry in entries():
        assert set(FIELD.findall(entry.message)) == set(FIELD.findall(entry.translation)), entry.message
        assert re.search(r"[\u4e00-\u9fff]", entry.translation) or entry.message == "{who}, {at}", entry.message


def test_no_entry_stands_twice():
    """One message has one translation in a context."""
    keys = [(e.context, e.message) for e in entries()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("tag", ["zh", "zh-CN", "zh_CN", "ZH_cn.UTF-8", "zh-Hans-CN", "zh@x"])
def test_chinese_tags(tag):
    """Every way to say Chinese is understood."""
    assert i18n.language_of(tag) == "zh_CN"
    assert i18n.html_lang(tag) == "zh-Hans"


@pytest.mark.parametrize("tag", ["en", "en-US", "", "de", "C", "zhx"])
def test_everything_else_is_english(tag):
    """Another language, or none, is served in English."""
    assert i18n.language_of(tag) == "en"
    assert i18n.translate("completed", tag) == "completed"


def test_translate_fills_places_once():
    """Values are put in as they are: a value that looks like a place is not filled again."""
    assert i18n.translate("got {got}, want {want}", "zh_CN", got="{want}", want=2) == "实际 {want}，应为 2"
    assert i18n.translate("an unknown {x}", "zh_CN", x=1) == "an unknown 1"
    assert i18n.translate("{n} bytes", "en") == "{n} bytes"


SEEN = [
    Seen(mode=Mode.APPLY, end="completed", outcomes=("ok", None)),
    Seen(mode=Mode.READ, end="run timed out", why="the run took longer than 60 s", outcomes=("ok",)),
    Seen(mode=Mode.READ, end="kernel died", why="the kernel died: killed by SIGKILL"),
    Seen(mode=Mode.APPLY, end="completed", drifted="web-1: file /a is no longer as planned; nothing was touched"),
    Seen(mode=Mode.READ, end="cell failed", why="ValueError: x"),
    Seen(mode=Mode.APPLY, end="completed", outcomes=("ok", "failed")),
    Seen(mode=Mode.PLAN, end="completed", planned=True),
    Seen(mode=Mode.PLAN, end="completed"),
    Seen(mode=Mode.READ, end="completed", checks=(Check(what="w", got=1, want=2, ok=False),)),
    Seen(mode=Mode.READ, end="completed"),
    Seen(mode=Mode.APPLY, end="completed", finished=True),
    Seen(mode=Mode.READ, end="completed", finished=True),
    Seen(mode=Mode.READ, end="completed", finished=True, checks=(Check(what="w", got=1, want=1, ok=True),)),
    Seen(mode=Mode.READ, end="completed", finished=True, cut_for_space=True),
]


@pytest.mark.parametrize("seen", SEEN, ids=lambda s: f"{s.mode}-{s.end}-{s.outcomes}")
def test_every_reason_is_told_in_chinese(seen):
    """What the verdict's rules say in English, a Chinese reader reads in Chinese."""
    _, reason = verdict(seen)
    told = i18n.retell(reason, "zh_CN")
    assert told != reason
    assert re.search(r"[\u4e00-\u9fff]", told)
    assert i18n.retell(reason, "en") == reason


def test_what_filled_a_sentence_is_carried_over():
    """Numbers, names and sentences within a sentence arrive where they belong."""
    told = i18n.retell("the kernel died: killed by SIGKILL; 2 change(s) had been made before", "zh_CN")
    assert told == "内核已死亡：被信号 SIGKILL 杀死；此前已做出 2 项变更"
    assert i18n.retell("my own words", "zh_CN") == "my own words"
    assert i18n.retell("a cell failed: " + "x" * 5000, "zh_CN").startswith("a cell failed: ")


def test_words_exist_for_every_state():
    """Every verdict, state, mode and risk has its words."""
    assert set(words.VERDICTS) == set(Verdict)
    assert set(words.CELL_STATES) == set(CellState)
    assert set(words.MODES) == set(Mode)


@pytest.mark.parametrize("text", ['msgid "a"\nnonsense', '"text before any field"', "msgid 'single'", 'msgid "open'])
def test_a_broken_catalogue_is_named(text):
    """A line that is no catalogue's is refused with the line in the message."""
    with pytest.raises(UsageError, match="catalogue line"):
        i18n.parse_po(text)


def test_the_reader_knows_the_format():
    """Several lines join, escapes are read, fuzzy, empty and obsolete entries are left out."""
    text = (
        '# a comment\nmsgid ""\n"one "\n"two\\n"\nmsgstr "eins"\n\n#, fuzzy\nmsgid "f"\nmsgstr "g"\n\n'
        'msgid "empty"\nmsgstr ""\n\n#~ msgid "old"\n#~ msgstr "alt"\n\nmsgctxt "c"\nmsgid "x"\nmsgstr "y"\n'
    )
    assert [(e.context, e.message, e.translation) for e in i18n.parse_po(text)] == [
        ("", "one two\n", "eins"),
        ("c", "x", "y"),
    ]
