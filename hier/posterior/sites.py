"""Distributions of a program's parameters as one variable each: coefficients, standard deviations, correlations.

Each is a fixed map of independent numbers, or of correlation matrices, with a prior each. NUTS moves in these: where
the intercept's prior is that of the value at the means of the columns, in that value, whatever the origin of the
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import random
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import Transform

from hier.design import Block
from hier.design.random_effects import BY_DISTANCE
from hier.kernel.covariance.theta import Blocks, correlations, sd_columns

PROPOSALS = 1000  # independent draws among which one that ascends is sought


class _Map(Transform):
    """A smooth map of vectors without bounds (m,) onto the vectors (k,) that a distribution of this module has."""

    domain = constraints.real_vector  # type: ignore[assignment]
    sizes: tuple[int, int]

    @property
    def codomain(self) -> Any:
        return _Image(self)

    def tree_flatten(self) -> Any:
        return (), ((), self.__dict__.copy())

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], self.sizes[1])

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], self.sizes[0])


class _Image(constraints.Constraint):
    """The vectors that a map reaches."""

    event_dim = 1

    def __init__(self, by: _Map) -> None:
        self.by = by

    def tree_flatten(self) -> Any:
        return (), ((), {"by": self.by})

    def __call__(self, x: jax.Array) -> Any:
        return jnp.all(jnp.isfinite(self.by.inv(x)), axis=-1)

    def feasible_like(self, prototype: jax.Array) -> Any:
        return jnp.broadcast_to(self.by(jnp.zeros(self.by.sizes[0])), jnp.shape(prototype))


@biject_to.register(_Image)
def _(constraint: _Image) -> _Map:
    return constraint.by


class _Linear(_Map):
    """Numbers, each with a range of its own, and then the vector `into` (k, m) times them; `out` (m, k) takes it back.

    Volumes are those of the numbers.
    """

    def __init__(self, ranges: Sequence[constraints.Constraint], into: np.ndarray, out: np.ndarray) -> None:
        self.parts = tuple(map(biject_to, ranges))
        self.into, self.out = into, out
        self.sizes = (into.shape[1], into.shape[0])

    def __call__(self, x: jax.Array) -> Any:
        numbers = jnp.stack([part(x[..., k]) for k, part in enumerate(self.parts)], axis=-1)
        return numbers @ self.into.T

    def _inverse(self, y: jax.Array) -> Any:
        numbers = y @ self.out.T
        return jnp.stack([part.inv(numbers[..., k]) for k, part in enumerate(self.parts)], axis=-1)

    def log_abs_det_jacobian(self, x: jax.Array, y: jax.Array, intermediates: object = None) -> Any:
        numbers = y @ self.out.T
        return sum(part.log_abs_det_jacobian(x[..., k], numbers[..., k]) for k, part in enumerate(self.parts))


class Combined(dist.Distribution):
    """The vector `into` (k, m) times m independent numbers with a prior each, which `out` (m, k) gives back. The
    density is that of the numbers.
    """

    pytree_data_fields = ("priors",)
    pytree_aux_fields = ("into", "out")

    def __init__(self, priors: Sequence[dist.Distribution], into: np.ndarray, out: np.ndarray) -> None:
        self.priors, self.into, self.out = tuple(priors), into, out
        super().__init__(event_shape=(len(into),), validate_args=False)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        return _Linear([prior.support for prior in self.priors], self.into, self.out).codomain

    def log_prob(self, value: jax.Array) -> Any:
        numbers = value @ self.out.T
        return sum(prior.log_prob(numbers[..., k]) for k, prior in enumerate(self.priors))

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Any:
        keys = random.split(key, len(self.priors))
        drawn = [prior.sample(own, sample_shape) for prior, own in zip(self.priors, keys, strict=True)]
        return jnp.stack(drawn, axis=-1) @ self.into.T


def coefficients(priors: Sequence[dist.Distribution], at: np.ndarray) -> Combined:
    """Coefficients (k,), each prior being that of a combination of them, a row of `at` (k, k)."""
    return Combined(priors, np.linalg.inv(at), at)


def spreads(priors: Sequence[dist.Distribution], blocks: Blocks) -> Combined:
    """The standard deviation of each column (q,), a prior for each that is free."""
    ranges = sd_columns(blocks)
    into = np.array([[float(start <= k < stop) for start, stop in ranges] for k in range(ranges[-1][1])])
    return Combined(priors, into, np.eye(len(into))[[start for start, _ in ranges]])


class _Pairs(_Map):
    """The correlations of the pairs of columns of several blocks, each block's from the variable that its prior is
    of: the Cholesky factor of its correlations, or the one correlation that all follow from.
    """

    def __init__(self, ranges: Sequence[constraints.Constraint], blocks: Sequence[Block]) -> None:
        self.parts = tuple(map(biject_to, ranges))
        self.own = tuple(correlations(tuple(blocks)))
        self.starts = tuple(np.cumsum([0, *(rule.count(block.size) for block, rule in self.own)]).tolist())
        self.sizes = (self.starts[-1], sum(_n_pairs(block) for block, _ in self.own))

    def variables(self, y: jax.Array) -> list[Any]:
        """The variable of each block, from all pairs."""
        found, at = [], 0
        for block, rule in self.own:
            own, at = y[..., at : at + _n_pairs(block)], at + _n_pairs(block)
            found.append(_single(own, block) if rule.limits else jnp.linalg.cholesky(_matrix(own, block.size)))
        return found

    def pairs(self, variables: Sequence[jax.Array]) -> Any:
        """All pairs, from the variable of each block."""
        found = []
        for (block, rule), value in zip(self.own, variables, strict=True):
            factor = rule.factor(value, block)
            i, j = np.triu_indices(block.size, 1)
            found.append(jnp.sum(factor[..., i, :] * factor[..., j, :], axis=-1))
        return jnp.concatenate(found, axis=-1)

    def _pieces(self, x: jax.Array) -> list[Any]:
        ends = zip(self.own, self.starts[:-1], self.starts[1:], strict=True)
        return [x[..., start] if rule.limits else x[..., start:stop] for (_, rule), start, stop in ends]

    def __call__(self, x: jax.Array) -> Any:
        if x.ndim > 1:
            return jax.vmap(self.__call__)(x)
        return self.pairs([part(piece) for part, piece in zip(self.parts, self._pieces(x), strict=True)])

    def _inverse(self, y: jax.Array) -> Any:
        found = [part.inv(value) for part, value in zip(self.parts, self.variables(y), strict=True)]
        both = zip(found, self.own, strict=True)
        return jnp.concatenate([own[..., None] if rule.limits else own for own, (_, rule) in both], axis=-1)

    def log_abs_det_jacobian(self, x: jax.Array, y: jax.Array, intermediates: object = None) -> Any:
        if x.ndim > 1:
            return jax.vmap(self.log_abs_det_jacobian)(x, y)
        total = 0.0
        for part, piece, (_, rule) in zip(self.parts, self._pieces(x), self.own, strict=True):
            value = part(piece)
            total = total + part.log_abs_det_jacobian(piece, value) + rule.log_volume(value)
        return total


def _n_pairs(block: Block) -> int:
    return block.size * (block.size - 1) // 2


def _single(pairs: jax.Array, block: Block) -> Any:
    """The one correlation that those of all pairs (..., m) follow from: the root of one of them where the columns are
    some steps apart. Only odd numbers of steps tell its sign.
    """
    i, j = np.triu_indices(block.size, 1)
    lags = (
        np.array(block.times)[j] - np.array(block.times)[i] if block.structure in BY_DISTANCE else np.ones(len(i), int)
    )
    k = np.lexsort([lags, lags % 2 == 0])[0]
    pair, lag = pairs[..., k], int(lags[k])
    return pair if lag == 1 else (jnp.sign(pair) if lag % 2 else 1.0) * jnp.abs(pair) ** (1.0 / lag)


def _matrix(pairs: jax.Array, size: int) -> Any:
    """The correlation matrix (..., q, q) of pairs in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    i, j = np.triu_indices(size, 1)
    place = np.zeros((size, size), int)
    place[i, j] = place[j, i] = np.arange(1, len(i) + 1)
    entries = jnp.concatenate([jnp.ones_like(pairs[..., :1]), pairs], axis=-1)
    return entries[..., place]


class Correlations(dist.Distribution):
    """The correlations of the pairs of columns of those blocks that have some, with a prior for each block."""

    pytree_data_fields = ("priors",)
    pytree_aux_fields = ("blocks", "by")

    def __init__(self, priors: Sequence[dist.Distribution], blocks: Sequence[Block]) -> None:
        self.priors, self.blocks = tuple(priors), tuple(blocks)
        self.by = _Pairs([prior.support for prior in self.priors], self.blocks)
        super().__init__(event_shape=(self.by.sizes[1],), validate_args=False)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        return self.by.codomain

    def log_prob(self, value: jax.Array) -> Any:
        if jnp.ndim(value) > 1:
            return jax.vmap(self.log_prob)(value)
        own = zip(self.priors, self.by.variables(value), self.by.own, strict=True)
        return sum(prior.log_prob(variable) - rule.log_volume(variable) for prior, variable, (_, rule) in own)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Any:
        if sample_shape:
            keys = random.split(key, sample_shape)
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(keys)
        keys = random.split(key, len(self.priors))
        return self.by.pairs([prior.sample(own) for prior, own in zip(self.priors, keys, strict=True)])

    def variables(self, value: jax.Array) -> list[Any]:
        """The variable of each block that its prior is of."""
        return self.by.variables(value)


class Ascending(dist.Distribution):
    """Numbers (k,) in ascending order, those less `shift` (k,) independent but for that; the density is not normalised
    anew.
    """

    support = constraints.ordered_vector  # type: ignore[assignment]
    pytree_data_fields = ("priors", "shift")

    def __init__(self, priors: Sequence[dist.Distribution], shift: jax.Array) -> None:
        self.priors, self.shift = tuple(priors), shift
        super().__init__(event_shape=(len(self.priors),), validate_args=False)

    def log_prob(self, value: jax.Array) -> Any:
        less = value - self.shift
        return sum(prior.log_prob(less[..., k]) for k, prior in enumerate(self.priors))

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Any:
        """The first of many independent draws that ascends. Where none does, one of them sorted, which is as good for
        numbers with one prior.
        """
        keys = random.split(key, len(self.priors))
        shape = (PROPOSALS, *sample_shape)
        own = [prior.sample(each, shape) for prior, each in zip(self.priors, keys, strict=True)]
        drawn = jnp.stack(own, axis=-1) + self.shift
        ascends = jnp.all(jnp.diff(drawn, axis=-1) > 0, axis=-1)
        first = jnp.argmax(ascends, axis=0)
        return jnp.sort(jnp.take_along_axis(drawn, first[None, ..., None], axis=0)[0], axis=-1)


class Turned(Transform):
    """The product of a matrix (q, q) of determinant 1 with vectors: deviations of the columns as written from those of
    the anchored ones.
    """

    domain = constraints.real_vector  # type: ignore[assignment]
    codomain = constraints.real_vector  # type: ignore[assignment]

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def __call__(self, x: jax.Array) -> Any:
        return x @ self.matrix.T

    def _inverse(self, y: jax.Array) -> Any:
        return y @ np.linalg.inv(self.matrix).T

    def log_abs_det_jacobian(self, x: jax.Array, y: jax.Array, intermediates: object = None) -> Any:
        return jnp.zeros(jnp.shape(x)[:-1])

    def tree_flatten(self) -> Any:
        return (self.matrix,), (("matrix",), {})
