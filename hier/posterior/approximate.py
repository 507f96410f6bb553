"""A fast look at a posterior: independent draws from a Normal approximation, and how good it is.

The approximation is Normal in the coordinates that NUTS would move in, where the posterior is nearly that: Laplace's,
by mode and curvature, or the best one by the reverse Kullback-Leibler divergence (variational inference). Every draw
carries the logarithm of posterior density over approximate density; the shape of the largest of these weights' tail,
Pareto k, says whether the approximation can stand for the posterior.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64, kept_programs
from hier.posterior.nuts import Sampled, Tell
from hier.posterior.whitening import Whitening
from hier.settings import Sampling

AT_ONCE = 100
FIXED_DRAWS = 64  # of standard Normal vectors, over which the divergence is averaged
MOST_STEPS = 200  # of the search for the best approximation
LONGEST = 4.0  # of a logarithm of a spread: what the search may reach


class Independent(NamedTuple):
    """Independent draws: unconstrained `x` (C, D, n), their log density `lp` and `log_weight` (C, D), the logarithm of
    posterior over approximate density, up to a constant. `end`: the map that makes them, for more of them.
    """

    x: np.ndarray
    lp: np.ndarray
    log_weight: np.ndarray
    end: Whitening
    stopped: bool = False

    def stats(self) -> dict[str, np.ndarray]:
        """What is kept beside the draws."""
        return {"lp": self.lp, "log_weight": self.log_weight}


@functools.cache
def _weigh_program(density: Sampled) -> Program:
    def weigh(z: jax.Array, arrays: object, whitening: Whitening) -> tuple[jax.Array, ...]:
        def one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            x = whitening.apply(z)
            return x, -0.5 * density.neg2_log_density(x, arrays)

        return jax.lax.map(one, z, batch_size=10)

    return Program("weigh_draws", (density,), weigh)


@float64
def normal_draws[A](
    density: Sampled[A], arrays: A, whitening: Whitening, settings: Sampling, on_progress: Tell
) -> Independent:
    """Draws of the Normal approximation that the affine map makes of standard Normal variables."""
    random = np.random.default_rng(settings.seed)
    chains, draws = settings.chains, settings.draws
    total = chains * draws
    batches = -(-total // AT_ONCE)
    z = random.standard_normal((batches * AT_ONCE, density.size))
    program, xs, lps = _weigh_program(density), [], []
    for k in range(batches):
        x, lp = program(z[k * AT_ONCE : (k + 1) * AT_ONCE], arrays, whitening)
        xs.append(np.asarray(x))
        lps.append(np.asarray(lp))
        on_progress(min(draws, (k + 1) * AT_ONCE // chains))
    lp = np.concatenate(lps)[:total].reshape(chains, draws)
    squares = np.sum(z[:total] ** 2, axis=1).reshape(chains, draws)
    return Independent(np.concatenate(xs)[:total].reshape(chains, draws, -1), lp, lp + 0.5 * squares, whitening)


@functools.cache
def _divergence_program(density: Sampled) -> Program:
    def divergence(
        flat: jax.Array, noise: jax.Array, arrays: object, whitening: Whitening
    ) -> tuple[jax.Array, jax.Array]:
        def value(flat: jax.Array) -> jax.Array:
            better, log_volume = _moved(flat, whitening)
            of_draws = jax.lax.map(lambda e: density.neg2_log_density(better.apply(e), arrays), noise, batch_size=8)
            return 0.5 * jnp.mean(of_draws) - log_volume

        return jax.value_and_grad(value)(flat)

    return Program("divergence", (density,), divergence)


def _moved(flat: jax.Array, whitening: Whitening) -> tuple[Whitening, jax.Array]:
    """The map with its coordinates shifted and scaled, the first m of them together; and the log volume of that."""
    m, n = whitening.scale.shape[0], whitening.centre.shape[0]
    shift, log_spread, below = flat[:n], flat[n : 2 * n], flat[2 * n :]
    rows, columns = np.tril_indices(m, -1)
    turn = jnp.zeros((m, m)).at[rows, columns].set(below) + jnp.diag(jnp.exp(log_spread[:m]))
    better = Whitening(whitening.apply(shift), whitening.scale @ turn, whitening.spread * jnp.exp(log_spread[m:]))
    return better, jnp.sum(log_spread)


@kept_programs
@float64
def best_normal[A](density: Sampled[A], arrays: A, whitening: Whitening, seed: int) -> Whitening:
    """The affine map whose Normal approximation has the least divergence from the posterior, begun at `whitening`.

    Source: Kucukelbir et al. (2017), J. Mach. Learn. Res. 18(14) (ADVI); with fixed draws, so that the search is
    deterministic: Giordano, Ingram and Broderick (2024), J. Mach. Learn. Res. 25(18).
    """
    from scipy.optimize import minimize

    m, n = whitening.scale.shape[0], density.size
    noise = _fixed_noise(np.random.default_rng([seed, 2]), n, m)
    program = _divergence_program(density)

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = map(np.asarray, program(flat, noise, arrays, whitening))
        finite = np.isfinite(value) and np.isfinite(slope).all()
        return (float(value), slope) if finite else (1e300, np.zeros_like(flat))

    start = np.zeros(2 * n + m * (m - 1) // 2)
    limits = [(None, None)] * n + [(-LONGEST, LONGEST)] * n + [(None, None)] * (len(start) - 2 * n)
    found = minimize(evaluate, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": MOST_STEPS})
    return Whitening(*map(np.asarray, _moved(jnp.asarray(found.x), Whitening(*map(jnp.asarray, whitening)))[0]))


def best_draws[A](
    density: Sampled[A], arrays: A, whitening: Whitening, settings: Sampling, on_progress: Tell
) -> Independent:
    """Draws of the best Normal approximation, whose search begins at `whitening`."""
    whitening = best_normal(density, arrays, whitening, settings.seed)
    return normal_draws(density, arrays, whitening, settings, on_progress)


def _fixed_noise(random: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Nearly standard Normal vectors (S, n) whose mean is zero and whose variances are 1 without any sampling error,
    nor has the covariance of the first m any, so that a Normal posterior is found exactly.
    """
    half = random.standard_normal((max(FIXED_DRAWS // 2, 2 * m), n))
    half /= np.sqrt(np.mean(half**2, axis=0))
    few, size = half[:, :m], len(half)
    half[:, :m] = np.linalg.solve(np.linalg.cholesky(few.T @ few / size), few.T).T
    return np.concatenate([half, -half])
