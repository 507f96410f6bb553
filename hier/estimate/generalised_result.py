"""The result of a point estimate of a model that is not Normal."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.result import Estimate
from hier.estimate.tables import varcorr_table
from hier.kernel.densities import Observed
from hier.kernel.likelihood import natural, of_rows


class Further(NamedTuple):
    """What a response that is not Normal has beside fixed effects and deviations, in the user's units.

    `nagq`: quadrature points. `others`: coefficients (k,) of each further parameter, on the scale of its predictor.
    `cutpoints` (c,) of an ordered response. `covariance`: of all of these, in this order. `eta` (n,): the linear
    predictor of the mean, the deviations at their modes.
    """

    nagq: int
    others: tuple[np.ndarray, ...]
    cutpoints: np.ndarray
    covariance: np.ndarray
    eta: np.ndarray


@dataclass(frozen=True)
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

    @cached_property
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
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "std_error"], dtype=float)

    @cached_property
    def cutpoints(self) -> pd.DataFrame:
        """The cutpoints of an ordered response between neighbouring categories: columns `estimate, std_error`, rows
        such as `1|2`; empty for other responses. P(y <= k) = F(cutpoint_k - linear predictor).
        """
        count = len(self.further.cutpoints)
        sd = np.sqrt(np.maximum(np.diag(self.further.covariance), 0.0))
        labels = [] if count == 0 else list(map(str, self.model.design.categories))  # type: ignore[arg-type]
        return pd.DataFrame(
            {"estimate": self.further.cutpoints, "std_error": sd[len(sd) - count :]},
            index=[f"{a}|{b}" for a, b in itertools.pairwise(labels)],
        )

    @cached_property
    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances (`vcov`), standard deviations and correlations (`sdcor`) of the deviations, on the
        scale of the linear predictor; a residual row only where the response has one residual standard deviation.
        """
        terms = zip(self.model.design.random_effects, self.arrays.terms, strict=True)
        ordered = sorted(terms, key=lambda pair: -pair[0].n_levels)
        groups = [(random.group, random.names, random.blocks, own.covariance) for random, own in ordered]
        return varcorr_table(groups, self.sigma**2 if "sigma" in self.family_parameters.index else None)

    @cached_property
    def linear_predictor(self) -> pd.Series:
        """The linear predictor of the mean, the deviations at their conditional modes, on the data's index."""
        return pd.Series(self.further.eta, index=self.model.design.index, name="linear predictor")

    def predictors(self) -> list[np.ndarray]:
        """The linear predictor (n,) of each parameter in the fit's rows, that of the mean first."""
        found = [self.further.eta]
        for own, coefficients in zip(self.model.design.parameters, self.further.others, strict=True):
            found.append(own.X @ coefficients + (0.0 if own.offset is None else own.offset))
        return found

    @cached_property
    def fitted(self) -> pd.Series:
        """Expected responses, the deviations at their conditional modes, on the data's index: probabilities of a
        bernoulli response, expected shares of successes of a binomial one.
        """
        family, design = self.model.family, self.model.design
        if family.mean is None:
            raise FitError(
                f"the family `{family.name}` does not say what its mean is", hint="register it with a function `mean`"
            )
        trials = np.ones(design.nobs) if design.trials is None else design.trials
        observed = Observed(design.y, trials, self.further.cutpoints)
        values = of_rows(family.mean, self.model.likelihood, observed, self.predictors())
        return pd.Series(values / trials, index=design.index, name="fitted")

    @cached_property
    def residuals(self) -> pd.Series:
        """Response less fitted value, on the data's index; shares of successes where there are trials."""
        design = self.model.design
        y = design.y if design.trials is None else design.y / design.trials
        return pd.Series(y, index=design.index, name="residual") - self.fitted

    def summary(self, ddf: str = "none") -> str:
        """The block that lme4 prints of a generalised model, with z-tests."""
        from hier.estimate.generalised_summary import summarise

        return summarise(self)
