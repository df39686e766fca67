"""The repository as files: what the tests of the house look at."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest

from places import ROOT

LIB = ROOT / "lib" / "opsnb"
DOCS = ROOT / "docs"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked() -> tuple[str, ...]:
    """Return the files that are in git or would be added to it, by path from the root."""
    argv = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this is no git checkout, so nobody can say which files are tracked: {error}")
    return tuple(sorted(p for p in done.stdout.split("\0") if p and (ROOT / p).is_file()))


def text_of(path: str) -> str:
    """Return a file's text; empty when it is binary."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the library that has anything in it: path from ``lib/opsnb`` to what it parses to."""
    sources = {str(p.relative_to(LIB)): p.read_text(encoding="utf-8") for p in sorted(LIB.rglob("*.py"))}
    return {path: ast.parse(source) for path, source in sources.items() if source.strip()}


def definitions(node: ast.AST, path: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yield the functions and classes of a module at any depth, each with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            yield f"{path}{child.name}", child
            yield from definitions(child, f"{path}{child.name}.")
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):  # no expression defines one
            yield from definitions(child, path)


@cache
def pages() -> dict[str, str]:
    """Return the pages that people read: path from the root to text."""
    found = [*PAGES, *(str(p.relative_to(ROOT)) for p in sorted(DOCS.rglob("*.md")))]
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in found}


def code(page: str) -> Iterator[str]:
    """Yield the lines of code of a page: those of its fenced blocks, and its inline code."""
    fenced = False
    for line in page.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        else:
            yield from re.findall(r"`([^`]+)`", line)
