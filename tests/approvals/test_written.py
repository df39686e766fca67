"""``policies:`` of opsnb.yaml: read strictly, from the file to the values; what is wrong is named with its place."""

from __future__ import annotations

import pytest

from opsnb.base.errors import SettingsError
from opsnb.base.settings import read
from opsnb.base.workspace import Workspace
from opsnb.control.app import App
from opsnb.control.approvals.values import DAY, HOUR, Handler, HandlerKind, Need
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows import examine
from opsnb.control.records import Risk


def policies(tmp_path, text):
    """Read policies from the text of a settings file."""
    path = tmp_path / "opsnb.yaml"
    path.write_text(text, encoding="utf-8")
    return read_policies(read(path).policies)


FULL = """
policies:
  production:
    risk: change
    environments: [production]
    runbooks: ["NGX-*", SUP-001]
    approvals: 2
    by: [role:web-ops, person:alice, leader:platform, applicant_leader]
    within: 2h
    escalate_to: role:duty-lead
    open_for: 48h
    validity: 8h
    self_approval: never
    max_hosts: 20
    batch: 5
    protected: true
    grant: 30m
    notice: [role:web-ops]
    review: 12h
    free: {for: role:on-call, runbooks: NGX-011, notice: [leader:platform], review: 24h}
    break_glass: {for: [role:duty-lead, person:li], at_most: 30m, notice: role:security, review: 4h}
    freezes:
      nights: {from: 22:00, to: 06:00, zone: Asia/Shanghai, why: everybody sleeps}
      weekend: {from: Fri 18:00, to: Mon 08:00}
      year-end: {from: 2026-12-30 18:00, to: 2027-01-03T08:00}
  databases:
    steps:
      - {name: owner, by: applicant_leader}
      - {by: [role:dba], approvals: all}
    order: parallel
"""


def test_everything_that_can_be_written(tmp_path):
    """Each key lands in its property; 22:00 is a time and no number."""
    production, databases = policies(tmp_path, FULL).rules
    policy = production.policy
    (step,) = policy.steps.steps
    assert (production.risks, production.environments, production.runbooks) == (
        {Risk.CHANGE}, ("production",), ("NGX-*", "SUP-001"),
    )  # fmt: skip
    assert (step.name, step.need, step.count, step.within) == ("approve", Need.SOME, 2, 2 * HOUR)
    assert [str(h.kind) for h in step.handlers] == ["role", "person", "leader", "applicant_leader"]
    assert step.escalate_to == (Handler(kind=HandlerKind.ROLE, name="duty-lead"),)
    assert (policy.steps.open_for, policy.steps.validity, policy.steps.own) == (2 * DAY, 8 * HOUR, False)
    assert (policy.max_hosts, policy.batch, policy.protected, policy.grant) == (20, 5, True, HOUR / 2)
    assert [f.name for f in policy.freezes] == ["nights", "weekend", "year-end"]
    assert [f.begin.kind for f in policy.freezes] == ["daily", "weekly", "once"]
    assert policy.free[0].runbooks == ("NGX-011",)
    (glass,) = policy.glass
    assert ([h.name for h in glass.people], glass.at_most, glass.review) == (["duty-lead", "li"], HOUR / 2, 4 * HOUR)
    assert [h.name for h in glass.notice] == ["security"]
    flow = databases.policy.steps
    assert [(s.name, s.need) for s in flow.steps] == [("owner", Need.SOME), ("approve 2", Need.ALL)]
    assert flow.parallel
    assert policies(tmp_path, "name: a\n").rules == ()


WRONG = {
    "an unknown key": ("approvers: 2", "policies.p: unknown key 'approvers'", "did you mean 'approvals'?"),
    "no number": ("approvals: two", "policies.p.approvals: found 'two', wanted a number from 0 to 20", ""),
    "too many": ("approvals: 21", "wanted a number from 0 to 20", ""),
    "true": ("approvals: true", "wanted a number from 0 to 20", ""),
    "all of anyone": ("approvals: all", "'all' of anyone is nobody in particular", "role:NAME"),
    "nobody by somebody": ("{approvals: 0, by: role:ops}", "policies.p.by: does not go with 'approvals: 0'", ""),
    "who": ("by: ops", "policies.p.by: found 'ops', wanted who", "role:NAME"),
    "a role without a name": ("by: 'role:'", "wanted who", ""),
    "anyone with a name": ("by: anyone:bob", "wanted who", ""),
    "risk read": ("risk: read", "policies.p.risk: found 'read', wanted change or danger", "never needs"),
    "no list": ("runbooks: []", "found 0 items", ""),
    "no text": ("environments: [1]", "policies.p.environments: found 1, wanted text", ""),
    "too long": ("validity: 31d", "wanted a duration up to 720h", ""),
    "no duration": ("validity: soon", "policies.p.validity:", ""),
    "self": ("self_approval: always", "wanted while_alone or never", ""),
    "order": ("{steps: [{by: role:a}], order: any}", "wanted in_order or parallel", ""),
    "steps and by": ("{steps: [{by: role:a}], by: role:b}", "policies.p.by: does not go with 'steps'", ""),
    "a step of none": ("steps: [{by: role:a, approvals: 0}]", "policies.p.steps.1.approvals: a step needs", ""),
    "two of one name": ("steps: [{name: a}, {name: a}]", "policies.p.steps: two steps have the same name", ""),
    "a step's key": ("steps: [{bye: role:a}]", "policies.p.steps.1: unknown key 'bye'", "did you mean 'by'?"),
    "half an escalation": ("within: 2h", "policies.p.within: 'within' and 'escalate_to' go together", ""),
    "no bound": ("max_hosts: 0", "policies.p.max_hosts: found 0", ""),
    "no flag": ("protected: maybe", "wanted true or false", ""),
    "free for anyone": (
        "free: {for: anyone, runbooks: X, notice: role:a}", "policies.p.free: 'for' names persons, roles", "",
    ),
    "free and silent": ("free: {for: role:a, runbooks: X}", "policies.p.free: 'notice' is missing", ""),
    "glass for anyone": ("break_glass: {for: anyone}", "policies.p.break_glass: 'for' names persons, roles", "role:"),
    "glass for nobody": ("break_glass: {at_most: 30m}", "policies.p.break_glass: 'for' is missing", "role:duty-lead"),
    "glass too long": ("break_glass: {for: role:a, at_most: 61m}", "wanted a duration up to 1h", ""),
    "glass reviewed late": ("break_glass: {for: role:a, review: 25h}", "wanted a duration up to 24h", ""),
    "a freeze of two kinds": ("freezes: {a: {from: Fri 18:00, to: '08:00'}}", "policies.p.freezes.a.to", "Fri 18:00"),
    "a freeze backwards": (
        "freezes: {a: {from: 2026-12-30 18:00, to: 2026-12-29 18:00}}", "ends before it begins", "",
    ),
    "a freeze of no time": ("freezes: {a: {from: '18:00', to: '18:00'}}", "ends before it begins", ""),
    "a freeze nowhere": ("freezes: {a: {from: '1:00', to: '2:00'}}", "policies.p.freezes.a.from: '1:00' is not", ""),
    "a zone": ("freezes: {a: {from: '10:00', to: '11:00', zone: Mars/Base}}", "wanted a time zone", "UTC"),
    "a zone's path": ("freezes: {a: {from: '10:00', to: '11:00', zone: ../../etc/passwd}}", "wanted a time zone", ""),
    "freezes": ("freezes: [a]", "policies.p.freezes: found ['a'], wanted names with from and to", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path, case):
    """The policy, the key, what was found, what was wanted, and what to do."""
    written, says, hint = WRONG[case]
    body = written if written.startswith("{") else f"{{{written}}}"
    with pytest.raises(SettingsError) as caught:
        policies(tmp_path, f"policies:\n  p: {body}\n")
    assert caught.value.message.startswith("policies.p")
    assert says in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["policies: 3", "policies: [a]", "policies: {a: 3}", "policies: {'a b': {}}"])
def test_policies_are_names_with_keys(tmp_path, text):
    """Anything else under policies is refused."""
    with pytest.raises(SettingsError):
        policies(tmp_path, text)


def test_doctor_says_so(tmp_path):
    """A policy that cannot be read is a problem that doctor names; the control plane does not start with it."""
    workspace = Workspace(tmp_path)
    (tmp_path / "opsnb.yaml").write_text("policies: {p: {approvers: 2}}\n", encoding="utf-8")
    (finding,) = examine._settings(workspace)
    assert (finding.state, finding.mend) == (examine.State.PROBLEM, "did you mean 'approvals'?")
    with pytest.raises(SettingsError, match="approvers"):
        App(workspace)


def test_an_alias_is_refused(tmp_path):
    """The settings are read as YAML 1.2 without anchors: a policy is what stands there."""
    with pytest.raises(SettingsError, match="line 2") as caught:
        policies(tmp_path, "policies:\n  a: &x {approvals: 2}\n  b: *x\n")
    assert "anchors" in str(caught.value)
