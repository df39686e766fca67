"""The catalog: what is found, by what names, what a broken notebook hides, and when a file is read again."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from opsnb.base.errors import NotebookError, NotFoundError, ParameterError
from opsnb.control.catalog import Catalog, read_runbook
from opsnb.control.records import Risk


def test_finds_by_id_and_path(workspace):
    """An id in any case, a path from the workspace, and an absolute path find the same runbook."""
    file = workspace.runbook()
    catalog = Catalog.load(workspace.root)
    runbook = catalog.find("ngx-010")
    assert runbook is catalog.find("runbooks/nginx/NGX-010-balance.ipynb")
    assert runbook is catalog.find(str(file))
    assert (runbook.id, runbook.area, runbook.risk, runbook.name) == ("NGX-010", "nginx", Risk.CHANGE, "NGX-010")
    assert runbook.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [p.name for p in runbook.parameters] == ["strategy", "batch", "folder"]
    assert runbook.validate({"batch": 7})["batch"] == 7
    assert runbook.from_assignments(["batch=7"]) == {"batch": 7}
    shown = runbook.as_json()
    assert shown["parameters"]["properties"]["batch"]["maximum"] == 20
    assert shown["owner"] == "web-ops"


def test_names_the_nearest(workspace):
    """A name that is not there is answered with the nearest, an empty workspace with what is missing."""
    with pytest.raises(NotFoundError) as caught:
        Catalog.load(workspace.root).find("runbooks/x.ipynb")
    assert "no notebooks under runbooks/" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        Catalog.load(workspace.root).find("hst-0001")
    assert caught.value.hint == "did you mean 'HST-001'?"  # a built-in one
    workspace.runbook()
    with pytest.raises(NotFoundError) as caught:
        Catalog.load(workspace.root).find("ngx-0100")
    assert caught.value.hint == "did you mean 'NGX-010'?"


def test_a_broken_notebook_hides_no_other(workspace):
    """It is listed with its error, and asking for it by path or by the id of its name raises that error."""
    workspace.runbook()
    workspace.write("runbooks/hosts/HST-001-triage.ipynb", "not json")
    catalog = Catalog.load(workspace.root)
    assert [r.id for r in catalog.runbooks] == ["NGX-010"]
    (broken,) = catalog.broken
    assert (broken.path, broken.id) == ("runbooks/hosts/HST-001-triage.ipynb", "HST-001")
    for name in ("hst-001", broken.path):
        with pytest.raises(NotebookError, match="is not JSON"):
            catalog.find(name)


def test_a_shared_id_belongs_to_nobody(workspace):
    """Two files with one id are both broken, and the error names both; giving one another id heals the other."""
    workspace.runbook()
    second = workspace.runbook("runbooks/other/copy.ipynb")
    catalog = Catalog.load(workspace.root)
    assert catalog.runbooks == ()
    assert [b.path for b in catalog.broken] == ["runbooks/nginx/NGX-010-balance.ipynb", "runbooks/other/copy.ipynb"]
    with pytest.raises(NotebookError) as caught:
        catalog.find("NGX-010")
    assert "runbooks/nginx/NGX-010-balance.ipynb and runbooks/other/copy.ipynb" in caught.value.message
    assert (caught.value.cell, caught.value.line, caught.value.field) == (0, 2, "id")
    second.unlink()
    assert catalog.refresh()
    assert catalog.find("NGX-010").path == "runbooks/nginx/NGX-010-balance.ipynb"


def test_a_plain_notebook_takes_nothing(workspace):
    """Without front matter it is of risk read, has no id, and its parameters cell is code like any other."""
    body = [workspace.cell("code", "import os\nx = os.getcwd()", "parameters"), workspace.cell("code", "print(x)")]
    workspace.write("runbooks/plain.ipynb", body)
    runbook = Catalog.load(workspace.root).find("runbooks/plain.ipynb")
    assert (runbook.id, runbook.risk, runbook.name, runbook.title) == (None, Risk.READ, "plain.ipynb", "plain")
    assert (runbook.area, runbook.parameters, runbook.facts) == ("", (), {})
    assert runbook.validate({}) == {}
    for refuse in (lambda: runbook.validate({"x": 1}), lambda: runbook.from_assignments(["x=1"])):
        with pytest.raises(ParameterError, match=r"'x': plain.ipynb has no front matter") as caught:
            refuse()
        assert "raw cell" in caught.value.hint


def test_no_parameters_cell_is_fine_until_one_is_passed(workspace):
    """A runbook without the cell runs without parameters and refuses any."""
    front = "---\nid: NGX-010\ntitle: t\npromise: p\nrisk: read\nowner: o\n---"
    workspace.write("runbooks/a/NGX-010.ipynb", [workspace.cell("raw", front), workspace.cell("code", "1")])
    runbook = Catalog.load(workspace.root).find("NGX-010")
    assert runbook.validate({}) == {}
    with pytest.raises(ParameterError, match="declares no parameters"):
        runbook.validate({"x": 1})


@pytest.mark.parametrize("front", [True, False])
def test_two_parameters_cells_are_an_error(workspace, front):
    """Each would hide the other's values, with front matter and without."""
    body = workspace.cells() if front else workspace.cells()[1:]
    file = workspace.write("a.ipynb", [*body, workspace.cell("code", "y: int = 1", "parameters")])
    with pytest.raises(NotebookError, match="a second cell is tagged 'parameters'") as caught:
        read_runbook(file, workspace.root)
    assert caught.value.cell == len(body)


def test_a_parameter_declared_twice_is_an_error(workspace):
    """The error names cell, line and the first declaration."""
    file = workspace.runbook(parameters="batch: int = 1\nbatch: int = 2\n")
    with pytest.raises(NotebookError, match="declared twice, first on line 1") as caught:
        read_runbook(file, workspace.root)
    assert (caught.value.cell, caught.value.line) == (2, 2)


def test_a_notebook_outside_keeps_its_own_name(workspace, tmp_path_factory):
    """A file outside the workspace can be read and is called by its absolute path."""
    file = tmp_path_factory.mktemp("elsewhere") / "mine.ipynb"
    file.write_bytes(workspace.runbook().read_bytes())
    runbook = read_runbook(file, workspace.root)
    assert (runbook.path, runbook.area) == (str(file), "")


def test_links_and_hidden_folders(workspace, tmp_path_factory):
    """No link is followed, in or out of the folder or in a circle; checkpoints and hidden folders are left out."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "OUT-001.ipynb").write_bytes(workspace.runbook().read_bytes())
    folder = workspace.root / "runbooks"
    (folder / "loop").symlink_to(folder)
    (folder / "out").symlink_to(outside)
    (folder / "OUT-001.ipynb").symlink_to(outside / "OUT-001.ipynb")
    workspace.runbook("runbooks/nginx/.ipynb_checkpoints/NGX-010-balance-checkpoint.ipynb")
    workspace.runbook("runbooks/.git/NGX-010.ipynb")
    workspace.write("runbooks/notes.txt", "no notebook")
    catalog = Catalog.load(workspace.root)
    assert [r.path for r in catalog.runbooks] == ["runbooks/nginx/NGX-010-balance.ipynb"]
    assert [(b.path, b.id) for b in catalog.broken] == [("runbooks/OUT-001.ipynb", "OUT-001")]
    assert "is a symbolic link" in catalog.broken[0].error.message


def test_refresh_reads_only_what_changed(workspace):
    """Nothing changed means the same values; an edit of the same size and mtime is still seen."""
    workspace.runbook("runbooks/a/AAA-001.ipynb", front=workspace.front.replace("NGX-010", "AAA-001"))
    file = workspace.runbook()
    catalog = Catalog.load(workspace.root)
    first, other = catalog.find("NGX-010"), catalog.find("AAA-001")
    assert not catalog.refresh()
    assert catalog.find("NGX-010") is first
    status = file.stat()
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    file.write_bytes(file.read_bytes().replace(b"web-ops", b"web-0ps"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert catalog.refresh()
    assert catalog.find("NGX-010").front.owner == "web-0ps"
    assert catalog.find("NGX-010").digest != first.digest
    assert catalog.find("AAA-001") is other


def test_refresh_sees_files_come_and_go(workspace):
    """A new file is found, a deleted one is gone."""
    catalog = Catalog.load(workspace.root)
    file = workspace.runbook()
    assert catalog.refresh()
    assert catalog.find("NGX-010")
    file.unlink()
    assert catalog.refresh()
    assert catalog.runbooks == ()
