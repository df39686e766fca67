"""Asking the catalog for one runbook: by id, by path from where the asker stands, and always as it is on the disk."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from opsnb.base.errors import NotebookError, NotFoundError, OpsnbError
from opsnb.control.catalog import Catalog

PATH = "runbooks/nginx/NGX-010-balance.ipynb"


def test_a_path_begins_where_the_asker_stands(workspace):
    """A relative path is tried from the asker's folder, then from the workspace."""
    workspace.runbook()
    catalog = Catalog.load(workspace.root)
    folder = str(workspace.root / "runbooks/nginx")
    for name in ("NGX-010-balance.ipynb", "../nginx/NGX-010-balance.ipynb", PATH):
        assert catalog.find(name, folder).path == PATH
    with pytest.raises(NotFoundError):
        catalog.find("NGX-010-balance.ipynb")


def test_the_asker_s_own_file_comes_first(workspace, tmp_path_factory):
    """A notebook outside the catalog may run, under its absolute path; it hides none of the catalog's."""
    workspace.runbook()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "plain.ipynb").write_bytes((workspace.root / PATH).read_bytes())
    catalog = Catalog.load(workspace.root)
    assert catalog.find("plain.ipynb", str(elsewhere)).path == str(elsewhere / "plain.ipynb")
    assert catalog.find(str(elsewhere / "plain.ipynb")).area == ""
    assert catalog.find("NGX-010", str(elsewhere)).path == PATH


def test_links_on_the_way_make_no_second_name(workspace, tmp_path_factory):
    """A workspace entered through a link has the same runbooks and paths; a notebook that is a link is none."""
    file = workspace.runbook()
    link = tmp_path_factory.mktemp("links") / "ws"
    link.symlink_to(workspace.root)
    (link / "also.ipynb").symlink_to(file)
    catalog = Catalog.load(link)
    assert catalog.find(PATH, str(link)).path == PATH
    assert catalog.find(str(link / PATH)) is catalog.find("ngx-010")
    with pytest.raises(NotebookError, match="is a symbolic link"):
        catalog.find("also.ipynb", str(link))


def test_what_is_on_the_disk_is_what_is_found(workspace):
    """An edit that leaves size, times and inode as they were is found: the bytes are read when they are asked for."""
    file = workspace.runbook()
    catalog = Catalog.load(workspace.root)
    before = catalog.find("NGX-010")
    edited = file.read_bytes().replace(b"web-ops", b"web-0ps")
    file.write_bytes(edited)
    status = file.lstat()
    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
    catalog._read[PATH] = (stamp, before)  # as if the clock of the file system had not ticked between the two
    after = catalog.find("NGX-010")
    assert (before.front.owner, after.front.owner) == ("web-ops", "web-0ps")
    assert (after.content, after.digest != before.digest) == (edited, True)


def test_a_repaired_notebook_is_found_at_once(workspace):
    """Nobody has to refresh: what was broken and is repaired runs, what was removed is gone."""
    file = workspace.write(PATH, "{")
    catalog = Catalog.load(workspace.root)
    with pytest.raises(NotebookError, match="is not JSON"):
        catalog.find("NGX-010")
    workspace.runbook()
    assert catalog.find("NGX-010").path == PATH
    file.unlink()
    with pytest.raises(NotFoundError):
        catalog.find(PATH)
    assert catalog.find("NGX-010").path.startswith("built-in/")


def test_a_shared_id_is_an_error_by_path_too(workspace):
    """The record would carry the id, so neither notebook runs; the error names both, whatever was asked for."""
    workspace.runbook()
    workspace.runbook("runbooks/other/copy.ipynb")
    catalog = Catalog.load(workspace.root)
    for name in ("ngx-010", PATH, "runbooks/other/copy.ipynb"):
        with pytest.raises(NotebookError, match=f"{PATH} and runbooks/other/copy.ipynb"):
            catalog.find(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "/",
            "..",
            "NGX-01",
            "a\0.ipynb",
            "x" * 5000 + ".ipynb",
            ".ipynb",
            "nginx",
            "\ud800.ipynb",
            "\x1b[31m",
        ),
        *(
            "runbooks/nginx",
            "runbooks/nginx/NGX-010-balanc.ipynb",
            "*.ipynb",
            '{"cells": []}',
            "/dev/zero",
            "~/x.ipynb",
        ),
    ],
)
def test_any_other_name_is_answered_with_the_nearest(workspace, name):
    """A name that is nothing, a folder, a device or a notebook's JSON is refused with a hint, and nothing is opened."""
    workspace.runbook()
    with pytest.raises(NotFoundError) as caught:
        Catalog.load(workspace.root).find(name, str(workspace.root))
    assert "NGX-01" in caught.value.hint
    assert "\x1b" not in caught.value.message


def test_a_near_path_is_named(workspace):
    """A mistyped path is answered with the path."""
    workspace.runbook()
    with pytest.raises(NotFoundError) as caught:
        Catalog.load(workspace.root).find("runbooks/nginx/NGX-010-balanc.ipynb")
    assert caught.value.hint == f"did you mean '{PATH}'?"


def test_a_name_that_is_not_text_is_broken(workspace):
    """A file name that is not UTF-8 is listed so that it can be shown, and hides no other."""
    file = workspace.runbook()
    os.link(file, os.fsencode(workspace.root) + b"/runbooks/b\xffd.ipynb")
    catalog = Catalog.load(workspace.root)
    assert [r.path for r in catalog.runbooks] == [PATH]
    (broken,) = catalog.broken
    assert broken.path == "runbooks/b\\udcffd.ipynb"
    assert "its name is not UTF-8" in broken.error.message


def asked(catalog, name):
    """What is wrong with the answer to a name; ``None`` where it is a runbook of that id or an error of ours."""
    try:
        found = catalog.find(name)
    except OpsnbError as error:
        return f"the one that never changed: {error}" if name == "NGX-010" else None
    return None if found.id == name and name.encode() in found.content else found


def test_many_threads_use_one_catalog(workspace):
    """While a file comes, goes and breaks, every answer is right or an error of ours, never half an index."""
    keep = workspace.runbook().read_bytes()
    other = workspace.root / "runbooks/hosts/HST-001.ipynb"
    other.parent.mkdir()
    catalog, stop = Catalog.load(workspace.root), threading.Event()

    def ask():
        wrong = []
        while not stop.is_set():
            wrong += [answer for answer in (asked(catalog, "NGX-010"), asked(catalog, "HST-001")) if answer]
        return wrong

    with ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask) for _ in range(4)]
        for turn in range(60):
            other.write_bytes([keep.replace(b"NGX-010", b"HST-001"), b"{", b"[]"][turn % 3])
            if turn % 5 == 0:
                other.unlink()
        stop.set()
        assert [asker.result() for asker in askers] == [[], [], [], []]
