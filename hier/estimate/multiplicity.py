"""Adjustment of p-values and intervals for several tests at once: an entry in a table for each method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.settings import as_given, nearest_choice

Adjust = Callable[[pd.DataFrame, int, float], tuple[np.ndarray, np.ndarray]]


def adjustment(name: str) -> Adjust:
    """The adjustment of that name: of a table of t-tests (`df, statistic, p_value`), the number of means that they
    compare and a confidence level, it makes p-values, and how many standard errors an interval reaches.
    """
    if not isinstance(name, str) or name not in BY_NAME:
        raise FitError(
            f"there is no adjustment {as_given(name)}",
            expected=", ".join(f'"{each}"' for each in BY_NAME),
            hint=nearest_choice(name, BY_NAME),
        )
    return BY_NAME[name]


def _quantile(table: pd.DataFrame, level: float, count: int) -> np.ndarray:
    """Student's t beyond which each tail has (1 - level) / (2 count)."""
    from scipy.special import stdtrit

    return -stdtrit(table["df"].to_numpy(), (1.0 - level) / (2.0 * count))


def _none(table: pd.DataFrame, means: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    return table["p_value"].to_numpy(), _quantile(table, level, 1)


def _bonferroni(table: pd.DataFrame, means: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    count = len(table)
    return np.minimum(table["p_value"].to_numpy() * count, 1.0), _quantile(table, level, count)


def _holm(table: pd.DataFrame, means: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Source: Holm (1979), Scand. J. Stat. 6, 65."""
    p = table["p_value"].to_numpy()
    order, count = np.argsort(p), len(p)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(count, 0, -1)), 1.0)
    return adjusted, _quantile(table, level, count)


def _tukey(table: pd.DataFrame, means: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Source: Tukey (1953), "The problem of multiple comparisons"; for differences with unequal standard errors Kramer
    (1956), Biometrics 12, 307.
    """
    if means == 2:
        return _none(table, means, level)
    from scipy.stats import studentized_range

    df, spread = table["df"].to_numpy(), np.sqrt(2.0) * np.abs(table["statistic"].to_numpy())
    # equal degrees of freedom share one quantile, which is slow to find
    distinct, place = np.unique(np.round(df, 9), return_inverse=True)
    reach = np.array([studentized_range.ppf(level, means, own) for own in distinct])[place] / np.sqrt(2.0)
    return np.asarray(studentized_range.sf(spread, means, df)), reach


BY_NAME: dict[str, Adjust] = {"tukey": _tukey, "bonferroni": _bonferroni, "holm": _holm, "none": _none}
