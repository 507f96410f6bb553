"""NUTS on a density of unconstrained parameters, started and scaled by an affine map that is known beforehand.

NUTS moves in one flat vector, whitened by that map. Warm-up has two halves: after the first, all chains together
improve the map from their draws; both halves and the draws run the same compiled program, a piece at a time, so that
progress can be shown between pieces. Settings and the number of chains are no part of the program. On a CPU each core
advances its share of the chains, since a step has too little arithmetic to be spread over cores itself.

A density is hashable and has `size`, `n_dense`, how many of its first coordinates have a dense map, and
`neg2_log_density(vector, problem)`.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from hier.kernel.programs.compiled import Compiled, Program, cores, workers
from hier.kernel.programs.precision import float64
from hier.posterior.trajectory import Adaptation, Chains, advance, chains_at
from hier.posterior.whitening import Whitening, rescale
from hier.settings import DEFAULTS, LEAST_DRAWS, Sampling

LONGEST_PIECE = 500  # iterations of one call at most: what the compiled program has space for
MOST_NUMBERS = 1 << 22  # in the draws of one call, which may shorten it
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


class Stand(NamedTuple):
    """Where chains stand, for more draws of them: their map, and of each share its generators of random numbers and
    its chains.
    """

    whitening: Whitening
    shares: tuple[tuple[Sequence[np.random.Generator], Chains], ...]


class Keeping(NamedTuple):
    """Which iterations of a run are kept: every `thin`-th after the first `skip`. `least`: where Ctrl-C ends the run,
    how many there have to be for them to stand; None: it is not to be ended.
    """

    skip: int
    thin: int = 1
    least: int | None = None


class Trace(NamedTuple):
    """What is kept of each iteration; chains first, then iterations.

    `x` (C, D, m) unconstrained parameters, `lp` log density, `energy`, `n_steps` leapfrog steps, `acceptance_rate`,
    `diverging`, `step_size`. `end`: where the chains stand after the last. `stopped`: whether Ctrl-C ended them.
    """

    x: np.ndarray
    lp: np.ndarray
    energy: np.ndarray
    n_steps: np.ndarray
    acceptance_rate: np.ndarray
    diverging: np.ndarray
    step_size: np.ndarray
    end: Stand
    stopped: bool = False

    def stats(self) -> dict[str, np.ndarray]:
        """What is kept beside the draws, by ArviZ's names."""
        return {
            "lp": self.lp,
            "energy": self.energy,
            "n_steps": self.n_steps.astype(np.int64),
            "tree_depth": np.floor(np.log2(np.maximum(self.n_steps, 1))).astype(np.int64) + 1,
            "acceptance_rate": self.acceptance_rate,
            "diverging": self.diverging.astype(bool),
            "step_size": self.step_size,
        }


@functools.cache
def program(density: Sampled) -> Program:
    """The program that advances some chains; settings, data and priors are arguments of it."""

    def run(
        chains: Chains, momenta: jax.Array, n: jax.Array, adaptation: Adaptation, arrays: object, whitening: Whitening
    ) -> tuple[Any, ...]:
        def potential(z: jax.Array) -> jax.Array:
            return 0.5 * density.neg2_log_density(whitening.apply(z), arrays)

        chains, kept = advance(chains, momenta, n, adaptation, jax.vmap(jax.value_and_grad(potential)))
        return (kept, *jax.tree.leaves(chains))

    return Program("nuts", (density,), run)


@float64
def prepare[A](density: Sampled[A], arrays: A, settings: Sampling) -> None:
    """Load or compile the program that `run_nuts` will ask for."""
    n, m = density.size, density.n_dense
    whitening = Whitening(np.zeros(n), np.zeros((m, m)), np.zeros(n - m))
    share = _shares(density, settings)[0]
    program(density).bind(*share.arguments(0), _adaptation(density, settings), arrays, whitening)


def _adaptation(density: Sampled, settings: Sampling) -> Adaptation:
    first_step = min(1.0, FIRST_STEP * density.size**-0.25)
    numbers = np.float64(settings.target_accept), np.int64(settings.max_tree_depth), np.float64(first_step)
    return Adaptation(np.int64(_half(settings)), *numbers)


def _half(settings: Sampling) -> int:
    return max(1, settings.warmup // 2)


@float64
def run_nuts[A](density: Sampled[A], arrays: A, whitening: Whitening, settings: Sampling, on_progress: Tell) -> Trace:
    """The draws of each chain after its warm-up; `on_progress` is told how many iterations are done.

    `whitening`: the affine map to begin with, best that of the density's Laplace approximation.
    Source: Hoffman and Gelman (2014), J. Mach. Learn. Res. 15, 1593.
    """
    half = _half(settings)
    sampler = _Sampler(program(density), arrays, _adaptation(density, settings), _shares(density, settings))
    whitening = Whitening(*map(np.asarray, whitening))
    z = np.stack([own.standard_normal(density.size) for share in sampler.shares for own in share.random])
    sampler.place(z)
    first = sampler.run(whitening, half, on_progress, Keeping(half // 3))
    whitening = rescale(whitening, first.x)
    sampler.place(whitening.undo(first.x[:, -1]))
    iterations = half + settings.draws * settings.thin
    tell = lambda done: on_progress(half + done)  # noqa: E731
    return sampler.run(whitening, iterations, tell, Keeping(half, settings.thin, LEAST_DRAWS))


@float64
def more_nuts[A](density: Sampled[A], arrays: A, end: Stand, settings: Sampling, on_progress: Tell) -> Trace:
    """The draws of chains that go on from where they stand: those that `run_nuts` had drawn next."""
    shares = _shares(density, settings)
    for share, (random, chains) in zip(shares, end.shares, strict=True):
        share.random, share.chains = copy.deepcopy(random), chains
    sampler = _Sampler(program(density), arrays, _adaptation(density, settings), shares)
    kept = Keeping(0, settings.thin, LEAST_DRAWS)
    return sampler.run(end.whitening, settings.draws * settings.thin, on_progress, kept)


class _Share:
    """Chains that one call advances, by a generator of random numbers each: as many as `momenta` has room for, or
    fewer, and then the others stand still.
    """

    def __init__(self, random: Sequence[np.random.Generator], momenta: np.ndarray) -> None:
        self.random, self.momenta = random, momenta
        self.place(np.zeros((0, momenta.shape[2])), 1.0)

    def place(self, z: np.ndarray, first_step: float) -> None:
        """Let the chains begin at z (c, m)."""
        at, seeds = np.zeros_like(self.momenta[:, 0]), np.zeros(len(self.momenta), np.uint64)
        at[: len(z)] = z
        seeds[: len(self.random)] = [own.integers(1 << 64, dtype=np.uint64) for own in self.random]
        self.chains = chains_at(at, seeds, first_step)

    def arguments(self, n: int) -> tuple[Chains, np.ndarray, np.ndarray]:
        """What is passed for n iterations more: the chains, their momenta, and by how many each is advanced."""
        for own, momenta in zip(self.random, self.momenta, strict=False):
            own.standard_normal(out=momenta[:n])
        moves = np.arange(len(self.momenta)) < len(self.random)
        return self.chains, self.momenta, np.where(moves, n, 0)

    def advance(self, compiled: Compiled, n: int, data: Sequence[Any]) -> np.ndarray:
        """What is kept of n iterations more (c, n, m + 6)."""
        leaves, tree = jax.tree.flatten(self.chains)
        kept, *leaves = compiled(*leaves, *self.arguments(n)[1:], *data)
        self.chains = jax.tree.unflatten(tree, leaves)
        return np.asarray(kept)[: len(self.random), :n]


class _Sampler(NamedTuple):
    """The program of a density with its arrays; `shares` of the chains are advanced side by side."""

    program: Program
    arrays: Any
    adaptation: Adaptation
    shares: Sequence[_Share]

    def place(self, z: np.ndarray) -> None:
        """Let the chains begin at z (C, m)."""
        at = 0
        for share in self.shares:
            share.place(z[at : at + len(share.random)], self.adaptation.first_step)
            at += len(share.random)

    def run(self, whitening: Whitening, iterations: int, on_progress: Tell, kept: Keeping) -> Trace:
        """What is kept of `iterations` more of every chain, in pieces of about a quarter of a second."""
        shares, m = self.shares, self.shares[0].momenta.shape[2]
        data = (self.adaptation, self.arrays, whitening)
        advance = self.program.bind(*shares[0].arguments(0), *data)
        leaves, longest = jax.tree.leaves(data), shares[0].momenta.shape[1] - 1
        pieces: list[np.ndarray] = []
        n, done, stopped = min(FIRST_PIECE, longest), 0, False
        with workers(min(cores(), len(shares))) as pool:
            try:
                while done < iterations:
                    n = min(n, iterations - done)
                    began = time.perf_counter()
                    parts, interrupted = _side_by_side(
                        pool, lambda share, n=n: share.advance(advance, n, leaves), shares
                    )
                    at = done + 1 + np.arange(n) - kept.skip
                    pieces.append(parts[:, (at > 0) & (at % kept.thin == 0)])
                    done += n
                    if interrupted:
                        raise KeyboardInterrupt
                    on_progress(done)
                    n = int(np.clip(n * SECONDS_A_PIECE / (time.perf_counter() - began), 1, longest))
            except KeyboardInterrupt:
                stopped = done < iterations
                if kept.least is None or sum(own.shape[1] for own in pieces) < kept.least:
                    raise
        numbers = np.concatenate(pieces, axis=1)
        end = Stand(whitening, tuple((own.random, jax.tree.map(np.asarray, own.chains)) for own in shares))
        lp, energy, n_steps, rate, diverging, step = np.moveaxis(numbers[..., m:], -1, 0)
        return Trace(whitening.apply(numbers[..., :m]), lp, energy, n_steps, rate, diverging, step, end, stopped)


def _side_by_side[S](
    pool: ThreadPoolExecutor, call: Callable[[S], np.ndarray], shares: Sequence[S]
) -> tuple[np.ndarray, bool]:
    """The results of all shares one below the other, and whether Ctrl-C came meanwhile: XLA does not hear it, and what
    it computes is worth having.
    """
    futures = [pool.submit(call, share) for share in shares]
    interrupted = False
    try:
        for own in futures:
            own.result()
    except KeyboardInterrupt:
        interrupted = True
    return np.concatenate([own.result() for own in futures]), interrupted


def _shares(density: Sampled, settings: Sampling) -> list[_Share]:
    """The chains in shares of as many as a call advances, at most so that each core has one.

    Chains of one call take each step together, which saves time where a step is mostly overhead. One chain each where
    there are many coordinates and a step is arithmetic. The size of a share is that of the default number of chains,
    and four or sixteen times as many where there are many chains, so that their number makes no other program.
    """
    random, size = np.random.default_rng(settings.seed).spawn(settings.chains), density.size
    lanes = 1
    if size == density.n_dense:
        lanes = -(-DEFAULTS.chains // cores())
        while 2 * lanes * cores() < settings.chains:
            lanes *= 4
    rows = int(np.clip(MOST_NUMBERS // size, 1, LONGEST_PIECE))
    starts = range(0, settings.chains, lanes)
    return [_Share(random[at : at + lanes], np.zeros((lanes, rows + 1, size))) for at in starts]
