"""Posterior probabilities of hypotheses in words, about any parameters: `week > 6`, `sd_id[week] > sigma`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.hypothesis import EXPECTED
from hier.estimate.printing import Table
from hier.posterior.drawn_expressions import read_claim, values_of_parameters
from hier.posterior.posterior_draws import PosteriorDraws
from hier.settings import PROBABILITY, check, names_in


def hypothesis(posterior: PosteriorDraws, hypotheses: str | Sequence[str], level: float) -> pd.DataFrame:
    """The table that `Posterior.hypothesis` describes."""
    level = check("level", level, PROBABILITY)
    given = names_in("hypotheses", hypotheses, EXPECTED)
    if not given:
        raise FitError("there is no hypothesis to test", expected=EXPECTED)
    known, prior = values_of_parameters(posterior), _prior(posterior)
    rows = {}
    for text in given:
        values, alternative = read_claim(text, known)
        tail = 1.0 - level if alternative != "two-sided" else 0.5 - 0.5 * level
        low, high = np.quantile(values, [tail, 1.0 - tail])
        for_it = {"greater": np.mean(values > 0), "less": np.mean(values < 0)}.get(alternative, np.nan)
        with np.errstate(divide="ignore"):  # every draw may agree
            ratio = np.divide(for_it, 1.0 - for_it)
        if alternative == "two-sided" and prior:
            ratio = _density_at_zero(values) / _density_at_zero(read_claim(text, prior)[0])
            for_it = ratio / (1.0 + ratio)
        rows[text] = (values.mean(), values.std(ddof=1), low, high, for_it, ratio, alternative)
    columns = ["estimate", "std_error", "conf_low", "conf_high", "post_prob", "evidence_ratio", "alternative"]
    return Table(list(rows.values()), index=list(rows), columns=columns)


def _prior(posterior: PosteriorDraws) -> dict[str, np.ndarray]:
    """The draws of the prior that `with_prior` added, by parameter; none where it did not."""
    if "prior" not in getattr(posterior, "added", {}):
        return {}
    found = posterior.added["prior"].data_vars
    draws = {str(name): values.to_numpy() for name, values in found.items() if str(name) in posterior.draws}
    return values_of_parameters(dataclasses.replace(posterior, draws=draws))


def _density_at_zero(values: np.ndarray) -> float:
    """The density of draws at zero, by a Normal kernel."""
    from scipy.stats import gaussian_kde

    return float(gaussian_kde(values)(0.0)[0])
