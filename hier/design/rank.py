"""Which columns of a design matrix the others determine."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-7  # of a column's own length, as R's qr() and so lme4 have it
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
        factors.append(np.linalg.qr(block, mode="r"))
    return factors[0] if len(factors) == 1 else np.linalg.qr(np.concatenate(factors), mode="r")


def independent_columns(X: np.ndarray) -> np.ndarray:
    """Mask of the columns kept when, from left to right, each that the earlier ones determine is dropped.

    Source: R's `qr` (LINPACK dqrdc2, limited pivoting, tol = 1e-7), which lme4 applies to the fixed effects.
    """
    lengths = np.sqrt(np.einsum("ij,ij->j", X, X))
    rest = triangular_factor(X) / np.where(lengths > 0, lengths, 1.0)
    kept = lengths > 0
    while True:
        where = np.flatnonzero(kept)
        own = rest if kept.all() else np.linalg.qr(rest[:, where], mode="r")
        diagonal = np.abs(np.diag(own)) if len(where) else np.ones(0)
        dependent = np.flatnonzero(diagonal < TOLERANCE)
        # more columns than rows: those beyond the rows have no diagonal entry at all
        if len(dependent) == 0 and len(diagonal) == len(where):
            return kept
        kept[where[dependent[0] if len(dependent) else len(diagonal)]] = False


def dependence(X: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The columns that were not kept as combinations (p, d) of those that were."""
    if kept.all():
        return np.zeros((len(kept), 0))
    R = triangular_factor(X)
    return np.linalg.lstsq(R[:, kept], R[:, ~kept], rcond=None)[0]
