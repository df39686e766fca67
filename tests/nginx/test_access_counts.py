"""Counts of access logs: equal to plain awk, the same in three awks, percentiles near the exact ones, memory flat."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nginx.accesslines import AWKS, BYTES, FORMATS, MINUTE, PATH, STATUS, command, format_of, one, oracle, peak, write
from opsnb.kits.nginx.access.answer import LogFile
from opsnb.kits.nginx.access.counts import ERROR
from opsnb.kits.nginx.access.script import PATHS, STEPS

LINES = 67_000  # of each of three formats
pytestmark = pytest.mark.slow
TOOK = {"shop": re.compile(r" rt=([0-9.]+) "), "json": re.compile(r'"took":([0-9.]+),')}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A log in each format."""
    folder = tmp_path_factory.mktemp("access")
    for number, name in enumerate(FORMATS):
        write(folder / f"{name}.log", name, LINES, seed=number, paths=1_500)
    return {name: folder / f"{name}.log" for name in FORMATS}


@pytest.fixture(scope="module")
def counted(logs: dict[str, Path]) -> dict[str, LogFile]:
    """What our program counted in each."""
    return {name: one(path, format_of(name)) for name, path in logs.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_sums_are_those_of_plain_awk(name: str, logs: dict[str, Path], counted: dict[str, LogFile]) -> None:
    """Lines, requests by status, bytes: all equal to an awk one-liner that was written for this format only."""
    file, path = counted[name], logs[name]
    assert (file.lines, file.counted, file.odd, file.outside, file.cut) == (LINES, LINES, 0, 0, 0)
    assert file.read == path.stat().st_size
    ours = Counter[str]()
    for (status, _), (requests, _, _) in file.status.items():
        ours[status] += requests
    assert ours == oracle(STATUS[name], path)
    assert {"bytes": file.series.total.bytes} == oracle(BYTES[name], path)
    assert file.series.total.requests == file.paths.total.requests == LINES
    assert file.series.total.bytes == file.paths.total.bytes
    errors = {s: n for s, n in ours.items() if s >= "400"}
    total = file.series.total
    assert {"404": total.client_errors, "499": total.gone, "502": total.server_errors} == errors


@pytest.mark.parametrize("name", FORMATS)
def test_paths_are_exact_as_long_as_they_fit(name: str, logs: dict[str, Path], counted: dict[str, LogFile]) -> None:
    """1,500 paths are fewer than are kept: each has its exact count, and nothing is in the others."""
    table = counted[name].paths
    assert {path: count.requests for path, count in table.rows.items()} == oracle(PATH[name], logs[name])
    assert (table.floor, table.others.requests) == (0, 0)
    assert all(count.missed == 0 for count in table.rows.values())


@pytest.mark.parametrize("name", FORMATS)
def test_the_series_is_that_of_plain_awk(name: str, logs: dict[str, Path], counted: dict[str, LogFile]) -> None:
    """Six hours are steps of a minute, each with as many requests as lines have that minute's text."""
    series = counted[name].series
    assert series.width == 60
    assert len(series.steps) <= STEPS
    form = "%Y-%m-%dT%H:%M" if name == "json" else "%d/%b/%Y:%H:%M"
    ours = {time.strftime(form, time.gmtime((step or 0) * 60)): count.requests for step, count in series.steps.items()}
    assert ours == oracle(MINUTE[name], logs[name])


@pytest.mark.parametrize("name", TOOK)
def test_percentiles_are_within_the_stated_error(name: str, logs: dict[str, Path], counted: dict[str, LogFile]) -> None:
    """p50, p90, p99, p99.9 against the exact ones of numpy: at most 3 % off; mean and maximum are exact."""
    text = logs[name].read_text()
    exact = np.array([round(float(found) * 1000) for found in TOOK[name].findall(text)])
    total = counted[name].series.total
    assert len(exact) == total.timed == LINES
    assert (total.most_ms, total.ms) == (exact.max(), exact.sum())
    for q in (0.5, 0.9, 0.99, 0.999):
        true = float(np.quantile(exact, q, method="inverted_cdf"))
        assert abs(total.quantile(q) - true) <= true * ERROR + 1e-9, (q, true, total.quantile(q))
    assert ERROR < 0.03


def test_each_try_of_an_upstream_counts(logs: dict[str, Path], counted: dict[str, LogFile]) -> None:
    """A list "0.010, 0.2" of two tries is one of each upstream, as plain awk counts them; times too."""
    program = r"""match($0,/ua="[^"]*"/) {k=split(substr($0,RSTART+4,RLENGTH-5),a,", "); for(i=1;i<=k;i++) n[a[i]]++}
    END{for(u in n) print u, n[u]}"""
    table = counted["shop"].upstreams
    assert {name: count.requests for name, count in table.rows.items()} == oracle(program, logs["shop"])
    assert table.rows["10.0.0.9:8000"].most_ms == 10
    assert table.rows["10.0.0.1:8000"].ms == round(
        1000 * oracle(r"""match($0,/urt="[^"]*"/) {t=substr($0,RSTART+5,RLENGTH-6); sub(/.*, /,"",t)}
        /10.0.0.1:8000"/ {n+=t} END{printf "sum %.3f\n", n}""", logs["shop"])["sum"])  # fmt: skip
    assert counted["shop"].cache == {"HIT": LINES // 3 + 1, "MISS": LINES // 3, "-": LINES // 3}
    assert {name: count.requests for name, count in counted["shop"].hosts.rows.items()} == {
        "shop.example.com": LINES // 2, "api.example.com": LINES // 2,
    }  # fmt: skip


@pytest.mark.parametrize("awk", AWKS)
def test_three_awks_say_the_same(awk: str, tmp_path: Path) -> None:
    """mawk, gawk and busybox awk: the same counts, series, histograms, tables, slowest requests, of 12,000 lines."""
    for name in FORMATS:
        write(tmp_path / f"{name}.log", name, 4_000, seed=9, paths=6_000)
        first = one(tmp_path / f"{name}.log", format_of(name), awk="mawk")
        other = one(tmp_path / f"{name}.log", format_of(name), awk=awk)
        assert other == first
    assert first.paths.floor == 0 or len(first.paths.rows) <= PATHS


def test_more_paths_than_are_kept(tmp_path: Path) -> None:
    """With 40,000 other paths among them: sums exact, every heavy path there, each within what it may have missed."""
    path = tmp_path / "many.log"
    write(path, "shop", 60_000, seed=5, paths=40_000)
    file = one(path, format_of("shop"))
    true = oracle(PATH["shop"], path)
    table = file.paths
    assert len(true) > 3 * PATHS
    assert len(table.rows) <= PATHS
    assert table.total.requests == 60_000
    assert table.total.bytes == file.series.total.bytes
    assert table.total.histogram == file.series.total.histogram
    assert 0 < table.floor <= 2 * 60_000 / PATHS
    for name, requests in true.items():
        if name in table.rows:
            assert table.rows[name].requests <= requests <= table.rows[name].requests + table.rows[name].missed
        else:
            assert requests <= table.floor, name
    heaviest = sorted(true, key=lambda name: -true[name])[:20]
    assert all(table.rows[name].requests == true[name] for name in heaviest), "the heavy ones are exact"


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """Four times the lines with ever new paths take at most half as much more memory, and less than 64 MiB."""
    sizes = []
    for lines in (30_000, 120_000):
        path = tmp_path / f"{lines}.log"
        write(path, "shop", lines, seed=2, paths=lines)
        sizes.append(peak(command([(str(path), format_of("shop"))], awk="mawk"), "mawk"))
    assert sizes[0] > 1_000
    assert sizes[1] < min(sizes[0] * 1.5, 64 * 1024), sizes
