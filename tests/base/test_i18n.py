"""Messages in two languages: what is translated, what is carried over, what stays as it was."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base import i18n
from opsnb.base.errors import UsageError

PACKAGE = Path(i18n.__file__).resolve().parent.parent
FIELD = re.compile(r"\{(\w+)\}")
IN_TEMPLATE = re.compile(r"""\b_\(\s*(?:"([^"]*)"|'([^']*)')""")
SAYS = {"mark", "translate", "say"}  # the functions whose first argument is a message


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Every message that the code and the templates say, with the file it stands in; read once."""
    return tuple(said())


def said() -> Iterator[tuple[str, str]]:
    """Every message that the code and the templates say, with the file it stands in."""
    for path in PACKAGE.rglob("*.j2"):
        yield from ((m[1] or m[2], path.name) for m in IN_TEMPLATE.finditer(path.read_text(encoding="utf-8")))
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS):
                continue
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, path.name


def test_every_message_of_the_code_has_a_chinese_translation():
    """No message that the code or a template says is missing from the Chinese catalogue."""
    known = {e.message for e in i18n.catalogue(i18n.CHINESE) if e.context not in i18n.RETOLD}
    found = dict(messages())
    assert len(found) > 50
    assert {message: file for message, file in found.items() if message not in known} == {}


def test_no_translation_is_without_a_message():
    """The catalogue holds nothing that nobody says any more."""
    known = {e.message for e in i18n.catalogue(i18n.CHINESE) if e.context not in i18n.RETOLD}
    assert known - {message for message, _ in messages()} == set()


def test_a_translation_fills_the_same_places():
    """No ``{name}`` is lost, invented or renamed by a translation."""
    wrong = [
        e for e in i18n.catalogue(i18n.CHINESE) if set(FIELD.findall(e.message)) != set(FIELD.findall(e.translation))
    ]
    assert wrong == []


def test_no_entry_stands_twice():
    """One message in one context has one translation."""
    keys = [(e.context, e.message) for e in i18n.catalogue(i18n.CHINESE)]
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh", "zh_CN"), ("zh-CN", "zh_CN"), ("zh_CN.UTF-8", "zh_CN"), ("ZH-hans", "zh_CN"), ("en", "en"), ("de", "en"),
     ("", "en"), ("zhx", "en")],
)  # fmt: skip
def test_a_tag_finds_its_language(tag, language):
    """Every spelling of Chinese is Chinese, and everything else is English."""
    assert i18n.language_of(tag) == language
    assert i18n.html_lang(tag) == {"zh_CN": "zh-Hans", "en": "en"}[language]


def test_a_value_is_put_in_as_it_is():
    """A value that looks like a place is not filled again, and a place without a value stays as written."""
    assert i18n.translate("cell {n}", "en", n="{n}") == "cell {n}"
    assert i18n.translate("{a} and {b}", "en", a=1) == "1 and {b}"
    assert i18n.translate("nobody translated {n}", "zh_CN", n=2) == "nobody translated 2"


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        ("2 of 3 checks did not hold: every back end answers", "3 项检查中有 2 项未通过：every back end answers"),
        ("the plan is ready; nothing was changed", "计划已就绪；没有任何变更"),
        ("a sentence of nobody", "a sentence of nobody"),
        (
            "nothing was touched: runbooks/x.ipynb has changed since request R was sealed",
            "没有触碰任何东西：申请 R 封存之后，runbooks/x.ipynb 已被改动",
        ),
        ("there is no step 'the plan is ready'", "没有步骤“the plan is ready”"),  # a name is no sentence
    ],
)
def test_a_stored_sentence_is_told_again(sentence, chinese):
    """A finished sentence is told in Chinese with what filled it; one of nobody stays as it is."""
    assert i18n.retell(sentence, "zh_CN") == chinese
    assert i18n.retell(sentence, "en") == sentence


def test_a_long_text_is_no_sentence():
    """A text longer than any sentence of ours is not matched at all."""
    text = "a cell failed: " + "x" * i18n.MAX_RETOLD
    assert i18n.retell(text, "zh_CN") == text


@given(st.text(max_size=300))
def test_telling_again_never_raises(text):
    """Any text can be told again."""
    assert isinstance(i18n.retell(text, "zh_CN"), str)


def test_a_catalogue_is_read_as_gettext_writes_it():
    """Split strings are joined, escapes are read, fuzzy and empty entries are left out."""
    text = (
        'msgid ""\nmsgstr "Language: zh\\n"\n\n# a comment\nmsgid "one "\n"two\\n"\nmsgstr "一"\n\n'
        '#, fuzzy\nmsgid "old"\nmsgstr "旧"\n\nmsgid "empty"\nmsgstr ""\n\nmsgctxt "sentence"\nmsgid "s"\nmsgstr "句"\n'
    )
    assert [(e.context, e.message, e.translation) for e in i18n.parse_po(text)] == [
        ("", "one two\n", "一"), ("sentence", "s", "句"),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["msgid_plural 'x'", '"no field before it"', "what is this"])
def test_a_broken_catalogue_is_named(line):
    """A line that is none of the catalogue's is quoted in the error."""
    with pytest.raises(UsageError, match=re.escape(repr(line))):
        i18n.parse_po(line)
