"""What the curvature of an objective says at its minimum: a covariance, the directions of which nothing is known, and
what a search has left to gain.

Parameters have different units, so that a curvature is judged by what it does over a step of a parameter's own size.
Source: Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.3, for the covariance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv

FLAT = 1e-4  # curvature of -2 log density over a step of a parameter's own size: with less nothing is known of it
ROUNDING = 1e-11  # of the largest curvature
NEGLIGIBLE = 1e-8  # of -2 log density: a decrease that needs no second look
BENT = 10.0  # times the slope that is left: a flat direction that is no straight line shows as much curvature
MOVES = 1e-3  # of the length of a slope: a quantity with less along the flat directions does not move with them


class Curvature(NamedTuple):
    """The curvature of -2 log density in m parameters.

    `covariance` (m, m): their asymptotic covariance, without the flat directions. `scale` (m,): the step of each that
    counts as one. `flat` (m, r): directions without curvature, orthonormal in these steps; r is mostly 0.
    """

    covariance: np.ndarray
    scale: np.ndarray
    flat: np.ndarray

    def moves(self, slopes: np.ndarray) -> np.ndarray:
        """Which of some quantities (b,), with these derivatives in the parameters (b, m), move along the flat
        directions, so that nothing is known of them.
        """
        if not self.flat.shape[1]:
            return np.zeros(len(slopes), bool)
        steps = slopes * self.scale
        along, length = np.linalg.norm(steps @ self.flat, axis=1), np.linalg.norm(steps, axis=1)
        return ~(along <= MOVES * length)  # a slope that is not finite moves

    def standard_errors(self, slopes: np.ndarray) -> np.ndarray:
        """Standard errors (b,) of quantities with these derivatives in the parameters (b, m), by the delta method;
        infinite for what moves along the flat directions.
        """
        with np.errstate(invalid="ignore"):
            known = np.sqrt(np.einsum("bm,mk,bk->b", slopes, self.covariance, slopes))
        return np.where(self.moves(slopes), np.inf, known)


def curvature_of(gradient: np.ndarray, hessian: np.ndarray, scale: np.ndarray | None = None) -> Curvature:
    """The curvature from the gradient (m,) and Hessian (m, m) of -2 log density; `scale` (m,): the size of each
    parameter, or None where that is not known, and steps are taken over which each has curvature 1.
    """
    least = 0.0
    if scale is None:
        scale = _own_steps(hessian)
    else:
        least = max(FLAT, BENT * float(np.abs(scale * gradient).max(initial=0.0)))
    scaled = scale[:, None] * hessian * scale
    _, inverse, failed = dposv(scaled, np.eye(len(scale)))
    # the smallest curvature is one over the largest of the inverse, which is below its trace
    if not failed and inverse.trace() * max(least, ROUNDING * scaled.trace()) < 1.0:
        return Curvature(2.0 * scale[:, None] * inverse * scale, scale, np.zeros((len(scale), 0)))
    values, vectors = np.linalg.eigh(scaled)
    known = values > max(least, ROUNDING * float(values.max(initial=0.0)))
    turn = scale[:, None] * vectors
    inverse = np.where(known, 2.0 / np.where(known, values, 1.0), 0.0)
    return Curvature((turn * inverse) @ turn.T, scale, vectors[:, ~known])


def _own_steps(hessian: np.ndarray) -> np.ndarray:
    """The steps (m,) over which each parameter has curvature 1; 1 for one without curvature."""
    own = np.abs(hessian.diagonal())
    return 1.0 / np.sqrt(np.where(own > 0.0, own, 1.0))


def decrease_left(gradient: np.ndarray, hessian: np.ndarray) -> float:
    """By how much a Newton step would still lower an objective with this gradient (m,) and Hessian (m, m).
    Directions in which there is neither slope nor curvature count for nothing.
    """
    scale = _own_steps(hessian)
    scaled, slope = scale[:, None] * hessian * scale, scale * gradient
    _, step, failed = dposv(scaled, slope)
    left = 0.5 * float(slope @ step)
    if not failed and left < NEGLIGIBLE:
        return left
    values, vectors = np.linalg.eigh(scaled)
    along = vectors.T @ slope
    size = np.maximum(np.abs(values), ROUNDING)
    return float(0.5 * np.sum(along**2 / size))
