"""Hosts for the tests of this folder."""

from fleets import rehearsal

__all__ = ["rehearsal"]
