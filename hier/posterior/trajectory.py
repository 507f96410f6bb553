"""One leapfrog step of several NUTS chains at once, each at its own place in its own trajectory.

A trajectory grows by whole subtrees, each as long as all before it, at a random end, until it turns back or diverges. A
chain that has ended one begins its next at once, so that none waits for another's longer trajectory, and all of NUTS is
one loop around one evaluation of the density. Numbers of chains, iterations and adaptation are data.

Source: Hoffman and Gelman (2014), J. Mach. Learn. Res. 15, 1593; Betancourt (2017), arXiv:1701.02434, appendix A, for
the multinomial choice of a point; Phan, Pradhan and Jankowiak (2019), arXiv:1912.11554, for the checks for a turn
without recursion. All chains stand in the first axis, which has c elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DEEPEST = 20  # doublings at most: what there is space for
DIVERGED = 1000.0  # a rise of the energy above this is an error of the integration
# Of the dual averaging of step sizes, as Hoffman and Gelman have them.
STABILISED, FORGETTING, SHRINKAGE = 10.0, 0.75, 0.05
NO_LENGTH = -1  # the number of an iteration that does not move: it finds density and gradient where a chain starts

Gradient = Callable[[jax.Array], tuple[jax.Array, jax.Array]]  # of -log density, and it, at z (c, m)


class Adaptation(NamedTuple):
    """What changes a step size; data of the program. `iterations`: how many adapt it."""

    iterations: Any
    target_accept: Any
    max_tree_depth: Any
    first_step: Any


class Point(NamedTuple):
    """A point of a trajectory: `z` (c, m), minus its log density and the gradient of that, and the energy."""

    z: Any
    gradient: Any
    potential: Any
    energy: Any


class Tip(NamedTuple):
    """An end of a trajectory, all (c, m)."""

    z: Any
    gradient: Any
    momentum: Any


class Chains(NamedTuple):
    """Where chains stand between iterations, of which `iteration` (c,) counts those done.

    `step`: of the next trajectory. `log_step` and `shortfall`: averages, of the logarithms of the steps and of how
    much less than the target was accepted. `seed` (c,): of the next random numbers.
    """

    point: Point
    iteration: Any
    step: Any
    log_step: Any
    shortfall: Any
    seed: Any


class Subtree(NamedTuple):
    """The newest part of a trajectory: the point chosen of it, how many points it has, the logarithm of their weight,
    and the sum of their momenta.
    """

    point: Point
    length: Any
    log_weight: Any
    momenta: Any


class Trajectory(NamedTuple):
    """A trajectory without its newest subtree, which grows at its end `near` in the direction `sign`."""

    near: Tip
    far: Tip
    sign: Any
    energy: Any  # at its first point
    depth: Any
    log_weight: Any
    momenta: Any
    accepted: Any  # sum of the acceptance probabilities of all points
    steps: Any


class Walk(NamedTuple):
    """Everything that a step changes. `begins` (c,): whether the next step is the first of a trajectory.

    `row` (c,): the iteration of this call. `left` (c, DEEPEST + 2, 2, m): of the points from which a turn is looked
    for, the momentum and the sum of the subtree's up to it. `kept` (c, rows, m + 6): see `Trace`.
    """

    chains: Chains
    subtree: Subtree
    trajectory: Trajectory
    begins: Any
    row: Any
    left: Any
    kept: Any


def chains_at(z: np.ndarray, seed: np.ndarray, first_step: float) -> Chains:
    """Chains that begin at z (c, m): every density is better than none, so that the first step is taken."""
    nothing = np.zeros(len(z))
    point = Point(z, np.zeros_like(z), nothing + np.inf, nothing)
    return Chains(point, np.full(len(z), NO_LENGTH), nothing + first_step, nothing, nothing, seed)


def advance(chains: Chains, momenta: jax.Array, n: jax.Array, adaptation: Adaptation, gradient: Gradient) -> Any:
    """The chains after n (c,) iterations of each, and what is kept of these (c, rows, m + 6).

    `momenta` (c, rows, m): standard Normal numbers, for more rows than n.
    """
    c, rows, m = momenta.shape
    none, still = jnp.zeros(c), jnp.zeros((c, m))
    end = Tip(still, still, still)
    walk = Walk(
        chains=chains,
        subtree=Subtree(chains.point, jnp.zeros(c, int), none, still),
        trajectory=Trajectory(end, end, none + 1.0, none, jnp.zeros(c, int), none, still, none, jnp.zeros(c, int)),
        begins=jnp.ones(c, bool),
        row=jnp.zeros(c, int),
        left=jnp.zeros((c, DEEPEST + 2, 2, m)),
        kept=jnp.zeros((c, rows, m + 6)),
    )
    walk = jax.lax.while_loop(
        lambda walk: jnp.any(walk.row < n), lambda walk: _step(walk, momenta, n, adaptation, gradient), walk
    )
    return walk.chains, walk.kept


def _step(walk: Walk, momenta: jax.Array, n: jax.Array, adaptation: Adaptation, gradient: Gradient) -> Walk:
    """One leapfrog step of every chain, and what follows from it where a subtree or a trajectory is complete."""
    chains, counts = walk.chains, walk.row < n
    seed = chains.seed + jnp.where(counts, GOLDEN, np.uint64(0))
    turn, chance, chance_of_all = _random(seed)
    trajectory = _choose(walk.begins, _begun(walk, momenta), walk.trajectory)
    length, moving = walk.subtree.length, chains.iteration > NO_LENGTH
    first = length == 0

    near, new = _leapfrog(trajectory.near, trajectory.sign * jnp.where(moving, chains.step, 0.0), gradient)
    rise = new.energy - trajectory.energy
    rise = jnp.where(jnp.isnan(rise), jnp.inf, rise)
    diverged = rise > DIVERGED
    log_weight = jnp.where(first, -rise, jnp.logaddexp(walk.subtree.log_weight, -rise))
    taken = first | (jnp.log(chance) < -rise - log_weight)
    subtree = Subtree(
        point=_choose(taken, new, walk.subtree.point),
        length=length + 1,
        log_weight=log_weight,
        momenta=jnp.where(first[:, None], near.momentum, walk.subtree.momenta + near.momentum),
    )
    left = _remember(walk.left, length, near.momentum, subtree.momenta)
    turned = _turned_within(left, length, near.momentum, subtree.momenta)

    ended = turned | diverged
    complete = ended | (subtree.length == 2**trajectory.depth)
    whole = jnp.where(complete[:, None], trajectory.momenta + subtree.momenta, trajectory.momenta)
    accepted = complete & ~ended & counts & (jnp.log(chance_of_all) < log_weight - trajectory.log_weight)
    stood = chains.point._replace(energy=jnp.where(walk.begins, trajectory.energy, chains.point.energy))
    point = _choose(accepted, subtree.point, stood)
    depth = trajectory.depth + complete
    deepest = depth >= jnp.where(moving, adaptation.max_tree_depth, 1)
    done = complete & (ended | deepest | _turns(near.momentum, trajectory.far.momentum, whole))
    trajectory = Trajectory(
        *_choose(complete & turn, (trajectory.far, near, -trajectory.sign), (near, trajectory.far, trajectory.sign)),
        energy=trajectory.energy,
        depth=depth,
        log_weight=jnp.where(complete, jnp.logaddexp(trajectory.log_weight, log_weight), trajectory.log_weight),
        momenta=whole,
        accepted=trajectory.accepted + jnp.minimum(jnp.exp(-rise), 1.0),
        steps=trajectory.steps + 1,
    )
    rate = trajectory.accepted / trajectory.steps
    numbers = (-point.potential, point.energy, trajectory.steps, rate, diverged, chains.step)
    now = jnp.concatenate([point.z, jnp.stack([own.astype(float) for own in numbers], axis=1)], axis=1)
    ends = done & counts
    return Walk(
        chains=_adapted(chains._replace(point=point, seed=seed), ends, rate, adaptation),
        subtree=subtree._replace(length=jnp.where(complete, 0, subtree.length)),
        trajectory=trajectory,
        begins=done,
        row=walk.row + (ends & moving),
        left=left,
        kept=_put(walk.kept, walk.row, now),
    )


def _begun(walk: Walk, momenta: jax.Array) -> Trajectory:
    """A trajectory of one point, where the chain stands, with the next momentum; random as that is, the first direction
    need not be.
    """
    point = walk.chains.point
    momentum = _take(momenta, walk.row)
    end, none = Tip(point.z, point.gradient, momentum), jnp.zeros(len(momentum))
    energy = point.potential + _kinetic(momentum)
    no_steps = jnp.zeros(len(momentum), int)
    return Trajectory(end, end, none + 1.0, energy, no_steps, none, momentum, none, no_steps)


def _leapfrog(end: Tip, step: jax.Array, gradient: Gradient) -> tuple[Tip, Point]:
    """The point a step (c,) further, as an end and as a point."""
    step = step[:, None]
    momentum = end.momentum - 0.5 * step * end.gradient
    z = end.z + step * momentum
    potential, slope = gradient(z)
    momentum = momentum - 0.5 * step * slope
    return Tip(z, slope, momentum), Point(z, slope, potential, potential + _kinetic(momentum))


def _kinetic(momentum: jax.Array) -> jax.Array:
    return 0.5 * jnp.sum(momentum**2, axis=1)


def _adapted(chains: Chains, ends: jax.Array, rate: jax.Array, adaptation: Adaptation) -> Chains:
    """The chains with another step where an iteration ends, by dual averaging; with their average after the last that
    adapts.
    """
    t = chains.iteration + 1
    adapts = ends & (chains.iteration > NO_LENGTH) & (t <= adaptation.iterations)
    count = jnp.maximum(t, 1).astype(float)
    share = 1.0 / (count + STABILISED)
    shortfall = (1.0 - share) * chains.shortfall + share * (adaptation.target_accept - rate)
    log_step = jnp.log(10.0 * adaptation.first_step) - jnp.sqrt(count) / SHRINKAGE * shortfall
    weight = count**-FORGETTING
    average = (1.0 - weight) * chains.log_step + weight * log_step
    step = jnp.exp(jnp.where(t == adaptation.iterations, average, log_step))
    limits = jnp.finfo(float)
    return chains._replace(
        iteration=chains.iteration + ends,
        step=jnp.where(adapts, jnp.clip(step, limits.tiny, limits.max), chains.step),
        log_step=jnp.where(adapts, average, chains.log_step),
        shortfall=jnp.where(adapts, shortfall, chains.shortfall),
    )


def _turns(one: jax.Array, other: jax.Array, momenta: jax.Array) -> jax.Array:
    """Whether a part of a trajectory turns back, by the momenta at its ends and the sum of all (c, m)."""
    between = momenta - 0.5 * (one + other)
    return (jnp.sum(one * between, axis=1) <= 0.0) | (jnp.sum(other * between, axis=1) <= 0.0)


def _remember(left: jax.Array, length: jax.Array, momentum: jax.Array, momenta: jax.Array) -> jax.Array:
    """A subtree's points of even number are left ends of parts; those of odd number go where nobody looks."""
    at = jnp.where(length % 2 == 0, jnp.bitwise_count(length >> 1).astype(int), DEEPEST + 1)
    return _put(left, at, jnp.stack([momentum, momenta], axis=1))


def _turned_within(left: jax.Array, length: jax.Array, momentum: jax.Array, momenta: jax.Array) -> jax.Array:
    """Whether any balanced part of the subtree turns back whose last point is this one."""
    last = jnp.bitwise_count(length >> 1).astype(int)
    first = last - jnp.bitwise_count((~length & (length + 1)) - 1).astype(int) + 1

    def look(found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        at, turned = found
        own = _take(left, jnp.maximum(at, 0))
        turns = _turns(own[:, 0], momentum, momenta - own[:, 1] + own[:, 0])
        return at - 1, turned | (turns & (at >= first))

    return jax.lax.while_loop(lambda found: jnp.any((found[0] >= first) & ~found[1]), look, (last, first > DEEPEST))[1]


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIXING = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)), (31, np.uint64(1)))


def _random(seed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A random direction and two numbers between 0 and 1, from a seed that moves by GOLDEN each time.

    Source: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA 2014, figure 17.
    """
    bits = seed
    for shift, factor in MIXING:
        bits = (bits ^ (bits >> np.uint64(shift))) * factor
    low, high = (bits >> np.uint64(1)) & np.uint64(0x7FFFFFFF), bits >> np.uint64(32)
    return (bits & np.uint64(1)) == 1, (low + 0.5) * 2.0**-31, (high + 0.5) * 2.0**-32


def _choose[T](chosen: jax.Array, one: T, other: T) -> T:
    """Chain by chain, one record where `chosen` (c,), otherwise the other."""
    return jax.tree.map(lambda a, b: jnp.where(chosen if a.ndim == 1 else chosen[:, None], a, b), one, other)


def _take(values: jax.Array, at: jax.Array) -> jax.Array:
    """Of each chain's rows (c, rows, ...) that of its number in `at` (c,)."""
    return jnp.stack([jax.lax.dynamic_index_in_dim(own, at[k], keepdims=False) for k, own in enumerate(values)])


def _put(values: jax.Array, at: jax.Array, new: jax.Array) -> jax.Array:
    """The same with that row replaced; a chain at a time, which is done in place."""
    for k in range(len(values)):
        values = jax.lax.dynamic_update_slice(values, new[k][None, None], (k, at[k], *[0] * (new.ndim - 1)))
    return values
