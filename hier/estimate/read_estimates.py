"""Estimates from files."""

from __future__ import annotations

import dataclasses

from hier.design import differences
from hier.errors import ModelError
from hier.estimate.result import Estimate
from hier.estimate.saving import read_estimate
from hier.files import Given
from hier.model import Specification


def load_estimate(path: Given, model: Specification | None = None) -> Estimate:
    """Read an estimate that `Estimate.save` wrote. It predicts new data, tests and prints without the data of the fit;
    `model`, built again from them, gives it back what needs their rows, such as residuals.

    Raises JobError where the file is not there or is not one, is of a later version, or where anything in it is not as
    it was saved. Raises ModelError for a model other than that of the estimate.
    """
    found = read_estimate(path)
    if model is None:
        return Estimate.of(found)
    parts = differences(model.digest, found.model.digest)
    if parts:
        raise ModelError(
            "the estimate is not of this model on these data",
            found=f"`{model.formula}` and `{found.model.formula}`, which differ in {', '.join(parts[:5])}",
            expected="the model that was fitted, built again from the same data",
            hint="estimate() fits this one",
        )
    return Estimate.of(dataclasses.replace(found, model=model))
