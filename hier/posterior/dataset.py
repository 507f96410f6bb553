"""Draws as an xarray dataset in ArviZ's schema, named for the model's columns and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import xarray as xr


def dataset(
    draws: Mapping[str, np.ndarray],
    group: str,
    levels: pd.Index,
    coef_names: Sequence[str],
    group_names: Sequence[str],
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Draws (C, D, ...) of `beta`, `sd_GROUP`, `cor_GROUP`, `b_GROUP` and `sigma`, those of them that there are.

    Source: the ArviZ schema, "InferenceData schema specification".
    """
    import xarray as xr

    at = in_tree(group)
    by_coef, by_coef_bis = f"{at}_coef", f"{at}_coef_bis"
    dims = {
        "beta": ("coef",),
        f"sd_{group}": (by_coef,),
        f"cor_{group}": (by_coef, by_coef_bis),
        f"b_{group}": (at, by_coef),
        "sigma": (),
    }
    variables = {in_tree(name): (("chain", "draw", *dims[name]), draws[name]) for name in dims if name in draws}
    coords = {
        "coef": list(coef_names),
        by_coef: list(group_names),
        by_coef_bis: list(group_names),
        at: _coordinate(levels),
    }
    used = {dim for shape, _ in variables.values() for dim in shape}
    sampled = sample_coords(*draws["sigma"].shape)
    return xr.Dataset(variables, sampled | {dim: values for dim, values in coords.items() if dim in used}, attrs)


def sample_coords(chains: int, draws: int) -> dict[str, np.ndarray]:
    """The coordinates of chains and draws."""
    return {"chain": np.arange(chains), "draw": np.arange(draws)}


def in_tree(name: str) -> str:
    """A name as a tree can hold it: there a slash parts one level of the tree from the next."""
    return name.replace("/", "|")


def _coordinate(levels: pd.Index) -> np.ndarray:
    """Levels as a coordinate that netCDF can hold: integers and floats as they are, everything else as text."""
    return levels.to_numpy() if levels.dtype.kind in "if" else np.array([str(level) for level in levels], dtype=object)
