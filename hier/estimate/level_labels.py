"""Levels of any kind as text in a file, and back as what they were: by a table of kinds, so that nothing is evaluated.

Numbers and text stand in a file as they are. Levels of other kinds are kept as strict JSON beside the text that is
shown for them.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.errors import JobError


class _Kind(NamedTuple):
    """How values of one type are written in JSON, and read again."""

    type: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _timestamp(parts: list[Any]) -> Any:
    value, unit, zone = parts
    stamp: Any = pd.Timestamp(value, unit=unit).as_unit(unit)
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


# By name in the file. A subclass stands before the type that it is one of; the first that fits is taken.
KINDS: Mapping[str, _Kind] = {
    "bool": _Kind(bool, lambda v: v, bool),
    "int": _Kind(int, str, int),
    "float": _Kind(float, float.hex, float.fromhex),
    "text": _Kind(str, lambda v: v, str),
    "decimal": _Kind(decimal.Decimal, str, decimal.Decimal),
    "fraction": _Kind(fractions.Fraction, str, fractions.Fraction),
    "timestamp": _Kind(pd.Timestamp, lambda v: [v._value, v.unit, None if v.tz is None else str(v.tz)], _timestamp),
    "datetime": _Kind(datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": _Kind(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": _Kind(datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "duration": _Kind(
        pd.Timedelta, lambda v: [v._value, v.unit], lambda p: pd.Timedelta(p[0], unit=p[1]).as_unit(p[1])
    ),
    "timedelta": _Kind(
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda p: datetime.timedelta(days=p[0], seconds=p[1], microseconds=p[2]),
    ),
    "period": _Kind(pd.Period, lambda v: [v.ordinal, v.freqstr], lambda p: pd.Period(ordinal=p[0], freq=p[1])),
    "interval": _Kind(
        pd.Interval,
        lambda v: [write_label(v.left), write_label(v.right), v.closed],
        lambda p: pd.Interval(read_label(p[0]), read_label(p[1]), p[2]),
    ),
    "bytes": _Kind(bytes, bytes.hex, bytes.fromhex),
    "uuid": _Kind(uuid.UUID, str, uuid.UUID),
    "tuple": _Kind(tuple, lambda v: [write_label(each) for each in v], lambda p: tuple(read_label(each) for each in p)),
    "set": _Kind(
        frozenset,
        lambda v: sorted(([write_label(each) for each in v]), key=str),
        lambda p: frozenset(map(read_label, p)),
    ),
}


def write_label(value: Any) -> list[Any]:
    """A value as a pair of its kind and JSON. Raises TypeError for a kind that is not in the table."""
    value = value.item() if isinstance(value, np.generic) else value
    for name, kind in KINDS.items():
        # exactly this type: one that only derives from it, such as an enumeration, would come back as less
        if type(value) is kind.type:
            return [name, kind.write(value)]
    raise TypeError(type(value).__name__)


def read_label(pair: Any) -> Any:
    name, value = pair
    return KINDS[name].read(value)


def written(levels: pd.Index) -> str | None:
    """Levels as JSON; None where numbers or text say all. Raises TypeError for a kind of value that is not known."""
    if levels.dtype.kind in "iuf" or all(type(level) is str and _is_plain(level) for level in levels):
        return None
    return json.dumps([str(levels.dtype), [write_label(level) for level in levels]])


def written_if_known(levels: pd.Index) -> str | None:
    """The same, and None for a kind of value that is not known, which is text in a tree."""
    try:
        return written(levels)
    except TypeError:
        return None


def refuse_unknown(factor: str, levels: pd.Index) -> None:
    """Raise JobError where the levels of a grouping factor are of a type that would come back from a file as text."""
    try:
        written(levels)
    except TypeError as error:
        raise JobError(
            f"the levels of `{factor}` are of a type that no file can keep",
            found=f"`{levels[0]}`, of type {error}",
            expected="numbers, text, booleans, dates and times, decimals, intervals, or tuples of these",
            hint="turn them into text before fitting; posterior.data.to_netcdf(path) keeps them as text",
        ) from error


def _is_plain(text: str) -> bool:
    """Whether netCDF keeps a text as it is."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def levels_of(text: str | None, coordinate: np.ndarray) -> pd.Index:
    """The levels that `written` made the text of, or where that was None those that stand in the tree."""
    if text is None:
        return pd.Index(coordinate)
    dtype, pairs = json.loads(text)
    values = [read_label(pair) for pair in pairs]
    if dtype != "object":
        return pd.Index(values).astype(dtype)
    found = np.empty(len(values), object)  # of tuples too, which pandas would make several levels of an index of
    found[:] = values
    return pd.Index(found, dtype=object, tupleize_cols=False)
