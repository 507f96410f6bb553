"""The result of a point estimate: numbers once, everything else when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import ModelError
from hier.estimate import expected, routes, wald
from hier.estimate.anova import f_table, likelihood_ratio_table
from hier.estimate.bootstrap import Bootstrap, bootstrap
from hier.estimate.calibration import calibration_table
from hier.estimate.components import principal_components
from hier.estimate.conditional_aic import caic
from hier.estimate.contrasts import Contrasts, coefficient_table, contrast
from hier.estimate.effect_plan import EffectsAsked
from hier.estimate.effect_verbs import EffectVerbs
from hier.estimate.estimated_effects import estimated_effects
from hier.estimate.fit import fit
from hier.estimate.fitted import Fitted
from hier.estimate.hypothesis import hypothesis
from hier.estimate.influence import Influence, influence
from hier.estimate.intervals import Intervals, Refits, confint
from hier.estimate.kenward_roger import KenwardRoger, kenward_roger
from hier.estimate.means import MarginalMeans, emmeans
from hier.estimate.mixed_model_equations import Solved, mode_errors
from hier.estimate.predict import predict
from hier.estimate.predicted_rows import Prediction, Random
from hier.estimate.quantile_residuals import quantile_residuals
from hier.estimate.ranova import ranova
from hier.estimate.saving import save_estimate
from hier.estimate.shares import icc, r2
from hier.estimate.simulate import simulate
from hier.estimate.summary import summarise
from hier.estimate.tidy import tidy
from hier.model import Specification
from hier.printed import Printed
from hier.settings import of_kind

if TYPE_CHECKING:
    import xarray as xr


@final
class Estimate(Fitted, EffectVerbs, Printed):
    """Point estimates of a hierarchical model.

    `method`: "reml", "ml" or "map". `objective`: the REML criterion, -2 log-likelihood, or -2 log posterior density.
    `loglik`: the restricted log-likelihood for REML of a Normal model, otherwise the log-likelihood, with all
    constants; of other models than Normal ones by Laplace's approximation or, with `nagq` points, by adaptive
    Gauss-Hermite quadrature. `n_parameters`: fixed effects, variances and covariances, and further parameters.
    `aic`, `bic`: from these, as lme4 has them. `nobs`, `df_resid`: rows, and rows less parameters. `converged`,
    `message`: how the search ended. `is_singular`: a variance of some combination of the deviations is estimated as
    zero. `sigma`: residual standard deviation; 1, as lme4 has it, where there is none or several.
    """

    @classmethod
    def of(cls, found: Fitted) -> Estimate:
        """The estimate that a fit is."""
        own = cls.__new__(cls)
        vars(own).update(vars(found))
        return own

    @owned
    def coefficients(self) -> pd.DataFrame:
        """Fixed effects with standard errors and t-tests on Satterthwaite's degrees of freedom, z-tests where the
        response is not Normal.

        Columns `estimate, std_error, df, statistic, p_value`; the p-values are two-sided.
        """
        return self.tests()

    @property
    def family_parameters(self) -> pd.DataFrame:
        """The further parameters of the response's distribution: columns `estimate, std_error`, a row for each.

        A parameter without a formula stands under its name and on its own scale (`shape`, `phi`, `sigma`, ...); with
        one, its coefficients on the scale of its predictor (`sigma_Intercept`, `sigma_x`).
        """
        return wald.family_parameters(self).copy()

    @owned
    def ranef_se(self) -> dict[str, pd.DataFrame]:
        """Conditional standard deviations of the group deviations, given the estimates of the other parameters.

        Solved for when first asked, by one more elimination.
        Source: Bates et al. (2015), equation 58; what lme4's `ranef(condVar = TRUE)` gives.
        """
        return self.by_level(mode_errors(self, self.solved))

    @owned
    def linear_predictor(self) -> pd.Series:
        """The linear predictor of the mean, the deviations at their conditional modes, on the data's index."""
        return pd.Series(self.eta, index=self.model.design.index, name="linear predictor")

    @property
    def fitted(self) -> pd.Series:
        """Expected responses, the deviations at their conditional modes, on the data's index: of a Normal response its
        linear predictor, probabilities of a bernoulli one, expected shares of successes of a binomial one, means of an
        ordered one's labels, or where they are no numbers of their places 1, 2, ...
        """
        return expected.fitted_values(self).copy()

    @owned
    def residuals(self) -> pd.Series:
        """Response less fitted value, on the data's index, on the scale of `fitted`."""
        return expected.residuals(self)

    def _text(self) -> str:
        return self.summary()

    def summary(self, ddf: str = "satterthwaite") -> str:
        """The block that lme4 and lmerTest print; `ddf` as in `tests`. Tests of a response that is not Normal are
        z-tests, whatever `ddf` is.
        """
        return summarise(self, ddf)

    @property
    def kenward_roger(self) -> KenwardRoger:
        """Kenward and Roger's adjusted covariance of the fixed effects (`vcov`), and what gives degrees of freedom.

        Raises FitError unless the fit is by REML, of a Normal response with one residual variance.
        """
        return kenward_roger(self)

    def tests(self, ddf: str = "satterthwaite") -> pd.DataFrame:
        """t-tests of the fixed effects: columns `estimate, std_error, df, statistic, p_value`, two-sided.

        `ddf`: the method of the degrees of freedom, "satterthwaite" or "kenward-roger"; the latter adjusts the standard
        errors too, and needs a fit by REML. Raises FitError.
        """
        return coefficient_table(self, ddf)

    def contrast(self, L: Any, *, ddf: str = "satterthwaite", level: float = 0.95) -> Contrasts:
        """t-tests and intervals of linear functions of the fixed effects, and the F-test that all of them are zero.

        `L`: an array (k, p) or (p,), text such as `"week - 2 * Intercept"`, a list of such texts, a mapping of labels
        to texts, arrays or weights by coefficient, or a table with the coefficients as columns. `ddf` as in `tests`;
        `level`: of the intervals. Raises FitError and FormulaError for what is no linear function of the coefficients.
        """
        return contrast(self, L, ddf=ddf, level=level)

    def hypothesis(
        self, hypotheses: str | Sequence[str], *, ddf: str = "satterthwaite", level: float = 0.95
    ) -> pd.DataFrame:
        """Tests of hypotheses such as `"week > 6"`, `"week = 6"` or `"a - b > 0.5"`, a row each.

        `estimate` is the left side less the right. For `>` and `<` the p-value is that of the opposite being true, so a
        small one speaks for the hypothesis, and the interval is open on one side; for `=` it is two-sided.
        Columns `estimate, std_error, df, statistic, p_value, alternative, conf_low, conf_high`. Raises FormulaError.
        """
        return hypothesis(self, hypotheses, ddf=ddf, level=level)

    def emmeans(
        self,
        specs: str | Sequence[str],
        *,
        at: Mapping[str, Any] | None = None,
        offset: float | None = None,
        ddf: str = "satterthwaite",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means by one or several variables of the fixed effects; `.pairs()` compares them.

        The model's predictions without group deviations on the grid of all factor levels, numeric variables at their
        means or at the values in `at`, averaged with equal weights over the variables that are not in `specs`. A
        numeric variable with two values is kept at both, as a factor is. Transforms in the formula are applied to the
        values of the grid: `log(x)` and `offset(log(x))` are those of the mean of x. `offset` takes the place of all
        offsets; 0 leaves them out.
        A factor whose levels each stand in one level of another, or that the formula has within that other only, is
        nested in it: means over it are over the levels that there are, and means of it are by both.
        Means of an ordered response are those of the latent variable less the mean of the cutpoints, those of another
        response on the scale of the linear predictor. NaN stands where the data do not determine a mean.
        Raises FitError for what is no such variable. Source: Searle, Speed and Milliken (1980), Am. Stat. 34, 216;
        emmeans 1.8.4, whose rules these are.
        """
        return emmeans(self, specs, at=at, offset=offset, ddf=ddf, level=level)

    def anova(self, *others: Fitted, type: int = 3, ddf: str = "satterthwaite", refit: bool = True) -> pd.DataFrame:
        """Without `others`, F-tests of the terms of the fixed effects; with them, likelihood-ratio tests of nested
        models.

        F-tests: `type` 1 tests each term after those before it, 2 after all that do not contain it, 3 with all others
        in the model, whatever the coding of the factors; `ddf` as in `tests`. Of type 2 a product with a covariate does
        not contain a factor (lmerTest's rule), so that beside `f:x` the test of `f` is at x = 0, as the note says:
        centre x for one at its mean. Columns `sum_sq, mean_sq, num_df, den_df,
        statistic, p_value`, a row a term.
        Likelihood-ratio tests: each model against the next smaller one. REML fits are refitted by maximum likelihood,
        unless `refit` is False, where all have the same fixed effects. Where some log-likelihoods are Laplace's
        approximation and others are by quadrature, all are refitted by the finest that every model allows, and refused
        if `refit` is False. Columns `npar, aic, bic, loglik, deviance, chisq, df, p_value`, a row a model; with a model
        that has no groups also `p_boundary`, in which a variance of zero is on the boundary: the p-value by the mixture
        of chi-squared variables that the statistic then is (of one variance, half of `p_value`).
        `attrs["note"]` says what was done.

        Raises FitError for another type or method, ModelError for models that cannot be compared.
        Source: Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13).
        """
        if others:
            models = [of_kind("a comparison of models", own, Estimate, ModelError) for own in others]
            return likelihood_ratio_table([self, *models], refit=refit)
        return f_table(self, type=type, ddf=ddf)

    def ranova(self) -> pd.DataFrame:
        """Likelihood-ratio tests of the random effects: the model without each in turn.

        Of `(1 + x | g)` the slope is left out, of `(1 | g)` the whole term; REML fits are compared by their restricted
        likelihoods. Columns `npar, loglik, aic, lrt, df, p_value, p_boundary`. `p_value` is that of chi-squared on
        `df`, too large since a variance of zero is on the boundary; `p_boundary` takes equal parts of chi-squared on
        `df` and `df - 1`, right where one column is left out and still too large where several are.

        Raises ModelError for a posterior mode.
        Source: Stram and Lee (1994), Biometrics 50, 1171; Self and Liang (1987), J. Am. Stat. Assoc. 82, 605.
        """
        return ranova(self)

    def expected_response(self, eta: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Expected responses (..., n) of some rows of the fit from the linear predictor of their mean (..., n), each
        with its own further parameters; the predictor itself where the response is Normal, and for a family that does
        not say what its mean is. Raises FitError for other than a number for each row.
        """
        return expected.expected_response(self, eta, rows)

    @property
    def working_rows(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The response (n,) of the weighted least squares that the fit amounts to near its optimum, and its weights
        (n,), or None.

        Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.5.
        """
        return routes.working_rows(self)

    @property
    def dispersion(self) -> float:
        """What the inverse of the mixed model equations is multiplied by to be a covariance: sigma^2; 1 where the
        curvature of a log density stands in for them.
        """
        return routes.route_of(self).dispersion(self)

    @property
    def solved(self) -> Solved:
        """The mixed model equations solved at the estimates, for what is computed after the fit."""
        return routes.solved(self)

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
        se: bool = False,
        interval: str | None = None,
        weights: Any = None,
        type: str | None = None,
        data: Any = None,
    ) -> pd.Series | pd.DataFrame | xr.DataArray:
        """Expected responses of the fit's rows, or of another table's, on the scale of `fitted`, or new responses.

        Parameters
        ----------
        new_data : any table that `Model` reads, with the model's columns; None for the rows of the fit. Grouping
            factors that nothing needs may be absent. `data` is the same by its earlier name.
        kind : "mean"; "response", of a new response of the row, with its own noise; "link", the linear predictor;
            "probabilities" of the categories of an ordered response, a column for each. `type` is `kind` by its name in
            R, where "response" is the expected one.
        random : the deviations to include: "all", "none" (the fixed part only), or a list of grouping factors, such as
            `"id"`, and of random terms, such as `"(1 | id)"`.
        new_levels : "error" refuses levels of those grouping factors that the fit has not seen, or that are missing.
            Otherwise columns of grouping factors may be absent, and what is predicted is: by "zero" that of a deviation
            of zero; by "sample" and "integrate" the mean over the groups' distribution, in closed form where the mean
            is the linear predictor and by quadrature elsewhere. Errors are those of predictions for a level that is
            drawn from the distribution, of "integrate" those of the mean over it.
        draws : whether to give 1,000 draws instead, Normal about the estimates, an array by chain, draw and row, the
            rows of a level drawn together; `seed` of these and of what is simulated.
        se : whether to give standard errors: those of the linear predictor, and of an expected response by the delta
            method. interval : "confidence", or for a Normal response "prediction", with the residual's variance;
            `level` of both, by Normal quantiles. Of an expected response they are those of the predictor taken through
            the link. Responses have both, exactly for Normal ones and by simulation for others.
        weights : precision weights of the rows, for predicted responses: a column's name or numbers.

        NaN stands in rows where the data of the fit do not determine the fixed part; `attrs["note"]` says so.
        A Series on the data's index; a DataFrame with columns `fit, se` and for an interval `lower, upper` where these
        are asked for, and of kind="response". Standard errors are those of prediction: of x'(estimate of beta - beta) +
        z'(mode of b - b), all terms and their covariances included, a new level's deviation with its own variance, and
        the variance parameters as they are estimated.

        Raises DataError for data that do not fit the model, and FitError for an argument that it does not have.
        Source: Henderson (1975), Biometrics 31, 423, section 4: the inverse of the mixed model equations.
        """
        kind = kind if type is None else "mean" if isinstance(type, str) and type == "response" else type
        asked = Prediction(kind, random, new_levels, draws, level, seed, se, interval, weights)
        return predict(self, new_data if data is None else data, asked)

    def simulate(self, n: int = 1, *, seed: int = 0, conditional: bool = False) -> pd.DataFrame:
        """Responses simulated from the fit by its family: a column for each simulation, `sim_1` to `sim_n`, on the
        data's index.

        They are what the response is in the user's table, and can be fitted in its place: labels of categories, counts
        of successes, or where the response is proportions with their trials as weights, proportions. Of `y / n` they
        stand in the place of `y`. Every group gets new deviations, or with `conditional` keeps its conditional modes;
        Normal residuals have variance sigma^2 / weight. The same `seed` gives the same numbers.
        """
        return simulate(self, n, seed, conditional)

    def quantile_residuals(self, n: int = 1000, *, conditional: bool = False, seed: int = 0) -> pd.Series:
        """Randomised quantile residuals: the share of `n` simulated responses that are less than each row's, uniform
        between 0 and 1 where the model is right.

        `conditional`: as in `simulate`; modes of deviations follow their rows, so that residuals given them vary less
        than uniform ones. Source: Dunn and Smyth (1996), J. Comput. Graph. Stat. 5, 236; Hartig's R package DHARMa.
        """
        return quantile_residuals(self, n, conditional, seed)

    def calibration(self, *, seed: int = 0) -> pd.DataFrame:
        """Of each row of a response of 0 and 1, or of successes, sorted by its predicted probability: `predicted`;
        `frequency`, the observed one by isotonic regression; `lower, upper`, between which that lies with probability
        0.95 where the predictions are right.

        Source: Dimitriadis, Gneiting and Jordan (2021), PNAS 118(8), e2016191118. Raises FitError for other responses.
        """
        return calibration_table(self.model, self.fitted.to_numpy(), seed)

    @property
    def caic(self) -> float:
        """The conditional AIC of a Normal response: that of predictions for these groups, where `aic` is for new ones.

        -2 log density of the response given the deviations' modes, plus twice the effective number of parameters, the
        trace of the matrix that takes the response to its fitted values, and one for sigma. The variances count as
        known. Source: Vaida and Blanchard (2005), Biometrika 92, 351. Raises FitError for other responses.
        """
        return caic(self)

    def bootstrap(self, n: int = 1000, *, seed: int = 0, kind: str = "parametric", progress: bool = True) -> Bootstrap:
        """The bootstrap: `n` refits of data drawn anew, as batches of one program, the same for the same `seed`.

        `kind` : "parametric" draws new deviations of every group and new residuals from the estimates; the refits are
        those that single fits of `simulate(n, seed=seed)` give. "groups" draws the levels of the grouping factor with
        replacement, each draw as a level of its own with all of its rows, and assumes no distribution; of nested
        factors it draws the outermost's, with all that is inside. Columns stay as the fit coded them (`scale(x)`).

        `Bootstrap` has the refits by parameter (`replicates`), their `table` of bias and standard error, `confint()`,
        for groups the numbers of draws (`drawn`), and a `note`. Raises FitError for a MAP estimate, and for groups
        where factors cross, since there no level is independent of the others.
        Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 6.5 and 8.3; lme4's `bootMer`.
        """
        return bootstrap(self, n, seed, kind=kind, progress=progress)

    def confint(
        self,
        method: str = "wald",
        *,
        level: float = 0.95,
        parameters: str | Sequence[str] | None = None,
        df: str = "none",
        n: int = 1000,
        seed: int = 0,
        kind: str = "parametric",
        progress: bool = True,
    ) -> pd.DataFrame:
        """Confidence intervals: columns `lower, upper`, a row for each of the fixed effects by name, the cutpoints and
        further parameters of the response's distribution, `sd_GROUP[column]`, `cor_GROUP[column,column]`, and `sigma`.

        Parameters
        ----------
        method : "wald", from standard errors; of a standard deviation on the log scale and of a correlation on
            Fisher's z scale, of a further parameter on the scale of its link, NaN for one estimated at its limit, where
            they say nothing. Of a Normal response with one residual variance also "profile": where the profile
            likelihood falls to the quantile of a chi-squared; a bound that the profile does not reach is the limit, 0
            for a standard deviation, -1 or 1 for a correlation, and NaN says that a search did not arrive. A REML fit
            is refitted by maximum likelihood for it, which `attrs["note"]` of the table says. "boot": percentiles of
            `bootstrap(n, seed=seed, kind=kind)`, where a correlation counts in the refits that have one.
        parameters : all, "fixed", "random" (the others), or names.
        df : for Wald intervals of the fixed effects, "none" takes Normal quantiles, as lme4 does, "satterthwaite"
            those of t on Satterthwaite's degrees of freedom.
        n, seed, kind, progress : of the bootstrap, as in `bootstrap`.

        Raises FitError for arguments that it does not have, and for the profile or bootstrap of a MAP estimate.
        Source: Bates et al. (2015), section 5.1; Efron and Tibshirani (1993), chapter 13.
        """
        return confint(self, Intervals(method, level, parameters, df, Refits(n, seed, kind, progress)))

    def r2(self) -> pd.Series:
        """The share of the response's variance that the fixed effects explain (`marginal`), and that they and the group
        deviations explain (`conditional`).

        With slopes, a factor's variance is its mean over the rows; so is the residual's with precision weights.
        Source: Nakagawa and Schielzeth (2013), equations 29 and 30; Johnson (2014), equations 10 and 11.
        """
        return r2(self)

    def icc(self) -> pd.DataFrame:
        """Intraclass correlations: the share of each grouping factor, and of all of them in the row `(all)`.

        `adjusted`: of the variance that is not the fixed effects'; `conditional`: of all of it. With slopes, a factor's
        variance is its mean over the rows. Source: Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14,
        section 3.
        """
        return icc(self)

    def influence(self, group: str | None = None) -> Influence:
        """How the fixed effects change without each level of a grouping factor, the one with the most levels unless
        `group` names another; the variance parameters are held at their estimates.

        Exact linear algebra for every structure: from cross-products where levels are independent, by a low-rank update
        for each level where factors cross. Raises FitError where that would need too large matrices.
        """
        return influence(self, group)

    def principal_components(self) -> dict[str, pd.DataFrame]:
        """Principal components of each grouping factor's deviations, the largest first: `sd`, `share` of the variance,
        and loadings on the columns. A share of zero is a direction in which a singular fit has no variation.

        Source: lme4's `rePCA`; Bates, Kliegl, Vasishth and Baayen (2015), Parsimonious mixed models, arXiv 1506.04967.
        """
        terms = zip(self.model.design.random_effects, self.arrays.terms, strict=True)
        return {random.group: principal_components(random.names, own.factor) for random, own in terms}

    def tidy(self) -> pd.DataFrame:
        """One row for each parameter: `effect, group, term, estimate, std_error, df, statistic, p_value`; after the
        fixed effects the cutpoints and further parameters, with the effect `further` and their variable in a posterior
        as the group.
        """
        return tidy(self)

    def _effects(self, asked: EffectsAsked) -> pd.DataFrame:
        return estimated_effects(self, asked)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the estimate to a netCDF file that `hier.load_estimate` reads, with checksums of all that is in it: its
        numbers, how it codes data, and what predictions and their errors need, but no row of the data.

        Raises JobError where the file cannot be written, and for levels of a type that no file can keep.
        """
        return save_estimate(self, path)


def estimate(model: Specification, method: str | None = None, nagq: int = 1) -> Estimate:
    """What `Model.estimate` says."""
    return Estimate.of(fit(model, method, nagq))
