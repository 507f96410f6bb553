"""The result of sampling: a line for each verb, whose work is done by the function of its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from hier.estimate.predicted_rows import Random
from hier.posterior.diagnose import Diagnosis, diagnose
from hier.posterior.posterior_draws import PosteriorDraws, Settings
from hier.posterior.prediction import predict
from hier.posterior.probabilities import hypothesis
from hier.posterior.summary_block import parameter_table, summarise
from hier.posterior.tree import save_tree, to_tree
from hier.printed import Printed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Posterior", "Settings"]


@final
@dataclass(frozen=True, repr=False, kw_only=True)
class Posterior(PosteriorDraws, Printed):
    __doc__ = PosteriorDraws.__doc__

    @cached_property
    def data(self) -> xr.DataTree:
        """The posterior as an ArviZ `DataTree`: groups `posterior`, `sample_stats`, `observed_data`,
        `constant_data`.
        """
        return to_tree(self)

    def _text(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """The block that brms prints: means, sds, 95 percent intervals, R-hat, bulk and tail ESS."""
        return summarise(self)

    def tidy(self) -> pd.DataFrame:
        """One row for each parameter that is not a group deviation: mean, sd, 2.5 and 97.5 percent quantiles, R-hat and
        ESS.
        """
        return parameter_table(self)

    def diagnose(self) -> Diagnosis:
        """The checks that say whether the draws can be used: R-hat, bulk and tail ESS, divergences, tree depth,
        E-BFMI.
        """
        return diagnose(self)

    def hypothesis(self, hypotheses: str | Sequence[str], *, level: float = 0.95) -> pd.DataFrame:
        """Posterior probabilities of hypotheses such as `"week > 6"` or `"a - b < 0.5"`, a row each.

        `estimate` and `std_error`: posterior mean and sd of the left side less the right. `post_prob` and
        `evidence_ratio`: the probability that the hypothesis is true, and that over the probability that it is not;
        NaN for `=`, which has none under a continuous prior. The interval leaves 1 - `level` out on each side for `>`
        and `<`, half of that for `=`, as brms has it. Raises FormulaError.
        """
        return hypothesis(self, hypotheses, level)

    def predict(
        self,
        data: Any = None,
        *,
        kind: str = "mean",
        random: Random = "all",
        new_levels: str = "error",
        draws: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame | xr.DataArray:
        """Posterior mean `fit`, sd `se` and interval `lower, upper` of the expected response in each row of the fit or
        of another table, on the data's index.

        `kind`: "mean", on the scale of `Estimate.fitted` (probabilities of a bernoulli response, expected shares of
        successes, means of an ordered one's labels); "link", the linear predictor; "probabilities", the posterior means
        of those of an ordered response's categories, a column each. `random`: as in `Estimate.predict`. `new_levels`:
        "error", or "zero", which gives levels that the fit has not seen deviations of zero. `draws`: all draws instead,
        an array by chain, draw, row and, of probabilities, category. `level`: that of the equal-tailed interval. NaN
        where the data do not determine the fixed part.

        Raises FitError for a posterior from a file that was read without its model, a kind that the family does not
        have and terms that the model does not have; DataError for data without what the formula needs.
        """
        return predict(self, data, kind, random, new_levels, draws, level)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the posterior to a netCDF file that ArviZ, xarray and `hier.load_posterior` read, with checksums of all
        that is in it. Raises JobError where the file cannot be written.
        """
        return save_tree(self, self.data, path)
