"""A picture of a comparison: files by hosts, a coloured cell each, drawn without pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsnb.kits.config.compare import DIFFERS, MISSING, OWN, REFUSED, SAME, Cell
from opsnb.kits.linux.charts import BLUE, GREY, ORANGE, PURPLE, RED, WIDTH, plain_label

COLOURS = {SAME: BLUE, OWN: PURPLE, DIFFERS: ORANGE, MISSING: RED, REFUSED: GREY}  # absent: no cell
SQUARE = 0.3  # inches of a row
MARGIN = 1.3  # inches for title, names of hosts and legend
MAX_FILES, MAX_HOSTS = 40, 40  # more are not told apart; the rest stands in the table


def grid(cells: Sequence[Cell]) -> Any:
    """Return a figure: a row a file, a column a host; a letter says which hosts have the same content."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    files = list(dict.fromkeys(cell.path for cell in cells))
    hosts = list(dict.fromkeys(cell.host for cell in cells))
    shown, columns = files[:MAX_FILES], hosts[:MAX_HOSTS]
    figure = Figure(figsize=(WIDTH, MARGIN + SQUARE * max(len(shown), 1)), layout="constrained")
    axes = figure.subplots()
    for cell in cells:
        if cell.verdict in COLOURS and cell.path in shown and cell.host in columns:
            x, y = columns.index(cell.host), shown.index(cell.path)
            axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, color=COLOURS[cell.verdict]))
            axes.text(x, y, cell.group, ha="center", va="center", color="white", fontsize=9, parse_math=False)
    axes.set_xlim(-0.6, max(len(columns), 1) - 0.4)
    axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    axes.set_xticks(range(len(columns)), labels=[plain_label(host) for host in columns], rotation=45, ha="right")
    axes.set_yticks(range(len(shown)), labels=[plain_label(path) for path in shown])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a file called "$x$" is a name, not a formula
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    left = len(files) - len(shown) + len(hosts) - len(columns)
    axes.set_title("Files by hosts" + (" (more in the table)" if left else ""), loc="left", fontsize=11)
    used = [verdict for verdict in COLOURS if any(cell.verdict == verdict for cell in cells)]
    patches = [Patch(color=COLOURS[verdict], label=verdict) for verdict in used]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
