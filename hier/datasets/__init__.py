"""Packaged data, each with its source, so that an example is one line and the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from hier.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "list_datasets", "load_dataset"]


@dataclass(frozen=True)
class Dataset:
    """One packaged table: what it holds and where it comes from.

    Attributes
    ----------
    name : what `load_dataset` is called with.
    description : what was measured or simulated, with units.
    source : who measured it and where it was published, or how it was simulated.
    columns : the names of the columns, in order.
    rows : the number of rows.
    """

    name: str
    description: str
    source: str
    columns: tuple[str, ...]
    rows: int


_DATASETS = (
    Dataset(
        name="pigs",
        description="Body weight (kg) of 48 pigs, each weighed once a week for 9 weeks.",
        source=(
            "Diggle, P. J., Liang, K.-Y. and Zeger, S. L. (1994). Analysis of Longitudinal Data, table 3.1. "
            "Oxford University Press. Measured by Dr Philip McCloud, Monash University."
        ),
        columns=("id", "week", "weight"),
        rows=432,
    ),
    Dataset(
        name="sim757",
        description="Simulated: 7 groups of 20 rows with one common intercept and a slope of X for each group.",
        source=(
            "Simulated in R after set.seed(757): slopes sorted from Normal(2.5, 1), intercept 50, residual standard "
            "deviation 16, X uniform on (1, 100). True slopes of groups 1 to 7: 1.595831, 1.729731, 1.900448, "
            "2.034316, 2.285474, 2.700080, 3.802416."
        ),
        columns=("Y", "X", "Group"),
        rows=140,
    ),
)

# What each column holds: the name of a NumPy type, or the levels of a factor.
_TYPES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "pigs": {"id": "int64", "week": "int64", "weight": "float64"},
    "sim757": {"Y": "float64", "X": "float64", "Group": ("1", "2", "3", "4", "5", "6", "7")},
}


def list_datasets() -> dict[str, Dataset]:
    """The packaged tables by name, in a new dictionary."""
    return {dataset.name: dataset for dataset in _DATASETS}


def load_dataset(name: str) -> pd.DataFrame:
    """The packaged table of that name, as a new DataFrame.

    Parameters
    ----------
    name : one of the keys of `list_datasets()`: `"pigs"` (columns id, week: int64; weight: float64, kg) or
        `"sim757"` (Y, X: float64; Group: categorical with the levels "1" to "7").

    Raises
    ------
    DataError : there is no table of that name; the message gives the nearest name.
    """
    known = list_datasets()
    if not isinstance(name, str) or name not in known:
        raise DataError(
            f"There is no packaged data set called {name!r}.",
            expected="one of " + ", ".join(f"`{each}`" for each in known),
            hint=did_you_mean(str(name), known),
        )
    import pandas as pd

    types = {
        column: kind if isinstance(kind, str) else pd.CategoricalDtype(list(kind))
        for column, kind in _TYPES[name].items()
    }
    with resources.files(__name__).joinpath(f"{name}.csv").open("rb") as file:
        # Text first: then each decimal becomes the nearest double, which pandas' own fast parser does not promise.
        return pd.read_csv(file, dtype=str).astype(types)
