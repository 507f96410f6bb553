"""Averages over a Normal part of a linear predictor, such as the deviation of a group that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

REACH = 7.5  # standard Normal variables beyond it count for nothing
STEP = 0.75  # of the points; on the predictor's own scale at most `ON_SCALE`
ON_SCALE = 0.8


def averaged(function: Callable[[np.ndarray], np.ndarray], spread: np.ndarray) -> np.ndarray:
    """The mean of a function of what is added to a linear predictor, Normal about zero with the standard deviation
    `spread` (any shape), which the function is given in that shape.

    By equal steps, whose error falls exponentially as they get shorter where the function is analytic near the real
    line; a link's steepest part is as wide as about two units of the predictor. Exponential growth moves the integrand
    by one `spread`, and the points reach that much further.
    Source: Trefethen and Weideman (2014), SIAM Rev. 56, 385, section 5.
    """
    largest = float(np.max(spread, initial=0.0, where=np.isfinite(spread)))
    step = min(STEP, ON_SCALE / largest) if largest > 0.0 else STEP
    count = int(np.ceil((REACH + min(largest, REACH)) / step))
    points = step * np.arange(-count, count + 1)
    weights = np.exp(-0.5 * points**2)
    found, total = 0.0, weights.sum()
    for point, weight in zip(points, weights / total, strict=True):
        if weight > 0.0:
            found = found + weight * function(point * spread)
    return np.asarray(found)
