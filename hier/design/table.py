"""The data door: any table becomes the few columns that a formula uses, checked, with its losses counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hier.errors import ColumnError, DataError, did_you_mean
from hier.formula.tokens import Span

# as pandas infers them from the values
NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})
TIMES = frozenset({"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"})


@dataclass(frozen=True)
class Table:
    """The rows that enter the model.

    `columns`: one array or categorical a column, all of the same length. `index`: labels of the kept rows in the user's
    table. `rows_read`: rows before any was dropped. `missing`: missing values by column, where there are any.
    """

    columns: dict[str, np.ndarray | pd.Categorical]
    index: pd.Index
    rows_read: int
    missing: dict[str, int]

    @property
    def nobs(self) -> int:
        return len(self.index)


def read_frame(data: Any) -> pd.DataFrame:
    """A pandas DataFrame of whatever table was given: pandas, polars, pyarrow, a mapping of arrays, or a CSV file's
    path.

    Raises DataError where it is none of these, has no rows, or has two columns of one name.
    """
    frame = _as_frame(data)
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()]
        raise DataError(
            f"the table has more than one column named `{repeated[0]}`",
            found=f"columns {', '.join(map(str, frame.columns))}",
            expected="each column name once",
            hint="rename or drop the repeated columns",
        )
    if len(frame) == 0:
        raise DataError(
            "the table is empty",
            found="0 rows",
            expected="one row for each measurement",
            hint="check how it was read or filtered",
        )
    return frame


def _as_frame(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, str | Path):
        return _read_file(Path(data))
    if hasattr(data, "to_dataframe") and hasattr(data, "data_vars"):  # an xarray Dataset, which is a Mapping too
        return data.to_dataframe().reset_index()
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame(dict(data))
        except ValueError as error:
            lengths = ", ".join(f"`{k}`: {np.size(v)}" for k, v in data.items())
            raise DataError(
                "the columns of the table are not of one length", found=lengths, expected="arrays of equal length"
            ) from error
    import narwhals as nw
    import narwhals.selectors

    if hasattr(data, "collect") and hasattr(data, "lazy"):  # a polars LazyFrame
        data = data.collect()
    try:
        table = nw.from_native(data, eager_only=True)
        if table.implementation.is_polars():
            # the codes of a polars Categorical stand in the order of first use in the process; only an Enum has levels
            table = table.with_columns(nw.selectors.by_dtype(nw.Categorical).cast(nw.String))
            enums = table.select(nw.selectors.by_dtype(nw.Enum)).columns
            frame = table.to_pandas()
            # an Enum's order is that of R's factor levels; an ordered factor, with polynomial contrasts, is more
            return frame.assign(**{name: frame[name].cat.as_unordered() for name in enums})
        return table.to_pandas()
    except (TypeError, ValueError) as error:
        raise DataError(
            "the data are not a table that hier can read",
            found=f"an object of type {type(data).__name__}",
            expected="a pandas, polars or pyarrow table, a dict of arrays, an xarray Dataset, or the path of a CSV or "
            "Parquet file",
        ) from error


def _read_file(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(
            f"there is no file {path.name}",
            where=str(path),
            expected="the path of a CSV or Parquet file",
            hint="check the folder and the spelling",
        )
    parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        if parquet:
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",", low_memory=False)
    except ImportError as error:
        raise DataError(
            f"{path.name} cannot be read: reading Parquet needs pyarrow", where=str(path), hint="pip install pyarrow"
        ) from error
    except (ValueError, OSError) as error:  # the parsers' errors are ValueErrors
        kind = "Parquet" if parquet else "CSV"
        raise DataError(f"{path.name} cannot be read as a {kind} file", where=str(path), found=str(error)) from error


def select(
    frame: pd.DataFrame,
    variables: Sequence[str],
    factors: Sequence[str],
    extra: Mapping[str, np.ndarray] | None = None,
    *,
    na: str = "drop",
    incomplete: Sequence[str] = (),
    places: Mapping[str, Span] | None = None,
    text: str = "",
) -> Table:
    """The columns named by the formula, without the rows in which one of them is missing.

    Parameters
    ----------
    variables : columns of the formula. factors : those of them that are grouping factors, and so taken as labels.
    extra : further columns given as arrays beside the table (weights, offset). na : "drop" or "error". incomplete :
    columns that may have missing values all the same. places : where the formula `text` names each column.

    Raises DataError for a column that is not there (the nearest name is suggested), for infinite values, where no row
    is complete, and with na="error" where one is not.
    """
    columns: dict[str, Any] = {}
    for name in variables:
        try:
            columns[name] = frame[name]
        except KeyError:
            found, hint = f"columns {', '.join(map(str, frame.columns))}", did_you_mean(name, frame.columns)
            what = f"the table has no column `{name}`"
            if places and name in places:
                raise ColumnError(what, text, places[name], found=found, hint=hint) from None
            raise DataError(what, found=found, hint=hint) from None
        if extra and name in extra:
            raise DataError(f"a column cannot be named `{name}` here", hint="rename the column in the data")
    columns |= dict(extra or {})
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
        columns = {name: values[keep] for name, values in columns.items()}
        index = index[keep]
    # only now, so that whole numbers beside missing ones are still whole numbers
    columns = {
        name: _column(name, values, as_label=name in factors, complete=name not in incomplete or name not in masks)
        if isinstance(values, pd.Series)
        else values
        for name, values in columns.items()
    }
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            _refuse_infinite(name, values, index)
    return Table(columns, index, len(frame), missing)


def _missing(values: Any) -> np.ndarray | None:
    """Which values of a column are missing; None where none is."""
    kind = values.dtype.kind if isinstance(values.dtype, np.dtype) else ""
    if kind in ("i", "u"):
        return None
    mask = np.isnan(np.asarray(values)) if kind == "f" else np.asarray(pd.isna(getattr(values, "array", values)))
    return mask if mask.any() else None


def _column(name: str, series: pd.Series, *, as_label: bool, complete: bool) -> np.ndarray | pd.Categorical:
    """Numbers as float64 or as they stand where they label groups; booleans and text as categoricals with sorted
    levels. `complete`: no value is missing.
    """
    dtype = series.dtype
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
        if as_label and not pd.api.types.is_float_dtype(dtype) and complete:
            return series.to_numpy()
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in NUMBERS and not as_label:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind in TIMES:
        if not as_label:
            raise DataError(
                f"column `{name}` holds dates or times",
                expected="numbers, or text for a factor",
                hint="turn it into a number first, such as days since the first date",
            )
        return pd.Categorical(series)
    try:
        return pd.Categorical(series)
    except TypeError:  # values that cannot be compared with each other, or be hashed
        return _categorical_of_text(name, series)


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
