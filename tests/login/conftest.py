"""What tests of sign-in share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from opsnb.control.people import passwords


@pytest.fixture(scope="module")
def quick_hashes() -> Iterator[None]:
    """Have passwords cost little: how much they cost, and that, is tested with the credentials."""
    before = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    passwords._nobodys.cache_clear()
    yield
    passwords._HASHER = before
    passwords._nobodys.cache_clear()
