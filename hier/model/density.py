"""The density of a model's unconstrained variance parameters, the group deviations and fixed effects integrated out.

One vector x holds, in this order, the group sds, the correlations, sigma, and those fixed effects whose priors are not
Normal; each is mapped to its prior's support by NumPyro's transform. MAP maximises this density over the parameters
themselves, NUTS samples the same density with the volume of the transforms counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hier.kernel.algebra.integrate import Factors, integrate_groups
from hier.kernel.algebra.marginal import FixedPrior, Marginal, add_normal_term, neg2_log_marginal, solve_upper
from hier.kernel.covariance.theta import Terms, correlations, n_variance_parameters, sd_columns
from hier.kernel.covariance.unconstrained import (
    by_column,
    correlated_factor,
    join,
    second_order,
    split_vector,
    unconstrained,
)
from hier.kernel.normal.expansion import evaluator
from hier.kernel.search.optimise import Evaluate
from hier.model.problem import Problem


class Parameters(NamedTuple):
    """The parameters that are not integrated out, on the user's scale, the grouping factors in the kernel's order.

    `sd` (q,) and `cor`, the variable of the correlations' prior of each correlated block, of the deviations of each
    factor's anchored columns; `sigma` (), `held` (h,) fixed effects with other than Normal priors.
    """

    sd: tuple[Any, ...]
    cor: tuple[tuple[Any, ...], ...]
    sigma: Any
    held: Any


def constrained(pieces: Sequence[Any], priors: Sequence[Any]) -> tuple[list[Any], Any]:
    """Values in the supports of their priors from numbers without bounds, and the log volume of the map."""
    from numpyro.distributions import biject_to

    values, volume = [], 0.0
    for piece, prior in zip(pieces, priors, strict=True):
        at = piece if prior.event_shape else piece[0]
        transform = biject_to(prior.support)
        value = transform(at)
        volume = volume + transform.log_abs_det_jacobian(at, value)
        values.append(value)
    return values, volume


def by_factor(values: Iterator[Any], terms: Terms) -> tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]:
    """The sds of each column (q,) and the variables of the correlations of every factor, from one value for each that
    is free: first all sds, then all correlations.
    """
    sds = [[next(values) for _ in sd_columns(blocks)] for blocks in terms]
    sd = tuple(by_column(own, blocks) for own, blocks in zip(sds, terms, strict=True))
    return sd, tuple(tuple(next(values) for _ in correlations(blocks)) for blocks in terms)


def log_prior_of_groups(parameters: Any, terms: Terms, priors: Any, *, with_volume: bool) -> Any:
    """Log prior density of the sds and correlations; without volume, of a correlation matrix and not of its factor."""
    total = 0.0
    for sd, blocks, own in zip(parameters.sd, terms, priors.sd, strict=True):
        for (start, _), prior in zip(sd_columns(blocks), own, strict=True):
            total = total + prior.node.log_prob(sd[start])
    for cor, blocks, own in zip(parameters.cor, terms, priors.cor, strict=True):
        for value, (_, correlation), prior in zip(cor, correlations(blocks), own, strict=True):
            total = total + prior.node.log_prob(value)
            if not with_volume:
                total = total - correlation.log_volume(value)
    return total


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
    def n_dense(self) -> int:
        """How many coordinates a sampler treats together: all."""
        return self.size

    def _priors(self, problem: Problem) -> list[Any]:
        assert problem.priors is not None
        p = problem.priors
        own = [prior for group in (*p.sd, *p.cor) for prior in group]
        return [prior.node for prior in (*own, p.sigma, *p.held)]

    def start(self, problem: Problem) -> Any:
        """Where a search begins: sds and sigma at their first estimates, no correlation, other fixed effects at least
        squares.

        A value outside a prior's support is replaced by the middle of the support.
        """
        from numpyro.distributions import biject_to

        assert problem.priors is not None
        units, priors, first = problem.units, self._priors(problem), problem.first
        sigma = first.sigma * units.y
        guesses = []
        for covariance, own, blocks in zip(first.covariances, problem.priors.anchored, self.terms, strict=True):
            variances = ((own.to_user @ covariance) * own.to_user).sum(axis=1)
            guesses += [sigma * variances[start] ** 0.5 for start, _ in sd_columns(blocks)]
        guesses += [own.none(block.size) for blocks in self.terms for block, own in correlations(blocks)]
        guesses += [sigma, *units.centre[len(units.centre) - self.n_held :]]
        return unconstrained(guesses, [biject_to(prior.support) for prior in priors])

    def constrain(self, x: Any, problem: Problem) -> tuple[Parameters, Any]:
        """The parameters at x, and the log volume of the map."""
        n_sds = [len(sd_columns(blocks)) for blocks in self.terms]
        counts = [own.count(block.size) for blocks in self.terms for block, own in correlations(blocks)]
        pieces = split_vector(x, [1] * sum(n_sds) + counts + [1] * (1 + self.n_held))
        values, volume = constrained(pieces, self._priors(problem))
        rest = iter(values)
        sd, cor = by_factor(rest, self.terms)
        return Parameters(sd, cor, next(rest), join(list(rest))), volume

    def covariance(self, x: Any, problem: Problem) -> tuple[Factors, Any]:
        """Relative covariance factors and sigma in the kernel's units."""
        return self.in_kernel_units(self.constrain(x, problem)[0], problem)

    def in_kernel_units(self, parameters: Parameters, problem: Problem) -> tuple[Factors, Any]:
        assert problem.priors is not None
        factors = tuple(
            own.kernel_factor(correlated_factor(sd / parameters.sigma, cor, blocks))
            for sd, own, cor, blocks in zip(
                parameters.sd, problem.priors.anchored, parameters.cor, self.terms, strict=True
            )
        )
        return factors, parameters.sigma / problem.units.y

    def held_at(self, x: Any, problem: Problem) -> Any:
        """The fixed effects that are sampled, at x, in the kernel's units."""
        return self.held_in_kernel_units(self.constrain(x, problem)[0], problem)

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
        total = total + log_prior_of_groups(parameters, self.terms, priors, with_volume=self.with_volume)
        for k, prior in enumerate(priors.held):
            total = total + prior.node.log_prob(parameters.held[k])
        return total

    def fixed_prior_at(self, x: Any, problem: Problem) -> FixedPrior:
        """The fixed effects' prior with those that are not Normal replaced by their second-order expansion at x.

        Its curvature gives standard errors. Its mode is the joint mode at x, but where a prior's bound stops that, and
        this one lies beyond.
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
