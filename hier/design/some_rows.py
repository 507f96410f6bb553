"""Some rows of a design, with everything else of it as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hier.design.design import Design
from hier.design.rank import triangular_factor
from hier.errors import DataError

LOST = 1e-9  # of a column's length that is left when the others are taken off: less is nothing


def some_rows(design: Design, kept: np.ndarray) -> Design:
    """The design of the rows that are `kept` (n,) booleans. Columns, levels and what functions have learned stay those
    of all rows; a level may have no rows.

    Raises DataError where these rows do not determine the fixed effects.
    """
    cut: Callable = lambda own: None if own is None else own[kept]  # noqa: E731
    X, y, weights, offset = (cut(own) for own in (design.X, design.y, design.weights, design.offset))
    _refuse_lost(design, X)
    return replace(
        design,
        y=y,
        X=X,
        triangle=triangular_factor(X, y if offset is None else y - offset, weights=weights),
        random_effects=tuple(replace(own, codes=own.codes[kept], Z=own.Z[kept]) for own in design.random_effects),
        weights=weights,
        offset=offset,
        trials=cut(design.trials),
        parameters=tuple(replace(own, X=own.X[kept], offset=cut(own.offset)) for own in design.parameters),
        index=design.index[kept],
    )


def _refuse_lost(design: Design, X: np.ndarray) -> None:
    if not X.shape[1]:
        return
    lengths = np.linalg.norm(X, axis=0)
    diagonal = np.abs(np.diag(np.linalg.qr(X, mode="r"))) if len(X) >= X.shape[1] else np.zeros(X.shape[1])
    lost = np.flatnonzero(diagonal <= LOST * np.maximum(lengths, 1e-300))
    if len(lost):
        raise DataError(
            f"the rows that are left do not determine the coefficient of `{design.names[lost[0]]}`",
            found=f"{len(X)} of {design.nobs} rows",
            hint="leave out fewer rows at a time",
        )
