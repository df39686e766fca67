"""Why somebody may or may not is said in Chinese too, with every name in it, whatever the rules come upon."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.i18n import CHINESE, ENGLISH, retell
from opsnb.cli.output import told
from opsnb.control.people.rules import Directory, decide, may
from opsnb.control.people.values import Action, Actor, Target
from people.crowd import DIRECTORIES, IDS, NOW, TARGETS, delegation, firm, person, target

# Words of our sentences that are no word of a grant, no action and no name.
ENGLISH_WORDS = re.compile(r"\b(may|which|this|those|never|more|is|has|and|not|role|delegate|cover|names)\b")
CALLED = ("anna", "bob", "chen", "dora", "deploy", "web1", "db1", "app1", "own", "engineer", "approver", "oncall")


@given(DIRECTORIES, st.sampled_from((*IDS, "u-9")), st.sampled_from(Action), TARGETS)
def test_every_reason_has_its_chinese(directory: Directory, who: str, action: Action, what: Target) -> None:
    """A yes and a no of any directory are told in Chinese: no sentence of ours stays English, and no name is lost."""
    reason = may(directory, who, action, what, NOW).reason
    said = retell(reason, CHINESE)
    assert not ENGLISH_WORDS.search(said), (reason, said)
    for name in CALLED:
        assert len(re.findall(rf"\b{name}\b", said)) == len(re.findall(rf"\b{name}\b", reason)), (reason, said)


@pytest.mark.parametrize("via", ["session", "token", "local"])
def test_a_scope(via: str) -> None:
    """What a session or a token is not good for is told in Chinese too."""
    actor = Actor(person=person(1), via=via, scopes=frozenset({"read"}))
    reason = decide(firm(), actor, Action.APPROVE, target("prod"), NOW).reason
    assert retell(reason, CHINESE) in {
        "anna 的此会话无权执行操作“approve”", "anna 的此令牌无权执行操作“approve”", "anna 的本机令牌无权执行操作“approve”",
    }  # fmt: skip


def test_some_as_people_read_them() -> None:
    """A refusal names each grant and what it is not, a yes the delegate; an action that is a phrase is translated."""
    both = replace(firm(), delegates=(delegation("u-2", "u-3"),))
    no = may(both, "u-2", Action.APPROVE, target("prod"), NOW)
    assert retell(no.reason, CHINESE) == "角色 web-ops 允许“approve NGX-* in staging”；而 web1 属于环境 prod"
    yes = may(both, "u-3", Action.APPROVE, target("staging"), NOW)
    assert retell(yes.reason, CHINESE) == "chen 是 bob 的代理人：角色 web-ops 允许此操作“approve”"
    by_hand = may(both, "u-3", Action.EXEC, target("prod"), NOW)
    assert retell(by_hand.reason, CHINESE) == "chen 没有任何角色，无权执行操作“手工执行命令”"


def test_the_reader_s_locale_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """LC_ALL before LC_MESSAGES before LANG, as everywhere; what is shown holds no control characters either way."""
    reason = may(firm(), "u-4", Action.EXEC, target("prod"), NOW).reason
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert told(reason) == reason == retell(reason, ENGLISH)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert told(reason) == retell(reason, CHINESE) != reason
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert told(f"{reason}\x1b[2J") == f"{reason}\\x1b[2J"
