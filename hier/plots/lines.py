"""Fitted lines against one covariate, the other columns held where they are on average."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from hier.design import Design
from hier.estimate import Estimate
from hier.formula import Formula, Term
from hier.model import Model


class Held(NamedTuple):
    """A design whose columns vary only as far as the covariate makes them vary.

    `x` (n,): the covariate; `X` (n, p), `Z` (n, q), `offset` (n,): every column that does not come from the covariate's
    variables is at its mean. `others`: which of the fixed columns have no random counterpart.
    """

    x: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    offset: np.ndarray
    others: np.ndarray

    def predict(self, beta: np.ndarray, deviations: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Fixed effects `beta` (p,) and deviations (J, q) of each row's own level: (n,)."""
        return self.X @ beta + np.einsum("ij,ij->i", self.Z, deviations[codes]) + self.offset

    def population(self, beta: np.ndarray) -> np.ndarray:
        return self.X @ beta + self.offset

    def own(self, beta: np.ndarray, coefficients: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """No pooling: each level's own coefficients (J, q), and `beta` for the columns that do not vary by level."""
        return self.predict(np.where(self.others, beta, 0.0), coefficients, codes)


def covariate(model: Model) -> str | None:
    """The column that pictures have on their horizontal axis, or None where the model has no numeric one.

    The first numeric random-effects column that is not the intercept, else the first numeric fixed-effects column.
    """
    single = [term for term in _terms(model.formula) if len(term.factors) == 1]
    numeric = {text for term in single for text in (term.label, term.name)}  # odd names keep their back-quotes
    design = model.design
    return next((column for column in (*design.random.names, *design.names) if column in numeric), None)


def column_values(design: Design, column: str) -> np.ndarray:
    """A column of the random-effects or fixed-effects matrix, by name."""
    if column in design.random.names:
        return design.random.Z[:, design.random.names.index(column)]
    return design.X[:, design.names.index(column)]


def hold(model: Model, column: str | None, by_level: bool) -> Held:
    """The design with all columns held at their means, by level or over all rows, but those that come from `column`."""
    design = model.design
    random = design.random
    codes = random.codes if by_level else np.zeros(design.nobs, dtype=int)
    weight = np.bincount(codes).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        return (np.bincount(codes, values) / weight)[codes]

    def held(matrix: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        moves = _moved_by(model.formula, column, names)
        return np.column_stack([matrix[:, k] if moves[k] else mean(matrix[:, k]) for k in range(len(names))])

    return Held(
        x=np.zeros(design.nobs) if column is None else column_values(design, column),
        X=held(design.X, design.names) if design.names else design.X,
        Z=held(random.Z, random.names),
        offset=np.zeros(design.nobs) if design.offset is None else mean(design.offset),
        others=np.array([column not in random.names for column in design.names], dtype=bool),
    )


def own_coefficients(table: np.ndarray, design: Design) -> np.ndarray:
    """A column of a comparison's long table as levels x random-effects columns."""
    return np.asarray(table, dtype=float).reshape(design.random.n_levels, len(design.random.names))


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


def level_means(model: Model, estimate: Estimate) -> np.ndarray:
    """Fitted mean of each level (J,)."""
    held = hold(model, None, by_level=True)
    codes = model.design.random.codes
    fitted = held.predict(estimate.arrays.beta, estimate.arrays.deviations, codes)
    return np.bincount(codes, fitted) / np.bincount(codes)


def _terms(formula: Formula) -> list[Term]:
    return [*formula.fixed.terms, *(term for bar in formula.random for term in bar.columns.terms)]


def _moved_by(formula: Formula, column: str | None, names: tuple[str, ...]) -> np.ndarray:
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
