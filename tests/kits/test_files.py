"""Files by template, on real files: exact before and after, all or nothing, clear refusals."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kits.noplain import KINDS
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import files
from opsnb.runbook import actuators

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
modes = st.sampled_from(["0644", "0600", "0640", "0755", "0444"])


def carry_out(plan):
    """Apply a plan as a run does: observe, compare, apply."""
    for change in plan.changes:
        actuator = actuators.find(change.verb)
        assert actuator.observe(change.host, change.target) == change.before
        actuator.apply(change.host, change.target, change.before, change.after)


def test_a_new_file_is_written_and_its_inverse_removes_it(tmp_path):
    """Content and mode are as planned, whatever the umask; undoing leaves an empty directory."""
    path = tmp_path / "notice"
    plan = files.plan_file("localhost", str(path), "Hello ${who}\n", {"who": "all"}, "0640")
    old = os.umask(0o077)
    try:
        carry_out(plan)
    finally:
        os.umask(old)
    assert path.read_bytes() == b"Hello all\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    carry_out(plan.inverse())
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)  # a busy machine is no failure
@given(old=text, new=text, old_mode=modes, new_mode=st.none() | modes)
def test_a_plan_and_its_inverse_restore_a_file_byte_for_byte(tmp_path_factory, old, new, old_mode, new_mode):
    """Any text with any line ends, and its mode, come back exactly; the way through JSON changes nothing."""
    path = tmp_path_factory.mktemp("f") / "file"
    path.write_bytes(old.encode())
    path.chmod(int(old_mode, 8))
    plan = files.plan_file("localhost", str(path), "${new}", {"new": new}, new_mode)
    carry_out(Plan.from_json(plan.as_json()))
    assert path.read_bytes() == new.encode()
    assert path.stat().st_mode & 0o7777 == int(new_mode or old_mode, 8)
    carry_out(plan.inverse())
    assert path.read_bytes() == old.encode()
    assert path.stat().st_mode & 0o7777 == int(old_mode, 8)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_file_that_is_right_already_needs_no_change(tmp_path):
    """The plan is empty and has the digest of an empty plan; context still says what was looked at."""
    path = tmp_path / "f"
    path.write_text("same\n")
    path.chmod(0o644)
    plan = files.plan_file("localhost", str(path), "same\n", {}, "0644")
    assert plan.changes == ()
    assert plan.context["bytes"] == 5


def test_the_same_plan_has_the_same_digest(tmp_path):
    """Nothing in a change depends on the time or the process that planned it."""
    path = str(tmp_path / "f")
    first, second = (files.plan_file("localhost", path, "a${x}", {"x": 1}) for _ in range(2))
    assert first.digest == second.digest
    assert "remove" in first.changes[0].undo


def test_a_file_that_changed_after_the_plan_is_not_touched(tmp_path):
    """Apply compares once more and refuses."""
    path = tmp_path / "f"
    plan = files.plan_file("localhost", str(path), "planned", {})
    path.write_text("somebody was faster")
    change = plan.changes[0]
    with pytest.raises(OpsnbError, match="no longer as planned"):
        files.apply(change.host, change.target, change.before, change.after)
    assert path.read_text() == "somebody was faster"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs and changing owners needs root")
class TestAsRoot:
    """What only root can set up."""

    def test_a_full_disk_leaves_the_old_file(self, tmp_path):
        """Without space for the new content the old one stays whole, and no temporary file is left."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
        try:
            path = tmp_path / "f"
            path.write_text("old")
            plan = files.plan_file("localhost", str(path), "${x}", {"x": "y" * 200_000})
            change = plan.changes[0]
            with pytest.raises(OpsnbError, match="No space left"):
                files.apply(change.host, change.target, change.before, change.after)
            assert path.read_text() == "old"
            assert [p.name for p in tmp_path.iterdir()] == ["f"]
        finally:
            subprocess.run(["umount", tmp_path], check=True)

    def test_owner_and_group_stay(self, tmp_path):
        """A file of another user is still theirs after the change and after its undo."""
        path = tmp_path / "f"
        path.write_text("old")
        os.chown(path, 12345, 54321)
        plan = files.plan_file("localhost", str(path), "new", {})
        for step in (plan, plan.inverse()):
            carry_out(step)
            assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)

    def test_removing_another_users_file_is_refused(self, tmp_path):
        """A removal that an undo could not restore with its owner does not happen."""
        path = tmp_path / "f"
        path.write_text("x")
        os.chown(path, 12345, 54321)
        with pytest.raises(OpsnbError, match="belongs to another user"):
            files.apply("localhost", {"path": str(path)}, files.read_file(str(path)), None)
        assert path.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_text_file_is_refused_and_left_alone(tmp_path, kind):
    """Links, devices, binary and large files end the plan with a reason, before and at apply."""
    make, reason = KINDS[kind]
    path = tmp_path / "f"
    make(path)
    before = os.lstat(path)
    with pytest.raises(UsageError, match=reason):
        files.plan_file("localhost", str(path), "x", {})
    with pytest.raises(UsageError, match=reason):
        files.apply("localhost", {"path": str(path)}, None, {"content": "x", "mode": "0644"})
    suits, why = files.suits(str(path))
    assert not suits
    assert str(path) in why
    assert os.lstat(path) == before


@pytest.mark.parametrize(
    "path", ["f", "", "/", "a/b", "/tmp/../etc/x", "/tmp//x", "/tmp/x/", "/tmp/./x", "/tmp/a\0b", "~/x"]
)
def test_a_path_that_is_not_absolute_and_plain_is_refused(path):
    """One name for one place: nothing relative, nothing that climbs."""
    with pytest.raises(UsageError, match="it is absolute"):
        files.read_file(path)


def test_a_missing_or_closed_directory_is_refused_with_a_hint(tmp_path):
    """The directory is named, not the file."""
    with pytest.raises(UsageError, match=rf"the directory {tmp_path}/no cannot be opened: No such file"):
        files.plan_file("localhost", f"{tmp_path}/no/f", "x", {})


@pytest.mark.parametrize(
    ("template", "want"),
    [("$host ${a} $1 $$", "$host A $1 $$"), ("$${a} ${a}", "${a} A"), ("${a}${a}", "AA"), ("", ""),
     ("${b}", "${a} __import__('os')"), ("cost: 5$", "cost: 5$"), ("{a} %s \\", "{a} %s \\")],
)  # fmt: skip
def test_a_template_is_filled_in_once_and_nothing_else_is_special(template, want):
    """Other dollars stay, a doubled one escapes, and a value is never read as a template or as code."""
    assert files.fill(template, {"a": "A", "b": "${a} __import__('os')"}) == want


@pytest.mark.parametrize(
    ("template", "reason"),
    [("x\n${nme}", r"line 2 .* wants 'nme'.*given: name"), ("${", "line 1"), ("${a b}", "a placeholder is"),
     ("${name\n}", "a placeholder is"), ("${}", "a placeholder is"), ("${name.__class__}", "a placeholder is")],
)  # fmt: skip
def test_a_wrong_placeholder_is_refused_with_its_line(template, reason):
    """A typo is found before anything is written."""
    with pytest.raises(UsageError, match=reason):
        files.fill(template, {"name": "x"})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"host": "nobody-here"}, "host 'nobody-here' is not one of this run's hosts"),
        ({"mode": "644"}, "four octal digits"),
        ({"mode": "rw-r"}, "four octal digits"),
        ({"values": {"x": "a\0b"}}, "not text"),
        ({"values": {"x": "\ud800"}}, "lone surrogate"),
        ({"values": {"x": "y" * 262_145}}, "262145 bytes"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_read_or_written(tmp_path, arguments, reason):
    """The message names the thing, what was found and what was wanted."""
    given_arguments = {"host": "localhost", "path": str(tmp_path / "f"), "template": "${x}", "values": {"x": "1"}}
    with pytest.raises(UsageError, match=reason):
        files.plan_file(**{**given_arguments, **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [None, {}, {"path": 5}, ["path"]])
def test_a_target_without_a_path_is_refused(target):
    """A plan that was tampered with does not become a traceback."""
    with pytest.raises(UsageError, match=r"the target of linux\.file"):
        files.observe("localhost", target)


@pytest.mark.parametrize(
    "state", [{"content": "x"}, {"content": 5, "mode": "0644"}, {"content": "x", "mode": 420}, "x"]
)
def test_a_state_that_is_not_one_is_refused(tmp_path, state):
    """Apply writes only what a plan can hold."""
    with pytest.raises(UsageError):
        files.apply("localhost", {"path": str(tmp_path / "f")}, None, state)
    assert list(tmp_path.iterdir()) == []


def test_readers_never_see_a_torn_file(tmp_path):
    """A reader that holds the old file open keeps reading the old content after the change."""
    path = tmp_path / "f"
    path.write_text("old")
    with path.open() as reader:
        carry_out(files.plan_file("localhost", str(path), "new", {}))
        assert reader.read() == "old"
    assert path.read_text() == "new"
