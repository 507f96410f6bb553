"""The result of a point estimate of a model that is not Normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from hier.design.owned import closed, owned
from hier.errors import FitError
from hier.estimate.approximations import find_approximation
from hier.estimate.generalised_setup import set_up
from hier.estimate.mixed_model_equations import Solved
from hier.estimate.predict import Random, check_choice, predictor_of_rows
from hier.estimate.printing import Table
from hier.estimate.result import Estimate
from hier.estimate.tables import varcorr_table
from hier.kernel.algebra.scaling import Units
from hier.kernel.laplace.conditional import LEAST_CURVATURE
from hier.kernel.laplace.likelihood import natural, of_rows, probabilities_of_rows
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.laplace.point_fit_rows import expansion_at, slopes_at
from hier.kernel.normal.prediction_errors import prediction_errors


class Further(NamedTuple):
    """What a response that is not Normal has beside fixed effects and deviations, in the user's units.

    `nagq`: quadrature points. `others`: coefficients (k,) of each further parameter, on the scale of its predictor.
    `cutpoints` (c,) of an ordered response. `covariance`: of all of these, in this order, and `with_fixed` (., p) with
    the fixed effects. `eta` (n,): the linear predictor of the mean, the deviations at their modes.
    """

    nagq: int
    others: tuple[np.ndarray, ...]
    cutpoints: np.ndarray
    covariance: np.ndarray
    with_fixed: np.ndarray
    eta: np.ndarray


@dataclass(frozen=True, repr=False)
class GeneralisedEstimate(Estimate):
    """Point estimates of a hierarchical model whose response is not Normal around its linear predictor.

    As `Estimate`, with z-tests in place of t-tests, `family_parameters` and `cutpoints`. `loglik` is the
    log-likelihood with all constants, by Laplace's approximation or, with `nagq` points, by adaptive Gauss-Hermite
    quadrature. `fitted` are expected responses.
    """

    further: Further = field(kw_only=True, repr=False)

    @property
    def nagq(self) -> int:
        """The points of the quadrature; 1 is Laplace's approximation."""
        return self.further.nagq

    @owned
    def family_parameters(self) -> pd.DataFrame:
        """The further parameters of the response's distribution: columns `estimate, std_error`, a row each.

        A parameter without a formula stands under its name and on its own scale (`shape`, `phi`, `sigma`, ...); with
        one, its coefficients on the scale of its predictor (`sigma_Intercept`, `sigma_x`).
        """
        sd = np.sqrt(np.maximum(np.diag(self.further.covariance), 0.0))
        rows: dict[str, tuple[float, float]] = {}
        links, at = self.model.likelihood.links[1:], 0
        for own, coefficients, link in zip(self.model.design.parameters, self.further.others, links, strict=True):
            se = sd[at : at + len(coefficients)]
            at += len(coefficients)
            if own.has_formula:
                rows |= dict(zip(own.keys(), zip(coefficients, se, strict=True), strict=True))
            else:
                value, slope = natural(link, coefficients)
                rows[own.name] = (float(value[0]), float(se[0] * abs(slope[0])))
        return Table(pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "std_error"], dtype=float))

    @owned
    def cutpoints(self) -> pd.DataFrame:
        """The cutpoints of an ordered response between neighbouring categories: columns `estimate, std_error`, rows
        such as `1|2`; empty for other responses. P(y <= k) = F(cutpoint_k - linear predictor).
        """
        count = len(self.further.cutpoints)
        sd = np.sqrt(np.maximum(np.diag(self.further.covariance), 0.0))
        return Table(
            {"estimate": self.further.cutpoints, "std_error": sd[len(sd) - count :]},
            index=list(self.model.design.cutpoint_names),
        )

    @property
    def mean_cutpoint(self) -> tuple[float, float, np.ndarray]:
        """The mean of the cutpoints, its variance, and its covariances (p,) with the fixed effects."""
        own = slice(len(self.further.covariance) - len(self.further.cutpoints), None)
        variance = float(self.further.covariance[own, own].mean())
        return float(self.further.cutpoints.mean()), variance, self.further.with_fixed[own].mean(axis=0)

    @owned
    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances (`vcov`), standard deviations and correlations (`sdcor`) of the deviations, on the
        scale of the linear predictor; a residual row only where the response has one residual standard deviation.
        """
        terms = zip(self.model.design.random_effects, self.arrays.terms, strict=True)
        ordered = sorted(terms, key=lambda pair: -pair[0].n_levels)
        groups = [(random.group, random.names, random.blocks, *own.sized) for random, own in ordered]
        return varcorr_table(groups, self.sigma if "sigma" in self.family_parameters.index else None)

    @owned
    def linear_predictor(self) -> pd.Series:
        """The linear predictor of the mean, the deviations at their conditional modes, on the data's index."""
        return pd.Series(self.further.eta, index=self.model.design.index, name="linear predictor")

    @property
    def dispersion(self) -> float:
        """The curvature of a log density knows of no further scale."""
        return 1.0

    @cached_property
    def working_rows(self) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        """The response of the weighted least squares that the fit is near its optimum, the linear predictor plus slope
        over curvature of each row's log density, and the curvatures as its weights.

        Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.5.
        """
        problem, approximation = set_up(self.model, self.method, self.nagq)
        unit = problem.units.y
        score, weights = slopes_at(self.arrays.search, self.further.eta / unit, problem, approximation)
        weights = np.maximum(weights, LEAST_CURVATURE)
        return closed((self.further.eta + unit * score / weights, weights / unit**2))

    @cached_property
    def solved(self) -> Solved:
        """The mixed model equations of the weighted Normal model that the fit is near its optimum."""
        problem, approximation = set_up(self.model, self.method, self.nagq)
        basis, _, random, y = problem.units
        cross = expansion_at(self.arrays.search, self.further.eta / y, problem, approximation)
        units = Units(np.zeros(len(basis)), basis, random, y, np.log(np.diag(basis)).sum())
        terms = [self.arrays.terms[k] for k in self.model.structure.order]
        factors = [own.kernel_factor(term.factor, y) for term, own in zip(terms, random, strict=True)]
        return Solved(cross, units, prediction_errors(factors, cross), self.model.structure.order, float(y))

    def predictors(self) -> list[np.ndarray]:
        """The linear predictor (n,) of each parameter in the fit's rows, that of the mean first."""
        found = [self.further.eta]
        for own, coefficients in zip(self.model.design.parameters, self.further.others, strict=True):
            found.append(own.predictor(coefficients))
        return found

    @owned
    def fitted(self) -> pd.Series:
        """Expected responses, the deviations at their conditional modes, on the data's index: probabilities of a
        bernoulli response, expected shares of successes of a binomial one, means of an ordered one's labels, or where
        they are no numbers of their places 1, 2, ...
        """
        return pd.Series(expected(self, self.predictors()), index=self.model.design.index, name="fitted")

    def expected_response(self, eta: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Expected responses (..., n) of some rows of the fit from the linear predictor of their mean (..., n), each
        with its own further parameters; the predictor itself for a family that does not say what its mean is.
        """
        if self.model.family.mean is None and not self.model.family.has_cutpoints:
            return eta
        eta = predictor_of_rows(self, eta, rows)
        others = [np.broadcast_to(own[rows], eta.shape).ravel() for own in self.predictors()[1:]]
        return expected(self, [eta.ravel(), *others]).reshape(eta.shape)

    @owned
    def residuals(self) -> pd.Series:
        """Response less fitted value, on the data's index, on the scale of `fitted`."""
        design = self.model.design
        return pd.Series(design.observed, index=design.index, name="residual") - self.fitted

    def tidy(self) -> pd.DataFrame:
        """One row a parameter, as `Estimate.tidy`; after the fixed effects the cutpoints and further parameters, with
        the effect `further` and their variable in a posterior as the group.
        """
        table = super().tidy()
        rows = [("cutpoints", term, *values) for term, *values in self.cutpoints.itertuples()]
        by_name = self.family_parameters
        for own in self.model.design.parameters:
            variable = f"beta_{own.name}" if own.has_formula else own.name
            keys = [key for key in (*own.keys(),) if key != "sigma"]  # which is the residual's row
            rows += [(variable, key, *by_name.loc[key]) for key in keys]
        further = [
            {"effect": "further", "group": group, "term": term, "estimate": value, "std_error": se}
            for group, term, value, se in rows
        ]
        at = int((table["effect"] == "fixed").sum())
        records = table.to_dict("records")
        return Table([*records[:at], *further, *records[at:]], columns=table.columns)

    def summary(self, ddf: str = "satterthwaite") -> str:
        """The block that lme4 prints of a generalised model, with z-tests, which are what `ddf` leads to."""
        find_approximation(self, ddf)
        from hier.estimate.generalised_summary import summarise

        return summarise(self)

    def predict(  # type: ignore[override]
        self,
        data: Any = None,
        *,
        kind: str = "response",
        type: str | None = None,
        random: Random = "all",
        new_levels: str = "error",
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        weights: Any = None,
    ) -> pd.Series | pd.DataFrame:
        """Expected responses of the fit's rows, or of another table's, on the scale of `fitted`; with `kind="link"`
        linear predictors, with `kind="probabilities"` those of an ordered response's categories, a column each.

        `type` is `kind` by the name that it has in R. `random`, `new_levels`, `se` and `level` as in
        `Estimate.predict`. `interval`: "confidence" or None. Standard errors are those of the linear predictor, all
        random effects included, and of the response by the delta method; the limits of intervals are those of the
        predictor taken through the link. `weights` are for the prediction interval of a Normal response, and refused.
        Raises FitError and DataError.
        """
        if weights is not None:
            self._refuse("the prediction interval, to which `weights` belong,", "leave `weights` out")
        from hier.estimate.generalised_predict import predict

        return predict(self, data, kind if type is None else type, random, new_levels, se, interval, level)

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
        """Wald intervals from the full Hessian: columns `lower, upper`, a row each for the fixed effects, the cutpoints
        and further parameters, `sd_GROUP[column]` and `cor_GROUP[column,column]`.

        Of a positive parameter on the log scale, of a share on the logit scale, of a correlation on Fisher's z scale;
        NaN for what is estimated at its limit. `parameters`: all, "fixed", "random" (the others), or names. There are
        no degrees of freedom for `df`, and no bootstrap yet for `n`, `seed`, `kind` and `progress`.
        Raises FitError for another method, and for a name that is not there.
        """
        from hier.estimate.generalised_intervals import confint

        check_choice("df", df, ("none",))
        return confint(self, method, level, parameters)

    @property
    def kenward_roger(self) -> Any:
        """Not there: its theory is that of Normal responses."""
        self._refuse("Kenward and Roger's adjustment", "tests() gives z-tests")

    def ranova(self) -> pd.DataFrame:
        """Not there yet."""
        self._refuse("ranova()", "compare two fits by anova(), whose p-value for a variance of zero is too large")

    def r2(self) -> pd.Series:
        """Not there yet."""
        self._refuse("r2()")

    def icc(self) -> pd.DataFrame:
        """Not there yet."""
        self._refuse("icc()")

    def influence(self, group: str | None = None) -> Any:
        """Not there yet."""
        self._refuse("influence()")

    def bootstrap(self, *args: Any, **kwargs: Any) -> Any:
        """Not there yet."""
        self._refuse("bootstrap()", "simulate() draws responses, which Model fits anew")

    def _refuse(self, what: str, hint: str | None = None) -> NoReturn:
        raise FitError(
            f"{what} is for Normal responses with one residual variance",
            found=f"the family `{self.model.family.name}` with the {self.model.link} link",
            hint=hint,
        )

    def simulate(self, n: int = 1, *, seed: int = 0, conditional: bool = False) -> pd.DataFrame:
        """Responses simulated from the fit by its family: a column a simulation, `sim_1` to `sim_n`.

        They are what the response is in the user's table, and can be fitted in its place: labels of categories, counts
        of successes, or where the response is proportions with their trials as weights, proportions. Of `y / n` they
        stand in the place of `y`. Every group gets new deviations, or with `conditional` keeps its conditional modes.
        """
        from hier.estimate.generalised_predict import simulate

        return simulate(self, n, seed, conditional)


def expected(estimate: GeneralisedEstimate, predictors: list[np.ndarray]) -> np.ndarray:
    """Expected responses (n,) from the linear predictor (n,) of each parameter; shares where there are trials."""
    return expected_with_slope(estimate, predictors)[0]


def expected_with_slope(estimate: GeneralisedEstimate, predictors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Expected responses (n,), and their derivatives in the linear predictor of the mean (n,).

    Raises FitError for a family that does not say what its mean is.
    """
    model = estimate.model
    if model.family.has_cutpoints:
        probabilities, slopes = probabilities_with_slope(estimate, predictors)
        values = model.design.category_values
        return probabilities @ values, slopes @ values
    if model.family.mean is None:
        raise FitError(
            f"the family `{model.family.name}` does not say what its mean is", hint="register it with a function `mean`"
        )
    return of_rows(model.family.mean, model.likelihood, _one_trial(estimate, predictors), predictors)


def probabilities_with_slope(
    estimate: GeneralisedEstimate, predictors: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of an ordered response's categories (n, K), and their derivatives in the linear predictor."""
    return probabilities_of_rows(estimate.model.likelihood, _one_trial(estimate, predictors), predictors)


def _one_trial(estimate: GeneralisedEstimate, predictors: list[np.ndarray]) -> Observed:
    """Rows of one trial each, so that a count of successes is a share."""
    ones = np.ones(len(predictors[0]))
    return Observed(ones, ones, estimate.further.cutpoints)
