"""Messages in two languages: what is translated, what is carried over, what stays as it was."""

from __future__ import annotations

import ast
import re
import time
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


@pytest.mark.parametrize(
    ("error", "chinese"),
    [
        ("people.yaml line 3 'users.kai': user 'kai' is there already",
         "people.yaml 第 3 行“users.kai”：用户“kai”已存在"),
        ("opsnb.yaml: policies.web.risk: found 'x', wanted change or danger",
         "opsnb.yaml：policies.web.risk：现为 'x'，应为 change 或 danger"),
        ("parameter 'n': found a very large int, wanted at most 5", "参数“n”：现为一个过大的 int，应为不超过 5"),
        ("unknown key 'x'; known: a, b", "未知的键“x”；可用的：a, b"),
        ("a.csv: holds a NUL\na.csv line 2: is no column", "a.csv：含有 NUL 字符\na.csv 第 2 行：不是已知的列"),
        ("x: what nobody translated", "x: what nobody translated"),
    ],
)  # fmt: skip
def test_an_error_is_told_again(error, chinese):
    """What it is about stands in front; pieces, lists and lines are told one by one; what is unknown stays."""
    assert i18n.retell(error, "zh_CN") == chinese


@pytest.mark.parametrize("name", ["roles", "who", "text", "hosts", "cell 3", "role 'x'", "at most 5"])
def test_a_piece_of_a_sentence_is_none_alone(name):
    """A name that is a word of ours in a sentence stays a name where it stands alone."""
    assert i18n.retell(name, "zh_CN") == name


def test_many_lines_are_told_one_by_one():
    """A long list of mistakes is told again, each line of it."""
    told = i18n.retell("\n".join(f"p.csv line {n}: is no column" for n in range(200)), "zh_CN").split("\n")
    assert len(told) == 200
    assert told[7] == "p.csv 第 7 行：不是已知的列"


@pytest.mark.parametrize(
    "text", ["a: b; c: d; " * 160, "': " * 600, "'a' is no b: " * 140, "found x, wanted y; " * 100]
)
def test_telling_again_costs_little(text):
    """The catalogue has more than a thousand patterns; even a text made to match many parts takes no second of CPU."""
    i18n.retell("warm", "zh_CN")
    begun = time.process_time()
    i18n.retell(text[: i18n.MAX_RETOLD], "zh_CN")
    assert time.process_time() - begun < 1


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


def test_two_entries_without_a_line_between_are_named():
    """An entry that runs into the next one is refused: it would be one message that nobody says."""
    text = 'msgid "one"\nmsgstr "一"\nmsgid "two"\nmsgstr "二"\n'
    with pytest.raises(UsageError, match=re.escape("""'msgid "two"'""")):
        i18n.parse_po(text)


@pytest.mark.parametrize("line", ["msgid_plural 'x'", '"no field before it"', "what is this"])
def test_a_broken_catalogue_is_named(line):
    """A line that is none of the catalogue's is quoted in the error."""
    with pytest.raises(UsageError, match=re.escape(repr(line))):
        i18n.parse_po(line)
