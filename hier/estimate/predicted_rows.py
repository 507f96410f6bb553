"""The rows that predictions are of, and which of the random terms count in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, ParameterDesign, RandomEffects, column_of, kind_of
from hier.design.random_effects import MISSING
from hier.errors import DataError, FitError, did_you_mean
from hier.estimate.choices import check_choice
from hier.formula import RandomTerm, parse_formula
from hier.model import Specification
from hier.settings import PROBABILITY, SEED, TRUTH, check, names_in

Random = str | Sequence[str]
SHOWN = 5
KINDS = ("mean", "response", "link", "probabilities")
NEW_LEVELS = ("error", "zero", "sample", "integrate")


class Prediction(NamedTuple):
    """What a user asks of predictions: the arguments of `Posterior.predict` and, with the last three, of
    `Estimate.predict`.
    """

    kind: str = "mean"
    random: Random = "all"
    new_levels: str = "error"
    draws: bool = False
    level: float = 0.95
    seed: int = 0
    se: bool = False
    interval: str | None = None
    weights: Any = None

    def checked(self, model: Specification) -> Prediction:
        """The same with Python's own numbers. Raises FitError for what cannot be asked of this model."""
        check_choice("kind", self.kind, KINDS)
        if self.kind == "probabilities" and not model.family.has_cutpoints:
            raise FitError(
                "only an ordered response has probabilities of categories",
                found=f"the family `{model.family.name}`",
                hint='use kind="mean", the expected response: of two outcomes, the probability of the second',
            )
        check_choice("new_levels", self.new_levels, NEW_LEVELS)
        return self._replace(
            draws=check("draws", self.draws, TRUTH),
            level=check("level", self.level, PROBABILITY),
            seed=check("seed", self.seed, SEED),
            se=check("se", self.se, TRUTH),
        )


# draws (m, q, S) of the deviations of new levels (m,) of a grouping factor, by its place
NewDeviations = Callable[[int, np.ndarray], np.ndarray]


class PredictedRows(NamedTuple):
    """Rows to predict, coded as those of the fit: columns `X` (n, p) and `offset` of the fixed part; by grouping factor
    the `effects` and the columns (q,) of them that are `included`; the `parameters` of the response's distribution.
    `known` (n,): whether the data of the fit determine the fixed part there. `new` (n,) of each factor: the number of
    a level that the fit has not seen, -1 where it has, and where nothing of the factor is included; a row without a
    label has a level of its own. `deviations` of these, where they are drawn. `absent`: grouping factors that the table
    does not have.
    """

    X: np.ndarray
    offset: np.ndarray | None
    effects: Sequence[RandomEffects]
    included: Sequence[np.ndarray]
    parameters: Sequence[ParameterDesign]
    known: np.ndarray
    index: pd.Index
    new: Sequence[np.ndarray]
    deviations: NewDeviations | None = None
    absent: Sequence[str] = ()

    @property
    def is_new(self) -> np.ndarray:
        """Which rows (n,) have a level that the fit has not seen."""
        return np.any([own >= 0 for own in self.new], axis=0) if self.new else np.zeros(len(self.X), bool)


def rows_of(design: Design, data: Any, random: Random, new_levels: str) -> PredictedRows:
    """The rows of a table, or of the fit where there is none. Raises FitError for terms that the model does not have,
    and DataError for levels that the fit has not seen, where `new_levels` is "error".
    """
    included = included_columns(design, random)
    if data is None:
        known = np.ones(design.nobs, bool)
        effects, parameters = design.random_effects, design.parameters
        none = [np.broadcast_to(-1, design.nobs)] * len(effects)
        return PredictedRows(design.X, design.offset, effects, included, parameters, known, design.index, none)
    frame = design.read(data)
    absent = [] if new_levels == "error" else _absent(frame, design, included)
    frame = _with_groups(frame, design, included, absent)
    new = design.new_data(frame)
    effects = new.random_effects
    if new_levels == "error":
        _refuse_new_levels(effects, included, frame)
    numbers = [_new_numbers(own, kept, frame) for own, kept in zip(effects, included, strict=True)]
    return PredictedRows(
        new.X, new.offset, effects, included, new.parameters, new.estimable, new.index, numbers, absent=absent
    )


def _new_numbers(own: RandomEffects, kept: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """The number (n,) of each row's level among those that the fit has not seen, in the order of their first rows."""
    found = np.full(len(own.codes), -1)
    where = np.flatnonzero(own.codes < 0)
    if not kept.any() or not len(where):
        return found
    parts = [pd.factorize(column_of(frame, name).iloc[where])[0] for name in own.factors]
    place = np.unique(np.stack(parts), axis=1, return_inverse=True)[1].ravel()
    without = own.codes[where] == MISSING
    place[without] = len(where) + np.arange(without.sum())
    found[where] = pd.factorize(place)[0]
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


def _with_groups(
    frame: pd.DataFrame, design: Design, included: Sequence[np.ndarray], absent: Sequence[str]
) -> pd.DataFrame:
    """The table with missing values for grouping factors that are absent, and for those that nothing needs."""
    used = {
        name for own, kept in zip(design.random_effects, included, strict=True) if kept.any() for name in own.factors
    }
    idle = [name for name in _groups_alone(design) if name not in used]
    missing = dict.fromkeys([*idle, *absent], np.nan)
    return frame.assign(**missing) if missing else frame


def _groups_alone(design: Design) -> list[str]:
    """The grouping factors that are not among the fixed effects' variables too."""
    fixed = {name for factor in design.formula.right_side() for name in factor.variables}
    return [name for name in design.formula.groups if name not in fixed]


def _absent(frame: pd.DataFrame, design: Design, included: Sequence[np.ndarray]) -> list[str]:
    """The columns of grouping factors that the table does not have: each of its rows is a level of its own."""
    used = [
        name for own, kept in zip(design.random_effects, included, strict=True) if kept.any() for name in own.factors
    ]
    there = {*frame.columns, *frame.index.names}
    return [name for name in _groups_alone(design) if name in used and name not in there]


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
            hint='new_levels="zero" gives them deviations of zero, "sample" draws them and "integrate" averages over '
            'them; random="none" leaves the random effects out',
        )


def _some_levels(own: RandomEffects) -> str:
    """A few levels, and of what type they are."""
    kinds = " and ".join(dict.fromkeys(kind_of(levels) for levels in own.factor_levels))
    return ", ".join(map(str, own.levels[:SHOWN])) + (", ..." if own.n_levels > SHOWN else "") + f" ({kinds})"
