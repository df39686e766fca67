"""What holds where: the blocks around a directive, and which level's directives nginx takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from opsnb.kits.nginx.grammar import Directive

Chain = tuple[Directive, ...]  # blocks, the outermost first


def chains(around: Chain, block: Directive) -> Iterator[Chain]:
    """Yield the blocks from the outermost to a server, then to each of its locations and what is in them."""
    yield around
    for inner in block.named("location", "if", "limit_except"):
        yield from chains((*around, inner), inner)


def nearest(chain: Chain, name: str) -> tuple[Directive, ...]:
    """Return the directives of a name that hold in the innermost block: those of the nearest level that has any."""
    return next((found for block in reversed(chain) if (found := block.named(name))), ())


def here(listen: str) -> str:
    """Return an address at which a host reaches one of its own ``listen`` addresses; pure."""
    if listen.isdigit():
        return f"127.0.0.1:{listen}"
    for wild, own in (("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):  # noqa: S104  (compared only)
        if listen == wild or listen.startswith(f"{wild}:"):
            return own + listen.removeprefix(wild)
    return listen


def target(passed: Directive) -> str:
    """Return where a ``proxy_pass`` or its kin leads: host and port, or an upstream's name."""
    text = passed.arguments[0] if passed.arguments else ""
    return re.sub(r"^[a-z]+://", "", text).partition("/")[0]
