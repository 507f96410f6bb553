"""Origin and unit of covariates and responses: a posterior does not depend on them, but for Monte Carlo error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hier
from tests.posterior.test_agreement import assert_same_distribution
from tests.property.test_units import DATA, FORMULA, ORIGINS, UNITS, Moved, model_of

SPREADS = 0.12  # of standard deviations: with 4,000 draws their Monte Carlo error is some 2 percent


def sampled(model: hier.Model, seed: int):
    return model.sample(chains=4, draws=1000, seed=seed, progress=False)


def at_home(posterior, moved: Moved) -> dict[str, np.ndarray]:
    """The draws of a model of moved data as those of the data as they were."""
    names, back = list(posterior.coef_names), np.linalg.inv(moved.map)
    both, draws = [names.index("Intercept"), names.index("x")], dict(posterior.draws)
    beta = draws["beta"] / moved.y
    beta[..., both] = (draws["beta"][..., both] - moved.added) @ back.T
    found = {"beta": beta, "b_g": draws["b_g"] @ back.T}
    # of the anchored columns: the intercept's deviations at the mean of x, and the slopes
    found["sd"] = draws["sd_g_centred"] / (moved.y * np.array([1.0, moved.map[1, 1] / moved.y]))
    found["cor"] = np.arctanh(draws["cor_g_centred"])
    # of the rows of the fit, and of those of another table
    rows = moved.data.iloc[::11]
    for where, data in (("fit", None), ("new", rows.assign(x=rows.x[::-1].to_numpy()))):
        predicted = posterior.predict(data, kind="link", draws=True).to_numpy()
        found[f"link, {where}"] = (predicted - moved.added[0]) / moved.y
    return found | ({"sigma": draws["sigma"] / moved.y} if "sigma" in draws else {})


def check(posterior, other, moved: Moved) -> None:
    nowhere = Moved("y", 0.0, 1.0)
    found = {name: draws for name, draws in at_home(other, moved).items() if draws.size}
    assert_same_distribution(SimpleNamespace(draws=found), at_home(posterior, nowhere), sds=SPREADS)


@pytest.fixture(scope="module")
def normal():
    return sampled(hier.Model(FORMULA.format("y"), DATA), seed=1)


@pytest.mark.parametrize(
    ("origin", "unit", "y_origin", "y_unit"),
    [(2014.0, 1.0, 0.0, 1.0), (-1e6, 1e-6, 5e3, 1e6), (1.7e4, 1e5, 0.0, 1e-6)],
)
def test_a_normal_posterior_has_no_origin_and_no_unit(normal, origin, unit, y_origin, y_unit):
    moved = Moved("y", origin, unit, y_origin, y_unit)
    check(normal, sampled(hier.Model(FORMULA.format("y"), moved.data), seed=2), moved)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True)
@given(origin=ORIGINS, unit=UNITS, y_origin=st.floats(-1e4, 1e4), y_unit=UNITS)
def test_a_normal_posterior_has_no_origin_and_no_unit_anywhere(normal, origin, unit, y_origin, y_unit):
    moved = Moved("y", origin, unit, y_origin, y_unit)
    check(normal, sampled(hier.Model(FORMULA.format("y"), moved.data), seed=2), moved)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gamma"])
@pytest.mark.parametrize(("origin", "unit"), [(2014.0, 1.0), (-1e6, 1e-6)])
def test_generalised_posteriors_have_no_origin_and_no_unit(family, origin, unit):
    response = {"poisson": "count", "bernoulli": "success", "gamma": "positive"}[family]
    moved = Moved(response, origin, unit, 0.0, 1e3 if family == "gamma" else 1.0, is_log=True)
    check(sampled(model_of(family, DATA), 1), sampled(model_of(family, moved.data), 2), moved)


@pytest.mark.slow
def test_order_and_names_do_not_matter(normal):
    rng = np.random.default_rng(3)
    names = np.array([f"level {k}" for k in rng.permutation(16)])
    data = DATA.assign(g=names[DATA.g]).sample(frac=1.0, random_state=1)
    other = sampled(hier.Model(FORMULA.format("y"), data), seed=2)
    levels = [list(other.groups[0].levels).index(name) for name in names]
    draws = {name: values for name, values in at_home(other, Moved("y", 0.0, 1.0)).items() if "link" not in name}
    draws["b_g"] = draws["b_g"][:, :, levels]
    assert_same_distribution(SimpleNamespace(draws=draws), at_home(normal, Moved("y", 0.0, 1.0)), sds=SPREADS)
