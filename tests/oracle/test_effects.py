"""Predictions, comparisons and slopes against lme4 with the delta method written out in R (`effects.R`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

HERE = Path(__file__).parent
R = json.loads((HERE / "effects.json").read_text())
# by two optimisers, each within its own tolerance of the optimum
NORMAL, OTHERS = 1e-5, 3e-3


def table(name: str, **labels) -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / f"{name}.csv", dtype=labels)


def assert_as_in_r(found: pd.DataFrame, name: str, rtol: float) -> None:
    expected = R[name]
    np.testing.assert_allclose(found["estimate"], np.atleast_1d(expected["estimate"]), rtol=rtol)
    np.testing.assert_allclose(found["std_error"], np.atleast_1d(expected["std_error"]), rtol=3 * rtol)


@pytest.fixture(scope="module")
def chicks():
    data = table("ChickWeight", Diet=str, Chick=str)
    return hier.Model("weight ~ Time + I(Time^2) + Diet * Time + (1 | Chick)", data).estimate()


def test_chick_weights(chicks):
    grid = {"Time": [0, 10, 21], "Diet": ["1", "2", "3", "4"]}
    found = chicks.slopes("Time", newdata=grid)
    assert_as_in_r(found, "chick_slopes", NORMAL)
    assert list(found["Diet"]) == ["1", "2", "3", "4"] * 3
    assert_as_in_r(chicks.avg_slopes("Time", random="none"), "chick_avg_slope", NORMAL)
    by_diet = chicks.avg_predictions(by="Diet", random="none")
    assert_as_in_r(by_diet, "chick_by_diet", NORMAL)
    assert list(by_diet["Diet"]) == ["1", "2", "3", "4"]
    diets = chicks.avg_comparisons("Diet", random="none")
    assert_as_in_r(diets, "chick_diet", NORMAL)
    assert list(diets["contrast"]) == ["2 - 1", "3 - 1", "4 - 1"]


def test_infections_of_herds():
    data = table("cbpp", period=str, herd=str)
    fit = hier.Model("cbind(incidence, size - incidence) ~ period + (1 | herd)", data, family="binomial").estimate()
    assert_as_in_r(fit.avg_predictions(random="none"), "cbpp_avg", OTHERS)
    for name, how in (("cbpp_difference", "difference"), ("cbpp_ratio", "ratio"), ("cbpp_lnor", "lnor")):
        assert_as_in_r(fit.avg_comparisons("period", comparison=how, random="none"), name, OTHERS)


def test_ticks_of_broods():
    data = table("grouseticks", YEAR=str, BROOD=str)
    data["cHEIGHT"] = data["HEIGHT"] / 100 - 4.6
    fit = hier.Model("TICKS ~ YEAR + cHEIGHT + (1 | BROOD)", data, family="poisson").estimate()
    assert_as_in_r(fit.avg_slopes("cHEIGHT", random="none"), "ticks_slope", OTHERS)
    assert_as_in_r(fit.avg_slopes("cHEIGHT", by="YEAR", random="none"), "ticks_by_year", OTHERS)
    assert_as_in_r(fit.avg_comparisons({"cHEIGHT": "sd"}, random="none"), "ticks_sd", OTHERS)
