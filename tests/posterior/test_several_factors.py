"""Posteriors of several grouping factors: shapes and names, tables, the tree, and files with names of all kinds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import hier
from hier.design import Block
from hier.posterior.posterior import Posterior
from hier.posterior.variable_names import stems
from tests.posterior.made_up import group, made_up

FORMULA = "y ~ 1 + (1 | `lab:b/c`) + (1 + x | tree)"


def table() -> pd.DataFrame:
    """Three laboratories, crossed with eleven trees, which are numbers; the factor with more levels stands second."""
    random = np.random.default_rng(3)
    lab, tree, x = random.integers(0, 3, 120), random.integers(0, 11, 120), random.normal(size=120)
    b, c = random.normal(size=(11, 2)), 2.0 * random.normal(size=3)
    y = 5.0 + c[lab] + b[tree, 0] + b[tree, 1] * x + 0.7 * random.normal(size=120)
    return pd.DataFrame({"y": y, "x": x, "lab:b/c": np.array(["<a>", "B", "ç"])[lab], "tree": tree + 100})


@pytest.fixture(scope="module")
def model() -> hier.Model:
    return hier.Model(FORMULA, table())


@pytest.fixture(scope="module")
def posterior(model) -> Posterior:
    return model.sample(chains=2, draws=200, seed=4, progress=False)


def test_draws_and_groups_stand_in_the_order_of_the_formula(posterior):
    assert [(group.name, group.n_levels, group.names) for group in posterior.groups] == [
        ("lab:b/c", 3, ("Intercept",)),
        ("tree", 11, ("Intercept", "x")),
    ]
    shapes = {name: draws.shape[2:] for name, draws in posterior.draws.items()}
    assert shapes == {
        "beta": (1,),
        "sd_lab:b|c": (1,),
        "b_lab:b|c": (3, 1),
        "sd_tree": (2,),
        "sd_tree_centred": (2,),
        "cor_tree": (1,),
        "cor_tree_centred": (1,),
        "b_tree": (11, 2),
        "sigma": (),
    }


def test_the_posterior_is_near_the_estimate_factor_by_factor(model, posterior):
    estimate = model.estimate()
    for name in ("lab:b/c", "tree"):
        assert list(posterior.ranef[name].index) == list(estimate.ranef[name].index)
        apart = (posterior.coef[name]["Intercept"] - estimate.coef[name]["Intercept"]).abs()
        assert apart.max() < 0.4
    rows = ["group", "term1", "term2"]
    pd.testing.assert_frame_equal(posterior.varcorr[rows], estimate.varcorr[rows])
    assert list(posterior.varcorr["group"]) == ["tree"] * 3 + ["lab:b/c", "Residual"]
    found = posterior.varcorr["sdcor"].to_numpy(dtype=float)
    draws = posterior.draws
    expected = [*draws["sd_tree"].mean(axis=(0, 1)), draws["cor_tree"][..., 0].mean()]
    np.testing.assert_allclose(found, [*expected, draws["sd_lab:b|c"].mean(), draws["sigma"].mean()])
    covariance = (draws["cor_tree"][..., 0] * draws["sd_tree"].prod(axis=-1)).mean()
    assert posterior.varcorr["vcov"][2] == pytest.approx(covariance)
    labels = ["effect", "group", "term"]
    pd.testing.assert_frame_equal(posterior.tidy()[labels], estimate.tidy()[labels])


def test_the_summary_has_a_block_for_each_factor_the_largest_first(posterior):
    text = posterior.summary()
    heads = [
        "Group-level effects:",
        "~tree (Number of levels: 11)",
        "cor(Intercept,x)",
        "~lab:b/c (Number of levels: 3)",
        "Regression coefficients:",
        "Residual:",
    ]
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert text.count("sd(Intercept)") == 2
    assert set(posterior.diagnose().table.index) == set(posterior.draws)


def test_the_tree_has_dimensions_for_each_factor(posterior):
    draws = posterior.data["posterior"].dataset
    assert draws["b_tree"].dims == ("chain", "draw", "tree", "tree_coef")
    assert draws["cor_tree"].dims == ("chain", "draw", "tree_pair")
    assert draws["tree_pair"].to_numpy().tolist() == ["Intercept,x"]
    assert draws["b_lab:b|c"].dims == ("chain", "draw", "lab:b|c", "lab:b|c_coef")
    assert draws["lab:b|c"].to_numpy().tolist() == ["<a>", "B", "ç"]
    assert draws["tree"].to_numpy().tolist() == list(range(100, 111))
    constant = posterior.data["constant_data"].dataset
    np.testing.assert_array_equal(constant["tree_codes"] + 100, table()["tree"])


def test_prior_draws_have_every_factor(model):
    tree = model.sample_prior(draws=400, seed=2)
    prior = tree["prior"].dataset
    assert prior["b_tree"].shape == (1, 400, 11, 2)
    assert prior["b_lab:b|c"].shape == (1, 400, 3, 1)
    y = tree["prior_predictive"]["y"].to_numpy()[0]
    data, b = table(), prior["b_tree"].to_numpy()[0][:, model.design.random_effects[1].codes]
    lab = prior["b_lab:b|c"].to_numpy()[0][:, model.design.random_effects[0].codes, 0]
    mean = prior["beta"].to_numpy()[0] + lab + b[..., 0] + b[..., 1] * data["x"].to_numpy()
    scaled = (y - mean) / prior["sigma"].to_numpy()[0][:, None]
    assert scaled.std() == pytest.approx(1.0, abs=0.02)  # 48,000 residuals: standard Normal, and nothing is missing
    assert scaled.mean() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("response", ["y", "obs", "kg/pig", "."])
@pytest.mark.parametrize(
    "names",
    [
        ["b:a", "a"],
        ["a/b", "a|b"],  # which a tree would call the same
        ["coef", "chain", "draw", "obs"],
        ["sigma", "beta"],
        ["a", "a_coef", "a_pair", "sd_a", "b_a", "cor_a", "a_centred"],
        ["x[1]", "ü", "1", " ", "."],
    ],
)
def test_factors_of_all_names_come_back_from_a_file(names, response, tmp_path):
    before = made_up([group(name, ["u", "v"], stem) for name, stem in zip(names, stems(names), strict=True)], response)
    after = hier.load_posterior(before.save(tmp_path / "p.nc"))
    assert [each.name for each in after.groups] == names
    assert list(after.draws) == list(before.draws)
    for name, draws in before.draws.items():
        np.testing.assert_array_equal(after.draws[name], draws)
    for one, other in zip(before.groups, after.groups, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        assert (one.names, one.blocks) == (other.names, other.blocks)
    assert after.response == response
    np.testing.assert_array_equal(after.observed, before.observed)
    np.testing.assert_array_equal(after.index, before.index)


LEVELS = {
    "booleans": [False, True],
    "numbers": [3, 5],
    "small": pd.Index([1, 2], dtype="int8"),
    "large": pd.Index([1, 2**63 + 5], dtype="uint64"),
    "fractions": [0.5, 1.5],
    "text": ["", "日本"],
    "dates": pd.DatetimeIndex(["2020-01-01 00:00:00.000", "2021-03-02 10:00:00.125"]),
    "zoned": pd.DatetimeIndex(["2020-01-01", "2021-07-02"], tz="Europe/Berlin"),
    "spans": pd.to_timedelta([1, 2], "h"),
    "months": pd.period_range("2020-01", periods=2, freq="M"),
}


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_come_back_from_a_file_as_they_were(kind, tmp_path):
    before = made_up([group("g", LEVELS[kind]), group("h", ["u", "v", "w"])])
    after = hier.load_posterior(before.save(tmp_path / "p.nc"))
    pd.testing.assert_index_equal(after.groups[0].levels, before.groups[0].levels)
    assert list(after.ranef["h"].index) == ["u", "v", "w"]


def test_structures_come_back_from_a_file(tmp_path):
    one = group("g", ["u", "v"])
    blocks = (Block(2, "ar1", homogeneous=True), Block(2, "diag"), Block(1))
    both = made_up([dataclasses.replace(one, names=tuple("abcde"), blocks=blocks), group("h", ["a", "b"])])
    after = hier.load_posterior(both.save(tmp_path / "p.nc"))
    assert [each.blocks for each in after.groups] == [blocks, (Block(1),)]
    assert after.groups[0].is_correlated
    assert after.data["posterior"]["g_pair"].to_numpy().tolist() == ["a,b"]
    assert not dataclasses.replace(one, blocks=(Block(2, "diag", homogeneous=True),)).is_correlated


@pytest.mark.parametrize("levels", [pd.interval_range(0, 2), pd.Index(["a\0b", "c"])])
def test_intervals_and_odd_text_come_back_from_a_file_as_they_were(tmp_path, levels):
    posterior = made_up([group("g", levels)]).save(tmp_path / "p.nc")
    assert list(hier.load_posterior(posterior).groups[0].levels) == list(levels)
