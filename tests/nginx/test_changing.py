"""A change of nginx's files on a real nginx: loaded and proven, or as it was, byte for byte, with the same behaviour."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.values import executed
from nearby import carry_out, nearby
from nginx.tiers import Nginx, fetch
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.nginx import changing, running
from opsnb.kits.nginx.changing import apply, observe, plan_files
from opsnb.kits.nginx.probe import Probe
from opsnb.runbook import actuators
from places import wait_for
from ports import quiet_ports

pytestmark = pytest.mark.slow
HOST = "near1"
SITE = 'server {{ listen 127.0.0.1:{port}; location / {{ return {status} "{word}\\n"; }} }}\n'


class Site:
    """A running nginx with one site."""

    def __init__(self, root: Path) -> None:
        (self.port,) = quiet_ports(1)
        self.nginx = Nginx(root, workers=2)
        self.path = str(self.nginx.add("site.conf", self.text("old")))
        Path(self.path).chmod(0o640)
        self.nginx.start()
        self.conf = str(self.nginx.conf)

    def text(self, word: str, status: int = 200) -> str:
        """Return the site's text with an answer."""
        return SITE.format(port=self.port, word=word, status=status)

    def probe(self, **values: object) -> Probe:
        """Return a probe of the site."""
        return Probe(url=f"http://127.0.0.1:{self.port}", **values)  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running nginx, and hosts that are this machine."""
    made = Site(tmp_path / "nginx")
    try:
        with nearby():
            yield made
    finally:
        made.nginx.stop()


def test_new_text_is_loaded_and_proven_and_the_undo_brings_the_old_back(site: Site) -> None:
    """The plan changes nothing; the change is served by new workers; a second plan is empty; the undo serves the old."""
    before, workers = site.nginx.files(), site.nginx.workers()
    plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf, probe=site.probe())
    assert site.nginx.files() == before
    assert site.nginx.workers() == workers
    assert fetch(site.port) == "old\n"
    assert "+server" in changing.diff(plan.changes[0].before["files"], plan.changes[0].after["files"])
    assert plan.context["tested whole"] is True, plan.context
    carry_out(plan)
    assert fetch(site.port) == "new\n"
    assert not set(site.nginx.workers()) & set(workers)
    assert (Path(site.path).stat().st_mode & 0o777) == 0o640
    assert plan_files(HOST, {site.path: site.text("new")}, conf=site.conf).changes == ()
    carry_out(plan.inverse())
    assert fetch(site.port) == "old\n"
    assert site.nginx.files()[site.path][:4] == before[site.path][:4]
    assert sorted(site.nginx.files()) == sorted(before)


def test_a_new_file_and_its_removal(site: Site) -> None:
    """A file that was not there is served, and after the undo it is neither there nor loaded."""
    (port,) = quiet_ports(1)
    path = str(Path(site.path).with_name("more.conf"))
    text = SITE.format(port=port, word="more", status=200)
    plan = plan_files(HOST, {path: text}, conf=site.conf)
    carry_out(plan)
    assert fetch(port) == "more\n"
    carry_out(plan.inverse())
    assert not Path(path).exists()
    assert observe(HOST, plan.changes[0].target) == {"files": {path: None}, "loaded": True}
    with pytest.raises(OSError, match="refused"):
        fetch(port)


def test_a_name_that_a_shell_would_carry_out_is_a_name(site: Site) -> None:
    """As a file's name, on its way through plan, test, swap and undo; nothing is carried out."""
    (port,) = quiet_ports(1)
    path = str(Path(site.path).with_name("a b;$(touch opsnb_pwned)`id`'\\*.conf"))
    plan = plan_files(HOST, {path: SITE.format(port=port, word="odd", status=200)}, conf=site.conf)
    carry_out(plan)
    assert fetch(port) == "odd\n"
    carry_out(plan.inverse())
    assert executed(site.nginx.root, Path.cwd()) == []
    assert sorted(p.name for p in Path(site.path).parent.iterdir()) == ["site.conf"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("server { listen 127.0.0.1:1; nonsense on; }\n", 'unknown directive "nonsense"'),
        ("upstream a { }\n", "no servers are inside upstream"),
        ("server {", "found the end of the file"),
    ],
)
def test_a_broken_configuration_is_refused_at_plan_time(site: Site, text: str, reason: str) -> None:
    """With nginx's own words and the file's own name; nothing is written, nothing is left, the workers are the same."""
    before, workers = site.nginx.files(), site.nginx.workers()
    with pytest.raises(UsageError, match=reason) as caught:
        plan_files(HOST, {site.path: text}, conf=site.conf)
    assert site.path in caught.value.message
    assert "/tmp/tmp." not in caught.value.message
    assert site.nginx.files() == before
    assert site.nginx.workers() == workers


def test_a_configuration_that_only_root_finds_broken_is_put_back(site: Site) -> None:
    """What ``nginx -t`` refuses in its place changes nothing: bytes, modes, owners, times and workers."""
    target = changing.target_of([site.path], conf=site.conf)
    before, files, workers = observe(HOST, target), site.nginx.files(), site.nginx.workers()
    after = {"files": {site.path: {"content": "server { nonsense; }\n", "mode": "0640"}}, "loaded": True}
    with pytest.raises(OpsnbError, match="put back") as caught:
        apply(HOST, target, before, after)
    assert "nonsense" in str(caught.value)
    assert site.nginx.files() == files
    assert site.nginx.workers() == workers
    assert fetch(site.port) == "old\n"


def test_a_reload_that_the_master_does_not_take_is_found_out(site: Site) -> None:
    """``nginx -t`` passes and the reload does not (the port is another's): put back, with the master's words."""
    (other,) = quiet_ports(1)
    taken = subprocess.Popen(["/usr/bin/env", "python3", "-m", "http.server", "--bind", "127.0.0.1", str(other)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_for(lambda: _listens(other), 20, taken)
        files, workers = site.nginx.files(), site.nginx.workers()
        text = site.text("new") + SITE.format(port=other, word="x", status=200)
        plan = plan_files(HOST, {site.path: text}, conf=site.conf)
        with pytest.raises(OpsnbError, match="did not take") as caught:
            carry_out(plan)
        assert "put back" in str(caught.value)
        assert {p: f[:4] for p, f in site.nginx.files().items()} == {p: f[:4] for p, f in files.items()}
        assert not set(site.nginx.workers()) & set(workers)  # loaded again, so that nothing is left of the try
        assert fetch(site.port) == "old\n"
    finally:
        taken.kill()
        taken.wait()


def test_a_probe_that_fails_restores_the_old_configuration(site: Site) -> None:
    """Byte for byte, mode, owner and time; what serves is the old configuration again; the error says what was answered."""
    files = site.nginx.files()
    plan = plan_files(HOST, {site.path: site.text("new", 503)}, conf=site.conf, probe=site.probe())
    with pytest.raises(OpsnbError, match=r"answered wrong .*: http://127\.0\.0\.1:\d+ 503, .* 0 right") as caught:
        carry_out(plan)
    assert "put back" in str(caught.value)
    assert site.nginx.files() == files
    assert fetch(site.port) == "old\n"
    assert observe(HOST, plan.changes[0].target) == plan.changes[0].before


def test_a_back_end_that_must_answer_is_asked_before_anything_is_changed(site: Site) -> None:
    """One that does not answer, or not as wanted, ends the change with its name: nothing is replaced or reloaded."""
    (dead,) = quiet_ports(1)
    files, workers = site.nginx.files(), site.nginx.workers()
    for direct, statuses, why in (
        (f"http://127.0.0.1:{dead}", (), "000"),
        (f"http://127.0.0.1:{site.port}", (204,), "200"),
    ):
        probe = site.probe(direct=(f"http://127.0.0.1:{site.port}", direct), statuses=statuses)
        plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf, probe=probe)
        with pytest.raises(OpsnbError, match="nothing was changed") as caught:
            carry_out(plan)
        assert f"{direct} {why}" in str(caught.value)
    assert site.nginx.files() == files
    assert site.nginx.workers() == workers


def test_an_edit_between_plan_and_change_is_drift(site: Site) -> None:
    """What somebody else wrote meanwhile stays, and nothing is reloaded."""
    plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf)
    Path(site.path).write_text(site.text("theirs"))
    files, workers = site.nginx.files(), site.nginx.workers()
    change = plan.changes[0]
    assert observe(HOST, change.target) != change.before
    with pytest.raises(OpsnbError, match="no longer as planned"):
        apply(HOST, change.target, change.before, change.after)
    assert site.nginx.files() == files
    assert site.nginx.workers() == workers


def test_new_files_that_are_not_loaded_are_finished_by_a_reload(site: Site) -> None:
    """What a host leaves that died between swap and reload: seen as not loaded, partway, and finished."""
    plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf, probe=site.probe())
    change = plan.changes[0]
    Path(site.path).write_text(site.text("new"))
    found = observe(HOST, change.target)
    assert found == {"files": change.after["files"], "loaded": False}
    partway = actuators.find(changing.VERB).partway
    assert partway(change.target, change.before, change.after, found)
    assert fetch(site.port) == "old\n"
    apply(HOST, change.target, found, change.after)
    assert fetch(site.port) == "new\n"
    assert observe(HOST, change.target) == change.after
    assert not partway(change.target, change.before, change.after, change.after)


def test_a_file_on_disk_that_is_not_loaded_is_planned_as_a_reload(site: Site) -> None:
    """The text is right already and nginx has another: the plan is the reload; another's edit is named in a plan."""
    Path(site.path).write_text(site.text("new"))
    plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf)
    assert [c.before["loaded"] for c in plan.changes] == [False]
    carry_out(plan)
    assert fetch(site.port) == "new\n"
    site.nginx.conf.write_text(site.nginx.conf.read_text() + "# theirs\n")
    plan = plan_files(HOST, {site.path: site.text("newer")}, conf=site.conf)
    assert plan.context["takes effect too"] == [site.conf]


def test_an_nginx_that_does_not_run_is_not_started(site: Site) -> None:
    """The plan is refused with the reason; a change that was planned before touches nothing."""
    plan = plan_files(HOST, {site.path: site.text("new")}, conf=site.conf)
    site.nginx.stop()
    files = site.nginx.files()
    with pytest.raises(OpsnbError, match="no nginx runs with"):
        plan_files(HOST, {site.path: site.text("new")}, conf=site.conf)
    change = plan.changes[0]
    with pytest.raises(OpsnbError, match="no nginx runs with"):
        apply(HOST, change.target, change.before, change.after)
    assert site.nginx.files() == files


def test_loaded_is_told_after_every_reload_and_never_before(site: Site) -> None:
    """Five edits, each seen as not loaded at once, and as loaded right after its reload."""
    for number in range(5):
        Path(site.path).write_text(site.text(f"v{number}"))
        assert running.loaded(HOST, site.nginx.pid, [site.path]) is False
        subprocess.run(running.reload_program(site.nginx.pid), check=True)
        assert running.loaded(HOST, site.nginx.pid, [site.path]) is True


def _listens(port: int) -> bool:
    try:
        fetch(port)
    except OSError:
        return False
    return True
