"""Deviations of levels that the fit has not seen: drawn from their distribution in every draw, or its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hier.estimate.predicted_rows import PredictedRows
from hier.posterior.grouping import Group, covariance_matrices
from hier.posterior.posterior_draws import PosteriorDraws


def roots_of(posterior: PosteriorDraws, group: Group) -> np.ndarray:
    """A root (S, q, q) of the covariance matrix of a factor's deviations in each draw."""
    sd, cor = posterior.draws[group.variables.sd], posterior.draws.get(group.variables.cor)
    sd = sd.reshape(-1, sd.shape[-1])
    if cor is None:
        return sd[:, :, None] * np.eye(sd.shape[1])
    values, vectors = np.linalg.eigh(covariance_matrices(np.ones_like(sd), cor.reshape(len(sd), -1), group.blocks))
    return sd[:, :, None] * vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


@dataclass(frozen=True)
class Unseen:
    """Deviations of new levels, by `roots` (S, q, q) of their covariances in each draw of every grouping factor.

    They are drawn level by level from `seed`, so that a level's are the same in whatever blocks its rows are predicted.
    """

    roots: Sequence[np.ndarray]
    seed: int

    def __call__(self, k: int, levels: np.ndarray) -> np.ndarray:
        """Draws (m, q, S) of the deviations of new levels (m,) of factor `k`."""
        root = self.roots[k].transpose(1, 2, 0)
        known, place = np.unique(levels, return_inverse=True)
        drawn = [np.einsum("abs,bs->as", root, _normals(self.seed, k, int(own), root.shape[1:])) for own in known]
        return np.stack(drawn)[place]

    def spread(self, rows: PredictedRows, some: slice) -> np.ndarray:
        """The standard deviation (S, m) of what the deviations of new levels add to some rows in each draw."""
        squares = np.zeros((len(rows.X[some]), len(self.roots[0])))
        for root, own, kept, new in zip(self.roots, rows.effects, rows.included, rows.new, strict=True):
            at = np.flatnonzero(new[some] >= 0)
            for k in range(root.shape[2]) if len(at) else ():
                squares[at] += ((own.Z[some][at] * kept) @ root[:, :, k].T) ** 2
        return np.sqrt(squares).T


def unseen(posterior: PosteriorDraws, seed: int) -> Unseen:
    """The deviations of new levels of a posterior's grouping factors."""
    return Unseen([roots_of(posterior, group) for group in posterior.groups], seed)


def _normals(seed: int, factor: int, level: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard Normal numbers (q, S) of one level of one factor, by a generator that counts levels."""
    from scipy.special import ndtri

    generator = np.random.Philox(key=[seed, factor], counter=[0, level, 0, 0])
    bits = generator.random_raw(int(np.prod(shape))) >> np.uint64(11)
    return ndtri((bits + 0.5) * 2.0**-53).reshape(shape)
