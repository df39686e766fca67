"""How much work foreign markup makes its parser: an estimate in one pass, before it is parsed. Rules without I/O.

An HTML parser walks its stack of open elements for most tags, and opens formatting elements anew in each block, so
its work grows with the sum, over all tags, of the elements open at them. Ten thousand nested ``<div>`` are seconds.
"""

from __future__ import annotations

import re
from collections import Counter

MAX_WORK = 1_000_000  # open elements met by all tags together: about 0.1 s; 1,400 nested ``<div>``

# Elements that the next of their kind closes: by themselves they do not nest.
_CLOSED_BY_NEXT = frozenset("p li dt dd td th tr tbody thead tfoot colgroup option optgroup rp rt".split())
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_RAW = "script|style|textarea|title|xmp|iframe|noembed|noframes"  # whose text is no markup
_TAG = re.compile(
    rf"<!--.*?-->|<(?:{_RAW})\b[^>]*>.*?</(?:{_RAW})\s*>"
    r"|<(/?)([a-z][^\s/>]*)(?:\"[^\"]*\"|'[^']*'|[^>\"'])*+>",
    re.IGNORECASE | re.DOTALL,
)


def costly(html: str) -> bool:
    """Whether the markup is nested so deeply, so often, that it must not be parsed."""
    if html.count("<") ** 2 <= MAX_WORK:  # so few tags that nothing they do costs much
        return False
    open_: Counter[str] = Counter()
    depth = work = 0
    for match in _TAG.finditer(html):
        name = (match[2] or "").lower()
        if match[1] and open_[name]:
            open_[name] -= 1
            depth -= 1
        elif name and not match[1] and name not in _VOID and name not in _CLOSED_BY_NEXT:
            open_[name] += 1
            depth += 1
        work += depth
        if work > MAX_WORK:
            return True
    return False
