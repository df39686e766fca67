"""What a hostile kernel leaves behind for its supervisor, which is not confined: it must not be led anywhere by it."""

from __future__ import annotations

import json

import pytest

from places import Place, text_of

pytestmark = pytest.mark.slow

SWAP = """
import os, shutil
folder = os.path.dirname(os.environ["HOME"])
shutil.rmtree(folder + "/files")
os.symlink("{goal}", folder + "/files")
"""


def test_a_files_folder_that_is_a_link_is_not_followed(up: Place) -> None:
    """A kernel replaces its folder for files by a link to the keys; the record keeps none of them, and says so."""
    up.add("leads", SWAP.format(goal=up.workspace.state))
    result = up.end(up.submit("runbooks/leads.ipynb"))
    manifest = json.loads((up.record(result) / "manifest.json").read_bytes())
    assert manifest["record"]["files"] == []
    assert not list(up.record(result).rglob("ledger.key"))
    assert any("files" in note and "link" in note for note in manifest["record"]["notes"])


def test_a_link_below_the_files_folder_is_not_followed(up: Place) -> None:
    """A directory in it that is a link is left out, and so is a file that is one."""
    cell = (
        "import os\nfolder = os.path.dirname(os.environ['HOME']) + '/files'\n"
        f"os.symlink('{up.workspace.state}', folder + '/d')\n"
        f"os.symlink('{up.workspace.state}/keys/ledger.key', folder + '/f')"
    )
    up.add("links", cell)
    result = up.end(up.submit("runbooks/links.ipynb"))
    assert [p.name for p in up.record(result).rglob("*") if p.name in {"d", "f", "ledger.key"}] == []


def test_a_kernel_that_removes_its_scratch_folder_harms_itself_only(up: Place) -> None:
    """What a kernel links in place of its own folders is removed as a link, and what it points at stays."""
    up.add("scratch", SWAP.format(goal=up.root / "runbooks") + "os.chmod(folder, 0o500)")
    result = up.end(up.submit("runbooks/scratch.ipynb"))
    assert result["verdict"] == "DONE", result["reason"]
    assert (up.root / "runbooks/scratch.ipynb").exists()


def test_a_spawned_kernel_is_held_as_a_forked_one(place: Place) -> None:
    """Without a zygote the same fences stand, and the record names them."""
    place.settings(kernel="spawn")
    place.add(
        "spawned", "import ctypes, os\nprint(ctypes.CDLL(None).unshare(0x10000000), os.listdir('/proc/self/fd') != [])"
    )
    place.up()
    result = place.end(place.submit("runbooks/spawned.ipynb"))
    assert text_of(place.executed(result)["cells"][0]) == "-1 True\n"
    record = json.loads((place.record(result) / "manifest.json").read_bytes())["record"]
    assert (record["isolation"], "system-calls" in record["holds"]) == ("landlock", True)


def test_a_reading_runbook_that_proposes_is_written_down(up: Place) -> None:
    """A plan in mode read is refused, kept in the ledger, and a loop of them does not fill it."""
    cell = (
        "from opsnb.base.runlink import connect\nfrom opsnb.base.errors import LinkError\nlink = connect()\n"
        "for n in range(150):\n    try: link.ask('plan', plan={'title': 'x', 'changes': []})\n"
        "    except LinkError as error: said = str(error)\nprint(said)"
    )
    up.add("proposes", cell)
    result = up.end(up.submit("runbooks/proposes.ipynb"))
    assert text_of(up.executed(result)["cells"][0]) == "a runbook of risk 'read' has nothing to propose\n"
    assert up.kinds(result["run"]).count("run.refused") == 100
    notes = json.loads((up.record(result) / "manifest.json").read_bytes())["record"]["notes"]
    assert notes[0] == "the notebook asked at least 100 time(s) for what it may not have: plan (100)"
