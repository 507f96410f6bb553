"""Posteriors of models in posteriordb, whose means, sds and quantiles are known, with the priors of its Stan programs.

The hierarchical ones come from deterministic quadrature, so only hier's own Monte Carlo error counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.posterior.diagnostics import ess_bulk

FOLDER = Path(__file__).parents[3] / "shared" / "reference"
RADON = {"Intercept": dist.Normal(0.0, 10.0), "sd_county": dist.HalfNormal(1.0), "sigma": dist.HalfNormal(1.0)}
UNIFORM = dist.Uniform(0.0, 100.0)

# by case: the priors, and where each parameter of the Stan program is among hier's
CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "seeds_data-seeds_stanified_model": (
        {name: dist.Normal(0.0, 1.0) for name in ("Intercept", "x1", "x2", "x1:x2")}
        | {"sd_plate": dist.HalfCauchy(1.0)},
        {
            "alpha0": "Intercept",
            "alpha1": "x1",
            "alpha2": "x2",
            "alpha12": "x1:x2",
            "sigma": "sd_plate",
            "b": "b_plate",
        },
    ),
    "GLMM_data-GLMM1_model": (
        {"Intercept": dist.Normal(0.0, 10.0), "sd_site": dist.Uniform(0.0, 5.0)},
        {"mu_alpha": "Intercept", "sd_alpha": "sd_site", "u": "b_site"},
    ),
    "radon_mn-radon_partially_pooled": (
        RADON,
        {"mu_alpha": "Intercept", "sigma_alpha": "sd_county", "sigma_y": "sigma", "alpha": "Intercept + b_county"},
    ),
    "radon_mn-radon_hierarchical_intercept": (
        RADON | {"log_uppm": dist.Normal(0.0, 10.0), "floor": dist.Normal(0.0, 10.0)},
        {
            "mu_alpha": "Intercept",
            "beta[1]": "log_uppm",
            "beta[2]": "floor",
            "sigma_alpha": "sd_county",
            "sigma_y": "sigma",
            "alpha": "Intercept + b_county",
        },
    ),
    "radon_mn-radon_variable_intercept_slope": (
        RADON | {"floor": dist.Normal(0.0, 10.0)},
        {
            "mu_alpha": "Intercept",
            "mu_beta": "floor",
            "sigma_alpha": "sd_county",
            "sigma_beta": "sd_county[floor]",
            "sigma_y": "sigma",
            "alpha": "Intercept + b_county",
        },
    ),
    "pilots-pilots": (
        {
            "Intercept": dist.Normal(0.0, 200.0**0.5),
            "sd_group": UNIFORM,
            "sd_scenario": UNIFORM,
            "sigma": UNIFORM,
        },
        {
            "10*(mu_a+mu_b)": "Intercept",
            "sigma_a": "sd_group",
            "sigma_b": "sd_scenario",
            "sigma_y": "sigma",
            "u_group": "b_group",
            "u_scenario": "b_scenario",
        },
    ),
}
QUICK = ("radon_mn-radon_variable_intercept_slope",)


def draws_of(post: hier.Posterior, place: str, level: str) -> np.ndarray:
    """Draws (C, D) of a parameter; of the level's deviation, where it is one, with the intercept added if `place` says
    so.
    """
    if place.startswith("Intercept + "):
        return draws_of(post, "Intercept", "") + draws_of(post, place.removeprefix("Intercept + "), level)
    if place in post.coef_names:
        return post.draws["beta"][..., post.coef_names.index(place)]
    if place.startswith("b_"):
        (group,) = [own for own in post.groups if own.name == place.removeprefix("b_")]
        return post.draws[place][..., list(group.levels).index(level), 0]
    variable, _, column = place.partition("[")
    draws = post.draws[variable]
    return draws[..., 1 if column else 0] if draws.ndim == 3 else draws


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_posterior_is_that_of_posteriordb(name):
    if not FOLDER.exists():
        pytest.skip("the reference posteriors are not beside this repository")
    cases = json.loads((FOLDER / "posteriordb_cases.json").read_text(encoding="utf-8"))
    (case,) = [own for own in cases if own["name"] == name]
    given, places = CASES[name]
    data = pd.read_csv(FOLDER / case["data"])
    options = {"family": case["family"].split(",")[0]}
    post = hier.Model(case["formula"], data, priors=given, **options).sample(
        chains=4, draws=4000, seed=1, target_accept=0.9, progress=False
    )
    compared = 0
    for parameter, known in case["reference"].items():
        stem, _, level = parameter.removesuffix("]").partition("[")
        place = places.get(parameter) or places.get(stem)
        if place is None:
            continue
        compared += 1
        draws = draws_of(post, place, level)
        check(parameter, draws, known)
    assert compared >= len(places)


def check(parameter: str, draws: np.ndarray, known: dict[str, Any]) -> None:
    """Mean within 4 Monte Carlo standard errors and sd within 5 percent; quantiles by the share of draws below them."""
    error = draws.std() / np.sqrt(ess_bulk(draws[..., None])[0])
    assert abs(draws.mean() - known["mean"]) < 4.0 * error, parameter
    assert draws.std() == pytest.approx(known["sd"], rel=0.05), parameter
    for quantile, value in known.get("quantiles", {}).items():
        below, share = draws < value, float(quantile.removesuffix("%")) / 100.0
        error = np.sqrt(share * (1.0 - share) / ess_bulk(below.astype(float)[..., None])[0])
        assert abs(below.mean() - share) < 4.0 * error, (parameter, quantile)
