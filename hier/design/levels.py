"""Labels of one table among the levels of another: by value, whatever type a table happens to keep them in.

One program reads `7` as a number and another as text. A label that is the number of a level, or is written as one, is
that level; where types differ and nothing agrees, that is an error and no table of new levels.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hier.design.delimited import NUMBER
from hier.errors import DataError
from hier.text import plain_text

EXACT = 2.0**53  # from here on neighbouring whole numbers are one number in floating point
SHOWN = 3
_KINDS = {
    "string": "text",
    "empty": "text",
    "integer": "whole numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "decimal": "decimals",
    "boolean": "booleans",
    "datetime64": "times",
    "datetime": "times",
    "date": "dates",
    "timedelta64": "durations",
    "timedelta": "durations",
    "period": "periods",
    "interval": "intervals",
    "bytes": "bytes",
}


def kind_of(labels: pd.Index) -> str:
    """What labels are, in words: `text`, `whole numbers`, `times`, ..., or their Python type."""
    kind = pd.api.types.infer_dtype(labels, skipna=True)
    if kind in _KINDS:
        return _KINDS[kind]
    types = {type(label).__name__ for label in labels}
    return f"values of type {types.pop()}" if len(types) == 1 else "values of several types"


def coordinate(levels: pd.Index) -> np.ndarray:
    """Levels as a coordinate that netCDF can hold: numbers as they are, everything else as text."""
    if levels.dtype.kind in "iuf":
        return levels.to_numpy()
    return np.array([plain_text(level) for level in levels], object)


def match(name: str, labels: pd.Index, levels: pd.Index) -> np.ndarray:
    """The place of each label among the levels of the factor `name`, -1 where it is none of them.

    Raises DataError where labels and levels are of different types and not one agrees, where two labels would be one
    level, and for whole numbers that have lost digits.
    """
    if len(labels) == 0:
        return np.zeros(0, np.int64)
    if labels.dtype == levels.dtype and labels.dtype != object:
        return levels.get_indexer(labels)
    _refuse_lost_digits(name, labels, levels)
    values, known = labels.tolist(), {level: k for k, level in enumerate(levels.tolist())}
    places = np.array([_find(value, known) for value in values], np.int64)
    if (places < 0).any() and kind_of(labels) != kind_of(levels):
        places = _across_types(name, labels, levels, places)
    return places


def _find(value: Any, known: Mapping[Hashable, int]) -> int:
    try:
        return known.get(value, -1)
    except TypeError:  # cannot be hashed, and so is no level
        return -1


def _across_types(name: str, labels: pd.Index, levels: pd.Index, places: np.ndarray) -> np.ndarray:
    """Places with those of labels that are written as a level is, or that stand for the same number."""
    written = {str(level): k for k, level in enumerate(levels)}
    meant: dict[Any, set[int]] = {}
    for k, level in enumerate(levels):
        meant.setdefault(_number(level), set()).add(k)
    meant.pop(None, None)
    for j, label in enumerate(labels):
        if places[j] >= 0:
            continue
        number = _number(label)
        places[j] = written.get(str(label), written.get(str(number), -1))
        if places[j] < 0 and len(meant.get(number, ())) == 1:
            (places[j],) = meant[number]
    found = places[places >= 0]
    if len(found) == 0:
        raise DataError(
            f"the labels of `{name}` are {kind_of(labels)}, and were {kind_of(levels)} in the data of the fit",
            found=_some(labels),
            expected=_some(levels),
            hint=f"give `{name}` the type that it had in the data of the fit",
        )
    if len(set(found.tolist())) < len(found):
        twice = next(place for place in found if (places == place).sum() > 1)
        raise DataError(
            f"two labels of `{name}` would be one level of the fit",
            found=f"{_some(labels[places == twice])} ({kind_of(labels)})",
            expected=f"labels as in the data of the fit, such as {levels[twice]!r} ({kind_of(levels)})",
        )
    return places


def _number(label: Any) -> float | int | None:
    """The number that a label is or that its text stands for; None where there is none."""
    if isinstance(label, str):
        text = label.strip().lower()
        if text in ("true", "false"):
            return int(text == "true")
        if not NUMBER.fullmatch(text):
            return None
        return int(text) if text.lstrip("+-").isdigit() else _number(float(text))
    if isinstance(label, bool | np.bool_ | int | float | np.integer | np.floating):
        number = float(label)
        return int(label) if number == np.floor(number) and np.isfinite(number) else number
    return None


def _refuse_lost_digits(name: str, labels: pd.Index, levels: pd.Index) -> None:
    """Refuse whole numbers in floating point where that cannot hold them, as a missing value beside them makes it."""
    for own, other in ((labels, levels), (levels, labels)):
        if own.dtype.kind == "f" and other.dtype.kind != "f":
            large = np.abs(own.to_numpy(dtype=float)) >= EXACT
            if large.any():
                raise DataError(
                    f"the labels of `{name}` have lost digits: whole numbers beyond 2^53 in floating point",
                    found=_some(own[large]),
                    expected=_some(other),
                    hint='keep them as text or as "Int64", which have room for missing values',
                )


def _some(labels: pd.Index) -> str:
    return ", ".join(map(repr, labels[:SHOWN].tolist())) + (", ..." if len(labels) > SHOWN else "")
