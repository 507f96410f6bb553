"""Estimated marginal means of a posterior: of each draw, and summed up."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.means import mean_labels, mean_rows
from hier.estimate.printing import Table, table_lines
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import cutpoints_of, model_of
from hier.settings import PROBABILITY, check
from hier.text import shown_lines

COLUMNS = ["estimate", "std_error", "conf_low", "conf_high"]


@dataclass(frozen=True)
class DrawnMeans:
    """Estimated marginal means of a posterior, a row a combination of the values of the variables that were asked for.

    `table`: posterior means, sds and equal-tailed intervals, `estimate, std_error, conf_low, conf_high`. `draws`
    (S, k): of each mean. `level`: that of the intervals. `notes`: what the means are over, and on which scale.
    """

    table: pd.DataFrame
    draws: np.ndarray = field(repr=False)
    level: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return shown_lines(
            "\n".join([*table_lines(self.table), "", f"{100 * self.level:g} percent intervals", *self.notes])
        )

    def pairs(self, level: float | None = None) -> pd.DataFrame:
        """All differences between two means, each minus a later one, with the probability that it is above zero
        (`post_prob`). Raises FitError where there is only one mean.
        """
        level = self.level if level is None else check("level", level, PROBABILITY)
        labels = mean_labels(self.table.index)
        pairs = list(itertools.combinations(range(len(labels)), 2))
        if not pairs:
            raise FitError("one mean has no differences", hint="ask for the means of a factor")
        first, second = np.array(pairs).T
        draws = self.draws[:, first] - self.draws[:, second]
        table = _summed_up(draws, level, pd.Index([f"{labels[a]} - {labels[b]}" for a, b in pairs]))
        return table.assign(post_prob=(draws > 0).mean(axis=0))


def emmeans(
    posterior: PosteriorDraws,
    specs: str | Sequence[str],
    at: Mapping[str, Any] | None,
    offset: float | None,
    level: float,
) -> DrawnMeans:
    """The means that `Posterior.emmeans` describes."""
    level = check("level", level, PROBABILITY)
    index, rows, constants, notes = mean_rows(model_of(posterior), specs, at, offset)
    cutpoints = cutpoints_of(posterior)
    beta = posterior.beta.reshape(len(cutpoints), -1)
    draws = beta @ rows.T + constants - (cutpoints.mean(axis=1, keepdims=True) if cutpoints.shape[1] else 0.0)
    return DrawnMeans(_summed_up(draws, level, index), draws, level, notes)


def _summed_up(draws: np.ndarray, level: float, index: pd.Index) -> pd.DataFrame:
    ends = np.quantile(draws, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    return Table(np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends]), index=index, columns=COLUMNS)
