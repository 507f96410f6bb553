"""The bootstrap of a fit: refits of responses simulated from it, or of groups drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.many import ManyEstimates, fit_responses
from hier.estimate.progress import progress_bar
from hier.kernel.covariance import theta_of
from hier.kernel.moments import SMALLEST
from hier.model.problem import likelihood_problem, terms_of

if TYPE_CHECKING:
    from hier.estimate.result import Estimate


@dataclass(frozen=True)
class Bootstrap:
    """Refits of a bootstrap: `refits`, a row each, and `original`, the parameters of the estimate."""

    refits: ManyEstimates = field(repr=False)
    original: pd.Series

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """Fixed effects, standard deviations, correlations and sigma of every refit."""
        return pd.concat([self.refits.fixef, self.refits.sdcor], axis=1)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a parameter: `estimate`, `bias` (mean of the refits less the estimate) and `std_error` (their sd)."""
        found = self.replicates
        bias = found.mean() - self.original
        return pd.DataFrame({"estimate": self.original, "bias": bias, "std_error": found.std(ddof=1)})

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals, columns `lower` and `upper`. Source: Efron and Tibshirani (1993), chapter 13."""
        if not 0.0 < level < 1.0:
            raise FitError(f"`level` cannot be {level}", expected="a number between 0 and 1")
        tail = 0.5 * (1.0 - level)
        quantiles = self.replicates.quantile([tail, 1.0 - tail])
        return pd.DataFrame({"lower": quantiles.iloc[0], "upper": quantiles.iloc[1]})

    def __len__(self) -> int:
        return len(self.refits)


def bootstrap(estimate: Estimate, n: int = 1000, seed: int = 0, *, progress: bool = True) -> Bootstrap:
    """Refit a model to `n` responses simulated from its estimates: the parametric bootstrap.

    New deviations of every group and new residuals are drawn for each; the refits are batches of one program, and are
    those that single fits of the simulated responses give. The same `seed` gives the same refits.

    Raises FitError for estimates that are no REML or maximum-likelihood estimates.
    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 6.5; lme4's `bootMer`.
    """
    if estimate.method not in ("reml", "ml"):
        raise FitError(
            f"the bootstrap refits by the likelihood, and this estimate is by `{estimate.method}`",
            expected='an estimate by method="reml" or "ml"',
            hint="fit the model anew, or sample its posterior",
        )
    if int(n) != n or n < 2:
        raise FitError(f"`n` cannot be {n}", expected="a whole number of refits, 2 or more")
    model = estimate.model
    problem = likelihood_problem(model.design, model.structure)
    terms = terms_of(model.design, model.structure)
    relative = []
    for at, k in enumerate(model.structure.order):
        scale = problem.units.z[at] / estimate.sigma
        factor = scale[:, None] * estimate.arrays.terms[k].factor
        relative.append(factor @ factor.T)
    # a search must not begin where a variance is zero, since it would stay there
    theta = theta_of(relative, terms, SMALLEST)
    start = np.append(theta, np.log(estimate.sigma / problem.units.y))
    Y = estimate.simulate(n, seed=seed).to_numpy()
    with progress_bar(n, "Bootstrap", shown=progress) as on_progress:
        refits = fit_responses(model, Y, pd.RangeIndex(n), problem, start, estimate.method, on_progress)
    variances = estimate.varcorr
    original = [*estimate.fixef, *_in_order(refits, variances)]
    return Bootstrap(refits, pd.Series(original, index=[*refits.fixef.columns, *refits.sdcor.columns]))


def _in_order(refits: ManyEstimates, varcorr: pd.DataFrame) -> list[float]:
    """The estimate's standard deviations and correlations in the order of the refits' columns."""
    named = {}
    for group, a, b, value in varcorr[["group", "term1", "term2", "sdcor"]].itertuples(index=False):
        key = "sigma" if a is None else f"sd_{group}[{a}]" if b is None else f"cor_{group}[{a},{b}]"
        named[key] = value
    return [named[name] for name in refits.sdcor.columns]
