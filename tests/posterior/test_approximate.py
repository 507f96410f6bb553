"""Draws from Normal approximations: labelled as such, and carrying what says how good they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hier


@pytest.mark.parametrize("method", ["laplace", "advi"])
def test_approximate_draws_are_near_the_posterior_and_say_what_they_are(method, pigs_model, pigs_posterior, tmp_path):
    found = pigs_model.sample(method=method, seed=1, progress=False)
    assert found.is_approximate
    assert not pigs_posterior.is_approximate
    assert np.isnan(pigs_posterior.pareto_k)
    assert "approximate" in found.method
    assert f"Pareto k of the importance weights {found.pareto_k:.2f}" in found.summary()
    # what is integrated out is drawn exactly given the few others, whose approximation is off by a tenth of their sd
    sd = np.sqrt(np.diag(pigs_posterior.vcov))
    np.testing.assert_allclose(found.fixef, pigs_posterior.fixef, atol=0.1 * sd.max())
    own, other = found.tidy(), pigs_posterior.tidy()
    off = np.abs(own["estimate"] - other["estimate"]) / other["std_error"]
    assert off.max() < (0.35 if method == "laplace" else 0.15)
    read = hier.load_posterior(found.save(tmp_path / "draws.nc"))
    assert read.pareto_k == found.pareto_k


def test_poor_approximations_fail_the_diagnosis():
    """Importance weights whose tail is so heavy that they have no variance."""
    data = {"g": np.repeat(np.arange(3), 2), "y": np.array([0.3, -1.1, 2.5, 0.2, -0.4, 9.0])}
    found = hier.Model("y ~ 1 + (1 | g)", data).sample(method="laplace", draws=1000, seed=2, progress=False)
    assert found.diagnose().ok
    heavy = np.random.default_rng(1).exponential(0.9, found.stats["log_weight"].shape)  # Pareto's, of shape 0.9
    poor = dataclasses.replace(found, stats=found.stats | {"log_weight": heavy})
    diagnosis = poor.diagnose()
    assert poor.pareto_k == pytest.approx(0.9, abs=0.2)
    assert not diagnosis.ok
    assert 'the approximation is poor; use method="nuts"' in str(diagnosis)


def test_an_unknown_method_is_refused(pigs_model):
    with pytest.raises(hier.FitError, match="`method` cannot be 'lapace'"):
        pigs_model.sample(method="lapace")
