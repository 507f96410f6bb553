"""Fitted lines against one covariate, the other columns held where they are on average."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.design import Design
from hier.errors import ModelError
from hier.estimate import Estimate
from hier.formula import ParsedFormula, Term
from hier.model import Specification
from hier.model.grouping_factor import find_factor
from hier.printed import answering
from hier.settings import of_kind


class Held(NamedTuple):
    """Fixed effects whose columns vary only as far as the covariate makes them vary.

    `x` (n,): the covariate; `X` (n, p), `offset` (n,): every column that does not come from the covariate's variables
    is at its mean.
    """

    x: np.ndarray
    X: np.ndarray
    offset: np.ndarray

    def population(self, beta: np.ndarray) -> np.ndarray:
        """The fitted values (n,) of fixed effects `beta` (p,)."""
        return self.X @ beta + self.offset


class HeldLevels(NamedTuple):
    """The same for the levels of one grouping factor: columns are at their means over the level's rows.

    `fixed`; the factor's columns `Z` (n, q) and each row's level `codes` (n,); `varies` (p,): which of the fixed
    columns vary by level too. `others`: of every other grouping factor its position in the design, its columns (n, q),
    held likewise, and its codes (n,).
    """

    fixed: Held
    Z: np.ndarray
    codes: np.ndarray
    varies: np.ndarray
    others: tuple[tuple[int, np.ndarray, np.ndarray], ...]

    def predict(self, beta: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """The fitted values (n,) of fixed effects (p,) and the deviations (J, q) of each row's own level."""
        return self.fixed.population(beta) + np.einsum("ij,ij->i", self.Z, deviations[self.codes])

    def own(self, beta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """No pooling: each level's own coefficients (J, q), and `beta` for the columns that do not vary by level."""
        return self.predict(np.where(self.varies, 0.0, beta), coefficients)

    def around(self, level: int, deviations: Sequence[np.ndarray]) -> np.ndarray:
        """What all other grouping factors add to the rows of one level (..., rows), their deviations (..., J, q), given
        in the design's order, at their means over these rows.

        Where the factor is nested in another, this is what the level that it belongs to adds.
        """
        rows = np.flatnonzero(self.codes == level)
        total: np.ndarray | float = 0.0
        for k, columns, codes in self.others:
            found, count = np.unique(codes[rows], return_counts=True)
            mean = np.einsum("j,...jq->...q", count / len(rows), deviations[k][..., found, :])
            total = total + mean @ columns[rows].T
        return np.asarray(total)

    def around_each(self, deviations: Sequence[np.ndarray]) -> np.ndarray:
        """What `around` gives of each row's own level (n,), from deviations (J, q)."""
        total = np.zeros(len(self.codes))
        for k, columns, codes in self.others:
            for own, values in zip(columns.T, deviations[k].T, strict=True):
                total += own * _mean(self.codes, values[codes])[self.codes]
        return total


@answering
def covariate(model: Specification, group: str | None = None) -> str | None:
    """The column that pictures of a grouping factor have on their horizontal axis, or None where there is no numeric
    one.

    The factor's first numeric column that is not the intercept, else the first numeric fixed-effects column. Without
    a name `group`, the factor is the one with the most levels; raises ModelError for a name that the model does not
    have.
    """
    model = of_kind("covariate", model, Specification, ModelError)
    single = [term for term in _terms(model.formula) if len(term.factors) == 1]
    numeric = {text for term in single for text in (term.label, term.name)}  # odd names keep their back-quotes
    random = model.design.random_effects[find_factor(model, group)]
    return next((column for column in (*random.names, *model.design.names) if column in numeric), None)


def column_values(design: Design, column: str) -> np.ndarray:
    """A column of the fixed-effects matrix or of one of the random-effects matrices, by name."""
    if column in design.names:
        return design.X[:, design.names.index(column)]
    random = next(random for random in design.random_effects if column in random.names)
    return random.Z[:, random.names.index(column)]


def hold(model: Specification, column: str | None, codes: np.ndarray | None = None) -> Held:
    """The fixed effects with all columns but those that come from `column` held at their means, over all rows or over
    those of one code.
    """
    design = model.design
    codes = np.zeros(design.nobs, dtype=int) if codes is None else codes
    return Held(
        x=np.zeros(design.nobs) if column is None else column_values(design, column),
        X=_held(model, column, codes, design.X, design.names),
        offset=np.zeros(design.nobs) if design.offset is None else _mean(codes, design.offset)[codes],
    )


def hold_levels(model: Specification, column: str | None, k: int) -> HeldLevels:
    """The columns of the fixed effects and of all grouping factors, held by the levels of grouping factor `k`."""
    factors = model.design.random_effects
    codes = factors[k].codes
    columns = [_held(model, column, codes, random.Z, random.names) for random in factors]
    return HeldLevels(
        fixed=hold(model, column, codes),
        Z=columns[k],
        codes=codes,
        varies=np.array([name in factors[k].names for name in model.design.names], dtype=bool),
        others=tuple((at, columns[at], factors[at].codes) for at in range(len(factors)) if at != k),
    )


def _held(
    model: Specification, column: str | None, codes: np.ndarray, matrix: np.ndarray, names: tuple[str, ...]
) -> np.ndarray:
    """A matrix (n, m) with the columns that do not come from `column` at their means over the rows of one code."""
    moves = _moved_by(model.formula, column, names)
    held = matrix.astype(float)
    for k in np.flatnonzero(~moves):
        held[:, k] = _mean(codes, matrix[:, k])[codes]
    return held


def _mean(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The mean of the values (n,) of each code (J,)."""
    return np.bincount(codes, values) / np.bincount(codes)


def path(x: np.ndarray, y: np.ndarray, points: int | None = None) -> np.ndarray:
    """A curve (m, 2) through the means of `y` at each value of `x`, or in `points` classes of `x` if there are more."""
    values, where = np.unique(x, return_inverse=True)
    if points is not None and len(values) > points:
        where = np.minimum(where * points // len(values), points - 1)
    size = np.bincount(where)
    return np.column_stack([np.bincount(where, x) / size, np.bincount(where, y) / size])


def paths(x: np.ndarray, y: np.ndarray, codes: np.ndarray, levels: np.ndarray) -> list[np.ndarray]:
    """The curves of some levels, in that order; rows are sorted once however many levels there are."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], levels)
    ends = np.searchsorted(codes[order], levels, side="right")
    return [path(x[order[a:b]], y[order[a:b]]) for a, b in zip(starts, ends, strict=True)]


def level_means(estimate: Estimate, k: int) -> np.ndarray:
    """The mean (J,) of the fitted values of each level of grouping factor `k`."""
    return _mean(estimate.model.design.random_effects[k].codes, estimate.fitted.to_numpy())


def _terms(formula: ParsedFormula) -> list[Term]:
    return [*formula.fixed.terms, *(term for bar in formula.random for term in bar.columns.terms)]


def _moved_by(formula: ParsedFormula, column: str | None, names: tuple[str, ...]) -> np.ndarray:
    """Which columns are made from variables that `column` is made from: `week` moves `week:diet[T.b]`, `I(week**2)`."""
    terms = _terms(formula)
    moving = {
        v for term in terms if column in (term.label, term.name) for factor in term.factors for v in factor.variables
    }
    patterns = [
        # a factor's dummy column has its level in brackets behind the factor's name
        ":".join(f"({re.escape(factor.name)}|{re.escape(factor.text)})" + r"(\[.*?\])?" for factor in term.factors)
        for term in terms
        if moving.intersection(v for factor in term.factors for v in factor.variables)
    ]
    return np.array([any(re.fullmatch(p, name, re.DOTALL) for p in patterns) for name in names], dtype=bool)
