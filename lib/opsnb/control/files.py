"""Files that are there whole or not at all: :mod:`opsnb.base.files`, which both sides use."""

from opsnb.base.files import sync_directory, write_atomic

__all__ = ["sync_directory", "write_atomic"]
