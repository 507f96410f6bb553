"""Rows at which effects are evaluated: those of the fit, another table, or a grid of values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hier.design import Design, frame_of_fit, with_offset
from hier.design.levels import match
from hier.errors import FitError, did_you_mean
from hier.settings import written

MOST_ROWS = 1_000_000
WORDS = ("mean", "balanced")


def is_grid(newdata: Any) -> bool:
    """Whether the rows are made of values: where a group's deviations are not meant unless they are asked for."""
    return isinstance(newdata, str | Mapping)


def rows_asked(design: Design, newdata: Any) -> pd.DataFrame:
    """The rows of `newdata`: None for those of the fit, "mean" for one row at the means, "balanced" for one of every
    combination of factor levels, a mapping of variables to values for every combination of these, or a table.
    """
    if newdata is None:
        return frame_of_fit(design)
    if isinstance(newdata, Mapping):
        return grid_frame(design, newdata)
    if isinstance(newdata, str) and newdata in WORDS:
        factors = {name: own for name, own in design.variables.values.items() if isinstance(own, pd.Index)}
        return grid_frame(design, factors if newdata == "balanced" else {})
    return design.read(newdata)


def grid_frame(design: Design, given: Mapping[str, Any]) -> pd.DataFrame:
    """Every combination of the values given of some variables, the last changing fastest; the others of the fixed
    effects are numbers at their means, and factors at the level that most rows of the fit have, or where these are not
    kept, at the first.
    """
    known = [name for name in design.variables.values if name != "(offset)"]
    allowed = [*known, *design.formula.groups]
    for name in given:
        if name not in allowed:
            raise FitError(
                f"the model has no variable {written(name)}",
                expected=", ".join(f"`{own}`" for own in allowed),
                hint=did_you_mean(str(name), allowed),
            )
    several = {name: _several(name, own, design) for name, own in given.items()}
    size = int(np.prod([len(own) for own in several.values()])) if several else 1
    if size > MOST_ROWS:
        raise FitError("the grid is too large", found=f"{size} rows", expected=f"at most {MOST_ROWS}")
    rows = list(itertools.product(*several.values()))
    columns: dict[str, Any] = {}
    for k, name in enumerate(several):
        values = [row[k] for row in rows]
        levels = design.variables.values.get(name)
        columns[name] = values
        if isinstance(levels, pd.Index):
            places = match(name, pd.Index(values), levels)
            if (places < 0).any():
                raise FitError(
                    f"the factor `{name}` has no level {written(values[int(np.argmax(places < 0))])}",
                    expected=", ".join(map(str, levels[:10])),
                )
            columns[name] = pd.Categorical.from_codes(places, categories=levels)
    typical = {name: _typical(design, name) for name in known if name not in columns}
    found = pd.DataFrame(
        {**columns, **{name: [own] * size for name, own in typical.items()}}, index=pd.RangeIndex(size)
    )
    return with_offset(found, design, design.variables.values.get("(offset)"))


def _several(name: str, values: Any, design: Design) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    found = list(values)
    if not found:
        raise FitError(f"there is no value of `{name}` in the grid", expected="one or more")
    is_number = name in design.variables.values and not isinstance(design.variables.values[name], pd.Index)
    if is_number and not all(isinstance(one, int | float | np.number) and np.isfinite(one) for one in found):
        raise FitError(f"`{name}` is numeric", found=written(values), expected="finite numbers")
    return found


def _typical(design: Design, name: str) -> Any:
    own = design.variables.values[name]
    column = None if design.table is None else design.table.columns[name]
    if isinstance(own, float):
        return own
    if not isinstance(own, pd.Index):
        return float(np.mean(own)) if column is None else float(np.mean(np.asarray(column)))
    if column is None:
        return own[0]
    return pd.Series(column).mode().iloc[0]
