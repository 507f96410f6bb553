"""The affine map that makes a density look like independent standard Normal variables to NUTS.

The first few coordinates, the variance parameters, have a dense matrix, at first from the Hessian at their mode; the
others, if there are any, are nearly standard Normal already and have a scale each. Both are improved from draws.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.library import Array, library_of, xp
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import float64
from hier.kernel.search.optimise import minimise
from hier.model.density import Density
from hier.model.problem import Problem

PRIOR_WEIGHT = 20.0  # draws that the Laplace covariance counts for beside the chains' own
TAIL_WEIGHT = 200.0  # the same of the scales of the other coordinates: there are many, and the largest error counts


class Whitening(NamedTuple):
    """The affine map from NUTS's coordinates to the density's: x = centre + scale @ z for the first m coordinates,
    x = centre + spread * z for the others.
    """

    centre: Any  # (n,)
    scale: Any  # (m, m)
    spread: Any  # (n - m,)

    def apply(self, z: Any) -> Any:
        """The density's coordinates (..., n)."""
        m = self.scale.shape[0]
        moved = z[..., :m] @ self.scale.T
        if self.spread.shape[0]:
            moved = library_of(z).concatenate([moved, self.spread * z[..., m:]], axis=-1)
        return self.centre + moved

    def undo(self, x: np.ndarray) -> np.ndarray:
        """NUTS's coordinates (..., n)."""
        m, apart = self.scale.shape[0], x - self.centre
        few = np.linalg.solve(self.scale, apart[..., :m, None])[..., 0]
        return np.concatenate([few, apart[..., m:] / self.spread], axis=-1)


def around_mode(x: Array, hessian: Array) -> Whitening:
    """The map of the Laplace approximation: mode `x` (m,), and the Hessian (m, m) of -2 log density there.

    Source: Tierney and Kadane (1986), section 2.
    """
    curvature, directions = xp.eigh(0.5 * hessian)
    # a flat or odd direction is given a spread of at most 3: the coordinates are logarithms and the like
    return Whitening(x, directions / xp.sqrt(xp.maximum(curvature, 1.0 / 9.0)), xp.zeros(0))


@told_by_origin
def laplace(density: Density) -> Program:
    """The program that finds the map of a density whose coordinates are few: its Laplace approximation."""

    def found(problem: Problem) -> Whitening:
        optimum = minimise(density.evaluator(problem), density.start(problem))
        return around_mode(optimum.x, optimum.hessian)

    return Program("laplace", (density,), found, density.seconds)


@float64
def prepare(density: Density, problem: Problem) -> None:
    """Load or compile the program that `laplace_map` will ask for."""
    laplace(density).ahead(problem)


@float64
def laplace_map(density: Density, problem: Problem) -> Whitening:
    """The map of the Laplace approximation."""
    return Whitening(*map(np.asarray, laplace(density)(problem)))


def beside(few: Whitening, n: int) -> Whitening:
    """The map with `n` more coordinates, which are left as they are."""
    return Whitening(np.append(few.centre, np.zeros(n)), np.asarray(few.scale), np.ones(n))


def rescale(whitening: Whitening, x: np.ndarray) -> Whitening:
    """The map by mean, covariance and variances of all chains' draws x (C, D, n), shrunk to what they were."""
    m = whitening.scale.shape[0]
    z = whitening.undo(x).reshape(-1, x.shape[-1]).T
    mean = z.mean(axis=1)
    few, many = z[:m] - mean[:m, None], z[m:] - mean[m:, None]
    n = z.shape[1]
    covariance = (few @ few.T + PRIOR_WEIGHT * np.eye(m)) / (n + PRIOR_WEIGHT)
    variances = (np.sum(many**2, axis=1) + TAIL_WEIGHT) / (n + TAIL_WEIGHT)
    centre = whitening.centre + np.append(
        whitening.scale @ mean[:m], whitening.spread * mean[m:] * n / (n + TAIL_WEIGHT)
    )
    return Whitening(centre, whitening.scale @ np.linalg.cholesky(covariance), whitening.spread * np.sqrt(variances))
