"""Tests of linear functions of the fixed effects: one by one, and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.errors import FitError, did_you_mean
from hier.estimate.approximations import DdfMethod, find_approximation, title
from hier.estimate.expressions import read_linear, written
from hier.estimate.fitted import Fitted
from hier.estimate.printing import Table, table_lines
from hier.estimate.satterthwaite import standard_errors, t_tests
from hier.estimate.tables import labels
from hier.settings import PROBABILITY, check
from hier.settings import written as shortened
from hier.text import shown_lines

T_TABLE = ("estimate", "std_error", "df", "statistic", "p_value")


class Functions(NamedTuple):
    """Linear functions of the fixed effects: `rows` (k, p), `constants` (k,) that are added, and their `labels`.

    `less_cutpoints`: whether the mean cutpoint of an ordered response is taken off each.
    """

    rows: np.ndarray
    constants: np.ndarray
    labels: Sequence[str] | pd.Index
    less_cutpoints: bool = False


@dataclass(frozen=True)
class Contrasts:
    """Tests of linear functions of the fixed effects.

    `table`: a row a function, with columns `estimate, std_error, df, statistic, p_value, conf_low, conf_high`; the
    p-values are two-sided. `joint`: the F-test that all of them are zero, `num_df, den_df, statistic, p_value`.
    `ddf`: the method of the degrees of freedom, `method` in words.
    """

    table: pd.DataFrame
    joint: pd.Series
    ddf: str
    method: str

    def __repr__(self) -> str:
        f = self.joint
        return shown_lines(
            "\n".join(table_lines(self.table))
            + f"\n\nAll zero: F = {f['statistic']:.4f} on {f['num_df']:g} and {f['den_df']:.2f} df, "
            f"p = {f['p_value']:.4g} ({self.method})"
        )


def contrast(estimate: Fitted, L: Any, *, ddf: str, level: float) -> Contrasts:
    """The tests that `Estimate.contrast` describes."""
    approximation = find_approximation(estimate, ddf)
    functions = read_functions(L, estimate.model.design.names)
    table = function_table(estimate, approximation, functions, level)
    test = approximation.f_test(functions.rows, table["estimate"].to_numpy())
    joint = pd.Series(
        {"num_df": test.num_df, "den_df": test.den_df, "statistic": test.statistic, "p_value": test.p_value},
        name="joint",
    )
    return Contrasts(table, joint, ddf, title(estimate, ddf))


def coefficient_table(estimate: Fitted, ddf: str) -> pd.DataFrame:
    """Every fixed effect with its standard error and t-test."""
    approximation = find_approximation(estimate, ddf)
    names = estimate.model.design.names
    functions = Functions(np.eye(len(names)), np.zeros(len(names)), labels(names))
    return t_table(estimate, approximation, functions)


def t_table(estimate: Fitted, approximation: DdfMethod, functions: Functions) -> pd.DataFrame:
    """Columns `estimate, std_error, df, statistic, p_value`, a row a linear function."""
    rows, constants, index, less_cutpoints = functions
    value = rows @ estimate.arrays.beta + constants
    std_error = standard_errors(rows, approximation.basis, approximation.basis_vcov)
    if less_cutpoints:
        mean, own_variance, with_fixed = estimate.mean_cutpoint
        value = value - mean
        std_error = np.sqrt(np.maximum(std_error**2 + own_variance - 2.0 * rows @ with_fixed, 0.0))
    unknown = (rows[:, estimate.arrays.unknown] != 0.0).any(axis=1)
    std_error = np.where(unknown, np.nan, std_error)
    df = np.full(len(rows), np.inf) if less_cutpoints else approximation.df(rows)
    statistic, p_value = t_tests(value, std_error, df)
    values = np.column_stack([value, std_error, df, statistic, p_value])
    return Table(values, index=index, columns=labels(T_TABLE))


def function_table(estimate: Fitted, approximation: DdfMethod, functions: Functions, level: float) -> pd.DataFrame:
    """The t-tests of linear functions, and intervals at a confidence level."""
    from scipy.special import stdtrit

    level = check("level", level, PROBABILITY)
    table = t_table(estimate, approximation, functions)
    reach = stdtrit(table["df"], 0.5 + 0.5 * level) * table["std_error"]
    return table.assign(conf_low=table["estimate"] - reach, conf_high=table["estimate"] + reach)


def read_functions(L: Any, names: Sequence[str]) -> Functions:
    """Linear functions from what a user gives: an array (k, p) or (p,), a table with coefficients as columns, text such
    as `week - 2 * Intercept`, a list of such texts, a labelled Series of weights, or a mapping of labels to texts, to
    arrays (p,) or to weights by name.

    Raises FitError where shape or names do not fit, FormulaError for text that cannot be read.
    """
    if isinstance(L, str):
        L = [L]
    if isinstance(L, Mapping):
        given = {str(label): _one(own, names) for label, own in L.items()}
    elif isinstance(L, pd.DataFrame):
        given = {str(label): _by_name(dict(row), names) for label, row in L.iterrows()}
    elif isinstance(L, Sequence) and len(L) and all(isinstance(own, str) for own in L):
        given = {own: _one(own, names) for own in L}
    else:
        if isinstance(L, pd.Series) and not isinstance(L.index, pd.RangeIndex):
            L = _by_name(dict(L), names)[0]
        rows = np.atleast_2d(_numbers(L))
        _check_width(rows, names)
        return Functions(rows, np.zeros(len(rows)), [written(row, names) for row in rows])
    if not given:
        raise FitError("there is no linear function to test", expected="one or more")
    return Functions(
        np.stack([row for row, _ in given.values()]), np.array([c for _, c in given.values()]), list(given)
    )


def _one(own: Any, names: Sequence[str]) -> tuple[np.ndarray, float]:
    if isinstance(own, str):
        linear = read_linear(own, names)
        if linear.is_number:
            raise FitError("there is no coefficient in this linear function", where=f"`{own}`")
        return linear.weights, linear.constant
    if isinstance(own, Mapping | pd.Series):
        return _by_name(dict(own), names)
    row = np.atleast_2d(_numbers(own))
    _check_width(row, names)
    return row[0], 0.0


def _by_name(weights: dict[Any, Any], names: Sequence[str]) -> tuple[np.ndarray, float]:
    for name in weights:
        if name not in names:
            raise FitError(f"there is no coefficient `{name}`", hint=did_you_mean(str(name), names))
    return _numbers([weights.get(name, 0.0) for name in names]), 0.0


def _numbers(values: Any) -> np.ndarray:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FitError(
            "this is no linear function of the fixed effects",
            found=type(values).__name__,
            expected="numbers, text such as `week - 2 * Intercept`, or weights by the coefficients' names",
        ) from error
    if not np.isfinite(found).all():
        raise FitError("the weights of a linear function must be finite numbers", found=shortened(values))
    return found


def _check_width(rows: np.ndarray, names: Sequence[str]) -> None:
    if rows.ndim != 2 or rows.shape[1] != len(names) or len(rows) == 0:
        raise FitError(
            "the linear functions do not match the fixed effects",
            found=f"an array of shape {rows.shape}",
            expected=f"{len(names)} columns: {', '.join(names)}",
        )
