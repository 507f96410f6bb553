"""Draws as an xarray dataset in ArviZ's schema, named for the model's columns and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Design, coordinate
from hier.estimate.tables import correlated_pairs
from hier.model.parameter_names import further_variable, parameter_of
from hier.posterior.grouping import Group
from hier.posterior.variable_names import dims_of
from hier.text import plain_text

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
        own = group.variables
        dims |= dict.fromkeys((own.sd, own.sd_centred), (by_coef,))
        dims |= dict.fromkeys((own.cor, own.cor_centred), (by_pair,)) | {own.b: (by_level, by_coef)}
        columns = [plain_text(name) for name in group.names]
        coords |= {by_level: coordinate(group.levels), by_coef: columns, by_pair: pair_labels(group)}
    for name, labels in further.items():
        along = "cutpoint" if name == "cutpoints" else f"{parameter_of(name)}_coef"
        dims[name] = () if labels is None else (along,)
        coords |= {} if labels is None else {along: [plain_text(label) for label in labels]}
    there = {name: shape for name, shape in dims.items() if name in draws and draws[name].size}
    found = {name: (("chain", "draw", *shape), draws[name]) for name, shape in there.items()}
    used = {dim for shape, _ in found.values() for dim in shape}
    used |= {dims_of(group.stem)[0] for group in groups}  # also of deviations that were not kept
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
        variable = further_variable(own.name, has_formula=own.has_formula)
        found[variable] = own.names if own.has_formula else None
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
