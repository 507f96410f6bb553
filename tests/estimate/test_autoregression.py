"""AR(1) over visits with one row for each level and visit: what it is mostly used for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import hier
from tests.estimate.conftest import DATA

DAYS = [0, 1, 2, 5, 6, 8, 9]  # those that are kept
FORMULA = "Reaction ~ Days + ar1(0 + day | Subject, hom = TRUE)"


def study() -> pd.DataFrame:
    data = pd.read_csv(DATA / "sleepstudy.csv", dtype={"Subject": str})
    return data[data["Days"].isin(DAYS)].assign(day=lambda d: d["Days"].astype(str))


def best_loglik(times):
    """The highest log-likelihood of an autoregression at these times beside independent residuals, by dense algebra."""
    data = study().sort_values(["Subject", "Days"])
    Y, X = data["Reaction"].to_numpy().reshape(-1, len(DAYS)), np.column_stack([np.ones(len(DAYS)), DAYS])
    steps = np.abs(np.subtract.outer(times, times))

    def deviance(x):
        V = np.exp(2 * x[0]) * np.tanh(x[1]) ** steps + np.exp(2 * x[2]) * np.eye(len(DAYS))
        inverse = np.linalg.inv(V)
        beta = np.linalg.solve(len(Y) * X.T @ inverse @ X, X.T @ inverse @ Y.sum(axis=0))
        R = Y - X @ beta
        return len(Y) * np.linalg.slogdet(2 * np.pi * V)[1] + np.einsum("ij,jk,ik", R, inverse, R)

    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}
    starts = ([3.5, 1.0, 3.0], [4.0, 0.5, 1.0])
    return -0.5 * min(minimize(deviance, x, method="Nelder-Mead", options=options).fun for x in starts)


DECLARED = pd.CategoricalDtype([str(k) for k in range(10)])


def test_levels_without_rows_keep_their_steps():
    """Days 3, 4 and 7 are closed, but the days around them do not become neighbours."""
    data = study().assign(day=lambda d: d["day"].astype(DECLARED))
    model = hier.Model(FORMULA, data)
    (block,) = model.design.random_effects[0].blocks
    assert block.places == tuple(DAYS)
    assert "3 unused levels of `day` without rows; they count as steps of ar1( )" in model.design.notes()
    assert "at steps 0, 1, 2, 5, 6, 8, 9" in str(model)
    fit = model.estimate("ml")
    assert fit.converged
    assert fit.loglik == pytest.approx(best_loglik(DAYS), abs=1e-6)
    table = fit.varcorr.set_index(["term1", "term2"])["sdcor"]
    r = table["day[0]", "day[1]"]
    assert table["day[2]", "day[5]"] == pytest.approx(r**3, rel=1e-9)
    assert table["day[0]", "day[9]"] == pytest.approx(r**9, rel=1e-9)


def test_rows_left_out_for_missing_values_leave_a_gap_too():
    data = pd.read_csv(DATA / "sleepstudy.csv", dtype={"Subject": str}).assign(day=lambda d: d["Days"].astype(str))
    data.loc[~data["Days"].isin(DAYS), "Reaction"] = np.nan
    (block,) = hier.Model(FORMULA, data).design.random_effects[0].blocks
    assert block.places == tuple(DAYS)


def test_levels_that_nobody_declared_follow_each_other():
    (block,) = hier.Model(FORMULA, study()).design.random_effects[0].blocks
    assert block.places == ()
    # neither does a gap matter to other structures, nor one at either end, nor steps that are all alike
    declared = study().assign(day=lambda d: d["day"].astype(DECLARED))
    for formula, data in [
        (FORMULA.replace("ar1", "cs"), declared),
        (FORMULA.replace("0 + day", "day"), declared),
        (FORMULA, declared[declared["Days"].isin([0, 1, 2])]),
        (FORMULA, declared[declared["Days"].isin([2, 5, 8])]),
    ]:
        (block,) = hier.Model(formula, data).design.random_effects[0].blocks
        assert block.places == ()


@pytest.mark.slow
def test_visits_in_a_row():
    fit = hier.Model(FORMULA, study()).estimate("ml")
    assert fit.loglik == pytest.approx(best_loglik(range(len(DAYS))), abs=1e-6)


@pytest.mark.parametrize(
    "bar", ["us(0 + day | Subject)", "diag(0 + day | Subject)", "cs(0 + day | Subject, hom = TRUE)"]
)
def test_other_structures_are_refused_there(bar):
    with pytest.raises(hier.FitError, match="random effects of `Subject` cannot be told from the residuals") as raised:
        hier.Model(f"Reaction ~ Days + {bar}", study()).estimate()
    assert "126 group deviations and 126 rows" in str(raised.value)
