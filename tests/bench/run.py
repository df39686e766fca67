"""The figures, each a ratio in one run: medians of interleaved pairs, written to docs/evidence/bench.md.

Usage: python tests/bench/run.py [--quick] [--only NAME] [--lab PYTHON]   (--lab: a Python with jupyterlab beside opsnb)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
from opsnb.cli.workspace import make  # noqa: E402
from places import OPSNB, Place, notebook  # noqa: E402  (the path above makes it importable)

CELLS = (
    "import pandas as pd\nimport matplotlib.pyplot as plt",
    "a = pd.DataFrame({'x': range(200), 'y': [i * i for i in range(200)]})\na.head(20)",
    "a.describe()",
    "fig, ax = plt.subplots()\nax.plot(a.x, a.y)\nplt.show()",
    "len(a)",
)
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


class Table:
    """The results, printed as they come and kept."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []

    def add(self, what: str, found: str, ratio: str, wanted: str) -> None:
        """Add one figure."""
        self.rows.append((what, found, ratio, wanted))
        print(f"{what}: {found}  ratio {ratio}  (wanted {wanted})", flush=True)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        head = "| what | measured | ratio | wanted |\n|---|---|---|---|\n"
        return head + "".join(f"| {' | '.join(row)} |\n" for row in self.rows)


def timed(argv: list[str], *, must: bool = True, **options: object) -> float:
    """Run a program to its end and return the seconds."""
    started = time.perf_counter()
    done = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0 or not must, done.stderr[-2000:]
    return time.perf_counter() - started


def interleaved(trials: int, *what: Callable[[], float]) -> list[float]:
    """Return the median of each, trial by trial in turns."""
    rows = [[f() for f in what] for _ in range(trials)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


@contextmanager
def served(workers: int = 2) -> Iterator[Place]:
    """A workspace with the notebook of the benchmark, served by `opsnb up`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "ws")
        make(place.root)
        place.settings(workers=workers)
        (place.root / "runbooks" / "bench.ipynb").write_bytes(notebook(*CELLS))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        place.up()
        place.end(place.submit("runbooks/bench.ipynb"))
        try:
            yield place
        finally:
            place.close()


def run_against_floor(table: Table, trials: int) -> None:
    """`opsnb run` against a running `opsnb up` ÷ the floor."""
    floor = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/bench/floor.py"), json.dumps(CELLS)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    )  # fmt: skip
    assert floor.stdin
    assert floor.stdout
    tell, hear = floor.stdin, floor.stdout

    def shell() -> float:
        time.sleep(0.5)  # both sides start from rest: kernels ahead of need are ready again
        tell.write("go\n")
        tell.flush()
        return float(hear.readline())

    with served() as place:

        def ours() -> float:
            time.sleep(0.5)
            return timed([str(OPSNB), "run", "runbooks/bench.ipynb", "--json"], cwd=place.root)

        a, b = interleaved(trials, ours, shell)
    floor.kill()
    floor.wait()
    table.add("`opsnb run` with `opsnb up` ÷ forked IPython shell", f"{a:.3f} s ÷ {b:.3f} s", f"{a / b:.2f}×", "≤ 2×")


def run_against_tools(table: Table, trials: int, python: str) -> None:
    """Papermill CLI + nbconvert CLI ÷ `opsnb run`."""
    binaries = Path(python).absolute().parent
    lab = subprocess.run([python, "-c", "import jupyterlab"], capture_output=True, check=False).returncode == 0
    with served() as place, tempfile.TemporaryDirectory() as folder:

        def tools() -> float:
            out = f"{folder}/o.ipynb"
            source = str(place.root / "runbooks/bench.ipynb")
            first = timed([str(binaries / "papermill"), "--no-progress-bar", source, out])
            return first + timed([str(binaries / "jupyter-nbconvert"), "--to", "html", out])

        def ours() -> float:
            time.sleep(0.5)
            return timed([str(binaries / "opsnb"), "run", "runbooks/bench.ipynb", "--json"], cwd=place.root)

        a, b = interleaved(trials, tools, ours)
    wanted, name = ("≥ 18×", "beside jupyterlab") if lab else ("≥ 9×", "without jupyterlab")
    table.add(f"papermill + nbconvert CLI ÷ `opsnb run`, {name}", f"{a:.2f} s ÷ {b:.3f} s", f"{a / b:.1f}×", wanted)


def many(table: Table, count: int) -> None:
    """Runs in bulk: two papermill processes at a time ÷ `opsnb up` with two workers."""
    with served(2) as place, tempfile.TemporaryDirectory() as folder:
        source = str(place.root / "runbooks/bench.ipynb")
        papermill = str(OPSNB.with_name("papermill"))
        numbers = iter(range(count))

        def worker() -> None:
            for n in numbers:
                timed([papermill, "--no-progress-bar", source, f"{folder}/{n}.ipynb"])

        started = time.perf_counter()
        threads = [threading.Thread(target=worker) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        theirs = time.perf_counter() - started
        started = time.perf_counter()
        for run in [place.submit("runbooks/bench.ipynb") for _ in range(count)]:
            assert place.end(run)["verdict"] == "DONE"
        ours = time.perf_counter() - started
    table.add(
        f"{count} runs: two papermill at a time ÷ two workers",
        f"{theirs:.1f} s ÷ {ours:.1f} s",
        f"{theirs / ours:.1f}×",
        "≥ 6×",
    )


def first_cell(table: Table, count: int) -> None:
    """Submit to first cell running, warm."""
    with served() as place:
        seconds = []
        for _ in range(count):
            time.sleep(0.4)
            started = time.perf_counter()
            run = place.submit("runbooks/bench.ipynb")
            for event in place.client.events(run):
                if event["ev"] == "cell":
                    seconds.append(time.perf_counter() - started)
                    break
            place.end(run)
    p50, p99 = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.99)]
    table.add(
        "submit to first cell running, warm", f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms", "-", "50 ms, 200 ms"
    )


def help_text(table: Table, trials: int) -> None:
    """`opsnb --help` ÷ `python -c pass`."""
    a, b = interleaved(trials, lambda: timed([str(OPSNB), "--help"]), lambda: timed([sys.executable, "-c", "pass"]))
    table.add("`opsnb --help` ÷ `python -c pass`", f"{a * 1000:.0f} ms ÷ {b * 1000:.0f} ms", f"{a / b:.1f}×", "≤ 6×")


def memory(table: Table) -> None:
    """What one more idle kernel with pandas adds to all that runs, cold ÷ forked (PSS; a fork with its supervisor)."""
    a, b = _cold_kernel(), _forked_kernel()
    table.add(
        "one more idle kernel with pandas, PSS, cold ÷ forked", f"{a:.0f} MiB ÷ {b:.0f} MiB", f"{a / b:.1f}×", "≥ 3×"
    )


def _cold_kernel() -> float:
    from jupyter_client.manager import start_new_kernel

    pids, kernels, totals = [], [], []
    for count in (2, 6):
        while len(kernels) < count:
            manager, client = start_new_kernel(kernel_name="python3")
            client.execute_interactive("import pandas, matplotlib.pyplot", timeout=60)
            kernels.append((manager, client))
            pids.append(manager.provisioner.pid)
        totals.append(sum(map(_pss, pids)))
    for manager, client in kernels:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return (totals[1] - totals[0]) / 4


def _forked_kernel() -> float:
    from opsnb.control.runs.launcher import Launcher

    reads = (sys.prefix, sys.base_prefix, str(ROOT))
    launcher = Launcher(scratch=Path(tempfile.gettempdir()), reads=reads, fork=True, toolkit=lambda: "")
    launched, pids, totals = [], [], []
    for count in (2, 6):
        while len(launched) < count:
            launched.append(launcher.launch())
            message = launched[-1].control.next()
            assert message
            pids += [message["pid"], message["kernel"]]
        totals.append(sum(map(_pss, [*pids, launcher.zygote_pid()])))
    for each in launched:
        each.control.close()
    launcher.close()
    return (totals[1] - totals[0]) / 4


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.split("\nPss:")[1].split()[0]) / 1024


def ledger(table: Table, sizes: tuple[int, int]) -> None:
    """Appending, and verify.py at two sizes."""
    from opsnb.control.database import Database
    from opsnb.control.ledger.events import RunStopped
    from opsnb.control.ledger.publish import publish, site_event
    from opsnb.control.ledger.signer import Signer
    from opsnb.control.ledger.store import append, open_ledger

    seconds: dict[int, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "outputs").mkdir()
            database, signer = Database(root / "opsnb.db"), Signer.open(root, "bench")
            with database.transaction() as connection:
                open_ledger(connection, "bench")
                event = site_event(connection, signer)
                assert event
                append(connection, event)
                for n in range(size - 2):
                    append(connection, RunStopped(run=f"r{n}", by="u"))
            with database.transaction() as connection:
                publish(connection, signer, root / "outputs")
            script = root / "outputs/ledger/verify.py"
            seconds[size] = timed([sys.executable, "-I", str(script), str(root / "outputs")])
            if size == sizes[0]:
                _append(table, database)
            database.close()
    small, large = seconds[sizes[0]], seconds[sizes[1]]
    table.add(
        f"verify.py, {sizes[1]:,} ÷ {sizes[0]:,} entries", f"{large:.2f} s ÷ {small:.2f} s", f"{large / small:.1f}×",
        "≤ 12×, large < 15 s",
    )  # fmt: skip


def _append(table: Table, database: object) -> None:
    from opsnb.control.ledger.events import RunStopped
    from opsnb.control.ledger.store import append

    times = []
    for n in range(300):
        started = time.perf_counter()
        with database.transaction() as connection:  # type: ignore[attr-defined]
            append(connection, RunStopped(run=f"x{n}", by="u"))
        times.append(time.perf_counter() - started)
    p50, p99 = statistics.median(times) * 1000, sorted(times)[296] * 1000
    table.add("ledger: one append, committed", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms", "-", "as measured")


def flood(table: Table, lines: int) -> None:
    """A cell with many flushed prints: none lost; time against stock nbclient."""
    code = f"for i in range({lines}):\n    print(i, flush=True)"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flood.ipynb"
        path.write_bytes(notebook(code))
        found = {}
        for engine in ("nbclient", "opsnb"):
            out = Path(folder) / f"{engine}.ipynb"
            papermill = str(OPSNB.with_name("papermill"))
            argv = [papermill, "--no-progress-bar", "--engine", engine, str(path), str(out)]
            seconds = timed(argv, must=engine == "opsnb")  # the stock engine may give up waiting for output
            outputs = json.loads(out.read_bytes())["cells"][0]["outputs"]
            text = "".join("".join(o.get("text", "")) for o in outputs)
            found[engine] = (seconds, len(text.split()))
    (a, kept), (b, ours) = found["nbclient"], found["opsnb"]
    assert ours == lines
    table.add(
        f"{lines:,} flushed prints: stock engine ÷ ours", f"{a:.1f} s ({kept:,} arrived) ÷ {b:.1f} s ({ours:,} arrived)",
        f"{a / b:.1f}×", "none lost",
    )  # fmt: skip


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer trials")
    parser.add_argument("--only", default="")
    parser.add_argument("--lab", default="", help="a Python that has jupyterlab and opsnb")
    options = parser.parse_args()
    quick, table = options.quick, Table()
    figures: dict[str, Callable[[], None]] = {
        "floor": lambda: run_against_floor(table, 5 if quick else 15),
        "tools": lambda: run_against_tools(table, 2 if quick else 5, sys.executable),
        "lab": lambda: run_against_tools(table, 2 if quick else 5, options.lab) if options.lab else None,
        "many": lambda: many(table, 10 if quick else 100),
        "first": lambda: first_cell(table, 20 if quick else 100),
        "help": lambda: help_text(table, 11 if quick else 31),
        "memory": lambda: memory(table),
        "ledger": lambda: ledger(table, (1_000, 10_000) if quick else (10_000, 100_000)),
        "flood": lambda: flood(table, 20_000 if quick else 200_000),
    }
    for name, figure in figures.items():
        if options.only in {"", name}:
            figure()
    if not options.only and not quick:
        write(table)


def write(table: Table) -> None:
    """Write docs/evidence/bench.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    load = os.getloadavg()[0]
    text = (
        f"# Benchmarks\n\nMeasured {now} at commit {commit.stdout.strip()}: Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, bytecode compiled, load {load:.1f} at the end, "
        f"medians of interleaved pairs. `make bench` writes this page.\n\n{table.markdown()}\n"
        f"Peak memory of a measured child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB.\n"
    )
    (ROOT / "docs" / "evidence" / "bench.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
