"""Logs as they lie there: rotated, packed, growing, renamed meanwhile, cut off, full of garbage, not readable, too long."""

from __future__ import annotations

import bz2
import contextlib
import datetime as dt
import gzip
import hashlib
import http.client
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearby import RunOfNames
from nginx.accesslines import AWKS, START, command, format_of, one, scanned, write
from nginx.tiers import Nginx
from opsnb import fleet
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.access.answer import UNREAD, parse_answer
from opsnb.kits.nginx.access.formats import COMBINED, Format, parse_format
from opsnb.kits.nginx.access.logs import Log, checked, named_logs, with_rotated
from opsnb.kits.nginx.access.scanning import scan
from opsnb.kits.nginx.access.traffic import traffic
from opsnb.kits.nginx.access.window import Window, window
from places import wait_for
from ports import quiet_ports

pytestmark = pytest.mark.slow
SIMPLE = parse_format('[$time_local] "$request" $status $bytes_sent $request_time')


def line(second: int = 0, *, zone: str = "+0000", path: str = "/", hour: int = 9) -> str:
    """Return one line of 2026-11-26."""
    at = f"{hour:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f'[26/Nov/2026:{at} {zone}] "GET {path} HTTP/1.1" 200 10 0.010\n'


def test_rotated_and_packed_files_are_read_once_each(tmp_path: Path) -> None:
    """A log with .1, .2.gz, .3.bz2 and a hard link and a symbolic link to one of them: each file counts once."""
    (tmp_path / "a.log").write_text(line() * 3)
    (tmp_path / "a.log.1").write_text(line() * 5)
    (tmp_path / "a.log.2.gz").write_bytes(gzip.compress(line().encode() * 7))
    (tmp_path / "a.log.3.bz2").write_bytes(bz2.compress(line().encode() * 11))
    (tmp_path / "a.log-link").symlink_to(tmp_path / "a.log")
    os.link(tmp_path / "a.log.1", tmp_path / "a.log-hard")
    logs = with_rotated(named_logs([str(tmp_path / "a.log")], SIMPLE_TEXT))
    answer = scanned([(log.pattern, log.format) for log in logs])
    assert sorted(file.counted for file in answer.files) == [3, 5, 7, 11]
    assert answer.unread == []
    assert answer.total >= sum(f.stat().st_size for f in tmp_path.iterdir() if not f.is_symlink()) - 5 * len(line())


SIMPLE_TEXT = '[$time_local] "$request" $status $bytes_sent $request_time'


def test_a_packed_file_that_is_damaged_is_counted_and_named(tmp_path: Path) -> None:
    """What came out of a torn gzip file counts, and the file is named as not read to its end."""
    lines = "".join(line(i, path=f"/{hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()}") for i in range(3000))
    packed = gzip.compress(lines.encode())
    (tmp_path / "x.log.gz").write_bytes(packed[: len(packed) // 2])
    file = one(tmp_path / "x.log.gz", SIMPLE)
    assert file.broken
    assert 100 < file.counted < 3000


@pytest.mark.parametrize("awk", AWKS)
def test_the_last_line_without_an_end_is_left_for_later(awk: str, tmp_path: Path) -> None:
    """Nginx is writing it: it is neither counted nor called odd, and the bytes say that it was seen."""
    (tmp_path / "x.log").write_text(line() * 2 + line()[:30])
    file = one(tmp_path / "x.log", SIMPLE, awk=awk)
    assert (file.lines, file.counted, file.odd, file.cut) == (2, 2, 0, 1)
    assert file.read == (tmp_path / "x.log").stat().st_size


@pytest.mark.parametrize("awk", AWKS)
def test_garbage_is_counted_apart_and_does_no_harm(awk: str, tmp_path: Path) -> None:
    """NUL, invalid UTF-8, carriage returns, an empty line, 64 KiB lines that fit and that do not: each line is one line."""
    rows = [
        line().encode(), b"\0\0\0\n", b"\xff\xfe\x00garbage\n", b"\n", b"\r\n", line().encode()[:20] + b"\0" + line().encode()[20:],
        line(path="/" + "y" * 65_536).encode(), b"z" * 70_000 + b"\n", line().encode(), b"%s%n%d $(id) `id`\n",
    ]  # fmt: skip
    (tmp_path / "x.log").write_bytes(b"".join(rows))
    file = one(tmp_path / "x.log", SIMPLE, awk=awk)
    assert (file.lines, file.counted, file.odd, file.cut) == (10, 3, 7, 0)
    assert file.read == sum(map(len, rows))
    assert len(file.samples) == 5
    assert all(len(sample) <= 300 for sample in file.samples)
    assert {len(name) for name in file.paths.rows} == {1, 515}


def test_a_log_that_grows_meanwhile_is_read_as_far_as_it_was(tmp_path: Path) -> None:
    """Half a line after the other is written while it is read: whole lines count, the half one is left for later."""
    path, said = tmp_path / "x.log", tmp_path / "said"
    write(path, "shop", 60_000)
    size = path.stat().st_size
    with said.open("wb") as out, path.open("a") as growing:
        process = subprocess.Popen(command([(str(path), format_of("shop"))], awk="mawk"), stdout=out)
        while process.poll() is None:
            growing.write('10.0.0.1 [26/Nov/2025:01:00:00 +0000] half "GET /gr')
            growing.flush()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
    assert process.returncode == 0
    assert path.stat().st_size > size
    [file] = parse_answer(said.read_bytes(), [format_of("shop").escape]).files
    assert (file.lines, file.counted, file.odd) == (60_000, 60_000, 0)
    assert file.read == file.size


def renaming(folder: Path, words: str) -> str:
    """Return an awk that does something to the logs when it is started, and then counts."""
    script = folder / "awk-that-moves"
    script.write_text(f'#!/bin/sh\n{words}\nexec mawk "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_a_log_that_is_rotated_meanwhile_is_counted_once(tmp_path: Path) -> None:
    """While the first file is read, all are renamed by one and a new one begins: each inode counts once, none is lost."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text(line() * 3)
    (folder / "a.log.1").write_text(line() * 5)
    (folder / "a.log.2").write_text(line() * 7)
    moves = (f"cd {folder}; [ -e moved ] || {{ touch moved; mv a.log.2 a.log.3; mv a.log.1 a.log.2; mv a.log a.log.1;"
             f" : > a.log; }}")  # fmt: skip
    pairs = [(f"{folder}/a.log", SIMPLE), (f"{folder}/a.log.*", SIMPLE)]
    answer = scanned(pairs, awk=renaming(tmp_path, moves))
    assert sorted(file.counted for file in answer.files) == [3, 5, 7]
    assert answer.unread == []


def test_a_log_that_is_renamed_between_listing_and_opening_is_found_by_its_inode(tmp_path: Path) -> None:
    """Files of one pattern are listed at once; those that move while the first is read are found under new names."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for number, times in ((1, 3), (2, 5), (3, 7)):
        (folder / f"a.log.{number}").write_text(line() * times)
    moves = f"cd {folder}; [ -e moved ] || {{ touch moved; mv a.log.3 a.log.4; mv a.log.2 a.log.3; }}"
    answer = scanned([(f"{folder}/a.log.[0-9]", SIMPLE)], awk=renaming(tmp_path, moves))
    assert [file.counted for file in answer.files] == [3, 5, 7]
    assert answer.unread == []


def test_a_log_that_is_packed_or_removed_meanwhile_is_named(tmp_path: Path) -> None:
    """What has another inode by the time that it would be read is said to have vanished; it is not passed over."""
    (tmp_path / "a.log.1").write_text(line() * 3)
    (tmp_path / "a.log.2").write_text(line() * 5)
    awk = renaming(tmp_path, f"rm -f {tmp_path}/a.log.2")
    answer = scanned([(f"{tmp_path}/a.log.*", SIMPLE)], awk=awk)
    assert [file.counted for file in answer.files] == [3]
    assert [(Path(name).name, why) for _, name, why in answer.unread] == [("a.log.2", UNREAD["vanished"])]


@pytest.mark.parametrize(("since", "until", "counted"), [
    ("", "", 600),
    ("2026-11-26 09:05", "", 300),
    ("2026-11-26 09:05", "2026-11-26 09:06", 60),
    ("", "2026-11-26 09:00:01", 1),
    ("2026-11-26T01:05:00Z", "", 300),
    ("2026-11-26T09:05:00+08:00", "2026-11-26T09:05:30+08:00", 30),
    ("2026-11-26T09:05:00+00:00", "", 0),
    ("2026-11-27", "", 0),
])  # fmt: skip
def test_a_window_is_by_the_logs_own_times(since: str, until: str, counted: int, tmp_path: Path) -> None:
    """09:05 is what stands in the line, whatever its zone; with a zone it is that moment. The rest is counted as outside."""
    (tmp_path / "x.log").write_text("".join(line(second, zone="+0800") for second in range(600)))
    os.utime(tmp_path / "x.log", (4_000_000_000,) * 2)  # as if it were written until long after
    file = one(tmp_path / "x.log", SIMPLE, window(since, until))
    assert (file.counted, file.outside, file.odd) == (counted, 600 - counted, 0)


def test_the_last_minutes_are_by_the_hosts_clock(tmp_path: Path) -> None:
    """Of lines 0 to 119 minutes old, in a zone far away, the last 30 minutes; `$msec` too. An old file is not even opened."""
    now = dt.datetime.now(dt.timezone(dt.timedelta(hours=-7)))
    times = [now - dt.timedelta(minutes=minutes, seconds=20) for minutes in range(120)][::-1]
    (tmp_path / "x.log").write_text("".join(f'[{t:%d/%b/%Y:%H:%M:%S %z}] "GET / HTTP/1.1" 200 1 0.1\n' for t in times))
    assert one(tmp_path / "x.log", SIMPLE, Window(minutes=30)).counted == 30
    (tmp_path / "y.log").write_text("".join(f"{t.timestamp():.3f} 200\n" for t in times))
    assert one(tmp_path / "y.log", parse_format("$msec $status"), Window(minutes=30)).counted == 30
    os.utime(tmp_path / "x.log", (time.time() - 7200,) * 2)
    answer = scanned([(str(tmp_path / "x.log"), SIMPLE)], Window(minutes=30))
    assert answer.files == []
    assert [(name, why.split(" before")[0]) for _, name, why in answer.unread] == [
        (str(tmp_path / "x.log"), "was written last")
    ]  # fmt: skip


@pytest.mark.parametrize("awk", ["mawk", "busybox awk"])
def test_the_beginning_of_a_window_is_sought_in_a_long_log(awk: str, tmp_path: Path) -> None:
    """Of six hours the last 20 minutes: exactly the lines of that time, though most of the file was never read."""
    path = tmp_path / "long.log"
    write(path, "shop", 90_000, hours=6)
    since = START + 6 * 3600 - 1200
    for wanted in (Window(since=since), Window(since=since, wall=True), Window(since=since, until=since + 60)):
        file = one(path, format_of("shop"), wanted, awk=awk)
        assert file.counted == 90_000 * ((wanted.until or since + 1200) - since) // (6 * 3600)
        assert (file.odd, file.cut) == (0, 0)
        assert file.lines == file.counted + file.outside < 90_000 / 4
        assert file.before > path.stat().st_size * 0.7
        assert file.before + file.read == path.stat().st_size
        assert file.first == since


def test_a_long_log_of_garbage_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Where no time can be found in the middle, nothing is passed over."""
    path = tmp_path / "long.log"
    write(path, "shop", 20_000, hours=6)
    with path.open("ab") as out:
        out.write(b"garbage\n" * 2_000_000)
        out.write(path.read_bytes()[:1_000_000].rpartition(b"\n")[0] + b"\n")
    os.utime(path, (4_000_000_000,) * 2)
    file = one(path, format_of("shop"), Window(since=START + 6 * 3600 - 60))
    assert (file.before, file.odd) == (0, 2_000_000)


def test_time_that_is_over_says_what_was_read(tmp_path: Path) -> None:
    """A scan that may take no time stops at a line, says how far it came, and names the files that it did not come to."""
    write(tmp_path / "a.log", "shop", 120_000)
    (tmp_path / "b.log").write_text(line())
    pairs = [(str(tmp_path / "a.log"), format_of("shop")), (str(tmp_path / "b.log"), SIMPLE)]
    slow = renaming(tmp_path, "while [ $(date +%s) -lt $OPSNB_DEADLINE ]; do sleep 0.05; done")
    answer = scanned(pairs, awk=slow, seconds=3)
    assert answer.whole
    [file] = answer.files
    assert file.stopped
    assert file.counted == file.lines == 50_000
    assert 0 < file.read < file.size
    assert file.series.total.requests == 50_000
    assert [(Path(name).name, why) for _, name, why in answer.unread] == [
        ("b.log", "was not come to in the time that was given")
    ]  # fmt: skip


def test_what_is_no_log(tmp_path: Path) -> None:
    """A pattern without a file, a pipe, a directory: named, not counted, not waited for."""
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "folder.log").mkdir()
    answer = scanned([(str(tmp_path / "*.log"), SIMPLE), (str(tmp_path / "none*"), SIMPLE), ("/dev/null", SIMPLE)])
    assert answer.files == []
    assert answer.none == [1]
    assert sorted(Path(name).name for _, name, _ in answer.unread) == ["folder.log", "null", "pipe.log"]


NAMES = ["a b.log", "$(touch hurt).log", "`touch hurt`.log", "-n.log", "';touch hurt;'.log", "new\nline.log", "é\\.log",
         "*.log", "{print}.log"]  # fmt: skip


def test_names_of_files_are_data(tmp_path: Path) -> None:
    """Files with the names of commands, options, patterns are read; a line break in a name is shown as ?."""
    for name in NAMES:
        (tmp_path / name).write_text(line())
    answer = scanned([(str(tmp_path / "*.log"), SIMPLE)])
    assert sorted(Path(file.name).name for file in answer.files) == sorted(n.replace("\n", "?") for n in NAMES)
    assert not (tmp_path / "hurt").exists()
    assert not Path("hurt").exists()


HOSTILE = [
    '"; system("touch {hurt}"); x="', "\\", "\\\\n", "\\042", '/ { system("touch {hurt}") } /', "$(touch {hurt})",
    "`touch {hurt}`", "';touch {hurt};'", "&", "%s%n", "^[a-z]*$", "(", "[", "*", "\t", "}}", "#", '@include "x"', "\u2028",
    'BEGIN{{system("id")}}', "*/", "-v x=1", "é",
]  # fmt: skip


@pytest.mark.parametrize("awk", AWKS)
def test_text_of_a_format_is_data(awk: str, tmp_path: Path) -> None:
    """Programs, patterns, escapes of awk and shell as the text between variables: matched as they are, never run."""
    hurt = tmp_path / "hurt"
    for number, text in enumerate(HOSTILE):
        words = text.replace("{hurt}", str(hurt)).replace("{{", "{").replace("}}", "}")
        made = format_with(words)
        if made is None:
            continue
        path = tmp_path / f"{number}.log"
        path.write_text(f"{words}200{words}0.010{words}\nother\n", encoding="utf-8")
        file = one(path, made, awk=awk)
        assert (file.counted, file.odd, file.series.total.ms) == (1, 1, 10), words
    assert not hurt.exists()


def format_with(words: str) -> Format | None:
    """Return a format with words between its variables; nothing where it is refused."""
    try:
        return parse_format(f"{words}${{status}}{words}${{request_time}}{words}")
    except UsageError:
        assert "$" in words
        return None


def test_hostile_patterns_are_refused_or_match_nothing(tmp_path: Path) -> None:
    """A pattern is a path: no command in it is run, no option, and what is no absolute path is refused."""
    hurt = tmp_path / "hurt"
    for text in (
        "$(touch {})",
        "`touch {}`",
        "; touch {};",
        "' ; touch {} ; '",
        "-x",
        "| touch {}",
        "$HOME",
        "~",
        "a\nb",
        "\0",
    ):
        pattern = "/nowhere/" + text.format(hurt)
        try:
            answer = scanned([(checked(pattern), SIMPLE)])
        except UsageError:
            assert "\n" in text or "\0" in text
            continue
        assert answer.none == [0]
    for text in ("relative", "", "/", "-", "/x\0", "\ud800", "/" + "x" * 5000):
        with pytest.raises(UsageError):
            checked(text)
    assert not hurt.exists()


@pytest.fixture
def hosts() -> fleet.Fleet:
    """This machine under three names."""
    return fleet.of(RunOfNames())


def test_counts_of_hosts_add_up_and_progress_is_told(hosts: fleet.Fleet, tmp_path: Path) -> None:
    """Three hosts with the same log: three times its requests, histograms too; bytes done grow to bytes in all."""
    write(tmp_path / "x.log", "shop", 55_000)
    told: list[tuple[int, int, str]] = []
    seen = traffic(hosts, window=Window(), logs=[str(tmp_path / "x.log")], format=FORMAT,
                   progress=lambda *row: told.append(row))  # fmt: skip
    alone = one(tmp_path / "x.log", parse_format(FORMAT)).series.total
    assert seen.failed == {}
    assert seen.total.requests == 3 * alone.requests == 165_000
    assert seen.total.bytes == 3 * alone.bytes
    assert seen.total.quantile(0.99) == alone.quantile(0.99)
    assert seen.total.histogram == Counter({b: 3 * n for b, n in alone.histogram.items()})
    size = (tmp_path / "x.log").stat().st_size
    assert told[-1][:2] == (3 * size, 3 * size)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert all(done <= total for done, total, _ in told)


FORMAT = ('$remote_addr [$time_local] $host "$request" $status $bytes_sent rt=$request_time urt="$upstream_response_time"'
          ' ua="$upstream_addr" cs=$upstream_cache_status')  # fmt: skip


def test_a_host_by_its_name(hosts: fleet.Fleet, tmp_path: Path) -> None:
    """`scan` counts on the host that is named."""
    (tmp_path / "x.log").write_text(line() * 4)
    found = scan(next(iter(hosts)), [Log(pattern=str(tmp_path / "x.log"), format=SIMPLE)], Window())
    assert [file.counted for file in found.files] == [4]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A real nginx."""
    server = Nginx(tmp_path / "nginx")
    yield server
    server.stop()


@pytest.mark.parametrize("escape", ["default", "json", "none"])
def test_lines_of_the_real_nginx(nginx: Nginx, escape: str, hosts: fleet.Fleet) -> None:
    """Every request that nginx answered, with quotes, backslashes, Unicode, garbage and retries, is counted as it was sent.

    The format is read from its configuration.
    """
    port, dead = quiet_ports(2)
    text = ('$remote_addr - $remote_user [$time_local] $host "$request" $status $bytes_sent "$http_user_agent" '
            "$request_time $upstream_addr $upstream_status $upstream_response_time")  # fmt: skip
    log = nginx.root / "all.log"
    nginx.add(
        "all.conf",
        f"""log_format all escape={escape} '{text[:40]}' '{text[40:]}';
        upstream two {{ server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{port} max_fails=0; }}
        server {{ listen 127.0.0.1:{port}; server_name one.example; access_log {log} all;
          location / {{ return 200 "well"; }} location /gone {{ return 404; }} location /up {{ proxy_pass http://two/; }} }}
        """,
    )
    nginx.start()
    for agent in (
        'say "hello"' if escape != "none" else "say",
        "back\\slash",
        "trailing\\",
        "Zürich".encode().decode("latin-1"),
    ):
        ask(port, "/a%20b?x=1", agent)
    ask(port, "/gone/17", "plain")
    ask(port, "/up", "plain")
    ask(port, "/up", "plain")
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        raw.settimeout(5)
        while raw.recv(4096):
            pass
    inner = 2  # the proxied requests come to the same server
    wait_for(lambda: log.read_bytes().count(b"\n") == 4 + 1 + 2 + inner + 1, 10)
    seen = traffic(hosts, window=Window(), conf=str(nginx.conf), normalise=False)
    node = seen.nodes["near1"]
    assert [file.name for file in node.files] == [str(log)]
    garbage = 0 if escape != "none" else node.odd
    assert node.odd == garbage
    assert node.total.requests == 10 - garbage
    status = Counter[str]()
    for (code, _), (requests, _, _) in node.files[0].status.items():
        status[code] += requests
    assert status == Counter({"200": 8, "404": 1, **({} if garbage else {"400": 1})})
    paths = {name: count.requests for name, count in node.files[0].paths.rows.items()}
    assert paths["/a%20b"] == 4
    assert paths["/gone/17"] == 1
    assert paths["/up"] == 2
    tries = {name: count.requests for name, count in node.files[0].upstreams.rows.items()}
    assert tries[f"127.0.0.1:{port}"] == 2
    assert tries.get(f"127.0.0.1:{dead}", 0) >= 1, "a try that failed is a try"


def ask(port: int, path: str, agent: str) -> None:
    """Send one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"User-Agent": agent, "Host": "one.example"})
    connection.getresponse().read()
    connection.close()


def test_a_format_is_wanted_with_logs_only(hosts: fleet.Fleet) -> None:
    """A format without logs is a mistake that is said, not passed over."""
    with pytest.raises(UsageError, match="no logs to read"):
        traffic(hosts, window=Window(), format=COMBINED)
