"""Tampering that knows what it does: entries, notes, folders, whole histories; against what the auditor kept."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.evidence import CHECKPOINT, ENTRIES, Edit, edit_entries, plain, sign_anew
from opsnb.base.canonical import sha256
from opsnb.control.ledger.note import SigningKey
from prove.scene import Scene, Tally, both_programs, judged, unpacked

pytestmark = pytest.mark.slow
AT = 9  # the entry that is changed
FOREIGN = SigningKey.generate("test")  # of the ledger's own name
Forgery = Callable[[Path], str]


def true_key(scene: Scene) -> SigningKey:
    """Return the ledger's own key, stolen."""
    return SigningKey.from_text((scene.root / ".opsnb/keys/ledger.key").read_text(encoding="ascii").strip())


def found(scene: Scene, outputs: Path, tally: Tally, what: str, first: str, **given: object) -> None:
    """Assert that outputs/ is altered and what is named first; count it."""
    report = judged(scene, outputs, **given)
    good = report.exit_code == 1 and bool(report.problems) and report.problems[0].startswith(first)
    tally.note("entries, notes, folders and whole histories", f"{what}: {report.problems[:2]}", found=good)
    assert good, (what, report.exit_code, report.problems[:3])


# -- entries -----------------------------------------------------------------------------------------------------------


def _swap(rows: list[bytes]) -> list[bytes]:
    return [*rows[:AT], rows[AT + 1], rows[AT], *rows[AT + 2 :]]


def _insert(rows: list[bytes]) -> list[bytes]:
    row = json.loads(rows[AT]) | {"kind": "run.stopped", "by": "p-9", "run": "r-9", "index": AT}
    return [*rows[:AT], json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n", *rows[AT:]]


def _renumbered(rows: list[bytes]) -> list[bytes]:
    """Drop one and number the others anew: every line is well formed and in its place."""
    rest = [json.loads(r) for n, r in enumerate(rows) if n != AT]
    again = [json.dumps({**r, "index": n}, sort_keys=True, separators=(",", ":")) for n, r in enumerate(rest)]
    return [line.encode() + b"\n" for line in again]


EDITS: dict[str, tuple[Edit, int | None]] = {  # the change, and the entry that is named
    "first dropped": (lambda rows: rows[1:], 0),
    "dropped": (lambda rows: rows[:AT] + rows[AT + 1 :], AT),
    "last dropped": (lambda rows: rows[:-1], None),
    "dropped, the others renumbered": (_renumbered, None),
    "swapped": (_swap, AT),
    "duplicated": (lambda rows: [*rows[: AT + 1], *rows[AT:]], AT + 1),
    "last duplicated": (lambda rows: [*rows, rows[-1]], -1),
    "inserted": (_insert, AT + 1),
    "truncated in the middle": (lambda rows: [*rows[:AT], rows[AT][:20] + b"\n", *rows[AT + 1 :]], AT),
    "the file cut within a line": (lambda rows: [*rows[:AT], rows[AT][:20]], AT),
    "the file cut at a line": (lambda rows: rows[:AT], None),
    "emptied": (lambda _: [], None),
}


@pytest.mark.parametrize("resigned", [False, True], ids=["", "signed by a foreigner"])
@pytest.mark.parametrize("name", EDITS)
def test_changed_entries(scene: Scene, tmp_path: Path, tally: Tally, name: str, *, resigned: bool) -> None:
    """Dropped, swapped, duplicated, inserted, cut: the first bad entry is named; a foreign signature is named before."""
    outputs = scene.outputs(tmp_path)
    edit, entry = EDITS[name]
    size = len((outputs / ENTRIES).read_bytes().splitlines())
    edit_entries(outputs, edit)
    first = ENTRIES if entry is None else f"{ENTRIES}: entry {entry % size if entry >= 0 else size} is"
    if resigned:
        sign_anew(outputs, FOREIGN)
    found(scene, outputs, tally, name, CHECKPOINT if resigned else first)
    if resigned:  # and with the key that would fit the forged note
        (outputs / "ledger/vkey").write_text(FOREIGN.verifier.text + "\n", encoding="ascii")
        found(scene, outputs, tally, f"{name}, vkey too", CHECKPOINT, key=scene.vkey)
        found(scene, outputs, tally, f"{name}, vkey too, without the true key", "" if name == "emptied" else "ledger/")


# -- the note ----------------------------------------------------------------------------------------------------------


def _signed_by(key: SigningKey, note: bytes) -> bytes:
    return key.sign(note.partition(b"\n\n")[0].decode() + "\n")


def _hash_of_ours(scene: Scene, note: bytes) -> bytes:
    """A foreign signature under the true key's name and hash."""
    raw = base64.b64decode(_signed_by(FOREIGN, note).rsplit(b" ", 1)[1])
    ours = bytes.fromhex(scene.vkey.split("+")[1])
    return note.rpartition(b" ")[0] + b" " + base64.b64encode(ours + raw[4:]) + b"\n"


NOTES: dict[str, Callable[[Scene, bytes], bytes]] = {
    "signed by a foreigner": lambda _, note: _signed_by(FOREIGN, note),
    "a foreign signature under our key's hash": _hash_of_ours,
    "signed by another name": lambda _, note: _signed_by(SigningKey.generate("other"), note),
    "no signature line": lambda _, note: note.partition(b"\n\n")[0] + b"\n\n",
    "text alone": lambda _, note: note.partition(b"\n\n")[0] + b"\n",
    "another origin": lambda _, note: note.replace(b"test\n", b"best\n", 1),
    "another origin, signed with the true key": lambda s, note: true_key(s).sign(
        "best\n" + note.partition(b"\n\n")[0].decode().partition("\n")[2] + "\n"
    ),
    "another size": lambda _, note: note.replace(b"\n", b"\n1", 1),
    "empty": lambda _, __: b"",
    "an older one, entries as they are now": lambda s, _: (s.middle / "outputs" / CHECKPOINT).read_bytes(),
}


@pytest.mark.parametrize("name", NOTES)
def test_changed_note(scene: Scene, tmp_path: Path, tally: Tally, name: str) -> None:
    """A checkpoint that is unsigned, foreign or of another origin is named; as the kept head it is refused too."""
    outputs = scene.outputs(tmp_path)
    path = outputs / CHECKPOINT
    forged = NOTES[name](scene, path.read_bytes())
    path.write_bytes(forged)
    if name.startswith("an older"):  # it is our own, and covers less: runs since then have nothing to vouch for them
        found(scene, outputs, tally, name, "")
        found(scene, outputs, tally, f"{name}, against the head", "--head", head=scene.kept["end"], key=scene.vkey)
        return
    found(scene, outputs, tally, name, CHECKPOINT)
    found(scene, outputs, tally, f"{name}, with the key", CHECKPOINT, key=scene.vkey)
    whole = scene.root / "outputs"
    aside = tmp_path / "head"
    aside.write_bytes(forged)
    assert judged(scene, whole, head=aside, key=scene.vkey).exit_code in {1, 2}


# -- whole histories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["middle", "end"])
def test_history_rewritten_with_the_true_key(scene: Scene, tmp_path: Path, tally: Tally, head: str) -> None:
    """Who has the key can sign another history, which is intact in itself: any head kept since then finds it."""
    outputs = scene.outputs(tmp_path)
    edit_entries(outputs, lambda rows: [r.replace(b'"self":true', b'"self":false') for r in rows])
    sign_anew(outputs, true_key(scene))
    assert judged(scene, outputs, key=scene.vkey).exit_code == 0
    found(scene, outputs, tally, "rewritten", "--head: the first", head=scene.kept[head], key=scene.vkey)
    code, problems = both_programs(scene, outputs, head=scene.kept[head], key=scene.vkey)
    assert (code, problems[0][:6]) == (1, "--head")


def test_history_cut_back(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """An outputs/ of the middle is intact in itself, contains the middle's head, and not the end's."""
    outputs = scene.outputs(tmp_path, older=True)
    assert judged(scene, outputs, head=scene.kept["middle"], key=scene.vkey).exit_code == 0
    found(scene, outputs, tally, "older outputs/", "--head", head=scene.kept["end"], key=scene.vkey)


def test_a_forged_ledger(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """A ledger signed anew by a foreigner, its key covered by its own entries: the key and the head both find it."""
    outputs = scene.outputs(tmp_path)
    old, new = (scene.root / "outputs/ledger/vkey").read_bytes(), FOREIGN.verifier.text.encode() + b"\n"
    (outputs / "ledger/vkey").write_bytes(new)
    digests = [sha256(d).encode() for d in (old, new)]
    edit_entries(outputs, lambda rows: [r.replace(*digests) for r in rows])
    sign_anew(outputs, FOREIGN)
    assert judged(scene, outputs).exit_code == 0
    found(scene, outputs, tally, "forged, against the key", CHECKPOINT, key=scene.vkey)
    found(scene, outputs, tally, "forged, against the head", "--head", head=scene.kept["middle"])


# -- folders and files -------------------------------------------------------------------------------------------------


def runs_of(outputs: Path) -> list[Path]:
    """Return the folders of all records in the ledger's order; their names alone do not tell it within a second."""
    entries = [json.loads(line) for line in (outputs / ENTRIES).read_bytes().splitlines()]
    return [outputs / entry["path"] for entry in entries if entry["kind"] == "run.recorded"]


def _replaced(outputs: Path) -> str:
    one, other = runs_of(outputs)[:2]
    shutil.rmtree(one)
    shutil.copytree(other, one)
    return (one / "manifest.json").relative_to(outputs).as_posix()


def _exchanged(outputs: Path) -> str:
    one, other = runs_of(outputs)[2:4]
    one.rename(outputs / "aside")
    other.rename(one)
    (outputs / "aside").rename(other)
    return (one / "manifest.json").relative_to(outputs).as_posix()


def _page_of_another(outputs: Path) -> str:
    one, other = runs_of(outputs)[:2]
    shutil.copy(other / "run.html", one / "run.html")
    return (one / "run.html").relative_to(outputs).as_posix()


def _run_removed(outputs: Path) -> str:
    one = runs_of(outputs)[1]
    shutil.rmtree(one)
    return (one / "manifest.json").relative_to(outputs).as_posix()


def _added(name: str) -> Forgery:
    def forge(outputs: Path) -> str:
        path = (runs_of(outputs)[0] if name.startswith("RUN/") else outputs) / name.removeprefix("RUN/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return path.relative_to(outputs).as_posix()

    return forge


def _own(name: str, data: bytes) -> Forgery:
    def forge(outputs: Path) -> str:
        (outputs / name).write_bytes(data)
        return name

    return forge


def _weaker_program(outputs: Path) -> str:
    path = outputs / "ledger/verify.py"
    path.write_bytes(path.read_bytes().replace(b"self.ok, self.exit_code = False,", b"self.ok, self.exit_code = True,"))
    return "ledger/verify.py"


FORGERIES: dict[str, Forgery] = {
    "a record replaced by another run's": _replaced,
    "two records exchanged": _exchanged,
    "a page of another run": _page_of_another,
    "a record removed": _run_removed,
    "a file added beside a record": _added("RUN/extra.html"),
    "a file added to a run's files": _added("RUN/files/extra"),
    "a record added": _added("2026/01/01/20260101-000000-aaaaa/run.html"),
    "a page added at the top": _added("index.html"),
    "a hidden file added": _added(".hidden"),
    "verify.py that always says intact": _weaker_program,
    "verify.py emptied": _own("ledger/verify.py", b""),
    "another key": _own("ledger/vkey", FOREIGN.verifier.text.encode() + b"\n"),
    "no key": _own("ledger/vkey", b"garbage\n"),
    "another README": _own("ledger/README.txt", b"trust us\n"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_changed_folders(scene: Scene, tmp_path: Path, tally: Tally, name: str) -> None:
    """Whatever is replaced, exchanged, removed or added is named first; another key makes the checkpoint foreign."""
    outputs = scene.outputs(tmp_path)
    where = FORGERIES[name](outputs)
    first = CHECKPOINT if name == "another key" else where
    found(scene, outputs, tally, name, first)
    if name in {"another key", "no key"}:  # an auditor who has the key sees which file was replaced
        found(scene, outputs, tally, f"{name}, with the key", where, key=scene.vkey)


@pytest.mark.parametrize("export", [False, True], ids=["outputs", "export"])
@pytest.mark.parametrize("how", ["removed", "link", "emptied", "longer"])
def test_each_file(scene: Scene, tmp_path: Path, tally: Tally, how: str, *, export: bool) -> None:
    """Each file removed, replaced by a link to the same bytes, emptied or made longer is found and named."""
    place = unpacked(scene.exports[1], tmp_path / "export") if export else scene.outputs(tmp_path)
    for path in plain(place):
        name, aside, data = path.relative_to(place).as_posix(), tmp_path / "same", path.read_bytes()
        aside.write_bytes(data)
        path.unlink()
        if how == "link":
            path.symlink_to(aside)
        elif how != "removed":
            path.write_bytes(b"" if how == "emptied" else data + b"\0")
        first = (
            "ledger/entries.jsonl" if name == "ledger/proof.json" and how == "removed" else name
        )  # no export any more
        alone = export and how == "removed" and name in {"ledger/README.txt", "ledger/verify.py"}  # left out on purpose
        if not alone:
            found(scene, place, tally, f"{name} {how}", first)
        path.unlink(missing_ok=True)
        path.write_bytes(data)


def test_a_folder_that_is_a_link(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """A record's folder that leads elsewhere, to the right bytes, is altered."""
    outputs = scene.outputs(tmp_path)
    run = runs_of(outputs)[0]
    run.rename(tmp_path / "elsewhere")
    run.symlink_to(tmp_path / "elsewhere")
    found(scene, outputs, tally, "a folder that is a link", run.relative_to(outputs).as_posix())


def test_an_export_of_another_history(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """An export whose checkpoint, proofs or record come from the other export is altered."""
    one, other = (unpacked(path, tmp_path / str(n)) for n, path in enumerate(scene.exports))
    for name in ("ledger/proof.json", CHECKPOINT):
        mine = (one / name).read_bytes()
        theirs = (other / name).read_bytes()
        if mine == theirs:  # both were exported at the same head
            theirs = _signed_by(FOREIGN, mine)
        (one / name).write_bytes(theirs)
        found(scene, one, tally, f"{name} of another export", "")
        (one / name).write_bytes(mine)
    assert judged(scene, one, key=scene.vkey).exit_code == 0
