"""Tampering with what the real program published and exported: every changed byte is found, and named first."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from ledger.evidence import plain
from prove.scene import PROVE, SEED, Scene, Tally, both_programs, contents, judged, unpacked

pytestmark = pytest.mark.slow
TRIALS = 2000 if PROVE else 60
EXPORT_TRIALS = 1000 if PROVE else 60
SAMPLE = 25 if PROVE else 60  # of so many trials one is judged by the real programs as well


def test_the_scene_is_intact(scene: Scene, tmp_path: Path) -> None:
    """Everything that is altered below is intact before: else a finding would prove nothing."""
    assert scene.verdicts == {
        "HST-001": "DONE", "plan": "PLANNED", "apply": "DONE", "undo": "DONE", "LOD-010": "DONE", "bad": "FAILED",
        "stopped": "ABORTED", "TST-022": "DONE",
    }  # fmt: skip
    outputs = scene.root / "outputs"
    for path in (outputs, *scene.exports, unpacked(scene.exports[0], tmp_path / "x")):
        assert both_programs(scene, path, key=scene.vkey) == (0, [])
    for head in scene.kept.values():
        assert both_programs(scene, outputs, head=head, key=scene.vkey) == (0, [])
    assert judged(scene, scene.middle / "outputs").exit_code == 0


def changed(chance: random.Random, path: Path) -> tuple[int, bytes, int]:
    """Change one byte of a file to another; return where, its former contents, and its line, from 0."""
    data = path.read_bytes()
    at = chance.randrange(len(data))
    new = bytearray(data)
    new[at] ^= chance.randrange(1, 256)
    path.write_bytes(new)
    return at, data, data.count(b"\n", 0, at)


def named(problems: list[str], name: str, line: int, data: bytes) -> bool:
    """Whether the first problem names the file, and where it names an entry the right one.

    That is the changed entry; or, where only the id in it was changed, the later entry of the same run that it now
    contradicts: a record without its finish. Which of the two is the wrong one nobody can tell from them alone.
    """
    entry = re.match(r"ledger/entries\.jsonl: entry (\d+) is", problems[0]) if problems else None
    if not problems or not problems[0].startswith(name):
        return False
    return entry is None or int(entry[1]) == line or contradicted(data.split(b"\n"), line, int(entry[1]))


def contradicted(lines: list[bytes], changed: int, found: int) -> bool:
    """Whether entry ``found`` records the run whose finish is entry ``changed``."""
    finish, record = json.loads(lines[changed]), json.loads(lines[found])
    return (finish["kind"], record["kind"]) == ("run.finished", "run.recorded") and finish["run"] == record["run"]


def every_byte(scene: Scene, folder: Path, trials: int, chance: random.Random, tally: Tally, kind: str) -> None:
    """Change single bytes of all files in turn, and look each time."""
    files = plain(folder)
    chance.shuffle(files)
    for number in range(max(trials, len(files))):
        path = files[number % len(files)]
        at, data, line = changed(chance, path)
        name = path.relative_to(folder).as_posix()
        report = judged(scene, folder)
        found = report.exit_code in {1, 2} and named(report.problems, name, line, data)
        tally.note(kind, f"{name} byte {at}: {report.problems[:1]}", found=found)
        assert found, f"{name} byte {at}, seed {SEED}, trial {number}: {report.exit_code} {report.problems}"
        if number % SAMPLE == 0:
            assert both_programs(scene, folder) == (report.exit_code, report.problems)
        path.write_bytes(data)
    assert judged(scene, folder).exit_code == 0


def test_any_byte_of_outputs(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """A single changed byte anywhere in outputs/ is altered; its file, or its entry, is named first."""
    chance = random.Random(SEED)  # noqa: S311 - a seeded sample, no secret
    every_byte(scene, scene.outputs(tmp_path), TRIALS, chance, tally, "a byte of a file in outputs/")


@pytest.mark.parametrize("number", [0, 1])
def test_any_byte_of_an_unpacked_export(scene: Scene, tmp_path: Path, tally: Tally, number: int) -> None:
    """A single changed byte in any file of an export is altered; its file is named first."""
    chance = random.Random(SEED + 1 + number)  # noqa: S311 - a seeded sample, no secret
    folder = unpacked(scene.exports[number], tmp_path / "export")
    every_byte(scene, folder, EXPORT_TRIALS // 2, chance, tally, "a byte of a file in an unpacked export")


@pytest.mark.parametrize("number", [0, 1])
def test_any_byte_of_a_zip(scene: Scene, tmp_path: Path, tally: Tally, number: int) -> None:
    """A single changed byte in the zip itself is found, unless all its files still read as they were: times, flags."""
    chance = random.Random(SEED + 3 + number)  # noqa: S311 - a seeded sample, no secret
    path = tmp_path / "export.zip"
    path.write_bytes(scene.exports[number].read_bytes())
    before = contents(path)
    for trial in range(EXPORT_TRIALS // 2):
        at, data, _ = changed(chance, path)
        report = judged(scene, path)
        same = contents(path) == before
        found = report.exit_code in {1, 2} and bool(report.problems)
        kind = "a byte of an export's zip" if found or not same else "a byte of a zip that no file's contents hang on"
        tally.note(kind, f"byte {at}: {report.problems[:1]}", found=found)
        assert found or same, f"byte {at}, seed {SEED + 3 + number}, trial {trial}: {report.problems}"
        if trial % SAMPLE == 0:
            assert both_programs(scene, path) == (report.exit_code, report.problems)
        path.write_bytes(data)
