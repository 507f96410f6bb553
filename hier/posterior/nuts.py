"""NUTS on a density of a few unconstrained parameters, started and scaled from its Laplace approximation.

NumPyro's NUTS is handed a potential over one flat vector, whitened by the Hessian at the mode. Warm-up has two halves:
after the first, all chains together replace the Hessian by their covariance; both halves and the draws run the same
compiled program, a piece at a time, so that progress can be shown between pieces.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.optimise import minimise
from hier.kernel.precision import float64
from hier.model.density import Density
from hier.model.problem import Problem

PIECE = 50  # iterations of a compiled call
PRIOR_WEIGHT = 20.0  # draws that the Laplace covariance counts for beside the chains' own


class Whitening(NamedTuple):
    """The affine map from NUTS's coordinates to the density's: x = centre + scale @ z."""

    centre: jax.Array  # (m,)
    scale: jax.Array  # (m, m)


class Trace(NamedTuple):
    """What is kept of each iteration; chains first, then iterations.

    `x` (C, D, m) unconstrained parameters, `lp` log density, `energy`, `n_steps` leapfrog steps, `acceptance_rate`,
    `diverging`, `step_size`.
    """

    x: np.ndarray
    lp: np.ndarray
    energy: np.ndarray
    n_steps: np.ndarray
    acceptance_rate: np.ndarray
    diverging: np.ndarray
    step_size: np.ndarray


class Programs(NamedTuple):
    laplace: Callable[..., Any]
    begin: Callable[..., Any]
    advance: Callable[..., Any]


@functools.lru_cache(maxsize=64)
def programs(density: Density, half_warmup: int, target_accept: float, max_tree_depth: int) -> Programs:
    """The three compiled functions of a structure; data and priors are arguments of each."""
    from numpyro.infer.hmc import hmc

    def potential(problem: Problem, whitening: Whitening) -> Callable[[jax.Array], jax.Array]:
        return lambda z: 0.5 * density.neg2_log_density(whitening.centre + whitening.scale @ z, problem)

    begin_chain, step_chain = hmc(potential_fn_gen=potential, algo="NUTS")

    def begin(key: jax.Array, z: jax.Array, problem: Problem, whitening: Whitening) -> Any:
        return begin_chain(
            z,
            half_warmup,
            adapt_mass_matrix=False,
            dense_mass=False,
            target_accept_prob=target_accept,
            max_tree_depth=max_tree_depth,
            model_args=(problem, whitening),
            rng_key=key,
        )

    def advance(state: Any, problem: Problem, whitening: Whitening) -> tuple[Any, Trace]:
        def iterate(state: Any, _: None) -> tuple[Any, Trace]:
            step_size = state.adapt_state.step_size
            state = step_chain(state, (problem, whitening))
            kept = Trace(
                x=whitening.centre + whitening.scale @ state.z,
                lp=-state.potential_energy,
                energy=state.energy,
                n_steps=state.num_steps,
                acceptance_rate=state.accept_prob,
                diverging=state.diverging,
                step_size=step_size,
            )
            return state, kept

        return jax.lax.scan(iterate, state, None, length=PIECE)

    def laplace(start: jax.Array, problem: Problem) -> Whitening:
        """The mode, and a square root of the inverse Hessian there. Source: Tierney and Kadane (1986), section 2."""
        optimum = minimise(lambda x: density.neg2_log_density(x, problem), start)
        curvature, directions = jnp.linalg.eigh(0.5 * optimum.hessian)
        # a flat or odd direction is given a spread of at most 3: the coordinates are logarithms and the like
        return Whitening(optimum.x, directions / jnp.sqrt(jnp.maximum(curvature, 1.0 / 9.0)))

    over_chains = functools.partial(jax.vmap, in_axes=(0, 0, None, None))
    return Programs(
        laplace=jax.jit(laplace),
        begin=jax.jit(over_chains(begin)),
        advance=jax.jit(jax.vmap(advance, in_axes=(0, None, None))),
    )


@float64
def run_nuts(
    density: Density,
    problem: Problem,
    *,
    chains: int,
    warmup: int,
    draws: int,
    seed: int,
    target_accept: float,
    max_tree_depth: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Trace:
    """`draws` draws of each chain after `warmup` iterations; `on_progress` is told how many iterations are done.

    Source: Hoffman and Gelman (2014), J. Mach. Learn. Res. 15, 1593, as NumPyro implements it.
    """
    half = max(1, warmup // 2)
    program = programs(density, half, target_accept, max_tree_depth)
    keys = jax.random.split(jax.random.key(seed), 3)
    whitening = program.laplace(density.start(problem), problem)
    z = jax.random.normal(keys[0], (chains, density.size))

    state = program.begin(jax.random.split(keys[1], chains), z, problem, whitening)
    first, state = _run(program, state, problem, whitening, half, on_progress)
    whitening, z = _rescale(whitening, first.x[:, half // 3 :], first.x[:, half - 1])

    state = program.begin(jax.random.split(keys[2], chains), z, problem, whitening)
    trace, _ = _run(program, state, problem, whitening, half + draws, lambda done: on_progress(half + done))
    return Trace(*(field[:, half:] for field in trace))


def _run(
    program: Programs,
    state: Any,
    problem: Problem,
    whitening: Whitening,
    iterations: int,
    on_progress: Callable[[int], None],
) -> tuple[Trace, Any]:
    """Whole pieces until `iterations` are done; what the last piece has too many is not kept."""
    pieces: list[Trace] = []
    for done in range(0, iterations, PIECE):
        state, piece = program.advance(state, problem, whitening)
        pieces.append(jax.device_get(piece))
        on_progress(min(done + PIECE, iterations))
    return Trace(*(np.concatenate(parts, axis=1)[:, :iterations] for parts in zip(*pieces, strict=True))), state


def _rescale(whitening: Whitening, x: np.ndarray, last: np.ndarray) -> tuple[Whitening, np.ndarray]:
    """The whitening by the covariance of all chains' draws x (C, D, m), shrunk to the Laplace one; and `last` (C, m)
    in it.
    """
    centre, scale = np.asarray(whitening.centre), np.asarray(whitening.scale)
    z = np.linalg.solve(scale, (x - centre).reshape(-1, x.shape[-1]).T)
    mean = z.mean(axis=1)
    n = z.shape[1]
    spread = z - mean[:, None]
    covariance = (spread @ spread.T + PRIOR_WEIGHT * np.eye(len(mean))) / (n + PRIOR_WEIGHT)
    better = Whitening(centre + scale @ mean, scale @ np.linalg.cholesky(covariance))
    return better, np.linalg.solve(better.scale, (last - better.centre).T).T
