"""The posterior of the pigs: quality of the draws, the ArviZ tree, diagnosis, reproducibility, compilations."""

from __future__ import annotations

import dataclasses
import logging

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.posterior.diagnostics import bfmi, ess_bulk, ess_tail, rhat


def test_draws_of_every_variable_are_as_good_as_independent(pigs_posterior):
    for name, draws in pigs_posterior.draws.items():
        assert np.nanmin(ess_bulk(draws)) >= 3000, name
        assert np.nanmax(rhat(draws)) < 1.01, name
    assert pigs_posterior.stats["diverging"].sum() == 0
    diagnosis = pigs_posterior.diagnose()
    assert diagnosis.ok, str(diagnosis)
    assert "all checks passed" in str(diagnosis)


def test_posterior_is_near_reml(pigs_reml, pigs_posterior):
    shift = (pigs_posterior.fixef - pigs_reml.fixef) / pigs_reml.coefficients["std_error"]
    assert shift.abs().max() < 0.1
    difference = pigs_posterior.ranef["id"] - pigs_reml.ranef["id"]
    assert (difference.abs() / pigs_posterior.ranef_se["id"]).to_numpy().max() < 0.2
    assert pigs_posterior.sigma == pytest.approx(pigs_reml.sigma, rel=0.02)
    assert pigs_posterior.varcorr.shape == pigs_reml.varcorr.shape
    assert pigs_posterior.varcorr["sdcor"][0] == pytest.approx(pigs_posterior.draws["sd_id"][..., 0].mean())


def test_tree_has_arviz_names_and_the_datas_levels(pigs_posterior):
    tree = pigs_posterior.data
    posterior = tree["posterior"].dataset
    assert set(tree.children) >= {"posterior", "sample_stats", "observed_data", "constant_data"}
    assert posterior["b_id"].dims == ("chain", "draw", "id", "id_coef")
    assert posterior["cor_id"].dims == ("chain", "draw", "id_pair")
    assert posterior["id"].to_numpy().tolist() == list(range(1, 49))
    assert posterior["coef"].to_numpy().tolist() == ["Intercept", "week"]
    assert {"diverging", "energy", "lp", "n_steps"} <= set(tree["sample_stats"].dataset.data_vars)
    assert posterior["beta"].shape == (4, 1000, 2)


def test_saved_posterior_is_read_back_whole(pigs_posterior, tmp_path):
    path = pigs_posterior.save(tmp_path / "pigs.nc")
    again = hier.load_posterior(path)
    for name, draws in pigs_posterior.draws.items():
        np.testing.assert_array_equal(again.draws[name], draws)
    assert again.summary() == pigs_posterior.summary()
    assert [p.name for p in tmp_path.iterdir()] == ["pigs.nc"]
    with pytest.raises(hier.JobError, match="no file"):
        hier.load_posterior(tmp_path / "missing.nc")
    (tmp_path / "bad.nc").write_text("not a posterior")
    with pytest.raises(hier.JobError, match="not a posterior"):
        hier.load_posterior(tmp_path / "bad.nc")


def test_same_seed_same_draws_and_other_seed_others(pigs_model, pigs_posterior):
    again = pigs_model.sample(chains=4, draws=1000, seed=1, progress=False)
    other = pigs_model.sample(chains=4, draws=1000, seed=2, progress=False)
    np.testing.assert_array_equal(again.draws["b_id"], pigs_posterior.draws["b_id"])
    assert not np.array_equal(other.draws["sigma"], again.draws["sigma"])


def test_a_second_data_set_of_the_same_structure_compiles_nothing(pigs_model, pigs, caplog):
    """Fit and sample, once for the programs, then for fewer pigs with other weights under a counter of compilations."""
    pigs_model.estimate()
    pigs_model.sample(draws=100, seed=1, progress=False)
    other = pigs[pigs["id"] <= 46].assign(weight=lambda d: 3.0 * d["weight"] + d["week"] ** 1.5)
    model = hier.Model("weight ~ week + (week | id)", other)
    with caplog.at_level(logging.WARNING), jax.log_compiles(True):
        model.estimate()
        model.sample(draws=150, seed=7, progress=False)
    compiled = [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]
    assert compiled == []
    with caplog.at_level(logging.WARNING), jax.log_compiles(True):  # the counter does count
        jax.jit(lambda x: x * 3 + 1)(np.arange(17.0))
    assert any("Compiling" in r.getMessage() for r in caplog.records)


def test_the_users_float32_program_is_left_alone(pigs_model):
    pigs_model.estimate()
    assert jax.numpy.ones(3).dtype == jax.numpy.float32


@pytest.mark.slow
def test_own_priors_are_used_and_named(pigs):
    model = hier.Model(
        "weight ~ week + (week | id)",
        pigs,
        priors={"sigma": dist.HalfNormal(0.01), "week": dist.Normal(0.0, 1e-4), "sd_id[week]": dist.Exponential(5.0)},
    )
    assert "HalfNormal(0.01)" in repr(model)
    post = model.sample(chains=2, draws=200, seed=1, progress=False)
    assert post.fixef["week"] == pytest.approx(0.0, abs=1e-3)
    assert post.sigma < 1.2
    map_fit = model.estimate("map")
    assert map_fit.fixef["week"] == pytest.approx(0.0, abs=1e-3)


def test_priors_that_are_not_normal_are_sampled(pigs):
    """Student-t priors on the fixed effects cannot be integrated out; the answer must not depend on the route."""
    wide = {"Intercept": dist.Normal(20.0, 50.0), "week": dist.Normal(6.0, 10.0)}
    tails = {"Intercept": dist.StudentT(200.0, 20.0, 50.0), "week": dist.StudentT(200.0, 6.0, 10.0)}
    integrated = hier.Model("weight ~ week + (week | id)", pigs, priors=wide).sample(seed=1, progress=False)
    sampled = hier.Model("weight ~ week + (week | id)", pigs, priors=tails).sample(seed=2, progress=False)
    for name in ("beta", "sd_id", "sigma"):
        a, b = integrated.draws[name], sampled.draws[name]
        error = np.sqrt(a.var(axis=(0, 1)) / ess_bulk(a) + b.var(axis=(0, 1)) / ess_bulk(b))
        assert (np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) / error).max() < 4.5, name
    point = hier.Model("weight ~ week + (week | id)", pigs, priors=tails).estimate("map")
    assert point.fixef["week"] == pytest.approx(integrated.fixef["week"], abs=0.02)
    assert point.coefficients["std_error"]["week"] == pytest.approx(0.092, rel=0.03)


def test_diagnosis_says_what_is_wrong(pigs_posterior):
    draws = dict(pigs_posterior.draws)
    draws["sigma"] = draws["sigma"] + np.arange(4.0)[:, None]
    stats = dict(pigs_posterior.stats)
    stats["diverging"] = stats["diverging"].copy()
    stats["diverging"][0, :3] = True
    stats["energy"] = np.cumsum(stats["energy"] - stats["energy"].mean(), axis=1)
    bad = dataclasses.replace(pigs_posterior, draws=draws, stats=stats)
    said = " ".join(bad.diagnose().problems)
    assert not bad.diagnose().ok
    for piece in ("R-hat of `sigma`", "3 of 4000 draws diverged", "E-BFMI of chain 0"):
        assert piece in said


def test_diagnostics_of_known_processes():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(4, 2000))
    assert rhat(white) == pytest.approx(1.0, abs=0.005)
    assert ess_bulk(white) == pytest.approx(8000, rel=0.1)
    assert ess_tail(white) == pytest.approx(8000, rel=0.2)
    slow = np.zeros((4, 20000))
    for t in range(1, slow.shape[1]):
        slow[:, t] = 0.9 * slow[:, t - 1] + rng.normal(size=4)
    assert ess_bulk(slow) == pytest.approx(80000 * 0.1 / 1.9, rel=0.15)  # n (1 - r) / (1 + r)
    assert bfmi(white) == pytest.approx(2.0, abs=0.15)
    assert np.isnan(rhat(np.ones((4, 100))))


def test_prior_draws_follow_the_priors(pigs_model):
    tree = pigs_model.sample_prior(draws=2000, seed=3)
    prior = tree["prior"].dataset
    assert tree["prior_predictive"]["weight"].shape == (1, 2000, 432)
    spread = 2.5 * np.std(pigs_model.design.y, ddof=1)
    assert float(np.median(prior["sigma"])) == pytest.approx(spread * 0.7649, rel=0.08)  # quartile of Student-t(3)
    at_means = prior["beta"].sel(coef="Intercept") + 5.0 * prior["beta"].sel(coef="week")
    assert float(at_means.std()) == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize(
    "bad", [{"chains": 0}, {"draws": 2.5}, {"warmup": 3}, {"target_accept": 1.5}, {"device": "tpu"}]
)
def test_settings_that_make_no_sense_are_refused(pigs_model, bad):
    with pytest.raises(hier.FitError, match=next(iter(bad)).replace("device", "tpu")):
        pigs_model.sample(**{"progress": False, **bad})


@pytest.mark.slow
def test_levels_of_text_and_no_correlations(pigs):
    table = pigs.assign(id=pd.Categorical("pig " + pigs["id"].astype(str)))
    post = hier.Model("weight ~ week + (week || id)", table).sample(chains=2, draws=100, seed=1, progress=False)
    assert "cor_id" not in post.draws
    assert post.data["posterior"]["id"].to_numpy()[0] == "pig 1"
    assert post.varcorr.shape == (3, 5)


@pytest.mark.slow
def test_a_name_with_a_slash_comes_back_from_the_file(pigs, tmp_path):
    """A slash parts the levels of a tree, so it cannot stand in a variable's name there."""
    renamed = pigs.rename(columns={"id": "farm/pig", "weight": "kg/pig"})
    model = hier.Model("`kg/pig` ~ week + (1 | `farm/pig`)", renamed)
    post = model.sample(chains=2, draws=50, progress=False)
    post.save(tmp_path / "slash.nc")
    back = hier.load_posterior(tmp_path / "slash.nc")
    assert list(back.ranef) == ["farm/pig"]
    np.testing.assert_array_equal(back.draws["b_farm|pig"], post.draws["b_farm|pig"])
    np.testing.assert_array_equal(back.observed, renamed["kg/pig"])
