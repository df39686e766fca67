"""The grammar of an nginx configuration: text in, directives with exact spans out. Pure.

Rules:

* A directive is words and ``;``, or words and a block. Its span begins with its first word and ends
  behind ``;`` or ``}``.
* Offsets count characters of the text: replacing ``text[start:end]`` leaves every other byte as it was.
* In ``map``, ``geo``, ``types``, ``split_clients`` and ``charset_map`` each entry is a directive whose name is its
  first word.
* A semicolon that is missing shows where nginx sees it: a block where there is none, or a ``}`` before the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from opsnb.kits.nginx.tokens import Span, Tokens, shown

MAX_DEPTH = 64  # blocks within blocks
ENTRIES = frozenset({"map", "geo", "types", "split_clients", "charset_map"})  # blocks of entries: none has a block
LUA_BLOCK = "_by_lua_block"
# Directives of nginx itself that never have a block, and those that always have one.
PLAIN = frozenset({
    "access_log", "add_header", "alias", "client_max_body_size", "error_log", "error_page", "expires", "gzip",
    "include", "index", "ip_hash", "keepalive", "keepalive_timeout", "least_conn", "listen", "pid",
    "proxy_http_version", "proxy_pass", "proxy_set_header", "return", "rewrite", "root", "sendfile", "server_name",
    "ssl_certificate", "ssl_certificate_key", "try_files", "user", "worker_connections", "worker_processes", "zone",
})  # fmt: skip
BLOCK = frozenset({"events", "http", "if", "limit_except", "location", "mail", "stream", "upstream"}) | ENTRIES


@dataclass(frozen=True, kw_only=True)
class Directive:
    """One directive.

    Args:
        name: Its first word.
        arguments: The other words: without quotes, escapes replaced.
        block: What stands between its braces; ``None`` when it ends with ``;``. Empty for Lua.
        file: The file, as nginx names it.
        line: The line that it begins on, from 1.
        start: Offset of its first character in the file's text.
        end: Offset behind its ``;`` or ``}``.
        inside: Offsets between its braces.
        raw: The text of a Lua block.
        spans: Offsets of each word as it is written, quotes with it: the name's first, then each argument's.
    """

    name: str
    arguments: tuple[str, ...] = ()
    block: tuple[Directive, ...] | None = None
    file: str
    line: int
    start: int
    end: int
    inside: Span | None = None
    raw: str | None = None
    spans: tuple[Span, ...] = ()

    @property
    def where(self) -> str:
        """File and line: ``/etc/nginx/nginx.conf:12``."""
        return f"{self.file}:{self.line}"

    def named(self, *names: str) -> tuple[Directive, ...]:
        """Return the directives of its block with one of these names."""
        return tuple(d for d in self.block or () if d.name in names)

    def value(self, name: str, default: str = "") -> str:
        """Return the first argument of the last directive of this name in its block."""
        found = [d.arguments[0] for d in self.named(name) if d.arguments]
        return found[-1] if found else default


@dataclass
class _Open:
    """A directive whose words, or whose block, are being read."""

    spans: list[Span] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    inside: int = -1
    found: list[Directive] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.values[0] if self.values else ""


def parse(text: str, file: str) -> tuple[Directive, ...]:
    """Return the directives of one file; includes are directives like any other.

    Args:
        text: The file's text, from :func:`opsnb.kits.nginx.tokens.decode`.
        file: Its name.

    Raises:
        UsageError: If nginx could not read it: names file and line, what was found, what was wanted.
    """
    words = Tokens(text, file)
    stack, now, at = [_Open(inside=0)], _Open(), words.skip(0)
    while at < len(text):
        char = text[at]
        if char == "{":
            _allowed_block(words, stack, now, at)
            if now.name.endswith(LUA_BLOCK):
                end = words.lua(at + 1)
                stack[-1].found.append(_directive(words, now, end + 1, inside=(at + 1, end), raw=text[at + 1 : end]))
                now, at = _Open(), end
            else:
                now.inside = at + 1
                stack.append(now)
                now = _Open()
            at += 1
        elif char == ";":
            _allowed_end(words, stack, now, at)
            stack[-1].found.append(_directive(words, now, at + 1))
            now, at = _Open(), at + 1
        elif char == "}" and not now.values:
            if len(stack) == 1:
                raise words.refused(at, "'}' that closes nothing", "a directive or the end of the file")
            done = stack.pop()
            stack[-1].found.append(_directive(words, done, at + 1, inside=(done.inside, at)))
            at += 1
        elif char == "}":
            raise words.refused(at, f"'}}' after {_said(now)} without its end", "';'")
        else:
            end = words.end(at)
            _allowed_name(words, stack, now, (at, end))
            now.spans.append((at, end))
            now.values.append(words.value((at, end)))
            at = end
        at = words.skip(at)
    _ended(words, stack, now)
    return tuple(stack[0].found)


def walk(directives: tuple[Directive, ...]) -> Iterator[Directive]:
    """Yield every directive, outer ones before what is in them, in the order of the text."""
    waiting = list(reversed(directives))
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(found.block or ()))


def _directive(words: Tokens, of: _Open, end: int, *, inside: Span | None = None, raw: str | None = None) -> Directive:
    start = of.spans[0][0]
    return Directive(
        name=of.name, arguments=tuple(of.values[1:]), block=tuple(of.found) if inside else None, file=words.file,
        line=words.line(start), start=start, end=end, inside=inside, raw=raw, spans=tuple(of.spans),
    )  # fmt: skip


def _said(now: _Open) -> str:
    return shown(" ".join(now.values))


def _allowed_block(words: Tokens, stack: list[_Open], now: _Open, at: int) -> None:
    if not now.values:
        raise words.refused(at, "'{' without a name", "a directive")
    if len(stack) > MAX_DEPTH:
        raise words.refused(at, f"blocks more than {MAX_DEPTH} deep", "fewer")
    begin = now.spans[0][0]
    if stack[-1].name in ENTRIES:
        raise words.refused(at, f"'{{' after {_said(now)} in '{stack[-1].name}'", "';': its entries have no block")
    if now.name in PLAIN:
        raise words.refused(begin, f"'{now.name}' with a block: {_said(now)}", "';' after its arguments")


def _allowed_name(words: Tokens, stack: list[_Open], now: _Open, span: Span) -> None:
    """Refuse what is left of a regular expression whose first brace was taken for a block's."""
    word = words.text[slice(*span)]
    if not now.values and "}" in word and word[0] not in "\"'" and len(stack) > 1 and stack[-1].name not in ENTRIES:
        begun = stack[-1].spans[0][0]
        what = f"{shown(word)} in the block of {_said(stack[-1])}"
        raise words.refused(begun, what, "a directive; a regular expression with braces is quoted")


def _allowed_end(words: Tokens, stack: list[_Open], now: _Open, at: int) -> None:
    if not now.values:
        raise words.refused(at, "';' without a directive", "a directive")
    if now.name in BLOCK and stack[-1].name not in ENTRIES:
        raise words.refused(now.spans[0][0], f"'{now.name}' that ends with ';': {_said(now)}", "'{'")


def _ended(words: Tokens, stack: list[_Open], now: _Open) -> None:
    last = len(words.text)
    if now.values:
        raise words.refused(now.spans[0][0], f"the end of the file after {_said(now)}", "';' or '{'")
    if len(stack) > 1:
        begun = stack[-1]
        where = f"'}}' for {_said(begun)} of line {words.line(begun.spans[0][0])}"
        raise words.refused(last, "the end of the file", where)
