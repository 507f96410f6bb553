"""Upper tails of chi-squared variables, those on no degrees of freedom among them."""

from __future__ import annotations

import numpy as np


def chi_squared_p(statistic: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Upper tail of chi-squared variables; one on no degrees of freedom is zero."""
    from scipy.special import chdtrc

    of_zero = np.where(np.isnan(df), np.nan, np.where(statistic > 0, 0.0, 1.0))
    return np.where(df > 0, chdtrc(np.maximum(df, 1.0), statistic), of_zero)
