"""The few columns of a table that a formula uses, checked, with what was left out counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design.fields import Uses
from hier.design.opening import column_of
from hier.design.text_numbers import check_text
from hier.errors import ColumnError, DataError, did_you_mean
from hier.formula.tokens import Span

# as pandas infers them from the values
NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})
RESERVED = ("(weights)", "(offset)")  # what stands beside the formula, by the names of R's model frames
TIMES = frozenset({"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"})


@dataclass(frozen=True)
class ModelFrame:
    """The rows that enter the model.

    `columns`: one array or categorical a column, all of the same length. `index`: labels of the kept rows in the user's
    table. `rows_read`: rows before any was dropped. `missing`: missing values by column, where there are any. `notes`:
    what there is to say of columns, one sentence each.
    """

    columns: dict[str, np.ndarray | pd.Categorical]
    index: pd.Index
    rows_read: int
    missing: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def nobs(self) -> int:
        return len(self.index)

    def rows(self, kept: np.ndarray) -> ModelFrame:
        """The same with those rows alone that are True in `kept` (n,)."""
        columns = {name: values[kept] for name, values in self.columns.items()}
        return replace(self, columns=columns, index=self.index[kept])


class Mentions(NamedTuple):
    """The text of a formula, and where it names each column first."""

    text: str
    places: Callable[[], Mapping[str, Span]]


def select(
    frame: pd.DataFrame,
    variables: Sequence[str],
    uses: Uses,
    extra: Mapping[str, np.ndarray] | None = None,
    *,
    na: str = "drop",
    incomplete: Sequence[str] = (),
    mentions: Mentions | None = None,
) -> ModelFrame:
    """The columns named by the formula, without the rows in which one of them is missing.

    Parameters
    ----------
    variables : columns of the formula. uses : what it does with them.
    extra : further columns given as arrays beside the table (weights, offset). na : "drop" or "error". incomplete :
    columns that may have missing values all the same. mentions : where the formula names each column.

    Raises DataError for a column that is not there (the nearest name is suggested), for infinite values, where no row
    is complete, and with na="error" where one is not.
    """
    columns: dict[str, Any] = {name: _named_column(frame, name, mentions) for name in variables}
    columns |= dict(extra or {})
    texts = {name: pd.Categorical(columns[name]) for name in uses.alone - uses.labels if _is_text(columns[name])}
    # before any row is left out, since the one that makes text of numbers may be among them
    notes = [said for name, values in texts.items() for said in check_text(name, values, frame.index)]
    columns |= texts
    masks = {name: mask for name, values in columns.items() if (mask := _missing(values)) is not None}
    missing = {name: int(mask.sum()) for name, mask in masks.items() if name not in incomplete}
    index = frame.index
    if missing and na == "error":
        raise DataError(
            "there are missing values",
            found=", ".join(f"`{name}`: {count} missing" for name, count in missing.items()),
            expected=f"a value in every one of the {len(frame)} rows",
            hint=None if incomplete else 'na="drop" leaves the incomplete rows out, and says how many',
        )
    if missing:
        keep = ~np.logical_or.reduce([masks[name] for name in missing])
        if not keep.any():
            raise DataError(
                "no row has a value in every column of the model",
                found=", ".join(f"`{name}`: {count} missing" for name, count in missing.items()),
                expected="complete rows",
            )
        # text keeps the labels of rows that are left out: they may be steps between others
        columns = {name: values[keep] for name, values in columns.items()}
        index = index[keep]
    # only now, so that whole numbers beside missing ones are still whole numbers
    columns = {
        name: _column(name, values, uses, complete=name not in incomplete or name not in masks)
        if isinstance(values, pd.Series)
        else values
        for name, values in columns.items()
    }
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            _refuse_infinite(name, values, index)
    return ModelFrame(columns, index, len(frame), missing, tuple(notes))


def _named_column(frame: pd.DataFrame, name: str, mentions: Mentions | None) -> Any:
    """The column of that name, which is none of hier's own. Raises DataError where there is none."""
    try:
        column = column_of(frame, name)
    except KeyError:
        found, hint = _columns_in_words(frame), _nearest_column(frame, name)
        what = f"the table has no column `{name}`"
        named = mentions.places() if mentions else {}
        if mentions and name in named:
            raise ColumnError(what, mentions.text, named[name], found=found, hint=hint) from None
        raise DataError(what, found=found, hint=hint) from None
    if name in RESERVED:
        raise DataError(f"a column cannot be named `{name}` here", hint="rename the column in the data")
    return column


def _is_text(values: pd.Series) -> bool:
    """Whether a column is text, and not a categorical, whose levels somebody has chosen."""
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) == "string"
    return pd.api.types.is_string_dtype(values.dtype) and not isinstance(values.dtype, pd.CategoricalDtype)


def _columns_in_words(frame: pd.DataFrame) -> str:
    levels = [f"`{name}`" for name in frame.index.names if name is not None]
    within = f"; in the index {', '.join(levels)}" if levels else ""
    return f"columns {', '.join(frame.columns)}{within}"


def _nearest_column(frame: pd.DataFrame, name: str) -> str | None:
    under = [column for column in frame.columns if column.startswith(f"({name!r}, ")]
    if under:
        return (
            f"`{name}` stands above several columns: give each one name, as by "
            'data.columns = ["_".join(map(str, names)) for names in data.columns]'
        )
    return did_you_mean(name, [*frame.columns, *(own for own in frame.index.names if own is not None)])


def _missing(values: Any) -> np.ndarray | None:
    """Which values of a column are missing; None where none is."""
    dtype = values.dtype
    kind = dtype.kind if isinstance(dtype, np.dtype) else ""
    if kind in ("i", "u"):
        return None
    if kind == "f":
        mask = np.isnan(np.asarray(values))
    elif not isinstance(dtype, np.dtype) and pd.api.types.is_float_dtype(dtype):
        # to pandas' and Arrow's own types not a number is not a missing value
        mask = np.isnan(values.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        mask = np.asarray(pd.isna(getattr(values, "array", values)))
    return mask if mask.any() else None


def _column(name: str, series: pd.Series, uses: Uses, *, complete: bool) -> np.ndarray | pd.Categorical:
    """Numbers as float64 or as they stand where they label groups; booleans and text as categoricals with sorted
    levels. `complete`: no value is missing.
    """
    dtype, as_label = series.dtype, name in uses.labels
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        values = series.to_numpy()
        as_it_is = as_label and complete and dtype.kind != "f"
        return values if as_it_is else values.astype(np.float64, copy=False)
    if isinstance(dtype, pd.CategoricalDtype):
        return series.array  # type: ignore[return-value]
    if pd.api.types.is_bool_dtype(dtype):
        return pd.Categorical(series)
    if pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_complex_dtype(dtype):
            raise DataError(f"column `{name}` holds complex numbers", expected="real numbers")
        if as_label and pd.api.types.is_integer_dtype(dtype):
            # as a float a large one would lose digits
            return series.to_numpy(dtype=dtype.numpy_dtype) if complete else _categorical_of_integers(series)
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in NUMBERS and not as_label:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind in TIMES:
        if name in uses.alone and not as_label:
            raise DataError(
                f"column `{name}` holds dates or times",
                expected="numbers, or text for a factor",
                hint=f'write I({name} - as.Date("2020-01-01")) for days since a date, or as.numeric({name}) for days '
                "since 1970-01-01",
            )
        return pd.Categorical(series)
    try:
        return pd.Categorical(series)
    except TypeError:  # values that cannot be compared with each other, or be hashed
        return _categorical_of_text(name, series)


def _categorical_of_integers(series: pd.Series) -> pd.Categorical:
    """Whole numbers beside missing values, as levels."""
    values = pd.Categorical(series)
    return values.rename_categories(pd.Index(values.categories.to_numpy(dtype=series.dtype.numpy_dtype)))


def _categorical_of_text(name: str, series: pd.Series) -> pd.Categorical:
    try:
        return pd.Categorical(series, categories=pd.unique(series.dropna()))
    except TypeError as error:
        raise DataError(
            f"the values of column `{name}` cannot be told apart as levels",
            found=f"values of type {type(series.dropna().iloc[0]).__name__}",
            expected="numbers, text or booleans",
        ) from error


def in_use(values: pd.Categorical) -> tuple[np.ndarray, pd.Index]:
    """Codes and levels of a categorical without missing values, the levels that no row has left out."""
    rows = np.bincount(values.codes, minlength=len(values.categories))
    if rows.all():
        return values.codes, values.categories
    return (np.cumsum(rows > 0) - 1)[values.codes], values.categories[rows > 0]


def _refuse_infinite(name: str, values: np.ndarray, index: pd.Index) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        first = int(np.argmax(infinite))
        raise DataError(
            f"column `{name}` has {int(infinite.sum())} infinite value{'s' if infinite.sum() > 1 else ''}",
            where=f"first in the row labelled {index[first]!r}",
            expected="finite numbers",
            hint="correct or drop these rows",
        )
