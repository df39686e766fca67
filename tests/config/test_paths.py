"""The rule by which reads: and writes: name configs/ of the workspace: sealed, confined, and nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import OpsnbError, RefusedError, UsageError
from opsnb.cli.workspace import make
from opsnb.control import app
from opsnb.control.flows.paths import reads, writes, writes_configs
from places import Place, text_of

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Zb0l1m3C6q6b9nF1V5xCkqg4m1hL6Yk3b2a1c0d9e"
FAR = f"hosts: {{far: {{address: 127.0.0.9, keys: ['{KEY}']}}}}\n"
FRONT = """
id: TST-001
title: t
promise: p
risk: change
owner: o
touches: t
undo: u
parameters:
  service: {length: 100}
"""
PARAMETERS = 'hosts: str = "far"  # hosts\nservice: str = "shop"  # service\n'
PLAN = """import opsnb
from opsnb.base.plan import Change, Plan
from opsnb.kits import config
from opsnb.kits.config import sources
run = opsnb.begin("TST-001")
sources.use(run)
change = sources.change("shop/prod/x", "text", mode="0644")
plan = run.propose(Plan(title="t", changes=(change,) if change else ()))"""
APPLY = (
    'run.change(plan)\nrun.check("it is as planned", sources.read("shop/prod/x"), plan.changes[0].after)\nrun.finish()'
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A workspace whose one host is elsewhere."""
    made = Place(tmp_path_factory.mktemp("paths") / "ws")
    make(made.root)
    made.settings()
    (made.root / "inventory.yaml").write_text(FAR, encoding="utf-8")
    made.up()
    yield made
    made.close()


class Named:
    """What the rules look at of a control plane's services."""

    def __init__(self, root: Path) -> None:
        self.workspace = Place(root).workspace
        self.toolkit = type("Toolkit", (), {"root": Path(app.__file__).parents[1]})()


@pytest.fixture
def named(tmp_path: Path) -> Any:
    """A workspace with a service."""
    (tmp_path / "configs/shop/prod").mkdir(parents=True)
    (tmp_path / ".opsnb").mkdir()
    return Named(tmp_path)


REMOTE, HERE = [{"name": "far"}], [{"name": "localhost", "transport": "local"}]


def test_configs_are_given_wherever_the_hosts_are(named: Any) -> None:
    """The nearest directory that exists; what is named elsewhere only where this machine is among the hosts."""
    root = named.workspace.root
    templates = ("configs/{service}/{environment}", "/usr")
    for environment, folder in {"prod": "configs/shop/prod", "staging": "configs/shop"}.items():
        found = writes(named, templates[:1], {"service": "shop", "environment": environment}, REMOTE)
        assert found == [str(root / folder)]
        assert writes_configs(named, found)
    assert writes(named, ("configs/{service}",), {"service": "new"}, REMOTE) == [str(root / "configs")]
    assert writes(named, ("{directory}",), {"directory": "/usr"}, REMOTE) == []
    assert writes(named, ("{directory}",), {"directory": "/usr"}, HERE) == ["/usr"]
    assert not writes_configs(named, ["/usr", str(root), str(root / "configs2")])
    assert reads(named, ("configs/{service}", "/usr"), {"service": ""}) == ["/usr"]


@pytest.mark.parametrize("name", ["..", ".", ".git", "a/b", "/etc", "a\nb", "-x", "a\0b", " ", "x" * 101, "a/../../b"])
def test_a_value_fills_in_one_folder(named: Any, name: str) -> None:
    """Nothing that leads out, up or elsewhere; the parameter is named."""
    for call in (
        lambda: reads(named, ("configs/{service}",), {"service": name}),
        lambda: writes(named, ("configs/shop/{service}",), {"service": name}, REMOTE),
    ):
        with pytest.raises(UsageError, match="parameter 'service'"):
            call()


def test_a_parameter_alone_never_means_the_workspace(named: Any) -> None:
    """Only the runbook's author writes configs/ in front; who asks for a run gives names."""
    for path in ("configs/shop", "configs", "outputs", "runbooks"):
        with pytest.raises(UsageError, match="not an absolute path"):
            reads(named, ("{path}",), {"path": path})


def test_links_lead_nowhere_else(named: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A service's folder that is a link out of configs/ is refused; all of configs/ may be a link, but not to our own."""
    root = named.workspace.root
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (root / "configs/out").symlink_to(elsewhere)
    (root / "configs/in").symlink_to(root / "configs/shop")
    for rule in (
        lambda: reads(named, ("configs/{s}",), {"s": "out"}),
        lambda: writes(named, ("configs/{s}",), {"s": "out"}, REMOTE),
    ):
        with pytest.raises(RefusedError, match="leads out of configs"):
            rule()
    assert reads(named, ("configs/{s}",), {"s": "in"}) == [str(root / "configs/shop")]
    (elsewhere / "git/shop").mkdir(parents=True)
    (root / "configs").rename(root / "old")
    (root / "configs").symlink_to(elsewhere / "git")
    assert writes(named, ("configs/{s}",), {"s": "shop"}, REMOTE) == [str(elsewhere / "git/shop")]
    (root / "configs").unlink()
    with pytest.raises(UsageError, match="mkdir configs"):
        writes(named, ("configs/{s}",), {"s": "shop"}, REMOTE)
    (root / "configs").symlink_to(root / ".opsnb")
    (root / ".opsnb/keys").mkdir()
    for rule in (
        lambda: reads(named, ("configs/{s}",), {"s": "keys"}),
        lambda: writes(named, ("configs/{s}",), {"s": "keys"}, REMOTE),
    ):
        with pytest.raises(RefusedError, match="no run is let near"):
            rule()


def printed(place: Place, result: dict[str, Any]) -> str:
    """Return what the cells of a run printed."""
    return "".join(text_of(cell) for cell in place.executed(result)["cells"])


@pytest.mark.slow
def test_a_run_on_other_hosts_writes_there_in_apply_only(served: Place) -> None:
    """Plan, apply, undo of a file below configs/; in plan its kernel cannot write, and nowhere else at any time."""
    tries = f"""
import os
for path in ("{served.root}/configs/mine", "{served.root}/configs/shop/mine", "{served.root}/runbooks/x", "{served.root}/x"):
    try:
        open(path, "w").close(); os.unlink(path); print("WROTE", path)
    except OSError as error:
        print("refused", path)
"""
    (served.root / "configs/shop").mkdir()
    served.add("place", PLAN, APPLY, front=FRONT + 'writes: ["configs/{service}/prod"]', parameters=PARAMETERS)
    path = str(served.root / "runbooks/place.ipynb")
    planned = served.end(served.submit(path))
    assert planned["verdict"] == "PLANNED", planned
    assert not (served.root / "configs/shop/prod").exists()
    done = served.end(served.submit(path, mode="apply", request=planned["request"]))
    assert done["verdict"] == "DONE", done
    assert (served.root / "configs/shop/prod/x").read_text() == "text"
    undone = served.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert list((served.root / "configs/shop").iterdir()) == []
    served.add(
        "tries", tries, PLAN.replace("001", "002"), tries, front=FRONT.replace("001", "002") + 'writes: ["configs/{service}"]',
        parameters=PARAMETERS,
    )  # fmt: skip
    path = str(served.root / "runbooks/tries.ipynb")
    planned = served.end(served.submit(path))
    assert printed(served, planned).count("refused") == 4
    done = served.end(served.submit(path, mode="apply", request=planned["request"]))
    said = printed(served, done)
    assert (said.count("WROTE"), said.count("refused")) == (2, 6)
    assert f"WROTE {served.root}/configs/shop/mine" in said


@pytest.mark.slow
def test_a_plan_names_this_machine_only_where_configs_may_be_written(served: Place) -> None:
    """Without the entry a change on localhost is refused, as ever, when the run is for other hosts."""
    (served.root / "configs/shop").mkdir(exist_ok=True)
    served.add(
        "bare",
        PLAN.replace("001", "003"),
        front=FRONT.replace("001", "003") + 'reads: ["configs/{service}"]',
        parameters=PARAMETERS,
    )
    result = served.end(served.submit(str(served.root / "runbooks/bare.ipynb")))
    assert result["verdict"] == "FAILED"
    assert "names hosts that the request does not: localhost" in json.dumps(served.executed(result))


@pytest.mark.slow
def test_what_was_given_stands_in_the_request(served: Place) -> None:
    """The sealed request holds the very directory, so that an approver sees it; a hostile value seals nothing."""
    (served.root / "configs/shop").mkdir(exist_ok=True)
    served.add(
        "sealed",
        PLAN.replace("001", "004"),
        front=FRONT.replace("001", "004") + 'writes: ["configs/{service}/prod"]',
        parameters=PARAMETERS,
    )
    path = str(served.root / "runbooks/sealed.ipynb")
    result = served.end(served.submit(path))
    body = json.loads((served.record(result) / "manifest.json").read_bytes())["request"]
    assert body["writes"] == [str(served.root / "configs/shop")]
    with pytest.raises(OpsnbError, match="parameter 'service'"):
        served.submit(path, values={"service": "../outputs"})
