"""The rows of a model whose likelihood is not a quadratic form, and their cross-products at any weights.

A Normal likelihood needs one pass over the rows. Any other is a quadratic form only near a point: its curvature there
gives each row a weight, and with these weights the same cross-products, and the same elimination, as those of a Normal
model. So what the rows hold is arranged once, and summed anew for every set of weights inside the compiled program.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.design.rank import triangular_factor
from hier.kernel.algebra.coupling import Coupling, pairs_of, pairs_of_level
from hier.kernel.algebra.crossproducts import CrossProducts, Dense, FactorColumns, Level, column_units, orthogonal_basis
from hier.kernel.algebra.elimination import Elimination
from hier.kernel.algebra.padding import filled_up, padded_dense_size, padded_size
from hier.kernel.algebra.scaling import ColumnUnits
from hier.kernel.arrays.control import tree_map
from hier.kernel.arrays.library import Array, add_at, segment_sums, xp


class Cells(NamedTuple):
    """Where the products of the first factor with the dense part stand: entries by level and column.

    `place` (q, n), one per dense factor: the entry of each row's product with each of the factor's columns. `group`,
    `column` (E,): the level and column of each entry, sorted by both. `first`, `second` (P,): pairs of entries of one
    level.
    """

    place: tuple[Any, ...]
    group: Any
    column: Any
    first: Any
    second: Any


class Pattern(NamedTuple):
    """Which rows belong together. `codes` (n,), one per factor, in the kernel's order; `parents` as those of `Level`,
    one tuple per factor that is eliminated level by level; `like` (J,): zeros of the size of each factor's levels;
    `cells`: of crossed factors.
    """

    codes: tuple[Any, ...]
    parents: tuple[tuple[Any, ...], ...]
    like: tuple[Any, ...]
    cells: tuple[Cells, ...]


class RowArrays(NamedTuple):
    """All that a likelihood needs of n rows, in the kernel's units.

    `y`, `trials`, `counts` (n,): the response, what it is out of, and how many times the row's log density counts.
    `X` (n, p): fixed-effects columns of the mean. `others`: (n, k) columns of each further parameter. `offsets`: (n,),
    one per parameter. `z`: (q, n), one per factor in the kernel's order.
    """

    y: Any
    trials: Any
    counts: Any
    X: Any
    others: tuple[Any, ...]
    offsets: tuple[Any, ...]
    z: tuple[Any, ...]
    pattern: Pattern


def arrange(terms: Sequence[FactorColumns], structure: Elimination) -> Pattern:
    """The pattern of terms in the model's order."""
    ordered = structure.ordered(terms)
    n_chain = len(structure.levels)
    sizes = [padded_size(t.n_levels) if k < n_chain else padded_dense_size(t.n_levels) for k, t in enumerate(ordered)]
    parents = []
    for own, size in zip(structure.parents, sizes, strict=False):
        parents.append(tuple(np.append(at, np.zeros(size - len(at), at.dtype)).astype(np.int32) for at in own))
    cells = (_cells(ordered[0], ordered[1:], sizes),) if structure.dense else ()
    return Pattern(
        codes=tuple(term.codes.astype(np.int32) for term in ordered),
        parents=tuple(parents),
        like=tuple(np.zeros(size, np.int8) for size in sizes),
        cells=cells,
    )


def _cells(first: FactorColumns, others: Sequence[FactorColumns], sizes: Sequence[int]) -> Cells:
    """Where rows meet a level of the first factor and one of each other; `sizes`: levels of all, the first's first."""
    r = sum(term.Z.shape[1] * size for term, size in zip(others, sizes[1:], strict=True))
    places, groups, columns, at, offset = [], [], [], 0, 0
    for term, size in zip(others, sizes[1:], strict=True):
        found, place = np.unique(first.codes.astype(np.int64) * size + term.codes, return_inverse=True)
        group, level = np.divmod(found, size)
        q = term.Z.shape[1]
        places.append(at + place + len(found) * np.arange(q)[:, None])
        groups += [group] * q
        columns += [offset + b * size + level for b in range(q)]
        at, offset = at + q * len(found), offset + q * size
    group, column = np.concatenate(groups), np.concatenate(columns)
    order = np.argsort(group * r + column, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    group, column = group[order], column[order]
    first_of, second = pairs_of_level(group, column, sizes[0], first.Z.shape[1], r)
    return Cells(
        place=tuple(rank[place] for place in places),
        group=group.astype(np.int32),
        column=column.astype(np.int32),
        first=first_of,
        second=second,
    )


def padded_rows(rows: RowArrays) -> RowArrays:
    """The rows with copies of the first that count 0 times, so that data sets of about as many rows share programs; the
    entries of crossed factors are filled up as those of Normal models are.
    """
    n, pattern = len(rows.y), rows.pattern
    take = np.append(np.arange(n), np.zeros(padded_dense_size(n) - n, int))
    r = sum(z.shape[0] * len(like) for z, like in zip(rows.z[1:], pattern.like[1:], strict=True))

    def taken_of(own: tuple[Any, ...], axis: int = -1) -> tuple[Any, ...]:
        return tuple(np.ascontiguousarray(np.take(array, take, axis)) for array in own)

    return RowArrays(
        y=rows.y[take],
        trials=rows.trials[take],
        counts=filled_up(rows.counts, len(take), 0.0),
        X=rows.X[take],
        others=taken_of(rows.others, 0),
        offsets=taken_of(rows.offsets),
        z=taken_of(rows.z),
        pattern=pattern._replace(
            codes=taken_of(pattern.codes), cells=tuple(_padded_cells(own, take, r) for own in pattern.cells)
        ),
    )


def _padded_cells(cells: Cells, take: np.ndarray, r: int) -> Cells:
    """The last entry is nothing's, and the pairs are filled up with it; its column (r) is beyond the last."""
    size, pairs = padded_size(len(cells.group) + 1), len(cells.first)
    places = [filled_up(own, padded_dense_size(pairs) if pairs else 0, size - 1) for own in (cells.first, cells.second)]
    return Cells(
        place=tuple(place[:, take] for place in cells.place),
        group=filled_up(cells.group, size, cells.group[-1]),
        column=filled_up(cells.column, size, r),
        first=places[0],
        second=places[1],
    )


def in_rows(z: Array, b: Array, codes: Array) -> Array:
    """z'b in every row (..., n), of columns z (q, n) and deviations b (q, ..., J).

    Term by term: XLA fuses a sum of two or three with what follows, and a reduction it does not.
    """
    return functools.reduce(xp.add, (column * own[..., codes] for column, own in zip(z, b, strict=True)))


def sums_by_level(values: Array, codes: Array, like: Array) -> Array:
    """Sums of `values` (m, n) over the rows of each level: (m, J)."""
    return segment_sums(values.T, codes, like.shape[0]).T


def _own(z: Array, weights: Array, codes: Array, like: Array) -> Array:
    """Z_j'WZ_j of every level (q, q, J), each product of two columns summed once."""
    q = z.shape[0]
    pairs = [(a, b) for a in range(q) for b in range(a + 1)]
    place = np.zeros((q, q), int)
    for k, (a, b) in enumerate(pairs):
        place[a, b] = place[b, a] = k
    products = xp.stack([weights * z[a] * z[b] for a, b in pairs])
    return sums_by_level(products, codes, like)[place]


def _with(z: Array, columns: Array, codes: Array, like: Array) -> Array:
    """Z_j' columns of every level (q, c, J), for `columns` (c, n)."""
    q, c = z.shape[0], columns.shape[0]
    products = (z[:, None] * columns[None]).reshape(q * c, -1)
    return sums_by_level(products, codes, like).reshape(q, c, like.shape[0])


def weighted_products(rows: RowArrays, weights: Array, columns: Array) -> CrossProducts:
    """The cross-products of the random effects at row weights (n,), and with `columns` (c, n), already weighted.

    `xx` is left empty: what the columns make with each other is the caller's.
    """
    # what they are made of would otherwise be computed anew for every product of columns
    weights, columns = xp.barrier((weights, columns))
    pattern, n_chain = rows.pattern, len(rows.pattern.parents)
    levels = []
    for k in range(n_chain):
        codes, like = pattern.codes[k], pattern.like[k]
        outer = [weights * z for z in rows.z[k + 1 : n_chain]]
        right = xp.concatenate([*outer, columns])
        zz = _own(rows.z[k], weights, codes, like)
        levels.append(Level(zz, _with(rows.z[k], right, codes, like), xp.ones(like.shape[0]), pattern.parents[k]))
    dense = (_dense(rows, weights, columns),) if pattern.cells else ()
    c = columns.shape[0]
    return CrossProducts(tuple(levels), (), dense, xp.zeros((c, c)), xp.zeros(()), xp.zeros(()))


def empty_products(rows: RowArrays, n_columns: int) -> CrossProducts:
    """Zeros in the shapes that `weighted_products` gives with so many columns."""
    n = len(rows.y)
    return tree_map(np.zeros_like, weighted_products(rows, np.zeros(n), np.zeros((n_columns, n))))


def _dense(rows: RowArrays, weights: Array, columns: Array) -> Dense:
    """The sums of the factors that are eliminated together, at row weights (n,)."""
    pattern = rows.pattern
    n_chain = len(pattern.parents)
    z, codes, likes = rows.z[n_chain:], pattern.codes[n_chain:], pattern.like[n_chain:]
    own = tuple(_own(a, weights, at, like) for a, at, like in zip(z, codes, likes, strict=True))
    starts = np.cumsum([0, *(a.shape[0] * like.shape[0] for a, like in zip(z, likes, strict=True))])
    r = int(starts[-1])
    positions, values = [], []
    for k, (a, at, like) in enumerate(zip(z, codes, likes, strict=True)):
        for m in range(k + 1):
            for i in range(a.shape[0]):
                for j in range(z[m].shape[0]):
                    row = starts[k] + i * like.shape[0] + at
                    column = starts[m] + j * likes[m].shape[0] + codes[m]
                    positions.append(row * r + column)
                    values.append(weights * a[i] * z[m][j])
    half = add_at(r * r, xp.concatenate(positions), xp.concatenate(values)).reshape(r, r)
    edges = np.repeat(np.arange(len(z)), np.diff(starts))
    lower = xp.where(edges[:, None] > edges[None], half, 0.0)  # within a factor both halves are summed already
    rr = half + lower.T
    rx = xp.concatenate(
        [
            xp.moveaxis(_with(a, columns, at, like), 1, 2).reshape(-1, columns.shape[0])
            for a, at, like in zip(z, codes, likes, strict=True)
        ]
    )
    return Dense(own, rr, rx, _coupling(rows, weights, r))


def _coupling(rows: RowArrays, weights: Array, r: int) -> Coupling:
    """Their products with the first factor, and these with each other, for `r` deviations of the dense part."""
    cells, n_chain = rows.pattern.cells[0], len(rows.pattern.parents)
    value, size = 0.0, cells.group.shape[0]
    for place, z in zip(cells.place, rows.z[n_chain:], strict=True):
        for own, column in zip(place, z, strict=True):
            value = value + add_at(size, own, weights * column * rows.z[0])
    pairs = pairs_of(value, cells.group, cells.column, cells.first, cells.second, r)
    group_like, column_like = rows.pattern.like[0], xp.zeros(r, xp.int8)
    return Coupling(value, cells.group, cells.column, pairs, group_like, column_like)


class RowUnits(NamedTuple):
    """The way from the kernel's units to the user's: `beta = basis @ beta_kernel`, the same of each further parameter
    (`others`), and `random` for the deviations of each factor. `y`: the unit of the response and of the mean's linear
    predictor.
    """

    basis: np.ndarray
    others: tuple[np.ndarray, ...]
    random: tuple[ColumnUnits, ...]
    y: np.ndarray


class Columns(NamedTuple):
    """Fixed-effects columns and offset of one parameter: `X` (n, p), `offset` (n,)."""

    X: np.ndarray
    offset: np.ndarray


def rows_of(
    y: np.ndarray,
    trials: np.ndarray,
    counts: np.ndarray,
    parameters: Sequence[Columns],
    terms: Sequence[FactorColumns],
    structure: Elimination,
    unit: float = 1.0,
) -> tuple[RowArrays, RowUnits]:
    """The rows in the kernel's units, which make each parameter's columns orthogonal and every column's mean square 1.

    `parameters`: the columns of the mean, and of each further parameter. `terms`: the random effects of the mean, in
    the model's order. `unit` of the response, in which the mean's predictor is too; offsets of other parameters must
    be in it already.
    """
    triangles = [triangular_factor(own.X) for own in parameters]
    bases = [orthogonal_basis(triangle, len(y)) for triangle in triangles]
    ordered = structure.ordered(terms)
    random = [column_units(term, parameters[0].X, triangles[0]) for term in ordered]
    columns = [own.X @ basis for own, basis in zip(parameters, bases, strict=True)]
    rows = RowArrays(
        y=y / unit,
        trials=trials,
        counts=counts,
        X=columns[0],
        others=tuple(columns[1:]),
        offsets=(parameters[0].offset / unit, *(own.offset for own in parameters[1:])),
        z=tuple(np.ascontiguousarray(own.columns(term.Z).T) for term, own in zip(ordered, random, strict=True)),
        pattern=arrange(terms, structure),
    )
    return rows, RowUnits(unit * bases[0], tuple(bases[1:]), tuple(random), np.float64(unit))
