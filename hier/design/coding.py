"""One variable of a formula as columns: numbers as they are, a factor by its levels; remembered for new data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hier.design.evaluate import Evaluator, kept
from hier.design.kinds import as_levels, days, is_date
from hier.design.levels import kind_of, match
from hier.design.table import ModelFrame, in_use
from hier.errors import DataError, FormulaError, did_you_mean
from hier.formula import Contrast, Factor


@dataclass(frozen=True)
class Coding:
    """How a variable became columns.

    `levels`: a factor's levels in use, in order; None for a numeric variable. `contrasts` (L, L - 1) and `labels` (one
    per column of it): its coding where it is not coded in full. `state`: what its transforms learned from the data.
    `width`: columns of a numeric variable. `declared` (L,): the place of each level among all that the data declare,
    those without rows too.
    """

    factor: Factor
    levels: pd.Index | None
    contrasts: np.ndarray | None
    labels: tuple[str, ...]
    state: dict[Any, Any]
    width: int
    declared: np.ndarray | None = None

    def names(self, *, full: bool) -> tuple[str, ...]:
        """Names of the columns as formulaic gives them; a factor's depend on whether it is coded in full."""
        name = self.factor.name
        if self.levels is None:
            return (name,) if self.width == 0 else tuple(f"{name}[{k + 1}]" for k in range(self.width))
        labels = map(str, self.levels) if full else self.labels
        return tuple(f"{name}[{label}]" for label in labels)

    def notes(self) -> list[str]:
        """What is kept of the data of the fit, a sentence each."""
        return kept(self.state, self.factor.name)

    def columns(self, values: np.ndarray, *, full: bool) -> np.ndarray:
        """The columns (n, k) of values (n,) or (n, k), or of a factor's codes (n,)."""
        if self.levels is None:
            return values if values.ndim == 2 else values[:, None]
        if full:
            return (values[:, None] == np.arange(len(self.levels))).astype(np.float64)
        assert self.contrasts is not None
        columns = np.empty((len(values), self.contrasts.shape[1]), order="F")
        for k, contrast in enumerate(self.contrasts.T):
            columns[:, k] = contrast[values]
        return columns


def learn(factor: Factor, table: ModelFrame, text: str, *, as_numbers: bool = False) -> tuple[Coding, np.ndarray]:
    """The coding of a variable, and its values in the table: numbers, or codes of a factor's levels.
    `as_numbers`: truth
    counts as 0 and 1.

    Raises FormulaError where the expression cannot be evaluated or a factor has one level, DataError for values that
    are not finite.
    """
    state: dict[Any, Any] = {}
    raw = _evaluate(factor, table, state, text, learning=True)
    if as_numbers and isinstance(raw, pd.Categorical) and raw.categories.dtype == bool:
        raw = np.asarray(raw, dtype=np.float64)
    if not isinstance(raw, pd.Categorical):
        return Coding(factor, None, None, (), state, 0 if raw.ndim == 1 else raw.shape[1]), raw
    codes, levels = in_use(raw)
    if len(levels) < 2:
        raise FormulaError(
            f"the factor `{factor.name}` has only one level in the data, so it has no contrast to estimate",
            text,
            factor.span,
            found=f"the level {levels.tolist()[0]!r} in every row",
            expected="two levels or more",
            hint=f"leave `{factor.name}` out",
        )
    contrast = factor.contrast or Contrast("poly" if raw.ordered else "treatment")
    matrix, labels = _contrasts(contrast, levels, factor, text)
    declared = raw.categories.get_indexer(levels)
    return Coding(factor, levels, matrix, labels, state, 0, declared), codes


def apply(coding: Coding, table: ModelFrame, text: str) -> np.ndarray:
    """The values of a variable in another table, by what was learned. Raises DataError for a level that is new."""
    raw = _evaluate(coding.factor, table, coding.state, text, learning=False)
    if coding.levels is None:
        if not isinstance(raw, pd.Categorical):
            return raw
        if raw.categories.dtype == bool:
            return np.asarray(raw, dtype=np.float64)
        raise DataError(
            f"`{coding.factor.name}` was numeric in the data of the fit, "
            f"and is {kind_of(raw.categories)} in the new data",
            found=", ".join(map(repr, raw.categories[:3].tolist())),
            expected="numbers",
            hint="turn the column into numbers first",
        )
    if not isinstance(raw, pd.Categorical):
        raw = as_levels(raw)
    raw = raw.remove_unused_categories()
    place = match(coding.factor.name, raw.categories, coding.levels)
    if (place < 0).any():
        unseen = raw.categories[int(np.argmax(place < 0))]
        kinds = [kind_of(own) for own in (raw.categories, coding.levels)]
        own, other = [f" ({kind})" if kinds[0] != kinds[1] else "" for kind in kinds]
        raise DataError(
            f"the factor `{coding.factor.name}` has a level that was not in the data of the fit",
            found=f"{unseen!r}{own}",
            expected=f"one of {', '.join(map(str, coding.levels[:10]))}{other}",
            hint=did_you_mean(str(unseen), coding.levels.astype(str)),
        )
    return np.where(raw.codes >= 0, place[raw.codes], -1)


def _evaluate(
    factor: Factor, table: ModelFrame, state: dict[Any, Any], text: str, *, learning: bool
) -> np.ndarray | pd.Categorical:
    """The values of an expression: float64 (n,) or (n, k), or a categorical."""
    values: Any = table.columns[factor.variables[0]]
    if not factor.is_plain:
        values = Evaluator(table.columns, state, learning, text).of(factor)
        values = days(values) if is_date(values) else values  # as in R, and so a constant less where an origin is told
    if isinstance(values, pd.Categorical):
        return values
    values = np.asarray(values)
    if values.dtype.kind == "b":
        return pd.Categorical(values, categories=[False, True])
    if factor.categorical and values.ndim != 1:
        raise FormulaError("a factor is made of one column of values", text, factor.span)
    if factor.categorical:
        return as_levels(values)
    if values.dtype.kind not in "iuf" or values.shape[:1] != (table.nobs,):
        raise FormulaError(
            "this part of the formula does not give numbers, one a row",
            text,
            factor.span,
            found=f"values of type {values.dtype}",
            hint="write factor( ) around a variable whose values are labels",
        )
    values = values.astype(np.float64, copy=False)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if not factor.is_plain:
        _refuse_not_finite(factor, values, table)
    return values


def _contrasts(contrast: Contrast, levels: pd.Index, factor: Factor, text: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The contrast matrix (L, L - 1) and the labels of its columns, as formulaic makes and names them."""
    from formulaic.transforms import contrasts as coded

    names = [str(level) for level in levels]
    if contrast.kind == "treatment":
        base = _base(contrast, names, factor, text)
        others = [k for k in range(len(names)) if k != base]
        return np.eye(len(names))[:, others], tuple(f"T.{names[k]}" for k in others)
    kind, prefix = {
        "sum": (coded.SumContrasts(), "S."),
        "helmert": (coded.HelmertContrasts(), "H."),
        "poly": (coded.PolyContrasts(), ""),
    }[contrast.kind]
    matrix = kind.get_coding_matrix(names)
    return np.asarray(matrix, dtype=np.float64), tuple(f"{prefix}{label}" for label in matrix.columns)


def _base(contrast: Contrast, names: list[str], factor: Factor, text: str) -> int:
    """The place of the base level."""
    base = contrast.base
    if base is None:
        return 0
    if str(base) in names:
        return names.index(str(base))
    if isinstance(base, int) and 1 <= base <= len(names):
        return base - 1
    raise FormulaError(
        f"the factor `{factor.variables[0]}` has no level {base!r} to be the base",
        text,
        factor.span,
        found=f"levels {', '.join(names[:10])}",
        hint=did_you_mean(str(base), names),
    )


def _refuse_not_finite(factor: Factor, values: np.ndarray, table: ModelFrame) -> None:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"`{factor.name}` is not finite in {int(bad.sum())} of {table.nobs} rows",
            where=f"first in the row labelled {table.index[row]!r}",
            found=str(values[row]),
            expected="finite numbers, such as a logarithm of positive values has",
            hint="correct the values, or choose another transform",
        )
