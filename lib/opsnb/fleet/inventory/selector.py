"""Selectors: which hosts. ``role=nginx & env=prod & !web3``.

::

    either   = both { "|" both }
    both     = one { "&" one }
    one      = "!" one | "(" either ")" | term { "," term }        a list: any of them
    term     = NAME | GLOB | KEY ("=" | "!=") VALUE                VALUE may be a glob too

A NAME is a host, a group, ``all`` or ``localhost``. A KEY is a label, ``env``, ``group`` or ``service``. Text in double
quotes holds what would be an operator. Rules without I/O: a selector and an index in, positions of hosts out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.values import EVERY, THIS_MACHINE

MAX_TEXT = 16384  # characters
MAX_NESTING = 32  # parentheses and "!"
ENVIRONMENT = ("env", "environment")
RESERVED = (*ENVIRONMENT, "group", "service", "host", "name")
"""Label keys that a host cannot have: selectors mean something else by them."""
TOKEN = re.compile(r'\s*(?:(?P<op>!=|[=&|!(),])|"(?P<quoted>[^"]*)"|(?P<word>[^\s&|!(),="]+))')
GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Term:
    """A name, or a key with a value; ``glob`` is told from text in quotes."""

    key: str
    value: str
    equal: bool = True
    glob: bool = False


@dataclass(frozen=True)
class Not:
    """Every listed host that is not in it."""

    part: Node


@dataclass(frozen=True)
class And:
    """The hosts that are in every part."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """The hosts that are in one of the parts."""

    parts: tuple[Node, ...]


Node = Term | Not | And | Or


def parse(text: str) -> Node:
    """Return what a selector says.

    Raises:
        InventoryError: If it is not a selector; shows where it stops being one.
    """
    return _Parser(text).whole()


def terms(node: Node) -> list[Term]:
    """Return the terms of a selector, left to right."""
    if isinstance(node, Term):
        return [node]
    parts = (node.part,) if isinstance(node, Not) else node.parts
    return [term for part in parts for term in terms(part)]


class Index:
    """Hosts as selectors look at them.

    Args:
        names: The hosts, in order.
        labels: Each host's labels.
        environments: Each host's environment.
        groups: Group to its hosts.
        services: Service to the positions of its hosts.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        labels: Sequence[Mapping[str, str]],
        environments: Sequence[str],
        groups: Mapping[str, Sequence[str]],
        services: Mapping[str, Callable[[], set[int]]],
    ) -> None:
        self._names, self._labels, self._environments = names, labels, environments
        self._groups, self._services = groups, services

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {THIS_MACHINE: len(self._names)} | {name: at for at, name in enumerate(self._names)}

    @cached_property
    def _values(self) -> dict[str, dict[str, set[int]]]:
        """Label to value to the hosts that have it."""
        found: dict[str, dict[str, set[int]]] = {}
        for at, (labels, environment) in enumerate(zip(self._labels, self._environments, strict=True)):
            for key, value in labels.items():
                found.setdefault(key, {}).setdefault(value, set()).add(at)
            if environment:
                found.setdefault(ENVIRONMENT[0], {}).setdefault(environment, set()).add(at)
        return found

    def find(self, node: Node, *, strict: bool) -> set[int]:
        """Return the positions of the hosts that a selector means; this machine, when it is not listed, comes last.

        Args:
            node: The selector.
            strict: Whether a key or value that no host has is an error; an unknown name always is one.

        Raises:
            InventoryError: On what is unknown; the hint holds the nearest right one.
        """
        if isinstance(node, Not):
            return set(range(len(self._names))) - self.find(node.part, strict=strict)
        if isinstance(node, Term):
            return self._term(node, strict=strict)
        sets = [self.find(part, strict=strict) for part in node.parts]
        return set.intersection(*sets) if isinstance(node, And) else set().union(*sets)

    def _term(self, term: Term, *, strict: bool) -> set[int]:
        if not term.key:
            return self._named(term)
        if term.key == "group":
            found = self._of_groups(term)
        elif term.key == "service":
            found = self._of_services(term)
        else:
            found = self._labelled(term, strict=strict)
        return found if term.equal else set(range(len(self._names))) - found

    def _named(self, term: Term) -> set[int]:
        if term.glob:
            return {at for at, name in enumerate(self._names) if fnmatchcase(name, term.value)}
        if term.value == EVERY:
            return set(range(len(self._names)))
        if term.value in self._positions:
            return {self._positions[term.value]}
        if term.value in self._groups:
            return {self._positions[name] for name in self._groups[term.value]}
        if term.value in self._services:
            raise InventoryError(
                f"'{term.value}' is a service, not a host or group", hint=f"write service={term.value}"
            )
        known = [*self._positions, *self._groups]
        raise InventoryError(
            f"no host or group is called '{term.value}'", hint=did_you_mean(term.value, known, what="hosts and groups")
        )

    def _of_groups(self, term: Term) -> set[int]:
        names = _matching(term, self._groups)
        if not names and not term.glob:
            raise InventoryError(
                f"no group is called '{term.value}'", hint=did_you_mean(term.value, self._groups, what="groups")
            )
        return {self._positions[host] for name in names for host in self._groups[name]}

    def _of_services(self, term: Term) -> set[int]:
        names = _matching(term, self._services)
        if not names and not term.glob:
            hint = did_you_mean(term.value, self._services, what="services")
            raise InventoryError(f"no service is called '{term.value}'", hint=hint or "the inventory holds no service")
        return set().union(*(self._services[name]() for name in names))

    def _labelled(self, term: Term, *, strict: bool) -> set[int]:
        key = ENVIRONMENT[0] if term.key in ENVIRONMENT else term.key
        values = self._values.get(key)
        if values is None:
            if not strict:
                return set()
            known = [*self._values, *RESERVED[1:4]]
            what = "environment" if key == ENVIRONMENT[0] else f"label '{key}'"
            raise InventoryError(f"no host has the {what}", hint=did_you_mean(key, known, what="keys"))
        found = _matching(term, values)
        if not found and strict and not term.glob:
            hint = did_you_mean(term.value, values, what=f"values of '{key}'")
            raise InventoryError(f"no host has {term.key}={term.value}", hint=hint)
        return set().union(*(values[value] for value in found))


def _matching(term: Term, known: Mapping[str, object]) -> list[str]:
    if term.glob:
        return [name for name in known if fnmatchcase(name, term.value)]
    return [term.value] if term.value in known else []


class _Parser:
    """Recursive descent over the tokens; each is (kind, text, column)."""

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > MAX_TEXT:
            raise InventoryError(f"the selector has {len(text)} characters, at most {MAX_TEXT} are read")
        self._tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = TOKEN.match(text, at)
            if match is None:
                raise self._error(at, "a quotation mark is not closed")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self._tokens.append(("end", "", end))
        self._at = 0

    def whole(self) -> Node:
        if len(self._tokens) == 1:
            raise InventoryError("the selector is empty", hint=f"name hosts, or write '{EVERY}'")
        node = self._either(0)
        kind, text, column = self._tokens[self._at]
        if kind != "end":
            hint = "write & between what must both hold, | or , between what may" if kind != "op" else ""
            raise self._error(column, f"'{text}' is one too many", hint)
        return node

    def _either(self, depth: int) -> Node:
        parts = [self._both(depth)]
        while self._take("|"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self, depth: int) -> Node:
        parts = [self._one(depth)]
        while self._take("&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Node:
        column = self._tokens[self._at][2]
        if depth > MAX_NESTING:
            raise self._error(column, f"nested more than {MAX_NESTING} levels deep")
        if self._take("!"):
            return Not(self._one(depth + 1))
        if self._take("("):
            node = self._either(depth + 1)
            if not self._take(")"):
                raise self._error(self._tokens[self._at][2], f"the parenthesis of column {column + 1} is not closed")
            return node
        parts: list[Node] = [self._term()]
        while self._take(","):
            kind, text, column = self._tokens[self._at]
            if kind == "op" and text in "!(":
                raise self._error(column, f"'{text}' stands in a list", "write & !NAME to leave out, | for either")
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _term(self) -> Term:
        name = self._word("a host, a group or key=value")
        for sign in ("=", "!="):
            if self._take(sign):
                value = self._word("a value")
                return Term(name.value, value.value, sign == "=", value.glob)
        return name

    def _word(self, wanted: str) -> Term:
        kind, text, column = self._tokens[self._at]
        if kind not in {"word", "quoted"}:
            raise self._error(column, f"found '{text}', wanted {wanted}" if text else f"it ends here, wanted {wanted}")
        self._at += 1
        return Term("", text, glob=kind == "word" and bool(GLOB.search(text)))

    def _take(self, operator: str) -> bool:
        kind, text, _ = self._tokens[self._at]
        if kind != "op" or text != operator:
            return False
        self._at += 1
        return True

    def _error(self, column: int, message: str, hint: str = "") -> InventoryError:
        shown = self._text if len(self._text) <= 80 else f"…{self._text[max(0, column - 40) : column + 40]}…"  # noqa: PLR2004
        return InventoryError(f"selector '{shown}', column {column + 1}: {message}", hint=hint)
