"""Files of text: each is read right, or refused with a sentence that says what it looks like."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import hier

FORMULA = "y ~ x + (1 | g)"
Y, X, G = [1.5, 2.25, 3.0, 4.125, 5.5, 6.0], [0.5, 1.0, -2.0, 3.0, 4.5, 6.0], list("abaccb")


def text(sep=",", end="\n", head="y,x,g", decimal=".", after="", groups=G) -> str:
    """The table as text, with a line end after each row."""
    rows = [head.replace(",", sep)]
    rows += [
        sep.join([repr(y).replace(".", decimal), repr(x).replace(".", decimal), g]) + after
        for y, x, g in zip(Y, X, groups, strict=True)
    ]
    return "".join(row + end for row in rows)


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names or ("data.csv",):
            archive.writestr(name, content)
    return packed.getvalue()


class Right(NamedTuple):
    """A file that is read: what it holds, how it is called and read, the levels that it has, what is said of it."""

    content: bytes
    options: dict = {}  # noqa: RUF012
    levels: list = sorted(set(G))
    said: str = ""
    name: str = "data.csv"
    rows: slice = slice(None)


PLAIN = text().encode()
SPACED = pd.DataFrame({"y": Y, "x": X, "g": G}).to_string(index=False).encode()
RIGHT = {
    "commas": Right(PLAIN),
    "no line end at the end": Right(PLAIN.rstrip()),
    "Windows line ends": Right(text(end="\r\n").encode()),
    "line ends of an old Macintosh": Right(text(end="\r").encode()),
    "blank lines": Right(b"\n\n" + text(end="\n\n").encode() + b"\n \n\t\n"),
    "byte order mark": Right(b"\xef\xbb\xbf" + PLAIN),
    "UTF-16": Right(text().encode("utf-16"), said="encoding UTF-16"),
    "UTF-16, big end first": Right(b"\xfe\xff" + text().encode("utf-16-be"), said="encoding UTF-16"),
    "UTF-16 without a mark, named": Right(text().encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "UTF-32": Right(text().encode("utf-32"), said="encoding UTF-32"),
    "UTF-8": Right(text(groups=list("äbäüüb")).encode(), levels=["b", "ä", "ü"]),
    "Windows-1252": Right(text(groups=list("äbäüüb")).encode("cp1252"), levels=["b", "ä", "ü"], said="encoding CP1252"),
    "Latin-2, named": Right(
        text(groups=list("łbłżżb")).encode("latin2"), {"encoding": "latin2"}, levels=["b", "ł", "ż"]
    ),
    "semicolons": Right(text(";").encode(), said="fields separated by `;`"),
    "European": Right(text(";", decimal=",").encode(), said="separated by `;`; decimal commas, as in `1,5`"),
    "European, Windows": Right(
        text(";", "\r\n", decimal=",", groups=list("äbäüüb")).encode("cp1252"),
        levels=["b", "ä", "ü"],
        said="`;`; decimal commas, as in `1,5`; encoding CP1252",
    ),
    "European, said": Right(text(";", decimal=",").encode(), {"sep": ";", "decimal": ","}),
    "European, after Excel's first line": Right(b"sep=;\r\n" + text(";", "\r\n", decimal=",").encode()),
    "commas between commas, in quotation marks": Right(
        b"y,x,g\n" + b"".join(f'"{y}","{x}",{g}\n'.replace(".", ",").encode() for y, x, g in zip(Y, X, G, strict=True)),
        {"decimal": ","},
    ),
    "tabs": Right(text("\t").encode(), said="fields separated by tabs"),
    "tabs, as the name says": Right(text("\t").encode(), name="data.tsv"),
    "tabs, as a shell says": Right(text("\t").encode(), {"sep": "\\t"}),
    "bars": Right(text("|").encode(), said="fields separated by `|`"),
    "single spaces": Right(text(" ").encode(), said="fields separated by spaces"),
    "columns of spaces": Right(SPACED, said="fields separated by runs of spaces"),
    "an empty field at the end of every row": Right(
        text(after=",").encode(), said="the empty field at the end of each"
    ),
    "an empty field at the end of every row and of the header": Right(text(head="y,x,g,", after=",").encode()),
    "row numbers without a name": Right(pd.DataFrame({"y": Y, "x": X, "g": G}).to_csv().encode()),
    "comments above": Right(b"# pigs\n# of 1994, weighed\n" + PLAIN, said="2 comment lines above the header left out"),
    "comments below": Right(PLAIN.replace(b"3.0,-2", b"# second day\n3.0,-2"), said="1 comment line left out"),
    "a header that looks like a comment": Right(b"#" + PLAIN),
    "spaces around names and numbers": Right(b" y , x , g\n" + PLAIN.split(b"\n", 1)[1].replace(b",", b" , ", 1)),
    "quotation marks": Right(
        b'"y","x","g"\n' + b"".join(f'{y},"{x}","{g}"\n'.encode() for y, x, g in zip(Y, X, G, strict=True))
    ),
    "quoted separators, marks and line breaks": Right(
        text(groups=['"a,1"', '"b\n2"', '"a,1"', '"c ""3"""', '"c ""3"""', '"b\n2"']).encode(),
        levels=["a,1", "b\n2", 'c "3"'],
    ),
    "a stray quotation mark": Right(
        text(groups=['5" pipe', "b", '5" pipe', "c", "c", "b"]).encode(), levels=['5" pipe', "b", "c"]
    ),
    "gzip": Right(gzip.compress(PLAIN), name="data.csv.gz"),
    "gzip by another name": Right(gzip.compress(PLAIN)),
    "bzip2": Right(bz2.compress(PLAIN), name="data.csv.bz2"),
    "xz": Right(lzma.compress(PLAIN), name="data.csv.xz"),
    "zip": Right(zipped(PLAIN), name="data.zip"),
    "NA among numbers": Right(PLAIN.replace(b"-2.0", b"NA"), said="(`x` 1)", rows=slice(0, 6)),
    "a text for what is missing": Right(PLAIN.replace(b"-2.0", b"-999"), {"na": ["-999"]}, said="(`x` 1)"),
    "a number for what is missing": Right(PLAIN.replace(b"-2.0", b"-999"), {"na": [-999]}, said="(`x` 1)"),
    "rows of separators below": Right(PLAIN + b",,\n,,\n", said="2 of 8 rows dropped"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_is_read_right(name, tmp_path):
    case = RIGHT[name]
    path = tmp_path / case.name
    path.write_bytes(case.content)
    design = hier.Model(FORMULA, path, **case.options).design
    kept = [k for k in range(6) if not (design.missing.get("x") == 1 and k == 2)]
    np.testing.assert_array_equal(design.y, np.array(Y)[kept])
    np.testing.assert_array_equal(design.X[:, 1], np.array(X)[kept])
    (random,) = design.random_effects
    assert list(random.levels) == case.levels
    order = dict(zip("abc", ["ä", "b", "ü"], strict=True)) if "ü" in case.levels else {}
    if case.levels == sorted(set(G)):
        assert [random.levels[code] for code in random.codes] == [G[k] for k in kept]
    elif order:
        assert [random.levels[code] for code in random.codes] == [order[g] for g in G]
    notes = " ".join(design.notes())
    assert case.said in notes
    assert bool(notes) == bool(case.said) or case.name != "data.csv" or not case.said


class Wrong(NamedTuple):
    """A file that is refused: what it holds, and words of the refusal."""

    content: bytes
    said: list[str]
    options: dict = {}  # noqa: RUF012
    name: str = "data.csv"


WRONG = {
    "empty": Wrong(b"", ["data.csv is empty", "0 bytes"]),
    "blank": Wrong(b"\n \r\n\n", ["data.csv is empty"]),
    "a header alone": Wrong(b"y,x,g\n", ["a header and no rows", "y, x, g"]),
    "one column": Wrong(b"y\n1\n2\n", ["no column `x`", "columns y"]),
    "no header": Wrong(PLAIN.split(b"\n", 1)[1], ["no column `y`", "1.5, 0.5, a"]),
    "a field more in every row": Wrong(
        text(after=",note").encode(), ["one field more than its header", "4 fields, `1.5,0.5,a,note`", "y, x, g"]
    ),
    "row names of R": Wrong(
        b'"y","x","g"\n' + b"".join(f'"{k}",{k}.5,1,"a"\n'.encode() for k in range(1, 7)),
        ["one field more than its header", "col.names = NA"],
    ),
    "a field more in one row": Wrong(
        PLAIN.replace(b"3.0,", b"3.0,7,"),
        ["line 4", "4 fields, `3.0,7,-2.0,a`", "3 fields: y, x, g", "quotation marks"],
    ),
    "a field less in one row": Wrong(
        PLAIN.replace(b"3.0,", b""), ["line 4", "2 fields, `-2.0,a`", "complete the row, or delete it"]
    ),
    "cut off": Wrong(PLAIN[:-5], ["line 7", "it may have been cut off"]),
    "decimal commas between commas": Wrong(
        text(decimal=",").encode(), ["rows of 5", "numbers with decimal commas need another separator"]
    ),
    "a title above the header": Wrong(
        b"Weights of pigs\n" + PLAIN, ["does not look like the names", "line 1", "`Weights of pigs`", "rows of 3"]
    ),
    "two columns of one name": Wrong(PLAIN.replace(b"y,x,g", b"y,x,x"), ["more than one column named `x`", "y, x, x"]),
    "names that spaces tell apart": Wrong(PLAIN.replace(b"y,x,g", b"y,x,x "), ["more than one column named `x`"]),
    "names of nothing": Wrong(PLAIN.replace(b"y,x,g", b",,"), ["names no column"]),
    "an open quotation mark": Wrong(
        PLAIN.replace(b"3.0,-2.0,a", b'3.0,-2.0,"a'), ["quotation mark that is not closed", "line 4"]
    ),
    "two open quotation marks": Wrong(
        PLAIN.replace(b"-2.0,a", b'-2.0,"a').replace(b"4.5,c", b'4.5,"c'), ["not closed as it should be", "line 4"]
    ),
    "NUL bytes": Wrong(PLAIN.replace(b"3.0,-2", b"3\x000,-2"), ["NUL bytes", "line 4", "1 of"]),
    "UTF-16 without a mark": Wrong(text().encode("utf-16-le"), ["looks like UTF-16", 'encoding="utf-16-le"']),
    "no such bytes": Wrong(PLAIN.replace(b"-2.0,a", b"-2.0,\x81"), ["not in UTF-8", "line 4", "81", "encoding="]),
    "not in the encoding named": Wrong(
        text(groups=list("äbäüüb")).encode("cp1252"), ["not in UTF-8", "line 2", "e4"], {"encoding": "utf-8"}
    ),
    "no such encoding": Wrong(PLAIN, ["no encoding 'utf-17'"], {"encoding": "utf-17"}),
    "a codec of no text": Wrong(PLAIN, ["no encoding 'base64'"], {"encoding": "base64"}),
    "a separator of two": Wrong(PLAIN, ["`sep` is the one character", "';;'"], {"sep": ";;"}),
    "a decimal sign of another kind": Wrong(PLAIN, ["`decimal` is a point or a comma"], {"decimal": "·"}),
    "one sign for two things": Wrong(PLAIN, ["cannot be the same"], {"sep": ",", "decimal": ","}),
    "another separator than it has": Wrong(PLAIN, ["no column `y`", "columns y,x,g"], {"sep": ";"}),
    "points among decimal commas": Wrong(
        b"y;x;g\n" + b"".join(f"{k},5;{k}.250;{'ab'[k % 2]}\n".encode() for k in range(6)),
        ["column `x` holds numbers with a point, in a file with decimal commas", "`0.250`", "`0,5`"],
    ),
    "commas that may part thousands": Wrong(
        b"y;x;g\n" + b"".join(f"{k};{k + 1},250;{'ab'[k % 2]}\n".encode() for k in range(6)),
        ["column `x` holds numbers with commas, which may part decimals or thousands", "'1,250'", 'decimal=","'],
    ),
    "thousands": Wrong(
        b"y,x,g\n" + b"".join(f'{k},"{k + 1},250.5",{"ab"[k % 2]}\n'.encode() for k in range(6)),
        ["column `x` holds numbers with separators of thousands", "'1,250.5'"],
    ),
    "percent signs": Wrong(
        b"y,x,g\n" + b"".join(f"{k},{k}.5%,{'ab'[k % 2]}\n".encode() for k in range(6)), ["percent signs", "'0.5%'"]
    ),
    "dashes": Wrong(
        b"y,x,g\n" + b"".join(f"{k},−{k + 1},{'ab'[k % 2]}\n".encode() for k in range(6)),
        ["dashes for minus signs", "'−1'"],
    ),
    "a word among numbers, in a row that is left out": Wrong(
        PLAIN + b"7,none,\n", ["column `x` holds numbers, and text among them", "'none'", "row labelled 6"]
    ),
    "a word among numbers": Wrong(
        PLAIN.replace(b"-2.0", b"<1"), ["column `x` holds numbers, and text among them", "'<1'", "row labelled 2"]
    ),
    "units below the header": Wrong(
        PLAIN.replace(b"y,x,g\n", b"y,x,g\nkg,days,-\n"), ["numbers, and text among them", "row labelled 0"]
    ),
    "damaged gzip": Wrong(gzip.compress(PLAIN * 50)[:-20], ["packed, and damaged"], name="data.csv.gz"),
    "a workbook": Wrong(zipped(PLAIN, "workbook.xml", "sheet.xml"), ["an Excel workbook or an archive of several"]),
    "a damaged archive": Wrong(zipped(PLAIN)[:-40], ["packed, and damaged"]),
    "a web page": Wrong(b"\n<!DOCTYPE html><html><body>404", ["a web page", "download"]),
    "JSON": Wrong(b'{"y": [1, 2], "x": [1, 2]}', ["looks like JSON", "read_json"]),
    "an R object": Wrong(gzip.compress(b"X\n\x00\x00\x00\x03 and so on"), ["R object (RDS)", "write.csv"]),
    "a damaged Parquet file": Wrong(b"PAR1" + bytes(30) + b"PAR1", ["cannot be read as a Parquet file"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_is_refused_with_what_it_looks_like(name, tmp_path):
    case = WRONG[name]
    path = tmp_path / case.name
    path.write_bytes(case.content)
    with pytest.raises(hier.HierError) as caught:
        hier.Model(FORMULA, path, **case.options)
    for words in case.said:
        assert words in str(caught.value)
