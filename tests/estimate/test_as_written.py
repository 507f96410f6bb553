"""Responses as the user wrote them: labels of ordered categories, proportions, and rows that say nothing."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import special

import hier
from tests.oracle.test_lmm_cases import HERE

WORDS = ["poor", "fair", "good", "best"]
NEW = pd.DataFrame({"x": [-1.0, 0.0, 1.0], "judge": 0})


@functools.cache
def ratings() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    judge, x = np.repeat(np.arange(50), 8), rng.normal(size=400)
    latent = 0.9 * x + rng.normal(0, 1.1, 50)[judge] + rng.logistic(size=400)
    place = np.searchsorted([-1.2, 0.4, 1.9], latent)
    data = pd.DataFrame({"place": place, "x": x, "judge": judge})
    data["label"] = np.array([1, 2, 4, 5])[place]
    data["ordered"] = pd.Categorical(data["label"], [1, 2, 3, 4, 5], ordered=True)
    data["turned"] = pd.Categorical(data["label"], [5, 4, 2, 1], ordered=True)
    data["word"] = pd.Categorical(np.array(WORDS)[place], WORDS, ordered=True)
    return data


@functools.cache
def rated(response: str) -> hier.Estimate:
    return hier.Model(f"{response} ~ x + (1 | judge)", ratings(), family="cumulative").estimate()


@pytest.mark.parametrize("response", ["ordered", "label", "factor(label)"])
def test_means_and_probabilities_of_labels_that_are_numbers(response):
    """R: clmm of ordinal 2022.11 for the cutpoints and the slope; the rest is arithmetic."""
    fit = rated(response)
    assert fit.loglik == pytest.approx(-493.904, abs=1e-3)
    mean = fit.predict(NEW, random="none")
    np.testing.assert_allclose(mean, [1.9476, 2.6376, 3.4084], atol=1e-4)
    table = fit.predict(NEW, random="none", kind="probabilities")
    assert list(table.columns) == [1, 2, 4, 5]
    np.testing.assert_allclose(table.loc[1], [0.2685, 0.3382, 0.2738, 0.1195], atol=1e-4)
    below = special.expit(fit.cutpoints["estimate"].to_numpy() - NEW["x"].to_numpy()[:, None] * fit.fixef["x"])
    np.testing.assert_allclose(table, np.diff(below, prepend=0.0, append=1.0), rtol=1e-10)
    np.testing.assert_allclose(mean, table @ np.array([1.0, 2.0, 4.0, 5.0]), rtol=1e-12)


def test_fitted_values_residuals_and_simulations_speak_the_labels():
    fit = rated("ordered")
    assert 1.0 < fit.fitted.min() < fit.fitted.max() < 5.0
    np.testing.assert_allclose(fit.residuals + fit.fitted, ratings()["label"], rtol=1e-12)
    np.testing.assert_allclose(fit.predict(kind="probabilities") @ [1.0, 2.0, 4.0, 5.0], fit.fitted, rtol=1e-10)
    drawn = fit.simulate(40, seed=1)
    assert set(np.unique(drawn)) == {1, 2, 4, 5}
    shares = [(drawn == label).to_numpy().mean() for label in (1, 2, 4, 5)]
    np.testing.assert_allclose(shares, ratings()["label"].value_counts(normalize=True).sort_index(), atol=0.04)


def test_errors_are_those_of_the_mean_of_the_labels():
    fit = rated("ordered")
    table, step = fit.predict(NEW, random="none", se=True, interval="confidence"), 1e-5
    link = fit.predict(NEW, random="none", kind="link", se=True)
    up, down = (fit.predict(NEW.assign(x=NEW["x"] + d / fit.fixef["x"]), random="none") for d in (step, -step))
    np.testing.assert_allclose(table["se"], (up - down) / (2 * step) * link["se"], rtol=1e-6)
    assert ((table["lower"] > 1.0) & (table["lower"] <= table["fit"]) & (table["fit"] <= table["upper"])).all()


def test_of_words_means_are_of_places_and_simulations_are_words_in_their_order():
    fit = rated("word")
    assert (
        "`word`: its categories are no numbers, so that means count 1 for poor, 2 for fair, 3 for good, 4 for best"
        in (fit.model.design.notes())
    )
    probabilities = fit.predict(NEW, random="none", kind="probabilities")
    assert list(probabilities.columns) == WORDS
    np.testing.assert_allclose(fit.predict(NEW, random="none"), probabilities @ np.arange(1.0, 5.0), rtol=1e-12)
    np.testing.assert_allclose(fit.residuals + fit.fitted, ratings()["place"] + 1.0, rtol=1e-12)
    drawn = fit.simulate(1, seed=1)["sim_1"]
    assert drawn.cat.ordered
    assert list(drawn.cat.categories) == WORDS


def test_an_order_of_numbers_that_falls_is_kept():
    fit, plain = rated("turned"), rated("ordered")
    np.testing.assert_allclose(fit.predict(NEW, random="none"), plain.predict(NEW, random="none"), atol=1e-6)
    assert list(fit.simulate(1)["sim_1"].cat.categories) == [5, 4, 2, 1]


@pytest.mark.parametrize("response", ["ordered", "word", "turned"])
def test_what_is_simulated_can_be_fitted_in_the_place_of_the_response(response):
    fit = rated(response)
    data = ratings().assign(**{response: fit.simulate(1, seed=3)["sim_1"]})
    again = hier.Model(f"{response} ~ x + (1 | judge)", data, family="cumulative")
    assert again.design.categories.tolist() == fit.model.design.categories.tolist()
    assert again.estimate().fixef["x"] == pytest.approx(fit.fixef["x"], abs=6 * fit.coefficients["std_error"]["x"])


def test_only_ordered_responses_have_probabilities_of_categories(pigs_reml):
    with pytest.raises(hier.FitError, match="only an ordered response"):
        pigs_reml.predict(kind="probabilities")
    with pytest.raises(hier.FitError, match="without standard errors"):
        rated("ordered").predict(kind="probabilities", se=True)
    with pytest.raises(hier.FitError, match="`kind` cannot be 'probs'"):
        rated("ordered").predict(kind="probs")
    pd.testing.assert_series_equal(pigs_reml.predict(kind="link"), pigs_reml.predict(type="response"))


@functools.cache
def cbpp() -> pd.DataFrame:
    data = pd.read_csv(HERE / "data" / "cbpp.csv", dtype={"period": str, "herd": str})
    return data.assign(share=data["incidence"] / data["size"], healthy=data["size"] - data["incidence"])


@functools.cache
def sick(left: str, weights: str | None = None) -> hier.Estimate:
    return hier.Model(f"{left} ~ period + (1 | herd)", cbpp(), family="binomial", weights=weights).estimate()


@pytest.mark.parametrize(
    ("left", "weights"),
    [
        ("incidence / size", "size"),
        ("incidence / size", None),
        ("share", "size"),
        ("I(incidence / size)", "size"),
        ("cbind(incidence, healthy)", None),
        ("incidence | trials(size)", None),
    ],
)
def test_trials_count_once(left, weights):
    """R: glmer of lme4 1.1-31, its own example, at a tolerance of 1e-12."""
    fit = sick(left, weights)
    assert fit.loglik == pytest.approx(-92.0262821, abs=1e-6)
    assert fit.fixef["Intercept"] == pytest.approx(-1.398532, abs=1e-4)
    assert fit.nobs == 56
    assert fit.model.row_weights is None


@pytest.mark.parametrize("change", [lambda size: 2 * size, lambda size: size + (size == 14)])
def test_other_weights_beside_a_ratio_are_refused(change):
    data = cbpp().assign(w=change(cbpp()["size"]))
    with pytest.raises(hier.DataError, match="are its numbers of trials, and these are others") as refused:
        hier.Model("incidence / size ~ period + (1 | herd)", data, family="binomial", weights="w")
    assert "`size` as the weights, or none" in str(refused.value)


@pytest.mark.parametrize(
    ("left", "weights", "column", "most"),
    [
        ("share", "size", "share", 1.0),
        ("I(incidence / size)", "size", None, 1.0),
        ("incidence / size", "size", "incidence", 34.0),
        ("incidence | trials(size)", None, "incidence", 34.0),
    ],
)
def test_simulations_are_what_the_response_is(left, weights, column, most):
    fit = sick(left, weights)
    drawn = fit.simulate(50, seed=2)
    assert (drawn.to_numpy().max() > 1.0) == (most > 1.0)
    assert drawn.to_numpy().max() <= most
    counts = drawn.mul(cbpp()["size"], axis=0) if most == 1.0 else drawn
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    if column:
        again = hier.Model(str(fit.model.formula), cbpp().assign(**{column: drawn["sim_1"]}), family="binomial",
                           weights=weights)  # fmt: skip
        np.testing.assert_array_equal(again.design.y, np.round(counts["sim_1"]))


@pytest.mark.parametrize(("labels", "kind"), [(["no", "yes"], "O"), ([False, True], "b")])
def test_two_labels_are_simulated_as_labels(labels, kind):
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.arange(80) % 8, "z": np.array(labels)[rng.integers(0, 2, 80)]})
    fit = hier.Model("z ~ 1 + (1 | g)", data, family="bernoulli").estimate()
    drawn = fit.simulate(2, seed=1)
    assert set(np.unique(drawn.astype(object))) == set(labels)
    again = hier.Model("z ~ 1 + (1 | g)", data.assign(z=drawn["sim_1"]), family="bernoulli")
    assert again.design.categories.tolist() == labels


@pytest.mark.parametrize("left", ["cbind(incidence, healthy)", "incidence / size", "incidence | trials(size)"])
def test_rows_of_no_trials_are_left_out_and_counted(left):
    none = cbpp().iloc[:3].assign(size=0, incidence=0, healthy=0, herd=["1", "2", "new"])
    data = pd.concat([cbpp(), none], ignore_index=True)
    fit = hier.Model(f"{left} ~ period + (1 | herd)", data, family="binomial").estimate()
    plain = sick(left)
    assert (fit.nobs, fit.df_resid) == (56, plain.df_resid)
    assert fit.bic == pytest.approx(plain.bic, abs=1e-9)
    assert "3 of 59 rows left out, with 0 trials" in fit.model.design.notes()
    assert fit.residuals.notna().all()
    assert list(fit.residuals.index) == list(range(56))
    assert "new" not in fit.ranef["herd"].index


def test_rows_of_weight_zero_are_left_out_and_counted(pigs):
    """As if they were not there; in lme4 the log-likelihood is then minus infinity."""
    weights = np.where(np.arange(len(pigs)) % 7 == 0, 0.0, 1.0 + pigs["week"] % 2)
    fit = hier.Model("weight ~ week + (1 | id)", pigs, weights=weights).estimate()
    kept = pigs[weights > 0].assign(w=weights[weights > 0])
    plain = hier.Model("weight ~ week + (1 | id)", kept, weights="w").estimate()
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-9)
    assert (fit.nobs, fit.bic) == (plain.nobs, pytest.approx(plain.bic, abs=1e-9))
    assert f"{len(pigs) - len(kept)} of {len(pigs)} rows left out, with a weight of 0" in fit.model.design.notes()
    with pytest.raises(hier.DataError, match="weights must be positive"):
        hier.Model("weight ~ week + (1 | id)", pigs, weights=0.0 * weights)


def test_a_proportion_of_nothing_is_a_row_of_no_trials():
    none = cbpp().iloc[:2].assign(size=0, incidence=0, share=np.nan)
    for left, said in (("share", "dropped for missing values"), ("incidence / size", "with 0 trials")):
        model = hier.Model(
            f"{left} ~ period + (1 | herd)", pd.concat([cbpp(), none]), family="binomial", weights="size"
        )
        assert model.design.nobs == 56
        assert any(said in note for note in model.design.notes())


def test_predictive_draws_are_on_the_scale_of_the_response():
    import numpyro.distributions as dist

    proportions = hier.Model(
        "share ~ 1 + (1 | herd)", cbpp(), family="binomial", weights="size", priors={"Intercept": dist.Normal(0, 1)}
    )
    drawn = proportions.sample_prior(20, seed=1)["prior_predictive"]["share"].to_numpy()
    assert 0.0 <= drawn.min() < 0.2 < 0.8 < drawn.max() <= 1.0
    ordered = hier.Model("ordered ~ x + (1 | judge)", ratings(), family="cumulative")
    assert set(np.unique(ordered.sample_prior(20, seed=1)["prior_predictive"]["ordered"])) <= {1.0, 2.0, 4.0, 5.0}
