"""Predictions and simulated responses of models that are not Normal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate import predict as normal
from hier.estimate.generalised_result import expected, expected_with_slope, probabilities_with_slope
from hier.estimate.predict import Random, check_choice, check_kind
from hier.estimate.simulate import check_simulation, simulated_deviations
from hier.kernel.laplace.likelihood import draw_rows
from hier.kernel.laplace.log_densities import Observed
from hier.settings import TRUTH, check

if TYPE_CHECKING:
    from hier.estimate.generalised_result import GeneralisedEstimate


def predict(
    estimate: GeneralisedEstimate,
    data: Any,
    kind: str,
    random: Random,
    new_levels: str,
    se: bool,
    interval: str | None,
    level: float,
) -> pd.Series | pd.DataFrame:
    """What `GeneralisedEstimate.predict` says."""
    check_kind(estimate.model, kind)
    check_choice("interval", interval, (None, "confidence"))
    if kind == "probabilities" and (se or interval is not None):
        raise FitError(
            "probabilities of categories come without standard errors",
            hint='use kind="link" or kind="response" for these',
        )
    found = normal.predict(estimate, data, random, new_levels, se, interval, level, None)
    if kind == "link":
        return found
    others = _others(estimate, data)
    if kind == "probabilities":
        values, _ = probabilities_with_slope(estimate, [found.to_numpy(), *others])
        categories = pd.Index(estimate.model.design.categories, name=estimate.model.design.response)
        table = pd.DataFrame(values, index=found.index, columns=categories)
        table.attrs |= found.attrs
        return table
    if isinstance(found, pd.Series):
        mean = pd.Series(expected(estimate, [found.to_numpy(), *others]), index=found.index, name="fit")
        mean.attrs |= found.attrs
        return mean
    mean, slope = expected_with_slope(estimate, [found["fit"].to_numpy(), *others])
    table = pd.DataFrame({"fit": mean, "se": np.abs(slope) * found["se"]}, index=found.index)
    if interval is not None:
        ends = np.stack([expected(estimate, [found[end].to_numpy(), *others]) for end in ("lower", "upper")])
        table["lower"], table["upper"] = ends.min(axis=0), ends.max(axis=0)
    table.attrs |= found.attrs
    return table


def _others(estimate: GeneralisedEstimate, data: Any) -> list[np.ndarray]:
    """The linear predictors of the further parameters in the rows of a table, or of the fit."""
    if data is None:
        return estimate.predictors()[1:]
    design = estimate.model.design
    frame = design.read(data)
    if not any(own.has_formula for own in design.parameters):
        return [np.full(len(frame), coefficients[0]) for coefficients in estimate.further.others]
    new = design.new_data(frame)
    return [
        own.predictor(coefficients) for own, coefficients in zip(new.parameters, estimate.further.others, strict=True)
    ]


def simulate(estimate: GeneralisedEstimate, n: int, seed: int, conditional: bool) -> pd.DataFrame:
    """What `GeneralisedEstimate.simulate` says."""
    n, seed = check_simulation(estimate, n, seed)
    conditional = check("conditional", conditional, TRUTH)
    model, design = estimate.model, estimate.model.design
    if model.family.draw is None:
        raise FitError(
            f"the family `{model.family.name}` does not say how responses are drawn",
            hint="register it with a function `draw`",
        )
    eta, *others = estimate.predictors()
    trials = np.ones(design.nobs) if design.trials is None else design.trials
    observed = Observed(design.y, trials, estimate.further.cutpoints)
    rng = np.random.default_rng(seed)
    if not conditional:
        fixed = design.X @ estimate.arrays.beta + (0.0 if design.offset is None else design.offset)
        etas = fixed[:, None] + simulated_deviations(estimate, n, rng)
    else:
        etas = np.broadcast_to(eta[:, None], (design.nobs, n))
    bits = rng.integers(0, 2**31 - 1, n)
    columns = [
        draw_rows(model.family.draw, model.likelihood, observed, [etas[:, k], *others], int(bits[k])) for k in range(n)
    ]
    written = {f"sim_{k}": design.as_written(column) for k, column in enumerate(columns, 1)}
    return pd.DataFrame(written, index=design.index)
