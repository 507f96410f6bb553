"""Leave-one-group-out against generalised least squares without the rows of each level, by dense algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import as_dense
from tests.reference import dense

GROUPS = [
    ("one", "g"),
    ("nested", "inner"),
    ("nested", "outer"),
    ("crossed", "g"),
    ("crossed", "item"),
    ("crossed", "day"),
]


def without(fit, group):
    """Fixed effects and their covariance without each level, at the fit's variance parameters."""
    design, V = fit.model.design, as_dense(fit).V
    (own,) = (random for random in design.random_effects if random.group == group)
    for j in range(own.n_levels):
        keep = own.codes != j
        yield dense.gls((design.y - design.offset)[keep], design.X[keep], V[np.ix_(keep, keep)])[:2]


@pytest.mark.parametrize(("kind", "group"), GROUPS)
def test_deletions_are_refits_at_the_same_variances(fits, kind, group):
    fit = fits(kind)
    found = fit.influence(group)
    beta, vcov = (np.array(part) for part in zip(*without(fit, group), strict=True))
    se = np.sqrt(np.einsum("jaa->ja", vcov))
    change = fit.arrays.beta - beta
    np.testing.assert_allclose(found.fixef, beta, rtol=1e-8)
    np.testing.assert_allclose(found.std_error, se, rtol=1e-8)
    np.testing.assert_allclose(found.dfbetas, change / se, rtol=1e-6, atol=1e-9)
    cook = np.einsum("ja,ab,jb->j", change, np.linalg.inv(fit.arrays.vcov), change) / len(fit.fixef)
    np.testing.assert_allclose(found.cooks_distance, cook, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.covratio, np.linalg.det(vcov) / np.linalg.det(fit.arrays.vcov), rtol=1e-8)
    assert list(found.fixef.index) == list(fit.ranef[group].index)


def test_the_factor_with_the_most_levels_is_taken(fits):
    assert fits("nested").influence().group == "inner"
    assert fits("crossed").influence().group == "g"


def test_a_level_without_which_the_rest_does_not_suffice(sleepstudy):
    """Only one subject has a value of `other` above zero: without it, that effect cannot be estimated."""
    data = sleepstudy.assign(other=(sleepstudy["Subject"] == "310").astype(float))
    found = hier.Model("Reaction ~ Days + other + (1 | Subject)", data).estimate().influence()
    lost = found.cooks_distance.index == "310"
    assert found.cooks_distance[lost].isna().all()
    assert found.fixef.loc["310"].isna().all()
    assert found.covratio[lost].isna().all()
    assert found.cooks_distance[~lost].notna().all()


def test_a_posterior_mode_has_its_priors_too(pigs_model):
    """The priors stay when a level goes: X'V^-1X + P and X'V^-1y + Pm, of which P is what vcov has beyond the data."""
    fit = pigs_model.estimate("map")
    design, own = fit.model.design, fit.model.design.random_effects[0]
    weights = np.ones(design.nobs)
    V = dense.covariance(
        [(own.Z, own.codes, own.n_levels)], [fit.arrays.terms[0].factor / fit.sigma], fit.sigma, weights
    )
    total = np.linalg.inv(fit.arrays.vcov)
    linear = total @ fit.arrays.beta
    found = fit.influence()
    for j in (0, 20):
        at = np.flatnonzero(own.codes == j)
        gain = design.X[at].T @ np.linalg.inv(V[np.ix_(at, at)])
        expected = np.linalg.solve(total - gain @ design.X[at], linear - gain @ design.y[at])
        np.testing.assert_allclose(found.fixef.iloc[j], expected, rtol=1e-8)


def test_refusals(fits):
    with pytest.raises(hier.FitError, match="no grouping factor `itm`") as refused:
        fits("crossed").influence("itm")
    assert "item" in str(refused.value)


def test_too_many_rows_in_a_level_are_refused(fits, monkeypatch):
    monkeypatch.setattr("hier.estimate.influence.MOST_ROWS", 10)
    with pytest.raises(hier.FitError, match="too many rows"):
        fits("crossed").influence("day")
    assert isinstance(fits("one").influence().cooks_distance, pd.Series)
