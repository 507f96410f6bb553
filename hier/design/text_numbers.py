"""Text where numbers may have been meant: refused, or said, since a number in disguise is a level of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.design.delimited import DECIMAL_COMMA, NUMBER, THOUSANDS
from hier.errors import DataError

FEW_LEVELS = 10  # of numbers as text: so many are labels, more are likely to be numbers
MANY_LEVELS = 20  # of any text in the fixed effects, from which on they are counted in a note
LOOKED_AT = 2_000  # levels
WHOLE = re.compile(r"\d+")
CLASS = re.compile(r".*\d.*")  # "3+", "10-14", ">4", "2a": no stray mark of a missing value


class _Disguise(NamedTuple):
    """How a number is written that is none to a computer: in words, and what turns it into one."""

    what: str
    written: re.Pattern[str]
    hint: str


_GAP = "['’ \u00a0\u202f_]"
DISGUISES = (
    _Disguise(
        "commas, which may part decimals or thousands", THOUSANDS, 'decimal="," reads a file with decimal commas'
    ),
    _Disguise("decimal commas", DECIMAL_COMMA, 'decimal="," reads such a file'),
    _Disguise(
        "separators of thousands",
        re.compile(
            rf"[+-]?\d{{1,3}}(?:{_GAP}\d{{3}})+(?:[.,]\d+)?"
            r"|[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}"
        ),
        "write the numbers without them",
    ),
    _Disguise("percent signs", re.compile(r"[+-]?[\d.,]+\s*%"), "write the numbers without them"),
    _Disguise(
        "signs of a currency",
        re.compile(r"[+-]?[$€£¥]\s*[+-]?\d[\d.,]*|[+-]?\d[\d.,]*\s*[$€£¥]"),
        "write the numbers without them",
    ),
    _Disguise("dashes for minus signs", re.compile(r"[−–—‐‑]\s*\d[\d.,]*"), 'write "-", the sign on the keyboard'),
    _Disguise("digits of another script", re.compile(r"(?![0-9.]*$)[\d.]+"), "write them with the digits 0 to 9"),
)


def check_text(name: str, values: pd.Categorical, index: pd.Index) -> list[str]:
    """What there is to say of a column of text that enters a formula as it stands, one sentence each.

    Raises DataError where most of its levels are numbers, or would be but for how they are written.
    """
    levels = values.categories
    if not all(isinstance(level, str) for level in levels[:LOOKED_AT]):
        return []
    looked = [str(level).strip() for level in levels[:LOOKED_AT]]
    plain = [bool(NUMBER.fullmatch(level)) for level in looked]
    disguised = [None if ok else _disguise(level) for ok, level in zip(plain, looked, strict=True)]
    count = sum(plain) + sum(found is not None for found in disguised)
    if 2 * count > len(looked):
        if not any(disguised) and len(looked) <= FEW_LEVELS and _are_classes(looked, plain):
            return []
        _refuse(name, values, index, plain, disguised)
        return [f"`{name}` is text, and so a factor of {len(levels)} levels, although all of them are numbers"]
    if len(levels) > MANY_LEVELS:
        return [f"`{name}` is text, and so a factor of {len(levels)} levels"]
    return []


def _are_classes(levels: Sequence[str], plain: Sequence[bool]) -> bool:
    """Whether these are classes of counts such as 0, 1, 2, 3+: whole numbers, and others that have digits in them."""
    written = (WHOLE if ok else CLASS for ok in plain)
    return not all(plain) and all(own.fullmatch(level) for own, level in zip(written, levels, strict=True))


def _disguise(text: str) -> _Disguise | None:
    return next((each for each in DISGUISES if each.written.fullmatch(text)), None)


def _refuse(
    name: str, values: pd.Categorical, index: pd.Index, plain: list[bool], disguised: Sequence[_Disguise | None]
) -> None:
    """Refuse numbers that text has made levels of, unless they are few and written plainly."""
    as_labels = f"write factor({name}) if they are labels"
    where = next((k for k, found in enumerate(disguised) if found is not None), None)
    if where is not None:
        found = disguised[where]
        assert found is not None
        raise DataError(
            f"column `{name}` holds numbers with {found.what}, which are text to a computer",
            where=_row(values, where, index),
            found=repr(values.categories[where]),
            expected="numbers such as 1234.5",
            hint=f"{found.hint}; {as_labels}",
        )
    if not all(plain):
        where = plain.index(False)
        raise DataError(
            f"column `{name}` holds numbers, and text among them",
            where=_row(values, where, index),
            found=f"{values.categories[where]!r}, and {sum(plain)} different numbers",
            expected="numbers in every row",
            hint=f"correct it, or if it stands for a missing value leave it empty; {as_labels}",
        )
    if len(plain) > FEW_LEVELS:
        raise DataError(
            f"column `{name}` holds numbers as text, which would be a factor of {len(values.categories)} levels",
            found=", ".join(map(repr, values.categories[:3])),
            expected="numbers",
            hint=f'data["{name}"] = pandas.to_numeric(data["{name}"]); {as_labels}',
        )


def _row(values: pd.Categorical, level: int, index: pd.Index) -> str:
    rows = np.flatnonzero(values.codes == level)
    return (
        f"{len(rows)} of {len(values)} rows, first in the row labelled {index[rows[0]]!r}" if len(rows) else "a level"
    )
