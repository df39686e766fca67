"""Configurations as people write them: taken apart without loss, as the other readers do, or refused with line and reason.

``configs/NN-name/`` holds the files, ``expected.json`` what comes of them. Two oracles: crossplane (how many directives
of which name) and nginx itself (``nginx -t``, in a mount namespace where what it writes is its own).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import crossplane
import pytest

from nginx import certificates
from nginx.spans import gaps
from nginx.tiers import NGINX
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.finding import Installation
from opsnb.kits.nginx.grammar import Directive, parse, walk
from opsnb.kits.nginx.reading import Configuration, read_installation
from opsnb.kits.nginx.tokens import decode, encode

CONFIGS = Path(__file__).with_name("configs")
EXPECTED = {path.parent.name: json.loads(path.read_text("utf-8")) for path in sorted(CONFIGS.glob("*/expected.json"))}
TAKEN = [name for name, wanted in EXPECTED.items() if "refused" not in wanted]
REFUSED = [name for name in EXPECTED if name not in TAKEN]
OWN = "for d in /run /var/log /var/cache; do mount -t tmpfs t $d; done; mkdir -p /var/log/nginx /var/cache/nginx/one"


def read(conf: Path) -> Configuration:
    """Return a configuration of this machine that nobody runs."""
    return read_installation(Installation(host="localhost", binary="", conf=str(conf), prefix=str(conf.parent)))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the configurations, with a certificate and a folder for logs in each."""
    folder = tmp_path_factory.mktemp("configs")
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    certificates.write(folder / "key", folder / "cert")
    both = (folder / "key").read_bytes() + (folder / "cert").read_bytes()
    for name in EXPECTED:
        for part in ("certs", "logs"):
            (folder / name / part).mkdir(exist_ok=True)
        for file in ("a.pem", "b.pem"):
            (folder / name / "certs" / file).write_bytes(both)
    return folder


def test_there_are_enough_shapes() -> None:
    """At least 40 that are taken apart, and the ways in which a file is broken."""
    assert len(TAKEN) >= 40
    assert len(REFUSED) >= 15
    assert {path.name for path in CONFIGS.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", TAKEN)
def test_nothing_is_lost(places: Path, name: str) -> None:
    """Servers and upstreams are the expected ones, each byte is accounted for, a word is replaced without any other."""
    found = read(places / name / "nginx.conf")
    wanted = EXPECTED[name]
    assert sum(1 for tree in found.trees.values() for _ in walk(tree)) == wanted["directives"]
    assert [list(server.names) for server in found.servers()] == wanted["servers"]
    assert {f"{u.context} {u.name}": [s.address for s in u.servers] for u in found.upstreams()} == wanted["upstreams"]
    for path, text in found.files.items():
        assert encode(text) == Path(path).read_bytes()
        for line in gaps(text, found.trees[path]).split("\n"):
            assert not line.split("#")[0].strip(" \t\r{};"), (path, line)
        for one in [d for d in walk(found.trees[path]) if d.arguments and d.arguments[-1] != ")"][
            : 25 if len(text) < 20_000 else 3
        ]:
            _replaced(path, text, one)


def _replaced(path: str, text: str, one: Directive) -> None:
    """The last argument of a directive is another one afterwards, and nothing else has changed."""
    begin, end = one.spans[-1]
    new = text[:begin] + "'it is new'" + text[end:]
    before, after = parse(text, path), parse(new, path)
    rows = [
        (d.name, *d.arguments[:-1], "it is new") if d.start == one.start else (d.name, *d.arguments)
        for d in walk(before)
    ]
    assert [(d.name, *d.arguments) for d in walk(after)] == rows


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_broken_is_refused_with_its_line(places: Path, name: str) -> None:
    """The words name host, file and line, what was found and what was wanted."""
    with pytest.raises(UsageError) as refusal:
        read(places / name / "nginx.conf")
    assert refusal.value.message.replace(f"{places / name}/", "") == EXPECTED[name]["refused"]


def counted(rows: list[dict[str, Any]]) -> Counter[str]:
    """Return how often crossplane saw each directive."""
    names: Counter[str] = Counter()
    for row in rows:
        if row["directive"] != "#":
            names[row["directive"]] += 1
            names += counted(row.get("block") or [])
    return names


@pytest.mark.parametrize("name", [name for name in TAKEN if EXPECTED[name]["crossplane"] == "agrees"])
def test_crossplane_sees_the_same_directives(places: Path, name: str) -> None:
    """File by file, as many of each name."""
    main = str(places / name / "nginx.conf")
    other = crossplane.parse(main, catch_errors=True, check_ctx=False, check_args=False)
    assert other["errors"] == []
    found = read(Path(main))
    assert {file["file"]: counted(file["parsed"]) for file in other["config"]} == {
        path: Counter(d.name for d in walk(tree)) for path, tree in found.trees.items()
    }


@pytest.mark.skipif(os.getuid() != 0 or not Path(NGINX).exists(), reason="nginx is asked by root in a namespace")
@pytest.mark.parametrize("name", EXPECTED)
def test_nginx_says_the_same(places: Path, name: str) -> None:
    """It loads what we take apart, or wants a module that it has not; what we refuse it refuses, beyond our own limits."""
    folder = places / name
    script = f'{OWN}; exec "$0" -t -p "$1/" -e "$1/logs/error.log" -c "$1/nginx.conf"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, NGINX, str(folder)], capture_output=True, check=False)
    said = decode(done.stderr + (folder / "logs/error.log").read_bytes())
    assert (done.returncode == 0) == (EXPECTED[name]["nginx"] == "loads"), said
    if done.returncode:
        assert EXPECTED[name]["nginx"] in said
