"""Confidence intervals of all parameters: Wald's, the profile's and the bootstrap's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from hier.errors import FitError
from hier.estimate.bootstrap import bootstrap
from hier.estimate.choices import check_choice
from hier.estimate.fitted import Fitted
from hier.estimate.named import chosen_parameters
from hier.estimate.printing import Table
from hier.estimate.profile_intervals import profile
from hier.estimate.routes import route_of
from hier.estimate.wald import wald
from hier.settings import PROBABILITY, check

NO_DF = {"profile": "profile", "boot": "bootstrap"}


class Refits(NamedTuple):
    """The bootstrap of an interval: arguments of `Estimate.bootstrap`."""

    n: int = 1000
    seed: int = 0
    kind: str = "parametric"
    progress: bool = True


class Intervals(NamedTuple):
    """What a user asks of confidence intervals: arguments of `Estimate.confint`."""

    method: str
    level: float
    parameters: str | Sequence[str] | None
    df: str
    refits: Refits


def confint(estimate: Fitted, asked: Intervals) -> pd.DataFrame:
    """What `Estimate.confint` says."""
    route, method, df = route_of(estimate), asked.method, asked.df
    check_choice("df", df, route.ddf)
    check_choice("method", method, route.intervals)
    level = check("level", asked.level, PROBABILITY)
    chosen = chosen_parameters(estimate.model, asked.parameters)
    if df != "none" and method != "wald":
        raise FitError(
            f"{NO_DF[method]} intervals have no degrees of freedom", hint='leave `df` out, or use method="wald"'
        )
    names = [own.name for own in chosen]
    if method == "boot":
        n, seed, kind, progress = asked.refits
        return bootstrap(estimate, n, seed, kind=kind, progress=progress).confint(level).loc[names]
    bounds, note = wald(estimate, chosen, level, df) if method == "wald" else profile(estimate, chosen, level)
    table = Table(bounds, index=names, columns=["lower", "upper"])
    table.attrs = {"method": method, "level": level, "note": note}
    return table
