"""Which variances and correlations the rows cannot tell apart: found from the design, named with their cause."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import hier
from hier.kernel.covariance.theta import changes_at_large
from hier.model.identifiability import parameter_name
from tests.reference import dense

RNG = np.random.default_rng(18)
LEVELS, ROWS = 15, 6
G = np.repeat(np.arange(LEVELS), ROWS)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=LEVELS * ROWS),
        "n": RNG.poisson(3, LEVELS * ROWS),
        "plot": G,
        "sensor": 100 + RNG.permutation(LEVELS)[G],
        "half": np.tile([0, 0, 0, 1, 1, 1], LEVELS),
        "other": RNG.integers(0, 9, LEVELS * ROWS),
        "x": RNG.normal(size=LEVELS * ROWS),
        "year": 2010.0 + np.tile(np.arange(ROWS), LEVELS),
        "julian": 2460000.5 + np.tile(np.arange(ROWS), LEVELS),
        "visit": np.tile(np.arange(ROWS), LEVELS).astype(str),
        "sex": np.where(G % 2, "f", "m"),
        "size": RNG.normal(size=LEVELS)[G],
        "w": 2.0,
        "accuracy": RNG.uniform(0.5, 2.0, LEVELS * ROWS),
    }
)
VISITS = [f"sd_plot[visit[{k}]]" for k in range(ROWS)]


def said(formula, **options):
    return {frozenset(own.names): own.cause for own in hier.Model(formula, DATA, **options).undetermined}


ALIKE = "`plot` and `sensor` part the rows alike"
FEW = "the levels of `plot` have too few rows for that"
RESIDUAL = "the residual variance"


@pytest.mark.parametrize(
    ("formula", "names", "cause"),
    [
        ("y ~ 1 + (1 | plot) + (1 | sensor)", ["sd_plot[Intercept]", "sd_sensor[Intercept]"], ALIKE),
        (
            "y ~ 1 + (1 | plot / sensor)",
            ["sd_plot[Intercept]", "sd_sensor:plot[Intercept]"],
            "`sensor:plot` and `plot` part the rows alike",
        ),
        (
            "y ~ 1 + (x | plot) + (1 | sensor)",
            ["sd_plot[Intercept]", "sd_sensor[Intercept]", "cor_plot[Intercept,x]"],
            ALIKE,
        ),
        (
            "y ~ 1 + (x | plot) + (x | sensor)",
            [f"{own}_{g}[{c}]" for g in ("plot", "sensor") for own, c in
             (("sd", "Intercept"), ("sd", "x"), ("cor", "Intercept,x"))],
            ALIKE,
        ),
        (
            "y ~ 1 + (sex | plot)",
            ["sd_plot[sex[T.m]]", "cor_plot[Intercept,sex[T.m]]"],
            "`sex[T.m]` is constant within the levels of `plot`",
        ),
        (
            "y ~ 1 + (0 + sex | plot)",
            ["cor_plot[sex[f],sex[m]]"],
            "`sex[f]`, `sex[m]` are constant within the levels of `plot`",
        ),
        (
            "y ~ 1 + (0 + x + I(2 * x) || plot)",
            ["sd_plot[x]", "sd_plot[I(2 * x)]"],
            "the columns `x`, `I(2 * x)` determine each other within `plot`",
        ),
        ("y ~ 1 + diag(0 + visit | plot)", [*VISITS, RESIDUAL], FEW),
        ("y ~ 1 + diag(0 + visit | plot, hom = TRUE)", [*VISITS, RESIDUAL], FEW),
    ],
)  # fmt: skip
def test_what_the_rows_do_not_tell_apart_is_named_with_its_cause(formula, names, cause):
    assert said(formula) == {frozenset(names): cause}
    assert said(formula, weights="w") == {frozenset(names): cause}


@pytest.mark.parametrize("structure", ["us(0 + visit | plot)", "cs(0 + visit | plot, hom = TRUE)"])
def test_one_row_for_each_level_and_column_is_all_residual(structure):
    ((names, cause),) = said(f"y ~ 1 + {structure}").items()
    assert {*VISITS, RESIDUAL} <= names
    assert "cor_plot[visit[0],visit[1]]" in names  # a covariance is known, but neither standard deviation
    assert cause == FEW


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ 1 + (x | plot)",
        "y ~ 1 + (year | plot)",
        "y ~ 1 + (julian | plot) + (1 | other)",
        "y ~ 1 + (1 | plot) + (0 + x | sensor)",  # a double bar, written as two
        "y ~ 1 + (1 | plot / half)",
        "y ~ 1 + (1 | plot) + (x | half)",
        "y ~ 1 + (sex || plot)",  # the two sexes' variances are two numbers
        "y ~ 1 + (size | plot)",  # a variance that is a parabola in the size
        "y ~ 1 + cs(0 + visit | plot)",
        "y ~ 1 + ar1(0 + visit | plot)",
        "y ~ 1 + ar1(0 + visit | plot, hom = TRUE)",
    ],
)
def test_what_the_rows_tell_apart_is_not_complained_of(formula):
    assert said(formula) == {}


def test_rows_of_different_accuracy_tell_deviations_from_residuals():
    assert said("y ~ 1 + us(0 + visit | plot)", weights="accuracy") == {}


def test_two_visits_are_too_few_for_an_autoregression_beside_residuals():
    two = DATA[DATA["visit"].isin(["0", "1"])]
    for hom in ("TRUE", "FALSE"):
        (own,) = hier.Model(f"y ~ 1 + ar1(0 + visit | plot, hom = {hom})", two).undetermined
        assert own.residual


def test_a_count_has_no_residual_to_be_confused_with():
    assert said("n ~ 1 + us(0 + visit | plot)", family="poisson") == {}
    names = frozenset(["sd_plot[Intercept]", "sd_sensor[Intercept]"])
    assert said("n ~ 1 + (1 | plot) + (1 | sensor)", family="poisson") == {names: ALIKE}


def test_many_rows_are_judged_as_few_are():
    many = pd.concat([DATA.assign(plot=DATA["plot"] + 100 * k, sensor=DATA["sensor"] + 1000 * k) for k in range(250)])
    (own,) = hier.Model("y ~ 1 + (1 | plot) + (1 | sensor)", many).undetermined
    assert own.names == ("sd_plot[Intercept]", "sd_sensor[Intercept]")
    assert hier.Model("y ~ 1 + (x | plot)", many).undetermined == ()


@pytest.mark.parametrize("bars", ["(sex + x | plot)", "(x | plot) + (1 | other)", "(1 | plot) + (x | sensor)"])
def test_the_answer_is_that_of_the_full_matrices(bars):
    """The rank of all derivatives of V, written out."""
    model = hier.Model(f"y ~ 1 + {bars}", DATA)
    changes, names = [np.eye(len(DATA))], ["the residual variance"]
    for own in model.design.random_effects:
        Z = dense.full_Z(own.Z / np.abs(own.Z).max(axis=0), own.codes, own.n_levels)
        for change in changes_at_large(own.blocks):
            changes.append(Z @ np.kron(np.eye(own.n_levels), change.matrix) @ Z.T)
            ((a, b),) = change.pairs
            names.append(parameter_name(own, a, b))
    flat = np.stack([change.ravel() / np.linalg.norm(change) for change in changes])
    _, size, turn = np.linalg.svd(flat @ flat.T)
    involved = {names[at] for at in np.flatnonzero(np.abs(turn[size < 1e-10]).max(axis=0, initial=0.0) > 1e-6)}
    found = set(itertools.chain.from_iterable(own.names for own in model.undetermined))
    assert involved <= found
    assert {name for name in found if name.startswith("sd")} <= involved


def test_a_model_says_so_when_it_is_printed():
    text = str(hier.Model("y ~ 1 + (1 | plot) + (1 | sensor)", DATA))
    assert f"Note: the data do not tell sd_plot[Intercept] and sd_sensor[Intercept] apart: {ALIKE}" in text
    assert "tell" not in str(hier.Model("y ~ 1 + (1 | plot) + (0 + x | sensor)", DATA))
