"""Smoothed importance weights are ArviZ's, which takes one target at a time, and known tails have their shapes."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from hier.posterior.pareto_smoothing import fit_tails, good_shape, n_tail, smooth

TAIL = np.log(np.random.default_rng(4).pareto(2.0, 4000))


@pytest.mark.parametrize("n_draws", [40, 224, 1000, 4000])
@pytest.mark.parametrize("efficiency", [0.4, 1.0, 1.3])
def test_weights_and_shapes_are_arvizs(n_draws, efficiency):
    rng = np.random.default_rng(n_draws)
    scale = np.array([0.01, 0.3, 1.0, 2.0, 6.0])
    ratios = scale * rng.standard_normal((n_draws, 5)) + [0.0, 300.0, -300.0, 0.0, 1e4]
    found = smooth(ratios, efficiency)
    for j in range(5):
        # ArviZ's takes log-likelihoods, whose negatives are the log ratios
        log_weights, k = array_stats.psislw(-ratios[:, j], r_eff=efficiency)
        assert found.k[j] == pytest.approx(k, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(found.log_weights[:, j], log_weights, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(np.exp(found.log_weights).sum(axis=0), 1.0, rtol=1e-12)


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.5, 0.9])
def test_the_shape_of_a_known_tail_is_found(shape):
    exceedances = np.sort(np.expm1(-shape * np.log(np.random.default_rng(1).random((50, 2000)))) / shape, axis=1)
    found = fit_tails(exceedances)
    error = (1.0 + shape) / np.sqrt(2000.0)  # the asymptotic standard error of its maximum-likelihood estimate
    assert abs(found.k.mean() - shape) < 4.0 * error / np.sqrt(50.0) + 0.005
    assert found.sigma.mean() == pytest.approx(1.0, abs=0.02)


def test_targets_in_blocks_are_those_alone(monkeypatch):
    ratios = np.random.default_rng(2).standard_normal((500, 7))
    whole = smooth(ratios)
    monkeypatch.setattr("hier.posterior.pareto_smoothing.MOST_NUMBERS", 1)
    for one, other in zip(whole, smooth(ratios), strict=True):
        np.testing.assert_array_equal(one, other)


def test_equal_weights_and_equal_tails():
    ratios = np.zeros((1000, 3))
    ratios[:500, 1] = -1.0
    ratios[:, 2] = np.random.default_rng(3).standard_normal(1000)
    found = smooth(ratios)
    assert found.k[0] == -np.inf
    np.testing.assert_allclose(found.log_weights[:, 0], -np.log(1000.0))
    assert found.k[1] == np.inf, "no Pareto distribution fits a tail of equal weights"
    np.testing.assert_allclose(np.exp(found.log_weights[:, 1]).sum(), 1.0)
    assert np.isfinite(found.k[2])


def test_how_many_draws_the_tail_has():
    assert n_tail(4000, 1.0) == 189
    assert n_tail(100, 1.0) == 20
    assert good_shape(4000) == 0.7
    assert good_shape(100) == pytest.approx(0.5)


def test_the_shape_of_an_approximation_is_that_of_its_weights():
    """Not that of their inverses, which is what ArviZ's function makes of log weights."""
    weights = 0.4 * np.random.default_rng(2).standard_exponential(2000)
    found = smooth(weights[:, None])
    assert found.k[0] == pytest.approx(array_stats.psislw(-weights)[1], abs=1e-9)
    np.testing.assert_allclose(found.log_weights[:, 0], array_stats.psislw(-weights)[0], atol=1e-8)
    assert smooth(-weights[:, None]).k[0] < 0.0
