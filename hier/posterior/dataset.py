"""Draws as an xarray dataset in ArviZ's schema, named for the model's columns and levels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Design
from hier.posterior.groups import Group

if TYPE_CHECKING:
    import xarray as xr

_PARAMETERS = ("sigma", "nu", "shape", "phi", "zi", "hu")
# names that no grouping factor can have there
SCHEMA = frozenset({"chain", "draw", "obs", "coef", "beta", "cutpoints", "cutpoint", *_PARAMETERS})


def dataset(
    draws: Mapping[str, np.ndarray],
    groups: Sequence[Group],
    coef_names: Sequence[str],
    attrs: Mapping[str, Any] | None = None,
    further: Mapping[str, Sequence[str] | None] = MappingProxyType({"sigma": None}),
) -> xr.Dataset:
    """Draws (C, D, ...) of `beta`, `sd_GROUP`, `cor_GROUP`, `b_GROUP` of every grouping factor, and of the `further`
    variables (see `further_variables`), those of them that there are.

    Source: the ArviZ schema, "InferenceData schema specification".
    """
    import xarray as xr

    dims: dict[str, tuple[str, ...]] = {"beta": ("coef",)}
    coords: dict[str, Any] = {"coef": [_text(name) for name in coef_names]}
    for name, labels in further.items():
        own = "cutpoint" if name == "cutpoints" else f"{name.removeprefix('beta_')}_coef"
        dims[name] = () if labels is None else (own,)
        coords |= {} if labels is None else {own: [_text(label) for label in labels]}
    for group, stem in zip(groups, stems([group.name for group in groups]), strict=True):
        by_level, by_coef, by_coef_bis = dims_of(stem)
        shapes = {"sd": (by_coef,), "cor": (by_coef, by_coef_bis), "b": (by_level, by_coef)}
        dims |= {f"{kind}_{group.name}": shape for kind, shape in shapes.items()}
        columns = [_text(name) for name in group.names]
        coords |= {by_level: coordinate(group.levels), by_coef: columns, by_coef_bis: columns}
    names = variables(groups, further)
    found = {names[name]: (("chain", "draw", *dims[name]), draws[name]) for name in names if name in draws}
    used = {dim for shape, _ in found.values() for dim in shape}
    sampled = sample_coords(*next(iter(draws.values())).shape[:2])
    return xr.Dataset(found, sampled | {dim: values for dim, values in coords.items() if dim in used}, attrs)


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


def variables(groups: Sequence[Group], further: Iterable[str] = ("sigma",)) -> dict[str, str]:
    """What each variable of a posterior is called in a tree."""
    names = {"beta": "beta"}
    for group, stem in zip(groups, stems([group.name for group in groups]), strict=True):
        names |= {f"{kind}_{group.name}": f"{kind}_{stem}" for kind in ("sd", "cor", "b")}
    return names | {name: name for name in further}


def dims_of(stem: str) -> tuple[str, str, str]:
    """The dimensions of a grouping factor: its levels, its columns, and these once more."""
    return stem, f"{stem}_coef", f"{stem}_coef_bis"


def stems(names: Sequence[str]) -> list[str]:
    """What the dimensions and variables of grouping factors of these names are named for: the name itself, as long as
    a tree can hold it and nothing else there is called so.
    """
    found: list[str] = []
    taken = set(SCHEMA)
    for name in names:
        stem = in_tree(name)
        while taken & (own := {*dims_of(stem), f"sd_{stem}", f"cor_{stem}", f"b_{stem}"}):
            stem += "_"
        taken |= own
        found.append(stem)
    return found


def sample_coords(chains: int, draws: int) -> dict[str, np.ndarray]:
    """The coordinates of chains and draws."""
    return {"chain": np.arange(chains), "draw": np.arange(draws)}


def in_tree(name: str, taken: Collection[str] = ()) -> str:
    """A name as a tree can hold it: there a slash parts one level of the tree from the next. One that is taken gets an
    underscore.
    """
    stem = _text(name).replace("/", "|")
    while stem in taken or stem == ".":  # which HDF5 takes for the place itself
        stem += "_"
    return stem


def coordinate(levels: pd.Index) -> np.ndarray:
    """Levels as a coordinate that netCDF can hold: numbers as they are, everything else as text."""
    return levels.to_numpy() if levels.dtype.kind in "iuf" else np.array([_text(level) for level in levels], object)


def _text(value: object) -> str:
    """Text with replacement characters for what netCDF has no place for: NUL, and half of a surrogate pair."""
    text = str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text
