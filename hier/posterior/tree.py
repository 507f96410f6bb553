"""Posterior to ArviZ tree and back, and to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.errors import JobError
from hier.posterior.result import Posterior, Settings

if TYPE_CHECKING:
    import xarray as xr


def to_tree(posterior: Posterior) -> xr.DataTree:
    """The ArviZ tree of a posterior; variables and dimensions are named for the model's columns and levels.

    Source: the ArviZ schema, "InferenceData schema specification".
    """
    import xarray as xr

    group = posterior.group
    by_coef, by_coef_bis = f"{group}_coef", f"{group}_coef_bis"
    dims = {
        "beta": ("coef",),
        f"sd_{group}": (by_coef,),
        f"cor_{group}": (by_coef, by_coef_bis),
        "sigma": (),
        f"b_{group}": (group, by_coef),
    }
    coords: dict[str, Any] = {
        "chain": np.arange(posterior.settings.chains),
        "draw": np.arange(posterior.settings.draws),
        "coef": list(posterior.coef_names),
        by_coef: list(posterior.group_names),
        by_coef_bis: list(posterior.group_names),
        group: _coordinate(posterior.levels),
    }
    variables = {name: (("chain", "draw", *dims[name]), values) for name, values in posterior.draws.items()}
    used = {"chain", "draw"} | {dim for name in variables for dim in dims[name]}
    attrs = {
        "formula": posterior.formula,
        "family": posterior.family,
        "group": group,
        "blocks": list(posterior.blocks),
        "priors": json.dumps(posterior.priors),
        "notes": json.dumps(posterior.notes),
        "response": posterior.response,
        "creation_library": "hier",
        "inference_library": "numpyro",
        **posterior.settings._asdict(),
    }
    observations = {"obs": np.arange(len(posterior.observed))}
    sample_dims = {name: coords[name] for name in ("chain", "draw")}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, {k: v for k, v in coords.items() if k in used}, attrs),
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in posterior.stats.items()}, sample_dims),
            "observed_data": xr.Dataset({posterior.response: (("obs",), posterior.observed)}, observations),
            "constant_data": xr.Dataset({f"{group}_codes": (("obs",), posterior.codes)}, observations),
        }
    )


def from_tree(tree: xr.DataTree) -> Posterior:
    """The posterior that `to_tree` made the tree of."""
    attrs = tree["posterior"].attrs
    group = str(attrs["group"])
    draws = tree["posterior"].dataset
    return Posterior(
        formula=str(attrs["formula"]),
        family=str(attrs["family"]),
        response=str(attrs["response"]),
        group=group,
        levels=pd.Index(draws[group].to_numpy()),
        coef_names=tuple(map(str, draws["coef"].to_numpy())),
        group_names=tuple(map(str, draws[f"{group}_coef"].to_numpy())),
        blocks=tuple(int(size) for size in np.atleast_1d(attrs["blocks"])),
        settings=Settings(*(int(attrs[name]) for name in Settings._fields)),
        priors=json.loads(attrs["priors"]),
        notes=tuple(json.loads(attrs["notes"])),
        draws={str(name): values.to_numpy() for name, values in draws.data_vars.items()},
        stats={str(name): values.to_numpy() for name, values in tree["sample_stats"].dataset.data_vars.items()},
        observed=tree["observed_data"].dataset[str(attrs["response"])].to_numpy(),
        codes=tree["constant_data"].dataset[f"{group}_codes"].to_numpy(),
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


def _coordinate(levels: pd.Index) -> np.ndarray:
    """Levels as a coordinate that netCDF can hold: integers and floats as they are, everything else as text."""
    return levels.to_numpy() if levels.dtype.kind in "if" else np.array([str(level) for level in levels], dtype=object)
