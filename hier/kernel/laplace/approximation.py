"""The marginal likelihood of a model that is not Normal: Laplace's approximation and adaptive Gauss-Hermite quadrature.

Both are a function F(x, u) of the outer parameters and of the deviations at their mode u(x). Where the mode solves
g(x, u) = u - L'Z's = 0 with curvature M = dg/du, implicit differentiation gives

    dF/dx = F_x - lambda' g_x,    M lambda = F_u,

so that a gradient costs one more solve. Differentiating that once more, with u replaced by one Newton step from the
mode, whose derivative is that of the mode, gives the exact Hessian.
Source: Tierney and Kadane (1986), J. Am. Stat. Assoc. 81, 82, section 2; Pinheiro and Bates (1995), J. Comput. Graph.
Stat. 4, 12, section 2.4 (quadrature); Kristensen et al. (2016), J. Stat. Softw. 70(5), section 2 (implicit gradients).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hier.kernel.algebra.by_level import back_substitute, forward_substitute
from hier.kernel.arrays.control import tree_map
from hier.kernel.arrays.derivatives import differentiated
from hier.kernel.arrays.library import Array, is_jax, xp
from hier.kernel.laplace.conditional import Conditional, Inner, Outer, no_deviations
from hier.kernel.laplace.log_densities import LOG_2PI
from hier.kernel.laplace.row_products import RowArrays, in_rows, sums_by_level
from hier.kernel.search.optimise import minimise

OF_A_SEARCH = 12  # evaluations
PER_CALL = 1e-2  # seconds of an evaluation's calls of NumPy, whatever the sizes
A_NUMBER = 2e-8  # seconds of all that is done with one number of a row
AN_OPERATION = 1e-11  # seconds, in products of large matrices on one core
GOOD_START = 0.01  # of -2 log density: what a first fit without deviations may leave


@dataclass(frozen=True)
class Approximation:
    """-2 log marginal density of a conditional model, its outer parameters given by x as `parameters` says.

    `n_points` of quadrature in each direction of a level's deviations: one is Laplace's approximation. `parameters` has
    `outer(x, problem)`, `neg2_log_prior(x, problem)`, `are_numbers(problem)`, whether NumPy can compute both, and
    `n_grouped`, how many of x stand first that only the deviations depend on; a problem has `rows`, and whatever
    `parameters` needs.
    """

    conditional: Conditional
    parameters: Any
    n_points: int = 1

    def value_at(self, outer: Outer, inner: Inner, rows: RowArrays) -> Any:
        """-2 log marginal likelihood from the deviations at their mode."""
        if self.n_points == 1:
            eta = self.conditional.mean_predictor(outer, inner, rows)
            height = self.conditional.neg2_log_joint(eta, outer, inner, rows)
            return height + self._log_det(outer, eta, rows) - inner.beta.shape[0] * LOG_2PI
        return self._quadrature(outer, inner, rows)

    def _log_det(self, outer: Outer, eta: Array, rows: RowArrays) -> Any:
        _, weights = self.conditional.slopes(eta, outer, rows)
        return self.conditional.log_det(outer, weights, rows)

    def _quadrature(self, outer: Outer, inner: Inner, rows: RowArrays) -> Any:
        """The integrals of the levels of one factor, each by a product rule around its mode.

        Source: Pinheiro and Bates (1995), equation 2.10; with t the points and w the weights for exp(-t^2), the
        integral is 2^(q/2) / |R| times the sum of w exp(t't) f(u + sqrt(2) R^-1 t).
        """
        model, (u,), (z,), (codes,) = self.conditional, inner.u, rows.z, rows.pattern.codes
        q, (like,) = u.shape[0], rows.pattern.like
        eta = model.mean_predictor(outer, inner, rows)
        _, weights = model.slopes(eta, outer, rows)
        found, _ = model.eliminated(outer, weights, xp.zeros(rows.y.shape[0]), rows)
        upper = found.levels[0].upper
        t, log_w = product_rule(self.n_points, q)  # (N, q), (N,)
        away = xp.broadcast_to(np.sqrt(2.0) * t.T[:, :, None], (q, len(t), u.shape[1]))
        moved = back_substitute(upper, away)  # (q, N, J): what each point adds to u
        b = xp.einsum("ab,bkj->akj", outer.factors[0], moved)
        etas = eta[None] + in_rows(z, b, codes)  # (N, n)
        per_row = model.log_densities(etas, outer, rows)
        log_f = sums_by_level(per_row, codes, like) - 0.5 * xp.sum((u[:, None] + moved) ** 2, axis=0)  # (N, J)
        inside = xp.logsumexp(log_f + (log_w + xp.sum(t**2, axis=1))[:, None], axis=0)
        log_root = xp.sum(xp.log(xp.diagonal(upper).T), axis=0)
        return -2.0 * xp.sum(inside - log_root - 0.5 * q * np.log(np.pi))

    def gradient_at(self, x: Array, mode: Inner, problem: Any) -> tuple[Any, Any]:
        """Gradient (m,) and value at x, `mode` being the mode there but for the last digits; the gradient can be
        differentiated once more.
        """
        model, rows, outer_at = self.conditional, problem.rows, self.parameters.outer
        outer = outer_at(x, problem)
        inner, _ = model.newton(outer, tree_map(xp.stop_gradient, mode), rows)
        import jax

        response = self._adjoint(outer, inner, rows)

        def rest(point: Array) -> Any:
            """-lambda' g, whose part without x is left out."""
            outer = outer_at(point, problem)
            score, _ = model.slopes(model.mean_predictor(outer, inner, rows), outer, rows)
            along = model.random_part(outer.factors, response.u, rows)
            if model.with_fixed:
                along = along + rows.X @ response.beta
            return xp.sum(along * score)

        def value(point: Array) -> Any:
            prior = self.parameters.neg2_log_prior(point, problem)
            return self.value_at(outer_at(point, problem), inner, rows) + prior

        at, direct = jax.value_and_grad(value)(x)
        return direct + jax.grad(rest)(x), at

    def _adjoint(self, outer: Outer, inner: Inner, rows: RowArrays) -> Inner:
        """lambda: the solution of M lambda = F_u."""
        model = self.conditional
        eta = model.mean_predictor(outer, inner, rows)
        _, weights = model.slopes(eta, outer, rows)
        import jax

        if self.n_points == 1:
            # at the mode F depends on u only through the weights of the rows, so F_u is L'Z' times a slope in eta
            slope = jax.grad(lambda at: self._log_det(outer, at, rows))(eta)
            return model.solve(outer, weights, slope, rows)
        slope = jax.grad(lambda u: self._quadrature(outer, Inner((u,), inner.beta), rows))(inner.u[0])
        found, _ = model.eliminated(outer, weights, xp.zeros_like(eta), rows)
        upper = found.levels[0].upper
        return Inner((back_substitute(upper, forward_substitute(upper, slope)),), inner.beta)

    def started(self, x: Array, problem: Any, units: Array | float = 1.0) -> tuple[Any, Any]:
        """x with the parameters that do not concern the deviations at their best, were there none: where a search
        should begin. The first `n_grouped` of x are left as they are. And the objective without deviations there,
        infinite where fixed effects that stand among what is integrated out leave it unknown. `units` (m,) of x.
        """
        model, rows = self.conditional, problem.rows
        count = self.parameters.n_grouped
        grouped, nothing = x[:count], no_deviations(rows, with_fixed=model.with_fixed)

        def objective(rest: Array) -> Any:
            point = xp.concatenate([grouped, rest])
            outer = self.parameters.outer(point, problem)
            eta = model.mean_predictor(outer, nothing, rows)
            return model.neg2_log_joint(eta, outer, nothing, rows) + self.parameters.neg2_log_prior(point, problem)

        if x.shape[0] == count:
            return x, xp.inf if model.with_fixed else objective(x[count:])
        units = xp.broadcast_to(units, x.shape)[count:]
        found = minimise(differentiated(objective), x[count:], GOOD_START, units=units)
        return xp.concatenate([grouped, found.x]), xp.where(model.with_fixed, xp.inf, found.value)

    def _near(self, x: Array, mode: Inner, problem: Any) -> Any:
        """The objective as a function of x, right to second order where the deviations' mode is `mode`."""
        model, outer = self.conditional, self.parameters.outer(x, problem)
        for _ in range(2):  # the first gives the mode to first order in x, and the second to third
            mode, _ = model.newton(outer, mode, problem.rows)
        return self.value_at(outer, mode, problem.rows) + self.parameters.neg2_log_prior(x, problem)

    def seconds(self, m: int, problem: Any) -> float:
        """About how long NumPy takes to search in m parameters, the predictor and the products of every row being
        series; infinite where the likelihood or a prior is for JAX alone.
        """
        if not (self.conditional.likelihood.is_kept and self.parameters.are_numbers(problem)):
            return np.inf
        rows = problem.rows
        points = self.n_points ** rows.z[0].shape[0] if self.n_points > 1 else 0
        per_row = sum(z.shape[0] * (z.shape[0] + 2) for z in rows.z) + points
        sizes = (like.shape[0] * z.shape[0] for like, z in zip(rows.pattern.like[1:], rows.z[1:], strict=True))
        dense = sum(sizes) if rows.pattern.cells else 0
        numbers = rows.y.shape[0] * (per_row + 10) + 4.0 * dense**2
        coefficients = (m + 1) * (m + 2) / 2
        return OF_A_SEARCH * (PER_CALL + coefficients * (numbers * A_NUMBER + 20.0 * dense**3 * AN_OPERATION))

    def evaluator(self, problem: Any) -> Callable[[Any, Inner], tuple[Any, Any, Any, Inner]]:
        """Value, gradient and Hessian at x, searching the deviations from where they were last; and where they are."""

        def evaluate(x: Array, start: Inner) -> tuple[Any, Any, Any, Inner]:
            model, outer_at = self.conditional, self.parameters.outer
            mode = model.mode(outer_at(x, problem), start, problem.rows)
            if not is_jax(x):
                return *differentiated(functools.partial(self._near, mode=mode, problem=problem))(x), mode
            import jax

            def gradient(point: Array) -> tuple[Any, tuple[Any, Any]]:
                slope, value = self.gradient_at(point, mode, problem)
                return slope, (slope, value)

            hessian, (slope, value) = jax.jacfwd(gradient, has_aux=True)(x)
            return value, slope, hessian, mode

        return evaluate


def product_rule(n_points: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, q) and log weights (N,) of a Gauss-Hermite rule for exp(-t't) in q directions, N = n_points^q."""
    t, w = np.polynomial.hermite.hermgauss(n_points)
    grid = np.meshgrid(*[t] * q, indexing="ij")
    weights = np.meshgrid(*[np.log(w)] * q, indexing="ij")
    return np.stack([own.ravel() for own in grid], axis=1), np.sum([own.ravel() for own in weights], axis=0)
