"""The affine map that NUTS sees a density through."""

from __future__ import annotations

import numpy as np

from hier.kernel.programs.precision import float64
from hier.posterior.whitening import TAIL_WEIGHT, Whitening, beside, rescale


def some(m: int, n: int) -> Whitening:
    rng = np.random.default_rng(3)
    few = Whitening(rng.normal(size=m), np.tril(rng.normal(size=(m, m))) + 2.0 * np.eye(m), np.zeros(0))
    return beside(few, n)._replace(spread=rng.uniform(0.5, 2.0, n))


@float64
def test_undo_undoes_apply():
    for m, n in ((3, 5), (2, 0), (0, 4)):
        whitening = some(m, n)
        z = np.random.default_rng(1).normal(size=(2, m + n))
        x = np.stack([np.asarray(whitening.apply(row)) for row in z])
        np.testing.assert_allclose(whitening.undo(x), z, rtol=1e-12, atol=1e-12)


def test_draws_improve_the_map():
    rng, n = np.random.default_rng(4), 5000
    draws = np.concatenate([rng.multivariate_normal([1, 2], [[2, 1], [1, 3]], 2 * n), rng.normal(5, 3, (2 * n, 1))], 1)
    better = rescale(beside(Whitening(np.zeros(2), np.eye(2), np.zeros(0)), 1), draws.reshape(2, n, 3))
    np.testing.assert_allclose(better.centre, [1, 2, 5], atol=0.15)
    np.testing.assert_allclose(better.scale @ better.scale.T, [[2, 1], [1, 3]], atol=0.15)
    np.testing.assert_allclose(better.spread, [3], atol=0.1)
    few = rescale(beside(Whitening(np.zeros(0), np.eye(0), np.zeros(0)), 1), draws[None, :10, 2:])
    assert few.spread[0] < np.sqrt((10 * 3 * 9 + TAIL_WEIGHT) / (10 + TAIL_WEIGHT))  # ten draws change little
