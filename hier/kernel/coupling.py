"""The products between a factor that is eliminated level by level and the factors that cross it.

Most levels never meet, so the products are a list of entries. What is needed of them is a matrix summed over the
eliminated levels and its adjoint; by a list of pairs of entries of one level where these are few, by dense products
where they are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.ladder import ladder

SECONDS_A_PAIR = 6e-9  # measured on one core: two gathers and a scatter
SECONDS_AN_OPERATION = 2e-11  # of a dense product
MOST_PAIRS = 40_000_000  # beyond it their list takes gigabytes


class Coupling(NamedTuple):
    """Entries of C = Z_1'WZ_r, (q, J) by r columns: `value` (q, E) at level `group` (E,) and `column` (E,).

    `first` and `second` (P,): pairs of entries of one level, the first not before the second by column; empty where
    the products are made densely. `group_like` (J,) and `column_like` (r,) carry the sizes.
    """

    value: np.ndarray
    group: np.ndarray
    column: np.ndarray
    first: np.ndarray
    second: np.ndarray
    group_like: np.ndarray
    column_like: np.ndarray

    @property
    def is_dense(self) -> bool:
        return self.first.shape[0] == 0

    def _matrix(self) -> jax.Array:
        """C in full, (q, r, J)."""
        shape = (self.value.shape[0], self.column_like.shape[0], self.group_like.shape[0])
        return jnp.zeros(shape).at[:, self.column, self.group].add(self.value)

    def weighted(self, weights: jax.Array) -> jax.Array:
        """sum over levels g of C_g' weights_g C_g, for symmetric `weights` (q, q, J): (r, r)."""
        r = self.column_like.shape[0]
        if self.is_dense:
            full = self._matrix()
            half = jnp.sum(weights[:, :, None, :] * full[None], axis=1)
            return jnp.einsum("arj,asj->rs", full, half, precision="highest")
        half = jnp.sum(weights[:, :, self.group] * self.value[None], axis=1)
        products = jnp.sum(half[:, self.first] * self.value[:, self.second], axis=0)
        lower = jnp.zeros((r, r)).at[self.column[self.first], self.column[self.second]].add(products)
        return lower + jnp.tril(lower, -1).T

    def sandwiched(self, matrix: jax.Array) -> jax.Array:
        """C_g matrix C_g' of every level, for a symmetric `matrix` (r, r): (q, q, J)."""
        J = self.group_like.shape[0]
        if self.is_dense:
            full = self._matrix()
            half = jnp.einsum("rs,bsj->brj", matrix, full, precision="highest")
            return jnp.sum(full[:, None] * half[None], axis=2)
        apart = self.first != self.second
        at = matrix[self.column[self.first], self.column[self.second]]
        left, right = self.value[:, self.first], self.value[:, self.second]
        products = at * left[:, None] * right[None]
        products = products + jnp.where(apart, at, 0.0) * right[:, None] * left[None]
        group = self.group[self.first]
        summed = jax.ops.segment_sum(jnp.moveaxis(products, 2, 0), group, J, indices_are_sorted=True)
        return jnp.moveaxis(summed, 0, 2)

    def times(self, vectors: jax.Array) -> jax.Array:
        """C vectors, for `vectors` (r, m): (q, m, J)."""
        J = self.group_like.shape[0]
        products = self.value[:, :, None] * vectors[self.column][None]  # (q, E, m)
        summed = jax.ops.segment_sum(jnp.moveaxis(products, 1, 0), self.group, J, indices_are_sorted=True)
        return jnp.moveaxis(summed, 0, 2)

    def transposed_times(self, vectors: jax.Array) -> jax.Array:
        """C' vectors, for `vectors` (q, m, J): (r, m)."""
        r = self.column_like.shape[0]
        products = jnp.sum(self.value[:, None] * vectors[:, :, self.group], axis=0)  # (m, E)
        return jax.ops.segment_sum(products.T, self.column, r)


def couple(
    codes: np.ndarray, z: np.ndarray, others: Sequence[tuple[np.ndarray, np.ndarray, int]], n_groups: int
) -> Coupling:
    """The coupling of a factor with `others`, each given by its codes (n,), columns (n, q) and number of levels."""
    q = z.shape[1]
    values, groups, columns, offset = [], [], [], 0
    for other_codes, other_z, size in others:
        cells, place = np.unique(codes.astype(np.int64) * size + other_codes, return_inverse=True)
        group, level = np.divmod(cells, size)
        for b in range(other_z.shape[1]):
            values.append(np.stack([np.bincount(place, z[:, a] * other_z[:, b], len(cells)) for a in range(q)]))
            groups.append(group)
            columns.append(offset + b * size + level)
        offset += other_z.shape[1] * size
    value, group, column = np.concatenate(values, axis=1), np.concatenate(groups), np.concatenate(columns)
    order = np.argsort(group * offset + column)
    value, group, column = value[:, order], group[order], column[order]
    first, second = _pairs(group, q, n_groups, offset)
    size = ladder(len(group) + 1)  # one entry at least is empty, for the pairs that fill up their list
    return Coupling(
        _padded(value, size, 0.0),
        _padded(group.astype(np.int32), size, n_groups - 1),
        _padded(column.astype(np.int32), size, offset),  # out of range: nothing is added anywhere
        first,
        second,
        np.zeros(n_groups, np.int8),
        np.zeros(offset, np.int8),
    )


def _pairs(group: np.ndarray, q: int, n_groups: int, r: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of entries of one level, sorted by level; none where dense products cost less."""
    counts = np.bincount(group, minlength=n_groups).astype(np.int64)
    n_pairs = int((counts * (counts + 1) // 2).sum())
    dense = 2.0 * n_groups * q * float(r) ** 2 * SECONDS_AN_OPERATION
    if n_pairs > MOST_PAIRS or n_pairs * SECONDS_A_PAIR * q * q >= dense:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(group)) - starts[group]  # of an entry within its level
    first = np.repeat(np.arange(len(group), dtype=np.int32), place + 1)
    ends = np.cumsum(place + 1)
    second = np.arange(n_pairs, dtype=np.int64) - np.repeat(ends - (place + 1), place + 1) + starts[group][first]
    size, empty = ladder(n_pairs), len(group)
    return _padded(first, size, empty), _padded(second.astype(np.int32), size, empty)


def _padded(values: np.ndarray, size: int, filler: float) -> np.ndarray:
    """The array with its last axis filled up to `size`."""
    fill = np.full((*values.shape[:-1], size - values.shape[-1]), filler, values.dtype)
    return np.concatenate([values, fill], axis=-1)
