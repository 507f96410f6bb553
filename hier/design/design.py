"""A formula and a table become arrays: response, fixed-effects columns, and integer codes with a small dense block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hier.design.encode import encode
from hier.design.rank import independent_columns
from hier.design.table import Table, read_frame, select
from hier.errors import DataError, FormulaError
from hier.formula import Formula, RandomTerm


@dataclass(frozen=True)
class RandomEffects:
    """The random effects of one grouping factor.

    `codes` (n,): the row's level as an integer in [0, J). `Z` (n, q): the columns that vary between levels. `levels`:
    the J levels as they stand in the data, sorted or in the order of the categorical. `names`: the q columns.
    `blocks`: sizes of the blocks of columns that are correlated among themselves, summing to q.
    """

    group: str
    codes: np.ndarray
    Z: np.ndarray
    levels: pd.Index
    names: tuple[str, ...]
    blocks: tuple[int, ...]

    @property
    def n_levels(self) -> int:
        return len(self.levels)


@dataclass(frozen=True)
class Design:
    """Everything that a model needs of the data, row for row with `index`, the labels of the user's table.

    `y` (n,), `X` (n, p) of full column rank with column `names`, `random`, `weights` and `offset` (n,) or None.
    `rows_read`, `missing` (by column), `dropped_columns` and `unused_levels` (by factor) say what was left out.
    """

    response: str
    y: np.ndarray
    X: np.ndarray
    names: tuple[str, ...]
    random: RandomEffects
    weights: np.ndarray | None
    offset: np.ndarray | None
    index: pd.Index
    rows_read: int
    missing: dict[str, int]
    dropped_columns: tuple[str, ...]
    unused_levels: dict[str, int]

    @property
    def nobs(self) -> int:
        return len(self.y)

    def notes(self) -> list[str]:
        """What was left out of the user's table, a sentence each; empty where nothing was."""
        said = []
        if self.missing:
            causes = ", ".join(f"`{name}` {count}" for name, count in self.missing.items())
            said.append(f"{self.rows_read - self.nobs} of {self.rows_read} rows dropped for missing values ({causes})")
        if self.dropped_columns:
            names = ", ".join(f"`{name}`" for name in self.dropped_columns)
            said.append(f"fixed-effects columns dropped, because the others determine them: {names}")
        for name, count in self.unused_levels.items():
            said.append(f"{count} unused level{'s' if count > 1 else ''} of `{name}` dropped")
        return said


def build_design(formula: Formula, data: Any, weights: Any = None, offset: Any = None) -> Design:
    """The design of a formula on a table.

    `weights` and `offset`: a column's name, or n numbers. Raises DataError and FormulaError for what cannot be
    modelled.
    """
    frame = read_frame(data)
    variables = dict.fromkeys(
        [*formula.response.variables, *formula.fixed.variables]
        + [name for term in formula.random for name in (*term.columns.variables, term.group)]
    )
    groups = [term.group for term in formula.random]
    extra = _extra_columns(frame, {"weights": weights, "offset": offset})
    table = select(frame, list(variables), groups, extra)
    y = _response(formula, table)
    X, names = encode(formula.fixed, table, formula.text)
    random = _random_effects(formula, table)
    kept = independent_columns(X)
    _refuse_too_few_rows(table.nobs, int(kept.sum()))
    return Design(
        response=formula.response.name,
        y=y,
        X=X if kept.all() else X[:, kept],
        names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        random=random,
        weights=_weights(table),
        offset=table.columns.get("(offset)"),  # type: ignore[arg-type]
        index=table.index,
        rows_read=table.rows_read,
        missing=table.missing,
        dropped_columns=tuple(name for name, keep in zip(names, kept, strict=True) if not keep),
        unused_levels=_unused_levels(table),
    )


def _extra_columns(frame: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Weights and offset as columns `(weights)` and `(offset)`, the names that R's model frames have for them."""
    columns = {}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, str):
            value = select(frame, [value], []).columns[value] if value not in frame.columns else frame[value]
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"the {name} are not numbers", expected="a numeric column's name or an array") from error
        if numbers.shape != (len(frame),):
            raise DataError(
                f"the {name} do not match the table",
                found=f"shape {numbers.shape}",
                expected=f"{len(frame)} numbers, one a row",
            )
        columns[f"({name})"] = numbers
    return columns


def _weights(table: Table) -> np.ndarray | None:
    weights = table.columns.get("(weights)")
    if weights is None:
        return None
    values = np.asarray(weights)
    if (values <= 0).any():
        raise DataError(
            "precision weights must be positive",
            found=f"{values.min():g} in the row labelled {table.index[int(values.argmin())]!r}",
            hint="drop the rows that should not count",
        )
    return values


def _response(formula: Formula, table: Table) -> np.ndarray:
    from hier.formula import LinearPart, Term

    factor = formula.response
    for name in factor.variables:
        values = table.columns[name]
        if isinstance(values, pd.Categorical):
            kind = "booleans" if values.categories.dtype == bool else "text"
            raise DataError(
                f"the response `{name}` is not numeric",
                where=f"column `{name}`",
                found=f"{kind}: {', '.join(map(repr, values.categories[:3].tolist()))}",
                expected="numbers, for a Normal response",
                hint="convert the column to numbers",
            )
    y, _ = encode(LinearPart(False, (Term((factor,), factor.span),), factor.span), table, formula.text)
    y = y[:, 0]
    if y.max() == y.min():
        raise DataError(
            f"the response `{factor.text}` is constant",
            found=f"{y[0]:g} in all {len(y)} rows",
            expected="a response that varies",
            hint="check that this is the column you meant",
        )
    return y


def _random_effects(formula: Formula, table: Table) -> RandomEffects:
    """All bars of the one grouping factor as one block of columns; blocks that are not correlated stand side by
    side.
    """
    group = formula.random[0].group
    codes, levels = _levels(table.columns[group])
    span = formula.random[0].group_span
    if len(levels) < 2:
        raise FormulaError(
            f"the grouping factor `{group}` has one level, so nothing can vary between its levels",
            formula.text,
            span,
            found=f"the level {levels[0]!r} in every row",
            expected="two levels or more",
            hint="leave the random effects out, or group by another column",
        )
    if len(levels) >= table.nobs:
        raise FormulaError(
            f"the grouping factor `{group}` has as many levels as there are rows, "
            "so its deviations cannot be told from the residuals",
            formula.text,
            span,
            found=f"{len(levels)} levels in {table.nobs} rows",
            expected="several rows for some of the levels",
            hint="group by a column whose values repeat",
        )
    pieces = [_bar_columns(term, table, formula.text) for term in formula.random]
    return RandomEffects(
        group=group,
        codes=codes,
        Z=np.column_stack([Z for Z, _, _ in pieces]),
        levels=levels,
        names=tuple(name for _, names, _ in pieces for name in names),
        blocks=tuple(size for _, _, blocks in pieces for size in blocks),
    )


def _bar_columns(term: RandomTerm, table: Table, text: str) -> tuple[np.ndarray, tuple[str, ...], tuple[int, ...]]:
    Z, names = encode(term.columns, table, text)
    if term.correlated:
        return Z, names, (len(names),)
    for name in term.columns.variables:
        if isinstance(table.columns[name], pd.Categorical):
            raise FormulaError(
                f"`||` with the factor `{name}` is not supported yet",
                text,
                term.span,
                found="a factor on the left of `||`",
                expected="numeric columns there",
                hint="use `|`, which estimates the correlations",
            )
    return Z, names, (1,) * len(names)


def _levels(values: np.ndarray | pd.Categorical) -> tuple[np.ndarray, pd.Index]:
    if isinstance(values, pd.Categorical):
        used = values.remove_unused_categories()
        return used.codes.astype(np.intp), used.categories
    codes, levels = pd.factorize(values, sort=True)
    if levels.dtype.kind == "f" and (levels == np.floor(levels)).all() and np.abs(levels).max() < 2**53:
        levels = levels.astype(np.int64)  # integers that became floats because of missing values elsewhere
    return codes, pd.Index(levels)


def _unused_levels(table: Table) -> dict[str, int]:
    unused = {
        name: len(values.categories) - len(values.remove_unused_categories().categories)
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
