"""Default priors, and so posteriors, do not depend on where a covariate is counted from, nor on its unit."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.design import bar_anchors
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import posterior_problem
from hier.posterior.row_sampling import sampled_of
from tests.model.data import table
from tests.reference import dense

DATA = table(60)
FAR = {"x": (2014.0, 1.0), "e": (-300.0, 1.0)}  # what is added, after the column was multiplied
OTHER_UNIT = {"x": (0.01, 1e-3), "e": (0.0, -250.0)}

# formulas that contain what a shift of their covariates makes of them
FORMULAS = {
    "two columns": "y ~ x + (x | g)",
    "three columns": "y ~ x + e + (x + e | g)",
    "interaction": "y ~ x * e + (x * e | g)",
    "factor": "y ~ f * x + (f * x | g)",
    "polynomial": "y ~ poly(x, 2) + (poly(x, 2) | g)",
    "square": "y ~ x + I(x^2) + (x + I(x^2) | g)",
    "square first": "y ~ I(x^2) + x + (I(x^2) + x | g)",
    "nested slopes": "y ~ f / x + (f / x | g)",
    "no intercept": "y ~ 0 + f + x + (0 + f + x | g)",
    "no intercept, crossed": "y ~ 0 + f * x + (0 + f * x | g)",
    "spread": hier.Formula("y ~ x + (x | g)", sigma="~ x * e"),
    "cutpoints": "rating ~ x * e + (x | g)",
    "two factors": "y ~ x + (x | g) + (x + e | h)",
}


def moved(how: dict[str, tuple[float, float]]) -> pd.DataFrame:
    return DATA.assign(**{name: times * DATA[name] + added for name, (added, times) in how.items()})


def model_of(name: str, data: pd.DataFrame, **options) -> hier.Model:
    return hier.Model(FORMULAS[name], data, family="cumulative" if name == "cutpoints" else "gaussian", **options)


def normal(priors, at: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) and covariance (n, n) of a predictor under the Normal priors of combinations of its coefficients."""
    into = X @ np.linalg.inv(at)
    location, scale = np.array([[float(prior.loc), float(prior.scale)] for prior in priors.values()]).T
    return into @ location, (into * scale**2) @ into.T


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("how", [FAR, OTHER_UNIT], ids=["far", "another unit"])
@pytest.mark.parametrize("name", FORMULAS)
def test_what_priors_say_of_predictors_is_the_same_for_moved_covariates(name, how) -> None:
    """Fixed parts: the Normal prior of every row's predictor. Groups: the columns times the scales of their sds."""
    near, far = (model_of(name, data) for data in (DATA, moved(how)))
    both = [(near.priors.beta, near.priors.at, near.design.X, far.priors.beta, far.priors.at, far.design.X)]
    for k, (one, other) in enumerate(zip(near.priors.parameters, far.priors.parameters, strict=True)):
        if one.has_formula:
            X, Y = near.design.parameters[k].X, far.design.parameters[k].X
            both.append((one.priors, one.at, X, other.priors, other.at, Y))
    if name == "cutpoints":
        both = [(*both[0][:2], near.design.X - near.priors.shift[0], *both[0][3:5], far.design.X - far.priors.shift[0])]
    for *one, priors, at, X in both:
        for found, expected in zip(normal(priors, at, X), normal(*one), strict=True):
            assert_close(found, expected)
    for one, other, own, moved_own in zip(
        near.design.random_effects, far.design.random_effects, near.priors.groups, far.priors.groups, strict=True
    ):
        scales = [np.array([float(sd.base_dist.scale) for sd in each.sd]) for each in (own, moved_own)]
        assert_close(np.abs(other.Z @ moved_own.to_user * scales[1]), np.abs(one.Z @ own.to_user * scales[0]))
        assert own.moved
        assert abs(np.linalg.det(moved_own.to_user)) == pytest.approx(1.0)


def test_the_other_level_of_a_factor_with_two_changes_nothing() -> None:
    data = DATA.assign(f=np.where(DATA["f"] == "a", "u", "v"))
    base = data.assign(f=data["f"].map({"u": "z", "v": "v"}))
    one, other = (hier.Model("y ~ f * x + (f * x | g)", d) for d in (data, base))
    for found, expected in zip(
        normal(other.priors.beta, other.priors.at, other.design.X),
        normal(one.priors.beta, one.priors.at, one.design.X),
        strict=True,
    ):
        assert_close(found, expected)
    (g,), (h,) = one.design.random_effects, other.design.random_effects
    (a,), (b,) = bar_anchors(g), bar_anchors(h)
    assert_close(np.abs(h.Z @ b.to_user), np.abs(g.Z @ a.to_user))


def unit_columns(model: hier.Model, how: dict[str, tuple[float, float]]) -> np.ndarray:
    """What the logarithms of the group sds of a model without products gain where covariates are multiplied."""
    found = []
    for k in model.structure.order:
        names = model.design.random_effects[k].names
        found += [-np.log(abs(how[name][1])) if name in how else 0.0 for name in names]
    return np.array(found)


@float64
@pytest.mark.parametrize("name", ["two columns", "interaction", "square", "two factors"])
def test_the_density_of_a_normal_model_is_the_same_far_away(name) -> None:
    """With all deviations and fixed effects integrated out, at the same sds and correlations at the means."""
    values = []
    for how in ({}, FAR):
        model = model_of(name, moved(how))
        problem = posterior_problem(model)
        density = Density(model.terms, 0, with_volume=True)
        points = 0.4 * np.random.default_rng(5).normal(size=(3, density.size))
        values.append([float(density.neg2_log_density(x, problem)) for x in points])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


@float64
@pytest.mark.parametrize("name", ["two columns", "two factors"])
def test_the_density_of_a_normal_model_is_the_same_in_another_unit(name) -> None:
    """At the same sds in the new unit; the density of their logarithms differs by nothing."""
    values, how = [], {"x": (7.0, 1e-3), "e": (0.0, 250.0)}
    for own in ({}, how):
        model = model_of(name, moved(own))
        problem = posterior_problem(model)
        density = Density(model.terms, 0, with_volume=True)
        points = 0.4 * np.random.default_rng(5).normal(size=(3, density.size))
        gain = unit_columns(model, own)
        points[:, : len(gain)] += gain
        values.append([float(density.neg2_log_density(x, problem)) for x in points])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


@float64
@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("count ~ x * e + (x | g)", "poisson"),
        ("yes ~ x + (x | g)", "bernoulli"),
        (FORMULAS["spread"], "gaussian"),
        (hier.Formula("share ~ poly(x, 2) + (x | g)", phi="~ x"), "beta"),
    ],
)
def test_the_density_of_other_responses_is_the_same_far_away(formula, family) -> None:
    """Prior density and the factor of each group's deviations, at the same point of what NUTS moves in."""
    found = []
    for how in ({}, FAR):
        model = hier.Model(formula, moved(how), family=family)
        sampled, problem = sampled_of(model)
        points = 0.4 * np.random.default_rng(5).normal(size=(3, sampled.n_dense))
        values = [float(sampled.density.neg2_log_prior(x, problem)) for x in points]
        effects = []
        for x in points:
            outer = sampled.density.outer(x, problem)
            rows = np.asarray(problem.rows.z[0]).T @ np.asarray(outer.factors[0])
            effects += [rows @ rows.T, np.asarray(problem.rows.X @ outer.beta)]
        found.append((values, effects))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-8, atol=1e-8)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert_close(other, one)


def years() -> pd.DataFrame:
    """Sixteen groups measured from 2010 to 2018, simulated: sds 2 and 0.3 of level and slope in the middle, sigma 1."""
    rng = np.random.default_rng(111)
    J, n = 16, 9
    g, year = np.repeat(np.arange(J), n), np.tile(np.arange(2010, 2019), J)
    y = 20 + 0.3 * (year - 2014) + rng.normal(0, 2, J)[g] + rng.normal(0, 0.3, J)[g] * (year - 2014)
    return pd.DataFrame({"y": y + rng.normal(0, 1, J * n), "year": year, "g": g, "c": year - 2014})


@float64
def test_the_density_is_that_of_priors_at_the_means_by_dense_algebra() -> None:
    data = years()
    model = hier.Model("y ~ year + (year | g)", data)
    problem = posterior_problem(model)
    density = Density(model.terms, 0, with_volume=True)
    centred = np.column_stack([np.ones(len(data)), data["c"]])
    y, spread, slope = data["y"].to_numpy(), data["y"].std(), data["c"].std()
    Z = dense.full_Z(centred, data["g"].to_numpy(), 16)
    gaps = []
    for x in 0.4 * np.random.default_rng(2).normal(size=(3, density.size)):
        parameters, volume = density.constrain(x, problem)
        (sd,), ((factor,),), sigma = parameters.sd, parameters.cor, float(parameters.sigma)
        r = float(factor[1, 0])
        covariance = np.outer(sd, sd) * np.array([[1.0, r], [r, 1.0]])
        V = sigma**2 * np.eye(len(y)) + Z @ np.kron(np.eye(16), covariance) @ Z.T
        prior_sds = np.diag([(2.5 * spread) ** 2, (2.5 * spread / slope) ** 2])
        evidence = dense.neg2_log_evidence(y, centred, V, np.array([y.mean(), 0.0]), prior_sds)
        scales = np.array([2.5 * spread, 2.5 * spread / slope, 2.5 * spread])
        log_prior = stats.t.logpdf([*sd, sigma], 3, 0, scales).sum() + np.log(1.0 - r**2)
        # LKJ is kept as the density of the factor, whose volume for two columns is that of the correlation
        found = -0.5 * float(density.neg2_log_density(x, problem)) - float(volume)
        gaps.append(found - (log_prior - 0.5 * evidence))
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-7)


def test_the_mode_of_the_posterior_does_not_depend_on_the_origin() -> None:
    far, near = (hier.Model(f"y ~ {x} + ({x} | g)", years()).estimate("map") for x in ("year", "c"))
    assert far.varcorr["sdcor"][1] == pytest.approx(near.varcorr["sdcor"][1], rel=1e-6)
    assert far.fixef["year"] == pytest.approx(near.fixef["c"], rel=1e-6)
    assert far.sigma == pytest.approx(near.sigma, rel=1e-6)
    assert far.objective == pytest.approx(near.objective, abs=1e-7)


@pytest.mark.slow
def test_the_posterior_does_not_depend_on_the_origin() -> None:
    """Beside a plain NumPyro program with the covariate centred by hand: 0.376, 0.103 and 1.073."""
    post = hier.Model("y ~ year + (year | g)", years()).sample(seed=2, progress=False)
    assert post.varcorr["sdcor"][1] == pytest.approx(0.376, abs=0.02)
    assert np.sqrt(post.vcov.loc["year", "year"]) == pytest.approx(0.103, abs=0.006)
    assert post.sigma == pytest.approx(1.073, abs=0.01)
    centred, reported = (post.draws[f"sd_g{name}"][..., 1] for name in ("_centred", ""))
    np.testing.assert_allclose(reported, centred, rtol=1e-9)
    level = post.draws["b_g"][..., 0] + 2014.0 * post.draws["b_g"][..., 1]
    assert np.sqrt((level**2).mean()) == pytest.approx(2.0, abs=0.6)


def test_a_users_own_priors_are_of_coefficients_as_they_are_reported() -> None:
    model = hier.Model(
        "y ~ x * e + (x | g)", DATA, priors={"x": dist.Normal(0, 1), "sd_g[Intercept]": dist.HalfNormal(2)}
    )
    assert list(np.flatnonzero((model.priors.at == np.eye(4)).all(axis=1))) == [1, 3]
    rows = dict(model.priors.rows())
    assert rows["x"] == "Normal(0, 1)"
    assert rows["e"].endswith(" at the means of the columns")
    assert rows["sd_g[Intercept]"] == "HalfNormal(2) at the means of the columns"
    assert not rows["sd_g[x]"].endswith("columns")
    plain = hier.Model("y ~ x * e + (x | g)", DATA, centred=False)
    np.testing.assert_array_equal(plain.priors.at, np.eye(4))
    np.testing.assert_array_equal(plain.priors.groups[0].to_user, np.eye(2))
    assert "at the means" not in "".join(words for _, words in plain.priors.rows())
    assert "centred=False" in repr(plain)
    with pytest.raises(hier.ModelError, match="`centred` cannot be 'no'"):
        hier.Model("y ~ x + (x | g)", DATA, centred="no")


def test_one_cutpoints_own_prior_leaves_the_others_at_the_means() -> None:
    model = hier.Model("rating ~ x + (1 | g)", DATA, family="cumulative", priors={"Intercept[2]": dist.Normal(1, 1)})
    np.testing.assert_allclose(model.priors.shift[:, 0], [DATA["x"].mean(), 0.0])
    rows = dict(model.priors.rows())
    assert rows["Intercept[1]"].endswith("at the means of the columns")
    assert rows["Intercept[2]"] == "Normal(1, 1)"


@pytest.mark.parametrize(
    ("bar", "said"),
    [
        ("(x | g)", "are those of the deviations at the means of the columns"),
        ("(x || g)", "priors of `(x || g)` are those of its columns as written"),
        ("cs(1 + x | g)", "priors of `cs(x | g)` are those of its columns as written"),
    ],
)
def test_the_model_says_what_its_priors_refer_to(bar, said) -> None:
    assert said in repr(hier.Model(f"y ~ x + {bar}", DATA))
