"""An estimate as a JSON record that any program can read, and back: strict JSON, what is not a number being null."""

from __future__ import annotations

import datetime
import json
import math
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.errors import JobError
from hier.estimate.level_labels import levels_of, written_if_known
from hier.files import existing, is_folder, place, write
from hier.version import __version__

if TYPE_CHECKING:
    from hier.estimate import Estimate

FORMAT = "hier estimate 1"
NUMBERS = (
    "method",
    "objective",
    "loglik",
    "aic",
    "bic",
    "nobs",
    "df_resid",
    "converged",
    "message",
    "is_singular",
    "sigma",
)
TABLES = ("coefficients", "varcorr", "vcov")
BY_GROUP = ("ranef", "ranef_se")
_LABELS = ("group", "term1", "term2")  # the columns of `varcorr` that hold no numbers
_LIBRARIES = ("jax", "jaxlib", "numpyro", "numpy", "scipy", "pandas", "xarray", "arviz-base", "formulaic")


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """Everything that an estimate says, as lists, text and numbers; a table is `index`, `columns` and `data`."""
    record: dict[str, Any] = {"format": FORMAT, "formula": str(estimate.model.formula)}
    record["family"] = estimate.model.family.name
    record |= {name: getattr(estimate, name) for name in NUMBERS}
    record |= {name: _split(getattr(estimate, name)) for name in TABLES}
    for name in BY_GROUP:
        record[name] = {group: _split(table) for group, table in getattr(estimate, name).items()}
    return plain(record | {"notes": list(estimate.model.design.notes()), "versions": versions()})


def read_estimate(path: str | Path) -> dict[str, Any]:
    """The record of an estimate, its tables as DataFrames; `path` is a run folder or its `estimate.json`.

    `ranef` and `ranef_se` are dicts of DataFrames by grouping factor, as on an Estimate. Raises JobError where there is
    no such file, or it is not one that hier wrote.
    """
    path = place(path, "the record of an estimate")
    path = path / "estimate.json" if is_folder(path) else path
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise JobError(
            f"{path.name} is not an estimate that hier wrote", where=str(path), expected=f"format `{FORMAT}`"
        )
    try:
        tables = {name: _frame(record[name]) for name in TABLES}
        groups = {name: {group: _frame(t, group) for group, t in record[name].items()} for name in BY_GROUP}
        missing = [name for name in NUMBERS if name not in record]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise JobError(f"{path.name} is damaged", where=str(path), found=f"{type(error).__name__}: {error}") from error
    if missing:
        raise JobError(f"{path.name} is damaged", where=str(path), found=f"no {', '.join(missing)}")
    return record | tables | groups


def plain(value: Any) -> Any:
    """A value as JSON has them: numbers that are not finite become None, labels stay numbers, booleans or text."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date):  # a pandas Timestamp is one too
        return value.isoformat()
    return str(value)


def write_json(content: Any, path: Path) -> None:
    """Write strict JSON, readable by people too."""
    write(path, json.dumps(content, allow_nan=False, ensure_ascii=False, indent=1) + "\n", f"the record {path.name}")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises JobError where it is not there or is not JSON."""
    path = existing(path, "the record", hint="check the folder and the spelling")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(
            f"{path.name} cannot be read", where=str(path), found=str(error), expected="JSON in UTF-8"
        ) from error


def versions() -> dict[str, str]:
    """The versions of Python, of hier, and of the libraries that numbers depend on."""
    found = {"hier": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def _split(table: pd.DataFrame) -> dict[str, Any]:
    kept = written_if_known(table.index)
    return {
        "index": [str(label) if isinstance(label, tuple) else label for label in table.index],
        **({} if kept is None else {"levels": kept}),
        "columns": table.columns.tolist(),
        "data": [list(row) for row in table.itertuples(index=False, name=None)],
    }


def _frame(table: dict[str, Any], index_name: str | None = None) -> pd.DataFrame:
    index = levels_of(table.get("levels"), np.asarray(table["index"])).rename(index_name)
    frame = pd.DataFrame(table["data"], columns=table["columns"], index=index)
    numeric = [name for name in frame.columns if name not in _LABELS or index_name is not None]
    return frame.astype(dict.fromkeys(numeric, np.float64))
