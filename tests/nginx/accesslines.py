"""Access logs to test with: seeded lines in three formats, and what counts them as a host does."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsnb.kits.nginx.access.answer import Answer, LogFile, parse_answer
from opsnb.kits.nginx.access.formats import COMBINED, Format, parse_format
from opsnb.kits.nginx.access.script import COUNT, SCAN
from opsnb.kits.nginx.access.window import Window

AWKS = ("mawk", "gawk", "busybox awk")
START = 1_764_115_200  # 2025-11-26 00:00:00 UTC
FORMATS = {
    "combined": COMBINED,
    "shop": (
        '$remote_addr [$time_local] $host "$request" $status $bytes_sent rt=$request_time urt="$upstream_response_time"'
        ' ua="$upstream_addr" cs=$upstream_cache_status'
    ),
    "json": (
        '{"time":"$time_iso8601","host":"$host","method":"$request_method","uri":"$request_uri","status":$status,'
        '"bytes":$body_bytes_sent,"took":$request_time,"upstream":"$upstream_addr","agent":"$http_user_agent"}'
    ),
}
ESCAPES = {"json": "json"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
# Plain awk, written for these three formats and nothing else: fields by quotes and blanks.
STATUS = {
    "combined": """BEGIN{FS="\\""} {split($3,a," "); n[a[1]]++} END{for(s in n) print s, n[s]}""",
    "shop": """BEGIN{FS="\\""} {split($3,a," "); n[a[1]]++} END{for(s in n) print s, n[s]}""",
    "json": """{match($0,/"status":[0-9]+/); n[substr($0,RSTART+9,RLENGTH-9)]++} END{for(s in n) print s, n[s]}""",
}
BYTES = {
    "combined": """BEGIN{FS="\\""} {split($3,a," "); n+=a[2]} END{printf "bytes %d\\n", n}""",
    "shop": """BEGIN{FS="\\""} {split($3,a," "); n+=a[2]} END{printf "bytes %d\\n", n}""",
    "json": """{match($0,/"bytes":[0-9]+/); n+=substr($0,RSTART+8,RLENGTH-8)} END{printf "bytes %d\\n", n}""",
}
PATH = {
    "combined": """{split($7,a,"?"); n[a[1]]++} END{for(p in n) print p, n[p]}""",
    "shop": """{split($6,a,"?"); n[a[1]]++} END{for(p in n) print p, n[p]}""",
    "json": """BEGIN{FS="\\""} {split($16,a,"?"); n[a[1]]++} END{for(p in n) print p, n[p]}""",
}
MINUTE = {
    "combined": """{n[substr($4,2,17)]++} END{for(m in n) print m, n[m]}""",
    "shop": """{n[substr($2,2,17)]++} END{for(m in n) print m, n[m]}""",
    "json": """{n[substr($0,10,16)]++} END{for(m in n) print m, n[m]}""",
}
BLOCK = 100_000  # lines that are chosen at a time


def format_of(name: str) -> Format:
    """Return one of the formats."""
    return parse_format(FORMATS[name], name, ESCAPES.get(name, "default"))


def write(path: Path, name: str, lines: int, *, seed: int = 1, paths: int = 5_000, hours: float = 6.0) -> None:
    """Write a log: an hour's pattern of paths, statuses, times; the same for the same seed."""
    chosen = random.Random(seed)  # noqa: S311  (a log to test with)
    names = [f"/shop/{'abcdefgh'[i % 8]}/page{i}" for i in range(paths)]
    weights = [1 / (i + 3) for i in range(paths)]
    with path.open("w", encoding="utf-8") as out:
        for begin in range(0, lines, BLOCK):
            count = min(BLOCK, lines - begin)
            rows = _rows(chosen, names, weights, count)
            for number, row in enumerate(rows, begin):
                out.write(_line(name, START + int(number * hours * 3600 / lines), number, row))


def _rows(chosen: random.Random, names: list[str], weights: list[float], count: int) -> Any:
    statuses = chosen.choices((200, 200, 304, 404, 499, 502), (80, 10, 5, 3, 1, 1), k=count)
    asked = chosen.choices(names, weights, k=count)
    times = (min(90.0, chosen.lognormvariate(-3, 1.3)) for _ in range(count))
    sizes = (chosen.randrange(200_000) for _ in range(count))
    return zip(statuses, asked, times, sizes, strict=True)


def _line(name: str, at: int, number: int, row: tuple[int, str, float, int]) -> str:
    status, path, took, size = row
    client, up = f"10.{number % 251}.{number % 13}.7", f"10.0.0.{number % 3 + 1}:8000"
    moment = _stamp(at)
    if name == "combined":
        return f'{client} - - [{moment}] "GET {path}?n={number} HTTP/1.1" {status} {size} "-" "{AGENT}"\n'
    if name == "shop":
        tries = f"0.010, {took:.3f}", f"10.0.0.9:8000, {up}"
        urt, ua = tries if number % 50 == 0 else (f"{took:.3f}", up)
        host = ("shop.example.com", "api.example.com")[number % 2]
        return (f'{client} [{moment}] {host} "GET {path}?n={number} HTTP/2.0" {status} {size} rt={took:.3f}'
                f' urt="{urt}" ua="{ua}" cs={("HIT", "MISS", "-")[number % 3]}\n')  # fmt: skip
    iso = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at))
    return (f'{{"time":"{iso}","host":"shop.example.com","method":"POST","uri":"{path}?n={number}","status":{status},'
            f'"bytes":{size},"took":{took:.3f},"upstream":"{up}","agent":"say \\"{number % 7}\\""}}\n')  # fmt: skip


_LAST: list[Any] = [0, ""]


def _stamp(at: int) -> str:
    if _LAST[0] != at:
        _LAST[:] = at, time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
    return str(_LAST[1])


def command(
    pairs: Sequence[tuple[str, Format]], window: Window | None = None, *, awk: str = "", normalise: bool = False,
    seconds: int = 300,
) -> list[str]:  # fmt: skip
    """Return what a host runs to count."""
    at = window or Window()
    bounds = ["" if value is None else str(value) for value in (at.since, at.until)]
    words = [word for pattern, made in pairs for word in (pattern, made.compiled())]
    return ["/bin/sh", "-c", SCAN, "opsnb", awk, COUNT, str(seconds), *bounds, str(int(at.wall)), str(at.minutes),
            str(int(normalise)), *words]  # fmt: skip


def scanned(pairs: Sequence[tuple[str, Format]], window: Window | None = None, **options: Any) -> Answer:
    """Count logs as a host does."""
    done = subprocess.run(command(pairs, window, **options), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return parse_answer(done.stdout, [made.escape for _, made in pairs])


def one(path: Path, made: Format, window: Window | None = None, **options: Any) -> LogFile:
    """Count one file."""
    answer = scanned([(str(path), made)], window, **options)
    assert answer.whole
    assert len(answer.files) == 1, (answer.unread, answer.none)
    return answer.files[0]


def oracle(program: str, path: Path, *options: str) -> dict[str, float]:
    """Return what a plain awk program prints: name and number a line."""
    done = subprocess.run(["gawk", *options, program, str(path)], capture_output=True, text=True, check=True)
    found: dict[str, float] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.rpartition(" ")
        found[name] = float(value)
    return found


def peak(argv: list[str], name: str) -> int:
    """Run a command and return the largest resident size of its processes of one name, in KiB."""
    found = [0]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)

    def watch() -> None:
        while process.poll() is None:
            found[0] = max(
                found[0], *(_resident(entry, name) for entry in [str(process.pid), *_children(process.pid)]), 0
            )
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdout
    with process.stdout:
        process.stdout.read()
    assert process.wait() == 0
    watcher.join()
    return found[0]


def _children(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [*text.split(), *(grandchild for child in text.split() for grandchild in _children(int(child)))]


def _resident(pid: str, name: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found: Any = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found.group(1)) if found and f"Name:\t{name}\n" in status else 0
