"""The kinds of value that an expression has, and how they compare: numbers, truth, text as labels, and dates.

Numbers are float64 (n,), truth is boolean, text a categorical, dates datetime64; a constant is a number or a text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hier.design.delimited import NUMBER
from hier.formula.allowlist import ARITHMETIC

DAY = np.timedelta64(1, "D")
_TRUTH = {"TRUE": "True", "FALSE": "False"}  # as R writes them


class Misfit(ValueError):
    """A value that a function cannot take; whoever knows the place in the formula makes a FormulaError of it."""

    def __init__(self, what: str, *, found: str | None = None, expected: str | None = None, hint: str | None = None):
        super().__init__(what)
        self.what, self.details = what, {"found": found, "expected": expected, "hint": hint}


def value_of(column: Any) -> Any:
    """A table's column as an expression takes it: logical values, times and durations by what they are."""
    if not isinstance(column, pd.Categorical):
        return column
    levels = column.categories
    if levels.dtype == bool:
        return np.asarray(column, dtype=np.float64) == 1.0
    kind = pd.api.types.infer_dtype(levels, skipna=True)
    if kind in ("datetime64", "datetime", "date"):
        return pd.DatetimeIndex(pd.to_datetime(levels)).tz_localize(None).to_numpy()[column.codes]
    if kind in ("timedelta64", "timedelta"):
        return (pd.to_timedelta(levels).to_numpy() / DAY)[column.codes]
    return column


def is_text(value: Any) -> bool:
    """Whether a value is labels, a column's or a constant."""
    return isinstance(value, pd.Categorical | str)


def is_date(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.datetime64) and value.dtype.kind == "M"


def days(value: Any) -> Any:
    """Dates as days since 1970-01-01, as R's `as.numeric` has them."""
    return (value - np.datetime64("1970-01-01")) / DAY


def numbers(value: Any, name: str) -> Any:
    """The value as numbers, truth as 0 and 1. Raises Misfit for text and dates; `name` is what it is called."""
    if isinstance(value, str):
        raise Misfit("this computes with numbers", found=f"the text {value!r}")
    if isinstance(value, pd.Categorical):
        raise Misfit(
            f"`{name}` is a factor, and this computes with numbers",
            found=f"levels {', '.join(map(str, value.categories[:3]))}",
            expected="a numeric column, or a comparison such as I(f == 'a')",
        )
    if is_date(value):
        raise Misfit(
            f"`{name}` is a date, and this computes with numbers",
            hint='write `as.numeric(date)` for days since 1970, or `date - as.Date("2020-01-01")` for days since a day',
        )
    # a grouping factor's whole numbers are kept as they stand, and would overflow in arithmetic
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind in "biu" else value


def as_levels(values: np.ndarray) -> pd.Categorical:
    """Numbers as a factor's levels: whole ones as integers, as they would be written."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return pd.Categorical(values)


def texts(value: Any) -> Any:
    """The value as text, an array of it or a constant; a whole number is written without a point."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(int(value)) if float(value).is_integer() else str(value)
    if is_date(value):
        return np.datetime_as_string(value, unit="D").astype(object)
    labels = value if isinstance(value, pd.Categorical) else as_levels(value)
    return labels.categories.astype(str).to_numpy(dtype=object)[labels.codes]


def number_in(text: str) -> float:
    """The number that a label is written as; not a number where it is none, which no number equals."""
    return float(text) if NUMBER.fullmatch(text.strip()) else np.nan


def label_numbers(value: pd.Categorical) -> np.ndarray:
    """The numbers that the labels are or are written as (n,)."""
    return np.array([number_in(str(level)) for level in value.categories])[value.codes]


def dates(value: Any, form: str | None = None) -> Any:
    """Text as dates, written as 2020-12-31 or in a form such as "%d.%m.%Y"; times as their day."""
    if is_date(value):
        return value.astype("datetime64[D]").astype("datetime64[ns]")
    if not is_text(value):
        raise Misfit("a date is made of text", found="numbers", hint='write as.Date("2020-12-31"), with quotes')
    levels = [value] if isinstance(value, str) else value.categories
    read = [pd.to_datetime(str(level), format=form or "%Y-%m-%d", errors="coerce") for level in levels]
    for level, date in zip(levels, read, strict=True):
        if pd.isna(date):
            raise Misfit(
                "this is no date",
                found=repr(level),
                expected=f"dates as {form or '2020-12-31'}",
                hint='another form is told as in as.Date(x, format = "%d.%m.%Y")',
            )
    found = pd.DatetimeIndex(read).to_numpy().astype("datetime64[ns]")
    return found[0] if isinstance(value, str) else found[value.codes]


def compare(op: str, left: Any, right: Any, *, learning: bool) -> Any:
    """Whether a comparison holds in each row (n,). Raises Misfit where numbers are compared with text; of text and
    numbers that cannot be equal only while `learning`, since a few new rows may have no other.
    """
    if is_date(left) or is_date(right):
        return ARITHMETIC[op](dates(left), dates(right))
    if not is_text(left) and not is_text(right):
        return ARITHMETIC[op](left, right)
    if not (is_text(left) and is_text(right)):
        return _with_number(op, left, right, learning=learning)
    if op in ("==", "!="):
        column, other = (left, right) if isinstance(left, pd.Categorical) else (right, left)
        if isinstance(other, str):  # once for each label
            labels = column.categories.astype(str).to_numpy(dtype=object)
            return np.asarray(ARITHMETIC[op](labels, other), dtype=bool)[column.codes]
        return np.asarray(ARITHMETIC[op](texts(left), texts(right)), dtype=bool)
    return _by_order(op, left, right)


def _with_number(op: str, left: Any, right: Any, *, learning: bool) -> Any:
    """A comparison of numbers with text: as text with a constant, as R has it; as numbers with a column of labels."""
    text, other = (left, right) if is_text(left) else (right, left)
    if isinstance(text, pd.Categorical):
        known = label_numbers(text)
        if learning and not np.isfinite(known).any():
            shown = ", ".join(map(repr, text.categories[:3].tolist()))
            raise Misfit("text is compared with a number", found=f"labels {shown}", hint="write the label in quotes")
        return ARITHMETIC[op](*((known, other) if is_text(left) else (other, known)))
    is_truth = other.dtype.kind == "b"
    text = _TRUTH.get(text, text) if is_truth else text
    if op not in ("==", "!=") or (learning and not is_truth and not np.isfinite(number_in(text))):
        raise Misfit("numbers are compared with text", found=repr(text), hint="write the number without quotes")
    return np.asarray(ARITHMETIC[op](other.astype(str).astype(object) if is_truth else texts(other), text), dtype=bool)


def _by_order(op: str, left: Any, right: Any) -> Any:
    """A comparison by the order of an ordered factor's levels."""
    column = left if isinstance(left, pd.Categorical) else right
    if not column.ordered:
        raise Misfit(
            "text has no order to compare by",
            expected="numbers, dates, or an ordered categorical",
            hint='name the labels: x %in% c("a", "b")',
        )
    levels = column.categories.astype(str)
    places = [
        levels.get_indexer(pd.Index(np.atleast_1d(np.asarray(texts(side), dtype=object)))) for side in (left, right)
    ]
    if any((place < 0).any() for place in places):
        raise Misfit("this is none of the ordered levels", expected=", ".join(levels[:10]))
    return ARITHMETIC[op](*places)
