"""The floor: the same cells in a forked IPython shell that has everything imported. Nothing is kept, nothing checked."""

from __future__ import annotations

import json
import os
import sys
import time

import matplotlib.pyplot as plt
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib_inline.backend_inline import configure_inline_support

assert pd
assert plt


def once(cells: list[str]) -> float:
    """Fork, run the cells, return the seconds until the child has ended."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            shell = InteractiveShell.instance()
            configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
            with capture_output() as captured:
                for cell in cells:
                    assert shell.run_cell(cell).success
            pictures = [o for o in captured.outputs if "image/png" in o.data]
            assert len(pictures) == 1, "the plot was not drawn"
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    return time.perf_counter() - started


def main() -> None:
    """Answer each line on stdin with one measurement: driven by the benchmark, so that trials interleave."""
    cells = json.loads(sys.argv[1])
    for _ in sys.stdin:
        print(once(cells), flush=True)


if __name__ == "__main__":
    main()
