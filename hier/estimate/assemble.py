"""What every point estimate reports of a fit in the kernel's units, whatever the response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hier.design import Design
from hier.estimate.components import flat_directions
from hier.estimate.fitted import TermArrays
from hier.kernel.algebra.scaling import ColumnUnits, is_lower_triangular, lower_triangular
from hier.kernel.normal.point_fit import BOUNDARY
from hier.model import Specification


def criteria(neg2_loglik: float, n_parameters: int, design: Design) -> dict[str, Any]:
    """Log-likelihood, AIC and BIC, and what they count, by the names of an estimate's fields. Source: lme4's `logLik`,
    which counts all rows for BIC, and its `df.residual`; without groups that of R's `lm` and `glm`, which leaves sds
    and shapes out.
    """
    nobs = design.nobs
    counted = n_parameters if design.random_effects else len(design.names) + design.n_cutpoints
    return {
        "loglik": -0.5 * neg2_loglik,
        "n_parameters": n_parameters,
        "aic": neg2_loglik + 2.0 * n_parameters,
        "bic": neg2_loglik + n_parameters * float(np.log(nobs)),
        "nobs": nobs,
        "df_resid": nobs - counted,
    }


def in_response_units(value: float, y: float, n: float, log_det_basis: float = 0.0) -> float:
    """-2 log density of n rows' responses from that in the kernel's unit `y`; with the fixed effects integrated out,
    `log_det_basis` of their basis.
    """
    return value + 2.0 * n * float(np.log(y)) - 2.0 * log_det_basis


def terms_in_user_units(
    model: Specification, units: Sequence[ColumnUnits], fit: Any, *, y: float = 1.0, sigma: float = 1.0
) -> tuple[TermArrays, ...]:
    """Covariance factors and deviations of each grouping factor, in the design's order and the user's units.

    `units` of each factor, in the kernel's order; `y`: the response's unit; `sigma`: what the factors are relative to,
    in the kernel's units. `fit` has `factors` (q, q) and `deviations` (q, J).
    """
    effects = model.structure.ordered(model.design.random_effects)
    found = [
        TermArrays(
            factor=lower_triangular(own.factor(factor, y * sigma)),
            deviations=own.deviations(deviations[:, : random.n_levels], y).T,
        )
        for random, own, factor, deviations in zip(effects, units, fit.factors, fit.deviations, strict=True)
    ]
    return model.structure.restored(found)


def flat_terms(model: Specification, units: Sequence[ColumnUnits], fit: Any) -> list[str]:
    """The combinations of deviations whose variance is estimated as zero, by the kernel's factors."""
    effects = model.structure.ordered(model.design.random_effects)
    # those of a posterior mode are not triangular where priors are those of other columns than the kernel's
    factors = [own if is_lower_triangular(own) else lower_triangular(own) for own in fit.factors]
    return flat_directions(effects, factors, units, BOUNDARY)


def message(fit: Any, flat: Sequence[str], others: Sequence[str] = ()) -> str:
    """The end of the search in a sentence or two, the directions in which a singular fit is flat, and what else is to
    be said. `fit` has `steps`, `converged` and `gradient` (m,).
    """
    steps = f"{int(fit.steps)} Newton steps"
    if not fit.converged:
        largest = float(np.abs(fit.gradient).max())
        said = (
            f"no convergence after {steps}; the largest slope left is {largest:.2g}, so do not rely on these estimates"
        )
        return "; ".join([said, *others])
    said = f"converged after {steps}"
    if flat:
        has = "has" if len(flat) == 1 else "have"
        said += f"; boundary (singular) fit: {', '.join(flat)} {has} an estimated variance of zero"
    return "; ".join([said, *others])
