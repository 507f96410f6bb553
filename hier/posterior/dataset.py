"""Draws as an xarray dataset in ArviZ's schema, named for the model's columns and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Design
from hier.estimate.tables import correlated_pairs
from hier.posterior.grouping import Group
from hier.posterior.variable_names import dims_of, plain_text, variables_of

if TYPE_CHECKING:
    import xarray as xr


def dataset(
    draws: Mapping[str, np.ndarray],
    groups: Sequence[Group],
    coef_names: Sequence[str],
    attrs: Mapping[str, Any] | None = None,
    further: Mapping[str, Sequence[str] | None] = MappingProxyType({"sigma": None}),
) -> xr.Dataset:
    """Draws (C, D, ...) of `beta`, `sd_GROUP`, `cor_GROUP`, `b_GROUP` of every grouping factor, and of the `further`
    variables (see `further_variables`), those of them that there are and are not empty.

    Source: the ArviZ schema, "InferenceData schema specification".
    """
    import xarray as xr

    dims: dict[str, tuple[str, ...]] = {"beta": ("coef",)}
    coords: dict[str, Any] = {"coef": [plain_text(name) for name in coef_names]}
    for group in groups:
        by_level, by_coef, by_pair = dims_of(group.stem)
        shapes = {"b": (by_level, by_coef), "sd": (by_coef,), "cor": (by_pair,)}
        dims |= {name: shapes[name.partition("_")[0]] for name in variables_of(group.stem)}
        columns = [plain_text(name) for name in group.names]
        coords |= {by_level: coordinate(group.levels), by_coef: columns, by_pair: pair_labels(group)}
    for name, labels in further.items():
        own = "cutpoint" if name == "cutpoints" else f"{name.removeprefix('beta_')}_coef"
        dims[name] = () if labels is None else (own,)
        coords |= {} if labels is None else {own: [plain_text(label) for label in labels]}
    found = {name: (("chain", "draw", *own), draws[name]) for name, own in dims.items() if name in draws}
    found = {name: own for name, own in found.items() if own[1].size}
    used = {dim for shape, _ in found.values() for dim in shape}
    sampled = sample_coords(*next(iter(draws.values())).shape[:2])
    return xr.Dataset(found, sampled | {dim: values for dim, values in coords.items() if dim in used}, attrs)


def pair_labels(group: Group) -> list[str]:
    """The pairs of a grouping factor's columns that have a correlation, such as `Intercept,week`."""
    return [plain_text(f"{group.names[i]},{group.names[j]}") for i, j in correlated_pairs(group.blocks)]


def further_variables(design: Design) -> dict[str, tuple[str, ...] | None]:
    """The variables beside the fixed effects' and the groups', with the labels along their dimension, None for a
    number: the cutpoints, and each further parameter of the response's distribution or its coefficients.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    if design.n_cutpoints:
        found["cutpoints"] = design.cutpoint_names
    for own in design.parameters:
        found |= {f"beta_{own.name}": own.names} if own.has_formula else {own.name: None}
    return found


def numbers_a_draw(design: Design) -> int:
    """How many numbers one draw of all parameters and deviations holds."""
    beside = design.n_cutpoints + sum(len(own.names) for own in design.parameters)
    return (
        len(design.names)
        + beside
        + sum(len(own.names) * (own.n_levels + len(own.names) + 1) for own in design.random_effects)
    )


def sample_coords(chains: int, draws: int) -> dict[str, np.ndarray]:
    """The coordinates of chains and draws."""
    return {"chain": np.arange(chains), "draw": np.arange(draws)}


def coordinate(levels: pd.Index) -> np.ndarray:
    """Levels as a coordinate that netCDF can hold: numbers as they are, everything else as text."""
    if levels.dtype.kind in "iuf":
        return levels.to_numpy()
    return np.array([plain_text(level) for level in levels], object)
