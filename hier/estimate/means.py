"""Estimated marginal means: predictions on a grid of the fixed effects' variables, averaged over some of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design
from hier.errors import FitError
from hier.estimate.approximations import DdfMethod, find_approximation, title
from hier.estimate.contrasts import Functions, function_table, t_table
from hier.estimate.fitted import Fitted
from hier.estimate.grid import Grid, make_grid
from hier.estimate.multiplicity import adjustment
from hier.estimate.printing import table_lines
from hier.model import Specification
from hier.settings import PROBABILITY, check, names_in, written
from hier.text import shown


@dataclass(frozen=True)
class MarginalMeans:
    """Estimated marginal means, a row a combination of the values of the variables that were asked for.

    `table`: columns `estimate, std_error, df, conf_low, conf_high`, indexed by the values; NaN where the data do not
    determine a mean. `rows` (k, p): the means as linear functions of the fixed effects, to which `constants` (k,) are
    added. `ddf`, `level`: the method of the degrees of freedom and the intervals' confidence level. `notes`: what the
    means are over, and at which offset.
    """

    table: pd.DataFrame
    rows: np.ndarray = field(repr=False)
    constants: np.ndarray = field(repr=False)
    ddf: str
    level: float
    notes: tuple[str, ...]
    estimate: Fitted = field(repr=False)

    def __repr__(self) -> str:
        interval = f"{100 * self.level:g} percent intervals, {title(self.estimate, self.ddf)}"
        return "\n".join(map(shown, [*table_lines(self.table), "", interval, *self.notes]))

    def pairs(self, adjust: str = "tukey", level: float | None = None) -> pd.DataFrame:
        """All differences between two means, each minus a later one, with t-tests.

        `adjust`: of p-values and intervals for there being several: "tukey" (the studentised range), "bonferroni",
        "holm" (intervals by Bonferroni), or "none". `level`: of the intervals, that of the means by default.
        Columns `estimate, std_error, df, statistic, p_value, conf_low, conf_high`; `attrs["note"]` says how it was
        adjusted. Raises FitError for another adjustment, and where there is only one mean.
        """
        level = self.level if level is None else level
        level = check("level", level, PROBABILITY)
        correct = adjustment(adjust)
        labels = mean_labels(self.table.index)
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
    estimate: Fitted,
    specs: str | Sequence[str],
    *,
    at: Mapping[str, Any] | None,
    offset: float | None,
    ddf: str,
    level: float,
) -> MarginalMeans:
    """The means that `Estimate.emmeans` describes."""
    model = estimate.model
    approximation: DdfMethod = find_approximation(estimate, ddf)
    index, rows, constants, notes = mean_rows(model, specs, at, offset)
    functions = Functions(rows, constants, list(range(len(rows))), less_cutpoints=model.design.n_cutpoints > 0)
    found = function_table(estimate, approximation, functions, level).drop(columns=["statistic", "p_value"])
    found.index = index
    found.attrs["note"] = "; ".join(notes)
    return MarginalMeans(found, rows, constants, ddf, level, notes, estimate)


class MeanRows(NamedTuple):
    """Marginal means as linear functions of the fixed effects: `rows` (k, p) and `constants` (k,), NaN where the data
    do not determine them, by the values that `index` has.
    """

    index: pd.Index
    rows: np.ndarray
    constants: np.ndarray
    notes: tuple[str, ...]


def mean_rows(
    model: Specification, specs: str | Sequence[str], at: Mapping[str, Any] | None, offset: float | None
) -> MeanRows:
    """The means that `Estimate.emmeans` describes, of whatever fit. Raises FitError."""
    design = model.design
    wanted = names_in("specs", specs, "the name of a variable of the fixed effects, or a list of such names")
    grid = make_grid(design, wanted, _values_at(at))
    X = grid.averaged(design.fixed.columns(grid.table))
    known = design.determined.estimable(X)
    rows = np.where(known[:, None], X[:, design.kept], np.nan)
    offsets = _offsets(design, grid, offset)
    constants = np.where(known, grid.averaged(offsets), np.nan)
    return MeanRows(grid.index, rows, constants, tuple(_notes(model, grid, offsets, offset, known)))


def mean_labels(index: pd.Index) -> list[str]:
    """What means are called in the names of their differences."""
    return [" ".join(map(str, own)) if isinstance(own, tuple) else str(own) for own in index]


def _offsets(design: Design, grid: Grid, offset: float | None) -> np.ndarray:
    """The offset in each row of the grid: what was asked for, or those of the formula there and the mean of the one
    beside it.
    """
    if offset is not None:
        return np.full(grid.table.nobs, _number(offset))
    within = design.fixed.offset(grid.table)
    beside = float(design.variables.values.get("(offset)", 0.0))  # type: ignore[arg-type]
    return np.full(grid.table.nobs, beside) + (0.0 if within is None else within)


def _values_at(at: Any) -> dict[str, Any]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise FitError(f"`at` cannot be {written(at)}", expected='values by variable, such as at={"week": [1, 5]}')
    return dict(at)


def _number(offset: float) -> float:
    if isinstance(offset, int | float | np.number) and abs(offset) < np.inf:
        return float(offset)
    raise FitError("the offset of marginal means is one number", found=repr(offset), hint="offset=0 leaves it out")


def _notes(model: Specification, grid: Grid, offsets: np.ndarray, offset: float | None, known: np.ndarray) -> list[str]:
    """What the means are over, of which scale, and at which offset, a sentence each."""
    design, said = model.design, []
    over = [name for name in grid.others if grid.at(name) is None]
    if over:
        said.append(f"averaged over {', '.join(f'`{name}`' for name in over)}")
    said += [f"`{name}` is nested in {' and '.join(f'`{o}`' for o in outers)}" for name, outers in grid.nesting.items()]
    if design.n_cutpoints:
        said.append(f"of the latent variable, less the mean of the cutpoints ({model.link} link)")
    elif model.link != "identity":
        said.append(f"on the scale of the linear predictor ({model.link} link)")
    if design.offset is not None:
        said.append(_offset_in_words(design, grid, offsets, offset))
    if not known.all():
        said.append(f"NaN: the data do not determine {'this mean' if len(known) == 1 else 'such a mean'}")
    return said


def _offset_in_words(design: Design, grid: Grid, offsets: np.ndarray, offset: float | None) -> str:
    low, high = float(offsets.min()), float(offsets.max())
    value = f"{low:.5g}" if high - low <= 1e-12 * max(abs(low), abs(high)) else f"{low:.5g} to {high:.5g}"
    if offset is not None:
        return f"offset: {value}, as asked for"
    names = [f"offset({coding.factor.text})" for coding in design.fixed.offsets]
    at = [
        (name, grid.at(name)) for name in dict.fromkeys(v for own in design.fixed.offsets for v in own.factor.variables)
    ]
    places = [f"`{name}` = {number:.5g}" for name, number in at if number is not None]
    beside = ["the mean of the offset beside the formula"] if "(offset)" in design.variables.values else []
    where = f" at {', '.join(places)}" if places else ""
    return f"offset: {value}, {' and '.join([*([', '.join(names) + where] if names else []), *beside])}"
