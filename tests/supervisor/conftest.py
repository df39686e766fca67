"""Hosts with a Supervisor for the tests of this folder."""

from fleets import webtier

__all__ = ["webtier"]
