"""Tables of results as they print themselves: all columns, and numbers to as many digits as say something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from hier.estimate.text_columns import align_in_blocks, p_value, significant
from hier.text import shown

# how the numbers of some columns are written; those of all others are significant digits
WRITERS: dict[str, Callable[[float], str]] = {"p_value": p_value, "p_boundary": p_value}


class _AnyFrame(type):
    """Every DataFrame passes for a `Table`: pandas' `assert_frame_equal` asks whether the one table is of the class of
    the other, and tables of results have to equal a user's own in either order.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, pd.DataFrame)


class Table(pd.DataFrame, metaclass=_AnyFrame):
    """A table of results. It is a pandas DataFrame, and so is what is computed from it, and its columns are pandas'
    Series; only its printed form is its own: no number shows as zero that is none, no column is left out, and a wide
    table goes on below itself.

    A format of numbers that the user has set in pandas' options goes before it.
    """

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def __repr__(self) -> str:
        if pd.get_option("display.float_format") is not None or 0 in self.shape:
            return super().__repr__()
        note = self.attrs.get("note")
        return "\n".join(map(shown, [*table_lines(self), *(["", f"Note: {note}"] if note else [])]))

    def _repr_html_(self) -> str | None:
        if pd.get_option("display.float_format") is not None or not pd.get_option("display.notebook_repr_html"):
            return super()._repr_html_()  # type: ignore[operator]
        formatters = {name: own for name, own in WRITERS.items() if name in self.columns}
        page = self.to_html(
            float_format=significant,
            formatters=formatters,
            max_rows=pd.get_option("display.max_rows"),
            notebook=True,
        )
        return str(page)


def table_lines(table: pd.DataFrame) -> list[str]:
    """A table as lines of text; of a long one the first and the last rows, as many as pandas' options say."""
    most, few = pd.get_option("display.max_rows"), pd.get_option("display.min_rows") or 10
    total = len(table)
    is_cut = bool(most) and total > most
    half = max(min(few, most or few) // 2, 1)
    kept = np.r_[:half, total - half : total] if is_cut else np.arange(total)
    index = table.index[kept]
    columns = [
        [str(name or "") for name in index.names],
        *([_written(each) for each in label] for label in _keys(index)),
    ]
    rows = [list(row) for row in columns]
    for k, name in enumerate(table.columns):
        rows[0].append(_written(name))
        for row, cell in zip(rows[1:], _cells(name, table.iloc[kept, k]), strict=True):
            row.append(cell)
    if is_cut:
        rows.insert(half + 1, ["..."] * len(rows[0]))
    lines = align_in_blocks(rows, left=index.nlevels, width=pd.get_option("display.width") or 80)
    return [*lines, "", f"[{total} rows x {table.shape[1]} columns]"] if is_cut else lines


def _keys(index: pd.Index) -> list[tuple[Any, ...]]:
    return [key if index.nlevels > 1 else (key,) for key in index]


def _cells(name: Any, column: pd.Series) -> list[str]:
    if column.dtype.kind != "f":
        return ["" if value is None or value is pd.NA or value != value else _written(value) for value in column]
    write = WRITERS.get(name, significant)
    return [write(value) if np.isfinite(value) else _written(value) for value in column.to_numpy()]


def _written(value: Any) -> str:
    """A label, or a cell that is no ordinary number."""
    if isinstance(value, float | np.floating):
        return "NaN" if np.isnan(value) else f"{value:.10g}"
    return str(value)
