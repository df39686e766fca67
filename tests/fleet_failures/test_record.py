"""What stays of a command on three hosts of which one is lost: the program's answer, its exit code, and the record."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from networks import Networks
from places import OPSNB, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces want root")]

# web3 fails at once; the others say that they have begun, work until they may end, and say that they have ended.
WORK = (
    'case "$(hostname)" in web3) exit 3;; esac; echo begun >/var/tmp/mark; '
    "while [ ! -e /var/tmp/go ]; do sleep 0.05; done; echo done"
)
SCRAP = "application/scrapbook.scrap.json+json"


@pytest.mark.parametrize(("way", "status"), [("before", "unreachable"), ("during", "unknown")])
def test_the_record_says_what_is_known(namespaces: Networks, way: str, status: str) -> None:
    """`opsnb exec` answers ok, failed and unreachable or unknown, ends with 1, and the record verifies and says so."""
    for name in namespaces.names:
        namespaces.inside(name, "rm", "-f", "/var/tmp/mark", "/var/tmp/go")
    if way == "before":
        namespaces.unplug("web2")
    argv = [str(OPSNB), "exec", "all", "--seconds", "4", "--json", "--", "sh", "-c", WORK]
    process = subprocess.Popen(argv, cwd=namespaces.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if way == "during":
            marked = "test -e /var/tmp/mark && echo yes || true"
            wait_for(lambda: namespaces.inside("web2", "sh", "-c", marked) == "yes\n", 60, process)
            namespaces.unplug("web2")
        for name in ("web1", "web2"):  # also the lost one: it would answer if it were not lost
            namespaces.inside(name, "touch", "/var/tmp/go")
        answer, said = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    value = json.loads(answer)
    assert {row["host"]: row["status"] for row in value["hosts"]} == {"web1": "ok", "web2": status, "web3": "failed"}, (
        said
    )
    assert process.returncode == 1
    rows = {row["host"]: row for row in value["hosts"]}
    assert (rows["web1"]["stdout"], rows["web3"]["exit"], rows["web2"]["exit"]) == ("done\n", 3, None)
    page = (namespaces.root / value["record"]).read_text(encoding="utf-8")
    assert status in page
    assert namespaces.verify().returncode == 0
    assert kept(namespaces.root / value["record"]) == {"web1": "ok", "web2": status, "web3": "failed"}


def kept(record: Path) -> dict[str, str]:
    """Return each host's status from the evidence in the executed notebook of a record."""
    notebook = json.loads((record.parent / "run.ipynb").read_bytes())
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    scraps = [data[SCRAP] for data in outputs if SCRAP in data]
    return {row["host"]: row["status"] for scrap in scraps if scrap["name"] == "hosts" for row in scrap["data"]}
