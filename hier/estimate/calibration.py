"""Are predicted probabilities right? The observed frequencies beside them, by isotonic regression."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.printing import Table
from hier.model import Specification

REPLICATES = 400


def calibration_table(model: Specification, predicted: np.ndarray, seed: int) -> pd.DataFrame:
    """Of each row of a response of 0 and 1, sorted by its predicted probability: `predicted`; `frequency`, the
    observed one by isotonic regression; `lower, upper`, between which the latter is in 95 percent of responses that are
    drawn with the predicted probabilities.

    Source: Dimitriadis, Gneiting and Jordan (2021), PNAS 118(8), e2016191118. Raises FitError for other responses.
    """
    design = model.design
    if model.family.response not in ("binary", "successes"):
        raise FitError(
            "calibration is of probabilities, which a response of 0 and 1 or of successes has",
            found=f'family="{model.family.name}"',
            hint="residuals show how well other responses are described",
        )
    order = np.argsort(predicted, kind="stable")
    p, trials = predicted[order], np.ones(len(predicted)) if design.trials is None else design.trials[order]
    random = np.random.default_rng(seed)
    drawn = random.binomial(trials.astype(int), p, (REPLICATES, len(p))) / trials
    band = np.quantile([_isotonic(own, trials) for own in drawn], [0.025, 0.975], axis=0)
    frequency = _isotonic(design.observed[order], trials)
    columns = {"predicted": p, "frequency": frequency, "lower": band[0], "upper": band[1]}
    return Table(columns, index=design.index[order])


def _isotonic(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    from scipy.optimize import isotonic_regression

    return isotonic_regression(shares, weights=weights).x
