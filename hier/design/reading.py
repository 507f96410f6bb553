"""Files of data: what stands at a path, as text where it is a table of text, or refused with what it looks like."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hier.errors import DataError, nearest

POLICIES = ("drop", "error")
LONGEST_PATH = 120  # characters of a path that a message shows
PARQUET = (".parquet", ".pq")
FALLBACK = "cp1252"  # Windows-1252, a superset of Latin-1: what a European file is in when it is not in UTF-8


@dataclass(frozen=True)
class Reading:
    """How a text file of data is read; None leaves a choice to the file itself.

    `sep`: the one character between fields. `decimal`: "." or ",". `encoding`: a codec's name. `na`: texts that stand
    for a missing value in every column, beside the empty field; in columns of numbers `NA` and its like always do.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    na: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        return self == Reading()


def reading_of(sep: str | None, decimal: str | None, encoding: str | None, na: object) -> tuple[str, Reading]:
    """What happens to rows with missing values ("drop" or "error"), and how a file is read, each checked.

    `na`: one of the two words, texts that stand for a missing value, or a list of both. Raises DataError.
    """
    if isinstance(sep, str) and sep in ("\\t", "tab"):  # as a shell hands it over
        sep = "\t"
    if sep is not None and (not isinstance(sep, str) or len(sep) != 1 or sep.isalnum() or sep in '"\r\n.+-'):
        raise DataError(
            "`sep` is the one character between the fields of a file",
            found=repr(sep),
            expected='a comma, ";", a tab ("\\t"), "|" or a space',
        )
    if decimal is not None and (not isinstance(decimal, str) or decimal not in (".", ",")):
        raise DataError("`decimal` is a point or a comma", found=repr(decimal), expected='"." or ","')
    if sep is not None and sep == decimal:
        raise DataError("`sep` and `decimal` cannot be the same character", found=f"{sep!r} for both")
    if encoding is not None:
        _check_encoding(encoding)
    policy, texts = _missing(na)
    return policy, Reading(sep, decimal, encoding, texts)


def _check_encoding(encoding: object) -> None:
    try:
        known = codecs.lookup(encoding) if isinstance(encoding, str) else None
    except (LookupError, ValueError):
        known = None
    if known is None or not getattr(known, "_is_text_encoding", True):
        raise DataError(
            f"there is no encoding {encoding!r}"[:LONGEST_PATH],
            expected='the name of one, such as "utf-8", "latin-1", "cp1252" or "utf-16"',
        )


def _missing(na: object) -> tuple[str, tuple[str, ...]]:
    """The policy among `na`, by default "drop", and the texts among it."""
    given = list(na) if isinstance(na, list | tuple | set | frozenset) else [na]
    policies = [each for each in given if isinstance(each, str) and each in POLICIES]
    texts = [each for each in given if not (isinstance(each, str) and each in POLICIES)]
    alone = not isinstance(na, list | tuple | set | frozenset)
    if len(policies) > 1 or (alone and texts) or not all(isinstance(each, str | int | float) for each in texts):
        raise DataError(
            f"there is no way {f'`{na}`' if isinstance(na, str) else repr(na)} to treat missing values",
            expected='na="drop" or na="error", or of a file a list of the texts that stand for a missing value',
            hint=f'na=["{na}"]' if isinstance(na, str) else None,
        )
    return (policies or ["drop"])[0], tuple(str(each).strip() for each in texts)


AS_IT_IS = Reading()


class Content(NamedTuple):
    """The text of a file in UTF-8, without a byte order mark, and in what encoding it stood there, where that was
    found out and is not UTF-8.
    """

    text: bytes
    encoding: str | None


def path_of(data: str | os.PathLike[str]) -> Path:
    """The path of a file that is there. Raises DataError where it is none, a folder, or not a path at all."""
    written = os.fspath(data)
    if not written:
        raise DataError("the path of the data is empty", expected="a table, or the path of a CSV or Parquet file")
    if "\n" in written or "\r" in written:
        lines = len(written.splitlines())
        raise DataError(
            "the data are text, where a path was expected",
            found=f"{lines} line{'s' if lines > 1 else ''} that begin{'' if lines > 1 else 's'} with "
            + repr(written.splitlines()[0][:40]),
            expected="a table, or the path of a CSV or Parquet file",
            hint="pandas.read_csv(io.StringIO(text)) makes a table of text",
        )
    shown = written if len(written) <= LONGEST_PATH else f"{written[:40]}... ({len(written)} characters)"
    try:
        if "\0" in written:
            raise ValueError("a NUL is no part of a path")
        path = Path(written).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, or `~` of nobody
        raise DataError(
            "this cannot be the path of a file",
            found=ascii(shown),
            expected="the path of a CSV or Parquet file, or a table",
            hint=getattr(error, "strerror", None) or str(error),
        ) from error
    if is_file:
        return path
    if is_folder:
        raise DataError(f"{path.name or shown} is a folder", where=shown, expected="the path of a CSV or Parquet file")
    if "://" in written:
        raise DataError("hier does not fetch data", where=shown, hint="pandas.read_csv(address) makes a table of it")
    near = nearest(path.name, [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise DataError(
        f"there is no file {path.name}",
        where=shown,
        expected="the path of a CSV or Parquet file",
        hint=f"did you mean `{near}`?" if near else "check the folder and the spelling",
    )


def read_bytes(path: Path) -> bytes:
    """What a file holds, unpacked where it is packed. Raises DataError where it cannot be read or is damaged."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read", where=str(path), found=error.strerror or str(error)) from error
    for magic, unpack in _PACKED.items():
        if raw.startswith(magic):
            try:
                return unpack(raw)
            except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
                raise DataError(
                    f"{path.name} is packed, and damaged or incomplete",
                    where=str(path),
                    found=str(error),
                    hint="copy or download the file anew",
                ) from error
    return raw


def is_parquet(path: Path) -> bool:
    """Whether a file is called, or begins, as a Parquet file does."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() in PARQUET or file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{path.name} cannot be read", where=str(path), found=error.strerror or str(error)) from error


def _unzip(raw: bytes) -> bytes:
    """The one file in an archive; an archive of several, such as a workbook, is left as it is."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        return archive.read(names[0]) if len(names) == 1 else raw


_PACKED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"PK\x03\x04": _unzip,
}

# How files begin that are no tables of text: what each is, and the next step.
_OTHERS: Mapping[bytes, tuple[str, str]] = {
    b"PK\x03\x04": ("an Excel workbook or an archive of several files", "save the sheet as CSV, or pandas.read_excel"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV, or pandas.read_excel"),
    b"%PDF": ("a PDF document", "export the table as CSV"),
    b"\x89HDF": ("an HDF5 or netCDF file", "xarray.open_dataset makes a table that hier takes"),
    b"CDF": ("a netCDF file", "xarray.open_dataset makes a table that hier takes"),
    b"SQLite format": ("an SQLite data base", "pandas.read_sql makes a table that hier takes"),
    b"ARROW1": ("a Feather or Arrow file", "pandas.read_feather makes a table that hier takes"),
    b"RDX": ("an R workspace", "write the table from R with write.csv"),
    b"X\n\x00\x00": ("an R object (RDS)", "write the table from R with write.csv"),
    b"$FL2": ("an SPSS file", "pandas.read_spss makes a table that hier takes"),
    b"<stata_dta>": ("a Stata file", "pandas.read_stata makes a table that hier takes"),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it first"),
    b"\x80\x04\x95": ("a Python pickle", "hier reads none; save the table as CSV or Parquet"),
    b"\x80\x05\x95": ("a Python pickle", "hier reads none; save the table as CSV or Parquet"),
    b"\x89PNG": ("a picture", "choose the file of the data"),
    b"\xff\xd8\xff": ("a picture", "choose the file of the data"),
}
_PAGES: Mapping[bytes, tuple[str, str]] = {
    b"<!doctype html": ("a web page, as a failed download leaves", "download the file itself"),
    b"<html": ("a web page, as a failed download leaves", "download the file itself"),
    b"<?xml": ("an XML document", "export the table as CSV"),
    b"{": ("JSON", "pandas.read_json makes a table that hier takes"),
    b"[{": ("JSON", "pandas.read_json makes a table that hier takes"),
    b"version https://git-lfs": ("a pointer of Git LFS in the place of the file", "git lfs pull"),
}
_MARKS = (  # byte order marks, the longer first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(raw: bytes, path: Path, encoding: str | None) -> Content:
    """The text of a file, by the encoding given, by its byte order mark, as UTF-8, or else as Windows-1252.

    Raises DataError for a file that is no table of text, says what it looks like, and where it cannot be decoded.
    """
    if not re.search(rb"[^\x00\r\n\t \xef\xbb\xbf\xff\xfe\x1a]", raw):
        raise DataError(f"{path.name} is empty", where=str(path), found=f"{len(raw)} bytes", expected="a CSV file")
    looks = next((what for magic, what in _OTHERS.items() if raw.startswith(magic)), None)
    begin = raw[:80].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    looks = looks or next((what for magic, what in _PAGES.items() if begin.startswith(magic)), None)
    if looks:
        raise DataError(
            f"{path.name} is no table of text: it looks like {looks[0]}",
            where=str(path),
            expected="a CSV or Parquet file",
            hint=looks[1],
        )
    found = encoding or next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    if found is None and b"\x00" in raw:
        _refuse_nul(raw, path)
    content = _decoded(raw, path, found)
    if b"\x00" in content.text:
        _refuse_nul(content.text, path)
    return content._replace(encoding=None if encoding else content.encoding)


def _decoded(raw: bytes, path: Path, encoding: str | None) -> Content:
    """The text in UTF-8; without an encoding UTF-8 is tried, and then what Windows writes in Western Europe."""
    if encoding in (None, "utf-8-sig") or codecs.lookup(encoding).name in ("utf-8", "ascii"):
        raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            if not raw.isascii():
                raw.decode("utf-8")
            return Content(raw, None)
        except UnicodeDecodeError as error:
            if encoding is not None:
                raise _undecodable(raw, path, encoding, error) from error
    try:
        text = raw.decode(encoding or FALLBACK).removeprefix("\ufeff").encode("utf-8")
        return Content(text, encoding or FALLBACK)
    except UnicodeError as error:
        raise _undecodable(raw, path, encoding or "utf-8", error) from error


def _undecodable(raw: bytes, path: Path, encoding: str, error: UnicodeError) -> DataError:
    at = error.start if isinstance(error, UnicodeDecodeError) else 0
    return DataError(
        f"{path.name} is not in {encoding.upper().removesuffix('-SIG')}",
        where=f"{path}, line {raw.count(b'\n', 0, at) + 1}",
        found=f"the bytes {raw[at : at + 4].hex(' ')}, which stand for nothing there" if raw[at:] else str(error),
        expected="the encoding that the file was written in",
        hint='say it: encoding="..." ("latin-1", "cp1250", "utf-16", "shift_jis", ...)',
    )


def _refuse_nul(raw: bytes, path: Path) -> None:
    """A NUL has no place in text: every other byte of UTF-16 is one, and of a damaged or binary file some are."""
    head = raw[:4096]
    share = head.count(0) / len(head)
    wide = [name for name, start in (("utf-16-le", 1), ("utf-16-be", 0)) if not head[start::2].strip(b"\x00")]
    if wide or 0.3 < share < 0.6:
        name = wide[0] if wide else "utf-16-le"
        raise DataError(
            f"{path.name} looks like UTF-16 without a byte order mark",
            where=str(path),
            found="every second byte is NUL",
            hint=f'encoding="{name}"',
        )
    at = raw.index(0)
    raise DataError(
        f"{path.name} is no table of text, or is damaged: it holds NUL bytes",
        where=f"{path}, line {raw.count(b'\n', 0, at) + 1}",
        found=f"{raw.count(0)} of {len(raw)} bytes are NUL",
        expected="text, such as a CSV file",
        hint="copy or export the file anew",
    )
