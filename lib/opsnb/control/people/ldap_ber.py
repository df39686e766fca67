"""The part of BER (X.690) that LDAP is written in: short tags, definite lengths.

Rules without I/O. What is read comes from elsewhere: a length that leads out of its value is an error, never a read.
"""

from __future__ import annotations

from collections.abc import Iterator

INTEGER, OCTETS, ENUM, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31
LONG = 0x80  # a length of this or more is written in bytes of its own
MOST_LENGTH_BYTES = 4
MOST_NUMBER_BYTES = 8
LONG_TAG = 0x1F


class BrokenError(ValueError):
    """What was read is not BER as LDAP writes it."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return one value: tag, length, contents."""
    body = b"".join(parts)
    if len(body) < LONG:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, LONG | len(length))) + length + body


def number(value: int, tag: int = INTEGER) -> bytes:
    """Return a whole number, from 0."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def truth(value: bool, tag: int = 0x01) -> bytes:  # noqa: FBT001  (the value that is written)
    """Return true or false."""
    return tlv(tag, b"\xff" if value else b"\x00")


def head(data: bytes) -> tuple[int, int] | None:
    """Return where the contents of the first value begin and end; ``None`` while its head is not all there.

    Raises:
        BrokenError: If it is no value.
    """
    if len(data) < 2:  # noqa: PLR2004  (tag and length)
        return None
    if data[0] & LONG_TAG == LONG_TAG:
        raise BrokenError("a tag of more than one byte")
    if data[1] < LONG:
        return 2, 2 + data[1]
    count = data[1] - LONG
    if not 0 < count <= MOST_LENGTH_BYTES:
        raise BrokenError(f"a length of {count} bytes")
    if len(data) < 2 + count:
        return None
    begin = 2 + count
    return begin, begin + int.from_bytes(data[2:begin], "big")


def values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the values that stand one after the other: tags and contents.

    Raises:
        BrokenError: If one is broken or ends outside.
    """
    while data:
        found = head(data)
        if found is None or found[1] > len(data):
            raise BrokenError("a value ends outside of what holds it")
        begin, end = found
        yield data[0], data[begin:end]
        data = data[end:]


def take(found: Iterator[tuple[int, bytes]], *tags: int) -> bytes:
    """Return the contents of the next value, which has one of these tags.

    Raises:
        BrokenError: If it has another, or there is none.
    """
    tag, body = next(found, (0, b""))
    if tag not in tags:
        raise BrokenError(f"a value of tag {tag:#x}, wanted {tags[0]:#x}")
    return body


def whole(body: bytes) -> int:
    """Return the number that the contents of one hold.

    Raises:
        BrokenError: If it has no bytes, or too many.
    """
    if not 0 < len(body) <= MOST_NUMBER_BYTES:
        raise BrokenError(f"a number of {len(body)} bytes")
    return int.from_bytes(body, "big", signed=True)
