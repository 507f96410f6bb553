"""One pass over the rows: everything that the likelihood needs to know of the data, in well-conditioned units.

After this pass no computation depends on the number of rows. The fixed-effects columns are replaced by an
orthonormal basis, the response by its least-squares residual, and each factor's random-effects columns by a basis of
them with mean squares 1; `Units` is the way back. The user never sees these units.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtri

from hier.design.rank import SMALLEST_SQUARE, column_lengths, independent_columns, triangular_factor
from hier.errors import DataError
from hier.kernel.algebra.coupling import Coupling, couple
from hier.kernel.algebra.elimination import Elimination
from hier.kernel.algebra.padding import padded_dense_size, padded_size
from hier.kernel.algebra.scaling import ColumnUnits, Units

LEAST_OWN = 1e-12  # of a random-effects column's length: what less is left of it by the others is rounding
EXACT_FIT = 1e-11  # of the response's own length: what is left is rounding
ROWS_PER_BLOCK = 1 << 16  # what is computed of the rows at a time; more where there are more groups than that


class FactorColumns(NamedTuple):
    """The random effects of one grouping factor as arrays: `Z` (n, q), `codes` (n,) in [0, J), and J.

    Half-open ranges of columns: `one_unit` have one unit, because they share a standard deviation; `unstructured` may
    be replaced by any other basis of them, because their covariance may be any.
    """

    Z: np.ndarray
    codes: np.ndarray
    n_levels: int
    one_unit: tuple[tuple[int, int], ...] = ()
    unstructured: tuple[tuple[int, int], ...] = ()


class Level(NamedTuple):
    """Weighted sums of products by the levels of one factor; levels stand on the last, contiguous axis.

    `zz` (q, q, J): Z_j'WZ_j. `right` (q, c, J): Z_j'W with the columns of the factors that this one is nested in, in
    order, and then with [X y]. `count` (J,): how many levels of the data each entry stands for, in log-determinants.
    `parents`: for each factor that this one is nested in, the level that each level belongs to (J,).
    """

    zz: np.ndarray
    right: np.ndarray
    count: np.ndarray
    parents: tuple[np.ndarray, ...] = ()


class Dense(NamedTuple):
    """Sums of products of the factors that are eliminated together, r deviations in all, one factor after another.

    A factor with q columns and J levels has q J of them, its levels changing fastest. `own`: Z_j'WZ_j of each factor
    (q, q, J). `rr` (r, r): their products with each other. `rx` (r, p + 1): with [X y]. `coupling`: with the factor
    that is eliminated level by level.
    """

    own: tuple[np.ndarray, ...]
    rr: np.ndarray
    rx: np.ndarray
    coupling: Coupling


class CrossProducts(NamedTuple):
    """Everything that the likelihood needs; `p` fixed-effects columns, the response is column `p` of `[X y]`.

    `levels`: the factors that are eliminated level by level, innermost first. `merged`: the one of them, where levels
    with equal products are taken together; empty where that saves nothing. `dense`: what is eliminated afterwards.
    `xx` (p + 1, p + 1): [X y]'W[X y]. `nobs` (): rows. `log_weights` (): sum of the logarithms of the weights.
    """

    levels: tuple[Level, ...]
    merged: tuple[Level, ...]
    dense: tuple[Dense, ...]
    xx: np.ndarray
    nobs: np.ndarray
    log_weights: np.ndarray


def with_empty_columns(cross: CrossProducts, n: int) -> CrossProducts:
    """The same with `n` columns of zeros before the other fixed-effects columns."""
    own = cross.xx.shape[0]

    def before_own(products: np.ndarray, axis: int) -> np.ndarray:
        at = products.shape[axis] - own
        return np.insert(products, np.full(n, at), 0.0, axis=axis)

    levels = tuple(level._replace(right=before_own(level.right, 1)) for level in cross.levels)
    return cross._replace(
        levels=levels,
        merged=merge_equal(levels[0]) if cross.merged else (),
        dense=tuple(dense._replace(rx=before_own(dense.rx, 1)) for dense in cross.dense),
        xx=before_own(before_own(cross.xx, 0), 1),
    )


def group_products(left: np.ndarray, right: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """left_j' right_j of every group: (n, a) and (n, b) to (a, b, J)."""
    products = np.zeros((left.shape[1], right.shape[1], n_groups))
    add_group_products(products, left, right, codes)
    return products


def add_group_products(sums: np.ndarray, left: np.ndarray, right: np.ndarray, codes: np.ndarray) -> None:
    """Add left_j' right_j of these rows to `sums` (a, b, J)."""
    n_groups = sums.shape[2]
    for i, column in enumerate(left.T):
        for k, other in enumerate(right.T):
            # a matrix with itself is symmetric: half of the sums are known already
            if left is right and k < i:
                sums[i, k] = sums[k, i]
            else:
                sums[i, k] += np.bincount(codes, column * other, n_groups)


class Basis(NamedTuple):
    """The change of columns into the kernel's units: `[X y] @ to_kernel`, and that of each factor's columns."""

    to_kernel: np.ndarray
    random: tuple[ColumnUnits, ...]

    @property
    def y(self) -> float:
        """The response's unit: the root mean square of its least-squares residual."""
        return 1.0 / float(self.to_kernel[-1, -1])


def cross_products(
    y: np.ndarray,
    X: np.ndarray,
    R: np.ndarray,
    terms: Sequence[FactorColumns],
    structure: Elimination,
    weights: np.ndarray | None = None,
    merged_from: int = 0,
) -> tuple[CrossProducts, Units]:
    """Cross-products of a model in the kernel's units, its factors in the kernel's order.

    Parameters
    ----------
    y : (n,) response, less its offset. X : (n, p), of full column rank. R : (p + 1, p + 1), the triangular factor of
    [X y] with its rows weighted. terms : the random effects, in the model's order. structure : the order in which their
    factors are eliminated.
    weights : (n,) positive precision weights, or None for 1. merged_from : the number of levels from which equal ones
    are taken together.

    Raises DataError where the fixed effects leave nothing of the response.
    Source: Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), section 3.4, with the fixed-effects
    columns orthogonalised first.
    """
    n, p = X.shape
    terms = structure.ordered(terms)
    basis = _basis(X, R, terms, weights)
    chain, crossed = terms[: len(structure.levels)], terms[len(structure.levels) :]
    step = max(ROWS_PER_BLOCK, max((term.n_levels for term in terms), default=0) // 2)

    def summed(first: int, stride: int) -> _Sums:
        sums = _Sums(chain, crossed, p)
        for start in range(first * step, n, stride * step):
            at = slice(start, start + step)
            rows, z = in_kernel_units(y, X, terms, basis, weights, at)
            sums.add(rows, z, at)
        return sums

    if n <= step:
        sums = summed(0, 1)
    else:  # NumPy lets other threads go on while it sums; always two, so that rounding is the same on every machine
        with ThreadPoolExecutor(2) as pool:
            sums, others = pool.map(summed, (0, 1), (2, 2))
        sums.merge(others)
    levels = sums.levels(structure.parents)
    cross = CrossProducts(
        levels=levels,
        merged=merge_equal(levels[0]) if len(terms) == 1 and terms[0].n_levels >= merged_from else (),
        dense=(_dense(chain[0], crossed, basis, weights, sums.own, sums.rx),) if crossed else (),
        xx=np.eye(p + 1) * n,
        nobs=np.float64(n),
        log_weights=np.float64(0.0 if weights is None else np.log(weights).sum()),
    )
    return cross, _units(basis)


def _basis(X: np.ndarray, R: np.ndarray, terms: Sequence[FactorColumns], weights: np.ndarray | None) -> Basis:
    n, p = X.shape
    if abs(R[p, p]) <= EXACT_FIT * column_lengths(R[:, p:])[0]:
        raise DataError(
            "the fixed effects fit the response exactly, so nothing is left to vary",
            found=f"residuals of {abs(R[p, p]) / np.sqrt(n):.1g} in {n} rows",
            expected="a response with variation of its own",
            hint="check that the response is not computed from the other columns",
        )
    return Basis(orthogonal_basis(R, n), tuple(column_units(term, X, R[:p, :p], weights) for term in terms))


def orthogonal_basis(R: np.ndarray, n: int) -> np.ndarray:
    """The upper triangular B (k, k) that makes n rows with the triangular factor `R` (k, k) orthogonal columns of mean
    square 1, with a positive diagonal.
    """
    if not len(R):
        return R
    inverse, _ = dtrtri(R)
    return inverse * (np.sqrt(n) * np.sign(R.diagonal()))


def column_units(term: FactorColumns, X: np.ndarray, R: np.ndarray, weights: np.ndarray | None = None) -> ColumnUnits:
    """The basis in which the kernel takes a factor's columns, the rows weighted: unstructured ones orthogonal, as far
    as the others do not determine them, and all with mean square 1.

    `R`: the triangular factor of `X` (n, p), which need not be computed anew where the columns are some of these.
    """
    bases = {columns: _orthogonal(term.Z[:, slice(*columns)], X, R, weights) for columns in term.unstructured}
    if len(bases) == 1 and (0, term.Z.shape[1]) in bases:
        return ColumnUnits(*bases[0, term.Z.shape[1]])
    to_user, to_kernel = _scaled(term, weights)
    for (start, stop), (of_user, of_kernel) in bases.items():
        to_user[start:stop, start:stop], to_kernel[start:stop, start:stop] = of_user, of_kernel
    return ColumnUnits(to_user, to_kernel)


def _orthogonal(
    Z: np.ndarray, X: np.ndarray, R: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    place = _place_in(Z, X)
    if place is None:
        own = triangular_factor(Z, weights=weights)
    else:  # the first columns of a triangular factor are triangular
        own = R[: place.stop, place] if place.start == 0 else triangular_factor(R[:, place])
    return orthogonal_columns(own, len(Z))


def orthogonal_columns(R: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The basis of n rows of columns with the triangular factor `R`, and its inverse; a column that those before it
    determine is only scaled.
    """
    kept = independent_columns(R, LEAST_OWN)
    own = R if kept.all() else triangular_factor(R[:, kept])
    own = own[: own.shape[1]]
    to_kernel = own * (np.sign(own.diagonal()) / np.sqrt(n))[:, None]
    if not kept.all():
        lengths, orthogonal = column_lengths(R), to_kernel
        to_kernel = np.diag(np.where(lengths > 0.0, lengths / np.sqrt(n), 1.0))
        to_kernel[np.ix_(kept, kept)] = orthogonal
    inverse, _ = dtrtri(to_kernel)
    return inverse, to_kernel


def _place_in(Z: np.ndarray, X: np.ndarray) -> slice | None:
    """Where the columns stand in X, if they are a view of some of its columns."""
    if Z.strides != X.strides or Z.shape[0] != X.shape[0]:
        return None
    offset = Z.__array_interface__["data"][0] - X.__array_interface__["data"][0]
    first, rest = divmod(offset, X.strides[1])
    return slice(first, first + Z.shape[1]) if rest == 0 and 0 <= first <= X.shape[1] - Z.shape[1] else None


def _scaled(term: FactorColumns, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The diagonal bases of the root mean square of each column, over all of those that have one unit; 1 for a column
    of zeros; those of unstructured columns are left at 1.
    """
    scale = np.ones(term.Z.shape[1])
    free = [k for start, stop in term.unstructured for k in range(start, stop)]
    for k in np.delete(np.arange(len(scale)), free):
        scale[k] = root_mean_square(term.Z[:, k], weights)
    for start, stop in term.one_unit:
        scale[start:stop] = root_mean_square(scale[start:stop])
    scale[scale == 0.0] = 1.0
    return np.diag(1.0 / scale), np.diag(scale)


def root_mean_square(z: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The root of the (weighted) mean square of a column (n,), whatever its unit."""
    square = np.dot(z, z if weights is None else z * weights) / len(z)
    if SMALLEST_SQUARE < square < np.inf:
        return float(np.sqrt(square))
    size = float(np.abs(z).max(initial=0.0))
    return size * root_mean_square(z / size, weights) if size > 0.0 else 0.0


def _units(basis: Basis) -> Units:
    own, p, y = basis.to_kernel, basis.to_kernel.shape[0] - 1, basis.y
    with np.errstate(
        over="ignore", under="ignore", divide="ignore"
    ):  # slopes may be no numbers, which is said elsewhere
        back = own[:p, :p] * y
        return Units(-own[:p, p] * y, back, basis.random, np.float64(y), np.log(np.diag(back)).sum())


def in_kernel_units(
    y: np.ndarray,
    X: np.ndarray,
    terms: Sequence[FactorColumns],
    basis: Basis,
    weights: np.ndarray | None,
    at: slice,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The rows `at` of [X y] and of each factor's columns in the kernel's units, times the roots of the weights."""
    rows = np.column_stack([X[at], y[at]]) @ basis.to_kernel
    z = [own.columns(term.Z[at]) for term, own in zip(terms, basis.random, strict=True)]
    if weights is None:
        return rows, z
    root = np.sqrt(weights[at])[:, None]
    return rows * root, [columns * root for columns in z]


class _Sums:
    """The sums of each factor's levels, filled a block of rows at a time: with the factors that each of the `chain` is
    nested in, and those `own` and `rx` of the factors that are eliminated as one, `crossed`.
    """

    def __init__(self, chain: Sequence[FactorColumns], crossed: Sequence[FactorColumns], p: int) -> None:
        self._chain, self._crossed = chain, crossed
        self._sizes = [padded_size(term.n_levels) for term in chain]
        self.own = [np.zeros((term.Z.shape[1],) * 2 + (padded_dense_size(term.n_levels),)) for term in crossed]
        self.rx = [np.zeros((term.Z.shape[1], p + 1, padded_dense_size(term.n_levels))) for term in crossed]
        q = [term.Z.shape[1] for term in chain]
        self._zz = [np.zeros((k, k, size)) for k, size in zip(q, self._sizes, strict=True)]
        self._right = [
            [np.zeros((q[k], width, size)) for width in (*q[k + 1 :], p + 1)] for k, size in enumerate(self._sizes)
        ]

    def add(self, rows: np.ndarray, z: list[np.ndarray], at: slice) -> None:
        for k, term in enumerate(self._chain):
            codes = term.codes[at]
            add_group_products(self._zz[k], z[k], z[k], codes)
            for sums, other in zip(self._right[k], (*z[k + 1 : len(self._chain)], rows), strict=True):
                add_group_products(sums, z[k], other, codes)
        for k, term in enumerate(self._crossed):
            own = z[len(self._chain) + k]
            add_group_products(self.own[k], own, own, term.codes[at])
            add_group_products(self.rx[k], own, rows, term.codes[at])

    def merge(self, other: _Sums) -> None:
        """Add the sums of other rows."""
        for mine, more in zip(self._all(), other._all(), strict=True):
            mine += more

    def _all(self) -> list[np.ndarray]:
        return [*self._zz, *(sums for right in self._right for sums in right), *self.own, *self.rx]

    def levels(self, parents: tuple[tuple[np.ndarray, ...], ...]) -> tuple[Level, ...]:
        found = []
        for zz, right, size, own in zip(self._zz, self._right, self._sizes, parents, strict=True):
            # an empty level may belong anywhere: its products are zero
            padded = tuple(np.append(at, np.zeros(size - len(at), at.dtype)).astype(np.int32) for at in own)
            whole = right[0] if len(right) == 1 else np.concatenate(right, axis=1)
            found.append(Level(zz, whole, np.ones(size), padded))
        return tuple(found)


class _Classes(NamedTuple):
    """Levels with equal Z_j'WZ_j: `used` (J,) whether a level has any product, `place` of each used level among the
    classes, their `zz` (q, q, k) and `counts` (k,), and how many entries are `kept` (k,) of each.
    """

    used: np.ndarray
    place: np.ndarray
    zz: np.ndarray
    counts: np.ndarray
    kept: np.ndarray


def _classes(level: Level) -> _Classes | None:
    """The classes of equal levels; None where taking them together saves little."""
    q, c, J = level.right.shape
    used = level.zz.any(axis=(0, 1)) | level.right.any(axis=(0, 1))
    keys = level.zz[:, :, used].reshape(q * q, -1).T
    # equal products have equal sums with any weights, and one number per level is quick to compare
    sums = keys @ np.cos(np.arange(1.0, q * q + 1.0))
    some = sums[:: max(1, len(sums) // 500)]
    if len(np.unique(some)) * q * c > len(some) // 2:
        return None
    _, first, place, counts = np.unique(sums, return_index=True, return_inverse=True, return_counts=True)
    kept = np.minimum(counts, q * c)
    if not np.array_equal(keys[first][place], keys) or 2 * padded_size(int(kept.sum())) > J:
        return None
    return _Classes(used, place, keys[first].T.reshape(q, q, -1), counts, kept)


def merge_equal(level: Level) -> tuple[Level, ...]:
    """The same sums over levels from fewer entries, where many levels have the same Z_j'WZ_j: empty where few have.

    With that product equal, the likelihood knows of the levels' Z_j'W[X y]_j only the sum of their outer products,
    whose eigenvectors serve as well: as many as they have entries, however many levels there are.
    """
    classes = _classes(level)
    if classes is None:
        return ()
    q = level.zz.shape[0]
    total = padded_size(int(classes.kept.sum()))
    zz, count = np.zeros((q, q, total)), np.zeros(total)
    starts = np.cumsum(classes.kept) - classes.kept
    zz[:, :, : int(classes.kept.sum())] = np.repeat(classes.zz, classes.kept, axis=2)
    count[starts] = classes.counts
    return (Level(zz, _merged_right(classes, level.right[None], total)[0], count),)


def merge_responses(level: Level, zy: np.ndarray) -> np.ndarray:
    """The merged Z'W[X y] (B, q, p + 1, J') of a level's products with other responses, `zy` (B, q, J)."""
    classes = _classes(level)
    assert classes is not None
    shape = (len(zy), *level.right.shape)
    right = np.broadcast_to(level.right, shape).copy()
    right[:, :, -1] = zy
    return _merged_right(classes, right, padded_size(int(classes.kept.sum())))


def _merged_right(classes: _Classes, right: np.ndarray, total: int) -> np.ndarray:
    """Columns with the same sums of outer products in each class, (B, q, c, total) of (B, q, c, J)."""
    B, q, c, _ = right.shape
    flat, found = right[:, :, :, classes.used].reshape(B, q * c, -1), np.zeros((B, q, c, total))
    at = 0
    for k, kept in enumerate(classes.kept):
        stacked = flat[:, :, classes.place == k]
        values, vectors = np.linalg.eigh(stacked @ stacked.swapaxes(1, 2))
        columns = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
        found[..., at : at + kept] = columns[:, :, ::-1][:, :, :kept].reshape(B, q, c, kept)
        at += kept
    return found


def _dense(
    first: FactorColumns,
    crossed: Sequence[FactorColumns],
    basis: Basis,
    weights: np.ndarray | None,
    own: list[np.ndarray],
    rx: list[np.ndarray],
) -> Dense:
    """The sums of the factors that are eliminated together, and their coupling with the first factor."""
    sizes = [block.shape[1] * block.shape[2] for block in own]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    rr = np.zeros((offsets[-1], offsets[-1]))
    scaled = [
        units.columns(term.Z) * (1.0 if weights is None else np.sqrt(weights)[:, None])
        for term, units in zip((first, *crossed), basis.random, strict=True)
    ]
    for k, block in enumerate(own):
        q, _, J = block.shape
        at = offsets[k] + np.arange(q * J).reshape(q, J)
        rr[at[:, None], at[None]] = block
        for m in range(k):
            other_q, _, other_J = own[m].shape
            flat = crossed[k].codes.astype(np.int64) * other_J + crossed[m].codes
            for a in range(q):
                for b in range(other_q):
                    sums = np.bincount(flat, scaled[1 + k][:, a] * scaled[1 + m][:, b], J * other_J).reshape(J, other_J)
                    rows, columns = offsets[k] + a * J, offsets[m] + b * other_J
                    rr[rows : rows + J, columns : columns + other_J] = sums
                    rr[columns : columns + other_J, rows : rows + J] = sums.T
    coupling = couple(
        first.codes,
        scaled[0],
        [(term.codes, columns, block.shape[2]) for term, columns, block in zip(crossed, scaled[1:], own, strict=True)],
        padded_size(first.n_levels),
    )
    stacked = np.concatenate([np.moveaxis(part, 1, 2).reshape(-1, part.shape[1]) for part in rx])
    return Dense(tuple(own), rr, stacked, coupling)
