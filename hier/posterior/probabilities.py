"""Posterior probabilities of hypotheses about the fixed effects in words: `week > 6`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hier.estimate.hypothesis import read_hypotheses
from hier.estimate.printing import Table
from hier.posterior.posterior_draws import PosteriorDraws
from hier.settings import PROBABILITY, check


def hypothesis(posterior: PosteriorDraws, hypotheses: str | Sequence[str], level: float) -> pd.DataFrame:
    """The table that `Posterior.hypothesis` describes."""
    level = check("level", level, PROBABILITY)
    found = read_hypotheses(hypotheses, posterior.coef_names)
    beta = posterior.beta.reshape(-1, len(posterior.coef_names))
    rows = {}
    for text, (difference, alternative) in found.items():
        values = beta @ difference.weights + difference.constant
        tail = 1.0 - level if alternative != "two-sided" else 0.5 - 0.5 * level
        low, high = np.quantile(values, [tail, 1.0 - tail])
        for_it = {"greater": np.mean(values > 0), "less": np.mean(values < 0)}.get(alternative, np.nan)
        with np.errstate(divide="ignore"):  # every draw may agree
            ratio = np.divide(for_it, 1.0 - for_it)
        rows[text] = (values.mean(), values.std(ddof=1), low, high, for_it, ratio, alternative)
    columns = ["estimate", "std_error", "conf_low", "conf_high", "post_prob", "evidence_ratio", "alternative"]
    return Table(list(rows.values()), index=list(rows), columns=columns)
