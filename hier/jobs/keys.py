"""What a model file may hold: every key with what its value has to be, and the line where a key stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hier.errors import JobError, ModelError, did_you_mean
from hier.model.prior_text import parse_prior
from hier.settings import Setting, choice


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _text_or_space(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _na(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("drop", "error")
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


TOP = {
    "formula": Setting('text, such as "weight ~ week + (week | id)"', _text),
    "data": Setting("the name of a packaged data set, or the path of a CSV file", _text),
    "title": Setting("text", _text),
    "family": Setting('text, such as "gaussian"', _text),
    "link": Setting('text, such as "log"', _text),
    "weights": Setting("the name of a column", _text),
    "offset": Setting("the name of a column", _text),
    "na": Setting('"drop", "error", or a list of the texts that stand for a missing value, such as ["-999"]', _na),
    "sep": Setting('the character between the fields of the data file, such as ";"', _text_or_space),
    "decimal": choice(".", ","),
    "encoding": Setting('the encoding of the data file, such as "latin-1"', _text),
    "centred": Setting("true or false", lambda value: isinstance(value, bool)),
}
READING = ("na", "sep", "decimal", "encoding")  # of these, how the data file is read
FORMULA = Setting('text, such as "~ week"', _text)  # of a further parameter, in the table of formulas
ESTIMATE = {"method": choice("reml", "ml", "map")}
TABLES = ("formulas", "priors", "sample", "estimate")


class Source(NamedTuple):
    """Where values come from: a model file and its text, or the command line (`path` None)."""

    path: Path | None
    text: str = ""

    def where(self, key: str | None = None, table: str = "") -> str | None:
        """The file, and the line of that key where it can be found."""
        if self.path is None:
            return None
        line = None if key is None else line_of(self.text, key, table)
        return str(self.path) if line is None else f"{self.path}, line {line}"


def check_known(given: Mapping[str, Any], known: Iterable[str], source: Source, table: str) -> None:
    """Refuse a key that a model file, or this table of it, does not have; the nearest one is named."""
    known = tuple(known)
    for key in given:
        if key not in known:
            place = f"the table `[{table}]` of a model file" if table else "a model file"
            raise JobError(
                f"{place} has no key `{key}`",
                where=source.where(key, table),
                expected=", ".join(f"`{each}`" for each in known),
                hint=did_you_mean(key, known),
            )


def check_value(name: str, value: Any, key: Setting, source: Source, table: str = "") -> None:
    """Refuse a value of the wrong type or out of range."""
    if not key.fits(value):
        raise JobError(
            f"`{name}` cannot be this", where=source.where(name, table), found=show(value), expected=key.expected
        )


def check_prior(name: str, value: Any, source: Source) -> None:
    """Refuse what is not the text of a prior; whether the model has the parameter shows when it is built."""
    if not isinstance(value, str):
        raise JobError(
            f"the prior of `{name}` has to be text",
            where=source.where(name, "priors"),
            found=show(value),
            expected='text, such as "normal(0, 5)"',
        )
    try:
        parse_prior(value)
    except ModelError as error:
        raise JobError(
            f"the prior of `{name}`: {error.what}",
            where=source.where(name, "priors"),
            found=error.found,
            expected=error.expected,
            hint=error.hint,
        ) from error


def show(value: Any) -> str:
    """A value as it may be printed in a message: on one line, and short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def line_of(text: str, key: str, table: str = "") -> int | None:
    """The line on which a key of a table begins, counted from 1; None where it is not written in the usual way."""
    spelled = "|".join(re.escape(each) for each in (key, json.dumps(key, ensure_ascii=False), f"'{key}'"))
    inside, dotted = re.compile(rf"\s*(?:{spelled})\s*="), re.compile(rf"\s*{re.escape(table)}\.(?:{spelled})\s*=")
    header = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
    within = ""
    for number, line in enumerate(text.splitlines(), start=1):
        opened = header.fullmatch(line)
        if opened:
            within = opened[1].strip("\"'")
        if (opened and not table and within == key) or (within == table and inside.match(line)):
            return number
        if table and not within and dotted.match(line):
            return number
    return None
