"""Confidence intervals: profile bounds against an independent search on the dense likelihood, and against lme4's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from scipy import optimize, stats

import hier
from hier.estimate.named import named_parameters
from tests.estimate.conftest import DATA
from tests.reference import dense

CHI2 = stats.chi2.ppf(0.95, 1)


class Likelihood:
    """-2 log-likelihood by dense algebra as a function of log sds, Fisher z of correlations (at most 2 columns a
    factor), and log sigma, in the order of `named_parameters`; the fixed effects are at their best.
    """

    def __init__(self, fit):
        self.design = fit.model.design
        self.names = [own for own in named_parameters(fit.model) if own.kind != "fixed"]

    def __call__(self, x, held=None):
        design, at = self.design, dict(zip(self.names, x, strict=True))
        covariances = [np.zeros((len(own.names),) * 2) for own in design.random_effects]
        for own, value in at.items():
            if own.kind == "sd":
                covariances[own.group][own.i, own.i] = np.exp(2 * value)
        for own, value in at.items():
            if own.kind == "cor":
                sigma = covariances[own.group]
                sigma[0, 1] = sigma[1, 0] = np.tanh(value) * np.sqrt(sigma[0, 0] * sigma[1, 1])
        Z, _ = dense.full_deviations([(own.Z, own.codes, own.n_levels) for own in design.random_effects], covariances)
        spread = [np.kron(np.eye(own.n_levels), c) for own, c in zip(design.random_effects, covariances, strict=True)]
        weights = np.ones(design.nobs) if design.weights is None else design.weights
        V = Z @ scipy.linalg.block_diag(*spread) @ Z.T + np.diag(np.exp(2 * x[-1]) / weights)
        y = design.y - (0.0 if design.offset is None else design.offset)
        if held is None:
            return dense.neg2_log_likelihood(y, design.X, V, reml=False)
        column, value = held
        X = np.delete(design.X, column, axis=1)
        return dense.neg2_log_likelihood(y - value * design.X[:, column], X, V, reml=False)

    def minimum(self, start, fixed=None, value=None):
        """The minimum with one parameter held at a value."""
        free = np.array([own != fixed for own in self.names])

        def objective(part):
            x = np.array(start, float)
            if fixed is not None and fixed.kind != "fixed":
                x[~free] = value
            x[free] = part
            return self(x, (fixed.i, value) if fixed is not None and fixed.kind == "fixed" else None)

        found = optimize.minimize(objective, np.array(start)[free], method="BFGS", options={"gtol": 1e-6})
        if np.abs(found.x).max() > 5.0:  # on the way to a limit the slope is too small before the fall has ended
            found = optimize.minimize(objective, found.x, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
        return found.fun


def check_bounds(fit):
    """At each bound, the best that the other parameters can do is worse by the quantile."""
    table = fit.confint("profile")
    ml = fit if fit.method == "ml" else fit.model.estimate("ml")
    likelihood = Likelihood(fit)
    sdcor = ml.varcorr["sdcor"].to_numpy(float)
    start = [np.arctanh(v) if own.kind == "cor" else np.log(v) for own, v in zip(likelihood.names, sdcor, strict=True)]
    best = likelihood(np.array(start))
    assert best == pytest.approx(ml.objective, abs=1e-7)
    by_name = {own.name: own for own in named_parameters(fit.model)}
    for name, bounds in table.iterrows():
        own = by_name[name]
        for bound in bounds:
            if bound in (0.0, -1.0, 1.0):  # the limit itself is no worse than that
                value = bound * 8.0 if own.kind == "cor" else -12.0
                assert likelihood.minimum(start, own, value) - best < CHI2, name
            else:
                value = bound if own.kind == "fixed" else np.arctanh(bound) if own.kind == "cor" else np.log(bound)
                assert likelihood.minimum(start, own, value) - best == pytest.approx(CHI2, abs=2e-6), name


def test_profile_bounds_are_where_the_likelihood_has_fallen(fits):
    check_bounds(fits("one"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nested", "crossed"])
def test_profile_bounds_of_several_factors(fits, kind):
    check_bounds(fits(kind))


def test_names_and_notes(sleepstudy_reml):
    table = sleepstudy_reml.confint("profile", parameters=["sigma", "Days"])
    assert list(table.index) == ["sigma", "Days"]
    assert list(table.columns) == ["lower", "upper"]
    assert "refitted by maximum likelihood" in table.attrs["note"]
    assert list(sleepstudy_reml.confint().index) == [
        "Intercept",
        "Days",
        "sd_Subject[Intercept]",
        "sd_Subject[Days]",
        "cor_Subject[Intercept,Days]",
        "sigma",
    ]


def test_a_bound_at_the_limit_is_the_limit():
    """R: sd 0 to 2.084043489 (its sigma has no upper bound there), beta 4.312100217 to 7.019092347."""
    data = pd.read_csv(DATA / "Dyestuff2.csv")
    fit = hier.Model("Yield ~ 1 + (1 | Batch)", data).estimate("ml")
    table = fit.confint("profile")
    assert table.loc["sd_Batch[Intercept]", "lower"] == 0.0
    np.testing.assert_allclose(table.loc["sd_Batch[Intercept]", "upper"], 2.084043489, rtol=1e-4)
    np.testing.assert_allclose(table.loc["Intercept"], [4.312100217, 7.019092347], rtol=5e-4)
    # with no variance between batches the model is a sample's: the profile of sigma is that of n log(S / n)
    n, squares = fit.nobs, float(((data["Yield"] - data["Yield"].mean()) ** 2).sum())
    upper = optimize.brentq(lambda s: n * np.log(s**2) + squares / s**2 - n * np.log(squares / n) - n - CHI2, 3.9, 8)
    assert table.loc["sigma", "upper"] == pytest.approx(upper, rel=1e-7)
    wald = fit.confint()
    assert wald.loc["sd_Batch[Intercept]"].isna().all()
    assert wald.loc["sigma"].notna().all()


def test_a_correlation_at_its_limit():
    data = pd.read_csv(DATA / "sim_singular_slope.csv")
    fit = hier.Model("y ~ x + (x | g)", data).estimate("ml")
    table = fit.confint("profile", parameters=["sd_g[x]", "cor_g[Intercept,x]"])
    assert table.loc["cor_g[Intercept,x]", "upper"] == 1.0
    likelihood = Likelihood(fit)
    sdcor = fit.varcorr["sdcor"].to_numpy(float)
    start = [8.0 if own.kind == "cor" else np.log(v) for own, v in zip(likelihood.names, sdcor, strict=True)]
    by_name = {own.name: own for own in likelihood.names}
    lowest = np.arctanh(table.loc["cor_g[Intercept,x]", "lower"])
    found = likelihood.minimum(start, by_name["cor_g[Intercept,x]"], lowest)
    assert found - fit.objective == pytest.approx(CHI2, abs=2e-6)
    assert fit.confint().loc["cor_g[Intercept,x]"].isna().all()


@pytest.mark.slow
def test_other_structures_have_profiles_too(sleepstudy):
    """A single correlation of two columns is the unstructured model; equal variances make one profile of two names."""
    one = hier.Model("Reaction ~ Days + cs(Days | Subject)", sleepstudy).estimate("ml")
    other = hier.Model("Reaction ~ Days + (Days | Subject)", sleepstudy).estimate("ml")
    np.testing.assert_allclose(one.confint("profile"), other.confint("profile"), rtol=1e-7)
    np.testing.assert_allclose(one.confint(), other.confint(), rtol=1e-4)


def test_wald_intervals_of_fixed_effects(pigs_reml):
    table = pigs_reml.confint(level=0.9, parameters="fixed")
    half = stats.norm.ppf(0.95) * pigs_reml.coefficients["std_error"]
    np.testing.assert_allclose(table["lower"], pigs_reml.fixef - half, rtol=1e-12)
    np.testing.assert_allclose(table["upper"], pigs_reml.fixef + half, rtol=1e-12)
    table = pigs_reml.confint(parameters=["week"], df="satterthwaite")
    half = (
        stats.t.ppf(0.975, pigs_reml.coefficients.loc["week", "df"]) * pigs_reml.coefficients.loc["week", "std_error"]
    )
    np.testing.assert_allclose(table.loc["week"], pigs_reml.fixef["week"] + np.array([-half, half]), rtol=1e-9)


def test_wald_intervals_of_variance_parameters(sleepstudy_reml):
    """The curvature of the dense REML likelihood in log sds, Fisher's z and log sigma, by differences."""
    fit, likelihood = sleepstudy_reml, Likelihood(sleepstudy_reml)
    design = fit.model.design
    sdcor = fit.varcorr["sdcor"].to_numpy(float)
    at = np.array(
        [np.arctanh(v) if own.kind == "cor" else np.log(v) for own, v in zip(likelihood.names, sdcor, strict=True)]
    )

    def reml(x):
        ml = likelihood(x)
        a, b, r = np.exp(x[0]), np.exp(x[1]), np.tanh(x[2])
        sigma = np.array([[a * a, r * a * b], [r * a * b, b * b]])
        factor = np.linalg.cholesky(sigma) / np.exp(x[3])
        own = design.random_effects[0]
        V = dense.covariance([(own.Z, own.codes, own.n_levels)], [factor], np.exp(x[3]), np.ones(design.nobs))
        return ml + np.linalg.slogdet(design.X.T @ np.linalg.solve(V, design.X))[1]

    step = 1e-3
    steps = step * np.eye(4)
    hessian = np.array(
        [[reml(at + a + b) - reml(at + a - b) - reml(at - a + b) + reml(at - a - b) for b in steps] for a in steps]
    ) / (4 * step**2)
    half = stats.norm.ppf(0.975) * np.sqrt(np.diag(2 * np.linalg.inv(hessian)))
    table = fit.confint(parameters="random")
    for side, sign in (("lower", -1), ("upper", 1)):
        bound = at + sign * half
        expected = [
            np.tanh(v) if own.kind == "cor" else np.exp(v) for own, v in zip(likelihood.names, bound, strict=True)
        ]
        np.testing.assert_allclose(table[side], expected, rtol=1e-4)


def test_wald_intervals_of_a_posterior_mode(pigs_model, pigs_reml):
    """With the default priors, which say little, they are near those of REML."""
    found, other = pigs_model.estimate("map").confint(), pigs_reml.confint()
    width = (other["upper"] - other["lower"]).to_numpy()
    assert (np.abs(found - other).to_numpy() < 0.1 * width[:, None]).all()
    assert not found.equals(other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "bayes"}, "`method` cannot be 'bayes'"),
        ({"level": 95}, r"`level` cannot be 95(.|\n)*level=0\.95"),
        ({"parameters": ["weak"]}, "no parameter `weak`"),
        ({"df": "kr"}, "`df` cannot be 'kr'"),
        ({"method": "profile", "df": "satterthwaite"}, "no degrees of freedom"),
    ],
)
def test_refusals(pigs_reml, arguments, message):
    with pytest.raises(hier.FitError, match=message):
        pigs_reml.confint(**arguments)


def test_a_posterior_mode_has_no_profile(pigs_model):
    with pytest.raises(hier.FitError, match="no profile of the likelihood"):
        pigs_model.estimate("map").confint("profile")
