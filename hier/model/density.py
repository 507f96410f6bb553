"""The density of a Normal model's parameters, the group deviations and fixed effects integrated out exactly.

Of the fixed effects only those whose priors are not Normal are parameters. They stand last in the kernel's order, so
that the basis keeps them apart from the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hier.kernel.algebra.integrate import Factors, integrate_groups
from hier.kernel.algebra.marginal import FixedPrior, Marginal, add_normal_term, neg2_log_marginal, solve_upper
from hier.kernel.covariance.theta import Terms, sd_columns
from hier.kernel.covariance.unconstrained import correlated_factor, join, second_order
from hier.kernel.normal.expansion import evaluator
from hier.kernel.normal.point_fit import search_seconds
from hier.kernel.search.optimise import Evaluate
from hier.model.parameter_space import Parameters, ParameterSpace
from hier.model.prior_arrays import PriorArrays
from hier.model.prior_numbers import OnePrior
from hier.model.problem import Problem


@dataclass(frozen=True)
class Density:
    """The posterior density of the parameters of a structure, whose `terms` and `n_held`, the number of fixed effects
    that are not integrated out, are known when it is compiled.

    `with_volume`: whether it is a density of the unconstrained vector (NUTS) or of the parameters (MAP).
    """

    terms: Terms
    n_held: int
    with_volume: bool

    @property
    def space(self) -> ParameterSpace:
        """The parameters, of which sigma is the only one of the response's distribution."""
        return ParameterSpace(self.terms, (0,), 0, self.n_held, is_free=False, with_volume=self.with_volume)

    @property
    def size(self) -> int:
        return self.space.size

    @property
    def n_dense(self) -> int:
        """How many coordinates a sampler treats together: all."""
        return self.size

    def seconds(self, problem: Problem) -> float:
        """About how long NumPy takes to search for the mode, which it cannot where a prior is NumPyro's alone."""
        searched = search_seconds(np.zeros(self.size), problem.cross)
        return searched if _priors(problem).are_numbers else np.inf

    def start(self, problem: Problem) -> Any:
        """Where a search begins: sds and sigma at their first estimates, no correlation, other fixed effects at least
        squares.
        """
        units, priors, first = problem.units, _priors(problem), problem.first
        sigma = first.sigma * units.y
        sds = []
        for covariance, own, blocks in zip(first.covariances, priors.anchored, self.terms, strict=True):
            variances = ((own.to_user @ covariance) * own.to_user).sum(axis=1)
            sds += [sigma * variances[start] ** 0.5 for start, _ in sd_columns(blocks)]
        held = units.centre[len(units.centre) - self.n_held :]
        return self.space.start(sds, [sigma], join([]), held, priors)

    def constrain(self, x: Any, problem: Problem) -> tuple[Parameters, Any]:
        """The parameters at x, and the log volume of the map."""
        return self.space.constrain(x, _priors(problem))

    def covariance(self, x: Any, problem: Problem) -> tuple[Factors, Any]:
        """Relative covariance factors and sigma in the kernel's units."""
        return self.in_kernel_units(self.constrain(x, problem)[0], problem)

    def in_kernel_units(self, parameters: Parameters, problem: Problem) -> tuple[Factors, Any]:
        sigma, anchored = parameters.sigma, _priors(problem).anchored
        factors = tuple(
            own.kernel_factor(correlated_factor(sd / sigma, cor, blocks))
            for sd, own, cor, blocks in zip(parameters.sd, anchored, parameters.cor, self.terms, strict=True)
        )
        return factors, sigma / problem.units.y

    def held_at(self, x: Any, problem: Problem) -> Any:
        """The fixed effects that are sampled, at x, in the kernel's units."""
        return self.held_in_kernel_units(self.constrain(x, problem)[0], problem)

    def held_in_kernel_units(self, parameters: Parameters, problem: Problem) -> Any:
        """The fixed effects that are sampled."""
        units, h = problem.units, self.n_held
        if h == 0:
            return parameters.beta
        return solve_upper(units.basis[-h:, -h:], parameters.beta - units.centre[-h:])

    def neg2_log_density(self, x: Any, problem: Problem) -> Any:
        """-2 log posterior density, up to the data's units."""
        return self.given(x, problem, lambda factors: integrate_groups(factors, problem.cross))

    def evaluator(self, problem: Problem) -> Evaluate:
        """The value, gradient and Hessian of -2 log posterior density at x."""
        return evaluator(
            lambda x, integrate: self.given(x, problem, integrate),
            lambda x: self.covariance(x, problem)[0],
            problem.cross,
        )

    def given(self, x: Any, problem: Problem, integrate: Callable[[Factors], Marginal]) -> Any:
        """-2 log posterior density at x from what `integrate` makes of the factors."""
        parameters, volume = self.constrain(x, problem)
        factors, sigma = self.in_kernel_units(parameters, problem)
        held = self.held_in_kernel_units(parameters, problem)
        prior = self.space.neg2_log_prior(parameters, volume, _priors(problem))
        return neg2_log_marginal(integrate(factors), sigma, problem.cross, problem.fixed, held) + prior

    def log_prior(self, parameters: Parameters, problem: Problem) -> Any:
        """Log prior density of the parameters."""
        return self.space.log_prior(parameters, _priors(problem))

    def fixed_prior_at(self, x: Any, problem: Problem) -> FixedPrior:
        """The fixed effects' prior with those that are not Normal replaced by their second-order expansion at x.

        Its curvature gives standard errors. Its mode is the joint mode at x, but where a prior's bound stops that, and
        this one lies beyond.
        """
        fixed, held, first = problem.fixed, self.constrain(x, problem)[0].beta, len(problem.order) - self.n_held
        priors = _priors(problem).fixed
        for k in range(priors.count):
            slope, curvature = second_order(OnePrior(priors.only(k)).log_density, held[k])
            row, centre = problem.units.basis[first + k], problem.units.centre[first + k]
            fixed = add_normal_term(fixed, row, held[k] - centre, slope, -curvature)
        return fixed


def _priors(problem: Problem) -> PriorArrays:
    assert problem.priors is not None
    return problem.priors
