"""Isolation: what a kernel may not read, write or signal is refused by the system, in it and in its children."""

from __future__ import annotations

import os

import pytest

from places import Place, text_of

pytestmark = pytest.mark.slow

TRIES = {
    "read the key": "open('{root}/.opsnb/keys/ledger.key').read()",
    "read the database": "open('{root}/.opsnb/opsnb.db', 'rb').read()",
    "read the token": "open('{root}/.opsnb/token').read()",
    "read another run's record": "os.listdir('{root}/outputs')",
    "read another kernel's scratch folder": "os.listdir('/tmp')",
    "read shadow": "open('/etc/shadow').read()",
    "read a home": "os.listdir('/root') if os.getuid() == 0 else open('/etc/shadow')",
    "write into runbooks": "open('{root}/runbooks/x.ipynb', 'w')",
    "write into the toolkit": "open(opsnb.__file__, 'a')",
    "write into outputs": "open('{root}/outputs/x', 'w')",
    "write into /tmp": "open('/tmp/opsnb-test-escape', 'w')",
    "read the supervisor's environment": "open(f'/proc/{{os.getppid()}}/environ').read()",
    "read the supervisor's memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1)",
    "signal the supervisor": "os.kill(os.getppid(), 9)",
    "signal the control plane": "os.kill({up}, 15)",
    "mount": "subprocess.run(['mount', '-t', 'tmpfs', 'x', os.getcwd()], check=True, capture_output=True)",
    "read the key in a child": "subprocess.run(['cat', '{root}/.opsnb/keys/ledger.key'], check=True, capture_output=True)",
}


@pytest.mark.parametrize("what", sorted(TRIES))
def test_it_is_refused(up: Place, what: str) -> None:
    """A hostile cell is refused with a permission error, and goes on."""
    code = TRIES[what].format(root=up.root, up=up.servers[0].pid)
    cell = (
        "import os, subprocess, opsnb\ntry:\n    " + code + "\n    print('REACHED')\n"
        "except (PermissionError, ProcessLookupError, subprocess.CalledProcessError) as e:\n    print('refused', type(e).__name__)"
    )
    up.add("hostile", cell)
    result = up.end(up.submit("runbooks/hostile.ipynb"))
    assert text_of(up.executed(result)["cells"][0]).startswith("refused"), up.executed(result)["cells"][0]


def test_it_works_within_its_bounds(up: Place) -> None:
    """A kernel reads the system and its runbooks, writes its scratch folder, and starts programs."""
    cell = (
        "import os, subprocess, tempfile\nopen('note', 'w').write('x')\ntempfile.NamedTemporaryFile().write(b'x')\n"
        f"os.listdir('{up.root}/runbooks')\nopen('/etc/hostname').read()\n"
        "print(subprocess.run(['uname'], capture_output=True, text=True).stdout, os.environ['HOME'] == os.getcwd())"
    )
    up.add("friendly", cell)
    result = up.end(up.submit("runbooks/friendly.ipynb"))
    assert text_of(up.executed(result)["cells"][0]) == "Linux\n True\n"


def test_no_capability_is_left(up: Place) -> None:
    """Even as root a kernel and its children hold no capability and cannot gain one."""
    up.add("caps", "print(open('/proc/self/status').read())")
    result = up.end(up.submit("runbooks/caps.ipynb"))
    rows = dict(x.split(":\t", 1) for x in text_of(up.executed(result)["cells"][0]).splitlines() if ":\t" in x)
    assert {int(rows[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert rows["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert int(rows["CapBnd"], 16) == 0


def test_the_api_answers_no_run(up: Place) -> None:
    """A connection to the API's socket from a kernel gets nothing: the token cannot be read, and none is good there."""
    cell = (
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        f"s.connect('{up.root}/.opsnb/api.sock')\n"
        "s.sendall(b'GET /api/runs HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\nprint(s.recv(100).split(b'\\r\\n')[0])"
    )
    up.add("api", cell)
    result = up.end(up.submit("runbooks/api.ipynb"))
    assert "403" in text_of(up.executed(result)["cells"][0])
