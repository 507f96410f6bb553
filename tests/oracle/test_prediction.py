"""Predictions, shares of variance and profile intervals against R's, on published data."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier
from tests.oracle.test_lmm_cases import frame

HERE = Path(__file__).parent
R = json.loads((HERE / "inference.json").read_text())
MODELS = R["models"]
# R's profile follows one best point of the others, where the best one has no correlation to bound
PROFILED = sorted(set(MODELS) - {"orthodont", "scots"})


@functools.cache
def fit(name: str):
    case = MODELS[name]
    return hier.Model(case["formula"], frame(case), weights=case["weights"]).estimate()


@pytest.mark.parametrize("case", R["r_squared"], ids=lambda case: case["model"])
def test_r_squared_is_that_of_the_variances(case):
    found = fit(case["model"]).r2()
    np.testing.assert_allclose(found["marginal"], case["marginal"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found["conditional"], case["conditional"], rtol=1e-6)


@pytest.mark.parametrize("case", R["predictions"], ids=lambda case: case["model"])
def test_predictions(case):
    own, new = fit(case["model"]), pd.DataFrame(case["new"])
    fixed = own.predict(new, random="none", se=True)
    np.testing.assert_allclose(fixed["fit"], case["fixed_only"], rtol=1e-8)
    np.testing.assert_allclose(fixed["se"], case["se_fixed_only"], rtol=1e-6)
    np.testing.assert_allclose(own.predict(new, new_levels="zero"), case["all"], rtol=1e-6)
    if "subset" in case:
        term = case["subset"].removeprefix("~ ")
        np.testing.assert_allclose(own.predict(new, random=term, new_levels="zero"), case["some"], rtol=1e-6)


def r_name(name: str, own) -> str:
    """`sd_g[Intercept]` as lme4 has it, `sd_(Intercept)|g`; fixed effects by their place."""
    design = own.model.design
    for random in design.random_effects:
        for k, column in enumerate(random.names):
            r = "(Intercept)" if column == "Intercept" else column.replace("[T.", "").replace("]", "")
            if name == f"sd_{random.group}[{column}]":
                return f"sd_{r}|{random.group}"
            for other in random.names[:k]:
                if name == f"cor_{random.group}[{other},{column}]":
                    first = "(Intercept)" if other == "Intercept" else other.replace("[T.", "").replace("]", "")
                    return f"cor_{r}.{first}|{random.group}"
    return name


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILED)
def test_profile_intervals(name):
    """R's limits are those of roots found to 1e-9, not of lme4's splines."""
    own = fit(name)
    rows = dict(MODELS[name]["confint_profile_ml"]["rows"])
    table = own.confint("profile")
    fixed = dict(zip(own.model.design.names, MODELS[name]["fixed"], strict=True))
    for label, bounds in table.iterrows():
        expected = rows.pop(fixed.get(label) or r_name(label, own))
        np.testing.assert_allclose(bounds, expected, rtol=1e-7, atol=1e-9, err_msg=label)
    assert not rows
