"""The columns of further parameters: what a spread, a shape or a share of zeros depends on, fixed effects only."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from hier.design.encode import Encoder, encode
from hier.design.owned import Closed
from hier.design.rank import Determined, determined, triangular_factor
from hier.design.response import Outcome
from hier.design.table import ModelFrame
from hier.errors import FormulaError, did_you_mean
from hier.formula import LinearPart, ParsedFormula

# how the one column of a parameter without a formula is made
CONSTANT = Encoder(LinearPart(True, (), (0, 0)), {}, frozenset(), ("Intercept",), (), "")
OF_CONSTANT = Determined(np.ones(1, bool), np.zeros((1, 0)), np.zeros(0), np.zeros(0), np.ones(1))


@dataclass(frozen=True)
class ParameterDesign(Closed):
    """The linear predictor of one further parameter of the response's distribution: `X @ coefficients + offset`.

    `X` (n, k) of full column rank with column `names`; without a formula one column of ones, named `Intercept`, and
    `has_formula` False. `offset` (n,) or None: of a residual standard deviation, on its log scale, what precision
    weights take away. `encoder`: how the columns were made, those that `kept` says are in X.
    """

    name: str
    X: np.ndarray
    names: tuple[str, ...]
    has_formula: bool
    offset: np.ndarray | None
    encoder: Encoder
    determined: Determined

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        return tuple(name for name, keep in zip(self.encoder.names, self.determined.kept, strict=True) if not keep)

    def keys(self) -> tuple[str, ...]:
        """Names of the coefficients as they are reported: `sigma` alone, or `sigma_Intercept`, `sigma_x`."""
        return tuple(f"{self.name}_{column}" for column in self.names) if self.has_formula else (self.name,)

    def predictor(self, coefficients: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """The linear predictor of some of the rows, from coefficients (k,) or draws of them (S, k): (m,) or (S, m)."""
        return coefficients @ self.X[rows].T + (0.0 if self.offset is None else self.offset[rows])

    def of(self, table: ModelFrame) -> ParameterDesign:
        """The same parameter in the rows of another table, without the offset of weights; NaN in rows where the data of
        the fit do not determine its predictor.
        """
        if not self.has_formula:
            return replace(self, X=_ones(table.nobs), offset=None)
        X = self.encoder.columns(table)
        known = self.determined.estimable(X)[:, None]
        return replace(self, X=np.where(known, X[:, self.determined.kept], np.nan), offset=None)


def parameter_designs(
    formula: ParsedFormula, table: ModelFrame, outcome: Outcome, weights: np.ndarray | None
) -> tuple[ParameterDesign, ...]:
    """The columns of every further parameter, in the order of the family's record. Raises FormulaError for a formula
    of a parameter that the family does not have.
    """
    written = dict(formula.parameters)
    for name, part in written.items():
        if name not in outcome.parameters:
            raise FormulaError(
                f'the family "{outcome.family}" has no parameter `{name}` to give a formula to',
                formula.text,
                part.span,
                expected=", ".join(f"`{known}`" for known in outcome.parameters) or "one formula, for the mean",
                hint=did_you_mean(name, outcome.parameters),
            )
    log_sd = None if weights is None else -0.5 * np.log(weights)
    return tuple(
        _parameter(name, written.get(name), formula, table, log_sd if name == outcome.precision else None)
        for name in outcome.parameters
    )


def _parameter(
    name: str, part: LinearPart | None, formula: ParsedFormula, table: ModelFrame, offset: np.ndarray | None
) -> ParameterDesign:
    if part is None:
        constant = _constant(name, table.nobs)
        return constant if offset is None else replace(constant, offset=offset)
    X, encoder = encode(part, table, formula.text)
    known = determined(triangular_factor(X), [width for _, width in encoder.runs()], table.nobs)
    names = tuple(column for column, keep in zip(encoder.names, known.kept, strict=True) if keep)
    return ParameterDesign(name, X[:, known.kept], names, True, offset, encoder, known)


@functools.lru_cache(maxsize=64)
def _constant(name: str, nobs: int) -> ParameterDesign:
    return ParameterDesign(name, _ones(nobs), ("Intercept",), False, None, CONSTANT, OF_CONSTANT)


@functools.lru_cache(maxsize=8)
def _ones(nobs: int) -> np.ndarray:
    """A column of ones that takes no memory, and cannot be written to."""
    return np.broadcast_to(1.0, (nobs, 1))
