"""Prediction: the fixed part, any of the random terms, new levels, and standard errors that include them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, ParameterDesign, RandomEffects, column_of, kind_of, numbers_beside
from hier.errors import DataError, FitError, did_you_mean, nearest
from hier.estimate.expected import expected, expected_with_slope, probabilities_with_slope
from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import combinations, total_variances
from hier.estimate.routes import refuse_unless_offered, solved
from hier.formula import RandomTerm, parse_formula
from hier.model import Model
from hier.settings import PROBABILITY, TRUTH, check, names_in, written

Random = str | Sequence[str]
KINDS = ("response", "link", "probabilities")
INTERVALS = (None, "confidence", "prediction")
NEW_LEVELS = ("error", "zero")
SHOWN = 5


class Asked(NamedTuple):
    """What a user asks of predictions: arguments of `Estimate.predict`."""

    kind: str
    random: Random
    new_levels: str
    se: bool
    interval: str | None
    level: float
    weights: Any


def predict(estimate: Fitted, data: Any, asked: Asked) -> pd.Series | pd.DataFrame:
    """What `Estimate.predict` says."""
    asked = _checked(estimate, asked)
    rows = rows_of(estimate.model.design, data, asked.random, asked.new_levels)
    found = _link(estimate, rows, data, asked)
    if asked.kind != "link" and not estimate.model.is_linear_normal:
        others = [own.predictor(values) for own, values in zip(rows.parameters, estimate.others, strict=True)]
        found = _on_response(estimate, found, others, asked.kind)
    return with_note(found, rows.known)


def _checked(estimate: Fitted, asked: Asked) -> Asked:
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


def _link(estimate: Fitted, rows: PredictedRows, data: Any, asked: Asked) -> pd.Series | pd.DataFrame:
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


class PredictedRows(NamedTuple):
    """Rows to predict, coded as those of the fit: columns `X` (n, p) and `offset` of the fixed part; by grouping factor
    the `effects` and the columns (q,) of them that are `included`; the `parameters` of the response's distribution.
    `known` (n,): whether the data of the fit determine the fixed part there.
    """

    X: np.ndarray
    offset: np.ndarray | None
    effects: Sequence[RandomEffects]
    included: Sequence[np.ndarray]
    parameters: Sequence[ParameterDesign]
    known: np.ndarray
    index: pd.Index


def rows_of(design: Design, data: Any, random: Random, new_levels: str) -> PredictedRows:
    """The rows of a table, or of the fit where there is none. Raises FitError for terms that the model does not have,
    and DataError for levels that the fit has not seen, unless `new_levels` is "zero".
    """
    included = included_columns(design, random)
    if data is None:
        known = np.ones(design.nobs, bool)
        effects, parameters = design.random_effects, design.parameters
        return PredictedRows(design.X, design.offset, effects, included, parameters, known, design.index)
    frame = _with_groups(design.read(data), design, included)
    new = design.new_data(frame)
    if new_levels == "error":
        _refuse_new_levels(new.random_effects, included, frame)
    return PredictedRows(new.X, new.offset, new.random_effects, included, new.parameters, new.estimable, new.index)


def with_note[Found: (pd.Series, pd.DataFrame)](found: Found, known: np.ndarray) -> Found:
    """Predictions with a note in `attrs`, where the data of the fit do not determine all of them."""
    if not known.all():
        found.attrs["note"] = (
            f"NaN in {int((~known).sum())} of {len(known)} rows, where the data of the fit do not determine the fixed "
            "part"
        )
    return found


def check_choice(argument: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise FitError unless an argument is one of the choices."""
    if isinstance(value, str | None) and value in choices:
        return
    named = [f'"{choice}"' if isinstance(choice, str) else repr(choice) for choice in choices]
    near = nearest(value, filter(None, choices)) if isinstance(value, str) else None
    raise FitError(
        f"`{argument}` cannot be {written(value)}",
        expected=" or ".join(named),
        hint=f'use {argument}="{near}"' if near else f"use {argument}={named[0]}",
    )


def check_kind(model: Model, kind: str, kinds: Sequence[str] = KINDS) -> None:
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


def normal_quantile(probability: float) -> float:
    """The standard Normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


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


def included_columns(design: Design, random: Random) -> list[np.ndarray]:
    """Which columns of each grouping factor a request names: booleans (q,) by factor, in the design's order.

    `random`: "all", "none", or names of grouping factors and random terms in a formula's notation. Raises FitError for
    what the model does not have.
    """
    is_word = isinstance(random, str) and random in ("all", "none")
    included = [np.full(len(own.names), is_word and random == "all") for own in design.random_effects]
    if is_word:
        return included
    asked = names_in("random", random, '"all", "none", or names of grouping factors or terms such as "(1 | group)"')
    groups = [own.group for own in design.random_effects]
    for one in asked:
        if one in groups:
            included[groups.index(one)][:] = True
        elif "|" in one:
            for term in _terms(one, design):
                _include(term, one, design, included)
        else:
            raise FitError(
                f"there is no grouping factor `{one}` in the model",
                expected=", ".join(f"`{group}`" for group in groups),
                hint=did_you_mean(one, groups),
            )
    return included


def _terms(text: str, design: Design) -> tuple[RandomTerm, ...]:
    written = text if text.lstrip().startswith("(") or "(" in text.partition("|")[0] else f"({text})"
    return parse_formula(f"{design.formula.left} ~ 1 + {written}").random


def _include(term: RandomTerm, text: str, design: Design, included: list[np.ndarray]) -> None:
    for own, kept in zip(design.random_effects, included, strict=True):
        if set(term.factors) != set(own.factors):
            continue
        wanted = {column.key for column in term.columns.terms}
        at, found, intercept = 0, set(), False
        for encoder in own.encoders:
            for place, (run, width) in enumerate(encoder.runs()):
                key = None
                if run != "intercept":
                    key = encoder.part.terms[place - encoder.part.intercept].key
                    found.add(key)
                asked = term.columns.intercept if key is None else key in wanted
                intercept = intercept or key is None
                kept[at : at + width] |= asked
                at += width
        if wanted <= found and (intercept or not term.columns.intercept):
            return
        break
    raise FitError(
        f"the model has no random effects `{text}`",
        expected=", ".join(f"`{other}`" for other in design.formula.random) + ", or a part of one of these",
    )


def _with_groups(frame: pd.DataFrame, design: Design, included: Sequence[np.ndarray]) -> pd.DataFrame:
    """The table with missing values for grouping factors that nothing needs, be they there or not."""
    used = {
        name for own, kept in zip(design.random_effects, included, strict=True) if kept.any() for name in own.factors
    }
    fixed = {name for factor in design.formula.right_side() for name in factor.variables}
    idle = [name for name in design.formula.groups if name not in used | fixed]
    return frame.assign(**dict.fromkeys(idle, np.nan)) if idle else frame


def _refuse_new_levels(effects: Sequence[RandomEffects], included: Sequence[np.ndarray], frame: pd.DataFrame) -> None:
    for own, kept in zip(effects, included, strict=True):
        new = own.codes < 0
        if not kept.any() or not new.any():
            continue
        labels = [column_of(frame, name).to_numpy()[new] for name in own.factors]
        found = list(dict.fromkeys(":".join(map(str, label)) for label in zip(*labels, strict=True)))
        shown = ", ".join(f"`{name}`" for name in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        raise DataError(
            f"the grouping factor `{own.group}` has levels that the fit has not seen",
            where=f"{int(new.sum())} of {len(new)} rows",
            found=shown,
            expected=f"the {own.n_levels} levels of the fit, {_some_levels(own)}",
            hint='new_levels="zero" gives them deviations of zero, random="none" leaves the random effects out',
        )


def _some_levels(own: RandomEffects) -> str:
    """A few levels, and of what type they are."""
    kinds = " and ".join(dict.fromkeys(kind_of(levels) for levels in own.factor_levels))
    return ", ".join(map(str, own.levels[:SHOWN])) + (", ..." if own.n_levels > SHOWN else "") + f" ({kinds})"


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
