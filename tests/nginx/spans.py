"""What the spans of directives leave over."""

from __future__ import annotations

from opsnb.kits.nginx.grammar import Directive, walk


def gaps(text: str, directives: tuple[Directive, ...]) -> str:
    """Return what is left of a text when its words and its Lua are taken out; the spans are in order and apart."""
    spans = [span for d in walk(directives) for span in (*d.spans, *([d.inside] if d.raw and d.inside else []))]
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(text)]
    assert all(end <= begin for end, begin in zip(ends, begins, strict=True))
    return "".join(text[end:begin] for end, begin in zip(ends, begins, strict=True))
