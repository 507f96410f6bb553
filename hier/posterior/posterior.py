"""The result of sampling: a line for each verb, whose work is done by the function of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import pandas as pd

from hier.estimate.calibration import calibration_table
from hier.estimate.effect_plan import EffectsAsked
from hier.estimate.effect_verbs import EffectVerbs
from hier.estimate.predicted_rows import Prediction, Random
from hier.estimate.quantile_residuals import residuals_among
from hier.posterior.added_groups import replicated, with_log_likelihood, with_predictive, with_prior
from hier.posterior.cross_validation import CrossValidation, logo, loo, loo_pit, waic
from hier.posterior.diagnose import Diagnosis, diagnose
from hier.posterior.drawn_effects import drawn_effects
from hier.posterior.drawn_means import DrawnMeans, emmeans
from hier.posterior.explained_variance import r2
from hier.posterior.extending import extend
from hier.posterior.k_fold import kfold
from hier.posterior.posterior_draws import PosteriorDraws, Settings
from hier.posterior.power_scaling import power_sensitivity
from hier.posterior.prediction import model_of, predict
from hier.posterior.predictive_checks import predictive_check
from hier.posterior.probabilities import hypothesis
from hier.posterior.summary_block import parameter_table, summarise
from hier.posterior.tree import save_tree, to_tree
from hier.printed import Printed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Posterior", "Settings"]


@final
@dataclass(frozen=True, repr=False, kw_only=True)
class Posterior(PosteriorDraws, EffectVerbs, Printed):
    __doc__ = PosteriorDraws.__doc__

    @cached_property
    def data(self) -> xr.DataTree:
        """The posterior as an ArviZ `DataTree`: groups `posterior`, `sample_stats`, `observed_data`,
        `constant_data`, and those that `with_log_likelihood`, `with_predictive` and `with_prior` add.
        """
        return to_tree(self)

    def _text(self) -> str:
        return self.summary() + (f"\nTime: {self.timing}" if self.timing else "")

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
        return self._diagnosis

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        return diagnose(self)

    def extend(self, draws: int = 1000, *, progress: bool = True) -> Self:
        """The posterior with `draws` more of each chain, which go on from where they stand, without another warm-up.

        They are what a longer run would have drawn: the chains and what NUTS says of them are the same, draw for draw;
        what is drawn exactly given these has other random numbers. Groups that were added to `data` are left out, since
        they have no such draws. More draws of an approximation are independent of those before. Raises FitError for a
        posterior from a file, which does not hold where its chains stand.
        """
        return extend(self, draws, progress)

    def hypothesis(self, hypotheses: str | Sequence[str], *, level: float = 0.95) -> pd.DataFrame:
        """Posterior probabilities of hypotheses such as `"week > 6"` or `"sd_id[week] / sigma < 0.5"`, a row each.

        Expressions of any parameters by the names of the tables: coefficients, `sigma`, `sd_GROUP[column]`,
        `cor_GROUP[column,column]`, further parameters of the response, cutpoints, and `GROUP[level,column]`, the
        deviation of a level, with `+ - * / ^`, parentheses, `exp log sqrt abs plogis`.

        `estimate` and `std_error`: posterior mean and sd of the left side less the right. `post_prob` and
        `evidence_ratio`: the probability that the hypothesis is true, and that over the probability that it is not;
        NaN for `=`, which has none under a continuous prior, but after `with_prior(draws)` the ratio of the posterior's
        density there to the prior's (Savage and Dickey's), which needs many draws of the prior. The interval leaves
        1 - `level` out on each side for `>` and `<`, half of that for `=`, as brms has it. Raises FormulaError.
        """
        return hypothesis(self, hypotheses, level)

    def predict(
        self,
        new_data: Any = None,
        *,
        kind: str = "mean",
        random: Random = "all",
        new_levels: str = "error",
        draws: bool = False,
        level: float = 0.95,
        seed: int = 0,
        data: Any = None,
    ) -> pd.DataFrame | xr.DataArray:
        """Posterior mean `fit`, sd `se` and interval `lower, upper` of the expected response in each row of the fit or
        of another table, on the data's index.

        `kind`: "mean", on the scale of `Estimate.fitted` (probabilities of a bernoulli response, expected shares of
        successes, means of an ordered one's labels); "response", of a new response of the row, with its own noise, as
        the response is written: counts of successes are counts, and new rows have a precision weight of 1; "link", the
        linear predictor; "probabilities", the posterior means of those of an ordered response's categories, a column
        each. `random`: as in `Estimate.predict`.
        `new_levels`: what becomes of levels that the fit has not seen, and of rows without a label, each a level of its
        own: "error"; "zero" gives them deviations of zero; "sample" draws their deviations from the groups'
        distribution in each draw, the same for all rows of a level; "integrate" gives the mean over that distribution
        in each draw, in closed form where the mean is the linear predictor and by quadrature elsewhere, and of
        "response" a response of a group of its own for every row. Columns of grouping factors may then be absent.
        `draws`: all draws instead, an array by chain, draw, row and, of probabilities, category. `level`: that of the
        equal-tailed interval. `seed` of what is drawn. `data` is `new_data` by its earlier name. NaN where the data do
        not determine the fixed part. Rows are predicted in blocks, so that a table needs little memory beside itself.

        Raises FitError for a posterior from a file that was read without its model, a kind that the family does not
        have and terms that the model does not have; DataError for data without what the formula needs.
        """
        asked = Prediction(kind, random, new_levels, draws, level, seed)
        return predict(self, new_data if data is None else data, asked)

    def emmeans(
        self,
        specs: str | Sequence[str],
        *,
        at: Mapping[str, Any] | None = None,
        offset: float | None = None,
        level: float = 0.95,
    ) -> DrawnMeans:
        """Estimated marginal means by one or several variables of the fixed effects, of each draw: those that
        `Estimate.emmeans` describes, on the scale of the linear predictor. `.table` has posterior means, sds and
        equal-tailed intervals, `.pairs()` the differences. Raises FitError for what is no such variable.
        """
        return emmeans(self, specs, at, offset, level)

    def _effects(self, asked: EffectsAsked) -> pd.DataFrame:
        return drawn_effects(self, asked)

    def with_log_likelihood(self) -> Self:
        """The posterior with the group `log_likelihood` in its `data`: the log density of each row's response given
        the parameters and deviations of each draw.

        Raises FitError for a posterior from a file that was read without its model, and for more numbers than there is
        memory for.
        """
        return with_log_likelihood(self)

    def with_predictive(
        self, new_data: Any = None, *, random: Random = "all", new_levels: str = "error", seed: int = 0
    ) -> Self:
        """The posterior with replicated responses in its `data`, one per draw and row: `posterior_predictive` of the
        rows of the fit, `predictions` of those of another table.

        Responses are the numbers that `observed_data` has: counts, shares where the response is these, what the
        categories of an ordered one count as. `random`, `new_levels`: as in `predict(kind="response")`, whose draws
        these are. New rows have a precision weight of 1. The same seed gives the same responses.

        Raises FitError as `predict` does, ModelError for a family that does not say how a response is drawn, and
        DataError for new rows of a count of successes whose numbers of trials are not known.
        """
        return with_predictive(self, new_data, Prediction("response", random, new_levels, seed=seed))

    def with_prior(self, draws: int = 1000, *, seed: int = 0) -> Self:
        """The posterior with the groups `prior`, `prior_predictive` and `log_prior` in its `data`: draws from the prior
        and of the response given them, one chain, and the log prior densities of the posterior's own draws, without
        the deviations, whose distribution is no prior.

        Raises FitError for a posterior from a file that was read without its model, and ModelError where a prior is
        flat.
        """
        return with_prior(self, draws, seed)

    def loo(self, *, integrated: bool = False, refit: bool = False) -> CrossValidation:
        """Expected log predictive density of new rows, by leaving out each row of the fit (PSIS-LOO).

        As it is, a row's density is conditional on everything that was drawn, its group deviations among it; where a
        group has few rows, these follow the row so closely that importance sampling fails, and Pareto k is large.
        `integrated`: of a Normal response, the density of row i given all other rows, the fixed effects and the
        variance parameters of each draw, in closed form with all group deviations integrated out. Both estimate the
        same, the log density of row i under the posterior that has not seen it, since the other rows still say what
        the group's deviations are; only the weights vary less. Fixed effects are not integrated out: one row tells
        little of them. `refit`: rows whose Pareto k is too large are left out by sampling the model again.

        Raises FitError for a posterior from a file without its model or log-likelihood, and for what is not Normal.
        """
        return loo(self, integrated, refit)

    def loo_pit(self, *, seed: int = 0) -> pd.Series:
        """The probability of each row's response or less under the posterior that has not seen it (LOO-PIT): uniform
        over rows where the model is right.

        From replicated responses, weighted as in `loo`; that of a response equal to a replicated one is a random share
        of it. Source: Gelfand (1996), in Markov Chain Monte Carlo in Practice, chapter 9; Czado, Gneiting and Held
        (2009), Biometrics 65, 1254, for counts. Raises FitError as `loo` and `with_predictive` do.
        """
        return loo_pit(self, seed)

    def kfold(self, k: int = 10, *, group: str | None = None, seed: int = 0, progress: bool = True) -> CrossValidation:
        """Expected log predictive density of new rows, or of new levels of a grouping factor, by sampling the model `k`
        times, each time without a random part of them.

        Priors stay those of all rows. With `group` the rows of a level are taken jointly, its deviations integrated
        out, as in `logo`. Compiled programs are those of the posterior. Ctrl-C ends it with nothing. Raises FitError
        for more folds than units, and DataError where the rows without a fold do not determine the fixed effects.
        """
        return kfold(self, k, group, seed, progress)

    def logo(self, group: str | None = None, *, refit: bool = False) -> CrossValidation:
        """Expected log predictive density of new groups, by leaving out all rows of each level of a grouping factor,
        from the same draws.

        A level's rows are taken jointly, given the rows of all other levels. Of a Normal response the deviations of
        all factors are integrated out in closed form, given the fixed effects and the variance parameters of a draw.
        Of any other the level's own deviations are, by adaptive Gauss-Hermite quadrature about their mode in each draw
        (beyond four columns by Laplace's approximation), given everything else in the draw, the deviations of other
        factors included. `group`: may be left out where there is one. `refit`: as in `loo`. Raises FitError.
        """
        return logo(self, group, refit)

    def power_sensitivity(self, *, integrated: bool = False) -> pd.DataFrame:
        """How much each parameter's posterior depends on the prior and on the likelihood: columns `prior` and
        `likelihood`, of the rows of `tidy`.

        Each is the distance of the posterior from that under a slightly higher power of either, by the power's
        logarithm: prior 0.05 or more asks for a look, which `diagnosis` says. All priors but the distribution of the
        deviations are raised together. `integrated`: the likelihood of the fixed effects and variances with all
        deviations integrated out (of Normal responses in closed form, of others with one grouping factor by
        quadrature), in place of that given the deviations. Source: Kallioinen, Paananen, Bürkner and Vehtari (2024),
        Stat. Comput. 34, 57. Raises FitError as `with_log_likelihood` does.
        """
        return power_sensitivity(self, integrated)

    def predictive_check(self, quantities: Any = None, *, group: str | None = None, seed: int = 0) -> pd.DataFrame:
        """Test quantities of the observed and of replicated responses: a row each with `observed`, the mean
        `replicated`, its `sd` and 95 percent interval `lower, upper`, and `p_value`, the share of replicated ones that
        are larger (of ties a half).

        `quantities`: a function of the responses (n,), such as `lambda y: (y > 3).mean()`, a name ("mean", "sd", "min",
        "max", "median", "zeros"), a list of these, or functions by name; None for the usual ones. `group`: by level of
        a grouping factor. Source: Gelman et al., Bayesian Data Analysis (3rd ed.), section 6.3. Raises FitError for
        what is no quantity, and as `with_predictive` does.
        """
        return predictive_check(self, quantities, group, seed)

    def quantile_residuals(self, *, seed: int = 0) -> pd.Series:
        """Randomised quantile residuals: the share of each row's replicated responses that are less, uniform between 0
        and 1 where the model is right; `loo_pit` is the same of a posterior that has not seen the row.
        """
        return residuals_among(replicated(self, seed), self.observed, self.index, seed)

    def calibration(self, *, seed: int = 0) -> pd.DataFrame:
        """Whether predicted probabilities of a response of 0 and 1, or of successes, are the observed frequencies: see
        `Estimate.calibration`.
        """
        return calibration_table(model_of(self), self.predict()["fit"].to_numpy(), seed)

    def waic(self) -> CrossValidation:
        """The widely applicable information criterion, given the group deviations, on the scale of `loo`. LOO is
        better: it estimates the same at the same cost, and tells by Pareto k where it fails, while WAIC fails silently
        where a row has much influence.

        Source: Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413.
        """
        return waic(self)

    def r2(self, *, level: float = 0.95) -> pd.DataFrame:
        """Bayesian R squared, the share of the variance of responses that predicted means explain: rows `conditional`
        (with the group deviations), `marginal` (deviations of zero) and `loo` (of rows that the prediction has not
        seen); columns `estimate, std_error, lower, upper`.

        Of each draw the first two are the variance of the expected responses over that plus the variance of the
        residuals about them; the last weights rows by the Bayesian bootstrap. Source: Gelman, Goodrich, Gabry and
        Vehtari (2019), Am. Stat. 73, 307, and their online appendix. Raises FitError as `predict` and `loo` do.
        """
        return r2(self, level)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the posterior to a netCDF file that ArviZ, xarray and `hier.load_posterior` read, with checksums of all
        that is in it. Raises JobError where the file cannot be written.
        """
        return save_tree(self, self.data, path)
