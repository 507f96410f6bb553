"""Hypotheses about the fixed effects in words: `week > 6`, `a - b = 0`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.approximations import find_approximation
from hier.estimate.contrasts import Functions, t_table
from hier.estimate.expressions import Claim, read_comparison
from hier.estimate.fitted import Fitted
from hier.settings import PROBABILITY, check, names_in

EXPECTED = 'text such as "week > 6", or a list of such texts'


def read_hypotheses(hypotheses: str | Sequence[str], names: Sequence[str]) -> dict[str, Claim]:
    """One or several hypotheses, by their text. Raises FormulaError, and FitError for what is no text."""
    given = names_in("hypotheses", hypotheses, EXPECTED)
    if not given:
        raise FitError("there is no hypothesis to test", expected=EXPECTED)
    return {text: read_comparison(text, names) for text in given}


def hypothesis(estimate: Fitted, hypotheses: str | Sequence[str], *, ddf: str, level: float) -> pd.DataFrame:
    """The table that `Estimate.hypothesis` describes."""
    from scipy.special import stdtr, stdtrit

    level = check("level", level, PROBABILITY)
    found = read_hypotheses(hypotheses, estimate.model.design.names)
    functions = Functions(
        np.stack([each.difference.weights for each in found.values()]),
        np.array([each.difference.constant for each in found.values()]),
        list(found),
    )
    table = t_table(estimate, find_approximation(estimate, ddf), functions)
    alternative = np.array([each.alternative for each in found.values()])
    t, df = table["statistic"].to_numpy(), table["df"].to_numpy()
    two_sided = alternative == "two-sided"
    p_value = np.where(two_sided, table["p_value"], stdtr(df, np.where(alternative == "greater", -t, t)))
    reach = stdtrit(df, np.where(two_sided, 0.5 + 0.5 * level, level)) * table["std_error"]
    return table.assign(
        p_value=p_value,
        alternative=alternative,
        conf_low=np.where(alternative == "less", -np.inf, table["estimate"] - reach),
        conf_high=np.where(alternative == "greater", np.inf, table["estimate"] + reach),
    )
