"""Names: none pretends to be another, none acts where it is shown, and a grant says itself in the words it was read in."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.base.looks import skeleton
from opsnb.control.people import grants
from opsnb.control.people.names import MAX_TEXT, full_text, login_name, mail_address, role_name, shown
from opsnb.control.people.values import ANY, ON_HOSTS, ON_RUNBOOKS, Action, Grant
from opsnb.control.records import Risk

HOSTILE = [
    "", " kai", "kai ", "a b", "kai\n", "kai\x00", "kai\x1b[31m", "a\u202eb", "a\u2066b", "a\u200bb", "\ufeffkai",
    "k" * 65, "k" * 10_000, "../kai", "kai/..", "-kai", "kai;rm", "kai'--", "$(id)", "<b>kai</b>", "\u212bngstrom",
    "k\u0430i", "\uff4bai", "\ud800", "u\u0301" * 40, "王伟", ".", "..", "%2e", "kai?x=1", "kai#",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_name_signs_in(text: str) -> None:
    """What is not plain ASCII of at most 64 characters is refused, and the refusal can be printed safely."""
    with pytest.raises(UsageError) as caught:
        login_name(text)
    said = caught.value.message
    assert len(said) < 200
    assert all(c.isprintable() for c in said)
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLI", "LRI"} for c in said)


@pytest.mark.parametrize("text", ["kai", "K", "li.wei", "a-b_c", "kai@example.com", "u+1", "0x", "_svc", "k" * 64])
def test_plain_names_sign_in(text: str) -> None:
    """Letters, digits and . _ @ + - are enough, and are kept as they are."""
    assert login_name(text) == text


@pytest.mark.parametrize("text", [
    "王伟", "李 Wei", "Anna-Lena Müller", "O'Brien", "数据库组 DBA", "Иван Петров", "田中 たろう", "Operations (EMEA)", "김철수",
    "Nguyễn Văn A",
])  # fmt: skip
def test_people_are_called_as_they_are(text: str) -> None:
    """Full names and departments are in any script, Chinese beside Latin too."""
    assert full_text(text, "full name") == text


@pytest.mark.parametrize(("text", "why"), [
    ("a\u202eb", "U+202E"), ("a\u200db", "U+200D"), ("a\u00a0b", "U+00A0"), ("a\nb", "U+000A"), ("\x07", "U+0007"),
    ("Anna \u0410", "mixes letters of Cyrillic and Latin"), ("\uff21nna", "another form"), ("𝐀nna", "another form"),
    ("a/b", "separates"), ("a;b", "separates"), ("<a>", "separates"), ("--", "no letter"), (" a", "a space"),
    ("a  b", "two in a row"), ("x" * 10_000, "10000 characters"), ("z\u0336\u0337\u0338\u0321", "piles marks"),
    ("\ue000", "U+E000"), ("\ud800", "U+D800"),
])  # fmt: skip
def test_what_deceives_is_refused(text: str, why: str) -> None:
    """Invisible, turning, mixed, styled, endless names are refused, and the refusal says which character."""
    with pytest.raises(UsageError) as caught:
        full_text(text, "full name")
    assert why in caught.value.message
    assert len(caught.value.message) < 250


@given(st.text(max_size=120))
def test_a_name_that_is_kept_is_harmless(text: str) -> None:
    """Whatever is kept is one NFC line of at most 80 visible characters, and is kept the same again."""
    with contextlib.suppress(UsageError):
        kept = full_text(text, "full name")
        assert 0 < len(kept) <= MAX_TEXT
        assert kept == unicodedata.normalize("NFC", kept) == full_text(kept, "full name")
        assert all(c == " " or (c.isprintable() and not c.isspace()) for c in kept)
        assert shown(kept).rstrip("…") in kept


@given(st.text())
def test_shown_is_short_and_printable(text: str) -> None:
    """What an error repeats of a name is short, printable and cannot turn the line around."""
    assert len(shown(text)) <= 6 * 40 + 41
    assert all(c.isprintable() for c in shown(text))


@pytest.mark.parametrize(("one", "other"), [
    ("web-ops", "Web-Ops"), ("web-ops", "w\u0435b-\u043eps"), ("root", "r00t"), ("all", "a1l"), ("Ops", "ops"),
    ("Muller", "Müller"), ("ops", "\uff4fps"), ("ace", "\u0430\u0441\u0435"),
])  # fmt: skip
def test_look_alikes_are_one(one: str, other: str) -> None:
    """Case, accents, width, Cyrillic and Greek letters and 0 for o do not make another name."""
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("anna", "hanna"), ("web", "web2"), ("运维", "运营"), ("li", "lu")])
def test_different_names_differ(one: str, other: str) -> None:
    """Names that look different stay different."""
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize("text", ["kai", "kai@", "@x", "a@b..c", "a b@c.de", "a@b\n", "k@" + "x" * 300, "<a@b.c>"])
def test_mail_is_an_address(text: str) -> None:
    """What no mail reaches, or what would be more than one address, is refused."""
    with pytest.raises(UsageError, match="no mail address"):
        mail_address(text)
    assert mail_address("kai.li+ops@example.com") == "kai.li+ops@example.com"


@pytest.mark.parametrize("text", ["", "Web-Ops", "web ops", "-x", "x" * 41, "руки", "a/b", "*"])
def test_role_names_are_plain(text: str) -> None:
    """Policies name roles, so a role's name is a plain word."""
    with pytest.raises(UsageError, match="no name for a role"):
        role_name(text)


# -- grants ------------------------------------------------------------------------------------------------------------

GLOBS = st.lists(st.from_regex(r"[a-zA-Z0-9]{1,5}[-*?]?", fullmatch=True), min_size=1, max_size=3, unique=True)
LISTS = st.just(ANY) | GLOBS.filter(lambda g: not set(g) & {"in", "on", "up"}).map(tuple)


@st.composite
def written(draw: st.DrawFn) -> Grant:
    """A grant whose limits mean something."""
    action = draw(st.sampled_from(Action))
    return Grant(
        action=action, runbooks=draw(LISTS) if action in ON_RUNBOOKS else ANY,
        environments=draw(LISTS) if action in ON_HOSTS or action is Action.FREEZE else ANY,
        groups=draw(LISTS) if action in ON_HOSTS else ANY,
        risk=draw(st.sampled_from(Risk)) if action in ON_RUNBOOKS else Risk.DANGER,
    )  # fmt: skip


@given(written())
def test_a_grant_says_itself(grant: Grant) -> None:
    """A grant in words reads back as itself."""
    assert grants.parse(str(grant)) == (grant,)


def test_several_actions_are_several_grants() -> None:
    """One text may allow several things in the same places."""
    found = grants.parse("plan, request,apply NGX-*,CFG-010 in staging,test on web up to change")
    assert [g.action for g in found] == [Action.PLAN, Action.REQUEST, Action.APPLY]
    assert str(found[0]) == "plan NGX-*,CFG-010 in staging,test on web up to change"


@pytest.mark.parametrize(("text", "why"), [
    ("", "empty"), ("aprove NGX-*", "nothing that a role may allow"), ("approve NGX-* in", "ends after 'in'"),
    ("approve NGX-* staging", "'staging' is not understood"), ("approve in a in b", "'in' is not understood"),
    ("approve up to all", "after 'up'"), ("approve up", "after 'up'"), ("approve a;b", "no name or glob"),
    ("approve a,a", "stands twice"), ("administer NGX-*", "not about runbooks"), ("exec up to read", "not about runbooks"),
    ("secret in prod", "not about hosts"), ("freeze on web", "not about hosts"), ("approve \u202e*", "no name or glob"),
    ("approve " + ",".join(f"r{n}" for n in range(60)), "at most 50"),
])  # fmt: skip
def test_what_a_grant_cannot_say(text: str, why: str) -> None:
    """A word that is not understood, or a limit that the action has not, is refused by name."""
    with pytest.raises(UsageError) as caught:
        grants.parse(text)
    assert why in caught.value.message
