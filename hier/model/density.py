"""The density of a model's unconstrained variance parameters, the group deviations and fixed effects integrated out.

One vector x holds, in this order, the group sds, the correlations, sigma, and those fixed effects whose priors are not
Normal; each is mapped to its prior's support by NumPyro's transform. MAP maximises this density over the parameters
themselves, NUTS samples the same density with the volume of the transforms counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hier.design import Block
from hier.kernel.covariance import Terms, n_columns, n_variance_parameters, symmetric_correlation
from hier.kernel.expansion import evaluator
from hier.kernel.integrate import Factors, integrate_groups
from hier.kernel.marginal import FixedPrior, Marginal, add_normal_term, neg2_log_marginal, solve_upper
from hier.kernel.optimise import Evaluate
from hier.kernel.parameters import (
    correlated_factor,
    join,
    log_volume_of_correlations,
    second_order,
    split_vector,
    unconstrained,
)
from hier.model.problem import Problem


class Parameters(NamedTuple):
    """The parameters that are not integrated out, on the user's scale, the grouping factors in the kernel's order.

    `sd` (q,) and `cor_factors` (K, K), one a correlated block, of each factor; `sigma` (), `held` (h,) fixed effects
    with other than Normal priors.
    """

    sd: tuple[Any, ...]
    cor_factors: tuple[tuple[Any, ...], ...]
    sigma: Any
    held: Any


@dataclass(frozen=True)
class Density:
    """The posterior density of the variance parameters of a structure: `terms` and `n_held`, known when it is
    compiled.

    `with_volume`: whether it is a density of the unconstrained vector (NUTS) or of the parameters (MAP).
    """

    terms: Terms
    n_held: int
    with_volume: bool

    @property
    def size(self) -> int:
        return self.n_held + n_variance_parameters(self.terms)

    @property
    def _correlated(self) -> list[Block]:
        return [block for blocks in self.terms for block in blocks if block.size > 1]

    def _priors(self, problem: Problem) -> list[Any]:
        assert problem.priors is not None
        p = problem.priors
        own = [prior for group in (*p.sd, *p.cor) for prior in group]
        return [prior.node for prior in (*own, p.sigma, *p.held)]

    def start(self, problem: Problem) -> Any:
        """Where a search begins: sds and sigma at half the residual's spread, no correlation, other fixed effects at
        least squares.

        A value outside a prior's support is replaced by the middle of the support.
        """
        from numpyro.distributions import biject_to

        units, priors = problem.units, self._priors(problem)
        guesses = [0.5 * units.y / z[k] for z in units.z for k in range(len(z))]
        guesses += [np.eye(block.size) if block.structure == "us" else np.zeros(()) for block in self._correlated]
        guesses += [0.5 * units.y, *units.centre[len(units.centre) - self.n_held :]]
        return unconstrained(guesses, [biject_to(prior.support) for prior in priors])

    def constrain(self, x: Any, problem: Problem) -> tuple[Parameters, Any]:
        """The parameters at x, and the log volume of the map."""
        from numpyro.distributions import biject_to

        columns = [n_columns(blocks) for blocks in self.terms]
        q = sum(columns)
        correlated = [b.size * (b.size - 1) // 2 if b.structure == "us" else 1 for b in self._correlated]
        pieces = split_vector(x, [1] * q + correlated + [1] * (1 + self.n_held))
        values, volume = [], 0.0
        for position, (piece, prior) in enumerate(zip(pieces, self._priors(problem), strict=True)):
            block = self._correlated[position - q] if q <= position < q + len(correlated) else None
            scalar = block is None or block.structure != "us"
            at = piece[0] if scalar else piece
            transform = biject_to(prior.support)
            value = transform(at)
            volume = volume + transform.log_abs_det_jacobian(at, value)
            if block is not None and block.structure == "cs":
                value = symmetric_correlation(value, block.size)
            values.append(value)
        rest = iter(values)
        sd = tuple(join([next(rest) for _ in range(count)]) for count in columns)
        factors = tuple(tuple(next(rest) for block in blocks if block.size > 1) for blocks in self.terms)
        return Parameters(sd, factors, next(rest), join(list(rest))), volume

    def covariance(self, x: Any, problem: Problem) -> tuple[Factors, Any]:
        """Relative covariance factors and sigma in the kernel's units."""
        return self.in_kernel_units(self.constrain(x, problem)[0], problem)

    def in_kernel_units(self, parameters: Parameters, problem: Problem) -> tuple[Factors, Any]:
        units = problem.units
        factors = tuple(
            correlated_factor(sd * z / parameters.sigma, cor, blocks)
            for sd, z, cor, blocks in zip(parameters.sd, units.z, parameters.cor_factors, self.terms, strict=True)
        )
        return factors, parameters.sigma / units.y

    def held_in_kernel_units(self, parameters: Parameters, problem: Problem) -> Any:
        """The fixed effects that are sampled; they stand last, so that the basis keeps them apart from the others."""
        units, h = problem.units, self.n_held
        if h == 0:
            return parameters.held
        return solve_upper(units.basis[-h:, -h:], parameters.held - units.centre[-h:])

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
        log_prior = self.log_prior(parameters, problem) + (volume if self.with_volume else 0.0)
        return neg2_log_marginal(integrate(factors), sigma, problem.cross, problem.fixed, held) - 2.0 * log_prior

    def log_prior(self, parameters: Parameters, problem: Problem) -> Any:
        """Log prior density of the sds, correlations, sigma and the fixed effects that are not integrated out."""
        priors = problem.priors
        assert priors is not None
        total = priors.sigma.node.log_prob(parameters.sigma)
        for sds, own in zip(parameters.sd, priors.sd, strict=True):
            for k, prior in enumerate(own):
                total = total + prior.node.log_prob(sds[k])
        factors = [factor for own in parameters.cor_factors for factor in own]
        correlations = [prior for own in priors.cor for prior in own]
        for block, factor, prior in zip(self._correlated, factors, correlations, strict=True):
            if block.structure == "cs":
                total = total + prior.node.log_prob(factor[1, 0])
                continue
            total = total + prior.node.log_prob(factor)
            if not self.with_volume:  # the density of the correlation matrix, not of its factor
                total = total - log_volume_of_correlations(factor)
        for k, prior in enumerate(priors.held):
            total = total + prior.node.log_prob(parameters.held[k])
        return total

    def fixed_prior_at(self, x: Any, problem: Problem) -> FixedPrior:
        """The fixed effects' prior with those that are not Normal replaced by their second-order expansion at x.

        Its mode given the variance parameters is the joint mode at x, and its curvature gives standard errors.
        """
        assert problem.priors is not None
        fixed, p = problem.fixed, len(problem.order)
        parameters, _ = self.constrain(x, problem)
        for k, prior in enumerate(problem.priors.held):
            slope, curvature = second_order(prior.node.log_prob, parameters.held[k])
            row = problem.units.basis[p - self.n_held + k]
            centre = problem.units.centre[p - self.n_held + k]
            fixed = add_normal_term(fixed, row, parameters.held[k] - centre, slope, -curvature)
        return fixed
