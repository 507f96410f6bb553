"""The data door: any table, or file of one, with a name for each column."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hier.design.delimited import TextTable, read_text_table
from hier.design.fields import Uses, typed
from hier.design.reading import AS_IT_IS, Reading, is_parquet, path_of
from hier.errors import DataError


def open_data(data: Any, reading: Reading = AS_IT_IS) -> pd.DataFrame | TextTable:
    """A pandas DataFrame of whatever table was given, or the text of a file: pandas, polars, pyarrow, a mapping of
    arrays, an xarray Dataset, or the path of a CSV or Parquet file.

    Columns are named by text, a number `0` as `"0"`. Raises DataError where it is none of these, has no rows, or has
    two columns of one name, and for options of reading where there is no text to read.
    """
    if isinstance(data, TextTable):
        return data
    opened = _opened(data, reading)
    if isinstance(opened, TextTable):
        return opened
    if not reading.is_default:
        raise DataError(
            "`sep`, `decimal`, `encoding` and texts for missing values are for files of text, such as CSV",
            found=f"{type(data).__name__}" if not isinstance(data, str | os.PathLike) else f"{Path(data).name}",
            hint="leave them out, or give the path of such a file",
        )
    frame = _named(opened)
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()]
        raise DataError(
            f"the table has more than one column named `{repeated[0]}`",
            found=f"columns {', '.join(frame.columns)}",
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


def as_used(opened: pd.DataFrame | TextTable, uses: Uses) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with the columns of a file of text as a formula uses them, and how it was read, one sentence each."""
    return typed(opened, uses) if isinstance(opened, TextTable) else (opened, ())


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with text for the names of its columns, and of the levels of its index."""
    if isinstance(frame.columns.dtype, pd.StringDtype) and not frame.columns.hasnans:
        return frame
    names = [_name(label) for label in frame.columns]
    if names != list(frame.columns) or frame.columns.nlevels > 1:
        frame = frame.set_axis(pd.Index(names, dtype=object), axis=1)
    return frame


def _name(label: Any) -> str:
    """A column's name as text; that of a column under several names is the one that is not empty, if only one is."""
    if isinstance(label, tuple):
        given = [part for part in label if part != ""]
        return str(given[0]) if len(given) == 1 else str(label)
    return str(label)


def has_column(frame: pd.DataFrame, name: str) -> bool:
    """Whether the table has a column of that name, or a level of its index."""
    return name in frame.columns or name in map(str, frame.index.names)


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column of that name, or else the level of the index. Raises KeyError where there is neither."""
    if name in frame.columns:
        found = frame[name]
        return found if isinstance(found, pd.Series) else pd.Series(found)
    at = [k for k, own in enumerate(frame.index.names) if own is not None and str(own) == name]
    if len(at) != 1:
        raise KeyError(name)
    return pd.Series(frame.index.get_level_values(at[0]), index=frame.index, name=name)


def _opened(data: Any, reading: Reading) -> pd.DataFrame | TextTable:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, str | os.PathLike):
        return _read_file(path_of(data), reading)
    if hasattr(data, "to_dataframe") and hasattr(data, "data_vars"):  # an xarray Dataset, which is a Mapping too
        return data.to_dataframe().reset_index()
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if hasattr(data, "collect"):  # a lazy table: polars.LazyFrame
        data = data.collect()
    return _from_elsewhere(data)


def _of_mapping(data: Mapping[Any, Any]) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(data))
    except ValueError as error:
        lengths = ", ".join(f"`{k}`: {np.size(v)}" for k, v in data.items())
        raise DataError(
            "the columns of the table are not of one length", found=lengths, expected="arrays of equal length"
        ) from error


def _from_elsewhere(data: Any) -> pd.DataFrame:
    """A polars or pyarrow table, or another that narwhals knows."""
    import narwhals as nw
    import narwhals.selectors

    try:
        table = nw.from_native(data, eager_only=True)
        enums: list[str] = []
        if table.implementation.is_polars():
            # the codes of a polars Categorical stand in the order of first use in the process; only an Enum has levels
            table = table.with_columns(nw.selectors.by_dtype(nw.Categorical).cast(nw.String))
            enums = table.select(nw.selectors.by_dtype(nw.Enum)).columns
        frame = _of_arrow(table.to_arrow())
        # an Enum's order is that of R's factor levels; an ordered factor, with polynomial contrasts, is more
        return frame.assign(**{name: frame[name].cat.as_unordered() for name in enums}) if enums else frame
    except (TypeError, ValueError) as error:
        raise DataError(
            "the data are not a table that hier can read",
            found=f"an object of type {type(data).__name__}",
            expected="a pandas, polars or pyarrow table, a dict of arrays, an xarray Dataset, or the path of a CSV or "
            "Parquet file",
        ) from error


def _of_arrow(table: Any) -> pd.DataFrame:
    """An Arrow table as pandas; whole numbers beside missing ones stay whole, where floats would lose digits."""
    return table.to_pandas(integer_object_nulls=True)


def _read_file(path: Path, reading: Reading) -> pd.DataFrame | TextTable:
    if not is_parquet(path):
        return read_text_table(path, reading)
    import pyarrow.parquet as pq

    try:
        return _of_arrow(pq.read_table(path))
    except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors
        raise DataError(f"{path.name} cannot be read as a Parquet file", where=str(path), found=str(error)) from error
