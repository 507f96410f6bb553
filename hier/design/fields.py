"""Fields of text become columns by what the formula does with them: numbers where it computes, labels as they stand.

A field is missing where it is empty, or a text that the user named. `NA` and its like are missing too among numbers,
and levels among text. Labels are numbers where each is written as that number is (`12`, `0.5`; not `01`, `1e5` or
`1.50`), so that text and number are one to one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design.delimited import NUMBER, TextTable
from hier.errors import DataError

# what pandas takes for a missing value; it stands for one where everything else in a column is a number
MARKERS = (
    *("NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
    *("-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN"),
)
FIRST = 1000  # fields
MISSING = ("", *MARKERS)
TRUE, FALSE = ("True", "TRUE", "true"), ("False", "FALSE", "false")


class Uses(NamedTuple):
    """What a formula does with columns: those whose values are labels, those whose values are numbers if they can be,
    and of these the ones that stand alone and so may be text; a column can be several.
    """

    labels: frozenset[str]
    numbers: frozenset[str]
    alone: frozenset[str] = frozenset()


def typed(table: TextTable, uses: Uses) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of a file as the formula uses them, and sentences on what they hold; those it does not use are text.

    Raises DataError for a column that is used as numbers and as labels, and cannot be both.
    """
    columns: dict[str, Any] = {}
    notes: list[str] = list(table.notes)
    for name, fields in table.fields.items():
        if name in uses.labels:
            columns[name] = _labels(name, fields, table, name in uses.numbers, notes)
        elif name in uses.numbers:
            columns[name] = _numbers(name, fields, table, notes)
        else:
            columns[name] = pd.array(fields, dtype=pd.ArrowDtype(fields.type))  # as it is, not copied
    return pd.DataFrame(columns, index=pd.RangeIndex(table.rows)), tuple(notes)


def _without_missing(fields: Any, na: tuple[str, ...]) -> tuple[Any, Any]:
    """The fields with nulls for what is missing in any column, and with nulls for what is missing among numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed, null = pc.utf8_trim_whitespace(fields), pa.scalar(None, pa.string())
    missing = pc.is_in(trimmed, value_set=pa.array([*MISSING, *na]))
    if not pc.any(missing).as_py():
        return fields, fields
    always = pc.is_in(trimmed, value_set=pa.array(["", *na]))
    return pc.if_else(always, null, fields), pc.if_else(missing, null, fields)


def _cast(fields: Any, kind: str) -> Any:
    """The fields as numbers, or None where one of them is not such a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(fields.slice(0, FIRST), kind)  # which is enough to tell text
        return pc.cast(fields, kind)
    except pa.ArrowInvalid:
        return None


def _labels(name: str, fields: Any, table: TextTable, is_number: bool, notes: list[str]) -> Any:
    """Labels as they stand, or as the numbers or booleans that are written so."""
    given = known = fields
    integers = None if table.na else _cast(fields, "int64")
    if integers is None:
        given, known = _without_missing(fields, table.na)
        integers = _cast(known, "int64")
    if integers is not None and not _has_zeros_in_front(known):
        values = integers.fill_null(0).to_numpy()
        return pd.arrays.IntegerArray(values, integers.is_null().to_numpy()) if integers.null_count else values
    if is_number:
        return _both(name, known, table)
    distinct = known.unique().drop_null().to_pylist()
    if distinct and all(_as_written(text) for text in distinct) and len(set(map(float, distinct))) == len(distinct):
        return known.cast("float64").to_numpy()
    if distinct and set(distinct) <= {TRUE[0], FALSE[0]}:
        return _booleans(known)
    return _text(name, given, notes)


def _has_zeros_in_front(fields: Any) -> bool:
    """Whether one of these whole numbers is written with zeros in front, as `007`, `0x7` and `-0` are."""
    import pyarrow.compute as pc

    longer = pc.and_(pc.starts_with(fields, "0"), pc.greater(pc.binary_length(fields), 1))
    return bool(pc.any(pc.or_(longer, pc.starts_with(fields, "-0"))).as_py())


def _as_written(text: str) -> bool:
    """Whether a text is how a number in floating point is written; that of a whole one may have no point."""
    return bool(NUMBER.fullmatch(text)) and text in (written := repr(float(text)), written.removesuffix(".0"))


def _both(name: str, fields: Any, table: TextTable) -> Any:
    """Numbers that are labels too. Raises DataError where two labels are one number."""
    numbers = _as_numbers(name, fields, table)
    if numbers is None:
        return fields.to_pandas()
    pairs = pd.DataFrame({"text": fields.to_pandas(), "number": numbers}).dropna().drop_duplicates()
    twice = pd.DataFrame(pairs[pairs["number"].duplicated(keep=False)]).sort_values(by="number")
    if len(twice):
        one, other = twice["text"].iloc[:2]
        raise DataError(
            f"column `{name}` is computed with, and its values are labels too",
            found=f"`{one}` and `{other}`, two labels and one number",
            expected="labels that are different numbers",
            hint=f"make a column of numbers and one of labels of `{name}`",
        )
    return numbers


def _numbers(name: str, fields: Any, table: TextTable, notes: list[str]) -> Any:
    """Numbers where all fields are; booleans where all are true or false; otherwise text."""
    if table.decimal == "." and not table.na and (plain := _cast(fields, "float64")) is not None:
        return plain.to_numpy()
    given, known = _without_missing(fields, table.na)
    found = _as_numbers(name, known, table)
    if found is not None:
        return found
    if set(known.unique().drop_null().to_pylist()[: len(TRUE + FALSE) + 1]) <= {*TRUE, *FALSE}:
        return _booleans(known)
    return _text(name, given, notes)


def _as_numbers(name: str, fields: Any, table: TextTable) -> np.ndarray | None:
    """Fields as numbers, with the file's decimal sign and without spaces around them; None where one is not a number.

    Raises DataError for points among the numbers of a file with decimal commas.
    """
    import pyarrow.compute as pc

    numbers = _cast(fields, "float64") if table.decimal == "." else None
    if numbers is not None:
        return numbers.to_numpy()
    fields = pc.utf8_trim_whitespace(fields)
    if table.decimal == ",":
        pointed = pc.match_substring_regex(fields, r"^[+-]?\d*\.\d+$")
        if pc.any(pointed).as_py():
            example = fields.filter(pointed)[0].as_py()
            raise DataError(
                f"column `{name}` holds numbers with a point, in a file with decimal commas",
                found=f"`{example}`" + (f", and elsewhere `{table.evidence}`" if table.evidence else ""),
                expected="one decimal sign in the whole file",
                hint='say which it is: decimal="," or decimal="."; points between thousands have to go',
            )
        fields = pc.replace_substring(fields, ",", ".")
    numbers = _cast(fields, "float64")
    return None if numbers is None else numbers.to_numpy()


def _booleans(fields: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    true = pc.is_in(fields, value_set=pa.array(TRUE)).to_numpy()
    return pd.arrays.BooleanArray(true, fields.is_null().to_numpy()) if fields.null_count else true


def _text(name: str, fields: Any, notes: list[str]) -> Any:
    """Text as it stands, with a note where a level is called as a missing value may be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    among = fields.filter(pc.is_in(fields, value_set=pa.array(MARKERS)))
    for each in among.unique().to_pylist():
        rows = pc.sum(pc.equal(among, each)).as_py()
        notes.append(
            f"`{each}` is a level of `{name}`, in {rows} row{'s' if rows > 1 else ''}; "
            f'na=["{each}"] takes it for a missing value'
        )
    return fields.to_pandas()
