"""What a name looks like: names that look alike would be taken for each other."""

from __future__ import annotations

import unicodedata

ALIKE = str.maketrans(
    # Cyrillic, Greek and digits that look like Latin letters (UTS 39, the part that matters in names)
    "авсԁеһіјкӏмнорԛгѕтԝхуѵԍʏαβεικνορτυχγωηϲ01",
    "abcdehijklmhopqrstwxyvgyabeikvoptuxywnc" + "ol",
)


def skeleton(text: str) -> str:
    """Return what a name looks like: names with the same skeleton would be taken for each other."""
    plain = text
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        plain = "".join(c for c in parts if not unicodedata.combining(c))
    return " ".join(plain.casefold().translate(ALIKE).split())
