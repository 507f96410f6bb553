"""Data in groups simulated from true values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from hier.errors import ModelError

TRUE = {"fixed": {"Intercept": 10.0, "x": 2.0}, "sd": {"Intercept": 2.0, "x": 0.7}, "cor": 0.4}


def simulated(seed, groups=24, rows=8):
    return hier.simulate_groups("y ~ x + (x | g)", groups, rows, **TRUE, sigma=1.5, seed=seed)


def test_the_table_has_the_truth_beside_it():
    table = simulated(3)
    assert list(table.columns) == ["g", "x", "y"]
    assert len(table) == 24 * 8
    truth = table.attrs["truth"]
    rest = table["y"] - (truth.coef["g"].loc[table["g"], "Intercept"].to_numpy())
    rest -= truth.coef["g"].loc[table["g"], "x"].to_numpy() * table["x"]
    assert rest.std() == pytest.approx(1.5, rel=0.2)
    np.testing.assert_allclose(truth.coef["g"] - truth.ranef["g"], np.tile([10.0, 2.0], (24, 1)))
    assert truth.parameters == {"sigma": 1.5}
    assert "sd_g[x]: 0.7" in str(truth)
    pd.testing.assert_frame_equal(table, simulated(3))
    assert not table["y"].equals(simulated(4)["y"])
    assert hier.Model(truth.formula, table).design.nobs == len(table)


def test_deviations_have_the_spreads_and_correlations():
    truth = simulated(1, groups=20_000, rows=2).attrs["truth"]
    np.testing.assert_allclose(truth.ranef["g"].cov(), [[4.0, 0.56], [0.56, 0.49]], rtol=0.06)


def test_estimates_find_the_truth():
    """Of 200 data sets: means within Monte Carlo error, intervals that cover."""
    names = ["Intercept", "x", "sd_g[Intercept]", "sd_g[x]", "cor_g[Intercept,x]", "sigma"]
    true = np.array([10.0, 2.0, 2.0, 0.7, 0.4, 1.5])
    found, covered = [], []
    for seed in range(200):
        fit = hier.Model("y ~ x + (x | g)", simulated(seed)).estimate()
        spread = fit.varcorr["sdcor"].to_numpy()
        found.append([*fit.fixef, *spread])
        bounds = fit.confint(df="satterthwaite").loc[names]
        covered.append((bounds["lower"] < true) & (true < bounds["upper"]))
    found = np.array(found)
    # variances are what REML estimates without bias; of a standard deviation the square is compared
    found[:, [2, 3, 5]], expected = found[:, [2, 3, 5]] ** 2, true.copy()
    expected[[2, 3, 5]] **= 2
    known = [0, 1, 2, 3, 5]
    error = found[:, known].std(axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(found[:, known].mean(axis=0) - expected[known]) < 3.5 * error).all()
    share = np.mean(covered, axis=0)
    assert 0.92 <= share.mean() <= 0.98
    assert (np.abs(share - 0.95) < 3.0 * np.sqrt(0.95 * 0.05 / 200)).all()


@pytest.mark.parametrize(
    ("family", "more", "check"),
    [
        ("poisson", {}, lambda y: (y == y.astype(int)).all() and (y >= 0).all()),
        ("bernoulli", {}, lambda y: set(y) == {0, 1}),
        ("gamma", {"shape": 3.0}, lambda y: (y > 0).all()),
        ("beta", {"phi": 5.0}, lambda y: ((y > 0) & (y < 1)).all()),
        ("negbinomial", {"shape": 2.0}, lambda y: (y >= 0).all()),
        ("student", {"sigma": 1.0, "nu": 5.0}, lambda y: y.std() > 0.5),
        ("cumulative", {"cutpoints": [-1.0, 0.0, 1.5]}, lambda y: set(y) == {0, 1, 2, 3}),
        ("hurdle_poisson", {"hu": 0.3}, lambda y: (y == 0).mean() > 0.15),
    ],
)
def test_every_kind_of_response(family, more, check):
    table = hier.simulate_groups("y ~ x + (1 | g)", 20, 20, fixed={"x": 0.5}, sd=0.5, family=family, seed=2, **more)
    assert check(table["y"])
    fit = hier.Model("y ~ x + (1 | g)", table, family=family).estimate()
    assert fit.fixef["x"] == pytest.approx(0.5, abs=4.0 * fit.coefficients.loc["x", "std_error"])


def test_trials_nested_groups_and_covariates():
    def treatment(rng, table):
        return np.where(table["school"] % 2 == 0, "a", "b")

    table = hier.simulate_groups(
        "y | trials(n) ~ week * arm + (week | school/class)",
        {"school": 6, "class": 3},
        5,
        fixed={"Intercept": -1.0, "week": 0.2, "arm[T.b]": 0.5, "week:arm[T.b]": 0.1},
        sd={"school": {"Intercept": 0.5, "week": 0.1}, "school:class": 0.3},
        cor={"school": -0.5},
        covariates={"week": range(5), "arm": treatment, "n": lambda rng, t: rng.integers(5, 9, len(t))},
        family="binomial",
        seed=7,
    )
    assert len(table) == 90
    assert (table["y"] <= table["n"]).all()
    assert list(table["week"][:6]) == [0, 1, 2, 3, 4, 0]
    truth = table.attrs["truth"]
    assert len(truth.ranef["class:school"]) == 18
    assert truth.cor["school"].iloc[0, 1] == -0.5


def test_no_groups_uneven_rows_and_a_formula_for_sigma():
    alone = hier.simulate_groups("y ~ 1", {}, 500, fixed={"Intercept": 3.0}, sigma=2.0, seed=1)
    assert alone["y"].mean() == pytest.approx(3.0, abs=0.4)
    uneven = hier.simulate_groups("y ~ 1 + (1 | g)", 3, [1, 4, 9], fixed={}, sd=1.0, seed=1)
    assert list(uneven.groupby("g").size()) == [1, 4, 9]
    wide = hier.simulate_groups(
        hier.Formula("y ~ 1 + (1 | g)", sigma="~ x"),
        20,
        200,
        fixed={},
        sd=0.1,
        sigma={"Intercept": 0.0, "x": 1.0},
        seed=1,
    )
    scaled = wide["y"] / np.exp(wide["x"])
    assert np.median(np.abs(scaled)) == pytest.approx(0.6745, rel=0.08)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed": {"z": 1.0}}, "`fixed` has no `z`"),
        ({"sd": {"z": 1.0}}, "`sd` has no `z`"),
        ({"sd": None}, "the standard deviations of `g` are not given"),
        ({"sd": -1.0}, "the standard deviations of `g` cannot be these"),
        ({"cor": 2.0}, "the correlations of `g` are those of no distribution"),
        ({"cor": [[1.0, 0.0]]}, "the correlations of `g` cannot be these"),
        ({"shape": 1.0}, "`parameters` has no `shape`"),
        ({"sigma": -1.0}, "`sigma` cannot be -1"),
        ({"groups": {"h": 3}}, "does not say how many levels `g` has"),
        ({"rows": [1, 2]}, "`rows` is a number of rows"),
        ({"covariates": {"x": [1.0, 2.0, 3.0]}}, "the covariate `x` does not fit the rows"),
        ({"formula": "log(y) ~ x + (x | g)"}, "a response is simulated as a column"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    given = {"formula": "y ~ x + (x | g)", "groups": 5, "rows": 4} | TRUE | change
    with pytest.raises(ModelError, match=message):
        hier.simulate_groups(given.pop("formula"), given.pop("groups"), given.pop("rows"), **given)
