"""Posterior to ArviZ tree and back, and to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hier.design import Block
from hier.errors import JobError
from hier.posterior.dataset import dataset, in_tree, sample_coords
from hier.posterior.result import Posterior, Settings

if TYPE_CHECKING:
    import xarray as xr


def to_tree(posterior: Posterior) -> xr.DataTree:
    """The ArviZ tree of a posterior; variables and dimensions are named for the model's columns and levels."""
    import xarray as xr

    group = posterior.group
    attrs = {
        "formula": posterior.formula,
        "family": posterior.family,
        "group": group,
        "blocks": json.dumps(posterior.blocks),
        "priors": json.dumps(posterior.priors),
        "notes": json.dumps(posterior.notes),
        "response": posterior.response,
        "creation_library": "hier",
        "inference_library": "numpyro",
        **posterior.settings._asdict(),
    }
    observations = {"obs": np.arange(len(posterior.observed))}
    sampled = sample_coords(posterior.settings.chains, posterior.settings.draws)
    draws = dataset(posterior.draws, group, posterior.levels, posterior.coef_names, posterior.group_names, attrs)
    return xr.DataTree.from_dict(
        {
            "posterior": draws,
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in posterior.stats.items()}, sampled),
            "observed_data": xr.Dataset({in_tree(posterior.response): (("obs",), posterior.observed)}, observations),
            "constant_data": xr.Dataset({f"{in_tree(group)}_codes": (("obs",), posterior.codes)}, observations),
        }
    )


def from_tree(tree: xr.DataTree) -> Posterior:
    """The posterior that `to_tree` made the tree of."""
    attrs = tree["posterior"].attrs
    group = str(attrs["group"])
    at = in_tree(group)
    draws = tree["posterior"].dataset
    names = {in_tree(name): name for name in ("beta", f"sd_{group}", f"cor_{group}", f"b_{group}", "sigma")}
    return Posterior(
        formula=str(attrs["formula"]),
        family=str(attrs["family"]),
        response=str(attrs["response"]),
        group=group,
        levels=pd.Index(draws[at].to_numpy()),
        coef_names=tuple(map(str, draws["coef"].to_numpy())),
        group_names=tuple(map(str, draws[f"{at}_coef"].to_numpy())),
        blocks=tuple(Block(int(size), str(structure)) for size, structure in json.loads(attrs["blocks"])),
        settings=Settings(*(int(attrs[name]) for name in Settings._fields)),
        priors=json.loads(attrs["priors"]),
        notes=tuple(json.loads(attrs["notes"])),
        draws={names[str(name)]: values.to_numpy() for name, values in draws.data_vars.items()},
        stats={str(name): values.to_numpy() for name, values in tree["sample_stats"].dataset.data_vars.items()},
        observed=tree["observed_data"].dataset[in_tree(str(attrs["response"]))].to_numpy(),
        codes=tree["constant_data"].dataset[f"{at}_codes"].to_numpy(),
    )


def save_tree(posterior: Posterior, path: Path) -> Path:
    """Write the tree as netCDF 4, under a temporary name first, so that a file of that name is always whole."""
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
