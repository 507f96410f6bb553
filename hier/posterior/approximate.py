"""A fast look at a posterior: independent draws from an approximation, resampled by importance, and how good they are.

The approximation is Normal in the coordinates that NUTS would move in, where the posterior is nearly that: Laplace's,
by mode and curvature, or the best one by the reverse Kullback-Leibler divergence (variational inference). Logarithms of
small sds have a longer tail than that, so that candidates are drawn with Student-t tails in the variance parameters;
of four candidates one is kept, by the ratio of posterior density to theirs. The shape of the tail of the largest of
these ratios, Pareto k, says whether the draws can stand for the posterior.
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
from hier.posterior.pareto_smoothing import smooth
from hier.posterior.whitening import Whitening
from hier.settings import Sampling

AT_ONCE = 100
CANDIDATES = 4  # for each draw
TAIL_DF = 4.0  # degrees of freedom of the candidates' variance parameters
FIXED_DRAWS = 64  # of standard Normal vectors, over which the divergence is averaged
MOST_STEPS = 200  # of the search for the best approximation
LONGEST = 4.0  # of a logarithm of a spread: what the search may reach


class Independent(NamedTuple):
    """Independent draws: unconstrained `x` (C, D, n) and their log density `lp` (C, D). `pareto_k`: of the candidates
    that they were chosen from. `end`: the map that makes these, for more draws.
    """

    x: np.ndarray
    lp: np.ndarray
    pareto_k: float
    end: Whitening
    stopped: bool = False

    def stats(self) -> dict[str, np.ndarray]:
        """What is kept beside the draws."""
        return {"lp": self.lp, "pareto_k": np.full(self.lp.shape, self.pareto_k)}


@functools.cache
def _weigh_program(density: Sampled) -> Program:
    def weigh(z: jax.Array, arrays: object, whitening: Whitening) -> tuple[jax.Array, ...]:
        one = lambda z: -0.5 * density.neg2_log_density(whitening.apply(z), arrays)  # noqa: E731
        return (jax.lax.map(one, z, batch_size=10),)

    return Program("weigh_draws", (density,), weigh)


@float64
def resampled_draws[A](
    density: Sampled[A], arrays: A, whitening: Whitening, settings: Sampling, on_progress: Tell
) -> Independent:
    """Draws chosen from candidates that the affine map makes of Student-t and Normal variables, by their importance
    weights, the largest of which are smoothed; at equal steps of the weights' sum, so that few are chosen twice.

    Source: Kitagawa (1996), J. Comput. Graph. Stat. 5, 1, appendix; Vehtari et al. (2024), J. Mach. Learn. Res. 25(72).
    """
    chains, draws = settings.chains, settings.draws
    total = chains * draws
    batches = -(-CANDIDATES * total // AT_ONCE)
    program, lps, log_weights = _weigh_program(density), [], []
    for k in range(batches):
        z, log_density = _candidates(settings.seed, k, density)
        lps.append(np.asarray(program(z, arrays, whitening)[0]))
        log_weights.append(lps[-1] - log_density)
        on_progress(min(draws, (k + 1) * AT_ONCE // (CANDIDATES * chains)))
    weights = smooth(np.concatenate(log_weights)[:, None])
    random = np.random.default_rng([settings.seed or 0, 3])
    places = (np.arange(total) + random.random()) / total
    cumulative = np.cumsum(np.exp(weights.log_weights[:, 0]))
    chosen = np.minimum(np.searchsorted(cumulative, places), len(cumulative) - 1)
    parts = [
        _candidates(settings.seed, k, density)[0][chosen[chosen // AT_ONCE == k] % AT_ONCE] for k in range(batches)
    ]
    order = random.permutation(total)
    x = whitening.apply(np.concatenate(parts)[order]).reshape(chains, draws, -1)
    return Independent(x, np.concatenate(lps)[chosen][order].reshape(chains, draws), float(weights.k[0]), whitening)


def _candidates(seed: int | None, batch: int, density: Sampled) -> tuple[np.ndarray, np.ndarray]:
    """A batch of candidates (AT_ONCE, n) before the affine map, and their log density up to a constant: the first m
    coordinates jointly Student-t, the others Normal.
    """
    random, m = np.random.default_rng([seed or 0, 4, batch]), density.n_dense
    z = random.standard_normal((AT_ONCE, density.size))
    z[:, :m] /= np.sqrt(random.chisquare(TAIL_DF, AT_ONCE) / TAIL_DF)[:, None]
    few, many = (np.sum(own**2, axis=1) for own in (z[:, :m], z[:, m:]))
    return z, -0.5 * (TAIL_DF + m) * np.log1p(few / TAIL_DF) - 0.5 * many


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
    """Draws by the best Normal approximation, whose search begins at `whitening`."""
    whitening = best_normal(density, arrays, whitening, settings.seed or 0)
    return resampled_draws(density, arrays, whitening, settings, on_progress)


def _fixed_noise(random: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Nearly standard Normal vectors (S, n) whose mean is zero and whose variances are 1 without any sampling error,
    nor has the covariance of the first m any, so that a Normal posterior is found exactly.
    """
    half = random.standard_normal((max(FIXED_DRAWS // 2, 2 * m), n))
    half /= np.sqrt(np.mean(half**2, axis=0))
    few, size = half[:, :m], len(half)
    half[:, :m] = np.linalg.solve(np.linalg.cholesky(few.T @ few / size), few.T).T
    return np.concatenate([half, -half])
