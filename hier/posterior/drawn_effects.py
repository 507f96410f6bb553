"""Predictions, comparisons and slopes of a posterior: of each draw, and summed up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from hier.estimate.effect_plan import Changed, EffectsAsked, Plan, labelled, make_plan
from hier.estimate.predicted_rows import rows_of
from hier.estimate.printing import Table
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import in_blocks, model_of, values_by_rows

COLUMNS = ["estimate", "std_error", "conf_low", "conf_high"]


def drawn_effects(posterior: PosteriorDraws, asked: EffectsAsked) -> pd.DataFrame:
    """The table of what was asked: posterior means, sds and equal-tailed intervals."""
    plan = make_plan(model_of(posterior), asked)
    return Table(labelled(plan, [_table(posterior, plan, change) for change in plan.changes]))


def _table(posterior: PosteriorDraws, plan: Plan, change: Changed) -> pd.DataFrame:
    sides = [_values(posterior, plan, frame) for frame in (change.high, change.low) if frame is not None]
    n, k = len(plan.frame), len(plan.keys)
    if k == n:
        found = [_summed_up(plan, change, [own(some) for own in sides]) for some in in_blocks(posterior, n)]
        return pd.DataFrame(np.concatenate(found), columns=COLUMNS)
    means = [np.zeros((posterior.settings.chains * posterior.settings.draws, k)) for _ in sides]
    for some in in_blocks(posterior, n):
        for mean, own in zip(means, sides, strict=True):
            mean += (plan.weights[:, some] @ own(some).T).T
    return pd.DataFrame(_summed_up(plan, change, means), columns=COLUMNS)


def _values(posterior: PosteriorDraws, plan: Plan, frame: pd.DataFrame) -> Callable[[slice], np.ndarray]:
    """What makes draws (S, m) of some of the rows."""
    rows = rows_of(model_of(posterior).design, frame, plan.prediction.random, plan.prediction.new_levels)
    of = values_by_rows(posterior, rows, frame, plan.prediction)
    return lambda some: np.where(rows.known[some], of(some), np.nan)


def _summed_up(plan: Plan, change: Changed, sides: list[np.ndarray]) -> np.ndarray:
    """The means, sds and ends of intervals (k, 4) of draws (S, k) of both sides, compared."""
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = sides[0] if change.low is None else plan.how.value(*sides) / change.distance
    tails = [0.5 - 0.5 * plan.prediction.level, 0.5 + 0.5 * plan.prediction.level]
    return np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *np.quantile(draws, tails, axis=0)])
