"""Point estimates of models that are not Normal: maximum likelihood by Laplace's approximation or quadrature."""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag

from hier.errors import FitError
from hier.estimate.assemble import criteria, flat_terms, in_response_units, message, terms_in_user_units
from hier.estimate.exact_fit import refuse_exact_fit
from hier.estimate.fitted import Arrays, Fitted, Further
from hier.estimate.laplace_route import set_up
from hier.estimate.satterthwaite import covariance_of_functions
from hier.estimate.support import end_reached, refuse_kinks, refuse_without_mode
from hier.estimate.unknown import covariance_with_flat, curvature_of_rows, limit_sentence
from hier.estimate.wald import with_unknown_said
from hier.kernel.covariance.theta import n_theta
from hier.kernel.laplace.likelihood import natural
from hier.kernel.laplace.point_fit_rows import RowFit, fit_best_rows, fit_rows
from hier.model import Specification
from hier.model.row_density import row_start
from hier.model.row_problem import RowProblem, exact_predictor, likelihood_starts, predictor_unit
from hier.settings import POINTS, check, refuse_beyond_memory

MOST_COLUMNS = 3  # of a level's deviations, for quadrature
FAR = 14.0  # the size of a further parameter's predictor, a logarithm or a logit, that is looked into
OUT_OF_PROPORTION = 1e8  # of a mean, beside the largest response
EXTREME = 20.0  # a linear predictor of a probability beyond it says that the data separate


def fit_rows_of(model: Specification, method: str, nagq: int) -> Fitted:
    """Estimates by the marginal likelihood, approximated by Laplace's method or by quadrature with `nagq` points.

    Raises FitError where quadrature does not go with the model or the method.
    Source: Bates (2018), "Computational Methods for Mixed Models"; see `hier.kernel.laplace.approximation`.
    """
    _check_quadrature(model, method, nagq)
    problem, approximation = set_up(model, method, nagq)
    if method == "map":
        refuse_without_mode(model)
        start = row_start(model, approximation.parameters, problem)
        fit = fit_rows(start, problem, approximation, None)
        _refuse_without_value(model, fit)
        found = _in_user_units(model, method, nagq, problem, fit)
        refuse_kinks(model, found.arrays.beta, found.arrays.vcov, converged=found.converged)
        return found
    start = likelihood_starts(model, problem.rows, with_fixed=approximation.conditional.with_fixed)
    if not start.shape[-1]:
        raise FitError(
            "REML is for variances and further parameters, and the model has none",
            found=f"`{model.formula}` of the family `{model.family.name}`",
            expected='method="ml", or "map"',
        )
    terms = model.terms
    fit = fit_best_rows(start, problem, approximation, terms, predictor_unit(model, problem.rows))
    _refuse_exact_fit(model, fit)
    _refuse_without_value(model, fit)
    return _in_user_units(model, method, nagq, problem, fit)


def _refuse_exact_fit(model: Specification, fit: RowFit) -> None:
    """Of a continuous response, whose parameters go to their limits where the deviations fit every row exactly."""
    design = model.design
    others = fit.coefficients[: sum(len(own.names) for own in design.parameters)]
    if not design.outcome.is_continuous or (fit.converged and np.abs(others).max(initial=0.0) < FAR):
        return
    target = exact_predictor(model)
    if np.isfinite(target).all():
        refuse_exact_fit(model, target if design.offset is None else target - design.offset)


def _refuse_without_value(model: Specification, fit: RowFit) -> None:
    """Raise FitError where the likelihood is no number wherever a search began."""
    if np.isfinite(fit.value) and np.isfinite(fit.hessian).all():
        return
    link = model.likelihood.links[0].name
    raise FitError(
        "the likelihood is not a finite number where its search begins, so that there is nothing to go by",
        found=f'family="{model.family.name}", link="{link}", responses from {np.min(model.design.observed):.4g} to '
        f"{np.max(model.design.observed):.4g}",
        expected="linear predictors that the link turns into means that the family can have, in every row",
        hint=f"use another link than `{link}`, or check the offset and the largest and smallest responses",
    )


def _check_quadrature(model: Specification, method: str, nagq: int) -> None:
    if nagq == 1:
        return
    columns = sum(len(own.names) for own in model.design.random_effects)
    places = float(nagq) ** min(columns, MOST_COLUMNS) * model.design.nobs
    refuse_beyond_memory(f"quadrature with nagq={nagq}", places, "use nagq=1, Laplace's approximation, or some 5 to 25")
    check("nagq", nagq, POINTS)
    if not allows_quadrature(model):
        sizes = ", ".join(f"`{own.group}` with {len(own.names)} columns" for own in model.design.random_effects)
        raise FitError(
            "quadrature needs one grouping factor with few columns",
            found=sizes,
            expected=f"one grouping factor with {MOST_COLUMNS} columns or fewer",
            hint="use nagq=1, Laplace's approximation",
        )
    if method == "reml":
        raise FitError(
            "quadrature integrates the group deviations only, and REML the fixed effects too",
            found=f'method="reml", nagq={nagq}',
            expected='method="ml", or nagq=1',
        )


def allows_quadrature(model: Specification) -> bool:
    """Whether the levels' deviations are independent, and few enough in each for a grid of points."""
    effects = model.design.random_effects
    return len(effects) == 1 and len(effects[0].names) <= MOST_COLUMNS


def _in_user_units(model: Specification, method: str, nagq: int, problem: RowProblem, fit: RowFit) -> Fitted:
    design, units = model.design, problem.units
    crossed = [*_between_branches(model, fit.eta), *_astray(model, fit.eta * float(units.y))]
    fit = fit._replace(converged=fit.converged & (not crossed))
    n_cut, p = model.likelihood.n_cutpoints, len(design.names)
    to_user = block_diag(*units.others, np.eye(n_cut), units.basis)
    curvature = curvature_of_rows(model, fit, method)
    in_basis = covariance_with_flat(fit.slopes, curvature)
    if method == "reml" and p:
        in_basis[-p:, -p:] += fit.conditional_cov
    covariance = covariance_of_functions(to_user, in_basis)
    slopes, coefficients = to_user @ fit.slopes, to_user @ fit.coefficients
    sizes = [len(own.names) for own in design.parameters]
    *others, cutpoints, beta = np.split(coefficients, np.cumsum([*sizes, n_cut]))
    n = float(np.sum(problem.rows.counts))
    log_det = float(np.log(np.diag(units.basis)).sum()) if method == "reml" else 0.0
    objective, neg2_loglik = (in_response_units(float(v), units.y, n, log_det) for v in (fit.value, fit.neg2_loglik))
    n_parameters = p + n_cut + sum(sizes) + n_theta(model.terms)
    flat = flat_terms(model, units.random, fit)
    start = len(coefficients) - p
    both = zip(design.names, beta, strict=True)
    ends = [method == "map" and end_reached(model, name, value) is not None for name, value in both]
    lost = curvature.moves(slopes) | np.concatenate([np.zeros(start, bool), np.array(ends, bool)])
    said = [*crossed, *_at_limit(model, others, lost & fit.converged), *_separated(model, fit.eta)]
    return with_unknown_said(
        Fitted(
            model=model,
            method=method,
            objective=objective,
            **criteria(neg2_loglik, n_parameters, design),
            converged=bool(fit.converged),
            is_singular=bool(flat),
            message=message(fit, flat, said),
            sigma=_sigma(model, others),
            arrays=Arrays(
                beta=beta,
                basis=units.basis,
                basis_vcov=in_basis[start:, start:],
                vcov_jacobian=None,
                curvature=curvature,
                search=fit.x,
                unknown=lost[start:],
                terms=terms_in_user_units(model, units.random, fit, y=float(units.y)),
            ),
            further=Further(
                nagq=int(nagq),
                others=tuple(others),
                cutpoints=cutpoints,
                covariance=np.where(lost[:start, None] | lost[:start], np.nan, covariance[:start, :start]),
                with_fixed=np.where(lost[:start, None] | lost[start:], np.nan, covariance[:start, start:]),
            ),
        )
    )


def _sigma(model: Specification, others: list[np.ndarray]) -> float:
    """The residual standard deviation, where there is one and one only; otherwise 1, as lme4 has it."""
    at = model.family.precision_at
    if at is None or model.design.parameters[at].has_formula:
        return 1.0
    return float(natural(model.likelihood.links[1 + at], others[at])[0][0])


def _at_limit(model: Specification, others: list[np.ndarray], lost: np.ndarray) -> list[str]:
    """Further parameters whose likelihood goes on rising towards a limit of what they can be, a sentence each."""
    said, links = [], model.likelihood.links[1:]
    ends = np.cumsum([len(coefficients) for coefficients in others])
    for own, coefficients, link, end in zip(model.design.parameters, others, links, ends, strict=True):
        flat = lost[end - len(coefficients) : end]
        if own.has_formula and flat.any():
            names = [key for key, is_flat in zip(own.keys(), flat, strict=True) if is_flat]
            said.append(f"the likelihood is flat along {', '.join(names)}, so that the data do not determine them")
        elif flat.any():
            upper = "1" if link.onto == "unit" else "infinity"
            said.append(limit_sentence(own.name, "0" if coefficients[0] < 0 else upper))
    return said


def _between_branches(model: Specification, eta: np.ndarray) -> list[str]:
    """Whether the predictor is on both sides of zero where these are two branches of the link: each row may be on
    either, so that there are many optima, of which a search finds one. R's `glm` refuses such predictors.
    """
    link = model.likelihood.links[0]
    if not link.has_branches or not (eta.min() < 0.0 < eta.max()):
        return []
    return [
        f"the linear predictor is positive in some rows, negative in others: two branches of the link `{link.name}`, "
        'so that there are many optima; use link="log", or an offset that keeps it on one side'
    ]


def _astray(model: Specification, eta: np.ndarray) -> list[str]:
    """Whether means of a positive response are out of all proportion to it: where they are infinite the likelihood of
    some families is flat (an inverse Gaussian response has Levy's distribution there), and a search may end there.
    """
    if model.family.response != "positive" or model.family.response_scale == "log":
        return []
    mean, _ = natural(model.likelihood.links[0], eta)
    if np.nanmax(np.abs(mean), initial=0.0) <= OUT_OF_PROPORTION * float(np.max(model.design.y)):
        return []
    return [
        f"some fitted means are more than {OUT_OF_PROPORTION:.0e} times the largest response, where the likelihood is "
        'flat; scale or centre the columns, or use priors (method="map" or sample())'
    ]


def _separated(model: Specification, eta: np.ndarray) -> list[str]:
    """Whether the fitted probabilities reach 0 or 1, so that some estimates are infinite."""
    if model.likelihood.links[0].onto != "unit" or np.abs(eta).max() < EXTREME:
        return []
    return [
        "some fitted probabilities are 0 or 1 to all digits: the columns separate the outcomes, so that some fixed "
        'effects have no finite estimate; use priors (method="map" or sample())'
    ]
