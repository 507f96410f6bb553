"""Draws from Normal approximations: labelled as such, and carrying what says how good they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier
from hier.posterior.pareto_smoothing import smooth

FORMULAS = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "Penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
}
ORACLE = Path(__file__).parents[1] / "oracle" / "data"


@pytest.mark.parametrize("method", ["laplace", "advi"])
def test_approximate_draws_are_near_the_posterior_and_say_what_they_are(method, pigs_model, pigs_posterior, tmp_path):
    found = pigs_model.sample(method=method, seed=1, progress=False)
    assert found.is_approximate
    assert not pigs_posterior.is_approximate
    assert np.isnan(pigs_posterior.pareto_k)
    assert "approximate" in found.method
    assert f"Pareto k of the importance weights {found.pareto_k:.2f}" in found.summary()
    assert found.pareto_k < 0.7
    sd = np.sqrt(np.diag(pigs_posterior.vcov))
    np.testing.assert_allclose(found.fixef, pigs_posterior.fixef, atol=0.1 * sd.max())
    own, other = found.tidy(), pigs_posterior.tidy()
    off = np.abs(own["estimate"] - other["estimate"]) / other["std_error"]
    assert off.max() < 0.1
    np.testing.assert_allclose(own["std_error"], other["std_error"], rtol=0.08)
    np.testing.assert_allclose(own["conf_high"], other["conf_high"], atol=0.2 * other["std_error"].max())
    read = hier.load_posterior(found.save(tmp_path / "draws.nc"))
    assert read.pareto_k == found.pareto_k


@pytest.mark.parametrize("method", ["laplace", "advi"])
@pytest.mark.parametrize("name", ["sleepstudy", "Penicillin"])
def test_resampled_draws_are_as_good_as_the_posteriors(name: str, method: str) -> None:
    formulas = {
        "sleepstudy": "Reaction ~ Days + (Days | Subject)",
        "Penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    }
    model = hier.Model(formulas[name], pd.read_csv(ORACLE / f"{name}.csv"))
    found, exact = model.sample(method=method, seed=1, progress=False), model.sample(seed=2, progress=False)
    assert found.pareto_k < 0.5
    assert found.diagnose().ok
    own, other = found.tidy(), exact.tidy()
    assert (np.abs(own["estimate"] - other["estimate"]) / other["std_error"]).max() < 0.12
    np.testing.assert_allclose(own["std_error"], other["std_error"], rtol=0.12)
    assert found.logo(exact.groups[0].name).elpd == pytest.approx(exact.logo(exact.groups[0].name).elpd, abs=1.0)


def test_few_groups_of_two_rows_are_resampled_well() -> None:
    """Three groups of two rows: the posterior of their sd is far from Normal in any coordinate."""
    data = {"g": np.repeat(np.arange(3), 2), "y": np.array([0.3, -1.1, 2.5, 0.2, -0.4, 9.0])}
    model = hier.Model("y ~ 1 + (1 | g)", data)
    found = model.sample(method="laplace", draws=2000, seed=2, progress=False)
    exact = model.sample(draws=2000, seed=3, target_accept=0.95, progress=False)
    assert found.pareto_k < 0.7
    for name in ("sd_g", "sigma"):
        quantiles = [np.quantile(own.draws[name], [0.1, 0.5, 0.9]) for own in (found, exact)]
        np.testing.assert_allclose(*quantiles, rtol=0.2)


def test_poor_approximations_fail_the_diagnosis(pigs_model):
    found = pigs_model.sample(method="laplace", draws=250, seed=2, progress=False)
    poor = dataclasses.replace(found, stats={**found.stats, "pareto_k": np.full((4, 250), 0.84)})
    diagnosis = poor.diagnose()
    assert not diagnosis.ok
    assert 'Pareto k is 0.84, above 0.7: the approximation is poor; use method="nuts"' in str(diagnosis)
    assert "diverg" not in str(diagnosis)


def test_draws_of_earlier_files_keep_their_weights(pigs_model, tmp_path) -> None:
    found = pigs_model.sample(method="laplace", draws=250, seed=2, progress=False)
    weight = 0.3 * np.random.default_rng(1).standard_normal((4, 250))
    old = dataclasses.replace(found, stats={"lp": found.stats["lp"], "log_weight": weight})
    read = hier.load_posterior(old.save(tmp_path / "old.nc"), model=pigs_model)
    assert read.is_approximate
    assert read.pareto_k == float(smooth(weight.reshape(-1, 1)).k[0])
    assert read.loo().elpd != found.loo().elpd


def test_an_unknown_method_is_refused(pigs_model):
    with pytest.raises(hier.FitError, match="`method` cannot be 'lapace'"):
        pigs_model.sample(method="lapace")
