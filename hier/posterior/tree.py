"""A posterior as an ArviZ tree, and that in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hier.estimate.checked_files import FileKind, write_tree
from hier.estimate.described_model import model_described
from hier.estimate.level_labels import refuse_unknown, written_if_known
from hier.files import Given
from hier.posterior.dataset import dataset, sample_coords
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.variable_names import in_tree

if TYPE_CHECKING:
    import xarray as xr

POSTERIOR = FileKind("the posterior", "Posterior", "sample again")
# groups that a posterior is given on request
ADDED = ("log_likelihood", "posterior_predictive", "predictions", "log_prior", "prior", "prior_predictive")


def to_tree(posterior: PosteriorDraws) -> xr.DataTree:
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
        "timing": json.dumps(posterior.timing),
        "creation_library": "hier",
        "inference_library": "numpyro",
        **posterior.settings._asdict(),
    }
    observations = {"obs": posterior.index}
    sampled = sample_coords(posterior.settings.chains, posterior.settings.draws)
    draws = dataset(posterior.draws, posterior.groups, posterior.coef_names, attrs, posterior.further)
    codes = {f"{group.stem}_codes": (("obs",), group.codes) for group in posterior.groups}
    return xr.DataTree.from_dict(
        {
            "posterior": draws,
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in posterior.stats.items()}, sampled),
            "observed_data": xr.Dataset({response_name(posterior): (("obs",), posterior.observed)}, observations),
            "constant_data": xr.Dataset(codes, observations),
            **posterior.added,
        }
    )


def response_name(posterior: PosteriorDraws) -> str:
    """What the response is called in the tree, beside the coordinate of its rows."""
    return in_tree(posterior.response, ("obs",))


def save_tree(posterior: PosteriorDraws, tree: xr.DataTree, path: Given) -> Path:
    """Write the tree as netCDF 4 with its checksums; a file of that name is replaced, and is always whole.

    Raises JobError where the file cannot be written, and for levels that would come back as text and no longer be what
    they were.
    """
    for group in posterior.groups:
        refuse_unknown(group.name, group.levels)
    model = posterior.model
    description = None if model is None else {"kind": "posterior", "model": model_described(model)}
    return write_tree(tree, description, path, POSTERIOR)
