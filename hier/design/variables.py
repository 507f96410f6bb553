"""The values that the variables of the fixed effects have in the data: what a grid of predictions is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.design.encode import Encoder
from hier.design.table import ModelFrame, in_use
from hier.formula import LinearPart

A_FEW = 64  # rows among which a variable of more than two values mostly shows a third
MOST_CELLS = 1 << 20  # that are counted one by one; of more, those in use are sorted out

Values = float | np.ndarray | pd.Index


class Variables(NamedTuple):
    """`values`: of each variable the mean, its two values (2,) where it has no others, or a factor's levels; of the
    offset beside the formula, `(offset)`, the mean. `cells` (m, v): the combinations that the data have of the
    variables `several` (v,), those with more values than one, as places among these.
    """

    values: dict[str, Values]
    several: tuple[str, ...]
    cells: np.ndarray


def variables_of(part: LinearPart, encoder: Encoder, table: ModelFrame) -> Variables:
    """What a table has of the variables of the fixed effects."""
    as_factors = {
        coding.factor.variables[0]: coding.levels
        for coding in encoder.codings.values()
        if coding.factor.categorical and coding.factor.is_plain
    }
    for coding in encoder.codings.values():
        for name in coding.factor.grouping:
            if not isinstance(table.columns[name], pd.Categorical):
                as_factors[name] = pd.Index(np.unique(table.columns[name]))
    values: dict[str, Values] = {}
    codes: dict[str, np.ndarray] = {}
    for name in dict.fromkeys([*part.variables, *(name for name in ("(offset)",) if name in table.columns)]):
        column, levels = table.columns[name], as_factors.get(name)
        if isinstance(column, pd.Categorical):
            codes[name], values[name] = in_use(column)
        elif levels is not None:
            values[name], codes[name] = levels, levels.get_indexer(pd.Index(column))
        elif name != "(offset)" and _has_two_values(column):
            values[name], codes[name] = np.unique(column), (column == column.max()).astype(np.int8)
        else:
            values[name] = float(column.mean())
    several = tuple(name for name in codes if len(values[name]) > 1)  # type: ignore[arg-type]
    return Variables(values, several, _cells([codes[name] for name in several]))


def _has_two_values(column: np.ndarray) -> bool:
    if len(set(column[:A_FEW].tolist())) > 2:
        return False
    low, high = column.min(), column.max()
    return bool(low < high and ((column == low) | (column == high)).all())


def _cells(codes: list[np.ndarray]) -> np.ndarray:
    """The combinations (m, v) that there are."""
    if not codes:
        return np.zeros((1, 0), int)
    found = np.arange(int(codes[0].max()) + 1)[:, None]  # every level is in use
    place = codes[0]
    for own in codes[1:]:
        size = int(own.max()) + 1
        place = place.astype(np.int64) * size + own
        used = _in_use(place, len(found) * size)
        before, last = np.divmod(used, size)
        found = np.column_stack([found[before], last])
        if own is not codes[-1]:
            place = np.searchsorted(used, place)
    return found


def _in_use(values: np.ndarray, count: int) -> np.ndarray:
    """The values, whole numbers below `count`, that there are, in order."""
    return np.flatnonzero(np.bincount(values, minlength=count)) if count <= MOST_CELLS else np.unique(values)
