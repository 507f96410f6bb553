"""Point estimates of a model: REML, maximum likelihood, and the posterior mode (MAP)."""

from __future__ import annotations

import numpy as np

from hier.design import one_blas_thread
from hier.errors import FitError
from hier.estimate.assemble import criteria, flat_terms, in_response_units, message, terms_in_user_units
from hier.estimate.exact_fit import SUSPICIOUS, refuse_exact_fit
from hier.estimate.fitted import Arrays, Fitted
from hier.estimate.laplace_fit import fit_rows_of
from hier.estimate.satterthwaite import covariance_of_functions
from hier.estimate.support import bounded, refuse_kinks, refuse_without_mode
from hier.estimate.unknown import curvature_at
from hier.estimate.wald import with_unknown_said
from hier.kernel.covariance.theta import n_variance_parameters
from hier.kernel.normal.point_fit import PointFit, fit_best, fit_density
from hier.kernel.search.moments import start_of
from hier.kernel.search.restarts import neg2_without_deviations
from hier.model import Specification
from hier.model.density import Density
from hier.model.problem import Problem, likelihood_problem, posterior_problem
from hier.settings import COUNT, as_given, check

METHODS = ("reml", "ml", "map")


@one_blas_thread
def fit(model: Specification, method: str | None = None, nagq: int = 1) -> Fitted:
    """Estimates of the fixed effects, the variances and every group's deviations.

    `method`: `"reml"` (restricted maximum likelihood; the default for a Normal response with the identity link),
    `"ml"` (maximum likelihood; the default for all others), or `"map"`: the mode of the posterior density under the
    model's priors, over standard deviations and correlations (of the deviations that their priors are of), sigma, and
    the fixed effects with other than Normal priors, the others integrated out; for other responses than Normal ones
    over all fixed effects. A mode at the end of a prior's support is put there, and has no standard error.
    `nagq`: points of adaptive Gauss-Hermite quadrature in each direction of a level's deviations, for one grouping
    factor with up to three columns; 1 is Laplace's approximation. A Normal likelihood is exact with one.

    Raises FitError for an unknown method, where the data cannot identify the variances, and for a mode under a prior
    that is infinite at an end of its support, or at a kink of a prior. A search that did not
    converge and a singular fit are values, not errors: `converged`, `is_singular` and `message` of the result.
    Source: Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1).
    """
    if method is None:
        method = "reml" if model.has_normal_rows else "ml"
    method = method.lower() if isinstance(method, str) else method  # "REML" is how it is usually written
    if not isinstance(method, str) or method not in METHODS:
        raise FitError(
            f"there is no method {as_given(method)}",
            expected=", ".join(f'"{name}"' for name in METHODS),
            hint='use method="reml"',
        )
    nagq = check("nagq", nagq, COUNT)
    if not model.is_linear_normal:
        return fit_rows_of(model, method, nagq)
    terms = model.terms
    if method == "map":
        refuse_without_mode(model)
        problem = posterior_problem(model)
        assert problem.priors is not None
        density = Density(terms, problem.priors.fixed.count, with_volume=False)
        return _in_user_units(model, method, problem, fit_density(problem, density))
    _refuse_unidentified(model)
    problem = likelihood_problem(model, once=True)
    found = fit_best(start_of(problem.first, terms), problem.cross, terms, reml=method == "reml")
    if found.sigma < SUSPICIOUS or not found.converged:
        design = model.design
        refuse_exact_fit(model, design.y if design.offset is None else design.y - design.offset)
    return _in_user_units(model, method, problem, found)


def _refuse_unidentified(model: Specification) -> None:
    """As many deviations of one factor as rows fit the response exactly: whether their variances can be told from the
    residual's then depends on their structure. lme4 refuses all such models, by its check `check.nobs.vs.nRE`.
    """
    nobs, effects = model.design.nobs, model.design.random_effects
    counts = [random.n_levels * len(random.names) for random in effects]
    if max(counts, default=0) < nobs:
        return
    for own in model.undetermined:
        for k in sorted({k for k, _, _ in own.entries}) if own.residual else ():
            raise FitError(
                f"the random effects of `{effects[k].group}` cannot be told from the residuals",
                found=f"{counts[k]} group deviations and {nobs} rows",
                expected="more rows than deviations, or a structure that ties the columns together, such as ar1( )",
                hint='use fewer columns inside the bar, or priors: method="map" or sample()',
            )


def _in_user_units(model: Specification, method: str, problem: Problem, fit: PointFit) -> Fitted:
    """The fit in the user's units; in the kernel's, response and fixed effects have another scale and basis."""
    design, units = model.design, problem.units
    n = design.nobs
    objective = in_response_units(float(fit.value), units.y, n, float(units.log_det_basis) if method == "reml" else 0.0)
    neg2_loglik = in_response_units(float(fit.neg2_loglik), units.y, n) if method == "map" else objective
    if method == "reml" and not design.random_effects:  # least squares, of which R's `logLik` is the maximum
        neg2_loglik = in_response_units(neg2_without_deviations(problem.cross, reml=False), units.y, n)
    n_parameters = len(design.names) + n_variance_parameters(model.terms)

    # only priors move columns from their places
    back = slice(None) if problem.priors is None else np.argsort(problem.order)
    basis = units.basis[back]
    beta, unknown = units.centre[back] + basis @ fit.beta, np.zeros(len(basis), bool)
    if method == "map":
        beta, unknown, given = bounded(model, beta, covariance_of_functions(basis, fit.vcov))
        basis = given @ basis
        refuse_kinks(model, beta, covariance_of_functions(basis, fit.vcov), converged=bool(fit.converged))
    arrays = Arrays(
        beta=beta,
        basis=basis,
        basis_vcov=fit.vcov,
        vcov_jacobian=fit.vcov_jacobian,
        curvature=curvature_at(model, fit, method),
        search=fit.x,
        unknown=unknown,
        terms=terms_in_user_units(model, units.random, fit, y=units.y, sigma=fit.sigma),
    )
    flat = flat_terms(model, units.random, fit)
    return with_unknown_said(
        Fitted(
            model=model,
            method=method,
            objective=objective,
            **criteria(neg2_loglik, n_parameters, design),
            converged=bool(fit.converged),
            is_singular=bool(flat),
            message=message(fit, flat),
            sigma=float(fit.sigma * units.y),
            arrays=arrays,
        )
    )
