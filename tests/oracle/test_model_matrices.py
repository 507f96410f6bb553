"""Design matrices against R's: `model.matrix` for the fixed effects, and the columns that lme4 makes inside a bar.

`model_matrices.json` holds what R 4.2.2 (stats, splines) and lme4 1.1-31 gave for 24 simulated rows; names differ from
R's by formulaic's spelling, so they are compared through the levels that they name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

R = json.loads((Path(__file__).parent / "model_matrices.json").read_text(encoding="utf-8"))


def columns() -> pd.DataFrame:
    frame = pd.DataFrame(R["data"])
    for name, levels in R["levels"].items():
        frame[name] = pd.Categorical(frame[name], categories=levels, ordered=name in R["ordered"])
    return frame


def plain(name: str) -> str:
    """A column's name without what R and formulaic write differently."""
    name = name.replace("(Intercept)", "Intercept").replace(" ", "").replace("TRUE", "True").replace("FALSE", "False")
    name = re.sub(r"\[(T\.|S\.|H\.)?\^?(.*?)\]", r"\2", name)
    return name.replace("^", "").replace("**", "")


def labels_its_levels(term: str) -> bool:
    """Whether R's names say the level: sum, Helmert and treatment contrasts inside C() are numbered there."""
    return "C(" not in term


@pytest.mark.parametrize("case", R["fixed"], ids=lambda case: case["formula"])
def test_fixed_effects_are_those_of_model_matrix(case):
    right = case["formula"].removeprefix("~ ")
    # the rank is not checked here: R drops dependent columns only when it fits
    design = hier.Model(f"y ~ {right} + (1 | g)", columns()).design
    expected, names = np.array(case["matrix"]), case["names"]
    found = design.fixed.columns(columns_as_table(design))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    if labels_its_levels(right):
        assert [plain(name) for name in design.fixed.names] == [plain(name) for name in names]


def columns_as_table(design):
    """The table of the fit once more, so that what was learned from it is applied too."""
    from hier.design.fields import Uses
    from hier.design.table import select

    variables = [*design.formula.fixed.variables, "g"]
    return select(columns(), list(dict.fromkeys(variables)), Uses(frozenset("g"), frozenset()))


@pytest.mark.parametrize("case", R["bars"], ids=lambda case: case["bar"])
def test_columns_inside_a_bar_are_those_of_lme4(case):
    model = hier.Model(f"y ~ 1 + {case['bar']}", columns())
    by_group = {random.group: random for random in model.design.random_effects}
    assert list(by_group) == [part["group"] for part in case["parts"]]
    for part in case["parts"]:
        random = by_group[part["group"]]
        np.testing.assert_allclose(random.Z, np.array(part["matrix"]), rtol=1e-10, atol=1e-12)
        assert [str(random.levels[code]) for code in random.codes] == part["labels"]
        if labels_its_levels(case["bar"]):
            assert [plain(name) for name in random.names] == [plain(name) for name in part["names"]]
