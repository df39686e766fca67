"""The shape of the code: modules and functions that fit a reader, and a sentence for every public name."""

from __future__ import annotations

import ast
import statistics

from house.repository import LIB, Function, definitions, modules

MODULE_AIM, MODULE_LIMIT = 300, 400  # lines
FUNCTION_AIM, FUNCTION_LIMIT = 50, 60  # lines
FUNCTION_MEDIAN = 10  # lines


def test_modules_are_short(record_property) -> None:
    """No module of the library has more than 400 lines; those over 300 are named."""
    lengths = {str(p.relative_to(LIB)): len(p.read_text(encoding="utf-8").splitlines()) for p in LIB.rglob("*.py")}
    over = {path: n for path, n in lengths.items() if n > MODULE_AIM}
    record_property(f"modules over {MODULE_AIM} lines", over)
    assert {path: n for path, n in over.items() if n > MODULE_LIMIT} == {}


def test_functions_are_short(record_property) -> None:
    """No function of the library has more than 60 lines, those over 50 are named, and the median stays at 10 or less."""
    lengths = {
        f"{path}: {name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in modules().items()
        for name, node in definitions(tree)
        if isinstance(node, Function)
    }
    over = {name: n for name, n in lengths.items() if n > FUNCTION_AIM}
    record_property(f"functions over {FUNCTION_AIM} lines", over)
    assert {name: n for name, n in over.items() if n > FUNCTION_LIMIT} == {}
    assert statistics.median(lengths.values()) <= FUNCTION_MEDIAN


def test_every_public_name_is_documented() -> None:
    """Every module, and every class, function and method without a leading underscore, has a docstring."""
    missing = [path for path, tree in modules().items() if not ast.get_docstring(tree)]
    for path, tree in modules().items():
        functions = {name for name, node in definitions(tree) if isinstance(node, Function)}
        for name, node in definitions(tree):
            parts = name.split(".")
            inner = any(".".join(parts[:n]) in functions for n in range(1, len(parts)))  # defined within a function
            if not inner and not any(p.startswith("_") for p in parts) and not ast.get_docstring(node):
                missing.append(f"{path}: {name}")
    assert missing == []
