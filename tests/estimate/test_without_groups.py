"""Models without groups: least squares and generalized linear models through the same kernel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.errors import FitError, ModelError
from hier.estimate.boundary import boundary_p

CASES = json.loads((Path(__file__).parents[1] / "oracle" / "regressions.json").read_text(encoding="utf-8"))
DATA, FITS = pd.DataFrame(CASES["data"]), CASES["fits"]
# by case: formula, family, link; the numbers are those of R's lm, glm, glmmTMB and clm
MODELS = {
    "bernoulli": ("bern ~ x + f", "bernoulli", None),
    "bernoulli probit": ("bern ~ x + f", "bernoulli", "probit"),
    "binomial": ("cbind(bin, n - bin) ~ x + f", "binomial", None),
    "poisson": ("pois ~ x + f + offset(off)", "poisson", None),
    "negbinomial": ("nb ~ x + f", "negbinomial", None),
    "nbinom1": ("nb ~ x + f", "nbinom1", None),
    "gamma": ("gam ~ x + f", "gamma", None),
    "beta": ("beta ~ x + f", "beta", None),
    "beta_binomial": ("cbind(bin, n - bin) ~ x + f", "beta_binomial", None),
    "cumulative": ("ord ~ x + f", "cumulative", None),
}


@pytest.fixture(scope="module")
def model():
    return hier.Model("norm ~ x + f", DATA)


@pytest.fixture(scope="module")
def posterior(model):
    return model.sample(draws=500, warmup=100, seed=1, progress=False)


@pytest.mark.parametrize(("name", "weights"), [("gaussian", None), ("weighted", "w")])
def test_least_squares_are_those_of_lm(name, weights):
    expected, model = FITS[name], hier.Model("norm ~ x + f", DATA, weights=weights)
    fit, ml = model.estimate(), model.estimate("ml")
    np.testing.assert_allclose(fit.fixef, expected["coef"], rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients["std_error"], expected["se"], rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients["p_value"], expected["p"], rtol=1e-6)
    np.testing.assert_allclose(fit.coefficients["df"], len(DATA) - 4, rtol=1e-8)
    assert fit.sigma == pytest.approx(expected["sigma"], rel=1e-8)
    for own in (fit, ml):
        assert own.loglik == pytest.approx(expected["loglik"], abs=1e-8)
        assert own.aic == pytest.approx(expected["aic"], abs=1e-8)
        assert own.df_resid == len(DATA) - 4
    assert f"AIC: {expected['aic']:.2f}" in fit.summary()
    assert f"logLik: {expected['loglik']:.3f}" in fit.summary()
    np.testing.assert_allclose(fit.tests("kenward-roger"), fit.tests(), rtol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_generalised_linear_models_are_those_of_r(name):
    formula, family, link = MODELS[name]
    fit, expected = hier.Model(formula, DATA, family=family, link=link).estimate(), FITS[name]
    assert fit.converged
    np.testing.assert_allclose(fit.fixef, expected["coef"], rtol=2e-5, atol=1e-6)
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-6)
    assert fit.aic == pytest.approx(expected["aic"], abs=2e-6)
    if link is None:  # of another link glm's standard errors are from the expected information, not the observed
        np.testing.assert_allclose(fit.coefficients["std_error"], expected["se"], rtol=1e-4)
    if "further" in expected:
        (further,) = fit.family_parameters["estimate"]
        known = expected["further"] if family != "gamma" else expected["further"] ** -2.0
        assert further == pytest.approx(known, rel=1e-4)
    if "cutpoints" in expected:
        np.testing.assert_allclose(fit.cutpoints["estimate"], expected["cutpoints"], rtol=1e-5)
        np.testing.assert_allclose(fit.cutpoints["std_error"], expected["cut_se"], rtol=1e-4)
    assert "Generalized linear model" in fit.summary()
    assert "Random effects" not in fit.summary()


def test_verbs_answer(model):
    fit, X = model.estimate(), model.design.X
    residual = model.design.y - X @ fit.fixef.to_numpy()
    np.testing.assert_allclose(fit.residuals, residual, atol=1e-12)
    assert list(fit.varcorr["group"]) == ["Residual"]
    # the F-test of a factor with three levels, from the residual sums of squares
    small = X[:, :2]
    rss = [np.sum((model.design.y - M @ np.linalg.lstsq(M, model.design.y, rcond=None)[0]) ** 2) for M in (small, X)]
    expected = (rss[0] - rss[1]) / 2 / (rss[1] / (len(X) - 4))
    assert fit.anova().loc["f", "statistic"] == pytest.approx(expected, rel=1e-8)
    rows = fit.predict(DATA.head(4), se=True, interval="prediction")
    inverse = np.linalg.inv(X.T @ X)
    se = fit.sigma * np.sqrt(np.einsum("ij,jk,ik->i", X[:4], inverse, X[:4]))
    np.testing.assert_allclose(rows["fit"], X[:4] @ fit.fixef.to_numpy(), rtol=1e-10)
    np.testing.assert_allclose(rows["se"], se, rtol=1e-8)
    assert len(fit.emmeans("f").pairs()) == 3
    drawn = fit.simulate(400, seed=1)
    assert drawn.to_numpy().std(axis=1).mean() == pytest.approx(fit.sigma, rel=0.02)
    replicates = fit.bootstrap(200, seed=1, progress=False).replicates
    assert replicates["x"].std() == pytest.approx(fit.coefficients.loc["x", "std_error"], rel=0.2)
    assert fit.confint("profile").loc["x", "lower"] == pytest.approx(fit.confint(df="none").loc["x", "lower"], abs=0.02)
    assert "no groups" in fit.summary()
    assert str(model).startswith("Model without groups")
    assert len(fit.tidy()) == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.ranef,
        lambda fit: fit.ranef_se,
        lambda fit: fit.coef,
        lambda fit: fit.icc(),
        lambda fit: fit.ranova(),
        lambda fit: fit.influence(),
        lambda fit: fit.bootstrap(5, kind="groups", progress=False),
    ],
)
def test_verbs_of_groups_say_that_there_are_none(model, ask):
    with pytest.raises(ModelError, match="is of group deviations, and the model has none"):
        ask(model.estimate())


def test_a_comparison_by_level_needs_groups(model, posterior):
    with pytest.raises(ModelError, match="a comparison by level is of group deviations"):
        hier.compare(model.estimate(), posterior)
    with pytest.raises(ModelError, match="is of group deviations"):
        _ = posterior.ranef


def test_reml_of_a_model_with_nothing_to_search_is_refused():
    with pytest.raises(FitError, match="REML is for variances and further parameters"):
        hier.Model("pois ~ x", DATA, family="poisson").estimate("reml")


def test_sigma_with_a_formula():
    """As R's gls with varIdent: each half has its own variance, so each has its own least squares."""
    halves = pd.DataFrame({"y": DATA["norm"], "half": np.where(np.arange(len(DATA)) < 40, "a", "b")})
    fit = hier.Model(hier.Formula("y ~ half", sigma="~ half"), halves).estimate("ml")
    sds = halves.groupby("half")["y"].std(ddof=0)
    intercept, slope = fit.family_parameters["estimate"]
    np.testing.assert_allclose(np.exp([intercept, intercept + slope]), sds, rtol=1e-6)


def test_intercept_alone_and_no_term_at_all():
    y = DATA["norm"]
    fit = hier.Model("norm ~ 1", DATA).estimate()
    assert fit.fixef["Intercept"] == pytest.approx(y.mean())
    assert fit.sigma == pytest.approx(y.std())
    nothing = hier.Model("norm ~ 0", DATA).estimate()
    assert nothing.sigma == pytest.approx(np.sqrt(np.mean(y**2)))


def test_posterior_is_the_closed_form(model):
    """Under a flat prior of the coefficients and 1/sigma, those are t and sigma is inverse chi: near enough for wide
    priors on 76 degrees of freedom.
    """
    import numpyro.distributions as dist

    wide = {"beta": dist.Normal(0.0, 1e4), "sigma": dist.HalfCauchy(1e4)}
    post = model.with_priors(wide).sample(draws=2000, warmup=200, seed=2, progress=False)
    fit, df = model.estimate(), len(DATA) - 4
    # a flat prior of sigma itself takes one degree of freedom off
    scale = np.sqrt(df / (df - 1 - 2))
    expected = fit.coefficients["std_error"] * scale
    error = expected / np.sqrt(4000)
    assert (np.abs(post.fixef - fit.fixef) < 4.5 * error).all()
    np.testing.assert_allclose(np.sqrt(np.diag(post.vcov)), expected, rtol=0.05)
    assert post.diagnose().ok


def test_posterior_verbs(model, posterior):
    assert "Regression coefficients" in posterior.summary()
    rows = posterior.predict(DATA.head(3))
    assert len(rows) == 3
    loo = posterior.loo()
    assert loo.estimates.loc["elpd_loo", "estimate"] < 0 if hasattr(loo, "estimates") else True


@pytest.mark.parametrize("name", ["poisson", "cumulative", "zero_inflated_poisson"])
def test_posteriors_of_generalised_linear_models(name):
    formula, family, _ = MODELS.get(name, ("pois ~ x", name, None))
    model = hier.Model(formula, DATA, family=family)
    post = model.sample(draws=500, warmup=150, seed=1, progress=False)
    mode = model.estimate("map")
    assert (np.abs(post.fixef - mode.fixef) < 0.35 * np.sqrt(np.diag(post.vcov))).all()


@pytest.mark.parametrize("bar", ["(1 | g)", pytest.param("(x || g)", marks=pytest.mark.slow), "(x | g)"])
def test_p_values_on_the_boundary_are_uniform(bar):
    """By REML, which in samples of this size is nearer to the limit than maximum likelihood."""
    n_sims, frame = 1000, pd.DataFrame({"g": np.repeat(np.arange(80), 4), "x": np.tile(np.arange(4.0), 80)})
    Y = np.random.default_rng(6).standard_normal((320, n_sims))
    frame["y"] = Y[:, 0]
    models = [hier.Model("y ~ x", frame), hier.Model(f"y ~ x + {bar}", frame)]
    small, large = (model.estimate() for model in models)
    criteria = [hier.estimate_many(model, Y, progress=False).objective.to_numpy() for model in models]
    statistics = np.sort(np.maximum(criteria[0] - criteria[1], 0.0))[::-1]
    # each p-value is the share of the statistics that are larger
    for k in (10, 30, 60, 100, 200, 300):
        share, p = (k + 0.5) / n_sims, boundary_p(statistics[k], small, large)
        assert abs(p - share) < 4.0 * np.sqrt(share * (1.0 - share) / n_sims)
    assert np.mean(stats.chi2.sf(statistics, large.n_parameters - small.n_parameters) < 0.1) < 0.08


def test_restricted_likelihoods_compare(model):
    """As ranova has them, of the same pair."""
    partial = hier.Model("norm ~ x + f + (1 | g)", DATA).estimate()
    table, expected = model.estimate().anova(partial, refit=False), partial.ranova()
    np.testing.assert_allclose(table["loglik"], expected["loglik"].to_numpy()[::-1], rtol=1e-9)
    assert table["p_boundary"].iloc[1] == pytest.approx(expected["p_boundary"].iloc[1], abs=1e-6)


def test_anova_says_both_p_values():
    complete, partial = (hier.Model(f"pois ~ x{bar}", DATA, family="poisson").estimate() for bar in ("", " + (1 | g)"))
    table = complete.anova(partial)
    last = table.iloc[-1]
    assert last["df"] == 1
    assert last["p_boundary"] == pytest.approx(0.5 * last["p_value"] if last["chisq"] > 0 else 1.0)
    assert "p_boundary" not in partial.anova(hier.Model("pois ~ 1 + (1 | g)", DATA, family="poisson").estimate())
    # quadrature is for the one that has an integral
    finer = hier.Model("pois ~ x + (1 | g)", DATA, family="poisson").estimate(nagq=9)
    assert "refitted" not in complete.anova(finer).attrs["note"]
