"""CFG-001's kit: who is odd, in what, against whom; on files of this machine and on values."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.conftest import Shop
from nearby import carry_out
from opsnb.base.errors import UsageError
from opsnb.kits import config
from opsnb.kits.config.compare import FINE, Survey, apart, compare
from opsnb.kits.config.reading import Found, read
from opsnb.kits.files import read_file

HOSTS = ("near1", "near2", "near3")
A, B, C = ({"content": text, "mode": "0644", "owner": "root:root"} for text in ("a\n", "b\n", "c\n"))
NOTHING: dict[str, str] = {}


def survey(*states: object) -> Survey:
    """Return a survey of one file: a state, nothing, or the words in which it was refused."""
    found = {}
    for number, state in enumerate(states, 1):
        refused = state if isinstance(state, str) else ""
        found[f"h{number}"] = Found(state=state if isinstance(state, dict) and state else None, refused=refused)
    return Survey(found={"/f": found})


@pytest.mark.parametrize(
    ("states", "verdicts", "how"),
    [
        ((A, A, A), "same same same", ""),
        ((A, B, A), "same differs same", "content"),
        ((A, {**A, "mode": "0600"}, A), "same differs same", "mode 0600, not 0644"),
        ((A, {**A, "owner": "a:b"}, A), "same differs same", "owner a:b, not root:root"),
        ((A, NOTHING, A), "same missing same", ""),
        ((NOTHING, B, NOTHING), "absent differs absent", "the others have none"),
        ((NOTHING, NOTHING), "absent absent", ""),
        ((A, "is binary", A), "same refused same", "is binary"),
        ((A, B), "differs differs", "no value is the usual one"),
        ((A, B, C), "own own own", "each host has its own"),
        ((A,), "same", ""),
    ],
)
def test_who_is_odd(states: tuple[object, ...], verdicts: str, how: str) -> None:
    """The majority is the reference; without one both are shown; each its own is fine."""
    cells = compare(survey(*states))
    assert [cell.verdict for cell in cells] == verdicts.split()
    assert how in [cell.how for cell in cells]


def test_a_named_host_is_the_reference() -> None:
    """Even where it is alone; one that was not read is refused."""
    cells = compare(survey(A, B, B), "h1")
    assert [cell.verdict for cell in cells] == ["same", "differs", "differs"]
    assert cells[1].against == "host h1"
    with pytest.raises(UsageError, match="was not read"):
        compare(survey(A, B), "h9")


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=8))
def test_letters_are_contents(contents: list[str | None]) -> None:
    """Two hosts have the same letter when and only when they have the same content; A is a commonest one."""
    cells = compare(survey(*({**A, "content": c} if c else NOTHING for c in contents)))
    letters = [cell.group for cell in cells]
    for one, first in zip(contents, letters, strict=True):
        for other, second in zip(contents, letters, strict=True):
            assert (one == other) == (first == second)
    there = [c for c in contents if c]
    if there:
        assert contents.count(contents[letters.index("A")]) == max(map(there.count, there))


def test_hosts_beside_the_one_place(shop: Shop) -> None:
    """What a host should have is rendered for it; the odd one is shown with its difference; the same oddity once."""
    service = shop.open()
    carry_out(config.plan_distribute("near1", service))
    seen = config.survey(HOSTS[:1], [], service)
    assert {cell.verdict for cell in compare(seen)} == {"same"}
    shop.plain.write_text("as somebody left it\n")
    shop.site.chmod(0o600)
    cells = compare(config.survey(HOSTS[:1], [], service))
    assert [(c.verdict, c.how, c.against) for c in cells] == [
        ("differs", "mode 0600, not 0640", "configs/"), ("differs", "content", "configs/"),
    ]  # fmt: skip
    said = config.tables.differences(config.survey(HOSTS[:1], [], service), cells)
    assert "-as it stands: ${nothing} $1\n+as somebody left it" in said
    assert config.tables.evidence(cells, seen, [])["odd"] == {
        "near1": [f"{shop.site}: differs (mode 0600, not 0640)", f"{shop.plain}: differs (content)"]
    }


def test_guarded_files_are_hashes(shop: Shop) -> None:
    """A file that not everybody may read is compared, and nobody reads it in the record."""
    path = shop.root / "key"
    path.write_text("sesame\n")
    path.chmod(0o640)
    seen = config.survey(HOSTS, [str(path)])
    cells = compare(seen)
    assert {cell.verdict for cell in cells} == {"same"}
    assert seen.guarded == {str(path)}
    assert "sesame" not in str(seen)
    assert "shown as keyed hashes" in config.tables.summary(cells, seen)


def test_hosts_with_the_same_oddity_are_shown_once() -> None:
    """Fifty hosts with the same wrong file are one difference."""
    cells = compare(survey(A, A, A, B, B))
    assert [cell.host for cell in apart(cells)] == ["h4"]
    assert len(config.tables.oddities(cells)) == 2


def test_environments_side_by_side(shop: Shop) -> None:
    """Sources are compared as they are written; variables are expected to differ."""
    shop.write("shop/staging/variables.yaml", "port: 9090\n")
    shop.write("shop/staging/plain.conf", "of staging\n")
    one, other = shop.open(), shop.open("staging")
    rows = config.environments_beside(one, other)
    assert [(row.same, row.other) for row in rows] == [
        (True, "configs/shop/common/site.conf"), (False, "configs/shop/staging/plain.conf"),
    ]  # fmt: skip
    assert "+of staging" in config.tables.beside_text(rows)
    assert config.variables_beside(one, other).to_numpy().tolist() == [["port", "8080", "9090"]]
    assert config.environments_beside(one, None) == []


def test_tables_and_picture_hold_any_names() -> None:
    """Many hosts become rows; names with markup, controls and formulas are drawn as they are."""
    odd = "$x$\x1b[31m<b>"
    found = {f"/{odd}": {f"h{n}{odd}": Found(state=A if n else B) for n in range(9)}}
    cells = compare(Survey(found=found))
    assert list(config.tables.matrix(cells).columns) == ["file", "host", "is"]
    assert len(config.tables.groups(cells)) == 2
    figure = config.tables.picture(cells)
    figure.canvas.draw()
    assert len(figure.axes[0].texts) == 9


def unix_socket(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


KINDS = {
    "a link": (lambda p: p.symlink_to("/etc/hostname"), "symbolic link"),
    "a directory": (lambda p: p.mkdir(), "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a socket": (unix_socket, "not a regular file"),
    "two names": (lambda p: ((p.parent / "other").write_text("x"), p.hardlink_to(p.parent / "other")), "2 names"),
    "binary": (lambda p: p.write_bytes(b"a\0b"), "binary"),
    "not UTF-8": (lambda p: p.write_bytes(b"\xff"), "not UTF-8"),
    "too large": (lambda p: p.write_bytes(b"x" * 262145), "larger than 262144"),
    "a file for a directory": (lambda p: p.parent.joinpath("g").write_text("x"), ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_path_that_cannot_be_taken_does_not_hide_the_others(tmp_path: Path, kind: str) -> None:
    """Each path has its state or its reason, in one round trip, whatever lies beside it."""
    make, reason = KINDS[kind]
    bad, good, last = tmp_path / "bad name;$(id)", tmp_path / "good", tmp_path / "z"
    make(bad)
    good.write_bytes("text ü\r\nno end".encode())
    last.write_text("")
    inside = tmp_path / "g" / "x"
    paths = [str(path) for path in (good, bad, inside, tmp_path / "none", tmp_path / "no" / "dir", last)]
    found = read("near1", paths)
    assert found[paths[0]].state == read_file(str(good), "near1", owned=True)
    assert reason in found[paths[1]].refused
    assert bool(found[paths[2]].refused) == (kind == "a file for a directory")
    assert (found[paths[3]].state, found[paths[3]].directory) == (None, True)
    assert (found[paths[4]].state, found[paths[4]].directory) == (None, False)
    assert found[paths[5]].state is not None
    assert {cell.verdict for cell in compare(config.survey(HOSTS, paths))} <= {*FINE, "refused"}


def test_there_is_something_to_compare() -> None:
    """No path and no service, or a path that is none, is refused before a host is asked."""
    with pytest.raises(UsageError, match="no file is named"):
        config.survey(HOSTS, [])
    with pytest.raises(UsageError, match="the path is"):
        config.survey(HOSTS, ["etc/hosts"])
    with pytest.raises(UsageError, match="at most 200"):
        config.survey(HOSTS, [f"/f{n}" for n in range(201)])
