"""The parametric bootstrap: its refits are single fits, and its spread is that of the estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier


@pytest.fixture(scope="module")
def fit(sleepstudy_reml):
    return sleepstudy_reml


@pytest.fixture(scope="module")
def boot(fit):
    return fit.bootstrap(400, seed=5, progress=False)


def test_refits_are_single_fits_of_the_simulated_responses(fit, boot, sleepstudy):
    Y = fit.simulate(400, seed=5)
    for k in (0, 7):
        refit = hier.Model(str(fit.model.formula), sleepstudy.assign(Reaction=Y.iloc[:, k])).estimate()
        np.testing.assert_allclose(boot.refits.fixef.loc[k], refit.fixef, rtol=1e-8)
        assert boot.refits.objective[k] == pytest.approx(refit.objective, abs=1e-8)
        sdcor = refit.varcorr["sdcor"].to_numpy(float)
        np.testing.assert_allclose(boot.refits.sdcor.loc[k], sdcor, rtol=1e-6, atol=1e-7)


def test_spread_of_the_fixed_effects_is_their_standard_error(fit, boot):
    spread = boot.table["std_error"].loc[list(fit.fixef.index)]
    # the relative error of a standard deviation of 400 draws is 1 / sqrt(800)
    np.testing.assert_allclose(spread, fit.coefficients["std_error"], rtol=4.0 / np.sqrt(800.0))
    assert (boot.table["bias"].abs().loc[list(fit.fixef.index)] < 4.0 * spread / np.sqrt(400.0)).all()


def test_the_seed_decides(fit, boot):
    again = fit.bootstrap(400, seed=5, progress=False)
    pd.testing.assert_frame_equal(again.replicates, boot.replicates)
    assert not fit.bootstrap(3, seed=6, progress=False).replicates.equals(boot.replicates.iloc[:3])


def test_intervals_are_quantiles(fit, boot):
    intervals = boot.confint(0.9)
    assert list(intervals.columns) == ["lower", "upper"]
    expected = np.quantile(boot.replicates["Days"], [0.05, 0.95])
    np.testing.assert_allclose(intervals.loc["Days"], expected)
    np.testing.assert_allclose(boot.original[:2], fit.fixef)
    assert boot.original["sigma"] == fit.sigma
    with pytest.raises(hier.FitError, match="`level` cannot be 95"):
        boot.confint(95)


def test_what_cannot_be_bootstrapped_is_refused(fit):
    with pytest.raises(hier.FitError, match="`n` cannot be 1"):
        fit.bootstrap(1)
    with pytest.raises(hier.FitError, match="this estimate is by `map`"):
        fit.model.estimate("map").bootstrap(10)
