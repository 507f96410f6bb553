"""Posterior to ArviZ tree and back, and to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.errors import JobError
from hier.posterior.dataset import dataset, dims_of, in_tree, sample_coords, stems, variables
from hier.posterior.groups import Group
from hier.posterior.levels import levels_of, refuse_unknown, written_if_known
from hier.posterior.result import Posterior, Settings

if TYPE_CHECKING:
    import xarray as xr


def to_tree(posterior: Posterior) -> xr.DataTree:
    """The ArviZ tree of a posterior; variables and dimensions are named for the model's columns and levels."""
    import xarray as xr

    groups = [(group.name, group.blocks, written_if_known(group.levels)) for group in posterior.groups]
    attrs = {
        "formula": posterior.formula,
        "family": posterior.family,
        "groups": json.dumps(groups),
        "further": json.dumps(posterior.further),
        "method": posterior.method,
        "priors": json.dumps(posterior.priors),
        "notes": json.dumps(posterior.notes),
        "digest": json.dumps(posterior.digest),
        "response": posterior.response,
        "creation_library": "hier",
        "inference_library": "numpyro",
        **posterior.settings._asdict(),
    }
    observations = {"obs": np.arange(len(posterior.observed))}
    sampled = sample_coords(posterior.settings.chains, posterior.settings.draws)
    draws = dataset(posterior.draws, posterior.groups, posterior.coef_names, attrs, posterior.further)
    at = zip(posterior.groups, stems([group.name for group in posterior.groups]), strict=True)
    codes = {f"{stem}_codes": (("obs",), group.codes) for group, stem in at}
    response = in_tree(posterior.response, observations)
    return xr.DataTree.from_dict(
        {
            "posterior": draws,
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in posterior.stats.items()}, sampled),
            "observed_data": xr.Dataset({response: (("obs",), posterior.observed)}, observations),
            "constant_data": xr.Dataset(codes, observations),
        }
    )


def from_tree(tree: xr.DataTree) -> Posterior:
    """The posterior that `to_tree` made the tree of."""
    draws = tree["posterior"].dataset
    attrs = draws.attrs
    groups = _groups(tree, json.loads(attrs["groups"]))
    further = {
        str(name): labels if labels is None else tuple(labels) for name, labels in json.loads(attrs["further"]).items()
    }
    names = {there: name for name, there in variables(groups, further).items()}
    (observed,) = tree["observed_data"].dataset.data_vars.values()
    return Posterior(
        formula=str(attrs["formula"]),
        family=str(attrs["family"]),
        response=str(attrs["response"]),
        coef_names=tuple(map(str, draws["coef"].to_numpy())),
        groups=groups,
        further=further,
        method=str(attrs["method"]),
        settings=Settings(*(int(attrs[name]) for name in Settings._fields)),
        priors=json.loads(attrs["priors"]),
        notes=tuple(json.loads(attrs["notes"])),
        draws={names[str(name)]: values.to_numpy() for name, values in draws.data_vars.items()},
        stats={str(name): values.to_numpy() for name, values in tree["sample_stats"].dataset.data_vars.items()},
        observed=observed.to_numpy(),
        digest=json.loads(attrs["digest"]),
    )


def _groups(tree: xr.DataTree, described: list[Any]) -> tuple[Group, ...]:
    """The grouping factors from their names, blocks and levels that are written out, and from what the tree has."""
    draws, constant = tree["posterior"].dataset, tree["constant_data"].dataset
    found = []
    for (name, blocks, levels), stem in zip(described, stems([name for name, *_ in described]), strict=True):
        by_level, by_coef, _ = dims_of(stem)
        found.append(
            Group(
                name=str(name),
                levels=levels_of(levels, draws[by_level].to_numpy()),
                names=tuple(map(str, draws[by_coef].to_numpy())),
                blocks=tuple(
                    Block(int(size), str(kind), bool(one), *(tuple(map(int, places)) for places in more))
                    for size, kind, one, *more in blocks  # files of earlier versions have no places
                ),
                codes=constant[f"{stem}_codes"].to_numpy(),
            )
        )
    return tuple(found)


def save_tree(posterior: Posterior, path: Path) -> Path:
    """Write the tree as netCDF 4, under a temporary name first, so that a file of that name is always whole.

    Raises JobError for levels that would come back as text and no longer be what they were.
    """
    for group in posterior.groups:
        refuse_unknown(group.name, group.levels)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    posterior.data.to_netcdf(part, engine="h5netcdf")
    part.replace(path)
    return path


def load_posterior(path: str | Path) -> Posterior:
    """Read a posterior that `Posterior.save` wrote. Raises JobError where the file is not there or is not one."""
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise JobError(f"there is no file {path.name}", where=str(path), hint="check the folder, or sample again")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return from_tree(tree.load())
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise JobError(
            f"{path.name} is not a posterior that hier wrote",
            where=str(path),
            found=str(error),
            expected="a file of Posterior.save()",
        ) from error
