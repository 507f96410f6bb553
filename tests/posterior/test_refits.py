"""Sampling again without some rows: as a model of the other rows, as closed forms, and as importance sampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.model.specification import on_rows
from hier.posterior.drawing import draw
from hier.settings import Sampling
from tests.posterior.made_up import of_model

SLEEPSTUDY = Path(__file__).parents[1] / "oracle" / "data" / "sleepstudy.csv"
RNG = np.random.default_rng(6)
G = np.repeat(np.arange(6), 4)
DATA = pd.DataFrame({"g": G, "x": RNG.normal(size=24), "w": RNG.uniform(0.5, 2.0, 24), "f": list("abcd") * 6})
DATA["y"] = 1.0 + 0.5 * DATA.x + RNG.normal(size=6)[G] + 0.7 * RNG.normal(size=24)
DATA["n"] = RNG.poisson(np.exp(0.5 + 0.4 * RNG.normal(size=6)[G]))
DATA["t"] = DATA.n + 3
PRIORS = {"Intercept": "normal(0, 2.5)", "beta": "normal(0, 1)", "sd_g": "half_normal(1)"}
SETTINGS = {"chains": 4, "draws": 1000, "seed": 3, "progress": False}
MODELS = {
    "normal": lambda data: hier.Model(
        "y ~ x + (1 | g)", data, priors=PRIORS | {"sigma": "half_normal(1)"}, weights="w"
    ),
    "binomial": lambda data: hier.Model("n | trials(t) ~ x + (1 | g)", data, family="binomial", priors=PRIORS),
    "spread": lambda data: hier.Model(
        hier.Formula("y ~ x + offset(w) + (1 | g)", sigma="~ x"),
        data,
        priors=PRIORS | {"sigma": "normal(0, 1)", "sigma_Intercept": "normal(0, 1)"},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_some_rows_have_the_posterior_of_a_model_of_them(name: str) -> None:
    kept = np.arange(24) % 5 != 1
    settings = Sampling(chains=2, draws=50, warmup=40, seed=2, progress=False)
    here = draw(on_rows(MODELS[name](DATA), kept), settings)
    there = draw(MODELS[name](DATA[kept]), settings)
    for variable, values in there.draws.items():
        np.testing.assert_allclose(here.draws[variable], values, rtol=1e-5, atol=1e-6, err_msg=variable)


@pytest.fixture(scope="module")
def normal():
    return MODELS["normal"](DATA).sample(**SETTINGS)


def test_as_many_folds_as_rows_leave_one_out(normal) -> None:
    folds, exact = normal.kfold(24, progress=False), normal.loo(integrated=True)
    assert exact.n_bad == 0
    np.testing.assert_allclose(folds.loo_i, exact.loo_i, atol=0.1)
    assert folds.elpd == pytest.approx(exact.elpd, abs=0.3)
    assert folds.p == pytest.approx(normal.loo().p, abs=1.0)
    assert "left out in 24 folds" in str(folds)
    both = hier.compare_models({"a": folds, "b": normal.kfold(24, seed=1, progress=False)})
    assert abs(both["elpd_diff"].iloc[1]) < 0.3
    with pytest.raises(hier.ModelError, match="same kind of cross-validation"):
        hier.compare_models({"a": folds, "b": exact})


def test_folds_of_groups_leave_groups_out(normal) -> None:
    folds, exact = normal.kfold(6, group="g", progress=False), normal.logo(refit=True)
    assert exact.n_bad == 0
    np.testing.assert_allclose(folds.loo_i, exact.loo_i, atol=0.1)
    assert list(folds.table.index) == list(range(6))
    fewer = normal.kfold(3, group="g", progress=False)
    assert fewer.elpd == pytest.approx(folds.elpd, abs=3.0)
    assert sorted(np.bincount(fewer.table["fold"])) == [2, 2, 2]


def test_folds_of_counts() -> None:
    posterior = MODELS["binomial"](DATA).sample(chains=2, draws=200, seed=1, progress=False)
    folds = posterior.kfold(4, progress=False)
    assert folds.elpd == pytest.approx(posterior.loo().elpd, abs=3.0)
    assert sorted(np.bincount(folds.table["fold"])) == [6, 6, 6, 6]


@pytest.fixture(scope="module")
def sleepstudy():
    return hier.Model("Reaction ~ Days + (Days | Subject)", pd.read_csv(SLEEPSTUDY)).sample(seed=1, progress=False)


def test_rows_with_large_k_are_left_out_exactly(sleepstudy) -> None:
    before, after, exact = sleepstudy.loo(), sleepstudy.loo(refit=True), sleepstudy.loo(integrated=True)
    bad = (before.pareto_k > before.good_k).to_numpy()
    assert 1 <= bad.sum() <= 6
    assert after.n_bad == 0
    assert after.pareto_k.isna().sum() == bad.sum()
    assert f"{bad.sum()} rows left out by sampling again" in str(after)
    np.testing.assert_array_equal(after.loo_i[~bad], before.loo_i[~bad])
    np.testing.assert_allclose(after.loo_i[bad], exact.loo_i[bad], atol=0.35)  # rows in the far tail
    assert after.arviz.elpd == pytest.approx(after.elpd)


def test_probabilities_of_responses_that_were_left_out(sleepstudy) -> None:
    pit = sleepstudy.loo_pit(seed=1)
    mean = sleepstudy.predict(draws=True).to_numpy().reshape(-1, 180)
    sigma = sleepstudy.draws["sigma"].reshape(-1, 1)
    log_weights = sleepstudy.loo().arviz.log_weights.transpose("chain", "draw", "obs").to_numpy().reshape(-1, 180)
    weights = np.exp(log_weights)
    exact = (weights * stats.norm.cdf(sleepstudy.observed, mean, sigma)).sum(axis=0) / weights.sum(axis=0)
    assert np.abs(pit - exact).max() < 0.08
    assert np.abs(pit - exact).mean() < 0.01
    assert pit.equals(sleepstudy.loo_pit(seed=1))


def test_probabilities_of_counts_are_uniform() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 15), "y": rng.poisson(np.repeat(rng.gamma(3.0, size=20), 15))})
    posterior = hier.Model("y ~ 1 + (1 | g)", data, family="poisson").sample(seed=1, progress=False)
    assert stats.kstest(posterior.loo_pit(), "uniform").pvalue > 0.01


def test_what_cannot_be_left_out(normal) -> None:
    with pytest.raises(hier.FitError, match=r"fewer rows than folds(.|\n)*k from 2 to 24"):
        normal.kfold(25)
    with pytest.raises(hier.FitError, match="`k` cannot be 1"):
        normal.kfold(1)
    with pytest.raises(hier.FitError, match="no grouping factor 'h'"):
        normal.kfold(2, group="h")
    one = of_model(hier.Model("y ~ z + (1 | g)", DATA.assign(z=(np.arange(24) == 0) * 1.0)), (2, 50))
    with pytest.raises(hier.DataError, match="do not determine the coefficient of `z`"):
        one.kfold(24, progress=False)
    with pytest.raises(hier.FitError, match="`refit` cannot be"):
        normal.loo(refit="yes")
