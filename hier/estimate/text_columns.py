"""Numbers and tables as text in columns."""

from __future__ import annotations

import numpy as np

from hier.text import shown

WIDTH = 80  # of a terminal


def significant(value: float, digits: int = 5) -> str:
    """A number to so many significant digits, without an exponent where it is of ordinary size."""
    if value == 0 or not np.isfinite(value):
        return f"{value:.{digits - 1}f}"
    magnitude = int(np.floor(np.log10(abs(value))))
    return f"{value:.{max(0, digits - 1 - magnitude)}f}" if -4 <= magnitude < 7 else f"{value:.{digits - 1}e}"


def p_value(value: float) -> str:
    """A p-value as R prints it: `<2e-16` below that."""
    return "<2e-16" if value < 2e-16 else f"{value:.3g}" if value < 0.001 else f"{value:.4f}"


def align_in_blocks(rows: list[list[str]], left: int, width: int = WIDTH) -> list[str]:
    """As `align`; rows that are wider go on in further blocks of lines, which begin with the same `left` columns."""
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(rows[0]))]
    blocks_of: list[list[int]] = [[]]
    room = free = width + 1 - sum(widths[:left])
    for k in range(left, len(widths)):
        if widths[k] > room and blocks_of[-1]:
            blocks_of.append([])
            room = free
        blocks_of[-1].append(k)
        room -= widths[k]
    found: list[str] = []
    for block in blocks_of:
        lines = align([[*row[:left], *(row[k] for k in block)] for row in rows], left)
        found += [*([""] if found else []), *lines]
    return found


def align(rows: list[list[str]], left: int) -> list[str]:
    """Rows as lines of equal columns, the first `left` columns flush left and the others flush right; a row is one line
    whatever its cells hold.
    """
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(" " + "  ".join(cells).rstrip())
    return lines
