"""Model files: a formula, its data, priors and settings in one small TOML file, so that a model is written once.

title = "Pig growth"
formula = "weight ~ week + (week | id)"
data = "pigs"            # a packaged data set, or the path of a CSV or Parquet file, relative to this file
sep = ";"                # of a CSV file that is not read right without: also decimal, encoding, and na = ["-999"]
family = "gaussian"      # and link = "..." where it is not the family's default
centred = true           # false: priors of group sds hold where covariates are zero, not at their means

[formulas]               # of further parameters of the response's distribution
sigma = "~ week"

[priors]
week = "normal(0, 5)"
"sd_id[week]" = "half_student_t(3, 0, 2)"

[sample]
chains = 4
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hier.datasets import list_datasets, load_dataset
from hier.errors import JobError, did_you_mean
from hier.files import Given, existing, is_folder, is_there, named, place
from hier.formula import Formula
from hier.jobs.keys import (
    ESTIMATE,
    FORMULA,
    READING,
    TABLES,
    TOP,
    Source,
    check_known,
    check_prior,
    check_value,
    show,
)
from hier.settings import DEFAULTS, IN_FILES, Sampling, Setting

if TYPE_CHECKING:
    from hier.interface import Model

LARGEST = 1_000_000  # bytes; a model file is a page of text


@dataclass(frozen=True)
class ModelFile:
    """What a model file says, checked.

    `data`: as written. `folder`: where its path begins. `formulas`, `priors`: text by parameter. `method`: of the
    estimate, None for the one that goes with the family. `path`, `text`: the file and what stands in it; both
    None where formula and data were given in place of a file.
    """

    formula: str
    data: str
    folder: Path
    title: str = ""
    family: str = "gaussian"
    link: str | None = None
    weights: str | None = None
    offset: str | None = None
    na: str | Sequence[str] = "drop"
    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    centred: bool = True
    formulas: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = DEFAULTS
    method: str | None = None
    path: Path | None = None
    text: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The title, or else the name of the file, or else the formula."""
        return self.title or (self.path.stem if self.path else self.formula)

    @property
    def whole_formula(self) -> Formula:
        """The formula with those of further parameters. Raises FormulaError for what cannot be read."""
        return Formula(self.formula, **self.formulas)


def read_model_file(path: Given, folder: Path | None = None) -> ModelFile:
    """Read and check a model file; the path of its data begins in `folder`, by default the file's own.

    Raises JobError with file and line for what is not TOML, and for unknown, missing and misused keys.
    """
    path = place(path, "a model file")
    source = Source(path, _read_text(path))
    try:
        content = tomllib.loads(source.text)
    except (ValueError, RecursionError) as error:  # ValueError: bad TOML, and numbers too long to be one
        reason = "tables nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise JobError(
            f"{path.name} is not TOML",
            where=str(path),
            found=reason,
            expected='lines such as `formula = "weight ~ week + (week | id)"`',
            hint="text stands in quotation marks, and every key once",
        ) from error
    return _checked(content, source, path.parent if folder is None else folder)


def from_formula(formula: str, data: str, folder: Path | None = None) -> ModelFile:
    """The model file that a formula and a data set or CSV file stand for; the path begins in the current folder."""
    for name, value in (("formula", formula), ("data", data)):
        check_value(name, value, TOP[name], Source(None))
    return ModelFile(formula=formula, data=data, folder=folder or Path.cwd())


def with_settings(
    model_file: ModelFile,
    method: str | None = None,
    family: str | None = None,
    link: str | None = None,
    **sampling: Any,
) -> ModelFile:
    """The same formula and data with other settings, those of reading the data among them; None leaves one as it is.

    Raises JobError for a value that cannot be.
    """
    reading = {name: sampling.pop(name) for name in READING if sampling.get(name) is not None}
    for name, value in reading.items():
        check_value(name, value, TOP[name], Source(None))
    model_file = dataclasses.replace(model_file, **reading)
    given = {name: value for name, value in sampling.items() if value is not None and name not in READING}
    for name, value in given.items():
        check_value(name, value, IN_FILES[name], Source(None))
    if method is not None:
        check_value("method", method, ESTIMATE["method"], Source(None))
    if family is not None and family != model_file.family:  # a link of the old family is none of the new one's
        model_file = dataclasses.replace(model_file, family=family, link=None)
    settings = dataclasses.replace(model_file.sampling, **given)
    return dataclasses.replace(
        model_file, sampling=settings, method=method or model_file.method, link=link or model_file.link
    )


def data_path(model_file: ModelFile) -> Path | None:
    """The CSV file of the model, or None where its data are packaged. Raises JobError where there is no such file."""
    if model_file.data in list_datasets():
        return None
    path = model_file.folder / model_file.data
    try:
        is_file, is_there = path.is_file(), path.parent.is_dir()
    except (OSError, ValueError):  # no name that a file can have
        is_file = is_there = False
    if not is_file:
        beside = [each.name for each in path.parent.glob("*.csv")] if is_there else []
        raise JobError(
            f"there is no data set or file `{model_file.data[:120]}`",
            where=Source(model_file.path, model_file.text or "").where("data"),
            found=f"no file {str(path)[:200]}",
            expected="the path of a CSV file, relative to the model file, or one of "
            + ", ".join(f"`{name}`" for name in list_datasets()),
            hint=did_you_mean(model_file.data, [*list_datasets(), *beside]),
        )
    return path


def build(model_file: ModelFile) -> Model:
    """The model on its data. Raises JobError, FormulaError, DataError or ModelError for what cannot be used."""
    path = data_path(model_file)
    data = load_dataset(model_file.data) if path is None else path
    from hier.interface import Model

    return Model(
        model_file.whole_formula,
        data,
        family=model_file.family,
        link=model_file.link,
        priors=model_file.priors,
        weights=model_file.weights,
        offset=model_file.offset,
        **reading_of(model_file),
        centred=model_file.centred,
    )


def reading_of(model_file: ModelFile) -> dict[str, Any]:
    """How the data file is read, by option."""
    return {name: getattr(model_file, name) for name in READING}


def render(model_file: ModelFile) -> str:
    """A model file as TOML text with every setting written out; a CSV file by its full path, as it may be moved."""
    path = data_path(model_file)
    top = {
        "title": model_file.title or None,
        "formula": model_file.formula,
        "data": model_file.data if path is None else str(path.resolve()),
        "family": model_file.family,
        "link": model_file.link,
        "weights": model_file.weights,
        "offset": model_file.offset,
        **reading_of(model_file),
        "centred": model_file.centred,
    }
    tables = {
        "formulas": model_file.formulas,
        "priors": model_file.priors,
        "sample": model_file.sampling.in_files(),
        "estimate": {} if model_file.method is None else {"method": model_file.method},
    }
    blocks = [_lines(top), *([f"[{name}]", *_lines(table)] for name, table in tables.items() if table)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_quoted(k, bare=True)} = {_quoted(v)}" for k, v in table.items() if v is not None]


def _quoted(value: Any, *, bare: bool = False) -> str:
    """A value, or with `bare` a key, as TOML; JSON's escapes are TOML's, but for the character DEL."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if bare and value.isascii() and value.replace("_", "").replace("-", "").isalnum():
        return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_text(path: Path) -> str:
    if is_folder(path) or not is_there(path):
        beside = sorted(map(str, path.parent.glob("*.toml"))) if is_folder(path.parent) else []
        held = path / "model.toml"
        short = named(path)
        raise JobError(
            f"{short} is a folder, not a model file"
            if is_folder(path)
            else f"there is no model file {named(path.name)}",
            where=short,
            expected="the path of a TOML file, or a formula (which contains `~`) with its data",
            hint=f"use {held}" if is_there(held) else did_you_mean(short, beside),
        )
    path = existing(path, "a model file")
    try:
        raw = path.read_bytes() if path.stat().st_size <= LARGEST else None
        text = None if raw is None else raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            f"{path.name} cannot be read", where=str(path), found=str(error), expected="a text file in UTF-8"
        ) from error
    if text is None:
        raise JobError(
            f"{path.name} is too large for a model file",
            where=str(path),
            found=f"{path.stat().st_size} bytes",
            expected=f"at most {LARGEST}",
            hint="data belong in a CSV file of their own",
        )
    return text


def _checked(content: dict[str, Any], source: Source, folder: Path) -> ModelFile:
    check_known(content, (*TOP, *TABLES), source, "")
    for name in ("formula", "data"):
        if name not in content:
            raise JobError(f"the model file has no `{name}`", where=source.where(), expected=TOP[name].expected)
    top = {name: value for name, value in content.items() if name in TOP}
    for name, value in top.items():
        check_value(name, value, TOP[name], source)
    formulas, priors, sample, estimate = (_table(content, name, source) for name in TABLES)
    for name, value in formulas.items():
        check_value(name, value, FORMULA, source, "formulas")
    for name, value in priors.items():
        check_prior(name, value, source)
    _check_table(sample, IN_FILES, source, "sample")
    _check_table(estimate, ESTIMATE, source, "estimate")
    return ModelFile(
        **top,
        **estimate,
        formulas=formulas,
        priors=priors,
        sampling=Sampling(**sample),
        folder=folder,
        path=source.path,
        text=source.text,
    )


def _table(content: Mapping[str, Any], name: str, source: Source) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise JobError(
            f"`{name}` has to be a table", where=source.where(name), found=show(table), expected=f"`[{name}]`"
        )
    return table


def _check_table(given: dict[str, Any], known: Mapping[str, Setting], source: Source, table: str) -> None:
    check_known(given, known, source, table)
    for name, value in given.items():
        check_value(name, value, known[name], source, table)
