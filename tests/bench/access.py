"""Access logs: counts against plain awk, memory and time beside goaccess. Run: ``python tests/bench/access.py LINES``.

Root for nothing. LINES (500,000; the proof wants 5,000,000) are a third in each of three formats; memory is measured on a
log with ever new paths, a tenth as long and as long. Times are ratios of the same run on the same file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from nginx.accesslines import AWKS, BYTES, FORMATS, MINUTE, PATH, STATUS, command, format_of, one, oracle, peak, write
from opsnb.kits.nginx.access.answer import LogFile, parse_answer

PLAIN = {  # each does less than ours: what it does is said
    "plain awk: requests by status": """BEGIN{FS="\\""} {split($3,a," "); n[a[1]]++} END{for(s in n) print s, n[s]}""",
    "plain awk: requests by path": """{split($6,a,"?"); n[a[1]]++} END{for(p in n) print p, n[p]}""",
}
GOACCESS = ['--log-format=%h [%d:%t %^] %v "%r" %s %b rt=%T urt="%^" ua="%^" cs=%^', "--date-format=%d/%b/%Y",
            "--time-format=%T", "--no-global-config", "--no-progress"]  # fmt: skip


def equal(folder: Path, lines: int) -> None:
    """Count all formats and compare with plain awk; stop at the first difference."""
    for number, name in enumerate(FORMATS):
        path = folder / f"{name}.log"
        write(path, name, lines // 3, seed=number, paths=1_500)
        started = time.monotonic()
        file = one(path, format_of(name), seconds=3000)
        took = time.monotonic() - started
        figures = compared(file, name, path)
        print(f"{name}: {file.counted:,} lines, {path.stat().st_size / 1e6:,.0f} MB in {took:.1f} s: {figures} equal")


def compared(file: LogFile, name: str, path: Path) -> str:
    """Compare a file's counts with plain awk's; return how many figures are equal."""
    statuses = Counter[str]()
    for (status, _), (requests, _, _) in file.status.items():
        statuses[status] += requests
    form = "%Y-%m-%dT%H:%M" if name == "json" else "%d/%b/%Y:%H:%M"
    minutes = {time.strftime(form, time.gmtime((s or 0) * 60)): c.requests for s, c in file.series.steps.items()}
    paths = {name: count.requests for name, count in file.paths.rows.items()}
    pairs = [(statuses, STATUS), ({"bytes": file.series.total.bytes}, BYTES), (paths, PATH), (minutes, MINUTE)]
    for ours, program in pairs:
        theirs = oracle(program[name], path)
        if ours != theirs:
            raise SystemExit(f"{name}: {dict(list(ours.items())[:5])} is not {dict(list(theirs.items())[:5])}")
    return f"{sum(len(ours) for ours, _ in pairs):,} counts"


def memory(folder: Path, lines: int) -> Path:
    """Print the peak memory of both programs on a log and on one ten times as long; return the longer one."""
    for count in (lines // 10, lines):
        path = folder / f"new-{count}.log"
        write(path, "shop", count, seed=3, paths=count // 5)
        ours = command([(str(path), format_of("shop"))], awk="mawk", seconds=3000)
        awk = peak(ours, "mawk")
        other = peak(["goaccess", str(path), *GOACCESS, "-o", str(folder / "out.json")], "goaccess")
        answer = subprocess.run(ours, capture_output=True, check=True).stdout
        parse_answer(answer, [format_of("shop").escape])
        print(f"{count:,} lines, {count // 5:,} paths: awk {awk / 1024:.1f} MiB, its answer {len(answer) / 2**20:.2f} MiB;"
              f" goaccess {other / 1024:.1f} MiB")  # fmt: skip
    return path


def speed(folder: Path, path: Path, lines: int) -> None:
    """Print how long each takes, as a ratio to ours with mawk."""
    made = [(str(path), format_of("shop"))]
    runs: dict[str, list[str]] = {
        f"opsnb, {awk}: everything of NGX-002": command(made, awk=awk, seconds=3000) for awk in AWKS
    }
    runs["goaccess: all its panels, as JSON"] = ["goaccess", str(path), *GOACCESS, "-o", str(folder / "out.json")]
    runs |= {f"{what} (mawk)": ["mawk", program, str(path)] for what, program in PLAIN.items()}
    first = 0.0
    for what, argv in runs.items():
        before = os.times()
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = os.times()
        took = after.children_user + after.children_system - before.children_user - before.children_system
        first = first or took
        print(f"{took / first:6.2f}  {took:7.1f} s of processor, {took / lines * 1e6:5.1f} us a line  {what}")


def main() -> None:
    """Print the figures."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        equal(folder, lines)
        longest = memory(folder, lines)
        speed(folder, longest, lines)


if __name__ == "__main__":
    main()
