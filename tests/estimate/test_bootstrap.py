"""The bootstrap, parametric and by groups: its refits are single fits, and its spread is that of the estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import DATA


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
    with pytest.raises(hier.FitError, match=r"`kind` cannot be 'cases'[\s\S]*\"parametric\" or \"groups\""):
        fit.bootstrap(10, kind="cases")


def drawn_rows(data: pd.DataFrame, group: str, counts: pd.Series) -> pd.DataFrame:
    """The rows of the levels that were drawn, each draw with a label of its own."""
    parts = [data[data[group] == level] for level, count in counts.items() for _ in range(count)]
    return pd.concat([part.assign(**{group: f"new {k}"}) for k, part in enumerate(parts)], ignore_index=True)


def nested() -> pd.DataFrame:
    """Unbalanced: 9 levels of `outer`, up to 4 of `inner` in each, with weights and an offset; inner labels recur."""
    rng = np.random.default_rng(11)
    outer, inner = rng.integers(0, 9, 110), rng.integers(0, 4, 110)
    own = 1.5 * rng.normal(size=9)[outer] + 0.8 * rng.normal(size=(9, 4))[outer, inner]
    x, w, o = rng.normal(size=110), rng.uniform(0.5, 2.0, 110), rng.normal(size=110)
    y = 5.0 + (1.0 + 0.6 * rng.normal(size=9)[outer]) * x + own + o + rng.normal(size=110) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x": x, "w": w, "o": o, "outer": [f"o{k}" for k in outer], "inner": inner})


@pytest.mark.parametrize(
    ("formula", "method", "options"),
    [
        ("y ~ x + (x | outer)", "ml", {"weights": "w", "offset": "o"}),
        pytest.param(
            "y ~ x + (x | outer) + (1 | outer:inner)", "reml", {"weights": "w", "offset": "o"}, marks=pytest.mark.slow
        ),
        pytest.param("y ~ 0 + x + cs(x | outer)", "reml", {}, marks=pytest.mark.slow),
    ],
    ids=["one factor", "nested", "no intercept"],
)
def test_refits_by_groups_are_single_fits_of_the_drawn_rows(formula, method, options):
    data = nested()
    fit = hier.Model(formula, data, **options).estimate(method)
    boot = fit.bootstrap(5, seed=2, kind="groups", progress=False)
    assert boot.drawn is not None
    assert (boot.drawn.sum(axis=1) == 9).all()
    assert boot.refits.converged.all()
    for k in range(4):
        refit = hier.Model(formula, drawn_rows(data, "outer", boot.drawn.loc[k]), **options).estimate(method)
        assert boot.refits.objective[k] == pytest.approx(refit.objective, abs=1e-8)
        np.testing.assert_allclose(boot.refits.fixef.loc[k], refit.fixef, rtol=1e-8)
        np.testing.assert_allclose(boot.refits.std_error.loc[k], refit.coefficients["std_error"], rtol=1e-8)
        for own, random in zip(refit.arrays.terms, fit.model.design.random_effects, strict=True):
            found = boot.refits.covariances[random.group][k]
            np.testing.assert_allclose(found, own.covariance, rtol=1e-7, atol=1e-8 * refit.sigma**2)


def test_levels_that_are_alike_are_drawn_one_by_one(fit, sleepstudy):
    """Balanced data, of which the fit itself takes equal levels together."""
    boot = fit.bootstrap(300, seed=9, kind="groups", progress=False)
    refit = hier.Model(str(fit.model.formula), drawn_rows(sleepstudy, "Subject", boot.drawn.loc[299])).estimate()
    assert boot.refits.objective[299] == pytest.approx(refit.objective, abs=1e-8)
    # the same rows in each level: the spread of the mean of 18 levels' own slopes, drawn 18 at a time
    slopes = [np.polyfit(own["Days"], own["Reaction"], 1)[0] for _, own in sleepstudy.groupby("Subject")]
    expected = np.std(slopes) / np.sqrt(18.0)
    assert boot.table.loc["Days", "std_error"] == pytest.approx(expected, rel=4.0 / np.sqrt(600.0))


def test_draws_that_do_not_determine_the_fixed_effects_are_counted():
    """The treated are two levels of seven, which a draw may leave out."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(7), 6), "treated": np.repeat(np.arange(7) < 2, 6).astype(float)})
    data["y"] = data["treated"] + rng.normal(size=7)[data["g"]] + rng.normal(size=42)
    boot = hier.Model("y ~ treated + (1 | g)", data).estimate().bootstrap(60, seed=4, kind="groups", progress=False)
    without = ~boot.drawn[[0, 1]].any(axis=1) | ~boot.drawn[[2, 3, 4, 5, 6]].any(axis=1)
    assert 0 < without.sum() < 20
    assert boot.replicates[without].isna().all(axis=None)
    assert boot.replicates[~without].notna().all(axis=None)
    assert (boot.refits.converged == ~without).all()
    assert f"{without.sum()} of them left out" in boot.table.attrs["note"]
    assert boot.confint().notna().all(axis=None)


def test_crossed_groups_are_refused():
    penicillin = pd.read_csv(DATA / "Penicillin.csv")
    crossed = hier.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin).estimate()
    with pytest.raises(hier.FitError, match=r"crossed grouping factors[\s\S]*`plate`, `sample`[\s\S]*parametric"):
        crossed.bootstrap(10, kind="groups")


def test_confint_is_that_of_the_bootstrap(fit, boot):
    table = fit.confint("boot", level=0.9, n=400, seed=5, parameters=["sigma", "Days"], progress=False)
    assert list(table.index) == ["sigma", "Days"]
    np.testing.assert_array_equal(table, boot.confint(0.9).loc[["sigma", "Days"]])
    assert table.attrs["note"] == "percentiles of 400 refits of simulated responses"
    by_groups = fit.confint("boot", n=50, kind="groups", progress=False)
    assert list(by_groups.index) == list(fit.confint().index)
    assert "levels of `Subject` drawn" in by_groups.attrs["note"]
    with pytest.raises(hier.FitError, match="bootstrap intervals have no degrees of freedom"):
        fit.confint("boot", df="satterthwaite")
    with pytest.raises(hier.FitError, match="this estimate is by `map`"):
        fit.model.estimate("map").confint("boot")
