"""Files on hosts of a run: the same states, refusals and undo as on this machine, through fixed scripts."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kits.noplain import KINDS
from nearby import carry_out, nearby
from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import files, remote
from opsnb.kits.files import there

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
modes = st.sampled_from(["0644", "0600", "0640", "0755", "0444", "4755"])
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and small file systems need root")


@pytest.fixture(autouse=True)
def hosts():
    """Three hosts."""
    with nearby() as names:
        yield names


@settings(max_examples=25, deadline=None)
@given(old=st.none() | text, new=text, old_mode=modes, new_mode=st.none() | modes)
def test_a_plan_and_its_inverse_restore_a_file_byte_for_byte(tmp_path_factory, old, new, old_mode, new_mode):
    """Any text with any line ends, its mode, or its absence, come back exactly; no temporary file is left."""
    path = tmp_path_factory.mktemp("f") / "file"
    if old is not None:
        path.write_bytes(old.encode())
        path.chmod(int(old_mode, 8))
    plan = files.plan_file("near1", str(path), "${new}", {"new": new}, new_mode)
    carry_out(Plan.from_json(plan.as_json()))
    assert path.read_bytes() == new.encode()
    assert path.stat().st_mode & 0o7777 == int(new_mode or (old_mode if old is not None else "0644"), 8)
    carry_out(plan.inverse())
    assert [p.name for p in path.parent.iterdir()] == ([] if old is None else ["file"])
    if old is not None:
        assert path.read_bytes() == old.encode()
        assert path.stat().st_mode & 0o7777 == int(old_mode, 8)


@settings(max_examples=25, deadline=None)
@given(content=text, mode=modes)
def test_both_ways_read_the_same_state(tmp_path_factory, content, mode):
    """What is read through a script is what is read here, to the byte; so a plan does not depend on the way."""
    path = tmp_path_factory.mktemp("f") / "file"
    path.write_bytes(content.encode())
    path.chmod(int(mode, 8))
    for owned in (False, True):
        here, there = (files.read_file(str(path), host, owned=owned) for host in ("localhost", "near1"))
        assert here == there


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_text_file_is_refused_and_left_alone(tmp_path, kind):
    """Links, devices, binary and large files end the plan with host and reason; apply refuses them too."""
    make, reason = KINDS[kind]
    path = tmp_path / "f"
    make(path)
    before = os.lstat(path)
    with pytest.raises(UsageError, match=f"near1: .*{reason}"):
        files.plan_file("near1", str(path), "x", {})
    with pytest.raises(OpsnbError):
        files.apply("near1", {"path": str(path)}, None, {"content": "x", "mode": "0644"})
    assert not files.suits(str(path), "near1")[0]
    after = os.lstat(path)
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert {p.name for p in tmp_path.iterdir()} <= {"f", "other"}


@pytest.mark.skipif(shutil.which("setfacl") is None, reason="no setfacl here")
def test_an_access_list_is_refused(tmp_path):
    """A rename would lose it."""
    path = tmp_path / "f"
    path.write_text("x")
    if subprocess.run(["setfacl", "-m", "u:daemon:r", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no access lists")
    for host in ("near1", "localhost"):
        with pytest.raises(UsageError, match="access list"):
            files.read_file(str(path), host)


@pytest.mark.parametrize("path", ["f", "", "/", "/tmp/../etc/x", "/tmp//x", "/tmp/x/", "/tmp/a\0b", "/tmp/\ud800"])
def test_a_path_that_is_not_absolute_and_plain_is_refused(path):
    """One name for one place, before the host is asked."""
    with pytest.raises(UsageError, match="the path is"):
        files.read_file(path, "near1")


@pytest.mark.parametrize("name", ["a b", "$(touch pwned)", "-rf", "a\nb", "'", "运维", "*", "`id`", "a;b", "%s"])
def test_a_name_is_data(tmp_path, name):
    """A file of any name is written, read and removed, and nothing else happens in its directory."""
    path = tmp_path / name
    plan = files.plan_file("near1", str(path), "x", {})
    carry_out(plan)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert files.read_file(str(path), "near1") == {"content": "x", "mode": "0644"}
    carry_out(plan.inverse())
    assert list(tmp_path.iterdir()) == []


def test_what_changed_after_the_plan_is_not_touched(tmp_path):
    """Content, mode and absence are compared once more on the host, in the round trip that writes."""
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    was = files.read_file(str(path), "near1")
    new = {"content": "new", "mode": "0644"}
    for meddle in (lambda: path.write_text("other"), lambda: path.chmod(0o600), path.unlink):
        path.write_text("old")
        path.chmod(0o644)
        meddle()
        seen = path.read_text() if path.exists() else None
        for after in (new, None):
            with pytest.raises(OpsnbError, match="no longer as planned"):
                files.apply("near1", {"path": str(path)}, was, after)
        assert (path.read_text() if path.exists() else None) == seen
    path.write_text("somebody was faster")
    with pytest.raises(OpsnbError, match="no longer as planned"):
        files.apply("near1", {"path": str(path)}, None, new)


def test_content_that_does_not_arrive_whole_leaves_the_old_file(tmp_path):
    """A line that breaks in the middle ends as the end of the input; the digest tells."""
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    was = [sha256(b"old"), "644", ""]
    with pytest.raises(OpsnbError, match="did not arrive whole"):
        remote.act("near1", there.WRITE, str(path), "1000", *was, "0644", "", sha256(b"new content"), stdin=b"new co")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@as_root
def test_a_full_disk_leaves_the_old_file(tmp_path):
    """Without space the old content stays whole and no temporary file is left."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        path = tmp_path / "f"
        path.write_text("old")
        plan = files.plan_file("near1", str(path), "${x}", {"x": "y" * 200_000})
        with pytest.raises(OpsnbError, match="could not be changed"):
            carry_out(plan)
        assert path.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["f"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@as_root
def test_owner_and_group_stay_or_become_what_the_plan_says(tmp_path):
    """Without an owner in the plan it stays; with one it is changed, and the undo brings the old one back."""
    path = tmp_path / "f"
    path.write_text("old")
    shutil.chown(path, "daemon", "mail")
    plain = files.plan_file("near1", str(path), "new", {})
    for step in (plain, plain.inverse()):
        carry_out(step)
        assert (path.owner(), path.group()) == ("daemon", "mail")
    for host in ("near1", "localhost"):
        owned = files.plan_file(host, str(path), "new", {}, owner="bin:games")
        assert owned.changes[0].before["owner"] == "daemon:mail"
        carry_out(owned)
        assert (path.owner(), path.group()) == ("bin", "games")
        carry_out(owned.inverse())
        assert (path.owner(), path.group()) == ("daemon", "mail")
        assert path.read_text() == "old"


@as_root
def test_removing_another_users_file_is_refused_where_its_owner_is_not_known(tmp_path):
    """A removal that an undo could not restore with its owner does not happen."""
    path = tmp_path / "f"
    path.write_text("x")
    shutil.chown(path, "daemon", "mail")
    with pytest.raises(OpsnbError, match="belongs to another user"):
        files.apply("near1", {"path": str(path)}, files.read_file(str(path), "near1"), None)
    assert path.exists()


def test_one_plan_for_many_hosts_has_a_change_for_each_that_differs(tmp_path, hosts):
    """A plan of several hosts: those that are right already have none; its context says what was looked at."""
    path = tmp_path / "f"
    plan = files.plan_file(hosts, str(path), "same", {})
    assert plan.hosts == hosts
    assert set(plan.context["hosts"]) == set(hosts)
    assert len(plan.host_digests()) == 3
    path.write_text("same")
    path.chmod(0o644)
    assert files.plan_file(hosts, str(path), "same", {}).changes == ()


def test_an_owner_that_is_none_is_refused(tmp_path):
    """An owner is two names, never an option or shell text."""
    for owner in ("", "root", "--reference=/etc/shadow", "root:root; id", "0:0"):
        with pytest.raises(UsageError, match="owner"):
            files.apply(
                "near1", {"path": str(tmp_path / "f")}, None, {"content": "", "mode": "0644", "owner": owner or 5}
            )
    assert list(tmp_path.iterdir()) == []
