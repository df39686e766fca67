"""How much work foreign markup makes its parser: an estimate in one pass, before it is parsed. Rules without I/O.

An HTML parser walks its stack of open elements for most tags, and opens formatting elements anew in each block, so
its work grows with the sum, over all tags, of the elements open at them. Ten thousand nested ``<div>`` are seconds.
"""

from __future__ import annotations

import re
from collections import Counter

MAX_WORK = 1_000_000  # open elements met by all tags together: about 0.1 s; 1,400 nested ``<div>``


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Elements that the next of their kind closes: by themselves they do not nest.
_CLOSED_BY_NEXT = _names("p li dt dd td th tr tbody thead tfoot colgroup option optgroup rp rt")
_VOID = _names("area base br col embed hr img input link meta source track wbr")
# One tag's name and what follows it up to the next one; the rest of a tag is read by what it holds, not by its end, as
# an end that is sought anew from every opening would itself be the slow thing.
_TAG = re.compile(r"<(/?)([a-z][^\s/>]*)", re.IGNORECASE)


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
