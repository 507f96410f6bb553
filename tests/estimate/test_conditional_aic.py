"""The conditional AIC against dense algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hier

RNG = np.random.default_rng(3)
G = np.repeat(np.arange(8), 6)
DATA = pd.DataFrame({"g": G, "h": np.tile(np.arange(6), 8), "x": RNG.normal(size=48), "w": RNG.uniform(0.5, 2.0, 48)})
DATA["y"] = 1.0 + DATA.x * (0.5 + RNG.normal(size=8)[G]) + RNG.normal(size=8)[G] + RNG.normal(size=48)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)"])
def test_conditional_aic_is_that_of_the_hat_matrix(formula: str, method: str) -> None:
    fit = hier.Model(formula, DATA, weights="w").estimate(method)
    design = fit.model.design
    V = np.diag(fit.sigma**2 / design.weights)
    R = V.copy()
    for own in design.random_effects:
        rows = fit.varcorr[fit.varcorr["group"] == own.group]
        q = len(own.names)
        S = np.diag(rows[rows["term2"].isna()]["vcov"].to_numpy()[:q])
        pairs = rows[rows["term2"].notna()]["vcov"].to_numpy()
        S[np.triu_indices(q, 1)] = S[np.tril_indices(q, -1)] = pairs
        V += (own.Z @ S @ own.Z.T) * (own.codes[:, None] == own.codes)
    inner = np.linalg.inv(V)
    X = design.X
    P = inner - inner @ X @ np.linalg.solve(X.T @ inner @ X, X.T @ inner)
    H = np.eye(len(V)) - R @ P  # y - fitted = R P y
    np.testing.assert_allclose(H @ design.y, fit.fitted, rtol=1e-6, atol=1e-6)
    density = stats.norm.logpdf(design.y, fit.fitted, np.sqrt(np.diag(R))).sum()
    assert fit.caic == pytest.approx(-2.0 * density + 2.0 * (np.trace(H) + 1.0), rel=1e-7)


def test_without_groups_it_is_the_aic() -> None:
    fit = hier.Model("y ~ x", DATA).estimate("ml")
    assert fit.caic == pytest.approx(fit.aic)


def test_conditional_aic_stands_beside_the_others() -> None:
    fits = {"a": hier.Model("y ~ x + (1 | g)", DATA).estimate(), "b": hier.Model("y ~ x + (x | g)", DATA).estimate()}
    table = hier.compare_models(fits)
    assert list(table.columns[:4]) == ["npar", "aic", "bic", "caic"]
    assert table.loc["b", "caic"] == fits["b"].caic
    counts = hier.Model("k ~ x + (1 | g)", DATA.assign(k=G), family="poisson").estimate()
    assert np.isnan(hier.compare_models({"a": counts, "b": counts})["caic"]).all()
    with pytest.raises(hier.FitError, match="conditional AIC is that of a Normal response"):
        _ = counts.caic
