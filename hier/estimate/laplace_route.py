"""Fits by an approximated likelihood: what is optimised, and the Normal model that a fit is near its optimum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier.estimate.fitted import Fitted, once
from hier.estimate.kernel_parameters import AT_LIMIT, Scaled, variance_parameter
from hier.estimate.mixed_model_equations import Solved
from hier.estimate.named import NamedParameter
from hier.kernel.algebra.scaling import Units
from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import LEAST_CURVATURE, Conditional, Theta
from hier.kernel.laplace.point_fit_rows import expansion_at, slopes_at, spreads_at
from hier.kernel.normal.prediction_errors import prediction_errors
from hier.model import Specification
from hier.model.row_density import posterior_rows, row_density
from hier.model.row_problem import RowProblem, row_problem


def set_up(model: Specification, method: str, nagq: int) -> tuple[RowProblem, Approximation]:
    """The arrays of a model, and the approximate density of which they are the arguments."""
    if method == "map":
        density = row_density(model, with_volume=False)
        return posterior_rows(model), Approximation(Conditional(model.likelihood), density, nagq)
    with_fixed = method == "reml" and bool(model.design.names)  # with none, REML is maximum likelihood
    parameters = Theta(model.terms, model.likelihood.n_cutpoints, with_fixed)
    return row_problem(model), Approximation(Conditional(model.likelihood, with_fixed), parameters, nagq)


def working_rows(estimate: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """The linear predictor plus slope over curvature of each row's log density, and the curvatures as its weights.

    Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.5.
    """
    problem, approximation = _set_up(estimate)
    unit = problem.units.y
    score, weights = slopes_at(estimate.arrays.search, estimate.eta / unit, problem, approximation)
    weights = np.maximum(weights, LEAST_CURVATURE)
    return estimate.eta + unit * score / weights, weights / unit**2


@once
def solve(estimate: Fitted) -> Solved:
    """The mixed model equations of the weighted Normal model that the fit is near its optimum."""
    problem, approximation = _set_up(estimate)
    basis, _, random, y = problem.units
    cross = expansion_at(estimate.arrays.search, estimate.eta / y, problem, approximation)
    units = Units(np.zeros(len(basis)), basis, random, y, np.log(np.diag(basis)).sum())
    order = estimate.model.structure.order
    terms = [estimate.arrays.terms[k] for k in order]
    factors = [own.kernel_factor(term.factor, y) for term, own in zip(terms, random, strict=True)]
    return Solved(cross, units, prediction_errors(factors, cross), order, float(y))


def spreads(estimate: Fitted, asked: Sequence[NamedParameter]) -> list[Scaled]:
    """Standard deviations on the log scale and correlations on Fisher's z scale, NaN for what is at its limit."""
    problem, approximation = _set_up(estimate)
    order, units, p = estimate.model.structure.order, problem.units.random, len(problem.units.basis)
    parameters = [variance_parameter(own, p, units, order.index(own.group)) for own in asked]
    values, slopes = spreads_at(estimate.arrays.search, parameters, problem, approximation)
    se = estimate.arrays.curvature.standard_errors(slopes)
    found = []
    for own, value, spread in zip(asked, values, se, strict=True):
        if own.kind == "sd":
            length = units[order.index(own.group)].direction(own.i)[1] * problem.units.y
            found.append(Scaled.inside(value + np.log(length), spread, np.exp))
        else:
            inside = abs(np.tanh(value)) < 1.0 - AT_LIMIT
            found.append(Scaled.inside(value if inside else np.nan, spread, np.tanh))
    return found


def _set_up(estimate: Fitted) -> tuple[RowProblem, Approximation]:
    assert estimate.nagq is not None
    return set_up(estimate.model, estimate.method, estimate.nagq)
