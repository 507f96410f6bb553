"""Prediction: the fixed part, any of the random terms, new levels, and standard errors that include them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, RandomEffects, numbers_beside
from hier.errors import DataError, FitError
from hier.estimate.choices import check_choice, normal_quantile
from hier.estimate.expected import expected, expected_with_slope, probabilities_with_slope
from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import combinations, total_variances
from hier.estimate.predicted_rows import PredictedRows, Random, rows_of
from hier.estimate.routes import refuse_unless_offered, solved
from hier.model import Specification
from hier.settings import PROBABILITY, TRUTH, check

KINDS = ("response", "link", "probabilities")
INTERVALS = (None, "confidence", "prediction")
NEW_LEVELS = ("error", "zero")


class Prediction(NamedTuple):
    """What a user asks of predictions: arguments of `Estimate.predict`."""

    kind: str
    random: Random
    new_levels: str
    se: bool
    interval: str | None
    level: float
    weights: Any


def predict(estimate: Fitted, data: Any, asked: Prediction) -> pd.Series | pd.DataFrame:
    """What `Estimate.predict` says."""
    asked = _checked(estimate, asked)
    rows = rows_of(estimate.model.design, data, asked.random, asked.new_levels)
    found = _link(estimate, rows, data, asked)
    if asked.kind != "link" and not estimate.model.is_linear_normal:
        others = [own.predictor(values) for own, values in zip(rows.parameters, estimate.others, strict=True)]
        found = _on_response(estimate, found, others, asked.kind)
    return with_note(found, rows.known)


def _checked(estimate: Fitted, asked: Prediction) -> Prediction:
    check_kind(estimate.model, asked.kind)
    exact = estimate.model.is_linear_normal
    if asked.weights is not None:
        refuse_unless_offered(estimate, "the prediction interval, to which `weights` belong,")
    check_choice("interval", asked.interval, INTERVALS if exact else INTERVALS[:2])
    if asked.kind == "probabilities" and (asked.se or asked.interval is not None):
        raise FitError(
            "probabilities of categories come without standard errors",
            hint='use kind="link" or kind="response" for these',
        )
    check_choice("new_levels", asked.new_levels, NEW_LEVELS)
    return asked._replace(level=check("level", asked.level, PROBABILITY), se=check("se", asked.se, TRUTH))


def _link(estimate: Fitted, rows: PredictedRows, data: Any, asked: Prediction) -> pd.Series | pd.DataFrame:
    """Linear predictors of the mean, with what was asked for of their errors."""
    fit = rows.X @ estimate.arrays.beta + (0.0 if rows.offset is None else rows.offset)
    for own, kept, term in zip(rows.effects, rows.included, estimate.arrays.terms, strict=True):
        if kept.any():
            deviations = np.where((own.codes >= 0)[:, None], term.deviations[own.codes], 0.0)
            fit = fit + np.einsum("ij,ij->i", own.Z * kept, deviations)
    fit = np.where(rows.known, fit, np.nan)
    if not asked.se and asked.interval is None:
        return pd.Series(fit, index=rows.index, name="fit")
    variance = np.where(rows.known, _variances(estimate, rows.X, rows.effects, rows.included), np.nan)
    table = pd.DataFrame({"fit": fit, "se": estimate.size * np.sqrt(variance)}, index=rows.index)
    if asked.interval is not None:
        if asked.interval == "prediction":
            own_weights = _row_weights(estimate.model.design, data, asked.weights)
            variance = variance + (estimate.sigma / estimate.size) ** 2 / own_weights
        half = normal_quantile(0.5 + asked.level / 2) * estimate.size * np.sqrt(variance)
        table["lower"], table["upper"] = fit - half, fit + half
    return table


def _on_response(
    estimate: Fitted, found: pd.Series | pd.DataFrame, others: list[np.ndarray], kind: str
) -> pd.Series | pd.DataFrame:
    """Expected responses, or probabilities of categories, of linear predictors; standard errors by the delta method."""
    design = estimate.model.design
    if isinstance(found, pd.Series):
        if kind == "probabilities":
            values, _ = probabilities_with_slope(estimate, [found.to_numpy(), *others])
            categories = pd.Index(design.categories, name=design.response)
            return pd.DataFrame(values, index=found.index, columns=categories)
        return pd.Series(expected(estimate, [found.to_numpy(), *others]), index=found.index, name="fit")
    mean, slope = expected_with_slope(estimate, [found["fit"].to_numpy(), *others])
    table = pd.DataFrame({"fit": mean, "se": np.abs(slope) * found["se"]}, index=found.index)
    if "lower" in found:
        ends = np.stack([expected(estimate, [found[end].to_numpy(), *others]) for end in ("lower", "upper")])
        table["lower"], table["upper"] = ends.min(axis=0), ends.max(axis=0)
    return table


def with_note[Found: (pd.Series, pd.DataFrame)](found: Found, known: np.ndarray) -> Found:
    """Predictions with a note in `attrs`, where the data of the fit do not determine all of them."""
    if not known.all():
        found.attrs["note"] = (
            f"NaN in {int((~known).sum())} of {len(known)} rows, where the data of the fit do not determine the fixed "
            "part"
        )
    return found


def check_kind(model: Specification, kind: str, kinds: Sequence[str] = KINDS) -> None:
    """Raise FitError unless a model has predictions of this kind, one of `kinds`, the first of which is the expected
    response.
    """
    check_choice("kind", kind, kinds)
    if kind == "probabilities" and not model.family.has_cutpoints:
        raise FitError(
            "only an ordered response has probabilities of categories",
            found=f"the family `{model.family.name}`",
            hint=f'use kind="{kinds[0]}", the expected response: of two outcomes, the probability of the second',
        )


def _variances(
    estimate: Fitted, X: np.ndarray, effects: Sequence[RandomEffects], included: Sequence[np.ndarray]
) -> np.ndarray:
    """Variances of predictions (n,), over the square of `estimate.size`."""
    if not any(kept.any() for kept in included):
        return (estimate.arrays.standard_errors(X) / estimate.size) ** 2
    equations = solved(estimate)
    found = total_variances(estimate, equations, X, combinations(equations, effects, included))
    for own, kept, term in zip(effects, included, estimate.arrays.terms, strict=True):
        new = own.codes < 0
        if new.any():  # nothing is known of a new level's deviations but their covariance
            half = (own.Z[new] * kept) @ (term.factor / estimate.size)
            found[new] += np.einsum("ij,ij->i", half, half)
    return found


def _row_weights(design: Design, data: Any, weights: Any) -> np.ndarray | float:
    """Precision weights of the rows that are predicted."""
    if data is None and weights is None:
        return 1.0 if design.weights is None else design.weights
    if weights is None:
        if design.weights is None:
            return 1.0
        raise DataError(
            "the residual variance of new rows depends on their precision weights, which are not known",
            expected="weights=: a column's name or one positive number a row",
        )
    frame = pd.DataFrame(index=design.index) if data is None else design.read(data, weights)
    if np.ndim(weights) == 0 and not isinstance(weights, str):
        weights = np.full(len(frame), weights)
    values = numbers_beside(frame, "weights", weights)
    if not ((values > 0) & (values < np.inf)).all():
        wrong = values[~((values > 0) & (values < np.inf))]
        raise DataError("precision weights must be positive and finite", found=f"{wrong[0]:g}")
    return values
