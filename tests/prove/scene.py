"""Evidence that the real program made: a workspace after a day's work, what an auditor kept of it, and who looks at it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from opsnb.base.workspace import Workspace
from opsnb.cli.main import cli
from opsnb.cli.workspace import make
from opsnb.control.ledger import verify
from places import OPSNB, ROOT, Place

PROVE = bool(os.environ.get("OPSNB_PROVE"))
SEED = 20261123
EXAMPLES = 4  # of what was not found, for each kind
LEAVES_FILES = (
    "import opsnb\nrun = opsnb.begin('TST-022')\n(run.files / 'a').mkdir()\n"
    "(run.files / 'a' / 'table.csv').write_text('x,y\\n1,2\\n')\n(run.files / 'note.txt').write_text('kept\\n')\nrun.finish()"
)
QUICK = lru_cache(4096)(verify.ed25519_verify)  # a pure function: thousands of trials show it the same signature
FRONT = "id: TST-022\ntitle: t\npromise: p\nrisk: read\nowner: o"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A closed workspace, copies of it from the middle of the day, and what the auditor took home."""

    root: Path
    middle: Path  # outputs/ and the state directory, as they were in the middle
    kept: dict[str, Path]  # the signed heads: "middle" and "end"
    vkey: str
    own: ModuleType  # the auditor's own copy of verify.py
    program: Path  # the same, as a file
    exports: list[Path]
    verdicts: dict[str, str]

    def outputs(self, at: Path, *, older: bool = False) -> Path:
        """Return a copy of outputs/."""
        return Path(shutil.copytree((self.middle if older else self.root) / "outputs", at / "outputs"))

    def workspace(self, at: Path) -> Place:
        """Return a copy of the whole workspace."""
        return Place(Path(shutil.copytree(self.root, at / "ws", symlinks=True)))


@dataclass
class Tally:
    """How many changes of each kind were tried, and which were not found."""

    tried: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def note(self, kind: str, what: str, *, found: bool) -> None:
        """Count one change."""
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if not found:
            self.missed.append(f"{kind}: {what}")

    def table(self) -> str:
        """Return what was counted, in Markdown."""
        examples: list[str] = []
        rows = ["| what was changed | trials | found | not found |", "|---|---|---|---|"]
        for kind, tried in self.tried.items():
            missed = [m for m in self.missed if m.startswith(f"{kind}: ")]
            rows.append(f"| {kind} | {tried:,} | {tried - len(missed):,} | {len(missed):,} |")
            examples += missed[:EXAMPLES]
        return "\n".join([*rows, "", *(f"- not found, {m}" for m in examples)])


def build(place: Place, aside: Path) -> Scene:
    """Work for a day in a fresh workspace: read, plan, apply, undo, fail, stop, leave files; keep heads; export."""
    aside.mkdir()
    make(place.root)
    place.settings()
    shutil.copytree(ROOT / "runbooks", place.root / "runbooks", dirs_exist_ok=True)
    place.add("bad", "raise ValueError('no')")
    place.add("long", "print('started', flush=True)\nimport time; time.sleep(600)")
    place.add("TST-022", LEAVES_FILES, front=FRONT)
    place.up()
    results = {"HST-001": place.json("run", "HST-001"), **_change(place)}
    middle = _middle(place, aside)
    results |= {"LOD-010": place.json("run", "LOD-010"), "bad": place.json("run", "runbooks/bad.ipynb")}
    results |= {"stopped": _stopped(place), "TST-022": place.json("run", "TST-022")}
    end = _head(place, aside / "end")
    exports = [_export(place, results[name]["run"], aside) for name in ("apply", "TST-022")]
    place.close()
    program = Path(shutil.copy(place.root / "outputs/ledger/verify.py", aside / "auditor.py"))
    vkey = (place.root / "outputs/ledger/vkey").read_text(encoding="ascii").strip()
    return Scene(
        root=place.root, middle=aside / "older", kept={"middle": middle, "end": end}, vkey=vkey, own=_load(program),
        program=program, exports=exports, verdicts={name: str(r["verdict"]) for name, r in results.items()},
    )  # fmt: skip


def _change(place: Place) -> dict[str, dict[str, Any]]:
    folder = place.root.parent / "notices"
    folder.mkdir()
    plan = place.json("run", "HST-020", "-p", f"directory={folder}")
    applied = place.json("run", "HST-020", "--mode", "apply", "--request", plan["request"])
    return {"plan": plan, "apply": applied, "undo": place.json("runs", "undo", applied["run"])}


def _stopped(place: Place) -> dict[str, Any]:
    run = place.submit("runbooks/long.ipynb")
    place.wait_cell(run, "started")
    return dict(place.json("runs", "stop", run))


def _middle(place: Place, aside: Path) -> Path:
    """Keep a head in the middle, and copies of outputs/ and the state directory as a backup makes them."""
    kept = _head(place, aside / "middle")
    older = aside / "older"
    shutil.copytree(place.root / "outputs", older / "outputs")
    shutil.copytree(place.workspace.state, older / ".opsnb", ignore=shutil.ignore_patterns("api.sock", "opsnb.db*"))
    with sqlite3.connect(place.workspace.database) as live, sqlite3.connect(older / ".opsnb/opsnb.db") as copy:
        live.backup(copy)
    live.close()
    copy.close()
    return kept


def _head(place: Place, path: Path) -> Path:
    done = place.opsnb("audit", "checkpoint")
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout, encoding="utf-8")
    return path


def _export(place: Place, run: str, aside: Path) -> Path:
    path = aside / f"{run}.zip"
    done = place.opsnb("audit", "export", run, "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("auditor", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _quicken(module)
    return module


def _quicken(module: ModuleType) -> None:
    """Do not wait for a ledger that nobody writes; judge the same signature once, as thousands of trials show it."""
    module.GRACE = 0.0  # type: ignore[attr-defined]
    module.ed25519_verify = lru_cache(4096)(module.ed25519_verify)  # type: ignore[attr-defined]


# -- who looks ---------------------------------------------------------------------------------------------------------


def judged(scene: Scene, path: Path, **given: Any) -> Any:
    """Return what the auditor's copy says; ``opsnb audit verify`` (its code, in this process) says the same."""
    report = scene.own.verify_path(str(path), **{name: str(value) for name, value in given.items()})
    argv = [a for name, value in given.items() for a in (f"--{name}", str(value))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "GRACE", 0.0)
        patch.setattr(verify, "ed25519_verify", QUICK)
        done = CliRunner().invoke(cli, ["audit", "verify", str(path), "--json", *argv], standalone_mode=False)
    said = json.loads(done.stdout)
    assert (said["exit_code"], said["problems"]) == (report.exit_code, report.problems)
    assert done.return_value == report.exit_code
    return report


def both_programs(scene: Scene, path: Path, **given: Any) -> tuple[int, list[str]]:
    """Run the auditor's program, isolated, and ``opsnb audit verify``; return what both say."""
    argv = [str(path), "--json", *(a for name, value in given.items() for a in (f"--{name}", str(value)))]
    done = [
        subprocess.run([*program, *argv], capture_output=True, text=True, check=False, cwd=path.parent, timeout=120)
        for program in ([sys.executable, "-I", str(scene.program)], [str(OPSNB), "audit", "verify"])
    ]
    said = [json.loads(d.stdout) for d in done]
    assert said[0] == said[1]
    assert done[0].returncode == done[1].returncode == said[0]["exit_code"], [d.stderr for d in done]
    return done[0].returncode, said[0]["problems"]


def unpacked(path: Path, at: Path) -> Path:
    """Unpack an export."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(at)
    return at


def contents(path: Path) -> dict[str, bytes] | None:
    """Return the files of a zip as another program reads them; nothing when it cannot."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return None


def altered_database(state: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the database as whoever has the file can: no check, no trigger of ours is asked."""
    connection = sqlite3.connect(Workspace(state.parent).database)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    with connection:
        change(connection)
    connection.close()
