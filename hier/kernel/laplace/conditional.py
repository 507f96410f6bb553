"""The deviations of a model that is not Normal, given all other parameters: their mode, and what stands around it.

Given the outer parameters x, the log density of the response and of the spherical deviations u, b = L u, has one mode,
found by Newton's method; each step is the elimination of a weighted Normal model whose weights are the rows'
curvatures. Fixed effects are outer parameters, or stand beside the deviations where they are integrated out too.
Source: Bates (2018), "Computational Methods for Mixed Models", section 3 (penalised iteratively reweighted least
squares); the curvature is that of the log density itself, not its expectation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.deviations import Eliminated, deviations, eliminate, scaled
from hier.kernel.algebra.marginal import cholesky
from hier.kernel.arrays.control import either, tree_map, while_loop
from hier.kernel.arrays.derivatives import row_derivatives
from hier.kernel.arrays.library import Array, xp
from hier.kernel.covariance.theta import Terms, n_theta, relative_factors
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.laplace.row_products import RowArrays, in_rows, weighted_products

MAX_STEPS = 100
SMALL_STEP = 1e-7  # squared length of a step, in standard deviations: after it, one Newton step leaves rounding
LEAST_SHARE = 1e-6  # of a step: one that has been halved to less leads nowhere
LEAST_CURVATURE = 1e-10  # a row's, in a search: where a density is not log-concave a step must still lead downhill
Curvatures = Callable[[Any], Any]


class Outer(NamedTuple):
    """The parameters that the deviations are conditional on, in the kernel's units.

    `factors` (q, q): covariance factors. `others` (k,): coefficients of each further parameter. `cutpoints` (c,).
    `beta` (p,): fixed effects; empty where they are integrated out.
    """

    factors: tuple[Any, ...]
    others: tuple[Any, ...]
    cutpoints: Any
    beta: Any


class Inner(NamedTuple):
    """What is integrated out: spherical deviations `u` (q, J) of every factor, and `beta` (p,), which may be empty."""

    u: tuple[Any, ...]
    beta: Any


@dataclass(frozen=True)
class Theta:
    """Outer parameters as a likelihood is searched in them: theta, coefficients of the further parameters, the first
    cutpoint and the logarithms of the gaps to the next, and fixed effects unless these are integrated out too.
    """

    terms: Terms
    n_cutpoints: int
    with_fixed: bool

    @property
    def n_grouped(self) -> int:
        """How many numbers say how the deviations vary."""
        return n_theta(self.terms)

    def sizes(self, rows: RowArrays) -> list[int]:
        """How many numbers each part has: theta, one part a further parameter, cutpoints, fixed effects."""
        p = 0 if self.with_fixed else rows.X.shape[1]
        return [n_theta(self.terms), *(columns.shape[1] for columns in rows.others), self.n_cutpoints, p]

    def outer(self, x: Array, problem: Any) -> Outer:
        """The parameters at x (m,)."""
        theta, *others, cut, beta = xp.split(x, np.cumsum(self.sizes(problem.rows))[:-1])
        return Outer(relative_factors(theta, self.terms), tuple(others), ascending(cut), beta)

    def are_numbers(self, problem: Any) -> bool:
        """Whether NumPy can compute all of it."""
        return True

    def neg2_log_prior(self, x: Array, problem: Any) -> Any:
        """A likelihood has none."""
        return 0.0


@dataclass(frozen=True)
class Conditional:
    """Deviations under a likelihood; `with_fixed` says whether the fixed effects stand among what is integrated out."""

    likelihood: Likelihood
    with_fixed: bool = False

    def deviations_of(self, factors: Sequence[Any], u: Sequence[Any]) -> tuple[Any, ...]:
        """b = L u of every factor (q, J)."""
        return tuple(scaled(factor, own) for factor, own in zip(factors, u, strict=True))

    def random_part(self, factors: Sequence[Any], u: Sequence[Any], rows: RowArrays) -> Any:
        """Z L u in every row (n,)."""
        total = xp.zeros(rows.y.shape[0])
        for b, z, codes in zip(self.deviations_of(factors, u), rows.z, rows.pattern.codes, strict=True):
            total = total + in_rows(z, b, codes)
        return total

    def mean_predictor(self, outer: Outer, inner: Inner, rows: RowArrays) -> Any:
        """The linear predictor of the mean (n,)."""
        beta = inner.beta if self.with_fixed else outer.beta
        return rows.offsets[0] + rows.X @ beta + self.random_part(outer.factors, inner.u, rows)

    def _by_row(self, eta: Array, outer: Outer, rows: RowArrays, order: int) -> list[Any]:
        """Log density of every row (n,), as often as the row counts, and its derivatives in the predictor `eta`."""
        others = [
            offset + columns @ coefficients
            for offset, columns, coefficients in zip(rows.offsets[1:], rows.others, outer.others, strict=True)
        ]
        observed, count = Observed(rows.y, rows.trials, outer.cutpoints), 1 + len(others)

        def density(*own: Any) -> Any:
            there = observed._replace(ends=own[count:])
            return rows.counts * self.likelihood.log_density(there, own[:count])

        return row_derivatives(density, [eta, *others, *observed.around()], order)

    def log_densities(self, eta: Array, outer: Outer, rows: RowArrays) -> Any:
        """Log density of every row (n,), as often as the row counts."""
        return self._by_row(eta, outer, rows, 0)[0]

    def slopes(self, eta: Array, outer: Outer, rows: RowArrays) -> tuple[Any, Any]:
        """First derivative of every row's log density in its linear predictor, and minus the second: (n,) each."""
        _, first, second = self._by_row(eta, outer, rows, 2)
        return first, -second

    def working(self, eta: Array, given: Array, outer: Outer, rows: RowArrays, taken: Curvatures) -> tuple[Any, Any]:
        """The weights (n,) of the Normal model that the log density is near `eta` (n,), its curvatures as they are
        `taken`, and its response less what is `given` of the predictor (n,), times the weights.

        Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.5.
        """
        score, weights = self.slopes(eta, outer, rows)
        weights = taken(weights)
        return weights, score + weights * (eta - given)

    def neg2_log_joint(self, eta: Array, outer: Outer, inner: Inner, rows: RowArrays) -> Any:
        """-2 log density of the response and the spherical deviations, less the constant of the latter."""
        squares = sum(xp.sum(u**2) for u in inner.u)
        return -2.0 * xp.sum(self.log_densities(eta, outer, rows)) + squares

    def eliminated(
        self, outer: Outer, weights: Array, column: Array, rows: RowArrays
    ) -> tuple[Eliminated, CrossProducts]:
        """The elimination at row weights (n,), with one right side: `column` (n,), already weighted."""
        if not self.with_fixed:
            cross = weighted_products(rows, weights, column[None])
            return eliminate(outer.factors, cross), cross
        weighted = weights * rows.X.T
        cross = weighted_products(rows, weights, xp.concatenate([weighted, column[None]]))
        right = xp.append(rows.X.T @ column, 0.0)
        top = xp.concatenate([weighted @ rows.X, right[:-1, None]], axis=1)
        cross = cross._replace(xx=xp.concatenate([top, right[None]]))
        return eliminate(outer.factors, cross), cross

    def expanded(self, eta: Array, outer: Outer, rows: RowArrays, least: float = -np.inf) -> CrossProducts:
        """The cross-products of the weighted Normal model that the log density is near a linear predictor `eta` (n,) of
        the mean: with the fixed effects' columns, and last with what they and the deviations take the place of.
        """
        weights, working = self.working(eta, rows.offsets[0], outer, rows, lambda own: xp.maximum(own, least))
        return weighted_products(rows, weights, xp.concatenate([weights * rows.X.T, working[None]]))

    def solve(self, outer: Outer, weights: Array, column: Array, rows: RowArrays) -> Inner:
        """The (u, beta) that Z L and X take nearest to `column`: M v = [L'Z'; X'] column, M the joint curvature."""
        found, cross = self.eliminated(outer, weights, column, rows)
        beta = xp.zeros(0)
        if self.with_fixed:
            schur = found.marginal.schur
            lower = cholesky(schur[:-1, :-1])
            half = xp.solve_triangular(lower, schur[:-1, -1], lower=True)
            beta = xp.solve_triangular(lower.T, half, lower=False)
        return Inner(deviations(outer.factors, found, cross, beta).spherical, beta)

    def log_det(self, outer: Outer, weights: Array, rows: RowArrays) -> Any:
        """log|M|, the joint curvature of what is integrated out."""
        found, _ = self.eliminated(outer, weights, xp.zeros(rows.y.shape[0]), rows)
        if not self.with_fixed:
            return found.marginal.log_det
        lower = cholesky(found.marginal.schur[:-1, :-1])
        return found.marginal.log_det + 2.0 * xp.sum(xp.log(xp.diag(lower)))

    def newton(
        self, outer: Outer, inner: Inner, rows: RowArrays, taken: Curvatures = lambda own: own
    ) -> tuple[Inner, Any]:
        """Where Newton's method goes from `inner`, and its squared length there in standard deviations, the rows'
        curvatures as they are `taken`.
        """
        eta = self.mean_predictor(outer, inner, rows)
        weights, working = self.working(eta, self._given(outer, rows), outer, rows, taken)
        there = self.solve(outer, weights, working, rows)
        change = self.mean_predictor(outer, there, rows) - eta
        moved = sum(xp.sum((new - old) ** 2) for new, old in zip(there.u, inner.u, strict=True))
        return there, xp.sum(weights * change**2) + moved

    def _given(self, outer: Outer, rows: RowArrays) -> Any:
        """The part of the linear predictor that is not searched (n,)."""
        return rows.offsets[0] if self.with_fixed else rows.offsets[0] + rows.X @ outer.beta

    def mode(self, outer: Outer, start: Inner, rows: RowArrays) -> Inner:
        """The mode of the deviations, from `start`, to half of the digits: one Newton step more gives all of them.

        Newton's method with its steps halved until they lead downhill.
        """

        def height(inner: Inner) -> Any:
            return self.neg2_log_joint(self.mean_predictor(outer, inner, rows), outer, inner, rows)

        def target(inner: Inner) -> tuple[Inner, Any]:
            # where a density is not log-concave, by the size of its curvature a step leads downhill, and not too far
            there, length = self.newton(outer, inner, rows, lambda own: xp.maximum(xp.abs(own), LEAST_CURVATURE))
            return tree_map(xp.subtract, there, inner), length

        def advance(state: _Search) -> _Search:
            there = tree_map(lambda at, by: at + state.share * by, state.inner, state.step)
            value = height(there)
            lower = value <= state.value + 1e-10 * (1.0 + xp.abs(state.value))  # False where it is not a number
            small = state.length < SMALL_STEP

            def accepted() -> _Search:
                step, length = either(small, lambda: (state.step, state.length), lambda: target(there))
                return _Search(there, value, step, length, xp.ones(()), state.n + 1, small)

            def refused() -> _Search:
                share = 0.5 * state.share
                return state._replace(share=share, n=state.n + 1, done=share < LEAST_SHARE)

            return either(lower, accepted, refused)

        fresh = tree_map(xp.zeros_like, start)
        begin = either(xp.isfinite(height(start)), lambda: start, lambda: fresh)
        step, length = target(begin)
        state = _Search(begin, height(begin), step, length, np.ones(()), np.zeros((), int), np.zeros((), bool))
        return while_loop(lambda s: ~s.done & (s.n < MAX_STEPS), advance, state).inner


class _Search(NamedTuple):
    inner: Inner
    value: Any
    step: Inner
    length: Any
    share: Any
    n: Any
    done: Any


def no_deviations(rows: RowArrays, *, with_fixed: bool) -> Inner:
    """All deviations zero, and the fixed effects too where they stand among them."""
    u = tuple(xp.zeros((z.shape[0], like.shape[0])) for z, like in zip(rows.z, rows.pattern.like, strict=True))
    return Inner(u, xp.zeros(rows.X.shape[1] if with_fixed else 0))


def ascending(free: Array) -> Any:
    """Cutpoints from numbers without bounds: the first, and the logarithms of the gaps to the next."""
    if free.shape[0] < 2:
        return free
    return xp.cumsum(xp.concatenate([free[:1], xp.exp(free[1:])]))
