"""The types that a parameter can have, read from an annotation or inferred from a default.

``str int float bool``, ``list[X]``, ``dict[str, X]``, ``Literal[...]``, ``X | None`` (``Optional[X]`` too), and "any
JSON value" where an untyped default says nothing: an empty list, ``None``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from opsnb.base.errors import ParameterError
from opsnb.base.parameters.limits import LIMITS

if TYPE_CHECKING:
    from opsnb.base.canonical import JSON

HINT = "use str, int, float, bool, list[...], dict[str, ...], Literal[...], and X | None"


class TypeName(StrEnum):
    """What a value is, before constraints."""

    STR = "str"  # text
    INT = "int"  # a whole number within ±(2^53-1); never a bool
    FLOAT = "float"  # a finite number; a whole number becomes one
    BOOL = "bool"  # true or false
    LIST = "list"  # a list whose items have one type
    DICT = "dict"  # an object whose values have one type
    LITERAL = "Literal"  # one of the listed values
    ANY = "any"  # any JSON value


SCALARS = {n.value: n for n in (TypeName.STR, TypeName.INT, TypeName.FLOAT, TypeName.BOOL)}
CONTAINERS = {"list": TypeName.LIST, "List": TypeName.LIST, "dict": TypeName.DICT, "Dict": TypeName.DICT}


@dataclass(frozen=True, kw_only=True)
class ParameterType:
    """The type of a parameter or of what it contains.

    Args:
        name: Which type.
        item: Type of a list's items or an object's values; ``None`` means any.
        values: The values of a ``Literal``.
        nullable: Whether null is a value too (``X | None``).
    """

    name: TypeName
    item: ParameterType | None = None
    values: tuple[str | int | bool, ...] = ()
    nullable: bool = False

    def __str__(self) -> str:
        return ("any JSON value" if self.name is TypeName.ANY else self._text()) + (" | None" if self.nullable else "")

    def _text(self) -> str:
        if self.name is TypeName.LITERAL:
            return f"Literal[{', '.join(map(repr, self.values))}]"
        if self.item is None:
            return self.name.value
        return f"dict[str, {self.item}]" if self.name is TypeName.DICT else f"list[{self.item}]"

    @property
    def leaf(self) -> ParameterType:
        """The type that constraints speak about: of a list its items, else the type itself."""
        return self.item if self.name is TypeName.LIST and self.item else self


def from_annotation(node: ast.expr, depth: int = 0) -> ParameterType:
    """Return the type that an annotation means.

    Raises:
        ParameterError: If it is none of those in the module's docstring.
    """
    if depth > LIMITS.nesting:
        raise ParameterError(f"the type is nested more than {LIMITS.nesting} levels deep", hint=HINT)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return from_annotation(_parsed(node.value), depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(node, [node.left, node.right], depth)
    if isinstance(node, ast.Subscript):
        return _subscript(node, depth)
    name = _name(node)
    if name in SCALARS:
        return ParameterType(name=SCALARS[name])
    if name in CONTAINERS:
        return ParameterType(name=CONTAINERS[name])
    raise _unsupported(node)


def from_default(value: JSON) -> ParameterType:
    """Return the type that an untyped default suggests."""
    if value is None:
        return ParameterType(name=TypeName.ANY, nullable=True)
    if isinstance(value, list | dict):
        items = value if isinstance(value, list) else list(value.values())
        kinds = {from_default(i) for i in items}
        name = TypeName.LIST if isinstance(value, list) else TypeName.DICT
        return ParameterType(name=name, item=kinds.pop() if len(kinds) == 1 else None)
    return ParameterType(name=SCALARS[type(value).__name__])


def _subscript(node: ast.Subscript, depth: int) -> ParameterType:
    name = _name(node.value)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return _literal(node, parts)
    if name == "Optional" and len(parts) == 1:
        return replace(from_annotation(parts[0], depth + 1), nullable=True)
    if name == "Union":
        return _union(node, parts, depth)
    if CONTAINERS.get(name) is TypeName.LIST and len(parts) == 1:
        return ParameterType(name=TypeName.LIST, item=from_annotation(parts[0], depth + 1))
    two = 2
    if CONTAINERS.get(name) is TypeName.DICT and len(parts) == two and _name(parts[0]) == "str":
        return ParameterType(name=TypeName.DICT, item=from_annotation(parts[1], depth + 1))
    raise _unsupported(node)


def _union(node: ast.expr, parts: list[ast.expr], depth: int) -> ParameterType:
    kept = [p for p in parts if not (isinstance(p, ast.Constant) and p.value is None)]
    if len(kept) != 1 or len(kept) == len(parts):
        raise _unsupported(node)
    return replace(from_annotation(kept[0], depth + 1), nullable=True)


def _literal(node: ast.Subscript, parts: list[ast.expr]) -> ParameterType:
    values = [p.value for p in parts if isinstance(p, ast.Constant)]
    kept = tuple(v for v in values if isinstance(v, str | int))
    if not kept or len(values) != len(parts) or any(v is not None and not isinstance(v, str | int) for v in values):
        raise _unsupported(node)
    return ParameterType(name=TypeName.LITERAL, values=kept, nullable=None in values)


def _name(node: ast.expr) -> str:
    """``int`` for ``int``; ``Literal`` for ``typing.Literal`` and ``t.Literal``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"typing", "t"}:
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError):
        raise ParameterError(f"type {text[:80]!r} is not Python", hint=HINT) from None


def _unsupported(node: ast.expr) -> ParameterError:
    return ParameterError(f"type `{ast.unparse(node)[:80]}` is not one that a parameter can have", hint=HINT)
