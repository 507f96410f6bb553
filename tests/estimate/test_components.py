"""Principal components of the random effects, and what a singular fit says and still gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import DATA


@pytest.fixture(scope="module")
def singular():
    return hier.Model("y ~ x + (x | g)", pd.read_csv(DATA / "sim_singular_slope.csv")).estimate()


def test_principal_components_are_lme4s(sleepstudy_reml):
    """R: rePCA(m) of sleepstudy, lme4 1.1-31; its sds are relative to sigma."""
    table = sleepstudy_reml.principal_components()["Subject"]
    np.testing.assert_allclose(table["sd"] / sleepstudy_reml.sigma, [0.9668589910629, 0.2308794585332], rtol=1e-5)
    loadings = table[["Intercept", "Days"]].to_numpy()
    np.testing.assert_allclose(np.abs(loadings), [[0.99986158, 0.01663786], [0.01663786, 0.99986158]], rtol=1e-3)
    covariance = sleepstudy_reml.arrays.terms[0].covariance
    np.testing.assert_allclose(loadings.T @ np.diag(table["sd"] ** 2) @ loadings, covariance, rtol=1e-10)
    assert table["share"].sum() == pytest.approx(1.0)
    assert table["share"].iloc[0] == pytest.approx(0.9668589910629**2 / (0.9668589910629**2 + 0.2308794585332**2))


def test_a_singular_fit_names_its_direction(singular):
    """R: rePCA has the direction (-0.56661461, 0.82398294)."""
    assert singular.is_singular
    table = singular.principal_components()["g"]
    assert table["share"].iloc[1] < 1e-10
    flat = table.iloc[1][["Intercept", "x"]].to_numpy(dtype=float)
    np.testing.assert_allclose(np.abs(flat), [0.56661461, 0.82398294], rtol=1e-4)
    assert "`g`: 0.57 Intercept - 0.82 x has an estimated variance of zero" in singular.message
    assert singular.message in singular.summary()
    # the deviations do lie on the line that the direction is orthogonal to
    spread = singular.ranef["g"].to_numpy()
    assert np.abs(spread @ flat).max() < 1e-6 * np.abs(spread).max()


def test_inference_of_a_singular_fit_is_finite(singular):
    assert np.isfinite(singular.coefficients.to_numpy()).all()
    assert np.isfinite(singular.vcov.to_numpy()).all()
    assert np.isfinite(singular.predict(se=True, interval="confidence").to_numpy()).all()
    assert np.isfinite(singular.influence().cooks_distance).all()
    assert np.isfinite(singular.r2()).all()


def test_columns_without_variance_are_named():
    """No variance between batches at all: the components have no shares to speak of."""
    fit = hier.Model("Yield ~ 1 + (1 | Batch)", pd.read_csv(DATA / "Dyestuff2.csv")).estimate()
    assert "`Batch`: Intercept has an estimated variance of zero" in fit.message
    table = fit.principal_components()["Batch"]
    assert table["sd"].tolist() == [0.0]
    assert np.isnan(table["share"].iloc[0])
    assert np.isfinite(fit.coefficients.to_numpy()).all()
    # nothing is left but a sample's mean
    expected = fit.sigma / np.sqrt(fit.nobs)
    np.testing.assert_allclose(fit.predict(se=True)["se"], expected, rtol=1e-9)


def test_every_flat_column_of_several_is_named():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(10), 12)
    x, z = rng.normal(size=(2, 120))
    y = 1.0 + x + rng.normal(size=10)[g] + rng.normal(size=120)
    # residuals of each level's own regression leave less variation of the slopes than chance would
    for level in range(10):
        own = g == level
        for column in (x, z):
            centred = column[own] - column[own].mean()
            y[own] -= centred * (centred @ y[own]) / (centred @ centred)
    fit = hier.Model("y ~ x + (x + z || g)", {"y": y, "x": x, "z": z, "g": g}).estimate()
    assert "`g`: x, `g`: z have an estimated variance of zero" in fit.message
