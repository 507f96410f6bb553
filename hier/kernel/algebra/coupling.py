"""The products between a factor that is eliminated level by level and the factors that cross it.

Most levels never meet, so the products are a list of entries. What is needed of them is a matrix summed over the
eliminated levels and its adjoint; by a list of pairs of entries of one level where these are few, by dense products
where they are many.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.kernel.algebra.padding import filled_up, padded_dense_size, padded_size
from hier.kernel.arrays.library import Array, add_at, clipped, segment_sums, taken, xp
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed

SECONDS_A_PAIR = 6e-9  # measured on one core: two gathers and a scatter
SECONDS_AN_OPERATION = 2e-11  # of a dense product
MOST_PAIRS = 40_000_000  # beyond it their list takes gigabytes
MOST_COLUMNS = 46_340  # the positions in a larger matrix do not have 32 bits


class Pairs(NamedTuple):
    """Pairs of entries of one level, for sums of C_g' A C_g and C_g A C_g'; none where these are made densely.

    `group` (P,): the level. `position` (P,): row times r plus column, the row not before the column. `product` (q, q,
    P): of the row's entry with the column's, half of it on the diagonal, so that each sum and its transpose together
    are the whole. They are ordered by row, so that sums are written where the last were.
    """

    group: np.ndarray
    position: np.ndarray
    product: np.ndarray


class Coupling(NamedTuple):
    """Entries of C = Z_1'WZ_r, (q, J) by r columns: `value` (q, E) at level `group` (E,) and `column` (E,), sorted by
    both.

    `group_like` (J,) and `column_like` (r,) carry the sizes.
    """

    value: np.ndarray
    group: np.ndarray
    column: np.ndarray
    pairs: Pairs
    group_like: np.ndarray
    column_like: np.ndarray

    @property
    def is_dense(self) -> bool:
        return self.pairs.group.shape[0] == 0

    def _matrix(self) -> Array:
        """C in full, (q, r, J)."""
        r, J = self.column_like.shape[0], self.group_like.shape[0]
        # 64 bits: a matrix that is held densely may have more entries than 32 bits count
        place = xp.asarray(self.column).astype(np.int64) * J + self.group
        return add_at(r * J, place, self.value).reshape(self.value.shape[0], r, J)

    def weighted(self, weights: Array) -> Array:
        """sum over levels g of C_g' weights_g C_g, for symmetric `weights` (q, q, J): (r, r)."""
        r = self.column_like.shape[0]
        if self.is_dense:
            full = self._matrix()
            half = xp.sum(weights[:, :, None, :] * full[None], axis=1)
            return xp.einsum("arj,asj->rs", full, half, precision="highest")
        # what the weights are made of would otherwise be computed anew for every pair
        weights = xp.barrier(weights)
        of_pairs = taken(weights, self.pairs.group)
        products = xp.sum(of_pairs * self.pairs.product, axis=(0, 1))
        lower = add_at(r * r, self.pairs.position, products, in_bounds=True).reshape(r, r)
        return lower + lower.T

    def sandwiched(self, matrix: Array) -> Array:
        """C_g matrix C_g' of every level, for a symmetric `matrix` (r, r): (q, q, J)."""
        J = self.group_like.shape[0]
        if self.is_dense:
            full = self._matrix()
            half = xp.einsum("rs,bsj->brj", matrix, full, precision="highest")
            return xp.sum(full[:, None] * half[None], axis=2)
        values = taken(xp.ravel(matrix), self.pairs.position) * self.pairs.product
        sums = add_at(J, self.pairs.group, values, in_bounds=True)
        return sums + xp.swapaxes(sums, 0, 1)

    def times(self, vectors: Array) -> Array:
        """C vectors, for `vectors` (r, m): (q, m, J)."""
        J = self.group_like.shape[0]
        products = self.value[:, :, None] * clipped(vectors, self.column)[None]  # (q, E, m)
        summed = segment_sums(xp.moveaxis(products, 1, 0), self.group, J, indices_are_sorted=True)
        return xp.moveaxis(summed, 0, 2)

    def transposed_times(self, vectors: Array) -> Array:
        """C' vectors, for `vectors` (q, m, J): (r, m)."""
        r = self.column_like.shape[0]
        products = xp.sum(self.value[:, None] * vectors[:, :, self.group], axis=0)  # (m, E)
        return segment_sums(products.T, self.column, r)


def couple(
    codes: np.ndarray, z: np.ndarray, others: Sequence[tuple[np.ndarray, np.ndarray, int]], n_groups: int
) -> Coupling:
    """The coupling of a factor with `others`, each given by its codes (n,), columns (n, q) and number of levels."""
    q = z.shape[1]
    values, groups, columns, offset = [], [], [], 0
    for other_codes, other_z, size in others:
        order, begins = _cells(codes, n_groups, other_codes, size)
        group, level = codes[order[begins]].astype(np.int64), other_codes[order[begins]].astype(np.int64)
        for b in range(other_z.shape[1]):
            products = [(z[:, a] * other_z[:, b])[order] for a in range(q)]
            values.append(np.stack([np.add.reduceat(product, begins) for product in products]))
            groups.append(group)
            columns.append(offset + b * size + level)
        offset += other_z.shape[1] * size
    value, group, column = np.concatenate(values, axis=1), np.concatenate(groups), np.concatenate(columns)
    order = _stable_order(group, n_groups)  # within a group the columns increase already
    value, group, column = value[:, order], group[order], column[order]
    first, second = pairs_of_level(group, column, n_groups, q, offset)
    size = padded_size(len(group) + 1)  # the last entry is nothing's: what fills the pairs up is made of it
    value = filled_up(value, size, 0.0)
    group = filled_up(group.astype(np.int32), size, n_groups - 1)
    column = filled_up(column.astype(np.int32), size, offset)  # out of range: nothing is added anywhere
    pairs = _padded_pairs(value, group, column, first, second, offset)
    return Coupling(value, group, column, pairs, np.zeros(n_groups, np.int8), np.zeros(offset, np.int8))


def _number_of_pairs(counts: np.ndarray) -> int:
    return int((counts * (counts + 1) // 2).sum())


def pairs_cost_less(counts: np.ndarray, q: int, r: int) -> bool:
    """Whether sums over pairs of entries of one level, `counts` (J,) entries each, cost less than dense products."""
    products = _number_of_pairs(counts) * q * q
    dense = 2.0 * len(counts) * q * float(r) ** 2 * SECONDS_AN_OPERATION
    return r <= MOST_COLUMNS and products <= MOST_PAIRS and products * SECONDS_A_PAIR < dense


def _stable_order(codes: np.ndarray, size: int) -> np.ndarray:
    """The stable order of codes in [0, size): NumPy counts where they have 16 bits, which is quick, and else merges."""
    return np.argsort(codes.astype(np.uint16) if size <= 1 << 16 else codes, kind="stable")


def _cells(codes: np.ndarray, size: int, other: np.ndarray, other_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The order of the rows (n,) by both codes, and where in it each pair of codes begins."""
    order = _stable_order(other, other_size)
    order = order[_stable_order(codes[order], size)]
    first, second = codes[order], other[order]
    return order, np.flatnonzero(np.append(True, (first[1:] != first[:-1]) | (second[1:] != second[:-1])))


def pairs_of_level(
    group: np.ndarray, column: np.ndarray, n_groups: int, q: int, r: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both entries (P,) of each pair of one level, the later one first, ordered by its column; none where dense
    products cost less. The entries, at `group` and `column` (E,), are sorted by both.
    """
    counts = np.bincount(group, minlength=n_groups)
    if not pairs_cost_less(counts, q, r):
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    starts = np.cumsum(counts) - counts
    by_row = _stable_order(column, r)
    partners = by_row - starts[group[by_row]] + 1  # entries of its level up to itself
    before = np.cumsum(partners) - partners
    second = np.repeat((by_row - partners + 1 - before).astype(np.int32), partners)
    second += np.arange(len(second), dtype=np.int32)
    return np.repeat(by_row.astype(np.int32), partners), second


def pairs_of(value: Array, group: Array, column: Array, first: Array, second: Array, r: int) -> Pairs:
    """Pairs of the entries `first` and `second` (P,) of a coupling with `r` columns."""
    if not len(first):
        return Pairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((len(value), len(value), 0)))

    share = xp.where(first == second, 0.5, 1.0)
    position = xp.minimum(taken(column, first) * r + taken(column, second), r * r - 1)
    return Pairs(taken(group, first), position, share * taken(value, first)[:, None] * taken(value, second)[None])


@told_by_origin
def _pairs_program(r: int) -> Program:
    return Program("pairs", (r,), functools.partial(pairs_of, r=r), lambda *_: 0.05)


@computed
def _padded_pairs(
    value: np.ndarray, group: np.ndarray, column: np.ndarray, first: np.ndarray, second: np.ndarray, r: int
) -> Pairs:
    """The pairs with their number filled up; there are millions, so that they are made by a compiled program, on the
    host, since where the model runs is chosen by what is found here.
    """
    if not len(first):
        return pairs_of(value, group, column, first, second, r)
    places = (filled_up(places, padded_dense_size(len(first)), len(group) - 1) for places in (first, second))
    import jax

    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return Pairs(*map(np.asarray, _pairs_program(r)(value, group, column, *places)))
