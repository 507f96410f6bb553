"""Columns and grouping factors may be called as variables of a posterior are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier


@pytest.mark.slow
@pytest.mark.parametrize(("column", "group"), [("sigma", "beta"), ("obs", "chain"), ("b_g", "sigma")])
def test_names_of_variables_do_not_collide(column, group, tmp_path):
    """The draws are those of the same model under other names, and go to a file and back."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=80), "g": np.repeat(np.arange(8), 10)})
    data["y"] = 1 + 0.5 * data["x"] + rng.normal(size=8)[data["g"]] + 0.5 * rng.normal(size=80)
    options = {"chains": 1, "draws": 60, "warmup": 40, "seed": 1, "progress": False}
    plain = hier.Model("y ~ x + (x | g)", data).sample(**options)
    model = hier.Model(f"y ~ {column} + ({column} | {group})", data.rename(columns={"x": column, "g": group}))
    posterior = model.sample(**options)
    for name in ("beta", "sigma"):
        np.testing.assert_allclose(posterior.draws[name], plain.draws[name], rtol=1e-12)
    np.testing.assert_allclose(posterior.varcorr["sdcor"], plain.varcorr["sdcor"], rtol=1e-12)
    np.testing.assert_allclose(posterior.ranef[group], plain.ranef["g"], rtol=1e-12)
    back = hier.load_posterior(posterior.save(tmp_path / "posterior.nc"))
    assert back.summary() == posterior.summary()
    np.testing.assert_array_equal(back.draws["sigma"], posterior.draws["sigma"])
    parameters = hier.compare(model.estimate(), back).parameters
    assert parameters["term"].tolist().count(column) == 1
    assert set(model.sample_prior(5)["prior"].data_vars) >= {"beta", "sigma"}
