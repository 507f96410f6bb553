"""Normal responses with one residual variance, whose likelihood is exact: the equations of a fit and its parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier.estimate.fitted import Fitted, once
from hier.estimate.kernel_parameters import Scaled, in_kernel, is_limit, to_user
from hier.estimate.mixed_model_equations import Solved, relative_factors
from hier.estimate.named import NamedParameter, estimates_of
from hier.estimate.support import end_reached
from hier.kernel.algebra.scaling import Units
from hier.kernel.normal.point_fit import BOUNDARY
from hier.kernel.normal.prediction_errors import prediction_errors
from hier.kernel.normal.profile import density_parameter_values, parameter_values
from hier.model.density import Density
from hier.model.problem import likelihood_problem, posterior_problem


def working_rows(estimate: Fitted) -> tuple[np.ndarray, np.ndarray | None]:
    """The response and its weights."""
    return estimate.model.design.y, estimate.model.design.weights


@once
def solved_exactly(estimate: Fitted) -> Solved:
    """Eliminate the deviations once more at the estimates; one pass over the rows."""
    model = estimate.model
    problem = likelihood_problem(model)
    factors = relative_factors(estimate, problem.units)
    errors = prediction_errors(factors, problem.cross)
    return Solved(problem.cross, problem.units, errors, model.structure.order, estimate.sigma)


def spreads(estimate: Fitted, asked: Sequence[NamedParameter]) -> list[Scaled]:
    """Standard deviations and sigma on the log scale, correlations on Fisher's z scale.

    Source: the delta method; Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.
    """
    inside = [own for own in asked if not _at_limit(own, estimate)]
    found = dict.fromkeys(asked, Scaled(np.nan, np.nan, np.exp))
    if inside:
        units, values, slopes = _search_values(estimate, inside)
        se = estimate.arrays.curvature.standard_errors(slopes)
        for own, value, spread in zip(inside, values, se, strict=True):
            found[own] = Scaled(float(value), float(spread), to_user(own, estimate, units))
    return [found[own] for own in asked]


def _search_values(estimate: Fitted, asked: list[NamedParameter]) -> tuple[Units, np.ndarray, np.ndarray]:
    """Values of the parameters in the kernel, and their derivatives in what the search was over."""
    model, x = estimate.model, estimate.arrays.search
    terms = model.terms
    if estimate.method == "map":
        problem = posterior_problem(model)
        assert problem.priors is not None
        density = Density(terms, problem.priors.fixed.count, with_volume=False)
        own = [in_kernel(one, estimate, problem.units) for one in asked]
        return problem.units, *density_parameter_values(x, own, density, problem)
    units = solved_exactly(estimate).units
    return units, *parameter_values(x, [in_kernel(one, estimate, units) for one in asked], terms)


def _at_limit(own: NamedParameter, estimate: Fitted) -> bool:
    """Whether a standard deviation is estimated as zero, a correlation as -1 or 1 or not at all, or any of them as the
    end of its prior's support.
    """
    (value,) = estimates_of(estimate, [own])
    if estimate.method == "map" and end_reached(estimate.model, own.name, value) is not None:
        return True
    if own.kind == "sd":
        columns = solved_exactly(estimate).units.random[estimate.model.structure.place(own.group)]
        return bool(value < BOUNDARY * estimate.sigma * columns.direction(own.i)[1])
    if own.kind == "cor":
        at, units = estimate.model.structure.place(own.group), solved_exactly(estimate).units
        of = np.stack([units.random[at].direction(k)[0] for k in (own.i, own.j)])
        return is_limit(of, relative_factors(estimate, units)[at])
    return False
