"""Estimated marginal means: predictions on a grid of the fixed effects' variables, averaged over some of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Design
from hier.design.table import Table
from hier.errors import FitError, did_you_mean
from hier.estimate.approximations import TITLES, Approximation, find_approximation
from hier.estimate.contrasts import Functions, check_level, function_table, t_table
from hier.estimate.multiplicity import adjustment
from hier.text import shown_lines

if TYPE_CHECKING:
    from hier.estimate.result import Estimate

MOST_ROWS = 100_000  # of a grid
ESTIMABLE = 1e-8  # relative: how far a function may lie outside what the data determine


@dataclass(frozen=True)
class MarginalMeans:
    """Estimated marginal means, a row a combination of the values of the variables that were asked for.

    `table`: columns `estimate, std_error, df, conf_low, conf_high`, indexed by the values; NaN where the data do not
    determine a mean. `rows` (k, p): the means as linear functions of the fixed effects. `ddf`, `level`: the method of
    the degrees of freedom and the intervals' confidence level.
    """

    table: pd.DataFrame
    rows: np.ndarray = field(repr=False)
    constants: np.ndarray = field(repr=False)
    ddf: str
    level: float
    estimate: Estimate = field(repr=False)

    def __repr__(self) -> str:
        return shown_lines(f"{self.table}\n\n{100 * self.level:g} percent intervals, {TITLES[self.ddf]}")

    def pairs(self, adjust: str = "tukey", level: float | None = None) -> pd.DataFrame:
        """All differences between two means, each minus a later one, with t-tests.

        `adjust`: of p-values and intervals for there being several: "tukey" (the studentised range), "bonferroni",
        "holm" (intervals by Bonferroni), or "none". `level`: of the intervals, that of the means by default.
        Columns `estimate, std_error, df, statistic, p_value, conf_low, conf_high`; `attrs["note"]` says how it was
        adjusted. Raises FitError for another adjustment, and where there is only one mean.
        """
        level = self.level if level is None else level
        check_level(level)
        correct = adjustment(adjust)
        labels = [" ".join(map(str, own)) if isinstance(own, tuple) else str(own) for own in self.table.index]
        pairs = list(itertools.combinations(range(len(labels)), 2))
        if not pairs:
            raise FitError("one mean has no differences", hint="ask for the means of a factor")
        first, second = np.array(pairs).T
        functions = Functions(
            self.rows[first] - self.rows[second],
            self.constants[first] - self.constants[second],
            [f"{labels[a]} - {labels[b]}" for a, b in pairs],
        )
        table = t_table(self.estimate, find_approximation(self.estimate, self.ddf), functions)
        p_value, reach = correct(table, len(labels), level)
        reach = reach * table["std_error"]
        table = table.assign(p_value=p_value, conf_low=table["estimate"] - reach, conf_high=table["estimate"] + reach)
        table.attrs["note"] = f"adjusted: {adjust}, {len(pairs)} differences between {len(labels)} means"
        return table


def emmeans(
    estimate: Estimate, specs: str | Sequence[str], *, at: Mapping[str, Any] | None, ddf: str, level: float
) -> MarginalMeans:
    """The means that `Estimate.emmeans` describes."""
    design = estimate.model.design
    approximation: Approximation = find_approximation(estimate, ddf)
    wanted = [specs] if isinstance(specs, str) else list(specs)
    values = _grid_values(design, wanted, dict(at or {}))
    others = [name for name in values if name not in wanted]
    size = int(np.prod([len(own) for own in values.values()]))
    if size > MOST_ROWS:
        raise FitError(
            "the grid of the fixed effects' variables is too large",
            found=f"{size} combinations of {', '.join(f'`{name}` ({len(own)})' for name, own in values.items())}",
            expected=f"at most {MOST_ROWS}",
            hint="fix some of the variables with `at`",
        )
    order = [*wanted, *others]
    table = _table([(name, values[name]) for name in order], size)
    X, offset = design.fixed.columns(table), _offset(design, table)
    count = int(np.prod([len(values[name]) for name in wanted]))
    X, offset = (part.reshape(count, -1, *part.shape[1:]).mean(axis=1) for part in (X, offset))
    rows = np.where(_estimable(design, X)[:, None], X[:, design.kept], np.nan)
    index = pd.MultiIndex.from_product([values[name] for name in wanted], names=wanted)
    functions = Functions(rows, offset, list(range(count)))
    found = function_table(estimate, approximation, functions, level).drop(columns=["statistic", "p_value"])
    found.index = index if len(wanted) > 1 else pd.Index(list(values[wanted[0]]), name=wanted[0])
    return MarginalMeans(found, rows, offset, ddf, level, estimate)


def _levels(design: Design) -> dict[str, pd.Index]:
    """The levels of each variable that is a factor, by its own kind or because the formula makes it one."""
    found = {name: own for name, own in design.variables.items() if isinstance(own, pd.Index)}
    for coding in design.fixed.codings.values():
        factor = coding.factor
        if factor.categorical and factor.code == "v0" and coding.levels is not None:
            found[factor.variables[0]] = coding.levels
    return found


def _grid_values(design: Design, wanted: list[str], at: dict[str, Any]) -> dict[str, Any]:
    """The values in the grid of each variable of the fixed effects. Raises FitError for one that is not there."""
    levels, names = _levels(design), [name for name in design.variables if name != "(offset)"]
    if not wanted or len(set(wanted)) < len(wanted):
        raise FitError("marginal means are of one or more different variables", found=f"{wanted}")
    for name in [*wanted, *at]:
        if name not in names:
            raise FitError(
                f"the fixed effects have no variable `{name}`",
                expected="a variable of the formula, not a column of the design",
                hint=did_you_mean(str(name), names),
            )
    values: dict[str, Any] = {}
    for name in names:
        given = at.get(name)
        if given is None:
            values[name] = levels[name] if name in levels else np.array([design.variables[name]])
            continue
        several = isinstance(given, Iterable) and not isinstance(given, str)
        chosen = list(given) if several else [given]
        values[name] = _chosen(name, chosen, levels.get(name))
    return values


def _chosen(name: str, chosen: list[Any], levels: pd.Index | None) -> Any:
    """Values of a variable that were asked for."""
    if not chosen:
        raise FitError(f"there is no value of `{name}` in `at`", expected="one or more")
    if levels is None:
        try:
            numbers = np.array([float(value) for value in chosen])
        except (TypeError, ValueError) as error:
            raise FitError(f"`{name}` is numeric", found=f"{chosen} in `at`", expected="numbers") from error
        if not np.isfinite(numbers).all():
            raise FitError(f"`{name}` is not finite in `at`", found=f"{chosen}")
        return numbers
    for value in chosen:
        if value not in levels:
            raise FitError(
                f"the factor `{name}` has no level {value!r}",
                expected=f"one of {', '.join(map(str, levels[:10]))}",
                hint=did_you_mean(str(value), levels.astype(str)),
            )
    return levels[levels.get_indexer(chosen)]


def _table(values: list[tuple[str, Any]], size: int) -> Table:
    """Every combination of the values, the last variable changing fastest."""
    columns: dict[str, Any] = {}
    inner = size
    for name, own in values:
        inner //= len(own)
        codes = np.tile(np.repeat(np.arange(len(own)), inner), size // (inner * len(own)))
        if isinstance(own, pd.Index) and own.dtype.kind not in "iuf":
            columns[name] = pd.Categorical.from_codes(codes, categories=own)
        else:
            columns[name] = np.asarray(own, dtype=np.float64)[codes]
    return Table(columns, pd.RangeIndex(size), size, {})


def _offset(design: Design, table: Table) -> np.ndarray:
    """The offsets of the formula on the grid, and the mean of the one beside it."""
    within = design.fixed.offset(table)
    beside = float(design.variables.get("(offset)", 0.0))  # type: ignore[arg-type]
    return np.full(table.nobs, beside) + (0.0 if within is None else within)


def _estimable(design: Design, X: np.ndarray) -> np.ndarray:
    """Whether the data determine each function (k, c) of all columns, those that are not in X included."""
    if design.kept.all():
        return np.ones(len(X), bool)
    expected = X[:, design.kept] @ design.aliases
    scale = np.maximum(np.abs(X).max(axis=1), 1.0)
    return (np.abs(X[:, ~design.kept] - expected) <= ESTIMABLE * scale[:, None]).all(axis=1)
