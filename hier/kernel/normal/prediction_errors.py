"""Prediction errors of the group deviations: how far linear combinations of them may be from their conditional modes.

Given beta and the variance parameters, the deviations' errors have covariance s^2 C with C = (Z'WZ + (L L')^-1)^-1. A
row meets one level of each factor, so z'Cz needs the levels on its path through the elimination alone, and the dense
part where factors cross; C is never formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.dense import inverse, on_both_sides
from hier.kernel.algebra.deviations import eliminate, group_deviations
from hier.kernel.algebra.integrate import Factors, sizes_of
from hier.kernel.arrays.derivatives import jacobian
from hier.kernel.arrays.library import Array, xp
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed

NUMBERS_AT_A_TIME = 1 << 23  # of a dense block of rows


class Combinations(NamedTuple):
    """Linear combinations of the deviations, one per row: the level `codes` (m,) of each factor that they meet, and
    what they take of its columns, `z` (m, q); zero where they leave a factor out. In the kernel's order and units.
    """

    codes: tuple[np.ndarray, ...]
    z: tuple[np.ndarray, ...]

    def at(self, rows: Any) -> Combinations:
        """Some of the rows."""
        return Combinations(tuple(codes[rows] for codes in self.codes), tuple(z[rows] for z in self.z))


class Errors(NamedTuple):
    """What the errors of any combination are computed from.

    `factors`: the relative covariance factors. `upper` (q, q, J) and `reduced` (q, c, J) of each factor that is
    eliminated level by level: R_j, and R_j^-T L' times the columns of the factors it is nested in, and then of [X y].
    `parents`: the levels of those factors. `coupling` (q J, r), sparse, levels changing fastest, and `spread` (r, r):
    the products with the dense part and its own C; None where there is none. `slopes` (J, q, p): by how much each mode
    falls as beta rises.
    """

    factors: tuple[np.ndarray, ...]
    upper: tuple[np.ndarray, ...]
    reduced: tuple[np.ndarray, ...]
    parents: tuple[tuple[np.ndarray, ...], ...]
    coupling: sparse.csr_array | None
    spread: np.ndarray | None
    slopes: tuple[np.ndarray, ...]


def _recover(factors: Factors, cross: CrossProducts) -> tuple[Array, ...]:
    eliminated = eliminate(factors, cross)
    p = cross.xx.shape[0] - 1
    slopes = jacobian(
        lambda beta: group_deviations(factors, eliminated, cross, beta), xp.zeros_like(eliminated.marginal.schur[0, :p])
    )
    spread = ()
    if cross.dense:
        spread = (on_both_sides(factors[1:], sizes_of(cross.dense[0]), inverse(eliminated.crossed[0].lower)),)
    return (
        *(level.upper for level in eliminated.levels),
        *(level.reduced for level in eliminated.levels),
        *(-xp.moveaxis(slope, 0, 1) for slope in slopes),
        *spread,
    )


@told_by_origin
def _recover_program() -> Program:
    return Program("prediction_errors", (), _recover, lambda *_: 0.05)


@computed
def prediction_errors(factors: Sequence[np.ndarray], cross: CrossProducts) -> Errors:
    """Eliminate the deviations at relative covariance factors (q, q), keeping what their errors are computed from."""
    factors = tuple(np.asarray(factor, np.float64) for factor in factors)
    found = [np.asarray(part) for part in _recover_program()(factors, cross)]
    k, coupling, spread = len(cross.levels), None, None
    if cross.dense:
        coupling, spread = _as_matrix(cross.dense[0].coupling), found.pop()
    return Errors(
        factors=factors,
        upper=tuple(found[:k]),
        reduced=tuple(found[k : 2 * k]),
        parents=tuple(level.parents for level in cross.levels),
        coupling=coupling,
        spread=spread,
        slopes=tuple(found[2 * k :]),
    )


def _as_matrix(coupling: Any) -> sparse.csr_array:
    q, J, r = coupling.value.shape[0], len(coupling.group_like), len(coupling.column_like)
    kept = coupling.column < r  # what fills up the list stands beyond
    rows = np.concatenate([a * J + coupling.group[kept] for a in range(q)])
    columns = np.tile(coupling.column[kept], q)
    return sparse.csr_array((coupling.value[:, kept].ravel(), (rows, columns)), shape=(q * J, r))


def mode_slopes(errors: Errors, rows: Combinations) -> np.ndarray:
    """By how much the mode of each combination falls as beta rises: (m, p). It is z'C Z'WX."""
    found = np.zeros((len(rows.codes[0]), errors.slopes[0].shape[2]))
    for codes, z, slopes in zip(rows.codes, rows.z, errors.slopes, strict=True):
        for a in range(z.shape[1]):
            found += z[:, a, None] * slopes[codes, a]
    return found


def each_deviation(errors: Errors, k: int, columns: np.ndarray) -> Combinations:
    """The combinations `columns` (q, q), one row each, of the deviations of every level of factor `k`; its levels
    change fastest.
    """
    J, q, _ = errors.slopes[k].shape
    codes, z = [], []
    for m, slopes in enumerate(errors.slopes):
        own = m == k
        codes.append(np.tile(np.arange(J), q) if own else np.zeros(q * J, int))
        z.append(np.repeat(columns, J, axis=0) if own else np.zeros((q * J, slopes.shape[1])))
    return Combinations(tuple(codes), tuple(z))


def error_variances(errors: Errors, rows: Combinations) -> np.ndarray:
    """z'Cz of each combination (m,); times s^2, the variance of its error given beta."""
    half, rest = _halves(errors, rows)
    found = half.multiply(half).sum(axis=1)
    if errors.spread is not None:
        assert rest is not None
        step = max(1, NUMBERS_AT_A_TIME // errors.spread.shape[0])
        for start in range(0, len(found), step):
            own = rest[start : start + step]
            found[start : start + step] += own.multiply(own @ errors.spread).sum(axis=1)
    return np.asarray(found)


def error_covariance(errors: Errors, rows: Combinations) -> np.ndarray:
    """z'C z of each pair of combinations (m, m)."""
    half, rest = _halves(errors, rows)
    found = (half @ half.T).toarray()
    if errors.spread is not None:
        assert rest is not None
        found = found + rest @ (rest @ errors.spread).T
    return found


def error_factors(errors: Errors, rows: Combinations) -> list[tuple[sparse.csr_array, np.ndarray | None]]:
    """Pairs of a matrix M (m, k) and a root R (k, k), or None for the identity: z'C z of all pairs of combinations is
    the sum of their M R R'M'.
    """
    half, rest = _halves(errors, rows)
    if errors.spread is None or rest is None:
        return [(half, None)]
    values, vectors = np.linalg.eigh(errors.spread)
    return [(half, None), (rest, vectors * np.sqrt(np.maximum(values, 0.0)))]


def _halves(errors: Errors, rows: Combinations) -> tuple[sparse.csr_array, sparse.csr_array | None]:
    """Sparse matrices v (m, deviations) and d (m, r) with z'Cz = v v' + d N d', N the dense part's own C.

    v is R^-T L'z, from the innermost factor outwards: a level passes on to those that it belongs to what R_j^-T L'
    left of their columns. d is z of the dense part less what passes through the first factor.
    Source: Bates et al. (2015), equation 58, with the triangular solve along the path alone.
    """
    if errors.coupling is not None:
        return _crossed_halves(errors, rows)
    pieces = [piece for k in range(len(rows.codes)) for piece in _path(errors, rows, k)]
    sizes = [upper.shape[0] * upper.shape[2] for upper in errors.upper]
    return _sparse_rows(pieces, [upper.shape[2] for upper in errors.upper], sizes), None


def _path(errors: Errors, rows: Combinations, start: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The entries of v that factor `start` alone leads to: (factor, codes (m,), values (m, q))."""
    codes = [rows.codes[start], *(parent[rows.codes[start]] for parent in errors.parents[start])]
    passed = [rows.z[start], *(np.zeros((len(codes[0]), f.shape[0])) for f in errors.factors[start + 1 :])]
    found = []
    for k, (at, z) in enumerate(zip(codes, passed, strict=True), start=start):
        v = _solve(errors.upper[k], z @ errors.factors[k], at)
        found.append((k, at, v))
        column = 0
        for outer in range(k + 1, len(errors.factors)):
            q = errors.factors[outer].shape[0]
            ties = errors.reduced[k][:, column : column + q]
            for a in range(v.shape[1]):
                passed[outer - start] = passed[outer - start] - v[:, a, None] * ties[a][:, at].T
            column += q
    return found


def _solve(upper: np.ndarray, right: np.ndarray, at: np.ndarray) -> np.ndarray:
    """R_j^-T right of each row (m, q) at its level."""
    solved = np.zeros_like(right)
    for k in range(right.shape[1]):
        known = sum((upper[m, k, at] * solved[:, m] for m in range(k)), np.zeros(len(right)))
        solved[:, k] = (right[:, k] - known) / upper[k, k, at]
    return solved


def _solve_back(upper: np.ndarray, right: np.ndarray, at: np.ndarray) -> np.ndarray:
    """R_j^-1 right of each row (m, q) at its level."""
    solved, q = np.zeros_like(right), right.shape[1]
    for k in reversed(range(q)):
        known = sum((upper[k, m, at] * solved[:, m] for m in range(k + 1, q)), np.zeros(len(right)))
        solved[:, k] = (right[:, k] - known) / upper[k, k, at]
    return solved


def _crossed_halves(errors: Errors, rows: Combinations) -> tuple[sparse.csr_array, sparse.csr_array]:
    assert errors.coupling is not None
    upper, factor, first = errors.upper[0], errors.factors[0], rows.codes[0]
    q, J = upper.shape[0], upper.shape[2]
    half = _solve(upper, rows.z[0] @ factor, first)
    gained = _solve_back(upper, half, first) @ factor.T
    levels = [slopes.shape[0] for slopes in errors.slopes[1:]]
    sizes = [f.shape[0] * size for f, size in zip(errors.factors[1:], levels, strict=True)]
    others = [(k, codes, z) for k, (codes, z) in enumerate(zip(rows.codes[1:], rows.z[1:], strict=True))]
    rest = _sparse_rows(others, levels, sizes) - _sparse_rows([(0, first, gained)], [J], [q * J]) @ errors.coupling
    return _sparse_rows([(0, first, half)], [J], [q * J]), sparse.csr_array(rest)


def _sparse_rows(
    pieces: Sequence[tuple[int, np.ndarray, np.ndarray]], levels: Sequence[int], sizes: Sequence[int]
) -> sparse.csr_array:
    """Pieces (factor, codes (m,), values (m, q)) as one matrix with a column for each deviation; levels change fastest.

    Entries of one place are added up.
    """
    m, offsets = len(pieces[0][1]), np.concatenate([[0], np.cumsum(sizes)])
    data, rows, columns = [], [], []
    for k, codes, values in pieces:
        for a in range(values.shape[1]):
            data.append(values[:, a])
            rows.append(np.arange(m))
            columns.append(offsets[k] + a * levels[k] + codes)
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(data), where), shape=(m, int(offsets[-1])))
