"""The rows that predictions are of, and which of the random terms count in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, ParameterDesign, RandomEffects, column_of, kind_of
from hier.errors import DataError, FitError, did_you_mean
from hier.formula import RandomTerm, parse_formula
from hier.settings import names_in

Random = str | Sequence[str]
SHOWN = 5


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
