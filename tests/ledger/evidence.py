"""What an auditor and a forger do with outputs/: look at it with a copy of verify.py, change it, sign it anew."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from opsnb.control.ledger import verify
from opsnb.control.ledger.note import Checkpoint, SigningKey
from opsnb.control.ledger.tree import leaf_hash, root

SOURCE = Path(verify.__file__)
PROVE = bool(os.environ.get("OPSNB_PROVE"))
ENTRIES, CHECKPOINT = "ledger/entries.jsonl", "ledger/checkpoint"
Edit = Callable[[list[bytes]], list[bytes]]


def auditor(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run verify.py as an auditor does: a copy of one's own, isolated, from somewhere else."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env}
    return subprocess.run(
        [sys.executable, "-I", str(SOURCE), *map(str, argv)], capture_output=True, text=True, env=environment,
        check=False, cwd="/", timeout=120,
    )  # fmt: skip


def plain(outputs: Path) -> list[Path]:
    """Return every file that is evidence, in a fixed order."""
    return sorted(p for p in outputs.rglob("*") if p.is_file() and ".incoming" not in p.parts)


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def edit_entries(outputs: Path, edit: Edit) -> None:
    """Change the lines of entries.jsonl."""
    path = outputs / ENTRIES
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def sign_anew(outputs: Path, key: SigningKey) -> None:
    """Sign whatever stands in entries.jsonl, as a forger who has a key does."""
    leaves = [leaf_hash(line) for line in (outputs / ENTRIES).read_bytes().splitlines()]
    text = Checkpoint(origin=key.verifier.name, size=len(leaves), root=root(leaves)).text
    (outputs / CHECKPOINT).write_bytes(key.sign(text))


def pack(outputs: Path, target: Path, extra: dict[str, bytes] | None = None) -> Path:
    """Zip a whole outputs/ with more members."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in plain(outputs):
            archive.write(path, path.relative_to(outputs).as_posix())
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return target
