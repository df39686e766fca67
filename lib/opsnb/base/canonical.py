"""Canonical JSON and digests: the bytes that are hashed, stored and signed.

The form is RFC 8785 (JSON Canonicalization Scheme) restricted to strings, integers, booleans, null, arrays and
objects. A float has no agreed byte form across languages, so it enters as its shortest decimal string
(``0.3`` becomes ``"0.3"``): use :func:`digestible` on values that may hold one. Keys sort by UTF-16 code units as
RFC 8785 section 3.2.3 asks.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from opsnb.base.errors import UsageError

JSON: TypeAlias = Any  # str | int | bool | None | list[JSON] | dict[str, JSON]; floats only outside digests

MAX_DEPTH = 64  # levels of nesting; deeper input is refused rather than recursed into
MAX_SAFE_INTEGER = 2**53 - 1  # I-JSON (RFC 7493): larger integers do not survive other readers


def digestible(value: JSON, *, depth: int = 0) -> JSON:
    """Return ``value`` with every float as its shortest decimal string, tuples as lists.

    Raises:
        UsageError: On a type JSON lacks, a non-string key, NaN or infinity, or nesting over ``MAX_DEPTH``.
    """
    if depth > MAX_DEPTH:
        raise UsageError(f"value is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{value!r} is not a finite number and has no place in a digest")
        return repr(value)
    if isinstance(value, Mapping):
        return {_key(k): digestible(v, depth=depth + 1) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [digestible(v, depth=depth + 1) for v in value]
    raise UsageError(f"{type(value).__name__} is not a JSON type")


def canonical(value: JSON) -> bytes:
    """Return the canonical bytes of a JSON value without floats.

    Raises:
        UsageError: On a float, an integer beyond ±(2^53-1), a lone surrogate, or a type JSON lacks.
    """
    _check(value, 0)
    ordered = _ordered(value)
    text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError("a string holds a lone surrogate, which has no UTF-8 form") from error


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest(value: JSON) -> str:
    """Return the SHA-256 of the canonical bytes of ``value``, floats as decimal strings."""
    return sha256(canonical(digestible(value)))


def same(one: JSON, other: JSON) -> bool:
    """Return whether two JSON values are the same, types included: ``1``, ``1.0``, ``"1"`` and ``true`` all differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def salted(salt: str, data: bytes) -> str:
    """Return SHA-256(salt ‖ data); ``salt`` is 64 hex digits. Deleting the salt makes the digest say nothing."""
    return sha256(bytes.fromhex(salt) + data)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise UsageError(f"{key!r} is not a string, and JSON keys are strings")
    return key


def _check(value: JSON, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UsageError(f"value is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise UsageError(f"integer {value} is beyond ±(2^53-1); write it as a string")
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _key(key)
            _check(item, depth + 1)
    else:
        raise UsageError(f"{type(value).__name__} has no canonical form")


def _ordered(value: JSON) -> JSON:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))
        return {k: _ordered(value[k]) for k in keys}
    if isinstance(value, list):
        return [_ordered(v) for v in value]
    return value
