"""Tests of the random effects: each left out in turn, and the likelihood compared."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.design.reduced import deletions
from hier.errors import ModelError
from hier.estimate.assemble import in_response_units
from hier.estimate.chi_squared import chi_squared_p
from hier.estimate.fitted import Fitted
from hier.estimate.printing import Table
from hier.estimate.routes import refuse_unless_offered
from hier.kernel.covariance.theta import n_variance_parameters
from hier.kernel.normal.point_fit import fit_best
from hier.kernel.search.moments import start_of
from hier.model.problem import likelihood_problem
from hier.model.specification import Specification, on_design, refuse_without_groups

NO_DIFFERENCE = 1e-7  # on the scale of -2 log likelihood: the last digits of two searches for one optimum


class _Fit(NamedTuple):
    """A reduced model's log-likelihood, its number of parameters, and whether the search converged."""

    loglik: float
    n_parameters: int
    converged: bool


def ranova(estimate: Fitted) -> pd.DataFrame:
    """The table that `Estimate.ranova` describes."""
    refuse_unless_offered(estimate, "ranova()")
    if estimate.method == "map":
        raise ModelError(
            "a posterior mode has no likelihood-ratio test",
            found='a fit with method="map"',
            expected='method="reml" or "ml"',
        )
    refuse_without_groups("ranova()", estimate.model.formula, estimate.model.design.random_effects)
    reml = estimate.method == "reml"
    design = estimate.model.design
    fits = {"<none>": _Fit(estimate.loglik, estimate.n_parameters, estimate.converged)}
    for deletion in deletions(design):
        reduced = replace(design, random_effects=deletion.random_effects)
        fits[deletion.label] = _fit(on_design(estimate.model, reduced), reml=reml)
    loglik = np.array([fit.loglik for fit in fits.values()])
    npar = np.array([fit.n_parameters for fit in fits.values()])
    lrt = 2.0 * (loglik[0] - loglik)
    lrt[lrt < NO_DIFFERENCE] = 0.0
    df = (npar[0] - npar).astype(float)
    lrt[0] = df[0] = np.nan
    table = Table(
        {
            "npar": npar,
            "loglik": loglik,
            "aic": 2.0 * npar - 2.0 * loglik,
            "lrt": lrt,
            "df": df,
            "p_value": chi_squared_p(lrt, df),
            "p_boundary": 0.5 * (chi_squared_p(lrt, df) + chi_squared_p(lrt, df - 1.0)),
        },
        index=list(fits),
    )
    stray = [label for label, fit in fits.items() if not fit.converged]
    table.attrs["note"] = (
        ("restricted " if reml else "") + "log-likelihoods" + (f"; no convergence: {', '.join(stray)}" if stray else "")
    )
    return table


def _fit(model: Specification, *, reml: bool) -> _Fit:
    design, p = model.design, len(model.design.names)
    problem, terms = likelihood_problem(model), model.terms
    fit = fit_best(start_of(problem.first, terms), problem.cross, terms, reml=reml)
    log_det = float(problem.units.log_det_basis) if reml else 0.0
    objective = in_response_units(float(fit.value), problem.units.y, design.nobs, log_det)
    return _Fit(-0.5 * objective, p + n_variance_parameters(terms), bool(fit.converged))
