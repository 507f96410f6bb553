"""The model file: the one place that holds the formula and names the data."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """What every program is asked to fit: a formula, a CSV file, and the response's family by hier's name."""

    formula: str
    data: Path
    source: Path
    family: str = "gaussian"

    def arguments(self) -> list[str]:
        """The words that tell a measured program what to fit."""
        return ["--formula", self.formula, "--data", str(self.data), "--family", self.family]


def read(model_file: Path, folder: Path, data: Path | None = None) -> Problem:
    """Read a model file; write its data to `folder` as CSV where they are a packaged data set.

    The data are, in this order: the file given as `data`; a file named in the model file, relative to it; a packaged
    data set of hier. What the file says about sampling is not read: the sizes of the benchmark are fixed by its
    own arguments.
    """
    table = tomllib.loads(model_file.read_text(encoding="utf-8"))
    formula = table["formula"]
    if data is not None:
        return Problem(formula, data.resolve(), model_file)
    named = str(table["data"])
    beside = model_file.parent / named
    if beside.is_file():
        return Problem(formula, beside.resolve(), model_file)
    return Problem(formula, _packaged(named, folder), model_file)


def _packaged(name: str, folder: Path) -> Path:
    """Write a packaged data set to a CSV file that any program can read."""
    try:
        import hier
    except ImportError as error:
        raise SystemExit(f"the data set {name!r} is packaged with hier, which is not installed; give --data") from error
    path = folder / f"{Path(name).name}.csv"
    hier.load_dataset(name).to_csv(path, index=False)
    return path
