"""The conditional Akaike information criterion: of the fit to these groups, not to new ones."""

from __future__ import annotations

import numpy as np

from hier.errors import FitError
from hier.estimate.expected import residuals
from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import combinations, total_variances
from hier.estimate.routes import solved
from hier.kernel.laplace.log_densities import LOG_2PI


def caic(estimate: Fitted) -> float:
    """What `Estimate.caic` says."""
    model = estimate.model
    if not model.is_linear_normal:
        raise FitError(
            "the conditional AIC is that of a Normal response with one residual variance",
            found=f"the family `{model.family.name}`",
            hint="aic is that of the marginal likelihood",
        )
    design = model.design
    weights = np.ones(design.nobs) if design.weights is None else design.weights
    effective = _effective(estimate, weights) if design.random_effects else len(design.names)
    squares = float(np.sum(weights * residuals(estimate).to_numpy() ** 2)) / estimate.sigma**2
    deviance = squares + design.nobs * (LOG_2PI + 2.0 * np.log(estimate.sigma)) - float(np.log(weights).sum())
    return deviance + 2.0 * (effective + 1.0)


def _effective(estimate: Fitted, weights: np.ndarray) -> float:
    """The trace of the matrix from the response to its fitted values: their errors' variances over those of rows."""
    design, equations = estimate.model.design, solved(estimate)
    everything = [np.ones(len(own.names), bool) for own in design.random_effects]
    rows = combinations(equations, design.random_effects, everything)
    variances = estimate.size**2 * total_variances(estimate, equations, design.X, rows)
    return float(np.sum(weights * variances)) / estimate.sigma**2
