"""The two routes to a fit, exact cross-products and Laplace's approximation: all that verbs have to ask of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hier.errors import FitError
from hier.estimate import exact_route, laplace_route
from hier.estimate.fitted import Fitted, once
from hier.estimate.kernel_parameters import Scaled
from hier.estimate.mixed_model_equations import Solved
from hier.estimate.named import NamedParameter


class Route(NamedTuple):
    """How fits of one kind are looked into.

    `solve`: the mixed model equations at the estimates. `working_rows`: the response (n,) of the weighted least squares
    that the fit amounts to there, and its weights (n,), or None. `spreads`: standard deviations and correlations on the
    scales of their intervals. `dispersion`: what the inverse of the equations is multiplied by to be a covariance.
    `intervals`, `ddf`: the methods that there are of confidence intervals, and of their degrees of freedom. `without`:
    what is not offered, each with the next step, if there is one.
    """

    solve: Callable[[Fitted], Solved]
    working_rows: Callable[[Fitted], tuple[np.ndarray, np.ndarray | None]]
    spreads: Callable[[Fitted, Sequence[NamedParameter]], list[Scaled]]
    dispersion: Callable[[Fitted], float]
    intervals: tuple[str, ...]
    ddf: tuple[str, ...]
    without: Mapping[str, str | None]


EXACT = Route(
    solve=exact_route.solved_exactly,
    working_rows=exact_route.working_rows,
    spreads=exact_route.spreads,
    dispersion=lambda estimate: estimate.sigma * estimate.sigma,  # a power of a float that is no number is an error
    intervals=("wald", "profile", "boot"),
    ddf=("none", "satterthwaite"),
    without={},
)
LAPLACE = Route(
    solve=laplace_route.solve,
    working_rows=laplace_route.working_rows,
    spreads=laplace_route.spreads,
    dispersion=lambda estimate: 1.0,  # the curvature of a log density knows of no further scale
    intervals=("wald",),
    ddf=("none",),
    without={
        "Kenward and Roger's adjustment": "tests() gives z-tests",
        "ranova()": "compare two fits by anova(), whose p-value for a variance of zero is too large",
        "r2()": None,
        "icc()": None,
        "influence()": None,
        "bootstrap()": "simulate() draws responses, which Model fits anew",
        "the prediction interval, to which `weights` belong,": "leave `weights` out",
    },
)


def route_of(estimate: Fitted) -> Route:
    """The route that a fit came by."""
    return EXACT if estimate.model.is_linear_normal else LAPLACE


def refuse_unless_offered(estimate: Fitted, what: str) -> None:
    """Raise FitError where the fit's route does not offer this."""
    without = route_of(estimate).without
    if what in without:
        raise FitError(
            f"{what} is for Normal responses with one residual variance",
            found=f"the family `{estimate.model.family.name}` with the {estimate.model.link} link",
            hint=without[what],
        )


def solved(estimate: Fitted) -> Solved:
    """The mixed model equations solved at the estimates, for what is computed after the fit."""
    return route_of(estimate).solve(estimate)


@once
def working_rows(estimate: Fitted) -> tuple[np.ndarray, np.ndarray | None]:
    """The response (n,) of the weighted least squares that the fit amounts to, and its weights (n,), or None."""
    return route_of(estimate).working_rows(estimate)
