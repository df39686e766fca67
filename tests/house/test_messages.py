"""Every message of an error, and every hint, has its Chinese: a new one without a translation is red."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from house.messages import HOLE, said
from house.repository import modules
from opsnb.base import i18n

# What people are told at a door. Kits and fleet speak in records, as evidence; verify.py is one file for auditors.
SCOPE = ("base/", "cli/", "client/", "control/", "fleet/inventory/", "web/")
ENGLISH_ONLY = {"control/ledger/verify.py"}
KNOWN = "try again"  # a sentence that has its Chinese, where another error's stands behind a colon
NAMES = re.compile(  # what is the same in both languages
    r"opsnb( [a-z]+){1,3}|“[^”]*”|\{[^}]*\}|\[[^\]]*\]|--?[a-z][a-z-]*|[\w-]+([._/@:*][\w-]*)+|\b[A-Z]+\b"
)
EXAMPLES = (  # what to type, as a hint shows it
    "Asia/Shanghai, Europe/Berlin, UTC", "hosts, nginx, load", "jupyter nbconvert --to notebook --nbformat 4",
    "approve NGX-* in staging on web up to change", "python -m compileall -q", "chmod go=", "echo .opsnb/ >> .gitignore", "chmod go-w",
)  # fmt: skip
WORDS = {  # names of programs, settings and fields
    "approvals", "by", "container", "credential", "files", "get", "idle", "install", "it", "keys", "kv", "ldap",
    "mkdir", "oidc", "or", "pip", "port", "select", "ssh", "transport", "useradd", "vault", "via",
}  # fmt: skip


def latin(text: str) -> list[str]:
    """Return the words in Latin letters that are no names."""
    return re.findall(r"[A-Za-z]+", NAMES.sub(" ", text))


@cache
def told_words() -> frozenset[str]:
    """The words in Latin letters that translations keep, names of files and of settings among them."""
    return frozenset(w for e in i18n.catalogue(i18n.CHINESE) for w in latin(e.translation)) | WORDS


def english(sentence: str) -> list[str]:
    """Return what of a sentence stays English when it is told in Chinese, and the values that it loses."""
    told = i18n.retell(sentence, i18n.CHINESE)
    for example in EXAMPLES:
        told = told.replace(example, "")
    left = [w for w in latin(HOLE.sub("", told)) if w not in told_words()]
    return left + [hole for hole in HOLE.findall(sentence) if hole not in told]


def untold(path: str) -> dict[str, list[str]]:
    """Return what a module says and nobody reads in Chinese: where it stands and the sentence, to what stays English."""
    found = {}
    for line, sentence in said(path):
        behind = re.sub(r": ‹\d+›$", f": {KNOWN}", sentence)
        if (left := english(sentence)) and english(behind):
            found[f"{path}:{line}: {sentence}"] = left
    return found


@pytest.mark.slow
def test_every_error_is_told_in_chinese() -> None:
    """No error that a person can meet at a door lacks its entry (context ``sentence``), and no value in it is lost."""
    paths = [p for p in modules() if p.startswith(SCOPE) and p not in ENGLISH_ONLY]
    assert {where: left for path in paths for where, left in untold(path).items()} == {}


NEW = """
from opsnb.base.errors import UsageError

WORDS = {"a": "is a kind of its own", "b": "has gone fishing"}

def refuse(name, why):
    raise UsageError(f"'{name}' {why}", hint="catch it" if name else "name it first")

def choose(name, key):
    refuse(name, WORDS[key])
    refuse(name, "sleeps" + (" deeply" if key else ""))
"""


def test_a_message_is_put_together_from_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a caller gives, a table, a condition and a sum of texts are all found; values are holes."""
    monkeypatch.setitem(modules(), "web/new.py", ast.parse(NEW))
    found = {HOLE.sub("‹›", text) for _, text in said("web/new.py")}
    assert found == {
        "'‹›' is a kind of its own", "'‹›' has gone fishing", "'‹›' sleeps", "'‹›' sleeps deeply", "catch it",
        "name it first",
    }  # fmt: skip


def test_a_new_message_without_a_translation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence that is in no catalogue is named with its file and line."""
    monkeypatch.setitem(modules(), "web/new.py", ast.parse(NEW))
    assert "web/new.py:7: '‹5144›' has gone fishing" in {HOLE.sub("‹5144›", where) for where in untold("web/new.py")}


def test_what_is_the_same_in_both_languages_needs_no_translation() -> None:
    """A command is a hint in any language; a sentence about one is not."""
    assert latin("opsnb user set ‹1› --no-role ‹2›") == []
    assert latin("opsnb cp sends files along, or not") == ["along", "or", "not"]


def test_the_errors_of_every_door_are_looked_at() -> None:
    """The packages that speak to people exist, and each of them is known to say something."""
    for folder in SCOPE:
        assert any(next(iter(said(path)), None) for path in modules() if path.startswith(folder)), folder
    assert all(Path(path).suffix == ".py" and path in modules() for path in ENGLISH_ONLY)
