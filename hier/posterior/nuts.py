"""NUTS on a density of unconstrained parameters, started and scaled by an affine map that is known beforehand.

NumPyro's NUTS is handed a potential over one flat vector, whitened by that map. Warm-up has two halves: after the
first, all chains together improve the map from their draws; both halves and the draws run the same compiled program, a
piece at a time, so that progress can be shown between pieces. On a CPU each core advances its share of the chains,
since a step has too little arithmetic to be spread over cores itself.

A density is hashable and has `size`, `n_dense`, how many of its first coordinates have a dense map, and
`neg2_log_density(vector, problem)`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.programs.compiled import Program, cores, workers
from hier.kernel.programs.precision import float64
from hier.posterior.seeds import key_of, seed_bits
from hier.posterior.whitening import Whitening, rescale
from hier.settings import Sampling

LONGEST_PIECE = 500  # iterations of one call at most: what the compiled program has space for
FIRST_PIECE = 50
SECONDS_A_PIECE = 0.25  # how often progress is told
FIRST_STEP = 1.7  # step sizes for standard Normal variables fall with the fourth root of their number


class Sampled[A](Protocol):
    """What NUTS needs to know of a density whose data and priors are in arrays A."""

    @property
    def size(self) -> int: ...
    @property
    def n_dense(self) -> int: ...
    def neg2_log_density(self, vector: jax.Array, arrays: A, /) -> jax.Array: ...


class Tell(Protocol):
    """Is told how many iterations are done."""

    def __call__(self, done: int, /) -> object: ...


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

    def stats(self) -> dict[str, np.ndarray]:
        """What is kept beside the draws, by ArviZ's names."""
        return {
            "lp": self.lp,
            "energy": self.energy,
            "n_steps": self.n_steps.astype(np.int64),
            "tree_depth": np.floor(np.log2(np.maximum(self.n_steps, 1))).astype(np.int64) + 1,
            "acceptance_rate": self.acceptance_rate,
            "diverging": self.diverging,
            "step_size": self.step_size,
        }


class Programs(NamedTuple):
    """The two compiled programs of a structure; data and priors are arguments of each."""

    begin: Program
    advance: Program


@functools.cache
def programs(density: Sampled, half_warmup: int, target_accept: float, max_tree_depth: int) -> Programs:
    """Programs for the chains' first state, and for a number of iterations."""
    from numpyro.infer.hmc import hmc

    def potential(arrays: object, whitening: Whitening) -> Callable[[jax.Array], jax.Array]:
        return lambda z: 0.5 * density.neg2_log_density(whitening.apply(z), arrays)

    begin_chain, step_chain = hmc(potential_fn_gen=potential, algo="NUTS")

    def begin_one(bits: jax.Array, z: jax.Array, arrays: object, whitening: Whitening) -> Any:
        return begin_chain(
            z,
            half_warmup,
            step_size=min(1.0, FIRST_STEP * density.size**-0.25),
            adapt_mass_matrix=False,
            dense_mass=False,
            target_accept_prob=target_accept,
            max_tree_depth=max_tree_depth,
            model_args=(arrays, whitening),
            rng_key=key_of(bits),
        )

    begin_all = jax.vmap(begin_one, in_axes=(0, 0, None, None))

    def begin(bits: jax.Array, z: jax.Array, arrays: object, whitening: Whitening) -> tuple[jax.Array, ...]:
        return tuple(jax.tree.leaves(begin_all(bits, z, arrays, whitening)))

    def advance_one(state: Any, n: jax.Array, arrays: object, whitening: Whitening) -> tuple[Any, Trace]:
        def iterate(k: jax.Array, carried: tuple[Any, Trace]) -> tuple[Any, Trace]:
            state, kept = carried
            step_size = state.adapt_state.step_size
            state = step_chain(state, (arrays, whitening))
            now = Trace(
                x=whitening.apply(state.z),
                lp=-state.potential_energy,
                energy=state.energy,
                n_steps=state.num_steps,
                acceptance_rate=state.accept_prob,
                diverging=state.diverging,
                step_size=step_size,
            )
            return state, Trace(*(array.at[k].set(value) for array, value in zip(kept, now, strict=True)))

        return jax.lax.fori_loop(0, n, iterate, (state, _zeros(density.size)))

    def advance(
        leaves: Sequence[jax.Array], n: jax.Array, bits: jax.Array, z: jax.Array, arrays: object, whitening: Whitening
    ) -> tuple[Any, ...]:
        # NumPyro's step is complete only once its first state has been traced, and that gives the state's structure
        like = jax.eval_shape(begin_all, bits, z, arrays, whitening)
        state = jax.tree.unflatten(jax.tree.structure(like), leaves)
        state, trace = jax.vmap(advance_one, in_axes=(0, None, None, None))(state, n, arrays, whitening)
        return (*trace, *jax.tree.leaves(state))

    built_with = (density, half_warmup, target_accept, max_tree_depth)
    return Programs(
        begin=Program("nuts_begin", built_with, begin),
        advance=Program("nuts_advance", built_with, advance),
    )


def _zeros(size: int) -> Trace:
    """Zeros for what a piece of one chain keeps."""
    number = jnp.zeros(LONGEST_PIECE)
    return Trace(
        x=jnp.zeros((LONGEST_PIECE, size)),
        lp=number,
        energy=number,
        n_steps=jnp.zeros(LONGEST_PIECE, int),
        acceptance_rate=number,
        diverging=jnp.zeros(LONGEST_PIECE, bool),
        step_size=number,
    )


@float64
def prepare[A](density: Sampled[A], arrays: A, settings: Sampling) -> None:
    """Load or compile the programs that `run_nuts` will ask for."""
    program = programs(density, _half(settings), settings.target_accept, settings.max_tree_depth)
    share, n, m = _shares(settings.chains, density)[0].stop, density.size, density.n_dense
    bits, z = np.zeros((share, 2), np.uint32), np.zeros((share, n))
    whitening = Whitening(np.zeros(n), np.zeros((m, m)), np.zeros(n - m))
    state = program.begin.bind(bits, z, arrays, whitening).outputs
    program.advance.bind(tuple(state), np.int64(1), bits, z, arrays, whitening)


def _half(settings: Sampling) -> int:
    return max(1, settings.warmup // 2)


@float64
def run_nuts[A](density: Sampled[A], arrays: A, whitening: Whitening, settings: Sampling, on_progress: Tell) -> Trace:
    """The draws of each chain after its warm-up; `on_progress` is told how many iterations are done.

    `whitening`: the affine map to begin with, best that of the density's Laplace approximation.
    Source: Hoffman and Gelman (2014), J. Mach. Learn. Res. 15, 1593, as NumPyro implements it.
    """
    half, chains = _half(settings), settings.chains
    program = programs(density, half, settings.target_accept, settings.max_tree_depth)
    sampler = _Sampler(program, arrays, _shares(chains, density), np.random.default_rng(settings.seed))
    whitening = Whitening(*map(np.asarray, whitening))
    z = sampler.random.standard_normal((chains, density.size))
    first = sampler.run(z, whitening, half, on_progress)
    whitening = rescale(whitening, first.x[:, half // 3 :])
    z = whitening.undo(first.x[:, half - 1])
    trace = sampler.run(z, whitening, half + settings.draws, lambda done: on_progress(half + done))
    return Trace(*(field[:, half:] for field in trace))


class _Sampler(NamedTuple):
    """The programs of a density with its arrays; `shares` of the chains are advanced side by side."""

    program: Programs
    arrays: Any
    shares: list[slice]
    random: np.random.Generator

    def run(self, z: np.ndarray, whitening: Whitening, iterations: int, on_progress: Tell) -> Trace:
        """`iterations` of every chain from `z` (C, m), in pieces of about a quarter of a second."""
        program, shares = self.program, self.shares
        bits = seed_bits(self.random, len(z))
        data = jax.tree.leaves((self.arrays, whitening))
        starts = [(bits[share], z[share]) for share in shares]
        states = [program.begin(*start, self.arrays, whitening) for start in starts]
        advance = program.advance.bind(tuple(states[0]), np.int64(1), *starts[0], self.arrays, whitening)
        pieces: list[Trace] = []
        n, done = FIRST_PIECE, 0
        with workers(min(cores(), len(shares))) as pool:
            while done < iterations:
                n = min(n, iterations - done)
                began = time.perf_counter()

                def piece(share: int, n: int = n) -> Trace:
                    results = advance(*states[share], np.int64(n), *starts[share], *data)
                    states[share] = results[len(Trace._fields) :]
                    return Trace(*(np.asarray(array)[:, :n] for array in results[: len(Trace._fields)]))

                parts = list(pool.map(piece, range(len(shares))))
                pieces.append(Trace(*map(np.concatenate, zip(*parts, strict=True))))
                done += n
                on_progress(done)
                n = int(np.clip(n * SECONDS_A_PIECE / (time.perf_counter() - began), 1, LONGEST_PIECE))
        return Trace(*(np.concatenate(parts, axis=1) for parts in zip(*pieces, strict=True)))


def _shares(chains: int, density: Sampled) -> list[slice]:
    """Equal shares of the chains, at most one a core; of one chain each where there are many coordinates.

    Chains of one share take each step together, which saves time where a step is mostly overhead, and costs time where
    it is arithmetic, since all wait for the longest trajectory.
    """
    if density.size > density.n_dense:
        return [slice(chain, chain + 1) for chain in range(chains)]
    n_shares = max(n for n in range(1, min(cores(), chains) + 1) if chains % n == 0)
    size = chains // n_shares
    return [slice(at, at + size) for at in range(0, chains, size)]
