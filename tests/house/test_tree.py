"""The tree: nothing of one machine in it, notebooks cleared, one version, one list of dependencies."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
import yaml

import conftest
from house.repository import text_of, tracked
from opsnb.base.version import VERSION
from places import ROOT

# Put together from pieces, so that this file does not hold what it looks for.
MACHINE = re.compile("|".join("/" + name + "/" for name in ("work", "root", "home", "Users")))
REGISTRY = re.compile(
    "|".join(("python" + "hosted", "index" + "-url", "PIP_" + "INDEX", r"https?://\S+\.(whl|tgz|tar\.gz|deb|rpm|zip)"))
)
CAPTURED = "tests/data/"  # what other machines said, kept as they said it


def project() -> dict[str, object]:
    """Return the project table of pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


@pytest.mark.parametrize(("what", "pattern"), [("path of one machine", MACHINE), ("registry's address", REGISTRY)])
def test_no_file_names_a_machine(what: str, pattern: re.Pattern[str]) -> None:
    """No tracked file holds a path of one machine, a registry's host or the address of a download."""
    found = [
        f"{path}:{number}: {what}: {line.strip()[:100]}"
        for path in tracked()
        if not path.startswith(CAPTURED)
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_nothing_generated_is_tracked() -> None:
    """No record, state, cache or build product is in git."""
    generated = re.compile(r"(^|/)(\.opsnb|\.venv|__pycache__|\.ipynb_checkpoints|build|dist|\.\w+_cache)/|\.pyc$")
    assert [p for p in tracked() if generated.search(p) or (p.startswith("outputs/") and p != "outputs/.gitkeep")] == []


def test_notebooks_are_cleared() -> None:
    """Every runbook in git has no outputs and no execution counts: the copybook is not the evidence."""
    notebooks = [p for p in tracked() if p.startswith("runbooks/") and p.endswith(".ipynb")]
    assert notebooks
    full = [
        f"{path} cell {index}"
        for path in notebooks
        for index, cell in enumerate(json.loads(text_of(path))["cells"])
        if cell.get("outputs") or cell.get("execution_count") is not None
    ]
    assert full == []


def test_one_version() -> None:
    """The package and pyproject.toml name the same version."""
    assert project()["version"] == VERSION


def test_one_list_of_dependencies() -> None:
    """environment.yml names the same dependencies, with the same bounds, as pyproject.toml and its extras."""
    table: dict[str, object] = project()
    extras = table["optional-dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(table["dependencies"], list)
    declared = [*table["dependencies"], *(d for extra in extras.values() for d in extra)]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (pip,) = (row["pip"] for row in environment if isinstance(row, dict))
    assert sorted(pip) == sorted(set(declared))  # an extra and the development set may name the same one
    assert f"python{table['requires-python']}" in environment


def test_every_dependency_has_a_lower_bound() -> None:
    """Every dependency says from which version on it is known to work."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*table["dependencies"], *(d for e in table["optional-dependencies"].values() for d in e)]
    assert [d for d in declared if not re.fullmatch(r"[a-z0-9.-]+(\[[a-z]+\])?>=[0-9.]+(,<[0-9.]+)?", d)] == []


def test_the_files_that_begin_first_are_there() -> None:
    """Every file and place that tests/conftest.py names by how long it takes is one."""
    tests = ROOT / "tests"
    assert [name for name in conftest.LONGEST if not (tests / name).is_file()] == []
    assert len(set(conftest.LONGEST)) == len(conftest.LONGEST)
    paths = {str(path.relative_to(tests)) for path in tests.rglob("test_*.py")}
    assert [place for place in conftest.SLOW if not any(path.startswith(place) for path in paths)] == []
