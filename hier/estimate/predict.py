"""Prediction by an estimate: of means, linear predictors and responses, with errors that include the deviations'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Design, numbers_beside
from hier.errors import DataError, FitError
from hier.estimate.choices import check_choice, normal_quantile
from hier.estimate.drawn_rows import responses, trials_of
from hier.estimate.expected import expected, expected_with_slope, probabilities_with_slope
from hier.estimate.fitted import Fitted
from hier.estimate.linear_predictors import linear_predictor, new_spread, variances
from hier.estimate.predicted_draws import cutpoints_of_draws, drawn_table, further_predictors
from hier.estimate.predicted_rows import PredictedRows, Prediction, rows_of
from hier.estimate.routes import refuse_unless_offered
from hier.kernel.laplace.averages import averaged

if TYPE_CHECKING:
    import xarray as xr

INTERVALS = (None, "confidence", "prediction")
SIMULATED = 4000  # responses of each row, of which standard deviations and intervals are taken
AT_ONCE = 2_000_000  # of them that are held together


def predict(estimate: Fitted, data: Any, asked: Prediction) -> pd.Series | pd.DataFrame | xr.DataArray:
    """What `Estimate.predict` says."""
    asked = _checked(estimate, asked)
    rows = rows_of(estimate.model.design, data, asked.random, asked.new_levels)
    if asked.draws:
        return drawn_table(estimate, rows, data, asked)
    others = [own.predictor(values) for own, values in zip(rows.parameters, estimate.others, strict=True)]
    found = Predicted(estimate, rows, others, asked)
    if asked.kind == "response":
        return with_note(_responses(found, data), rows)
    if asked.kind == "probabilities":
        return with_note(found.probabilities(), rows)
    if not asked.se and asked.interval is None:
        return with_note(pd.Series(found.mean(found.eta), index=rows.index, name="fit"), rows)
    return with_note(_with_errors(found, data), rows)


def _checked(estimate: Fitted, asked: Prediction) -> Prediction:
    asked = asked.checked(estimate.model)
    exact = estimate.model.is_linear_normal
    if asked.weights is not None:
        refuse_unless_offered(estimate, "the prediction interval, to which `weights` belong,")
    check_choice("interval", asked.interval, INTERVALS if exact else INTERVALS[:2])
    if asked.kind == "probabilities" and (asked.se or asked.interval is not None):
        raise FitError(
            "probabilities of categories come without standard errors",
            hint='use kind="link" or kind="mean" for these',
        )
    if asked.kind == "response" and asked.interval == "confidence":
        return asked._replace(kind="mean")  # of R's `type = "response"`
    return asked


class Predicted:
    """Rows with their linear predictors `eta` (n,) at the estimates, and what averages over levels that are new.

    `spread` (n,): the standard deviation of what these may add.
    """

    def __init__(self, estimate: Fitted, rows: PredictedRows, others: list[np.ndarray], asked: Prediction) -> None:
        self.estimate, self.rows, self.others, self.asked = estimate, rows, others, asked
        self.eta = linear_predictor(estimate, rows)
        self.spread = estimate.size * new_spread(estimate, rows)
        self.is_linear = asked.kind == "link" or estimate.model.mean_is_predictor

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """What is predicted (n,) at linear predictors, new levels averaged over where that was asked for."""
        if self.is_linear:
            return eta
        if not self.averages:
            return expected(self.estimate, [eta, *self.others])
        return averaged(lambda more: expected(self.estimate, [eta + more, *self.others]), self.spread)

    def slope(self) -> np.ndarray:
        """The derivative (n,) of that."""
        if self.is_linear:
            return np.ones(len(self.eta))

        def at(more: np.ndarray) -> np.ndarray:
            return expected_with_slope(self.estimate, [self.eta + more, *self.others])[1]

        return averaged(at, self.spread) if self.averages else at(np.zeros_like(self.eta))

    def probabilities(self) -> pd.DataFrame:
        """Of an ordered response's categories."""

        def at(more: np.ndarray) -> np.ndarray:
            return probabilities_with_slope(self.estimate, [self.eta + more, *self.others])[0]

        design = self.estimate.model.design
        values = averaged(at, self.spread) if self.averages else at(np.zeros_like(self.eta))
        columns = pd.Index(design.categories, name=design.response)
        return pd.DataFrame(values, index=self.rows.index, columns=columns)

    @property
    def averages(self) -> bool:
        return self.asked.new_levels in ("sample", "integrate") and bool(self.spread.any())

    def variance(self, *, with_new: bool) -> np.ndarray:
        """Of the linear predictor (n,), over the square of `estimate.size`, with that of new levels or without."""
        found = variances(self.estimate, self.rows)
        if with_new:
            found = found + (self.spread / self.estimate.size) ** 2
        return np.where(self.rows.known, found, np.nan)


def _with_errors(found: Predicted, data: Any) -> pd.DataFrame:
    """Means or linear predictors with standard errors, and with an interval where one was asked for."""
    estimate, asked = found.estimate, found.asked
    variance = found.variance(with_new=asked.new_levels != "integrate")
    se = estimate.size * np.sqrt(variance)
    table = pd.DataFrame({"fit": found.mean(found.eta), "se": _standard_errors(found, se)}, index=found.rows.index)
    if asked.interval is not None:
        if asked.interval == "prediction":
            own_weights = row_weights(estimate.model.design, data, asked.weights)
            variance = variance + (estimate.sigma / estimate.size) ** 2 / own_weights
        half = normal_quantile(0.5 + asked.level / 2) * estimate.size * np.sqrt(variance)
        at = (
            found
            if asked.new_levels == "integrate"
            else Predicted(estimate, found.rows, found.others, asked._replace(new_levels="zero"))
        )
        ends = np.stack([at.mean(found.eta - half), at.mean(found.eta + half)])
        table["lower"], table["upper"] = ends.min(axis=0), ends.max(axis=0)
    return table


def _standard_errors(found: Predicted, se: np.ndarray) -> np.ndarray:
    """Standard errors of what is predicted from those of linear predictors: by the delta method, of a mean in a level
    that is drawn the standard deviation itself, since that level's deviation is not small.
    """
    if found.asked.new_levels != "sample" or not found.averages or found.is_linear:
        return np.abs(found.slope()) * se

    def at(more: np.ndarray) -> np.ndarray:
        mean = expected(found.estimate, [found.eta + more, *found.others])
        return np.stack([mean, mean**2])

    first, second = averaged(at, se)
    own = np.sqrt(np.maximum(second - first**2, 0.0))
    return np.where(found.spread > 0.0, own, np.abs(found.slope()) * se)


def _responses(found: Predicted, data: Any) -> pd.DataFrame:
    """Expected responses, and standard deviations and intervals of responses: those of Normal ones in closed form, of
    others by simulation.
    """
    estimate, rows, asked = found.estimate, found.rows, found.asked
    variance = found.variance(with_new=True)
    if estimate.model.has_normal_rows:
        sigma = np.exp(found.others[0]) / estimate.size
        if estimate.model.is_linear_normal and (data is not None or asked.weights is not None):
            sigma = sigma / np.sqrt(row_weights(estimate.model.design, data, asked.weights))
        se = estimate.size * np.sqrt(variance + sigma**2)
        half = normal_quantile(0.5 + asked.level / 2) * se
        columns = {"fit": found.eta, "se": se, "lower": found.eta - half, "upper": found.eta + half}
        return pd.DataFrame(columns, index=rows.index)
    trials = trials_of(estimate.model.design, data, len(rows.X))
    fit = found.mean(found.eta) * (1.0 if estimate.model.design.shares else trials)
    spread, low, high = _simulated(found, estimate.size * np.sqrt(variance), trials).T
    return pd.DataFrame({"fit": fit, "se": spread, "lower": low, "upper": high}, index=rows.index)


def _simulated(found: Predicted, se: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """The standard deviation and the ends of the interval (n, 3) of responses whose linear predictors are Normal."""
    estimate, asked, blocks = found.estimate, found.asked, []
    generator, cutpoints = np.random.default_rng(asked.seed), cutpoints_of_draws(estimate, SIMULATED)
    tails, step = [0.5 - 0.5 * asked.level, 0.5 + 0.5 * asked.level], AT_ONCE // SIMULATED
    for start in range(0, max(len(se), 1), step):
        some = slice(start, start + step)
        eta = found.eta[some] + se[some] * generator.standard_normal((SIMULATED, len(se[some])))
        predictors = further_predictors(estimate, found.rows, eta, some)
        values = responses(estimate.model, cutpoints, predictors, trials[some], generator)
        blocks.append(np.column_stack([values.std(axis=0, ddof=1), *np.quantile(values, tails, axis=0)]))
    return np.concatenate(blocks)


def with_note[Found: (pd.Series, pd.DataFrame)](found: Found, rows: PredictedRows) -> Found:
    """Predictions with a note in `attrs`, where the data of the fit do not determine all of them, and where the table
    has no grouping factor.
    """
    said = []
    if not rows.known.all():
        said.append(
            f"NaN in {int((~rows.known).sum())} of {len(rows.known)} rows, where the data of the fit do not determine "
            "the fixed part"
        )
    if rows.absent:
        names = " and ".join(f"`{name}`" for name in rows.absent)
        said.append(f"the table has no {names}, so each of its rows is a level that the fit has not seen")
    if said:
        found.attrs["note"] = "; ".join(said)
    return found


def row_weights(design: Design, data: Any, weights: Any) -> np.ndarray | float:
    """Precision weights of the rows that are predicted."""
    if data is None and weights is None:
        return 1.0 if design.weights is None else design.weights
    if weights is None:
        if design.weights is None:
            return 1.0
        raise DataError(
            "the residual variance of new rows depends on their precision weights, which are not known",
            expected="weights=: a column's name or one positive number a row",
        )
    frame = pd.DataFrame(index=design.index) if data is None else design.read(data, weights)
    if np.ndim(weights) == 0 and not isinstance(weights, str):
        weights = np.full(len(frame), weights)
    values = numbers_beside(frame, "weights", weights)
    if not ((values > 0) & (values < np.inf)).all():
        wrong = values[~((values > 0) & (values < np.inf))]
        raise DataError("precision weights must be positive and finite", found=f"{wrong[0]:g}")
    return values
