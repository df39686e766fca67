"""Control groups: a fork bomb and a memory hog end their own run and nothing else; nothing of them stays."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.cli.workspace import make
from opsnb.control.runs.cgroups import PREFIX, Budget, Home, home
from opsnb.control.runs.cgroups import make as make_group
from places import Place, text_of, wait_for

MIB = 1024**2
CALM = "import time\nfor n in range(20): time.sleep(0.1)\nprint('calm to the end')"
# Not these tests' 4 s for a cell: the machine is busy then, and something else is to end it, or nothing.
LONG = "id: TST-{n:03}\ntitle: t\npromise: p\nrisk: read\nowner: o\ncell_timeout: 1m"
needs_groups = pytest.mark.skipif(home() is None, reason="no control group can be made here")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A control plane whose runs have 400 MiB and 100 processes."""
    made = Place(tmp_path_factory.mktemp("small") / "ws")
    make(made.root)
    made.settings(cell_timeout="4s", memory="400MiB", processes=100)
    made.up()
    yield made
    made.close()


def groups_left() -> list[str]:
    """Return the control groups of runs that there are."""
    where = home()
    assert where is not None
    return sorted(str(p) for f in set(where.folders.values()) for p in Path(f).glob(f"{PREFIX}*"))


@needs_groups
def test_a_start_spares_what_others_have_just_made() -> None:
    """A control plane that starts removes the empty groups of the dead, never that of a supervisor that lives."""
    where, over = home(), subprocess.Popen(["true"])
    assert where is not None
    over.wait()
    made = [make_group(where, str(pid), Budget(memory=1 << 30, processes=100)) for pid in (os.getpid(), over.pid)]
    assert all(made)
    try:
        home(prepare=True)
        mine, stale = ([Path(f).is_dir() for f in set(group.folders.values())] for group in made if group)
        assert (all(mine), any(stale)) == (True, False)
    finally:
        for group in made:
            if group:
                group.remove()


@pytest.mark.slow
@needs_groups
def test_a_fork_bomb_is_held_in_its_run(small: Place) -> None:
    """A fork bomb gets no more processes than its run may have, ends with it, and another run does not notice."""
    small.add("bomb", "import subprocess\nsubprocess.run(['bash', '-c', 'b(){ b|b& };b; sleep 60'], stderr=-3)")
    small.add("calm", CALM, front=LONG.format(n=1))
    bomb, calm = small.submit("runbooks/bomb.ipynb"), small.submit("runbooks/calm.ipynb")
    assert text_of(small.executed(small.end(calm))["cells"][1]) == "calm to the end\n"
    ended = small.end(bomb)
    assert ended["verdict"] == "ABORTED", ended["reason"]
    notes = json.loads((small.record(ended) / "manifest.json").read_bytes())["record"]["notes"]
    assert any("limit of processes" in note for note in notes), notes


@pytest.mark.slow
@needs_groups
def test_a_memory_hog_ends_its_own_run(small: Place) -> None:
    """Memory that is taken faster than anyone looks is refused by the system: the run is over, the others go on."""
    small.add("hog", "keep = []\nwhile True:\n    keep.append(bytearray(b'x') * (256 << 20))", front=LONG.format(n=2))
    small.add("calm", CALM, front=LONG.format(n=1))
    hog, calm = small.submit("runbooks/hog.ipynb"), small.submit("runbooks/calm.ipynb")
    ended = small.end(hog)
    assert (ended["verdict"], "memory" in ended["reason"]) == ("ABORTED", True), ended["reason"]
    assert text_of(small.executed(small.end(calm))["cells"][1]) == "calm to the end\n"


@pytest.mark.slow
@needs_groups
def test_the_record_names_the_limits_and_the_group_goes_with_the_run(small: Place) -> None:
    """The record says what held the kernel; when its supervisor is gone, so is its control group."""
    small.add("who", "print(open('/proc/self/cgroup').read())")
    result = small.end(small.submit("runbooks/who.ipynb"))
    inside = text_of(small.executed(result)["cells"][0])
    name = next(w for w in inside.replace("\n", "/").split("/") if w.startswith(PREFIX))
    record = json.loads((small.record(result) / "manifest.json").read_bytes())["record"]
    assert any(word.startswith("cgroup v") for word in record["holds"])
    assert "cgroup v" in (small.record(result) / "run.html").read_text(encoding="utf-8")
    wait_for(lambda: not [p for p in groups_left() if p.endswith("/" + name)], 20)


@needs_groups
def test_a_group_is_made_entered_and_removed() -> None:
    """The limits stand in the files of the group, and nothing of it stays."""
    where = home()
    assert where is not None
    group = make_group(where, f"test-{time.monotonic_ns()}", Budget(memory=256 * MIB, processes=50))
    assert group is not None
    try:
        if "pids" in group.folders:
            assert Path(group.folders["pids"], "pids.max").read_text().strip() == "50"
        if "memory" in group.folders:
            file = "memory.max" if group.version == 2 else "memory.limit_in_bytes"
            assert int(Path(group.folders["memory"], file).read_text()) == 256 * MIB
        assert group.reached() == []
    finally:
        group.remove()
    assert not any(Path(f).exists() for f in group.folders.values())


CASES = {
    "hybrid, as root": (
        "4:memory:/a/b\n8:pids:/\n1:cpu:/\n0::/\n",
        "cgroup {root}/memory memory\ncgroup {root}/pids pids\ncgroup2 {root}/unified none",
        ("memory/a/b", "pids", "unified"), {},
        (1, {"memory": "memory/a/b", "pids": "pids"}),
    ),
    "a delegated service": (
        "0::/system.slice/opsnb.service\n", "cgroup2 {root}/cg none", ("cg/system.slice/opsnb.service",),
        {"cg/system.slice/opsnb.service/cgroup.controllers": "cpu memory pids",
         "cg/system.slice/opsnb.service/cgroup.subtree_control": "cpu memory pids"},
        (2, dict.fromkeys(("memory", "pids", "cpu"), "cg/system.slice/opsnb.service")),
    ),
    "the same, from the leaf that it moved into": (
        "0::/system.slice/opsnb.service/opsnb-control\n", "cgroup2 {root}/cg none", ("cg/system.slice/opsnb.service",),
        {"cg/system.slice/opsnb.service/cgroup.controllers": "memory pids",
         "cg/system.slice/opsnb.service/cgroup.subtree_control": "memory pids"},
        (2, dict.fromkeys(("memory", "pids"), "cg/system.slice/opsnb.service")),
    ),
    "a session that is not ours": (
        "0::/user.slice\n", "cgroup2 {root}/cg none", ("cg/user.slice",),
        {"cg/user.slice/cgroup.controllers": "memory pids", "cg/user.slice/cgroup.subtree_control": ""}, None,
    ),
    "no groups at all": ("", "proc {root}/proc none", (), {}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_where_groups_can_be_made_is_read_from_proc(tmp_path: Path, case: str) -> None:
    """Own groups and mounts, as the system writes them, say which directories are ours to make groups in."""
    own, mounts, folders, files, want = CASES[case]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").touch()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    (tmp_path / "cgroup").write_text(own, encoding="ascii")
    rows = [line.format(root=tmp_path).split() for line in mounts.splitlines()]
    lines = [f"30 25 0:26 / {point} rw - {kind} {kind} rw,{options}" for kind, point, options in rows]
    (tmp_path / "mountinfo").write_text("\n".join(lines), encoding="ascii")
    found = home(proc=str(tmp_path))
    expected = want and Home(version=want[0], folders={k: f"{tmp_path}/{v}" for k, v in want[1].items()})
    assert found == expected
