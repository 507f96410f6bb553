"""Rows and groups left out: densities against dense algebra and brute force, and sums against numbers by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import arviz_stats
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.posterior.grouping import covariance_matrices
from hier.posterior.left_out_by_quadrature import level_by_quadrature
from hier.posterior.left_out_exactly import level_given_others, row_given_others
from tests.posterior.made_up import of_model

SLEEPSTUDY = Path(__file__).parents[1] / "oracle" / "data" / "sleepstudy.csv"


def table(n: int = 36) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    g = np.sort(rng.integers(0, 6, n))
    frame = {"g": g, "top": g // 2, "h": rng.integers(0, 3, n), "x": rng.normal(size=n), "w": rng.uniform(0.5, 3, n)}
    frame |= {"y": rng.normal(size=n), "count": rng.poisson(2.0, n), "binary": rng.integers(0, 2, n)}
    return pd.DataFrame(frame | {"ordered": rng.integers(0, 4, n)})


DATA = table()
NORMAL = {
    "slopes": lambda: hier.Model("y ~ x + (x | g)", DATA),
    "nested": lambda: hier.Model("y ~ x + (1 | top / g)", DATA),
    "crossed, weighted": lambda: hier.Model("y ~ x + (x | g) + (1 | h)", DATA, weights="w"),
    "spread": lambda: hier.Model(hier.Formula("y ~ 0 + (x || g)", sigma="~ x"), DATA, offset="w"),
}


def dense(posterior, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) and covariance (n, n) of the rows given one draw's fixed effects and variances."""
    design = posterior.model.design
    flat = {name: own.reshape(-1, *own.shape[2:])[s] for name, own in posterior.draws.items()}
    mean = design.X @ flat.get("beta", np.zeros(0)) + (0.0 if design.offset is None else design.offset)
    own = design.parameters[0]
    sd = np.exp(own.X @ flat["beta_sigma"]) if own.has_formula else np.full(len(mean), flat["sigma"])
    V = np.diag(sd**2 / (1.0 if design.weights is None else design.weights))
    for group, random in zip(posterior.groups, design.random_effects, strict=True):
        G = covariance_matrices(flat[group.variables.sd], flat.get(group.variables.cor), group.blocks)
        V += (random.Z @ G @ random.Z.T) * (random.codes[:, None] == random.codes)
    return mean, V


def conditional(y, mean, V, out) -> float:
    """The log density of some rows given the others, by partitioned covariances."""
    rest = ~out
    solved = np.linalg.solve(V[np.ix_(rest, rest)], V[np.ix_(rest, out)]).T
    at = mean[out] + solved @ (y - mean)[rest]
    return stats.multivariate_normal(at, V[np.ix_(out, out)] - solved @ V[np.ix_(rest, out)]).logpdf(y[out])


@pytest.mark.parametrize("name", NORMAL)
def test_normal_rows_and_levels_given_the_others(name: str, monkeypatch) -> None:
    monkeypatch.setattr("hier.posterior.left_out_exactly.AT_ONCE", 300)  # several blocks of draws
    posterior = of_model(NORMAL[name](), (2, 3))
    y, n = posterior.model.design.y, len(DATA)
    rows = row_given_others(posterior)
    for s in range(6):
        mean, V = dense(posterior, s)
        expected = [conditional(y, mean, V, np.arange(n) == i) for i in range(n)]
        np.testing.assert_allclose(rows[s], expected, rtol=1e-9)
    for group in posterior.groups:
        levels = level_given_others(posterior, group)
        for s in range(6):
            mean, V = dense(posterior, s)
            expected = [conditional(y, mean, V, group.codes == j) for j in range(group.n_levels)]
            np.testing.assert_allclose(levels[s], expected, rtol=1e-9)


@pytest.mark.parametrize("q", [1, 2])
@pytest.mark.parametrize("family", ["bernoulli", "poisson", "cumulative", "student"])
def test_levels_by_quadrature_against_a_fine_grid(family: str, q: int) -> None:
    response = {"bernoulli": "binary", "poisson": "count", "cumulative": "ordered", "student": "y"}[family]
    model = hier.Model(f"{response} ~ x + ({'1' if q == 1 else 'x'} | g) + (1 | h)", DATA, family=family)
    posterior = of_model(model, (1, 2), seed=3)
    group = posterior.groups[[own.name for own in posterior.groups].index("g")]
    found = level_by_quadrature(posterior, group)
    u = np.linspace(-9.0, 9.0, 121)
    grid = np.stack(np.meshgrid(*[u] * q, indexing="ij"), axis=-1).reshape(-1, q)
    volume = (u[1] - u[0]) ** q
    sd, b = group.variables.sd, group.variables.b
    for s in range(2):
        one = {name: np.repeat(own[:, s : s + 1], len(grid), axis=1) for name, own in posterior.draws.items()}
        G = covariance_matrices(one[sd][0, 0], one[group.variables.cor][0, 0] if q > 1 else None, group.blocks)
        one[b] = np.broadcast_to((grid @ np.linalg.cholesky(G).T)[None, :, None], one[b].shape)
        many = dataclasses.replace(
            posterior, draws=one, stats={}, settings=posterior.settings._replace(draws=len(grid))
        )
        rows = many.with_log_likelihood().data["log_likelihood"][response].to_numpy()[0]
        prior = stats.norm.logpdf(grid).sum(axis=1)
        for j in range(group.n_levels):
            whole = np.exp(rows[:, group.codes == j].sum(axis=1) + prior).sum() * volume
            assert found[s, j] == pytest.approx(np.log(whole), abs=2e-4)


def test_levels_by_quadrature_are_the_closed_form_of_a_normal_response() -> None:
    posterior = of_model(hier.Model("y ~ x + (x | g)", DATA), (2, 3))
    (group,) = posterior.groups
    exact = level_given_others(posterior, group)
    np.testing.assert_allclose(level_by_quadrature(posterior, group), exact, rtol=1e-6)


@pytest.fixture(scope="module")
def sleepstudy():
    model = hier.Model("Reaction ~ Days + (Days | Subject)", pd.read_csv(SLEEPSTUDY))
    return model.sample(seed=1, progress=False)


def test_sleepstudy_by_hand(sleepstudy) -> None:
    rows, levels, r2 = sleepstudy.loo(), sleepstudy.logo("Subject"), sleepstudy.r2()
    assert rows.elpd == pytest.approx(-860.7, abs=1.5)
    assert rows.se == pytest.approx(22.4, abs=0.5)
    assert rows.p == pytest.approx(33.9, abs=1.5)
    assert 1 <= rows.n_bad <= 5
    assert levels.elpd == pytest.approx(-885.8, abs=0.6)
    assert levels.se == pytest.approx(25.6, abs=0.5)
    assert len(levels.table) == 18
    assert list(r2.index) == ["conditional", "marginal", "loo"]
    assert r2.loc["conditional", "estimate"] == pytest.approx(0.79, abs=0.01)
    assert r2.loc["loo", "estimate"] == pytest.approx(0.75, abs=0.01)
    assert (r2["lower"] < r2["estimate"]).all()


def test_integrated_rows_have_small_k_and_the_same_elpd(sleepstudy) -> None:
    conditional, integrated = sleepstudy.loo(), sleepstudy.loo(integrated=True)
    assert integrated.n_bad == 0
    assert integrated.pareto_k.max() < conditional.pareto_k.max()
    good = conditional.pareto_k < 0.5
    difference = (conditional.table["elpd"] - integrated.table["elpd"])[good]
    assert difference.abs().max() < 0.15


def test_loo_is_arvizs(sleepstudy) -> None:
    whole = sleepstudy.with_log_likelihood()
    with pytest.warns(UserWarning, match="Pareto"):
        by_arviz = arviz_stats.loo(whole.data, pointwise=True)
    found = sleepstudy.loo()
    assert found.elpd == whole.loo().elpd == pytest.approx(by_arviz.elpd, rel=1e-12)
    assert found.se == pytest.approx(by_arviz.se, rel=1e-12)
    assert found.p == pytest.approx(by_arviz.p, rel=1e-10)
    np.testing.assert_allclose(found.table["elpd"], by_arviz.elpd_i, rtol=1e-12)
    np.testing.assert_allclose(found.pareto_k, by_arviz.pareto_k, rtol=1e-9)
    assert "Pareto k" in str(sleepstudy.loo())
    assert "elpd_loo" in str(sleepstudy.loo())


def test_waic_says_that_loo_is_better(sleepstudy) -> None:
    found = sleepstudy.waic()
    assert found.elpd == pytest.approx(-859.5, abs=1.5)
    assert "loo() is better" in str(found)
    assert found.pareto_k.isna().all()


@pytest.mark.parametrize("family", ["poisson", "cumulative"])
def test_other_families(family: str) -> None:
    response = {"poisson": "count", "cumulative": "ordered"}[family]
    posterior = of_model(hier.Model(f"{response} ~ x + (1 | g) + (1 | h)", DATA, family=family), (2, 50))
    assert len(posterior.loo().table) == len(DATA)
    assert list(posterior.logo("h").table.index) == [0, 1, 2]
    assert posterior.r2().shape == (3, 4)
    with pytest.raises(hier.FitError, match="which Normal responses have"):
        posterior.loo(integrated=True)
    with pytest.raises(hier.FitError, match="says whose levels are left out"):
        posterior.logo()
    with pytest.raises(hier.FitError, match="no grouping factor"):
        posterior.logo("hh")


def test_models_side_by_side(tmp_path) -> None:
    small = of_model(hier.Model("y ~ 1 + (1 | g)", DATA), (2, 50))
    large = of_model(hier.Model("y ~ x + (x | g)", DATA), (2, 50))
    table = hier.compare_models({"small": small, "large": large})
    elpd = {name: own.loo() for name, own in (("small", small), ("large", large))}
    best = table.index[0]
    assert elpd[best].elpd == max(own.elpd for own in elpd.values()) == table["elpd"].iloc[0]
    difference = elpd[table.index[1]].table["elpd"] - elpd[best].table["elpd"]
    assert table["elpd_diff"].iloc[1] == pytest.approx(difference.sum())
    assert table["se_diff"].iloc[1] == pytest.approx(np.sqrt(len(DATA)) * difference.std(ddof=0))
    assert table["weight"].sum() == pytest.approx(1.0)
    groups = hier.compare_models({"small": small.logo(), "large": large.logo()})
    assert groups["elpd"].iloc[0] == max(small.logo().elpd, large.logo().elpd)
    with pytest.raises(hier.ModelError, match="same kind of cross-validation"):
        hier.compare_models({"small": small.logo(), "large": large.loo()})
    other = of_model(hier.Model("y ~ 1 + (1 | g)", DATA.assign(y=DATA.y + 1.0)), (2, 50))
    with pytest.raises(hier.ModelError, match=r"not of the same data.*\n(.|\n)*the response"):
        hier.compare_models({"small": small, "other": other})
    read = hier.load_posterior(small.save(tmp_path / "small.nc"))
    with pytest.raises(hier.FitError, match="read from a file"):
        read.loo()
    kept = hier.load_posterior(small.with_log_likelihood().save(tmp_path / "kept.nc"))
    assert kept.loo().elpd == small.loo().elpd


def test_estimates_side_by_side() -> None:
    models = {
        "slopes": hier.Model("y ~ x + (x | g)", DATA).estimate(),
        "null": hier.Model("y ~ 1 + (1 | g)", DATA).estimate(),
        "other": hier.Model("y ~ w + (1 | g)", DATA).estimate("ml"),
    }
    table = hier.compare_models(models)
    assert list(table.index) == ["null", "other", "slopes"]
    pair = models["null"].anova(models["other"])
    assert table.loc["other", "p_value"] == pytest.approx(pair["p_value"].iloc[1])
    assert np.isnan(table.loc["slopes", "p_value"])  # w is not among its fixed effects
    assert table.loc["slopes", "aic"] == pytest.approx(hier.Model("y ~ x + (x | g)", DATA).estimate("ml").aic)


def test_what_does_not_compare() -> None:
    posterior = of_model(hier.Model("y ~ 1 + (1 | g)", DATA), (2, 50))
    estimate = posterior.model.estimate()
    with pytest.raises(hier.ModelError, match="two models or more"):
        hier.compare_models({"one": posterior})
    with pytest.raises(hier.ModelError, match="posteriors and estimates do not compare"):
        hier.compare_models({"one": posterior, "other": estimate})
    with pytest.raises(hier.ModelError, match="`prior` cannot be compared"):
        hier.compare_models({"one": posterior, "prior": posterior.data})
    with pytest.raises(hier.FitError, match="needs more draws"):
        of_model(posterior.model, (2, 10)).loo()
    with pytest.raises(hier.FitError, match="`integrated` cannot be"):
        posterior.loo(integrated="yes")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_groups_left_out_as_refits_without_them(family: str) -> None:
    """Each level's rows given a posterior that has not seen them: the mean over its draws of their marginal density."""
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(8), 6), rng.normal(size=48)
    eta = 1.0 + 0.4 * x + 0.7 * rng.normal(size=8)[g]
    y = rng.poisson(np.exp(eta)) if family == "poisson" else eta + rng.normal(size=48)
    data = pd.DataFrame({"g": g, "x": x, "y": y})
    # priors that do not depend on the data, as default ones do
    priors = {"Intercept": dist.Normal(0, 2.5), "x": dist.Normal(0, 2.5), "sd_g": dist.HalfNormal(1.0)}
    model = hier.Model("y ~ x + (1 | g)", data, family=family, priors=priors)
    found = model.sample(seed=1, draws=10_000, progress=False).logo()
    for j in (0, 3):
        refit = hier.Model("y ~ x + (1 | g)", data[g != j], family=family, priors=priors).sample(
            seed=2, draws=10_000, progress=False
        )
        draws = {name: own.copy() for name, own in refit.draws.items()}
        draws["b_g"] = np.insert(draws["b_g"], j, 0.0, axis=2)
        there = dataclasses.replace(of_model(model, refit.beta.shape[:2]), draws=draws)
        (group,) = there.groups
        density = level_by_quadrature(there, group)[:, j]
        assert found.table["elpd"].iloc[j] == pytest.approx(np.log(np.exp(density).mean()), abs=0.1)
