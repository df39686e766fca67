"""What a line of an access log looks like: nginx's ``log_format`` as literals and variables; pure.

Rules:

* A format is text with ``$name`` or ``${name}`` in it, as nginx reads it (ngx_http_log_compile_format); ``combined`` is
  what nginx logs with when nothing is said.
* A value ends where the text behind its variable begins. nginx escapes ``"`` in values (``escape=default`` and
  ``json``), so a quoted value is never cut short. A list of several upstreams (``0.1, 0.2 : 0.3``) and an
  unquoted request line hold blanks themselves and are told apart by their form.
* Two variables side by side are told apart only where the second one begins with ``/``; otherwise the format is refused
  when one of the two is counted.
* A format is data for the program that counts: it holds no line break and no NUL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from opsnb.base.errors import UsageError

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")
LONGEST = 16_384  # characters of a format
# What is counted, and from which variable: the first one that a format has.
ROLES: dict[str, tuple[str, ...]] = {
    "msec": ("msec",), "iso": ("time_iso8601",), "local": ("time_local",),
    "request": ("request",), "method": ("request_method",), "uri": ("request_uri", "uri", "document_uri"),
    "status": ("status",), "bytes": ("bytes_sent", "body_bytes_sent"), "took": ("request_time",),
    "host": ("host", "http_host", "server_name"), "utime": ("upstream_response_time",),
    "uaddr": ("upstream_addr",), "ustatus": ("upstream_status",), "cache": ("upstream_cache_status",),
}  # fmt: skip
TIMES = ("msec", "iso", "local")  # one of them is enough
LISTS = re.compile(
    r"upstream_(addr|status|response_time|connect_time|header_time|response_length|bytes_sent|bytes_received)"
    r"|http_x_forwarded_for|proxy_add_x_forwarded_for"
)
REQUESTS = ("request_uri", "uri", "document_uri")  # values that begin with a slash


class Escape(StrEnum):
    """How nginx writes what would break a value out of its quotes."""

    DEFAULT = "default"  # " and \ and what is no printable ASCII as \xXX; nothing as -
    JSON = "json"  # as in a JSON string; nothing as nothing
    NONE = "none"  # as it is


@dataclass(frozen=True, kw_only=True)
class Field:
    """One variable and the text behind it.

    Args:
        variable: Its name without ``$``.
        literal: The text up to the next variable, or to the end of the line.
    """

    variable: str
    literal: str


@dataclass(frozen=True, kw_only=True)
class Format:
    """A log format.

    Args:
        name: As in ``log_format NAME``.
        first: The text before the first variable.
        fields: Variables in their order.
        escape: How values are escaped.
    """

    name: str
    first: str
    fields: tuple[Field, ...]
    escape: Escape = Escape.DEFAULT

    @property
    def roles(self) -> dict[str, str]:
        """What can be counted from it: role to variable."""
        there = {field.variable for field in self.fields}
        found = {role: name for role, names in ROLES.items() for name in names[::-1] if name in there}
        times = [role for role in TIMES if role in found]
        for role in times[1:]:
            del found[role]
        if "request" in found:
            found.pop("method", None)
            found.pop("uri", None)
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be told from its lines, in words."""
        roles = self.roles
        wanted = {
            "time": any(role in roles for role in TIMES),
            "path and method": "request" in roles or "uri" in roles,
            "status": "status" in roles,
            "bytes": "bytes" in roles,
            "latency ($request_time)": "took" in roles,
            "upstreams ($upstream_addr, $upstream_response_time)": "uaddr" in roles or "utime" in roles,
        }
        return tuple(what for what, there in wanted.items() if not there)

    def compiled(self) -> str:
        """Return the format as lines for the program that counts: the first text, then ``role TAB kind TAB text``.

        Raises:
            UsageError: If two variables stand side by side and nobody can say where the first one ends.
        """
        roles = {variable: role for role, variable in self.roles.items()}
        rows: list[list[str]] = []
        seen: set[str] = set()
        for number, field in enumerate(self.fields):
            role = "" if field.variable in seen else roles.get(field.variable, "")
            seen.add(field.variable)
            following = self.fields[number + 1].variable if number + 1 < len(self.fields) else ""
            if rows and rows[-1][3] == "side by side":
                if role or rows[-1][0]:
                    raise UsageError(
                        f"log format '{self.name}': ${self.fields[number - 1].variable} and ${field.variable}"
                        " stand side by side, and nobody can say where the first one ends",
                        hint="put a blank between them in log_format",
                    )
                rows.pop()
            beside = bool(following) and not field.literal and following not in REQUESTS
            rows.append([role, self._kind(field), field.literal, "side by side" if beside else ""])
        return "\n".join([self.first, *("\t".join(row[:3]) for row in rows)])

    def _kind(self, field: Field) -> str:
        blank = field.literal.startswith(" ") and not field.literal.startswith(" : ")
        if blank and LISTS.fullmatch(field.variable):
            return "list"
        if field.variable == "request" and blank:
            return "request"
        return "quoted" if self.escape is Escape.JSON and field.literal.startswith('"') else ""


def parse_format(text: str, name: str = "", escape: str = "default") -> Format:
    """Return a log format from its text.

    Args:
        text: The strings of ``log_format`` put together, ``combined``, or a whole directive ``log_format NAME ...;``.
        name: Its name, for messages.
        escape: ``default``, ``json`` or ``none``.

    Raises:
        UsageError: If it is none, or has nothing that can be counted.
    """
    if text.strip().startswith("log_format "):
        return parse_directive(text)
    if text.strip() in {"", "combined"}:
        text, name = COMBINED, "combined"
    name = name or "given"
    if escape not in set(Escape):
        raise UsageError(f"log format '{name}': escape={escape} is not known", hint="default, json or none")
    _plain(text, name)
    first, fields = _taken_apart(text, name)
    made = Format(name=name, first=first, fields=fields, escape=Escape(escape))
    if not made.roles:
        raise UsageError(
            f"log format '{name}' has no variable that is counted: {text:.80}",
            hint="$time_local, $request, $status, $body_bytes_sent, $request_time ...",
        )
    made.compiled()
    return made


def parse_directive(text: str) -> Format:
    """Return the format of a directive ``log_format NAME [escape=HOW] 'TEXT' ...;``.

    Raises:
        UsageError: If it is no such directive.
    """
    words = _words(text.strip().removesuffix(";"))
    return from_arguments(words[1:])


def from_arguments(arguments: tuple[str, ...] | list[str]) -> Format:
    """Return the format of a directive's arguments, without their quotes: name, ``escape=``, strings.

    Raises:
        UsageError: If there is no string.
    """
    name, *rest = arguments or ("",)
    escape = "default"
    if rest and rest[0].startswith("escape="):
        escape = rest.pop(0).removeprefix("escape=")
    if not rest:
        raise UsageError(f"log format '{name}' has no text")
    return parse_format("".join(rest), name, escape)


def _plain(text: str, name: str) -> None:
    if len(text) > LONGEST:
        raise UsageError(f"log format '{name}' has {len(text):,} characters, and {LONGEST:,} are read")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"log format '{name}' holds a lone surrogate: {text!r:.80}") from None
    control = next((c for c in text if c < " " and c != "\t"), "")
    if control:
        raise UsageError(f"log format '{name}' holds {control!r}: its entries are not one line each")


def _taken_apart(text: str, name: str) -> tuple[str, tuple[Field, ...]]:
    found = list(VARIABLE.finditer(text))
    literals = VARIABLE.split(text)[::3]  # every third: between them stand the two groups of each variable
    if any("$" in literal for literal in literals):
        raise UsageError(f"log format '{name}' holds a $ that begins no variable, and nginx refuses that: {text:.80}")
    names = [match.group(1) or match.group(2) for match in found]
    return literals[0], tuple(Field(variable=n, literal=t) for n, t in zip(names, literals[1:], strict=True))


def _words(text: str) -> list[str]:
    """Return the words of a directive, without quotes, escapes as nginx takes them."""
    words: list[str] = []
    rest = text.lstrip()
    while rest:
        quoted = re.match(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]\S*)""", rest, re.DOTALL)
        if not quoted:
            raise UsageError(f"a quote is not closed in {text!r:.80}")
        word = next(group for group in quoted.groups() if group is not None)
        words.append(re.sub(r"""\\(["'\\])""", r"\1", word))
        rest = rest[quoted.end() :].lstrip()
    return words
