"""Estimated marginal means against emmeans: nested factors, empty cells, covariates of two values, offsets, and ordered
responses.

`means.json` holds what emmeans 1.8.4 (R 4.2.2) gave for fits of lme4 1.1-31, with lmerTest 3.1-3, and ordinal 2022.11
to `messy.csv`, which is simulated: `M` and `N` within `A`, `C` within `N`, `copy` is `A` by other names, `z` and `two`
have two values, and `hole` are the rows without which the cell of `A` r and `b` w is empty.
"""

from __future__ import annotations

import functools
import json

import numpy as np
import pandas as pd
import pytest

import hier
from tests.oracle.test_lmm_cases import HERE

CASES = json.loads((HERE / "means.json").read_text(encoding="utf-8"))
# where R's optimisers stop, relative to the standard error, and how exact its standard errors are: glmer's and clmm's
# come from numerical derivatives
ESTIMATE = {"lmer": 1e-5, "glmer": 2e-4, "clmm": 2e-3}
STD_ERROR = {"lmer": 1e-5, "glmer": 2e-3, "clmm": 2e-3}
# one of each kind; each formula is a program to compile
QUICK = (
    "y ~ A * N + x + (1 | g)",
    "y ~ A / N / C + (1 | g)",
    "y ~ A * z + two + (1 | g)",
    "y ~ A * b + (1 | g)",
    "rating ~ A + x + (1 | g)",
)
RATINGS = ["poor", "fair", "good", "best"]
CODED = {"contr.sum": "C(A, contr.sum)", "contr.helmert": "C(A, contr.helmert)", "contr.treatment": "A"}


@functools.cache
def fitted(formula: str, family: str, holed: bool) -> hier.Estimate:
    data = pd.read_csv(HERE / "data" / "messy.csv", dtype={"g": str})
    data["rating"] = pd.Categorical(data["rating"], RATINGS, ordered=True)
    return hier.Model(formula, data[data["hole"] == "no"] if holed else data, family=family).estimate()


def of(case: dict) -> hier.Estimate:
    formula = (
        case["formula"].replace("~ A +", f"~ {CODED[case['contrasts']]} +")
        if case.get("contrasts")
        else case["formula"]
    )
    return fitted(formula, case.get("family") or "gaussian", case["holed"])


def named(values: list[tuple[str, object]]) -> frozenset:
    return frozenset((name, value if isinstance(value, str) else float(value)) for name, value in values)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case["formula"] in QUICK else pytest.mark.slow) for case in CASES],
    ids=lambda case: f"{case['formula']} by {case['specs']}",
)
def test_marginal_means(case):
    fit = of(case)
    specs = [case["specs"]] if isinstance(case["specs"], str) else case["specs"]
    at = {name: np.ravel(values) for name, values in (case["at"] or {}).items()}
    means = fit.emmeans(specs, at=at, offset=case["offset"])
    names = means.table.index.names
    keys = [case["keys"]] if isinstance(case["keys"], str) else case["keys"]
    assert set(names) == set(keys)
    expected = {named(list(zip(keys, row["values"], strict=True))): row for row in case["rows"]}
    found = {
        named(list(zip(names, label if isinstance(label, tuple) else (label,), strict=True))): row
        for label, (_, row) in zip(means.table.index, means.table.iterrows(), strict=True)
    }
    assert set(found) == set(expected)
    for key, row in found.items():
        own = expected[key]
        se = np.nan if own["SE"] is None else own["SE"]
        if own["emmean"] is None:
            assert np.isnan(row["estimate"])
            assert "NaN: the data do not determine such a mean" in means.notes
            continue
        assert row["estimate"] == pytest.approx(own["emmean"], abs=ESTIMATE[case["name"]] * se)
        assert row["std_error"] == pytest.approx(se, rel=STD_ERROR[case["name"]])
        if own["df"] is not None:
            assert row["df"] == pytest.approx(own["df"], rel=2e-4)
        else:
            assert np.isinf(row["df"])
