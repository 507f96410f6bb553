"""Weights and offsets beside a formula: a column's name, or numbers that go with the rows by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hier.design.fields import Uses
from hier.design.opening import column_of, has_column
from hier.design.table import ModelFrame, select
from hier.errors import DataError

SHOWN = 3
OFFSET = "(offset)"  # what stands beside the formula, as R's model frames call it


def beside_formula(frame: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Weights and offset as columns `(weights)` and `(offset)`, the names that R's model frames have for them.

    Raises DataError for what is not one number per row.
    """
    return {f"({name})": numbers_beside(frame, name, value) for name, value in given.items() if value is not None}


def numbers_beside(frame: pd.DataFrame, name: str, value: Any) -> np.ndarray:
    """What was given as `name`, a column or numbers, row for row with the table (n,)."""
    if isinstance(value, str):
        if not has_column(frame, value):
            select(frame, [value], Uses(frozenset(), frozenset()))  # which says that it is not there
        value = column_of(frame, value)
    else:
        value = _by_label(frame, name, value)
    try:
        found = np.asarray(value)
        if found.dtype.kind not in "iufbO":
            raise TypeError
        numbers = found.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"`{name}` is not numeric", expected="the name of a numeric column, or an array of numbers"
        ) from error
    if numbers.shape != (len(frame),):
        raise DataError(
            f"`{name}` does not match the table",
            found=f"shape {numbers.shape}",
            expected=f"{len(frame)} numbers, one a row",
        )
    return numbers


def _by_label(frame: pd.DataFrame, name: str, given: Any) -> Any:
    """Numbers with labels in the order of the table's rows; numbers without labels as they are.

    The labels are those of a pandas Series, or of an xarray array along dimensions that are columns of the table.
    """
    value: Any = given.iloc[:, 0] if isinstance(given, pd.DataFrame) and given.shape[1] == 1 else given
    rows = frame.index
    if hasattr(value, "to_series") and hasattr(value, "dims"):  # an xarray array
        if value.ndim == 0:
            return value
        value = value.rename(name).to_series()
        if all(own in frame.columns for own in value.index.names):
            columns = [frame[own] for own in value.index.names]
            rows = pd.MultiIndex.from_arrays(columns) if len(columns) > 1 else pd.Index(columns[0])
    if not isinstance(value, pd.Series) or value.index.equals(rows):
        return value
    if value.index.is_unique and rows.isin(value.index).all():
        return value.reindex(rows)
    if len(value) != len(rows):
        return value
    if value.index.is_unique and rows.is_unique:
        raise DataError(
            f"the labels of `{name}` are not those of the table's rows",
            found=_some(value.index),
            expected=_some(rows),
            hint=f"give `{name}` the table's index, or as numbers in the order of its rows: {name}.to_numpy()",
        )
    raise DataError(
        f"the labels of `{name}` are those of several rows, and in another order than the table's",
        expected="each label once, or all of them in the order of the rows",
        hint=f"as numbers in the order of the table's rows: {name}.to_numpy()",
    )


def _some(labels: pd.Index) -> str:
    return ", ".join(map(repr, labels[:SHOWN].tolist())) + (", ..." if len(labels) > SHOWN else "")


def offset_of_fit(given: Any, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The offset that stood beside the formula of the fit, in a new table. Raises DataError where it was numbers."""
    if not isinstance(given, str | None):
        if OFFSET in frame.columns:  # rows of the fit, or of a grid at its mean
            return {OFFSET: frame[OFFSET].to_numpy(dtype=np.float64)}
        raise DataError(
            "the offset of the fit was given as numbers, so it is not known for other rows",
            expected="an offset by its column's name, or `offset(...)` in the formula",
        )
    return beside_formula(frame, {"offset": given})


def weighted_rows(table: ModelFrame) -> tuple[ModelFrame, np.ndarray | None]:
    """The rows that count, and their weights (n,), if there are any: those of weight 0 are left out, since a model says
    nothing of them. Source: R's `glm`, which leaves them out of its degrees of freedom.

    Raises DataError for a negative weight, and where all are 0.
    """
    weights = table.columns.get("(weights)")
    if weights is None:
        return table, None
    values = np.asarray(weights)
    if (values < 0).any():
        raise DataError(
            "weights must be positive",
            found=f"{values.min():g} in the row labelled {table.index[int(values.argmin())]!r}",
            hint="drop the rows that should not count, or give them a weight of 0",
        )
    kept = values > 0
    if not kept.any():
        raise DataError("weights must be positive", found=f"0 in all {len(values)} rows")
    return (table, values) if kept.all() else (table.rows(kept), values[kept])
