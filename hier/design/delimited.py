"""Text files of data: where their fields end is found out, and each field is kept as it stands.

Nothing becomes a number here: whether `01` is one or a label is known only from the formula (see `hier.design.fields`).
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hier.design.reading import Reading, read_bytes, text_of
from hier.errors import DataError

SEPARATORS = {",": "commas", ";": "`;`", "\t": "tabs", "|": "`|`", " ": "spaces"}
SAMPLE = 1 << 16  # bytes at the start of a file by which its form is recognised
SAMPLE_ROWS = 200
BLOCK = 1 << 23  # bytes that are parsed at a time; a row may not be longer
COMMENT = "#"
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)


@dataclass(frozen=True)
class TextTable:
    """The fields of a file as text, one column each, row for row; a column without a name is left out.

    `fields`: Arrow's columns of text by name, null where a field is missing whatever the column. `rows`: their length.
    `decimal`: the sign between the digits of a number; `evidence`: the field by which that was found to be a comma.
    `na`: texts that the user said stand for a missing value. `notes`: what was found out, one sentence each.
    """

    path: Path
    fields: dict[str, Any]
    rows: int
    decimal: str
    evidence: str | None
    na: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        return list(self.fields)

    def __len__(self) -> int:
        return self.rows


class _Form(NamedTuple):
    """How a text is written: `sep`arator, `names` in the header, the `width` of most rows; `quoted`: whether text
    stands in quotation marks throughout. The rows begin at byte `start`, below `lines` lines. `rows`: the first of
    them. `said`: what was found out on the way.
    """

    sep: str
    names: list[str]
    width: int
    quoted: bool
    start: int
    lines: int
    rows: list[list[str]]
    said: list[str]


def read_text_table(path: Path, reading: Reading) -> TextTable:
    """The table of text in a file. Raises DataError where it is none, and says what it looks like."""
    content = text_of(read_bytes(path), path, reading.encoding)
    text, spaced = _single_spaced(content.text) if reading.sep is None else (content.text, False)
    form = _form(text, path, reading.sep)
    _refuse_header(form, path)
    columns, rows, skipped = _parse(text, form, path)
    said = [*form.said]
    if reading.sep is None and form.sep != ("\t" if _is_tabbed(path) else ","):
        said.insert(0, f"fields separated by {'runs of spaces' if spaced else SEPARATORS.get(form.sep, form.sep)}")
    decimal, evidence = (reading.decimal, None) if reading.decimal else _decimal(form)
    if evidence is not None:
        said.append(f"decimal commas, as in `{evidence}`")
    if content.encoding is not None:
        said.append(f"encoding {content.encoding.upper()}")
    if skipped:
        said.append(f"{skipped} comment line{'s' if skipped > 1 else ''} left out")
    notes = (f"{path.name} was read so: {'; '.join(said)}",) if said else ()
    return TextTable(path, columns, rows, decimal, evidence, reading.na, notes)


def _is_tabbed(path: Path) -> bool:
    return {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes} != set()


def _single_spaced(text: bytes) -> tuple[bytes, bool]:
    """A text whose fields stand in columns, with one tab in the place of each run of spaces; any other as it is."""
    head = text[:SAMPLE]
    if not re.search(rb"  ", head) or re.search(rb'["|,;\t]', head):
        return text, False
    lines = [line.split() for line in head.splitlines()[:SAMPLE_ROWS] if line.strip()]
    if len(lines) < 2 or len(lines[0]) < 2 or len({len(line) for line in lines[:-1]}) > 1:
        return text, False
    return re.sub(rb" +", b"\t", re.sub(rb"(?m)^ +| +(?=\r?$)", b"", text)), True


def _form(text: bytes, path: Path, sep: str | None) -> _Form:
    """How a text is written, from its first rows."""
    lines = io.StringIO(text[:SAMPLE].decode("utf-8", errors="ignore"), newline="").readlines()
    if len(text) > SAMPLE and len(lines) > 1:
        lines = lines[:-1]  # which is cut off
    first, comments, said = 0, 0, list[str]()
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith(COMMENT)):
        comments += bool(lines[first].strip())
        first += 1
    named = re.fullmatch(r"sep=(.)\s*", lines[first]) if first < len(lines) else None
    if named:  # as Excel has it
        sep, first = sep or named[1], first + 1
    elif comments and _is_header(lines[first - 1], lines[first:], sep):
        first, comments = first - 1, comments - 1
        lines[first] = " " + lines[first][1:]
    if first >= len(lines):
        raise DataError(f"{path.name} holds no table", where=str(path), found="comment lines and no rows")
    if comments:
        said.append(f"{comments} comment line{'s' if comments > 1 else ''} above the header left out")
    lines, above = lines[first:], lines[:first]
    sep = sep or _separator(lines, path)
    reader = csv.reader(lines, delimiter=sep)
    names = [name.strip() for name in next(reader)]
    above += lines[: reader.line_num]
    rows = _first_rows(lines[reader.line_num :], sep)
    widths = Counter(map(len, rows))
    width = widths.most_common(1)[0][0] if widths else len(names)
    while len(names) > width and not names[-1]:
        names.pop()
    header = lines[0].strip()
    quoted = header.startswith('"') and header.endswith('"')
    return _Form(sep, names, width, quoted, len("".join(above).encode()), len(above), rows, said)


def _first_rows(lines: Sequence[str], sep: str) -> list[list[str]]:
    """The first rows that are neither empty nor a comment."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=sep):
            if row and not row[0].startswith(COMMENT):
                rows.append(row)
            if len(rows) > SAMPLE_ROWS:
                break
    except csv.Error:  # a field longer than any is: a quotation mark that is never closed, which is refused later
        pass
    return rows


def _is_header(comment: str, rest: Sequence[str], sep: str | None) -> bool:
    """Whether a line that begins like a comment names the columns: the next has as many fields, and numbers."""
    if not rest or not comment.startswith(COMMENT):
        return False
    for each in [sep] if sep else SEPARATORS:
        names, values = [next(csv.reader([line], delimiter=each)) for line in (comment, rest[0])]
        if len(names) == len(values) > 1 and any(NUMBER.fullmatch(value.strip()) for value in values):
            return True
    return False


def _separator(lines: Sequence[str], path: Path) -> str:
    """The separator by which most rows have as many fields as the header; of several the one that makes the most."""
    best, most = ",", (0.5, 1)
    for sep in ["\t", *SEPARATORS] if _is_tabbed(path) else SEPARATORS:
        rows = _first_rows(lines, sep)
        width = len(rows[0]) if rows else 0
        agree = [len(row) in (width, width + 1) for row in rows[1:]] or [True]
        own = (sum(agree) / len(agree), width)
        if width > 1 and own > most:
            best, most = sep, own
    return best


def _decimal(form: _Form) -> tuple[str, str | None]:
    """A comma where fields of the first rows are numbers with one, and that field; thousands may be parted by commas
    too, so that `1,234` alone shows nothing.
    """
    if form.sep != ",":
        for row in form.rows:
            for value in row:
                if DECIMAL_COMMA.fullmatch(value.strip()) and not THOUSANDS.fullmatch(value.strip()):
                    return ",", value.strip()
    return ".", None


def _refuse_header(form: _Form, path: Path) -> None:
    """Refuse a header that does not name the columns."""
    named = Counter(name for name in form.names if name)
    repeated = [name for name, count in named.items() if count > 1]
    if repeated:
        raise DataError(
            f"{path.name} has more than one column named `{repeated[0]}`",
            where=str(path),
            found=f"columns {', '.join(form.names)}",
            expected="each column name once",
            hint="rename or drop the repeated columns",
        )
    if not named:
        raise DataError(f"the first line of {path.name} names no column", where=str(path), expected="names of columns")
    if form.width > len(form.names) + 1:
        raise DataError(
            f"the first line of {path.name} does not look like the names of its columns",
            where=f"{path}, line {form.lines}",
            found=f"{_fields(len(form.names))}, `{form.sep.join(form.names)[:60]}`, above rows of {form.width}",
            expected="one line of names above the rows",
            hint="delete what stands above the names, or name every column" + _commas(form.sep, form.rows[0]),
        )


def _parse(text: bytes, form: _Form, path: Path) -> tuple[dict[str, Any], int, int]:
    """The columns by name, their length, and how many comment lines stood among the rows."""
    import pyarrow as pa

    if not re.compile(rb"\S").search(text, form.start):
        found = f"columns {', '.join(form.names)}"
        raise DataError(f"{path.name} has a header and no rows", where=str(path), found=found)
    bad, skipped = list[Any](), list[str]()

    def on_row(row: Any) -> str:
        """What Arrow does with a row of another width."""
        if row.text.startswith(COMMENT):
            skipped.append(row.text)
        elif row.text.strip(" \t\x1a"):
            bad.append(row)
            return "error"
        return "skip"

    extra = form.width == len(form.names) + 1
    labels = [f"c{k}" for k in range(len(form.names) + extra)]
    try:
        try:
            table = _arrow(text, labels, form, BLOCK, on_row)
        except pa.ArrowInvalid:
            if bad or len(text) <= BLOCK:
                raise
            skipped.clear()
            table = _arrow(text, labels, form, min(len(text), 2**31 - 1), on_row)  # a row is longer than a block
    except pa.ArrowInvalid as error:
        if bad:
            raise _ragged(bad[0], text, form, path) from error
        raise DataError(f"{path.name} cannot be read as a CSV file", where=str(path), found=str(error)[:200]) from error
    if table.num_rows == 0:
        raise DataError(f"{path.name} has a header and no rows", where=str(path), found=f"columns {form.names}")
    columns = dict(zip(labels, table.columns, strict=True))
    if text.find(b'"', form.start) >= 0:
        _refuse_open_quote(text, columns.values(), form, path)
    if extra:
        _refuse_unnamed(columns[labels[-1]], form, path)
        form.said.append("the empty field at the end of each row left out")
    return (
        {name: columns[label] for name, label in zip(form.names, labels, strict=False) if name},
        table.num_rows,
        len(skipped),
    )


def _arrow(text: bytes, labels: list[str], form: _Form, block: int, on_row: Any) -> Any:
    """Arrow's table of the rows below the header, every field text."""
    import pyarrow as pa
    import pyarrow.csv as reader

    return reader.read_csv(
        pa.BufferReader(pa.py_buffer(text).slice(form.start)),  # which copies nothing
        # on one thread rows come to `on_row` in order
        reader.ReadOptions(column_names=labels, block_size=block, use_threads=len(text) > BLOCK),
        reader.ParseOptions(
            delimiter=form.sep, newlines_in_values=text.find(b'"', form.start) >= 0, invalid_row_handler=on_row
        ),
        reader.ConvertOptions(
            column_types=dict.fromkeys(labels, pa.string()),
            # a writer that puts all text in quotation marks, as R does, leaves a missing value without them
            null_values=["NA"] if form.quoted else [],
            strings_can_be_null=form.quoted,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _refuse_open_quote(text: bytes, columns: Any, form: _Form, path: Path) -> None:
    """Refuse a quotation mark that is never closed: it takes the rows up to the next one into one field."""
    import pyarrow.compute as pc

    if not any(pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py() for column in columns):
        return
    rows = io.StringIO(text[form.start :].decode("utf-8"), newline="")
    reader = csv.reader(rows, delimiter=form.sep, strict=True)
    before = 0
    try:
        for _ in reader:
            before = reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{path.name} has a quotation mark that is not closed as it should be",
            where=f"{path}, line {form.lines + before + 1}",
            found=str(error),
            expected="text that holds a separator or a line break between two quotation marks",
            hint='a quotation mark inside such text is written twice: ""',
        ) from error


def _refuse_unnamed(column: Any, form: _Form, path: Path) -> None:
    """Refuse rows with one field more than the header unless it is empty in all of them: it may be the first that has
    no name, or the last, and the two answers differ.
    """
    import pyarrow.compute as pc

    given = pc.and_kleene(pc.is_valid(column), pc.not_equal(pc.utf8_trim_whitespace(column), ""))
    if pc.any(given).as_py():
        row = form.rows[0]
        raise DataError(
            f"the rows of {path.name} have one field more than its header has names",
            where=f"{path}, line {form.lines + 1}",
            found=f"{_fields(len(row))}, `{form.sep.join(row)[:60]}`, below {len(form.names)} names",
            expected=f"{_fields(len(form.names))}: {', '.join(form.names)[:200]}",
            hint="name every column; R writes row names with a name of their own by write.csv, or col.names = NA"
            + _commas(form.sep, row),
        )


def _ragged(row: Any, text: bytes, form: _Form, path: Path) -> DataError:
    """The refusal of a row that has another number of fields than the others."""
    written = row.text.encode()
    at = max(text.find(written, form.start), form.start)
    line = form.lines + 1 + (text.count(b"\n", form.start, at) or text.count(b"\r", form.start, at))
    if row.actual_columns > row.expected_columns:
        hint = f"put text that holds {SEPARATORS.get(form.sep, repr(form.sep))} in quotation marks"
        hint += _commas(form.sep, row.text.split(","))
    elif not text[at + len(written) :].strip():
        hint = "the file ends there: it may have been cut off"
    else:
        hint = "complete the row, or delete it"
    return DataError(
        f"{path.name} has a row that does not go with its header",
        where=f"{path}, line {line}",
        found=f"{_fields(row.actual_columns)}, `{row.text[:60]}`",
        expected=f"{_fields(row.expected_columns)}: {', '.join(form.names)[:200]}",
        hint=hint,
    )


def _commas(sep: str, row: Sequence[str]) -> str:
    """A word on decimal commas, where they may have made two fields of one."""
    whole = [value.strip().lstrip("+-").isdigit() for value in row]
    split = sep == "," and any(one and other for one, other in itertools.pairwise(whole))
    return "; numbers with decimal commas need another separator, or quotation marks" if split else ""


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"
