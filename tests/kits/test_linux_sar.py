"""Saved files of sar: binary, sadf's JSON, and what is neither."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kits import answers
from opsnb.base.errors import UsageError
from opsnb.kits import linux
from opsnb.kits.linux import sar
from opsnb.runbook.show import _png

SADC = Path("/usr/lib/sysstat/sadc")
DAY = answers.DATA / "sadf" / "sysstat-10.1-centos-7-written.txt"


def day_text():
    """A day of sadf's JSON with one peak in it."""
    return DAY.read_text().split("=== expected")[0].split("=== input\n")[1]


@pytest.mark.slow
@pytest.mark.skipif(not (SADC.exists() and shutil.which("sadf")), reason="sysstat is not installed")
def test_a_binary_file_gives_the_same_day_as_its_json(tmp_path):
    """What sadc wrote is read by this machine's sadf; a name with a dash and a blank is a name."""
    saved = tmp_path / "-j sa 25;"
    subprocess.run([SADC, "-S", "XDISK", "1", "3", tmp_path / "sa"], check=True)
    (tmp_path / "sa").rename(saved)
    text = subprocess.run(
        ["sadf", "-j", str(saved), "--", "-u", "-q", "-n", "DEV"], check=True, capture_output=True
    ).stdout
    (tmp_path / "day.json").write_bytes(text)
    binary, written = linux.read_saved(saved), linux.read_saved(tmp_path / "day.json")
    assert len(binary.cpu) == 2
    assert binary.cpu.equals(written.cpu)
    assert binary.network.equals(written.network)


@pytest.mark.parametrize("content", [b"hello", b"{}", b'{"sysstat": {"hosts": []}}', b"{" * 100, b"\x00\xff" * 50, b""])
def test_a_file_that_is_none_of_sar_is_refused_with_what_was_found(tmp_path, content):
    """The message names the file or what stood in it, and what was wanted."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"notes\.txt|this is not what sadf -j prints"):
        linux.read_saved(path)


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path, monkeypatch):
    """Nothing endless is read into memory."""
    with pytest.raises(UsageError, match="No such file"):
        linux.read_saved(tmp_path / "sa99")
    (tmp_path / "big").write_bytes(b"x" * 2000)
    monkeypatch.setattr(sar, "MAX_FILE", 1000)
    with pytest.raises(UsageError, match="larger than"):
        linux.read_saved(tmp_path / "big")


def test_the_peak_of_the_day_is_a_notice_with_its_time():
    """A peak that is over is worth knowing, not urgent: eth0 crossed both marks at 00:10."""
    text = (
        (answers.DATA / "answer_triage" / "centos-7-written.txt")
        .read_text()
        .split("=== expected")[0]
        .split("=== answer\n")[1]
    )
    reading = linux.parse_capture(linux.taken_apart(answers.answer(text)))
    found = {f.what: (str(f.severity), f.value) for f in linux.findings(reading) if f.what.startswith("peak of today")}
    assert found == {
        "peak of today: CPU iowait": ("notice", 30.0),
        "peak of today: received packets on eth0": ("notice", 4500.25),
        "peak of today: received data on eth0": ("notice", 6000.5),
    }
    assert all("00:10:01 UTC" in f.why for f in linux.findings(reading) if f.what in found)


def test_a_day_is_drawn_with_any_number_of_samples_and_interfaces():
    """One sample, none of the network, and hostile names of interfaces all give a figure."""
    day = linux.parse_sadf(day_text())
    assert _png(linux.history_chart(day))
    document = json.loads(day_text())
    host = document["sysstat"]["hosts"][0]
    host["statistics"][0]["network"]["net-dev"] *= 9
    for number, row in enumerate(host["statistics"][0]["network"]["net-dev"]):
        row["iface"] = f"$x_{{{number}$\x1b媒"
    assert _png(linux.history_chart(linux.parse_sadf(json.dumps(document))))
    only = (
        (answers.DATA / "sadf" / "sysstat-12-only-cpu.txt").read_text().split("=== expected")[0].split("=== input\n")[1]
    )
    assert _png(linux.history_chart(linux.parse_sadf(only)))
