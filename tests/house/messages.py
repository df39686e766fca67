"""What the program says when it refuses: the errors that the code makes, as the sentences that they can be.

A sentence is written in pieces: an f-string, a word chosen by a condition, a constant, what a function returns, what a
caller gives. :func:`said` puts the pieces together without running anything. What only a run can know is a *hole*,
``‹123›``, the same number for the same expression.
"""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice

from house.repository import Function, modules

BROADLY = 48  # ways to say one sentence that are looked at
DEEPLY = 7  # functions that call each other for one piece
HOLE = re.compile(r"‹\d+›")
FIELD = re.compile(r"\{[^{}]*\}")
PLAIN = {"ValueError"}  # not ours, but its text becomes a part of one of ours
INSIDE = {  # errors that end in the log of whoever serves, and in no message
    "AskingError", "BrokenError", "ClickError", "LineError", "LinkError", "TooLargeError", "WrongError",
}  # fmt: skip
CARRIERS = {  # what is told like an error: these are made of the same pieces
    "BadParameter", "ClickException", "Decision", "Finding", "Leave", "Settled", "Stop", "error", "fail", "refuse",
}  # fmt: skip
TOLD = {"hint", "mend", "message", "reason", "why"}  # where such a piece stands
NAMING = {  # functions of other modules, and what becomes of the word that they are given
    "did_you_mean": ("what", "known {}: ‹1›"), "full_text": ("what", "'‹1›' is no {}: ‹2›"),
}  # fmt: skip
VALUES = {  # what an expression can be, where only a run knows which
    "actor.via": ("session", "token", "local"), "self.via": ("session", "token", "local"),
    "token.kind": ("session", "api"), "state": ("expired", "revoked"),
    "deed.kind": ("approve", "return", "reject", "veto", "withdraw", "delegate", "comment", "review"),
    "state.status.value": ("open", "returned", "rejected", "vetoed", "withdrawn", "expired", "used"),
}  # fmt: skip
Scope = tuple[str, tuple[Function, ...]]  # a module, and the functions that a piece stands in


def said(path: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence of an error that a module makes, and each hint, with the line that it stands in."""
    for scope, node in _all(path):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, text) for piece in _told(node) for text in _texts(piece, scope, DEEPLY))
            yield from ((node.lineno, text) for text in _named(node))


def _told(node: ast.Call) -> list[ast.expr]:
    """Return the pieces of a call that people are told."""
    name = _called(node)
    if name in INSIDE or ast.unparse(node.func) == "LOG.error" or name not in _errors() | PLAIN | CARRIERS:
        return []
    first = node.args[:1] if name not in {"Decision", "refuse"} else node.args[1:]
    texts = [piece for piece in first if name not in CARRIERS or isinstance(piece, ast.JoinedStr | ast.Constant)]
    return [*texts, *(k.value for k in node.keywords if k.arg in TOLD)]


def _named(node: ast.Call) -> Iterator[str]:
    word, sentence = NAMING.get(_called(node), ("", ""))
    for value in [*(k.value for k in node.keywords if k.arg == word), *node.args[1:2]] if word else ():
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield sentence.format(value.value)


@cache
def _errors() -> frozenset[str]:
    """The names of every exception that is ours, wherever it is made."""
    bases = {
        node.name: {ast.unparse(b).split(".")[-1] for b in node.bases}
        for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef)
    }  # fmt: skip
    found = {"OpsnbError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return frozenset(found)


@cache
def _all(path: str) -> tuple[tuple[Scope, ast.AST], ...]:
    """Every call, import, function and answer of a module, with the functions that it stands in."""
    found: list[tuple[Scope, ast.AST]] = []
    _within(modules()[path], (path, ()), found)
    return tuple(found)


def _within(node: ast.AST, scope: Scope, found: list[tuple[Scope, ast.AST]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call | ast.ImportFrom | ast.Return | Function):
            found.append((scope, child))
        _within(child, (scope[0], (*scope[1], child)) if isinstance(child, Function) else scope, found)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _texts(piece: ast.expr | None, scope: Scope, depth: int) -> list[str]:
    """Return what a piece of a sentence can say; a hole where the source does not tell."""
    if depth == 0 or piece is None:
        return [_hole(piece)]
    found = _chosen(piece, scope, depth) if isinstance(piece, ast.IfExp | ast.BoolOp) else _built(piece, scope, depth)
    return list(dict.fromkeys(islice(found, BROADLY))) or [_hole(piece)]


def _chosen(piece: ast.IfExp | ast.BoolOp, scope: Scope, depth: int) -> Iterator[str]:
    """Yield what a piece can say that is one of several; an empty one says nothing where another follows."""
    if isinstance(piece, ast.IfExp):
        yield from [*_texts(piece.body, scope, depth), *_texts(piece.orelse, scope, depth)]
    elif isinstance(piece.op, ast.Or):
        yield from (text for part in piece.values for text in _texts(part, scope, depth) if text)


def _built(piece: ast.expr, scope: Scope, depth: int) -> Iterable[str]:
    found: Iterable[str] = ()
    match piece:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.JoinedStr(values=parts):
            found = _joined([_part(part, scope, depth) for part in parts])
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = _joined([_texts(left, scope, depth), _texts(right, scope, depth)])
        case ast.NamedExpr(value=value):
            found = _texts(value, scope, depth)
        case ast.Name(id=name):
            found = (text for value, where in _bound(name, scope) for text in _texts(value, where, depth - 1))
        case ast.Subscript(value=ast.Name(id=name)):
            found = (text for value, where in _items(name, scope) for text in _texts(value, where, depth - 1))
        case ast.Call():
            found = _answers(piece, scope, depth)
    return found


def _hole(piece: ast.AST | None) -> str:
    return f"‹{zlib.crc32((ast.unparse(piece) if piece else '').encode()) % 10_000}›"


def _joined(parts: list[list[str]]) -> Iterator[str]:
    """Yield what parts say together: each way to say one of them, beside the first way to say the others."""
    first = [ways[0] for ways in parts]
    yield "".join(first)
    for place, ways in enumerate(parts):
        yield from ("".join([*first[:place], way, *first[place + 1 :]]) for way in ways[1:])


def _part(part: ast.expr, scope: Scope, depth: int) -> list[str]:
    """Return what a part of an f-string can be; one that is shown in a form of its own is a value and no sentence."""
    if not isinstance(part, ast.FormattedValue):
        return _texts(part, scope, depth)
    if known := VALUES.get(ast.unparse(part.value)):
        return list(known)
    shaped = part.conversion != -1 or part.format_spec is not None
    return [_hole(part.value)] if shaped else _texts(part.value, scope, depth)


@cache
def _bound(name: str, scope: Scope) -> list[tuple[ast.expr, Scope]]:
    """Return what a name can stand for: in the function, from its callers, in the module, from another module."""
    path, functions = scope
    for place in range(len(functions), 0, -1):
        function, where = functions[place - 1], (path, functions[:place])
        if values := list(_assigned(name, function)):
            return [(value, where) for value in values]
        if name in _parameters(function):
            return _given(name, function, path)
    tree = modules()[path]
    if values := [value for statement in tree.body for value in _values(name, statement)]:
        return [(value, (path, ())) for value in values]
    origin, original = _imported(name, path)
    return _bound(original, (origin, ())) if origin else []


def _assigned(name: str, function: Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        yield from _values(name, node)


def _values(name: str, node: ast.AST) -> Iterator[ast.expr]:
    """Yield what one statement makes of a name."""
    match node:
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _unpacked(name, target, value)
        case ast.NamedExpr(target=ast.Name(id=found), value=value) if found == name:
            yield value
        case ast.AugAssign(target=ast.Name(id=found), value=value) if found == name:
            yield value
        case ast.For(target=target, iter=ast.Tuple(elts=rows)):
            for row in rows:
                yield from _unpacked(name, target, row)


def _unpacked(name: str, target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    match target, value:
        case ast.Name(id=found), _ if found == name:
            yield value
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for one, given in zip(targets, values, strict=True):
                yield from _unpacked(name, one, given)
        case ast.Tuple(), ast.IfExp(body=one, orelse=other):
            yield from _unpacked(name, target, one)
            yield from _unpacked(name, target, other)


def _parameters(function: Function) -> list[str]:
    return [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _given(name: str, function: Function, path: str) -> list[tuple[ast.expr, Scope]]:
    """Return what the callers in the same module give for a parameter, and what it is when they give nothing."""
    positional = [a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
    found: list[tuple[ast.expr, Scope]] = []
    for scope, node in _all(path):
        if isinstance(node, ast.Call) and _called(node) == function.name and function not in scope[1]:
            named = {k.arg: k.value for k in node.keywords}
            place = positional.index(name) if name in positional else len(node.args)
            if name in named or place < len(node.args):
                found.append((named.get(name) or node.args[place], scope))
    pairs = zip(reversed(function.args.args), reversed(function.args.defaults), strict=False)
    pairs_named = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    defaults = [value for arg, value in (*pairs, *pairs_named) if arg.arg == name and value]
    return [*found, *((value, (path, ())) for value in defaults if ast.unparse(value) != "''")]


def _imported(name: str, path: str) -> tuple[str, str]:
    """Return the module that a name comes from, and its name there; empty when it is none of ours."""
    return _imports(path).get(name, ("", ""))


@cache
def _imports(path: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for _, node in _all(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("opsnb."):
            file = node.module.removeprefix("opsnb.").replace(".", "/")
            origin = next((f for f in (f"{file}.py", f"{file}/__init__.py") if f in modules()), "")
            found |= {alias.asname or alias.name: (origin, alias.name) for alias in node.names}
    return found


def _items(name: str, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    """Yield the values of a dictionary of the module."""
    for value, where in _bound(name, scope):
        if isinstance(value, ast.Dict):
            yield from ((item, where) for item in value.values)


def _answers(call: ast.Call, scope: Scope, depth: int) -> Iterable[str]:
    """Return what a call can answer: a text that is worked on, or what a function of ours returns."""
    match call.func:
        case ast.Attribute(value=text, attr="format"):
            return (FIELD.sub(_hole(call), found) for found in _texts(text, scope, depth))
        case ast.Attribute(value=text, attr="rstrip" | "strip" | "removesuffix" as verb):
            characters = [a.value for a in call.args if isinstance(a, ast.Constant)]
            return (getattr(found, verb)(*characters) for found in _texts(text, scope, depth))
        case ast.Attribute(attr="join"):
            items = call.args[0] if call.args else None
            one = items.elt if isinstance(items, ast.GeneratorExp | ast.ListComp) else None
            return _texts(one, scope, depth - 1) if isinstance(one, ast.JoinedStr) else ()
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            return _returned(name, scope[0], depth)
    return ()


def _returned(name: str, path: str, depth: int) -> Iterator[str]:
    origin, original = _imported(name, path)
    path, name = (origin, original) if origin else (path, name)
    for scope, node in _all(path):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.expr) and scope[1] and scope[1][-1].name == name:
            yield from filter(None, _texts(node.value, scope, depth - 1))
