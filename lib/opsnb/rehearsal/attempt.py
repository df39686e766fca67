"""Tries whether this machine lets hosts have namespaces and a file system of their own; leaves nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opsnb.rehearsal import boot, kernel


def main() -> int:
    """Do in a child's namespaces what a host's start does, up to its root file system; say what did not work."""
    folder = Path(sys.argv[1])
    try:
        kernel.unshare(boot.SPACES)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    child = os.fork()
    if child == 0:
        try:
            kernel.change_root(boot.own_root(folder, disk="", hide=[]))
            kernel.drop_capabilities()
        except OSError as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
