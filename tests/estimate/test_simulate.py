"""Simulated responses: their mean and covariance are those of the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import as_dense


def standardised(values, mean, covariance):
    """Simulations as independent standard Normal numbers, if they have this mean and covariance."""
    return np.linalg.solve(np.linalg.cholesky(covariance), values - mean[:, None])


def check_standard_normal(u):
    rows, n = u.shape
    assert np.abs(u.mean(axis=1)).max() < 5 / np.sqrt(n)
    second = u @ u.T / n - np.eye(rows)
    assert np.abs(second).max() < 6.5 / np.sqrt(n)  # sqrt(2 / n) on the diagonal
    # all squares together, of which there are rows * n
    assert abs((u**2).mean() - 1) < 5 * np.sqrt(2 / (rows * n))


def test_new_deviations_and_residuals(fit):
    n = 4_000
    simulated = fit.simulate(n, seed=4)
    assert list(simulated.columns[:2]) == ["sim_1", "sim_2"]
    assert simulated.index.equals(fit.fitted.index)
    design = fit.model.design
    mean = design.X @ fit.arrays.beta + design.offset
    check_standard_normal(standardised(simulated.to_numpy(), mean, as_dense(fit).V))


def test_conditional_on_the_modes(fits):
    fit = fits("crossed")
    simulated = fit.simulate(4_000, seed=4, conditional=True).to_numpy()
    check_standard_normal(standardised(simulated, fit.fitted.to_numpy(), as_dense(fit).R))


def test_a_seed_decides_everything(fits):
    fit = fits("one")
    pd.testing.assert_frame_equal(fit.simulate(3, seed=1), fit.simulate(3, seed=1))
    assert not fit.simulate(3, seed=1).equals(fit.simulate(3, seed=2))


@pytest.mark.parametrize("n", [0, 1.5, "2"])
def test_refusals(fits, n):
    with pytest.raises(hier.FitError, match=r"`n` cannot be .*(.|\n)*a whole number, 1 or more"):
        fits("one").simulate(n)
