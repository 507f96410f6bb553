"""Terms to columns: the design matrix of one linear part, named as formulaic names it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from hier.design.table import Table
from hier.errors import DataError, FormulaError
from hier.formula import Factor, LinearPart, Term

# what the allow-list has and formulaic does not bring along itself
FUNCTIONS = {"sqrt": np.sqrt, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "abs": np.abs}


def encode(part: LinearPart, table: Table, text: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The columns (n, k) of a linear part and their names.

    Products of plain numeric columns are taken directly; transforms and factors are evaluated by formulaic, whose
    treatment coding and rules for full rank are R's. Both give the same columns and names.
    `text` is the formula, for the carets of errors.
    """
    if all(_is_numeric(factor, table) for term in part.terms for factor in term.factors):
        columns = [np.ones(table.nobs)] if part.intercept else []
        columns += [_product(term, table) for term in part.terms]
        names = (("Intercept",) if part.intercept else ()) + tuple(term.label for term in part.terms)
        return (np.column_stack(columns) if columns else np.empty((table.nobs, 0))), names
    return _encode_by_formulaic(part, table, text)


def _is_numeric(factor: Factor, table: Table) -> bool:
    return factor.is_column and not isinstance(table.columns[factor.variables[0]], pd.Categorical)


def _product(term: Term, table: Table) -> np.ndarray:
    first, *others = (table.columns[factor.variables[0]] for factor in term.factors)
    product = np.asarray(first, dtype=np.float64)
    for other in others:
        product = product * other
    return product


def _encode_by_formulaic(part: LinearPart, table: Table, text: str) -> tuple[np.ndarray, tuple[str, ...]]:
    from formulaic import Formula as FormulaicFormula
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    frame = pd.DataFrame({name: _with_levels_in_use(name, table.columns[name], part, text) for name in part.variables})
    source = " + ".join(["1" if part.intercept else "0", *(term.name for term in part.terms)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # log(0) and the like are refused below, by name and row
            formula: Any = FormulaicFormula(source, _parser=DefaultFormulaParser(include_intercept=False))  # pyright: ignore[reportAbstractUsage]
            matrix: Any = formula.get_model_matrix(frame, context=FUNCTIONS, na_action="ignore", output="numpy")
    except (FormulaicError, ValueError, TypeError, ArithmeticError) as error:
        raise FormulaError(
            "this part of the formula cannot be evaluated on the data",
            text,
            part.span,
            found=str(error) or type(error).__name__,
        ) from error
    names = tuple(str(name) for name in matrix.model_spec.column_names)
    values = np.asarray(matrix, dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"`{names[column]}` is not finite in {int(bad[:, column].sum())} of {table.nobs} rows",
            where=f"first in the row labelled {table.index[row]!r}",
            found=str(values[row, column]),
            expected="finite numbers, such as a logarithm of positive values has",
            hint="correct the values, or choose another transform",
        )
    return values, names


def _with_levels_in_use(
    name: str, values: np.ndarray | pd.Categorical, part: LinearPart, text: str
) -> np.ndarray | pd.Categorical:
    if not isinstance(values, pd.Categorical):
        return values
    used = values.remove_unused_categories()
    if len(used.categories) < 2:
        raise FormulaError(
            f"the factor `{name}` has only one level in the data, so it has no contrast to estimate",
            text,
            next((f.span for t in part.terms for f in t.factors if name in f.variables), part.span),
            found=f"the level {used.categories[0]!r} in every row",
            expected="two levels or more",
            hint=f"leave `{name}` out",
        )
    return used
