"""How fast the fleet is: ours, asyncssh, pyinfra and ansible on the same hosts, with the same command, in turn.

``python tests/bench/ssh.py [--quick] [--python VENV/bin/python]``: as root, with sshd. Each contender is a process of its
own, timed whole, with its start and its imports; ``cold`` and ``reused`` are timed within ours. Hosts are 50 (and 200)
addresses of this machine, up to 16 on each sshd. Without ``--python`` a venv is made under build/bench from the ``bench``
extra.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS, OTHER, THIRD = (Path(__file__).with_name(f"ssh_{name}.py") for name in ("ours", "asyncssh", "pyinfra"))
HOSTS, MANY = 50, 200
PREFIX = "opsnbbench"  # of the name of the user whom all log in as
COMMAND = ("uptime",)
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
WANTED = {
    "ansible ÷ ours": (">=", 5.0), "pyinfra ÷ ours": (">=", 2.0), "ours ÷ asyncssh": ("<=", 1.2),
    "cold ÷ reused": (">=", 4.0), "200 hosts ÷ 50 hosts": ("<=", 4.5), "memory at 200 hosts, MB": ("<", 150.0),
}  # fmt: skip


def main() -> int:
    """Measure, print, and return 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each, and ours only at 200 hosts")
    parser.add_argument("--python", type=Path, help="a Python that has ansible-core, pyinfra and asyncssh")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of contenders, with commas")
    options = parser.parse_args()
    python = options.python or venv()
    with tempfile.TemporaryDirectory(prefix="opsnb-bench-") as folder:
        Path(folder).chmod(0o755)  # sshd reads authorized keys as the user who logs in
        return measure(
            Path(folder), python, 1 if options.quick else options.rounds, set(options.only.split(",")) - {""}
        )


def measure(folder: Path, python: Path, rounds: int, only: set[str]) -> int:
    """Start the hosts, let the contenders run in turn, print the figures."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "lib")]
    from ports import free_port
    from sshd import ADDRESSES, Sshd, keygen, user

    (folder / "authorized").write_text(keygen(folder / "key") + "\n", encoding="utf-8")
    addresses = [f"127.0.40.{n}" for n in range(1, MANY + 1)]
    port, servers = free_port(), []
    settings = {"KexAlgorithms": "curve25519-sha256,curve25519-sha256@libssh.org", "AllowUsers": f"{PREFIX}*"}
    with user(PREFIX) as name:
        try:
            for at in range(0, MANY, ADDRESSES):
                some = addresses[at : at + ADDRESSES]
                server = Sshd(
                    folder / f"sshd{at}", some, port=port, authorized=folder / "authorized", settings=settings
                )
                servers.append((server.start(), some))
            rows = [
                {**server.row(f"h{address.rsplit('.')[-1]}", user=name), "address": address}
                for server, some in servers
                for address in some
            ]
            return report(rounds_of(folder, rows, python, rounds, only))
        finally:
            for server, _ in servers:
                server.stop()


def rounds_of(
    folder: Path, rows: list[dict[str, Any]], python: Path, rounds: int, only: set[str]
) -> dict[str, list[float]]:
    """Return what was measured, by name."""
    plan = {"rows": rows[:HOSTS], "key": (folder / "key").read_text(encoding="utf-8"), "command": COMMAND}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "many.json").write_text(json.dumps({**plan, "rows": rows}), encoding="utf-8")
    prepare(folder, rows[:HOSTS])
    seen: dict[str, list[float]] = {}
    contenders = {
        "ours": [sys.executable, str(OURS), str(folder / "plan.json"), "1"],
        "reuse": [sys.executable, str(OURS), str(folder / "plan.json"), "3"],
        "many": [sys.executable, str(OURS), str(folder / "many.json"), "1"],
        "asyncssh": [str(python), str(OTHER), str(folder / "plan.json")],
        "pyinfra library": [str(python), str(THIRD), str(folder / "plan.json")],
        "pyinfra": [str(python.with_name("pyinfra")), "-y", str(folder / "inventory.py"), "exec", "--", *COMMAND],
        "ansible": [
            str(python.with_name("ansible")), "all", "-i", str(folder / "inventory.ini"), "-m", "raw", "-a",
            " ".join(COMMAND), "-f", str(HOSTS),
        ],
    }  # fmt: skip
    for number in range(rounds + 1):  # the first one warms the caches of files and is not counted
        for name, argv in contenders.items():
            if only and name not in only:
                continue
            took, said = timed(argv, folder, number)
            if number:
                seen.setdefault(name, []).append(took)
                for key, value in said.items():
                    seen.setdefault(f"{name}: {key}", []).append(value)
    return seen


def timed(argv: list[str], folder: Path, number: int) -> tuple[float, dict[str, float]]:
    """Run one contender; return its seconds and what it says itself."""
    settings = {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / f"cp{number}"), "ANSIBLE_NOCOLOR": "1", "HOME": str(folder),
        "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=2s -o UserKnownHostsFile={folder / 'known_hosts'}",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_PIPELINING": "1", "PYTHONPATH": str(ROOT / "lib"),
    }  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(
        argv, env={**ENVIRONMENT, **settings}, capture_output=True, text=True, check=False, cwd=folder
    )
    took = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{argv[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    answered = done.stdout.count("load average") + done.stderr.count("load average")
    if {str(OURS), str(OTHER), str(THIRD)} & set(argv):
        said: dict[str, float] = json.loads(done.stdout)
        return took, said
    if answered < HOSTS:
        sys.exit(f"{argv[0]}: {answered} of {HOSTS} hosts answered:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    time.sleep(2.5 if argv[0].endswith("ansible") else 0.2)  # its masters end; nobody else pays for them
    return took, {}


def prepare(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write what the others want to know: inventories and known hosts."""
    key, port = folder / "key", rows[0]["port"]
    known = "".join(f"[{row['address']}]:{port} {key_line}\n" for row in rows for key_line in row["keys"])
    (folder / "known_hosts").write_text(known, encoding="utf-8")
    (folder / "tmp").mkdir()
    values = {
        "ssh_port": port,
        "ssh_user": rows[0]["user"],
        "ssh_key": str(key),
        "ssh_known_hosts_file": str(folder / "known_hosts"),
    }
    hosts = [(row["address"], values) for row in rows]
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n", encoding="utf-8")
    lines = [
        f"{r['address']} ansible_port={port} ansible_user={r['user']} ansible_ssh_private_key_file={key}" for r in rows
    ]
    (folder / "inventory.ini").write_text("[all]\n" + "\n".join(lines) + "\n", encoding="utf-8")


def report(seen: dict[str, list[float]]) -> int:
    """Print the medians, the ratios, and what was wanted."""
    middle = {name: statistics.median(values) for name, values in seen.items()}
    for name, values in sorted(seen.items()):
        spread = " ".join(f"{value:.2f}" for value in values)
        print(f"{name:24} {middle[name]:8.2f}   ({spread})")
    # Ours is the call on a fleet; of ansible and pyinfra what people run, their commands; then like with like.
    have = {
        "ansible ÷ ours": ratio(middle, "ansible", "ours: cold"),
        "pyinfra ÷ ours": ratio(middle, "pyinfra", "ours: cold"),
        "ours ÷ asyncssh": ratio(middle, "ours: cold", "asyncssh: cold"),
        "cold ÷ reused": ratio(middle, "reuse: cold", "reuse: reused"),
        "200 hosts ÷ 50 hosts": ratio(middle, "many: cold", "ours: cold"),
        "memory at 200 hosts, MB": middle.get("many: memory"),
        "pyinfra's call ÷ ours": ratio(middle, "pyinfra library: cold", "ours: cold"),
        "ansible ÷ our process": ratio(middle, "ansible", "ours"),
        "pyinfra ÷ our process": ratio(middle, "pyinfra", "ours"),
        "our process ÷ asyncssh's": ratio(middle, "ours", "asyncssh"),
    }
    missed = 0
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for name, value in have.items():
        if value is None:
            continue
        if name not in WANTED:
            print(f"{name:24} {value:8.2f}   for comparison")
            continue
        sign, limit = WANTED[name]
        good = {">=": value >= limit, "<=": value <= limit, "<": value < limit}[sign]
        missed += not good
        print(f"{name:24} {value:8.2f}   wanted {sign} {limit:g}   {'' if good else 'MISSED'}")
    return int(missed > 0)


def ratio(middle: dict[str, float], above: str, below: str) -> float | None:
    """Return one median over another, when both were measured."""
    return middle[above] / middle[below] if above in middle and below in middle else None


def venv() -> Path:
    """Return the Python of a venv with the others in it; make it when it is absent."""
    python = ROOT / "build/bench/bin/python"
    if not python.exists():
        import tomllib

        extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        subprocess.run([sys.executable, "-m", "venv", str(ROOT / "build/bench")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *extra["bench"]], check=True)
    return python


if __name__ == "__main__":
    assert pwd.getpwuid(os.getuid()).pw_name == "root", "it starts sshd and makes a user: as root"
    sys.exit(main())
