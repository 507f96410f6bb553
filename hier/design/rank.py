"""Which columns of a design matrix the others determine."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
from scipy.linalg.lapack import dgeqrf

from hier.design.threads import one_blas_thread

TOLERANCE = 1e-7  # of a column's own length, as R's qr() and so lme4 have it
SHARED_OUT = 9216  # numbers; OpenBLAS multiplies a smaller matrix with a vector on one thread (interface/gemv.c)
WORK_PER_COLUMN = 64  # LAPACK's largest block (ilaenv)
ROWS_PER_BLOCK = 1 << 15  # keeps a block of a few columns in the processor's cache


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
        factors.append(_qr(block))
    return factors[0] if len(factors) == 1 else _qr(np.concatenate(factors))


def _qr(block: np.ndarray) -> np.ndarray:
    """R of the QR factorisation; LAPACK's routine itself, since NumPy's copies a block of a few columns three times."""
    n, k = block.shape
    with one_blas_thread if block.size >= SHARED_OUT else nullcontext():
        packed, *_ = dgeqrf(block, lwork=max(1, WORK_PER_COLUMN * k))
    return np.triu(packed[: min(n, k)])


def column_lengths(columns: np.ndarray) -> np.ndarray:
    """The length of each column, whatever their units: those of numbers whose squares are no numbers too."""
    size = np.abs(columns).max(axis=0, initial=0.0)
    scale = np.where(size > 0.0, size, 1.0)
    return size * np.sqrt(np.sum((columns / scale) ** 2, axis=0))


def independent_columns(R: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Mask of the columns kept when, from left to right, each that the earlier ones determine but for a `tolerance` of
    its length is dropped; `R` is their triangular factor.

    Source: R's `qr` (LINPACK dqrdc2, limited pivoting, tol = 1e-7), which lme4 applies to the fixed effects.
    """
    lengths = column_lengths(R)
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
