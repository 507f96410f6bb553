"""The response as numbers: what kinds of response there are, how each is coded, and what each refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.design.encode import number
from hier.design.table import ModelFrame, in_use
from hier.errors import DataError
from hier.formula import CBIND, RATIO, ParsedFormula


@dataclass(frozen=True)
class Outcome:
    """What a family asks of a design.

    `family`: its name, for messages. `kind`: one of `KINDS`. `parameters`: the names of those beside the mean.
    `precision`: the one of them, a standard deviation, that the weights of rows divide (by their square roots); None
    where weights multiply log densities.
    """

    family: str = "gaussian"
    kind: str = "real"
    parameters: tuple[str, ...] = ("sigma",)
    precision: str | None = "sigma"

    @property
    def has_cutpoints(self) -> bool:
        """Whether cutpoints stand for the intercept."""
        return self.kind == "ordered"

    @property
    def is_continuous(self) -> bool:
        return self.kind in ("real", "positive", "unit")


class Response(NamedTuple):
    """A coded response: `y` (n,); `trials` (n,) of a count of successes, otherwise None; `categories`, the labels that
    the codes 0, 1, ... stand for, where the response has labels; and sentences on how it was coded. `weights_used`:
    whether the weights were the numbers of trials. `shares`: whether the user's response is the shares of successes.
    """

    y: np.ndarray
    trials: np.ndarray | None = None
    categories: pd.Index | None = None
    notes: tuple[str, ...] = ()
    weights_used: bool = False
    shares: bool = False

    def rows(self, kept: np.ndarray) -> Response:
        """The same of some rows."""
        return self._replace(y=self.y[kept], trials=None if self.trials is None else self.trials[kept])


class _Reading(NamedTuple):
    """What a response is read from."""

    formula: ParsedFormula
    table: ModelFrame
    family: str

    @property
    def text(self) -> str:
        return self.formula.response.text

    @property
    def labels(self) -> pd.Categorical | None:
        """The response where it is one column of labels, or inside `factor( )` or `ordered( )`."""
        factor = self.formula.response
        if len(factor.variables) != 1 or not (factor.is_column or (factor.categorical and factor.is_plain)):
            return None
        values = self.table.columns[factor.variables[0]]
        if isinstance(values, pd.Categorical):
            return values
        return pd.Categorical(values) if factor.categorical else None

    def numbers(self, expected: str) -> np.ndarray:
        """The response as numbers (n,), a copy."""
        factor = self.formula.response
        for name in factor.variables:
            values = self.table.columns[name]
            if isinstance(values, pd.Categorical) and (factor.is_column or name not in factor.labels):
                raise DataError(
                    f"the response `{name}` is not numeric",
                    where=f"column `{name}`",
                    found=_shown(values),
                    expected=f'{expected}, for family="{self.family}"',
                    hint="convert the column to numbers, or choose another family",
                )
        _, y = number(factor, self.table, self.formula.text)
        return y.copy() if factor.is_column else y  # the table stays the user's own

    def refuse(self, wrong: np.ndarray, y: np.ndarray, what: str, expected: str, hint: str | None = None) -> None:
        """Refuse the rows that are `wrong`, the first of them named."""
        if not wrong.any():
            return
        row, count = int(np.argmax(wrong)), int(wrong.sum())
        raise DataError(
            f"the response `{self.formula.left}` {what}",
            where=f"{count} of {len(y)} rows, first in the row labelled {self.table.index[row]!r}",
            found=f"{y[row]:g}",
            expected=f'{expected}, for family="{self.family}"',
            hint=hint,
        )

    def refuse_constant(self, y: np.ndarray, hint: str = "check that this is the column you meant") -> None:
        if y.max() == y.min():
            raise DataError(
                f"the response `{self.text}` is constant",
                found=f"{y[0]:g} in all {len(y)} rows",
                expected="a response that varies",
                hint=hint,
            )


def _shown(values: pd.Categorical) -> str:
    kind = "booleans" if values.categories.dtype == bool else "text"
    return f"{kind}: {', '.join(map(repr, values.categories[:3].tolist()))}"


def _real(reading: _Reading) -> Response:
    y = reading.numbers("numbers")
    reading.refuse_constant(y)
    return Response(y)


def _positive(reading: _Reading) -> Response:
    y = reading.numbers("positive numbers")
    reading.refuse(
        y <= 0,
        y,
        "is not positive",
        "numbers above 0",
        'zeros need a model of their own: family="bernoulli" for whether y > 0, and this family for the rest',
    )
    reading.refuse_constant(y)
    return Response(y)


def _unit(reading: _Reading) -> Response:
    y = reading.numbers("numbers between 0 and 1")
    at_edge = (y == 0) | (y == 1)
    reading.refuse(
        (y < 0) | (y > 1),
        y,
        "is outside the interval from 0 to 1",
        "numbers between 0 and 1",
        "divide percentages by 100",
    )
    reading.refuse(
        at_edge,
        y,
        f"is exactly {y[int(np.argmax(at_edge))]:g}",
        "numbers strictly between 0 and 1",
        'a count of successes out of n is family="binomial"; true proportions can be moved inside by (y * (n - 1) + '
        "0.5) / n, with n the number of rows",
    )
    reading.refuse_constant(y)
    return Response(y)


def _count(reading: _Reading) -> Response:
    y = reading.numbers("counts")
    expected = "whole numbers from 0 up"
    reading.refuse(y < 0, y, "is a negative count", expected)
    reading.refuse(
        y != np.floor(y),
        y,
        "is not a whole number",
        expected,
        "a rate is the count with an offset, such as `count ~ x + offset(log(exposure))`",
    )
    if not y.any():
        raise DataError(
            f"every count in the response `{reading.text}` is zero",
            found=f"0 in all {len(y)} rows",
            expected="some counts above zero",
            hint="check that this is the column you meant; a mean of zero cannot be estimated",
        )
    return Response(y)


def _binary(reading: _Reading) -> Response:
    """0 and 1 as they are; of two labels the second is success, as in R."""
    labels = reading.labels
    if labels is not None:
        codes, levels = in_use(labels)
        if len(levels) != 2:
            raise DataError(
                f"the response `{reading.text}` has {len(levels)} level{'s' if len(levels) > 1 else ''}, not two",
                found=", ".join(map(repr, levels[:5].tolist())) + (", ..." if len(levels) > 5 else ""),
                expected=f'0 and 1, booleans or two labels, for family="{reading.family}"',
                hint='family="cumulative" is for ordered categories'
                if len(levels) > 2
                else "check that this is the column you meant",
            )
        failure, success = levels.tolist()
        note = f"`{reading.text}`: success is {success!r}, failure {failure!r}"
        return Response(codes.astype(np.float64), categories=levels, notes=(note,))
    y = reading.numbers("0 and 1, booleans or two labels")
    hint = "counts of successes are written `cbind(successes, failures)` or `successes | trials(n)`, with " + (
        'family="binomial"'
    )
    reading.refuse((y != 0) & (y != 1), y, "is neither 0 nor 1", "0 and 1, booleans or two labels", hint)
    reading.refuse_constant(y, "with one outcome only there is nothing to explain")
    return Response(y)


def _successes(reading: _Reading) -> Response:
    """Successes out of trials; without trials, proportions whose weights are the trials, or one trial a row."""
    if reading.formula.trials is not None:
        return _out_of_trials(reading)
    weights = reading.table.columns.get("(weights)")
    if reading.labels is None and weights is not None:
        y, trials = reading.numbers("proportions"), np.asarray(weights)
        if ((y > 0) & (y < 1)).any():
            return _proportions(reading, y, trials)
    if reading.family == "binomial":
        return _binary(reading)
    raise DataError(
        f"the response `{reading.text}` has no number of trials",
        expected="`cbind(successes, failures)`, `successes / n` or `successes | trials(n)`, for "
        f'family="{reading.family}"',
    )


def _proportions(reading: _Reading, y: np.ndarray, trials: np.ndarray) -> Response:
    """Proportions of so many trials, as in R's `glm`."""
    successes = np.round(y * trials)
    reading.refuse((y < 0) | (y > 1), y, "is no proportion", "numbers from 0 to 1, with the trials as weights")
    whole = (np.abs(y * trials - successes) < 1e-6 * np.maximum(trials, 1.0)) & (trials == np.floor(trials))
    reading.refuse(
        ~whole, y, "times its weight is no count of successes", "proportions, with the numbers of trials as weights"
    )
    note = f"weights are the numbers of trials of the proportions `{reading.text}`"
    return Response(successes, trials.astype(np.float64), notes=(note,), weights_used=True, shares=True)


def _out_of_trials(reading: _Reading) -> Response:
    formula, trials = reading.formula, reading.formula.trials
    assert trials is not None
    y = reading.numbers("counts of successes")
    if trials.factor is None:
        assert trials.number is not None
        counts = np.full(len(y), float(trials.number))
    else:
        _, counts = number(trials.factor, reading.table, formula.text)
        counts = counts + y if trials.form == CBIND else counts
    wrong = (y < 0) | (y > counts) | (y != np.floor(y)) | (counts != np.floor(counts))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"the response `{formula.left}` is no count of successes in {int(wrong.sum())} of {len(y)} rows",
            where=f"first in the row labelled {reading.table.index[row]!r}",
            found=f"{y[row]:g} out of {counts[row]:g}",
            expected="whole numbers from 0 to the number of trials",
        )
    for edge, what in ((0.0 * counts, "a success"), (counts, "a failure")):
        if np.array_equal(y, edge):
            raise DataError(
                f"the response `{formula.left}` has not {what} in any of {len(y)} rows",
                expected="successes and failures",
                hint="with one outcome only there is nothing to explain",
            )
    return _with_weights(reading, y, counts)


def _with_weights(reading: _Reading, y: np.ndarray, counts: np.ndarray) -> Response:
    """Successes out of trials; beside a ratio weights are the trials once more, as R's `glm` has them."""
    weights = reading.table.columns.get("(weights)")
    trials = reading.formula.trials
    if weights is None or trials is None or trials.form != RATIO:
        return Response(y, counts)
    differs = np.asarray(weights) != counts
    if differs.any():
        row = int(np.argmax(differs))
        raise DataError(
            f"weights beside `{reading.formula.left}` are its numbers of trials, and these are others",
            where=f"{int(differs.sum())} of {len(y)} rows, first in the row labelled {reading.table.index[row]!r}",
            found=f"a weight of {np.asarray(weights)[row]:g} and {counts[row]:g} trials",
            expected=f"`{trials.text}` as the weights, or none",
            hint=f"write `{reading.text} | trials({trials.text})` for weights that multiply log-likelihoods of rows",
        )
    note = f"weights are the numbers of trials of `{reading.formula.left}`, and count once"
    return Response(y, counts, notes=(note,), weights_used=True)


def _ordered(reading: _Reading) -> Response:
    """Ordered categories as 0, 1, ...: in the order of a categorical, of numbers, or of text as it sorts."""
    labels = reading.labels
    notes: tuple[str, ...] = ()
    if labels is None:
        y = reading.numbers("ordered categories")
        reading.refuse(y != np.floor(y), y, "is not a whole number", "whole numbers or ordered labels, as categories")
        levels, codes = np.unique(y, return_inverse=True)
        levels = pd.Index(levels.astype(np.int64))
    else:
        codes, levels = in_use(labels)
        if not labels.ordered and levels.dtype.kind not in "iuf":
            shown = " < ".join(map(str, levels[:8])) + (" < ..." if len(levels) > 8 else "")
            notes = (f"`{reading.text}`: its categories are taken in the order {shown}",)
    if levels.dtype.kind not in "iuf" and len(levels) > 2:
        places = ", ".join(f"{place} for {label}" for place, label in enumerate(levels[:8], 1))
        more = ", ..." if len(levels) > 8 else ""
        notes = (*notes, f"`{reading.text}`: its categories are no numbers, so that means count {places}{more}")
    if len(levels) < 3:
        raise DataError(
            f"the response `{reading.text}` has {len(levels)} categor{'ies' if len(levels) > 1 else 'y'}",
            found=", ".join(map(str, levels)),
            expected=f'three ordered categories or more, for family="{reading.family}"',
            hint='two categories are family="bernoulli"'
            if len(levels) == 2
            else "check that this is the column you meant",
        )
    return Response(codes.astype(np.float64), categories=levels, notes=notes)


KINDS: Mapping[str, Callable[[_Reading], Response]] = {
    "real": _real,
    "positive": _positive,
    "unit": _unit,
    "count": _count,
    "binary": _binary,
    "successes": _successes,
    "ordered": _ordered,
}


def read_response(formula: ParsedFormula, table: ModelFrame, outcome: Outcome) -> Response:
    """The response of a formula in a table, coded as its family needs it. Raises DataError for what it cannot be."""
    return KINDS[outcome.kind](_Reading(formula, table, outcome.family))
