"""Every way out of a run, with a real kernel: whatever a notebook does with a secret, nobody reads it afterwards."""

from __future__ import annotations

import html
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaks import finds
from opsnb.base.masking import Masker
from opsnb.cli.workspace import make
from places import OPSNB, Place, files_below

pytestmark = pytest.mark.slow

VALUE = "Tr0ub4dor&3 'q' \"d\" <x>/=%41"
LINES = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAAline1\nQyNTUxOQAAACBv5m0lline22\n-----END OPENSSH PRIVATE KEY-----\n"
FRONT = (
    "id: SEC-{n:03}\ntitle: t\npromise: p\nrisk: {risk}\nowner: me\ntouches: x\nundo: y\nsecrets: [db/prod, ssh/key]"
)
START = "import opsnb, json, sys, os\nrun = opsnb.begin('SEC-{n:03}')\nv = opsnb.secret('db/prod').reveal()\nk = opsnb.secret('ssh/key').reveal()\n"
FORMS = """
import base64, html, json, re, shlex, urllib.parse
def forms(t):
    d = t.encode()
    q = urllib.parse.quote(t, safe="")
    return [t, json.dumps({"v": t}), json.dumps(t, ensure_ascii=False), repr([t]), repr(d), shlex.quote(t), q,
            re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), q), html.escape(t), html.escape(t, quote=False), d.hex(),
            d.hex().upper(), base64.b64encode(b"a" + d).decode(), base64.urlsafe_b64encode(b"ab" + d).decode(),
            base64.encodebytes(d).decode(), base64.b64encode(t.encode("utf-16-le")).decode()]
"""
PATHS = {
    "stdout": "for f in forms(v) + forms(k): print(f)",
    "stdout by letters": "for c in v + '\\n' + k: print(c, end='', flush=True)",
    "stdout around displays": "from IPython.display import display\nprint(v[:9], end='', flush=True)\ndisplay(1)\nprint(v[9:], flush=True)",
    "coloured": "print('\\x1b[1m'.join(v)); print('\\r\\n'.join(v))",
    "stderr": "for f in forms(v) + forms(k): print(f, file=sys.stderr)",
    "descriptor 2": "os.write(2, v.encode()); os.write(1, k.encode())",
    "a child's output": "import subprocess\nsubprocess.run(['cat'], input=v.encode())",
    "results": "{'value': v, v: 1, 'all': forms(v)}",
    "html": "from IPython.display import HTML, display\nfor f in forms(v) + forms(k): display(HTML('<p>' + f + '</p>'))",
    "svg": "from IPython.display import SVG, display\ndisplay(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><text>' + html.escape(v) + '</text></svg>'))",
    "json and metadata": "from IPython.display import display\ndisplay({'application/json': {v: forms(v)}, 'text/markdown': v}, raw=True, metadata={'m': {v: v}})",
    "an image's metadata": "import matplotlib.pyplot as plt, io\nfrom IPython.display import Image, display\nb = io.BytesIO()\nplt.figure(figsize=(1, 1)); plt.savefig(b, metadata={'Comment': v}); plt.close()\ndisplay(Image(b.getvalue()))",
    "updated and cleared": "from IPython.display import display, clear_output\nh = display(v, display_id=True); h.update(forms(v)); print(v); clear_output(wait=True); print(k)",
    "a thread that goes on": "import threading, time\ndef late():\n    time.sleep(.3)\n    print('late', v, flush=True)\nthreading.Thread(target=late).start()",
    "a caught traceback": "import traceback\ntry: raise KeyError(v)\nexcept KeyError: traceback.print_exc()",
    "logging": "import logging\nlogging.basicConfig(); logging.warning('%s', forms(v))",
    "checks": "for f in forms(v)[:4]: run.check(f, f, {'x': [f]})",
    "evidence": "run.evidence('e', {'v': forms(v), v: k}); run.evidence(v[:100], 1)",
    "progress": "run.progress(1, 2, v)",
    "show": "opsnb.show({v: k}) if callable(opsnb.show) else None",
    "refused by the control plane": "from opsnb.base.runlink import connect\ntry: connect().ask(v)\nexcept Exception as e: print(e)\ntry: connect().ask('check', what=v, got=1)\nexcept Exception as e: print(e)",
    "applicable": "run.applicable(True, v)",
}

# Not (always) among the outputs of their own cell: told to others, or captured by a thread of the kernel's own.
ELSEWHERE = {
    "progress", "applicable", "refused by the control plane", "descriptor 2", "a child's output", "a thread that goes on",
}  # fmt: skip


def put(place: Place, name: str, value: str) -> None:
    """Store a secret through the real program."""
    argv = [str(OPSNB), "secret", "set", name, "--stdin"]
    subprocess.run(argv, cwd=place.root, input=value.encode(), check=True, capture_output=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A served workspace with two secrets."""
    made = Place(tmp_path_factory.mktemp("secrets") / "ws")
    make(made.root)
    made.settings()
    made.up()
    put(made, "db/prod", VALUE)
    put(made, "ssh/key", LINES)
    yield made
    made.close()


def run(
    place: Place, number: int, *cells: str, risk: str = "read", **body: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a notebook that was given both secrets; return its result and everything that was told meanwhile."""
    front = FRONT.format(n=number, risk=risk)
    place.add(f"sec{number}", START.format(n=number) + FORMS, *cells, front=front)
    events = list(place.client.events(place.submit(f"SEC-{number:03}", **body)))
    return dict(events[-1]["result"]), events


def left(place: Place) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the workspace that anybody may be shown, database and logs included."""
    for path, data in files_below(place.root):
        inside = path.relative_to(place.root)
        if "quarantine" not in inside.parts:
            yield str(inside), data


def leaks(place: Place, events: list[dict[str, Any]]) -> list[str]:
    """Return where somebody still reads one of the secrets."""
    masker = Masker()
    masker.register("db/prod", VALUE)
    masker.register("ssh/key", LINES)
    texts = [(name, data.decode("utf-8", "replace")) for name, data in left(place)]
    texts += [("events", json.dumps(e, ensure_ascii=False)) for e in events]
    texts.append(("joined text", "".join(e.get("text", "") for e in events)))
    found = []
    for name, text in texts:
        small = name.startswith("outputs/2") or name in {"events", "joined text"} or name.endswith(".log")
        for value in (VALUE, *LINES.splitlines()[1:3]):
            if value in text or (small and (way := finds(value, text)) and not found.append(f"{name}: {way}")):
                found.append(f"{name}: {value[:3]}")
        if masker.hits(text) or masker.hits(html.unescape(text)):
            found.append(f"{name}: {masker.hits(text)}")
    return found


def test_every_path_out(served: Place) -> None:
    """Twenty forms on each of these paths: nothing under the workspace, nothing told, nothing in the log or database."""
    result, events = run(served, 1, *PATHS.values(), "import time; time.sleep(.5); run.finish()")
    wrong = [c for c in result["cells"] if c["state"] not in {"completed", "text"}]
    assert wrong == []
    assert leaks(served, events) == []
    texts = ["".join(map(str, e.get("text", ""))) for e in events]
    assert any("«secret db/prod»" in t for t in texts)
    cells = [c for c in served.executed(result)["cells"] if c["cell_type"] == "code"][1:]
    for name, cell in zip(PATHS, cells, strict=False):
        said = json.dumps(cell["outputs"], ensure_ascii=False)
        assert name in ELSEWHERE or "«secret" in said or "left out" in said, name


def test_an_uncaught_traceback(served: Place) -> None:
    """The exception's text in traceback, cell, reason, result, page and ledger is masked."""
    result, events = run(served, 2, "def f(x):\n    raise ValueError(x + json.dumps(x))\nf(v)")
    assert result["verdict"] == "FAILED"
    assert "«secret db/prod»" in result["reason"]
    assert leaks(served, events) == []


def test_inapplicable_and_stopped_reasons(served: Place) -> None:
    """The reason that a runbook gives for not applying is masked before it is noted."""
    result, events = run(served, 3, "run.applicable(False, v, instead=v)")
    assert result["verdict"] == "NOT_APPLICABLE"
    assert leaks(served, events) == []


def test_files_go_to_quarantine(served: Place) -> None:
    """A file with a secret, open, encoded, packed, or in its name, is not in the record; the run has FAILED and says why."""
    cell = (
        "import gzip, zipfile\nd = run.files\n(d/'ok.txt').write_text('fine')\n(d/'open.txt').write_text('x ' + v)\n"
        "(d/'b64.txt').write_bytes(base64.encodebytes(b'zz' + v.encode()))\n(d/'wide.txt').write_text(v, 'utf-16')\n"
        "gzip.open(d/'log.gz', 'wt').write(v)\n"
        "with zipfile.ZipFile(d/'a.xlsx', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('xl/a.xml', html.escape(v))\n"
        "(d/k.splitlines()[1]).write_text('x')\nrun.check('ok', 1, 1)\nrun.finish()"
    )
    result, events = run(served, 4, cell)
    assert result["verdict"] == "FAILED"
    assert "a secret was found in what the run left" in result["reason"]
    assert sorted(p.name for p in (served.record(result) / "files").iterdir()) == ["ok.txt"]
    assert leaks(served, events) == []
    aside = served.root / ".opsnb/quarantine" / result["run"]
    assert [oct(p.stat().st_mode & 0o777) for p in (aside.parent, aside)] == ["0o700", "0o700"]
    assert len(list(aside.iterdir())) == 6
    assert served.verify().returncode == 0


def test_what_was_printed_before_is_masked_too(served: Place) -> None:
    """A value that is said first and revealed afterwards is masked in the record, its checks and the database."""
    place = served
    place.add(
        "late", "import opsnb\nrun = opsnb.begin('SEC-005')\nw = 'known' + '-by-heart'\nprint(w)\nrun.check(w, w, w)",
        "opsnb.secret('db/late').reveal(); run.finish()",
        front="id: SEC-005\ntitle: t\npromise: p\nrisk: read\nowner: me\nsecrets: [db/late]",
    )  # fmt: skip
    put(place, "db/late", "known-by-heart")
    result = place.end(place.submit("SEC-005"))
    assert result["verdict"] == "DONE"
    assert result["checks"][0]["what"] == "«secret db/late»"
    for name, data in left(place):
        assert b"known-by-heart" not in data, name


def test_no_child_has_it_in_its_environment_or_arguments(served: Place) -> None:
    """While a kernel holds both secrets, no process of the workspace has one in its arguments or its environment."""
    served.add(
        "sleeps", START.format(n=6) + "import subprocess, time\np = subprocess.Popen(['sleep', '60'])\nprint('on', flush=True)\ntime.sleep(60)",
        front=FRONT.format(n=6, risk="read"),
    )  # fmt: skip
    name = served.submit("SEC-006")
    served.wait_cell(name, "on")
    looked = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            said = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if path.name != str(os.getpid()):
            looked += 1
            assert VALUE.encode() not in said
            assert b"line22" not in said
    assert looked > 3
    served.client.post(f"/api/runs/{name}/stop")
    served.end(name)
