"""CFG-010's kit on files of this machine: all files of a host together, or what was, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from config.conftest import Shop
from nearby import carry_out
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import config
from opsnb.kits.config import hiding

HOST = "near1"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and small file systems need root")


def plan(shop: Shop, **parameters: str) -> Plan:
    """Return the plan for one host."""
    return config.plan_distribute(HOST, shop.open(**parameters))


def test_files_are_rendered_put_in_place_activated_and_taken_away(shop: Shop) -> None:
    """One change with both files and the directory; a second plan is empty; the undo leaves what was there before."""
    before = shop.snapshot()
    planned = Plan.from_json(plan(shop).as_json())
    assert [change.host for change in planned.changes] == [HOST]
    assert shop.snapshot() == before
    carry_out(planned)
    assert shop.site.read_text() == "port 8080\nname shop on near1\nkeep $host and ${name}\n"
    assert shop.plain.read_text() == "as it stands: ${nothing} $1\n"
    assert (shop.site.stat().st_mode & 0o7777, shop.plain.stat().st_mode & 0o7777) == (0o640, 0o644)
    assert len(shop.reloads) == 1
    assert config.astray(planned) == []
    assert plan(shop).changes == ()
    carry_out(planned.inverse())
    assert shop.snapshot() == before


def test_what_is_right_is_not_touched(shop: Shop) -> None:
    """Only the file that differs is replaced, and only its command runs."""
    carry_out(plan(shop))
    kept = shop.plain.stat()
    planned = plan(shop, name="store")
    assert list(planned.changes[0].after["files"]) == [str(shop.site)]
    carry_out(planned)
    assert "name store on" in shop.site.read_text()
    assert len(shop.reloads) == 2
    assert shop.plain.stat().st_ino == kept.st_ino
    assert planned.context["right already"] == [str(shop.plain)]


def test_a_validation_that_fails_changes_nothing(shop: Shop) -> None:
    """The staged file is refused: no file, no directory, no activation."""
    shop.write("shop/common/site.conf", "prot ${port}\n")
    before = shop.snapshot()
    with pytest.raises(OpsnbError, match=r"nothing was changed:.*\n?.*ended with 1"):
        carry_out(plan(shop))
    assert shop.snapshot() == before
    assert shop.reloads == []


def test_an_activation_that_fails_puts_back_and_activates_again(shop: Shop) -> None:
    """The service gets the old files again; content, mode and owner are as they were."""
    carry_out(plan(shop))
    if os.geteuid() == 0:
        shutil.chown(shop.site, "daemon", "mail")
    before = shop.snapshot()
    text = (shop.configs / "shop/config.yaml").read_text()
    fails = text.replace("|| :; }", '|| :; ! grep -q bad "$1"; }')
    shop.write("shop/config.yaml", fails)
    with pytest.raises(OpsnbError, match="put back"):
        carry_out(plan(shop, name="bad"))
    assert shop.snapshot() == before
    assert ["bad" in text for text in shop.reloads] == [False, True, False]


def test_several_commands_run_once_each_in_order(shop: Shop) -> None:
    """Files with other commands: each command once, words as words, and the first that fails is named."""
    words = "a b; 'c' $(touch pwned)"
    shop.write(
        "shop/config.yaml",
        f"""files:
  - {{path: {shop.root}/a, source: plain.conf, validate: [test, -f, {shop.root}/b], activate: [mkdir, "{shop.root}/{words}"]}}
  - {{path: {shop.root}/b, source: plain.conf, validate: [test, -f, {shop.root}/a], activate: [mkdir, {shop.root}/two]}}
  - {{path: {shop.root}/c, source: plain.conf, activate: [mkdir, {shop.root}/two]}}
""",
    )
    carry_out(plan(shop))
    assert sorted(p.name for p in shop.root.iterdir()) == sorted(["a", "b", "c", "etc", "two", words])
    shop.write("shop/common/plain.conf", "new\n")
    with pytest.raises(OpsnbError, match="mkdir ended with 1"):
        carry_out(plan(shop))
    assert (shop.root / "a").read_text() == "as it stands: ${nothing} $1\n"


def test_each_file_has_its_own_validation(shop: Shop) -> None:
    """A command is run on its own file and no other."""
    shop.write(
        "shop/config.yaml",
        f"""files:
  - {{path: {shop.root}/a, source: a, validate: [grep, -q, alpha, "%s"]}}
  - {{path: {shop.root}/b, source: b, validate: [grep, -q, beta, "%s"]}}
  - {{path: {shop.root}/c, source: c}}
""",
    )
    for name, text in {"a": "alpha", "b": "beta", "c": "gamma"}.items():
        shop.write(f"shop/prod/{name}", text)
    carry_out(plan(shop))
    shop.write("shop/prod/b", "alpha")
    with pytest.raises(OpsnbError, match="grep ended with 1"):
        carry_out(plan(shop))
    assert (shop.root / "b").read_text() == "beta"


def test_what_changed_after_the_plan_is_not_touched(shop: Shop) -> None:
    """Content, mode, a directory that has come: compared on the host once more, in the round trip that writes."""
    planned = plan(shop)
    shop.plain.write_text("somebody was faster")
    change = planned.changes[0]
    with pytest.raises(OpsnbError, match="no longer as planned"):
        config.ACTUATOR.apply(HOST, change.target, change.before, change.after)
    assert sorted(shop.snapshot()) == ["etc", "etc/plain.conf"]
    assert config.ACTUATOR.observe(HOST, change.target) != change.before


def test_a_retry_goes_on_from_the_middle(shop: Shop) -> None:
    """A host that died among the renames: some files new, some old; anything else is no middle."""
    planned = plan(shop)
    change = planned.changes[0]
    shop.plain.write_text(change.after["files"][str(shop.plain)]["content"])
    shop.plain.chmod(0o644)
    found = config.ACTUATOR.observe(HOST, change.target)
    assert found not in (change.before, change.after)
    assert config.ACTUATOR.partway(change.target, change.before, change.after, found)
    config.ACTUATOR.apply(HOST, change.target, found, change.after)
    assert config.astray(planned) == []
    assert len(shop.reloads) == 1
    shop.plain.write_text("something else")
    found = config.ACTUATOR.observe(HOST, change.target)
    assert not config.ACTUATOR.partway(change.target, change.before, change.after, found)


def test_an_undo_leaves_a_directory_that_is_in_use(shop: Shop) -> None:
    """Something else lies in a directory that was made: nothing is removed, and it is named."""
    planned = plan(shop)
    carry_out(planned)
    (shop.site.parent / "mine").write_text("x")
    before = shop.snapshot()
    with pytest.raises(UsageError, match=r"mine' was not there"):
        carry_out(planned.inverse())
    assert shop.snapshot() == before
    (shop.site.parent / "mine").unlink()
    carry_out(planned.inverse())
    assert sorted(shop.snapshot()) == ["etc"]


@as_root
def test_a_full_disk_leaves_everything(shop: Shop) -> None:
    """Without space no file is torn, no directory stays, nothing is activated."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", shop.root], check=True)
    try:
        (shop.root / "etc").mkdir()
        shop.plain.write_text("old")
        before = shop.snapshot()
        shop.write("shop/common/plain.conf", "y" * 200_000)
        with pytest.raises(OpsnbError, match="could not be changed"):
            carry_out(plan(shop))
        assert shop.snapshot() == before
    finally:
        subprocess.run(["umount", shop.root], check=True)


GUARDED = "pa55-wörd;$(id)"
SENSITIVE = """files:
  - {{path: {root}/key, source: key, sensitive: true, {more}}}
"""


def test_a_sensitive_file_is_nowhere_in_the_plan(shop: Shop) -> None:
    """Hashes under the request's key: another for each request; written, replaced, and undone byte for byte."""
    shop.write("shop/config.yaml", SENSITIVE.format(root=shop.root, more="activate: [true]"))
    key = shop.write("shop/prod/key", f"{GUARDED}\n")
    hiding.use(b"one request")
    first = plan(shop)
    hiding.use(b"another")
    assert plan(shop).digest != first.digest
    hiding.use(b"one request")
    assert plan(shop).digest == first.digest
    carry_out(first)
    assert (shop.root / "key").read_text() == f"{GUARDED}\n"
    assert (shop.root / "key").stat().st_mode & 0o7777 == 0o600
    before = shop.snapshot()
    key.write_text("another\n")
    second = plan(shop)
    for planned in (first, second):
        assert GUARDED not in str(planned.as_json())
        assert "another" not in str(planned.as_json())
    carry_out(second)
    assert (shop.root / "key").read_text() == "another\n"
    hiding.use(b"one request")  # the undo is another process, which holds nothing
    carry_out(Plan.from_json(second.as_json()).inverse())
    assert shop.snapshot() == before


def test_a_sensitive_file_without_its_kept_one_is_left(shop: Shop) -> None:
    """Somebody tidied up: the undo says what is missing and changes nothing; so does a drift."""
    shop.write("shop/config.yaml", SENSITIVE.format(root=shop.root, more="activate: [true]"))
    key = shop.write("shop/prod/key", "first\n")
    hiding.use(b"one request")
    carry_out(plan(shop))
    key.write_text("second\n")
    second = plan(shop)
    change = second.changes[0]
    (shop.root / "key").write_text("by hand\n")
    with pytest.raises(OpsnbError, match="no longer as planned"):
        config.ACTUATOR.apply(HOST, change.target, change.before, change.after)
    (shop.root / "key").write_text("first\n")
    carry_out(second)
    (kept,) = (path for path in shop.root.iterdir() if path.name.startswith(".key.opsnb-"))
    assert kept.name in change.command
    kept.unlink()
    before = shop.snapshot()
    hiding.use(b"one request")
    with pytest.raises(OpsnbError, match="is not there any more"):
        carry_out(second.inverse())
    assert shop.snapshot() == before


@pytest.mark.parametrize(
    "target",
    [
        None, [], {}, {"files": "x"}, {"files": ["x"]}, {"files": [{"path": "/x"}]}, {"files": [], "directories": "/x"},
        {"files": [{"path": 5, "validate": [], "activate": []}]},
    ],
)  # fmt: skip
def test_a_target_that_is_none_is_refused(target: object) -> None:
    """A plan that was tampered with becomes no path and no traceback."""
    with pytest.raises(UsageError, match=r"target of config\.files"):
        config.ACTUATOR.observe(HOST, target)


def test_a_program_that_quotes_a_sensitive_file_is_masked(shop: Shop) -> None:
    """What a validation command prints of it does not reach the record."""
    more = """validate: [/bin/sh, -c, 'cat "$1"; exit 1', x, "%s"]"""
    shop.write("shop/config.yaml", SENSITIVE.format(root=shop.root, more=more))
    shop.write("shop/prod/key", f"password = {GUARDED}\n")
    with pytest.raises(OpsnbError) as caught:
        carry_out(plan(shop))
    assert "pa55" not in str(caught.value)
    assert "ended with 1" in str(caught.value)


@as_root
def test_owners_become_what_the_manifest_says(shop: Shop) -> None:
    """And come back; an owner that the host does not have leaves everything as it was."""
    shop.write("shop/config.yaml", f"files:\n  - {{path: {shop.plain}, source: plain.conf, owner: daemon:mail}}\n")
    shop.plain.write_text("old")
    shutil.chown(shop.plain, "bin", "games")
    before = shop.snapshot()
    planned = plan(shop)
    carry_out(planned)
    assert (shop.plain.owner(), shop.plain.group()) == ("daemon", "mail")
    carry_out(planned.inverse())
    assert shop.snapshot() == before
    shop.write("shop/config.yaml", f"files:\n  - {{path: {shop.plain}, source: plain.conf, owner: nosuch:nosuch}}\n")
    with pytest.raises(OpsnbError, match="owner"):
        carry_out(plan(shop))
    assert shop.snapshot() == before


def test_this_machine_is_refused(shop: Shop) -> None:
    """Runs are confined here, and the words say what to do."""
    with pytest.raises(UsageError, match="runs are confined"):
        config.plan_distribute("localhost", shop.open())
