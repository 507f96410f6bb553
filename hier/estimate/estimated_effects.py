"""Predictions, comparisons and slopes of an estimate, with standard errors by the delta method."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.estimate.choices import normal_quantile
from hier.estimate.effect_plan import Changed, EffectsAsked, Plan, labelled, make_plan
from hier.estimate.fitted import Fitted
from hier.estimate.linear_predictors import error_parts
from hier.estimate.predict import Predicted
from hier.estimate.predicted_rows import PredictedRows, rows_of
from hier.estimate.printing import Table
from hier.kernel.laplace.responses import mean_mu
from hier.kernel.normal.prediction_errors import NUMBERS_AT_A_TIME

COLUMNS = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
SHIFT = 1e-5  # of a further parameter on the scale of its predictor, for derivatives by differences


class Side(NamedTuple):
    """One side of a comparison: what is predicted in its rows (n,), and the derivatives in their predictors."""

    predicted: Predicted
    value: np.ndarray
    slope: np.ndarray


def estimated_effects(estimate: Fitted, asked: EffectsAsked) -> pd.DataFrame:
    """The table of what was asked: `estimate`, `std_error`, z-test and interval."""
    plan = make_plan(estimate.model, asked)
    return Table(labelled(plan, [_table(estimate, plan, change) for change in plan.changes]))


def _table(estimate: Fitted, plan: Plan, change: Changed) -> pd.DataFrame:
    from scipy.special import ndtr

    sides = [_side(estimate, plan, frame) for frame in (change.high, change.low) if frame is not None]
    means = [plan.weights @ side.value for side in sides]
    value, slopes = _compared(plan, change, means)
    se = np.sqrt(np.maximum(_variances(estimate, plan, change, sides, slopes), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = value / se
    half = normal_quantile(0.5 + plan.prediction.level / 2) * se
    columns = [value, se, z, 2.0 * ndtr(-np.abs(z)), value - half, value + half]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _compared(plan: Plan, change: Changed, means: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The answers (k,), and their derivatives in the mean of each side."""
    if change.low is None:
        return means[0], [np.ones_like(means[0])]
    with np.errstate(divide="ignore", invalid="ignore"):
        value, slopes = plan.how.value(*means), plan.how.slopes(*means)
    return value / change.distance, [own / change.distance for own in slopes]


def _side(estimate: Fitted, plan: Plan, frame: pd.DataFrame) -> Side:
    rows = rows_of(estimate.model.design, frame, plan.prediction.random, plan.prediction.new_levels)
    others = [own.predictor(values) for own, values in zip(rows.parameters, estimate.others, strict=True)]
    predicted = Predicted(estimate, rows, others, plan.prediction)
    return Side(predicted, predicted.mean(predicted.eta), predicted.slope())


def _variances(
    estimate: Fitted, plan: Plan, change: Changed, sides: list[Side], slopes: list[np.ndarray]
) -> np.ndarray:
    """Of the answers (k,): the errors of fixed effects and deviations in all rows together, and those of the response's
    further parameters.

    Source: the delta method; the parts of errors are those of `error_parts`.
    """
    total = np.zeros(len(plan.keys))
    linear: Any = 0.0  # (k, p): derivatives in the fixed effects
    moved: list[Any] = []
    roots: list[np.ndarray | None] = []
    for side, slope in zip(sides, slopes, strict=True):
        D = plan.weights.multiply(slope[:, None]).multiply(side.slope[None, :]).tocsr()
        linear = linear + D @ side.predicted.rows.X
        parts = error_parts(estimate, side.predicted.rows)
        own = [D @ matrix for matrix, _ in parts]
        moved = own if not moved else [a + b for a, b in zip(moved, own, strict=True)]
        roots = [root for _, root in parts]
    for matrix, root in zip(moved, roots, strict=True):
        if root is None:
            total += np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
        else:
            step = max(1, NUMBERS_AT_A_TIME // len(root))
            for start in range(0, len(total), step):
                some = slice(start, start + step)
                total[some] += ((matrix[some] @ root) ** 2).sum(axis=1)
    further = _further_slopes(estimate, plan, change, sides)
    if further is not None:
        covariance, with_fixed = estimate.further.covariance, estimate.further.with_fixed
        total += np.einsum("ki,ij,kj->k", further, covariance, further)
        total += 2.0 * np.einsum("ki,ip,kp->k", further, with_fixed, linear)
    return total


def _further_slopes(estimate: Fitted, plan: Plan, change: Changed, sides: list[Side]) -> np.ndarray | None:
    """Derivatives (k, m) of the answers in further parameters and cutpoints; None where means know none of these."""
    further, model = estimate.further, estimate.model
    size = len(further.covariance)
    if not size or plan.prediction.kind == "link" or (model.family.mean is mean_mu and not model.design.n_cutpoints):
        return None

    def answers(shift: np.ndarray) -> np.ndarray:
        moved = _shifted(estimate, shift)
        means = [plan.weights @ _again(moved, side.predicted) for side in sides]
        return _compared(plan, change, means)[0]

    steps = SHIFT * np.eye(size)
    return np.stack([(answers(step) - answers(-step)) / (2.0 * SHIFT) for step in steps], axis=1)


def _shifted(estimate: Fitted, shift: np.ndarray) -> Fitted:
    """The fit with its further parameters and cutpoints moved."""
    others, at = [], 0
    for own in estimate.further.others:
        others.append(own + shift[at : at + len(own)])
        at += len(own)
    further = estimate.further._replace(others=tuple(others), cutpoints=estimate.further.cutpoints + shift[at:])
    return dataclasses.replace(estimate, further=further)


def _again(estimate: Fitted, predicted: Predicted) -> np.ndarray:
    """What is predicted by other further parameters at the same linear predictors."""
    rows: PredictedRows = predicted.rows
    others = [own.predictor(values) for own, values in zip(rows.parameters, estimate.others, strict=True)]
    return Predicted(estimate, rows, others, predicted.asked).mean(predicted.eta)
