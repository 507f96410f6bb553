"""Fits of resampled levels, as batches of one program: some levels count several times, others not at all.

Where the levels of one factor are independent of each other, the likelihood is a sum over them, so that drawing a level
m times, each draw a level of its own, multiplies its part by m. That is done to sums which the kernel has: a level's
log-determinant counts m times, and its products with [X y], which enter by their squares, are multiplied by the root
of m. Levels inside it are drawn with it.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts, FactorColumns
from hier.kernel.algebra.scaling import Units
from hier.kernel.arrays.control import leaves
from hier.kernel.arrays.library import Array, xp
from hier.kernel.covariance.theta import Terms
from hier.kernel.normal.many_responses import ManyFits, Searches, fit_one, fits_at_once, in_batches
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import computed, float64

RANK_LOST = 1e-10  # relative to the largest: less information than this in some direction is none


class OfLevels(NamedTuple):
    """What each level of the outermost factor brings to the sums over all rows: `xx` (J, p + 1, p + 1), `nobs` (J,) and
    `log_weights` (J,).
    """

    xx: Any
    nobs: Any
    log_weights: Any

    def total(self, counts: Array) -> OfLevels:
        """The sums over levels that are drawn `counts` (..., J) times."""
        return OfLevels(*(xp.tensordot(counts, part, axes=1) for part in self))


@computed
def of_levels(
    y: np.ndarray, X: np.ndarray, outermost: FactorColumns, weights: np.ndarray | None, units: Units
) -> OfLevels:
    """The sums of the response `y` (n,), less its offset, and `X` (n, p), by the levels of the outermost factor."""
    n, J = len(y), outermost.n_levels
    rows = np.column_stack([units.columns(X), units.response(y, X)])
    root = np.ones(n) if weights is None else np.sqrt(weights)
    rows, order = rows * root[:, None], np.argsort(outermost.codes, kind="stable")
    edges = np.searchsorted(outermost.codes[order], np.arange(J + 1))
    xx = np.stack([rows[order[a:b]].T @ rows[order[a:b]] for a, b in itertools.pairwise(edges)])
    return OfLevels(xx, np.diff(edges).astype(float), np.bincount(outermost.codes, 2.0 * np.log(root), J))


def _drawn(cross: CrossProducts, counts: Array, own: OfLevels) -> CrossProducts:
    """The cross-products of levels that are drawn `counts` (J,) times."""
    p1, total = cross.xx.shape[0], own.total(counts)
    levels = []
    for level in cross.levels:
        outermost = level.parents[-1] if level.parents else xp.arange(level.count.shape[0])
        times = xp.pad(counts, (0, max(0, level.count.shape[0] - counts.shape[0])))[outermost]
        scale = xp.concatenate(
            [xp.ones((level.right.shape[1] - p1, len(times))), xp.broadcast_to(xp.sqrt(times), (p1, len(times)))]
        )
        levels.append(level._replace(right=level.right * scale, count=level.count * times))
    return CrossProducts(tuple(levels), (), (), total.xx, total.nobs, total.log_weights)


@functools.cache
def _program(terms: Terms, reml: bool) -> Program:
    def batch(start: Array, counts: Array, own: OfLevels, cross: CrossProducts) -> tuple[Any, ...]:
        def one(counts: Array) -> tuple[Any, ...]:
            return fit_one(start, _drawn(cross, counts, own), terms=terms, reml=reml)

        import jax

        return jax.vmap(one)(counts)

    return Program("fit_resampled", (terms, reml), batch)


@float64
def fit_resampled(
    counts: np.ndarray, own: OfLevels, cross: CrossProducts, units: Units, searches: Searches
) -> ManyFits:
    """Estimates of levels that are drawn `counts` (B, J) times. NaN, and not converged, where the drawn levels do not
    determine the fixed effects.
    """
    start, B = searches.start, len(counts)
    cross = cross._replace(merged=())
    known = determined(counts, own)
    usable = np.where(known[:, None], counts, 1).astype(float)  # what cannot be fitted is not searched for long either
    at_once = fits_at_once(B, sum(level.right.size for level in cross.levels))
    compiled = _program(searches.terms, searches.reml).bind(start, usable[np.arange(at_once) % B], own, cross)

    def batch(chosen: np.ndarray) -> tuple[Any, ...]:
        return tuple(map(np.asarray, compiled(*leaves((start, usable[chosen], own, cross)))))

    x, sigma, beta, vcov, *factors, value, converged = in_batches(batch, B, at_once, searches.on_progress)
    for field in (x, sigma, beta, vcov, *factors, value):
        field[~known] = np.nan
    y = np.full(B, float(units.y))
    there = converged.astype(bool) & known
    return ManyFits(x, sigma, beta, vcov, tuple(factors), value, there, y, np.tile(units.kernel_centre, (B, 1)))


def determined(counts: np.ndarray, own: OfLevels) -> np.ndarray:
    """Whether the levels that are drawn `counts` (B, J) times determine the fixed effects."""
    xx = np.tensordot(counts.astype(float), own.xx[:, :-1, :-1], axes=1)
    if not xx.shape[1]:
        return np.ones(len(counts), bool)
    information = np.linalg.eigvalsh(xx)
    return information[:, 0] > RANK_LOST * information[:, -1]
