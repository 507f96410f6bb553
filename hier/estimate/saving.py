"""An estimate in a file: its numbers, and what predictions, tests and the summary need of the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hier.design.not_kept import RowsNotKept
from hier.errors import JobError, ModelError
from hier.estimate.checked_files import FileKind, description_in, foreign, read_tree, write_tree
from hier.estimate.described_model import model_described, model_of_description
from hier.estimate.fitted import Fitted, keep
from hier.estimate.routes import route_of, solved
from hier.estimate.summary import scaled_residuals
from hier.files import Given

ESTIMATE = FileKind("the estimate", "Estimate", "fit again")
NUMBERS = [field.name for field in dataclasses.fields(Fitted) if field.name != "model"]


def save_estimate(estimate: Fitted, path: Given) -> Path:
    """What `Estimate.save` says."""
    import xarray as xr

    beside: dict[str, Any] = {}
    if estimate.model.design.random_effects:
        beside["solved"] = solved(estimate)._replace(cross=RowsNotKept(estimate.nobs))  # type: ignore[arg-type]
    if estimate.model.is_linear_normal:
        beside["scaled_residuals"] = scaled_residuals(estimate)
    priors = dict(estimate.model.priors.rows(None)) if estimate.method == "map" else {}
    description = {
        "kind": "estimate",
        "model": model_described(estimate.model),
        "numbers": {name: getattr(estimate, name) for name in NUMBERS},
        "beside": beside,
        "priors": priors,
    }
    return write_tree(xr.DataTree(), description, path, ESTIMATE)


def read_estimate(path: Given) -> Fitted:
    """What a file has of an estimate. Raises JobError for one that is damaged or of another kind or version."""
    path, tree = read_tree(path, ESTIMATE)
    kept = description_in(tree, path, ESTIMATE)
    if not isinstance(kept, dict) or kept.get("kind") != "estimate":
        raise foreign(path, "a posterior, which hier.load_posterior reads", ESTIMATE)
    try:
        model = model_of_description(kept["model"])
    except ModelError as error:
        raise JobError(
            f"the estimate is of a family that is not known here, `{kept['model']['family']}`",
            hint="register it first, by hier.register_family(family)",
        ) from error
    found = Fitted(model=model, **kept["numbers"])
    if "solved" in kept["beside"]:
        keep(found, route_of(found).solve, kept["beside"]["solved"])
    if "scaled_residuals" in kept["beside"]:
        keep(found, scaled_residuals, kept["beside"]["scaled_residuals"])
    return found
