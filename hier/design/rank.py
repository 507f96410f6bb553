"""Which columns of a design matrix the others determine."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgeqrf

from hier.design.threads import one_blas_thread

TOLERANCE = 1e-7  # of a column's own length, as R's qr() and so lme4 have it
SHARED_OUT = 9216  # numbers; OpenBLAS multiplies a smaller matrix with a vector on one thread (interface/gemv.c)
ESTIMABLE = 1e-8  # of columns of size 1: how far a row may lie outside the space of the rows of the fit
WORK_PER_COLUMN = 64  # LAPACK's largest block (ilaenv)
SMALLEST_SQUARE = 1e-280  # below it a square has lost digits
ROWS_PER_BLOCK = 1 << 15  # keeps a block of a few columns in the processor's cache


class Determined(NamedTuple):
    """What the data determine of P columns: those `kept` (P,), and the others as combinations of these.

    `aliases` (p, d): the d columns that were not kept, by those that were; `constants` (d,): what else they hold of an
    intercept that is none of the columns; `slack` (d,): by how much a row of the fit may differ. `sizes` (P,): the
    columns' root mean squares, of a column of zeros that of the largest column of its term.
    """

    kept: np.ndarray
    aliases: np.ndarray
    constants: np.ndarray
    slack: np.ndarray
    sizes: np.ndarray

    def without_intercept(self) -> Determined:
        """The same without the first column, which is an intercept."""
        constants = self.constants + self.aliases[0]
        return self._replace(kept=self.kept[1:], aliases=self.aliases[1:], constants=constants, sizes=self.sizes[1:])

    def estimable(self, X: np.ndarray) -> np.ndarray:
        """Whether the data determine the linear function of each row (k, P) of all columns, in whatever coding: whether
        it is a combination of the rows of the fit.

        Source: Searle (1971), Linear Models, section 5.4.
        """
        if self.kept.all():
            return np.ones(len(X), bool)
        Z, own, other = X / self.sizes, self.sizes[self.kept], self.sizes[~self.kept]
        expected = Z[:, self.kept] @ (self.aliases * own[:, None] / other) + self.constants / other
        near = np.maximum(ESTIMABLE, self.slack / other) * np.maximum(np.abs(Z).max(axis=1), 1.0)[:, None]
        return (np.abs(Z[:, ~self.kept] - expected) <= near).all(axis=1)


def determined(R: np.ndarray, widths: Sequence[int], n: int) -> Determined:
    """What the data determine of columns with the triangular factor `R`, of n rows; `widths`: of the terms that they
    belong to, one after another.
    """
    lengths = column_lengths(R)
    kept = independent_columns(R, lengths=lengths)
    sizes = lengths / np.sqrt(n)
    if kept.all():
        nothing = np.zeros(0)
        return Determined(kept, np.zeros((len(kept), 0)), nothing, nothing, sizes)
    starts = np.cumsum([0, *widths])
    largest = [sizes[a:b].max(initial=0.0) or 1.0 for a, b in itertools.pairwise(starts)]
    sizes = np.where(sizes > 0, sizes, np.repeat(largest, widths))
    aliases = dependence(R, kept)
    slack = np.linalg.norm(R[:, ~kept] - R[:, kept] @ aliases, axis=0)
    return Determined(kept, aliases, np.zeros(len(slack)), slack, sizes)


def triangular_factor(*columns: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """R of the QR factorisation of a tall matrix, by blocks of rows; the matrix is its columns side by side, the rows
    times the square roots of the weights.

    Householder QR of each block, then of the stacked factors: as accurate as a factorisation of the whole, without a
    copy of it. Source: Demmel, Grigori, Hoemmen and Langou (2012), SIAM J. Sci. Comput. 34, A206, section 3.
    """
    n = len(columns[0])
    factors = []
    for start in range(0, max(n, 1), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        block = np.column_stack([column[rows] for column in columns])
        if weights is not None:
            block *= np.sqrt(weights[rows])[:, None]
        factors.append(qr_triangle(block))
    return factors[0] if len(factors) == 1 else qr_triangle(np.concatenate(factors))


def qr_triangle(block: np.ndarray) -> np.ndarray:
    """R of the QR factorisation; LAPACK's routine itself, since NumPy's copies a block of a few columns three times."""
    n, k = block.shape
    with one_blas_thread if block.size >= SHARED_OUT else nullcontext():
        packed, *_ = dgeqrf(block, lwork=max(1, WORK_PER_COLUMN * k))
    return np.where(_upper(min(n, k), k), packed[: min(n, k)], 0.0)


@functools.cache
def _upper(rows: int, columns: int) -> np.ndarray:
    """Which entries of a matrix stand on or above its diagonal."""
    return np.triu(np.ones((rows, columns), bool))


def column_lengths(columns: np.ndarray) -> np.ndarray:
    """The length of each column, whatever their units: those of numbers whose squares are no numbers too."""
    with np.errstate(over="ignore", under="ignore"):
        squares = (columns * columns).sum(axis=0)
    if ((squares > SMALLEST_SQUARE) & (squares < np.inf)).all():
        return np.sqrt(squares)
    size = np.abs(columns).max(axis=0, initial=0.0)
    scale = np.where(size > 0.0, size, 1.0)
    return size * np.sqrt(np.sum((columns / scale) ** 2, axis=0))


def independent_columns(R: np.ndarray, tolerance: float = TOLERANCE, lengths: np.ndarray | None = None) -> np.ndarray:
    """Mask of the columns kept when, from left to right, each that the earlier ones determine but for a `tolerance` of
    its length is dropped; `R` is their triangular factor, whose columns have the `lengths` (computed if not given).

    Source: R's `qr` (LINPACK dqrdc2, limited pivoting, tol = 1e-7), which lme4 applies to the fixed effects.
    """
    lengths = column_lengths(R) if lengths is None else lengths
    diagonal = np.abs(R.diagonal())
    if len(diagonal) == len(lengths) and (diagonal >= tolerance * lengths).all() and lengths.all():
        return np.ones(len(lengths), bool)
    rest = R / np.where(lengths > 0, lengths, 1.0)
    kept = lengths > 0
    while True:
        where = np.flatnonzero(kept)
        own = rest if kept.all() else np.linalg.qr(rest[:, where], mode="r")
        diagonal = np.abs(np.diag(own)) if len(where) else np.ones(0)
        dependent = np.flatnonzero(diagonal < tolerance)
        # more columns than rows: those beyond the rows have no diagonal entry at all
        if len(dependent) == 0 and len(diagonal) == len(where):
            return kept
        kept[where[dependent[0] if len(dependent) else len(diagonal)]] = False


def dependence(R: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The columns that were not kept as combinations (p, d) of those that were, from their triangular factor."""
    if kept.all():
        return np.zeros((len(kept), 0))
    lengths = column_lengths(R)
    lengths[lengths == 0.0] = 1.0
    own = np.linalg.lstsq(R[:, kept] / lengths[kept], R[:, ~kept] / lengths[~kept], rcond=None)[0]
    return own * lengths[~kept] / lengths[kept, None]
