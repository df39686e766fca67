"""The surface: what a notebook imports, and what a person waits for at the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PUBLIC = ["__version__", "begin", "secret", "show"]

IMPORTS = """
import sys
before = set(sys.modules)
import opsnb
loaded = {m.partition(".")[0] for m in set(sys.modules) - before}
everything = {}
exec("from opsnb import *", everything)
names = sorted(n for n in everything if n != "__builtins__")
"""

HELP = """
import contextlib, io, sys
before = set(sys.modules)
from opsnb.cli.main import cli

def foreign():
    loaded = {m.partition(".")[0] for m in set(sys.modules) - before}
    return loaded - set(sys.stdlib_module_names) - {"opsnb", "click"}

def ask(command, path):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        cli.main([*path, "--help"], standalone_mode=False)
    assert said.getvalue().startswith("Usage:"), path
    asked.append(" ".join(("opsnb", *path)))
    for module in foreign() - set(found):
        found[module] = asked[-1]
    for name in getattr(command, "commands", None) or (command.list_commands(None) if not path else ()):
        ask(command.get_command(None, name), (*path, name))

asked, found = [], {}
ask(cli, ())
"""


def told(program: str, *names: str) -> list[Any]:
    """Run a program in a fresh interpreter; return these of its names."""
    wanted = ", ".join(f"sorted({n}) if isinstance({n}, (set, frozenset)) else {n}" for n in names)
    source = f"{program}\nimport json\nprint(json.dumps([{wanted}]))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_a_notebook_imports_four_names() -> None:
    """`import opsnb` gives `begin`, `secret`, `show` and `__version__`, and nothing else by `*`."""
    public, names = told(IMPORTS, "opsnb.__all__", "names")
    assert sorted(public) == PUBLIC
    assert names == PUBLIC


def test_importing_costs_nothing() -> None:
    """`import opsnb` imports the standard library and opsnb.base only: no pandas, papermill, nbformat, SQLAlchemy."""
    (loaded,) = told(IMPORTS, "loaded")
    assert "opsnb" in loaded
    assert set(loaded) - set(sys.stdlib_module_names) - {"opsnb"} == set()


def test_help_imports_nothing_heavy() -> None:
    """`opsnb --help` and the help of every command import click and nothing else that is not Python's own."""
    asked, found = told(HELP, "asked", "found")
    assert {"opsnb", "opsnb run", "opsnb runs list", "opsnb audit verify"} <= set(asked)
    assert found == {}
