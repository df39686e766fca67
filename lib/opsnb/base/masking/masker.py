"""The masker of one run: secrets are registered as they are revealed, and everything that is said passes it."""

from __future__ import annotations

from itertools import count
from typing import Any

from opsnb.base.masking.needles import check_value, needles
from opsnb.base.masking.search import Found, Search

BLOCK = 1024**2  # bytes of a stream that are looked at together
ENCODED = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream")  # base64 in a notebook


def marker(name: str) -> str:
    """Return what stands where a secret stood."""
    return f"«secret {name}»"


class Masker:
    """Replaces what gives a registered secret away. Without a secret it costs one look at an empty table."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._values: set[tuple[str, str]] = set()
        self._made: Search | None = None
        self.generation = 0  # grows with each secret; what was masked under an older one may hold a newer secret

    def __bool__(self) -> bool:
        return bool(self._names)

    @property
    def _search(self) -> Search | None:
        """The search for all that is known, made when it is first needed."""
        made = self._made
        if made is None and self._names:
            made = self._made = Search(self._names)
        return made

    @property
    def names(self) -> list[str]:
        """The names of the secrets, sorted."""
        return sorted({name for name, _ in self._values})

    def register(self, name: str, value: str) -> bool:
        """Mask ``value`` as ``name`` from now on; return whether it is new.

        Raises:
            UsageError: If it is too short to be masked.
        """
        check_value(name, value)
        if (name, value) in self._values:
            return False
        names = dict(self._names)
        for needle in needles(value):
            names.setdefault(needle, name)
        self._names, self._made = names, None
        self._values.add((name, value))
        self.generation += 1
        return True

    def text(self, text: str) -> str:
        """Return ``text`` masked."""
        search = self._search
        if search is None or not text:
            return text
        data = text.encode("utf-8", "surrogatepass")
        found = search.found(data)
        return _text(_replaced(data, found)) if found else text

    def data(self, data: bytes) -> bytes:
        """Return bytes masked."""
        search = self._search
        found = search.found(data) if search else []
        return _replaced(data, found) if found else data

    def value(self, value: Any) -> Any:
        """Return a JSON-like value masked: texts, keys, and numbers whose digits are a secret."""
        if self._search is None or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list | tuple):
            return type(value)(self.value(item) for item in value)
        return self.data(value) if isinstance(value, bytes) else self._number(value)

    def bundle(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Return a Jupyter MIME bundle masked; what would be broken by that (an image) is left out and said so."""
        if self._search is None:
            return bundle
        masked = self._object(bundle)
        for mime, value in bundle.items():
            encoded = mime.startswith(ENCODED) and not mime.endswith("+xml")
            if encoded and mime in masked and masked[mime] != value:
                del masked[mime]
                note = f"[{mime} was left out: it holds {', '.join(self.holds(value))}]"
                masked["text/plain"] = f"{masked['text/plain']}\n{note}" if "text/plain" in masked else note
        return masked

    def pieces(self, pieces: list[str]) -> list[str]:
        """Return pieces of one stream masked together: a secret that is spread over several is seen.

        What replaces it stands in the piece in which it begins.
        """
        search = self._search
        data = [piece.encode("utf-8", "surrogatepass") for piece in pieces]
        found = search.found(b"".join(data)) if search else []
        if not found:
            return pieces
        made, start = [], 0
        for piece in data:
            end = start + len(piece)
            inside = [f for f in found if f.start < end and f.end > start]
            made.append(_text(_replaced(piece, inside, start)))
            start = end
        return made

    def hits(self, data: bytes | str) -> list[str]:
        """Return the names of the secrets that ``data`` gives away, sorted."""
        if self._search is None:
            return []
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        if not self._search.any(raw):
            return []
        return sorted({f.name for f in self._search.found(raw)})

    def holds(self, value: Any) -> list[str]:
        """Return the names of the secrets that a JSON-like value gives away, sorted."""
        if self._search is None or value is None or isinstance(value, bool):
            return []
        if isinstance(value, dict):
            return sorted({name for k, v in value.items() for name in (*self.holds(k), *self.holds(v))})
        if isinstance(value, list | tuple):
            return sorted({name for item in value for name in self.holds(item)})
        return self.hits(value if isinstance(value, str | bytes) else repr(value))

    def stream(self) -> Stream:
        """Return a masker of one stream of text."""
        return Stream(self)

    def cut_end(self, text: str) -> str:
        """Return text that was cut somewhere without an end that may be the beginning of a secret."""
        if self._search is None:
            return text
        data = text.encode("utf-8", "surrogatepass")
        return _text(data[: self._search.undecided(data)])

    def _number(self, value: Any) -> Any:
        if not isinstance(value, int | float):
            return value
        said = repr(value)
        masked = self.text(said)
        return value if masked == said else masked

    def _object(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, item in value.items():
            name = self.value(key) if isinstance(key, str) else key
            if name in made:
                name = next(f"{name} {n}" for n in count(2) if f"{name} {n}" not in made)
            made[name] = self.value(item)
        return made


class Stream:
    """Masks one stream of text as it arrives. What it says in the end does not depend on where it was cut.

    Memory is bounded: it holds back no more than the longest needle and the gaps in it.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._covered = 0  # bytes at the beginning of what is held that a mask stands for already

    def feed(self, text: str) -> str:
        """Take a piece and return what can be said now."""
        if not self._masker and not self._held:
            return text
        data = text.encode("utf-8", "surrogatepass")
        said = []
        for start in range(0, len(data), BLOCK):
            self._held += data[start : start + BLOCK]
            said.append(self._decided(final=False))
        return _text(b"".join(said))

    def flush(self) -> str:
        """Return what was held back: nothing more comes."""
        return _text(self._decided(final=True)) if self._held else ""

    def _decided(self, *, final: bool) -> bytes:
        search, data = self._masker._search, self._held  # noqa: SLF001  (the masker's own stream)
        if search is None:
            self._held = b""
            return data
        hold = len(data) if final else search.undecided(data)
        said, place = [], self._covered
        for found in search.found(data):
            if found.start >= hold:
                break
            if found.start >= place:
                said += [data[place : found.start], marker(found.name).encode()]
            place = max(place, found.end)
        said.append(data[place:hold])
        self._held, self._covered = data[hold:], max(0, place - hold)
        return b"".join(said)


def _replaced(data: bytes, found: list[Found], offset: int = 0) -> bytes:
    """Return ``data``, which begins at ``offset``, with what was found replaced."""
    made, place = [], 0
    for row in found:
        start, end = row.start - offset, min(row.end - offset, len(data))
        if start >= 0:
            made += [data[place:start], marker(row.name).encode()]
        place = end
    return b"".join([*made, data[place:]])


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a mask that took half a character
        return data.decode("utf-8", "replace")
