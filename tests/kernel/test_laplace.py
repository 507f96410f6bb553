"""The Laplace approximation and quadrature: values, gradients and Hessians, and where they are exact."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import hier
from hier.estimate.laplace_route import set_up
from hier.kernel.laplace.conditional import no_deviations
from hier.kernel.programs.precision import float64
from hier.model.row_density import posterior_rows, row_density, row_start
from hier.model.row_problem import likelihood_starts


@functools.cache
def table() -> pd.DataFrame:
    random = np.random.default_rng(5)
    n = 90
    data = pd.DataFrame({"g": random.integers(0, 9, n), "h": random.integers(0, 5, n), "x": random.normal(size=n)})
    data["k"] = data["g"] // 3
    eta = 0.3 + 0.5 * data["x"] + random.normal(size=9)[data["g"]] + 0.5 * random.normal(size=5)[data["h"]]
    data["count"] = random.poisson(np.exp(eta))
    data["hit"] = (random.uniform(size=n) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    data["y"] = eta + random.normal(size=n)
    data["w"] = random.uniform(0.5, 2.0, n)
    data["grade"] = pd.cut(data["y"], [-np.inf, -0.5, 0.5, 1.5, np.inf], labels=list("abcd"))
    return data


CASES = {
    "slopes": ("hit ~ x + (x | g)", "bernoulli", "ml", 1),
    "quadrature": ("hit ~ x + (x | g)", "bernoulli", "ml", 5),
    "nested": ("count ~ x + (1 | k / g)", "negbinomial", "ml", 1),
    "crossed": ("count ~ x + (x | g) + (1 | h)", "poisson", "ml", 1),
    "fixed effects integrated": ("count ~ x + (1 | g) + (1 | h)", "poisson", "reml", 1),
    "ordered": ("grade ~ x + (1 | g)", "cumulative", "ml", 1),
    "heavy tails": ("y ~ x + (1 | g)", "student", "ml", 1),
    "zeros": ("count ~ x + (1 | g)", "zero_inflated_poisson", "ml", 1),
    "posterior mode": ("count ~ x + (x | g)", "negbinomial", "map", 1),
}

SLOW = pytest.mark.slow
OFTEN_TRIED = ("nested", "ordered", "heavy tails", "zeros", "posterior mode")  # each takes ten seconds to compile


@float64
def expansion(model, method, nagq):
    """Value, gradient and Hessian somewhere, and the value as a function of the point alone."""
    problem, approximation = set_up(model, method, nagq)
    if method == "map":
        start = np.asarray(row_start(model, approximation.parameters, problem))
    else:
        start = likelihood_starts(model, problem.rows, with_fixed=method == "reml")[0]
    x = start + 0.1 * np.random.default_rng(1).normal(size=len(start))
    nothing = no_deviations(problem.rows, with_fixed=method == "reml")
    evaluate = jax.jit(approximation.evaluator(problem))
    value, slope, hessian, _ = evaluate(x, nothing)

    def at(point):
        found = evaluate(point, nothing)
        return float(found[0]), np.asarray(found[1])

    return x, (float(value), np.asarray(slope), np.asarray(hessian)), at


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW if name in OFTEN_TRIED else ()) for name in CASES])
def test_gradient_and_hessian_are_those_of_differences(name):
    formula, family, method, nagq = CASES[name]
    x, (_, slope, hessian), at = expansion(hier.Model(formula, table(), family=family), method, nagq)
    with jax.enable_x64(True):
        step = 1e-5
        for k, unit in enumerate(np.eye(len(x))):
            (above, slope_above), (below, slope_below) = at(x + step * unit), at(x - step * unit)
            assert (above - below) / (2 * step) == pytest.approx(slope[k], rel=1e-6, abs=2e-5)
            np.testing.assert_allclose((slope_above - slope_below) / (2 * step), hessian[k], rtol=1e-5, atol=1e-4)


def test_quadrature_is_the_integral():
    data = table()
    fit = hier.Model("hit ~ x + (1 | g)", data, family="bernoulli").estimate(nagq=25)
    eta, sd = fit.model.design.X @ fit.fixef.to_numpy(), fit.varcorr["sdcor"].iloc[0]
    total = 0.0
    for level in range(9):
        own = (data["g"] == level).to_numpy()
        y, fixed = data["hit"].to_numpy()[own], eta[own]

        def joint(b, y=y, fixed=fixed):
            p = 1.0 / (1.0 + np.exp(-(fixed + b)))
            return np.prod(np.where(y == 1, p, 1.0 - p)) * stats.norm.pdf(b, 0.0, sd)

        total += np.log(integrate.quad(joint, -8 * sd, 8 * sd, epsabs=1e-14, epsrel=1e-12)[0])
    assert fit.loglik == pytest.approx(total, abs=1e-7)


@pytest.mark.parametrize(
    ("bars", "method"),
    [
        ("(x | g)", "ml"),
        pytest.param("(1 | k / g)", "ml", marks=SLOW),
        pytest.param("(1 | k / g)", "reml", marks=SLOW),
        pytest.param("(x | g) + (1 | h)", "ml", marks=SLOW),
        pytest.param("(x | g) + (1 | h)", "reml", marks=SLOW),
    ],
)
def test_a_normal_response_is_fitted_exactly(bars, method):
    """With a formula for sigma that is one number the approximation is the exact Normal fit, found another way."""
    data = table()
    exact = hier.Model(f"y ~ x + {bars}", data, weights="w").estimate(method)
    fit = hier.Model(hier.Formula(f"y ~ x + {bars}", sigma="~ 1"), data, weights="w").estimate(method)
    assert (exact.nagq, fit.nagq) == (None, 1)
    assert fit.loglik == pytest.approx(exact.loglik, abs=1e-7)
    assert fit.aic == pytest.approx(exact.aic, abs=1e-6)
    np.testing.assert_allclose(fit.fixef, exact.fixef, rtol=1e-5)
    np.testing.assert_allclose(np.exp(fit.family_parameters["estimate"].iloc[0]), exact.sigma, rtol=1e-5)
    own = fit.varcorr["sdcor"].to_numpy(dtype=float)
    np.testing.assert_allclose(own, exact.varcorr["sdcor"].to_numpy(dtype=float)[: len(own)], rtol=1e-4, atol=1e-4)
    for group, modes in exact.ranef.items():
        np.testing.assert_allclose(fit.ranef[group], modes, atol=1e-4)
        np.testing.assert_allclose(fit.ranef_se[group], exact.ranef_se[group], rtol=1e-3)


def test_prediction_errors_are_those_of_the_normal_model():
    data = table()
    exact = hier.Model("y ~ x + (x | g) + (1 | h)", data).estimate("ml")
    fit = hier.Model(hier.Formula("y ~ x + (x | g) + (1 | h)", sigma="~ 1"), data).estimate("ml")
    ours, theirs = fit.predict(se=True), exact.predict(se=True)
    np.testing.assert_allclose(ours["fit"], theirs["fit"], atol=1e-4)
    # the covariance of the fixed effects also counts that of the variances here, which moves it in the third digit
    np.testing.assert_allclose(ours["se"], theirs["se"], rtol=0.02)


@pytest.mark.slow
def test_the_order_of_rows_and_the_coding_of_levels_do_not_matter():
    data = table()
    shuffled = data.sample(frac=1.0, random_state=3).assign(g=lambda t: t["g"].map(lambda level: f"level {9 - level}"))
    formula = "count ~ x + (x | g) + (1 | h)"
    one, other = (hier.Model(formula, own, family="poisson").estimate() for own in (data, shuffled))
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    np.testing.assert_allclose(one.fixef, other.fixef, rtol=1e-6)


@pytest.mark.slow
def test_twice_the_rows_by_weights():
    data = table().iloc[:40]
    twice = pd.concat([data, data])
    weighted = hier.Model("count ~ x + (1 | g)", data.assign(two=2.0), family="poisson", weights="two").estimate()
    repeated = hier.Model("count ~ x + (1 | g)", twice, family="poisson").estimate()
    assert weighted.loglik == pytest.approx(repeated.loglik, abs=1e-8)
    np.testing.assert_allclose(weighted.fixef, repeated.fixef, rtol=1e-7)


@pytest.mark.slow
def test_a_mode_under_flat_priors_is_the_likelihoods():
    import numpyro.distributions as dist

    data = table()
    wide = {name: dist.Normal(0.0, 1e5) for name in ("Intercept", "x")} | {"sd_g": dist.HalfNormal(1e5)}
    model = hier.Model("count ~ x + (1 | g)", data, family="poisson", priors=wide)
    ml, mode = model.estimate("ml"), model.estimate("map")
    np.testing.assert_allclose(mode.fixef, ml.fixef, rtol=1e-5)
    assert mode.varcorr["sdcor"].iloc[0] == pytest.approx(ml.varcorr["sdcor"].iloc[0], rel=1e-5)
    assert mode.loglik == pytest.approx(ml.loglik, abs=1e-6)


def test_the_density_has_the_size_of_its_parameters():
    model = hier.Model(hier.Formula("y ~ x + (x | g)", sigma="~ x"), table())
    density = row_density(model, with_volume=True)
    with jax.enable_x64(True):
        outer = density.outer(np.zeros(density.size), posterior_rows(model))
    assert density.size == 3 + 2 + 2
    assert [np.shape(own) for own in (*outer.factors, *outer.others, outer.beta)] == [(2, 2), (2,), (2,)]
