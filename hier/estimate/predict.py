"""Prediction: the fixed part, any of the random terms, new levels, and standard errors that include them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import RandomEffects, column_of, kind_of, numbers_beside
from hier.errors import DataError, FitError, did_you_mean, nearest
from hier.estimate.mixed_model_equations import combinations, total_variances
from hier.formula import RandomTerm, parse_formula
from hier.settings import PROBABILITY, TRUTH, check, names_in, written

if TYPE_CHECKING:
    from hier.design import Design, ParameterDesign
    from hier.estimate.result import Estimate
    from hier.model import Specification as Model

Random = str | Sequence[str]
KINDS = ("response", "link", "probabilities")
INTERVALS = (None, "confidence", "prediction")
NEW_LEVELS = ("error", "zero")
SHOWN = 5


def predict(
    estimate: Estimate,
    data: Any,
    random: Random,
    new_levels: str,
    se: bool,
    interval: str | None,
    level: float,
    weights: Any,
) -> pd.Series | pd.DataFrame:
    """What `Estimate.predict` says."""
    check_choice("new_levels", new_levels, NEW_LEVELS)
    check_choice("interval", interval, INTERVALS)
    level, se = check("level", level, PROBABILITY), check("se", se, TRUTH)
    design = estimate.model.design
    rows = rows_of(design, data, random, new_levels)
    known, index = rows.known, rows.index
    fit = rows.X @ estimate.arrays.beta + (0.0 if rows.offset is None else rows.offset)
    for own, kept, term in zip(rows.effects, rows.included, estimate.arrays.terms, strict=True):
        if kept.any():
            deviations = np.where((own.codes >= 0)[:, None], term.deviations[own.codes], 0.0)
            fit = fit + np.einsum("ij,ij->i", own.Z * kept, deviations)
    fit = np.where(known, fit, np.nan)
    if not se and interval is None:
        return with_note(pd.Series(fit, index=index, name="fit"), known)
    variance = np.where(known, _variances(estimate, rows.X, rows.effects, rows.included), np.nan)
    table = pd.DataFrame({"fit": fit, "se": estimate.size * np.sqrt(variance)}, index=index)
    if interval is not None:
        if interval == "prediction":
            variance = variance + (estimate.sigma / estimate.size) ** 2 / _row_weights(design, data, weights)
        half = normal_quantile(0.5 + level / 2) * estimate.size * np.sqrt(variance)
        table["lower"], table["upper"] = fit - half, fit + half
    return with_note(table, known)


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


def predictor_of_rows(estimate: Estimate, eta: Any, rows: Any) -> np.ndarray:
    """Linear predictors (..., n) of some rows of the fit, as numbers. Raises FitError for anything else."""
    n = len(np.arange(estimate.nobs)[rows])
    try:
        found = np.asarray(eta, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape[-1:] != (n,):
        raise FitError(
            "the linear predictor is a number for each row of the fit",
            found=written(eta),
            expected=f"an array whose last axis has length {n}",
        )
    return found


def normal_quantile(probability: float) -> float:
    """The standard Normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def _variances(
    estimate: Estimate, X: np.ndarray, effects: Sequence[RandomEffects], included: Sequence[np.ndarray]
) -> np.ndarray:
    """Variances of predictions (n,), over the square of `estimate.size`."""
    if not any(kept.any() for kept in included):
        return (estimate.arrays.standard_errors(X) / estimate.size) ** 2
    solved = estimate.solved
    found = total_variances(estimate, solved, X, combinations(solved, effects, included))
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
