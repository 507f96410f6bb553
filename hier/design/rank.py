"""Which columns of a design matrix the others determine."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-7  # of a column's own length, as R's qr() and so lme4 have it


def independent_columns(X: np.ndarray) -> np.ndarray:
    """Mask of the columns kept when, from left to right, each that the earlier ones determine is dropped.

    Source: R's `qr` (LINPACK dqrdc2, limited pivoting, tol = 1e-7), which lme4 applies to the fixed effects.
    """
    lengths = np.sqrt(np.einsum("ij,ij->j", X, X))
    scale = np.where(lengths > 0, lengths, 1.0)
    rest = np.linalg.qr(X / scale, mode="r")
    kept = lengths > 0
    while True:
        where = np.flatnonzero(kept)
        diagonal = np.abs(np.diag(np.linalg.qr(rest[:, where], mode="r"))) if len(where) else np.ones(0)
        dependent = np.flatnonzero(diagonal < TOLERANCE)
        # more columns than rows: those beyond the rows have no diagonal entry at all
        if len(dependent) == 0 and len(diagonal) == len(where):
            return kept
        kept[where[dependent[0] if len(dependent) else len(diagonal)]] = False
