"""A formula and a table become arrays: response, fixed-effects columns, and integer codes with a small dense block."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from hier.design.beside import beside_formula, offset_of_fit, weighted_rows
from hier.design.encode import Encoder, encode
from hier.design.fields import Uses
from hier.design.further import ParameterDesign, parameter_designs
from hier.design.opening import as_used, open_data
from hier.design.owned import Closed
from hier.design.random_effects import RandomEffects, random_effects
from hier.design.rank import Determined, determined, triangular_factor
from hier.design.reading import AS_IT_IS, Reading
from hier.design.response import Outcome, read_response
from hier.design.table import Mentions, ModelFrame, in_use, select
from hier.design.variables import Variables, variables_of
from hier.errors import DataError, FormulaError
from hier.formula import Factor, ParsedFormula
from hier.formula.tokens import Span
from hier.text import shown

NORMAL = Outcome()


@dataclass(frozen=True)
class Design(Closed):
    """Everything that a model needs of the data, row for row with `index`, the labels of the user's table.

    `y` (n,), `X` (n, p) of full column rank with column `names`, `random_effects` (one per grouping factor), `weights`,
    `offset` and `trials` (n,) or None. `triangle` (p + 1, p + 1): the triangular factor of X beside y less its offset,
    the rows times the roots of the weights: all that least squares needs of them. `categories`: the labels that y = 0,
    1, ... stand for, of an ordered response and of one with two labels; otherwise None. An ordered response has no
    column `Intercept`: its cutpoints stand for it. `parameters`: the columns of each further parameter of the
    response's distribution. `outcome`: what the family asked for. `shares`: whether the user's response
    is the shares of successes. `rows_read`, `missing` (by column), `without_weight` (rows of weight 0 or of 0 trials)
    and `unused_levels` (by factor) say what was left out. `fixed` is how the columns of X were made; `determined` says
    which of them are in X, and what the data determine of the others. `offset_given`: what stood beside the formula as
    the offset, a column's name or numbers, or None. `variables`: what the values of the fixed effects' variables are.
    `reading`: how files of text are read; `reading_notes`: what there was to say of the data, one sentence each.
    `table`: the columns of the formula in these rows, which are the user's own arrays where nothing was left out: see
    `frame_of_fit`.
    """

    formula: ParsedFormula
    response: str
    y: np.ndarray
    X: np.ndarray
    triangle: np.ndarray
    names: tuple[str, ...]
    random_effects: tuple[RandomEffects, ...]
    weights: np.ndarray | None
    offset: np.ndarray | None
    trials: np.ndarray | None
    categories: pd.Index | None
    parameters: tuple[ParameterDesign, ...]
    outcome: Outcome
    index: pd.Index
    rows_read: int
    missing: dict[str, int]
    without_weight: int
    shares: bool
    unused_levels: dict[str, int]
    fixed: Encoder
    determined: Determined
    offset_given: Any
    variables: Variables
    response_notes: tuple[str, ...] = ()
    reading: Reading = AS_IT_IS
    reading_notes: tuple[str, ...] = ()
    table: ModelFrame | None = field(default=None, repr=False, compare=False)

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Fixed-effects columns that are not in X because the others determine them."""
        return tuple(name for name, keep in zip(self.fixed.names, self.kept, strict=True) if not keep)

    @property
    def kept(self) -> np.ndarray:
        """Which of the columns of the fixed effects are in X (P,)."""
        return self.determined.kept

    @property
    def nobs(self) -> int:
        return len(self.y)

    @property
    def observed(self) -> np.ndarray:
        """The response (n,) as it compares with expected ones: the shares of successes where there are trials, and the
        numbers that ordered categories stand for.
        """
        return self.in_numbers(self.y) if self.trials is None else self.y / self.trials

    @property
    def category_values(self) -> np.ndarray:
        """What each category of an ordered response counts as in a mean (K,): its label where the labels are numbers,
        otherwise its place 1, 2, ...
        """
        assert self.categories is not None
        if self.categories.dtype.kind in "iuf":
            return self.categories.to_numpy(dtype=np.float64)
        return np.arange(1.0, len(self.categories) + 1.0)

    def in_numbers(self, coded: np.ndarray) -> np.ndarray:
        """Responses (..., n) as numbers of the user's: the shares of successes, if the response is these, otherwise
        their counts; what ordered categories count as; 0 and 1 for two labels.
        """
        if self.n_cutpoints:
            return self.category_values[coded.astype(int)]
        return coded / self.trials if self.shares and self.trials is not None else coded

    def as_written(self, coded: np.ndarray) -> np.ndarray | pd.Categorical:
        """Responses (n,) as the user's column has them, so that they can stand in its place: labels where it has them,
        as a categorical unless they are numbers in ascending order or booleans.
        """
        labels = self.categories
        if labels is None:
            return self.in_numbers(coded)
        if labels.dtype.kind == "b" or (labels.dtype.kind in "iuf" and labels.is_monotonic_increasing):
            return labels.to_numpy()[coded.astype(int)]
        return pd.Categorical.from_codes(coded.astype(int), categories=labels, ordered=self.outcome.has_cutpoints)

    @property
    def n_cutpoints(self) -> int:
        """Of an ordered response one less than its categories, otherwise 0."""
        return 0 if self.categories is None or not self.outcome.has_cutpoints else len(self.categories) - 1

    @property
    def cutpoint_names(self) -> tuple[str, ...]:
        """Of an ordered response the pairs of neighbouring categories that its cutpoints part, such as `1|2`."""
        if self.categories is None or not self.outcome.has_cutpoints:
            return ()
        return tuple(f"{low}|{high}" for low, high in itertools.pairwise(self.categories))

    def read(self, data: Any, *beside: Any) -> pd.DataFrame:
        """Another table as the formula uses it, a file read as that of the fit was, with the columns named beside it
        as numbers.
        """
        reading = self.reading if isinstance(data, str | os.PathLike) else AS_IT_IS
        return as_used(open_data(data, reading), uses_of(self.formula, self.offset_given, *beside))[0]

    def new_data(self, data: Any) -> NewData:
        """The columns of another table, coded as in the fit, for prediction.

        Levels of grouping factors may be new or missing, and are told apart; a new level of a fixed factor, and a
        missing value of a fixed variable, raise DataError.
        """
        return new_data(self, data)

    def notes(self) -> list[str]:
        """How the data were read, how the response was coded, what functions keep for the prediction of new rows and
        what was left out of the user's table, a sentence each; often empty.
        """
        encoders = [self.fixed, *(own for random in self.random_effects for own in random.encoders)]
        encoders += [parameter.encoder for parameter in self.parameters]
        kept = dict.fromkeys([said for encoder in encoders for said in encoder.notes()])
        return [*map(shown, [*self.reading_notes, *self.response_notes, *kept]), *self.left_out()]

    @property
    def _spaced(self) -> set[str]:
        """Factors whose levels without rows count in the distances of others."""
        return {name for random in self.random_effects for name in random.spaced}

    def left_out(self) -> list[str]:
        """What was left out of the user's table, one sentence each; often empty."""
        said = []
        if self.missing:
            causes = ", ".join(f"`{name}` {count}" for name, count in self.missing.items())
            dropped = self.rows_read - self.nobs - self.without_weight
            said.append(f"{dropped} of {self.rows_read} rows dropped for missing values ({causes})")
        if self.without_weight:
            causes = ["a weight of 0"] * (self.trials is None or self.weights is not None)
            causes += ["0 trials"] * (self.trials is not None)
            said.append(f"{self.without_weight} of {self.rows_read} rows left out, with {' or '.join(causes)}")
        if self.dropped_columns:
            names = ", ".join(f"`{name}`" for name in self.dropped_columns)
            said.append(f"fixed-effects columns dropped, because the others determine them: {names}")
        for parameter in self.parameters:
            if parameter.dropped_columns:
                names = ", ".join(f"`{name}`" for name in parameter.dropped_columns)
                said.append(f"columns of `{parameter.name}` dropped, because the others determine them: {names}")
        for name, count in self.unused_levels.items():
            kept = " without rows; they count as steps of ar1( )" if name in self._spaced else " dropped"
            said.append(f"{count} unused level{'s' if count > 1 else ''} of `{name}`{kept}")
        return [shown(each) for each in said]


@dataclass(frozen=True)
class NewData:
    """Another table's columns, coded as those of the fit, row for row with `index`.

    `X` (n, p) with the fit's columns; `estimable` (n,): whether the data of the fit determine the fixed part there;
    `offset` (n,) or None; `random_effects`, one per grouping factor, with `codes` -1 for a level that the fit has not
    seen and -2 for a missing one; `parameters` as in the design.
    """

    X: np.ndarray
    estimable: np.ndarray
    offset: np.ndarray | None
    random_effects: tuple[RandomEffects, ...]
    parameters: tuple[ParameterDesign, ...]
    index: pd.Index


def new_data(design: Design, data: Any) -> NewData:
    """The columns of another table by what a design has learned. Raises DataError as `Design.new_data` says."""
    formula, frame = design.formula, design.read(data)
    extra = offset_of_fit(design.offset_given, frame)
    uses = uses_of(formula)._replace(alone=frozenset())  # a column's kind is known from the fit
    table = _read(formula, frame, formula.right_side(), uses, extra, na="error", incomplete=formula.groups)
    X = design.fixed.columns(table)
    return NewData(
        X=X if design.kept.all() else X[:, design.kept],
        estimable=design.determined.estimable(X),
        offset=_offset(design.fixed, table),
        random_effects=tuple(random.of(table) for random in design.random_effects),
        parameters=tuple(parameter.of(table) for parameter in design.parameters),
        index=table.index,
    )


def build_design(
    formula: ParsedFormula,
    data: Any,
    weights: Any = None,
    offset: Any = None,
    na: str = "drop",
    outcome: Outcome = NORMAL,
    reading: Reading = AS_IT_IS,
) -> Design:
    """The design of a formula on a table.

    `weights` and `offset`: a column's name, or n numbers. `na`: "drop" leaves out rows with a missing value, counted by
    column; "error" refuses them. `outcome`: what the family asks of the response. `reading`: how files of text are
    read, these data and those of predictions. Raises DataError and FormulaError for what cannot be modelled.
    """
    uses = uses_of(formula, weights, offset)
    frame, said = as_used(open_data(data, reading), uses)
    extra = beside_formula(frame, {"weights": weights, "offset": offset})
    complete = _read(formula, frame, (*formula.left_side(), *formula.right_side()), uses, extra, na=na)
    table, row_weights = weighted_rows(complete)
    response = read_response(formula, table, outcome)
    if response.trials is not None and not response.trials.all():
        tried = response.trials > 0
        table, response = table.rows(tried), response.rows(tried)
        row_weights = None if row_weights is None else row_weights[tried]
    if response.weights_used:
        row_weights = None
    # cutpoints stand for the intercept, so that factors are coded as beside one
    part = replace(formula.fixed, intercept=True) if outcome.has_cutpoints else formula.fixed
    X, fixed = encode(part, table, formula.text)
    _refuse_repeated(fixed.names, formula)
    random = random_effects(formula, table, X, fixed, by_row=not outcome.is_continuous)
    for own in random:
        _refuse_repeated(own.names, formula, own.span)
    _refuse_second_intercept(formula, has_cutpoints=outcome.has_cutpoints)
    within = _offset(fixed, table)
    y = response.y if within is None else response.y - within
    R = triangular_factor(X, y)
    known = determined(R[:, :-1], [width for _, width in fixed.runs()], table.nobs)
    if outcome.has_cutpoints:
        fixed = fixed.with_part(replace(part, intercept=False), fixed.codings, fixed.full)
        X, R, known = X[:, 1:], R[:, 1:], known.without_intercept()
    kept = known.kept
    _refuse_too_few_rows(table.nobs, int(kept.sum()))
    X = X if kept.all() else X[:, kept]
    if row_weights is not None:
        R = triangular_factor(X, y, weights=row_weights)
    elif not kept.all() or outcome.has_cutpoints:
        R = triangular_factor(R[:, np.append(kept, True)])
    return Design(
        formula=formula,
        response=formula.response.name,
        y=response.y,
        X=X,
        triangle=R,
        names=tuple(name for name, keep in zip(fixed.names, kept, strict=True) if keep),
        random_effects=random,
        weights=row_weights,
        offset=within,
        trials=response.trials,
        categories=response.categories,
        parameters=parameter_designs(formula, table, outcome, row_weights),
        outcome=outcome,
        index=table.index,
        rows_read=table.rows_read,
        missing=table.missing,
        without_weight=complete.nobs - table.nobs,
        shares=response.shares,
        unused_levels=_unused_levels(table),
        fixed=fixed,
        determined=known,
        offset_given=offset,
        variables=variables_of(formula.fixed, fixed, table),
        response_notes=response.notes,
        reading=reading,
        reading_notes=(*said, *table.notes),
        table=table,
    )


def uses_of(formula: ParsedFormula, *beside: Any) -> Uses:
    """What a formula does with columns, and what stands beside it: a column's name among `beside` is one of numbers."""
    factors = [*formula.left_side(), *formula.right_side()]
    inside = [name for factor in factors for name in _compared(factor)]
    numbers = [name for factor in factors for name in set(factor.variables) - set(_compared(factor))]
    alone = [factor.variables[0] for factor in factors if factor.is_column]
    named = [name for name in beside if isinstance(name, str)]
    return Uses(frozenset([*formula.groups, *inside]), frozenset([*numbers, *named]), frozenset(alone))


def _compared(factor: Factor) -> list[str]:
    """The columns whose values are labels: what stands in `factor( )` and `C( )` alone, or is compared with text."""
    if factor.categorical and factor.is_plain:
        return [factor.variables[0]]
    return list(factor.as_text)


def _places(formula: ParsedFormula) -> dict[str, Span]:
    """Where the formula names each column first."""
    found = [(name, f.span) for f in (*formula.left_side(), *formula.right_side()) for name in f.variables]
    found += [(name, term.group_span) for term in formula.random for name in term.factors]
    return dict(reversed(found))


def _read(
    formula: ParsedFormula,
    frame: pd.DataFrame,
    factors: Iterable[Factor],
    uses: Uses,
    extra: dict[str, np.ndarray],
    **options: Any,
) -> ModelFrame:
    """The columns of these variables and of the grouping factors."""
    variables = dict.fromkeys([*(name for factor in factors for name in factor.variables), *formula.groups])
    mentions = Mentions(formula.text, lambda: _places(formula))
    return select(frame, list(variables), uses, extra, mentions=mentions, **options)


def _refuse_repeated(names: tuple[str, ...], formula: ParsedFormula, span: Span | None = None) -> None:
    repeated = [name for k, name in enumerate(names) if name in names[:k]]
    if repeated:
        raise FormulaError(
            f"two columns of the design are named `{repeated[0]}`",
            formula.text,
            span or formula.fixed.span,
            hint="rename the column in the data",
        )


def _refuse_second_intercept(formula: ParsedFormula, *, has_cutpoints: bool) -> None:
    """Refuse a variable called `Intercept` beside an intercept, whose coefficient it would be taken for."""
    parts = [formula.fixed, *(term.columns for term in formula.random)]
    if not has_cutpoints and not any(part.intercept for part in parts):
        return
    for part in parts:
        for term in part.terms:
            if term.label == "Intercept":
                raise FormulaError(
                    "a variable called `Intercept` cannot be told from the intercept",
                    formula.text,
                    term.span,
                    expected="another name, or no intercept in the formula and its bars",
                    hint="rename the column in the data",
                )


def _offset(fixed: Encoder, table: ModelFrame) -> np.ndarray | None:
    """The offsets of the formula and the one beside it, added up."""
    within, beside = fixed.offset(table), table.columns.get("(offset)")
    if within is None or beside is None:
        return within if beside is None else np.asarray(beside)
    return within + np.asarray(beside)


def _unused_levels(table: ModelFrame) -> dict[str, int]:
    unused = {
        name: len(values.categories) - len(in_use(values)[1])
        for name, values in table.columns.items()
        if isinstance(values, pd.Categorical)
    }
    return {name: count for name, count in unused.items() if count}


def _refuse_too_few_rows(nobs: int, p: int) -> None:
    if nobs <= p:
        raise DataError(
            "there are too few rows for the fixed effects",
            found=f"{nobs} rows and {p} coefficients",
            expected=f"{p + 1} rows or more",
            hint="use a smaller formula or more data",
        )
