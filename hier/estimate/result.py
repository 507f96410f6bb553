"""The result of a point estimate: numbers once, tables when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.estimate.satterthwaite import degrees_of_freedom, t_tests
from hier.estimate.summary import summarise
from hier.estimate.tables import coef_table, varcorr_table
from hier.model import Model


class TermArrays(NamedTuple):
    """What is estimated of one grouping factor, in the user's units; `q` columns, `J` levels."""

    factor: np.ndarray  # (q, q) lower triangular, factor @ factor.T is the deviations' covariance
    deviations: np.ndarray  # (J, q) conditional modes
    deviations_cov: np.ndarray  # (J, q, q)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the deviations (q, q)."""
        return self.factor @ self.factor.T


class Arrays(NamedTuple):
    """The estimates as arrays, in the user's units; `p` fixed effects, `terms` in the design's order.

    `variance_cov` (m, m) is the asymptotic covariance of the variance parameters in which `vcov_jacobian` (p, p, m)
    differentiates `vcov`.
    """

    beta: np.ndarray  # (p,)
    vcov: np.ndarray  # (p, p)
    vcov_jacobian: np.ndarray  # (p, p, m)
    variance_cov: np.ndarray  # (m, m)
    terms: tuple[TermArrays, ...]


@dataclass(frozen=True)
class Estimate:
    """Point estimates of a hierarchical model.

    `method`: "reml", "ml" or "map". `objective`: the REML criterion, -2 log-likelihood, or -2 log posterior density.
    `loglik`: the restricted log-likelihood for REML, otherwise the log-likelihood. `aic`, `bic`: from it, as lme4 has
    them. `nobs`, `df_resid`:
    rows, and rows less parameters. `converged`, `message`: how the search ended. `is_singular`: a variance of some
    combination of the deviations is estimated as zero. `sigma`: residual standard deviation.
    """

    model: Model = field(repr=False)
    method: str
    objective: float
    loglik: float
    aic: float
    bic: float
    nobs: int
    df_resid: int
    converged: bool
    is_singular: bool
    message: str
    sigma: float
    arrays: Arrays = field(repr=False)

    @cached_property
    def fixef(self) -> pd.Series:
        """Fixed effects, by column."""
        return pd.Series(self.arrays.beta, index=list(self.model.design.names), name="estimate")

    @cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed effects."""
        names = list(self.model.design.names)
        return pd.DataFrame(self.arrays.vcov, index=names, columns=names)

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """Fixed effects with standard errors and t-tests on Satterthwaite's degrees of freedom.

        Columns `estimate, std_error, df, statistic, p_value`; the p-values are two-sided.
        """
        arrays = self.arrays
        df = degrees_of_freedom(arrays.vcov, arrays.vcov_jacobian, arrays.variance_cov)
        std_error = np.sqrt(np.diag(arrays.vcov))
        statistic, p_value = t_tests(arrays.beta, std_error, df)
        return pd.DataFrame(
            {"estimate": arrays.beta, "std_error": std_error, "df": df, "statistic": statistic, "p_value": p_value},
            index=list(self.model.design.names),
        )

    @cached_property
    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances (`vcov`), standard deviations and correlations (`sdcor`); the last row is the
        residual's.
        """
        terms = zip(self.model.design.random_effects, self.arrays.terms, strict=True)
        # lme4's order: the factor with the most levels first
        ordered = sorted(terms, key=lambda pair: -pair[0].n_levels)
        groups = [(random.group, random.names, random.blocks, own.covariance) for random, own in ordered]
        return varcorr_table(groups, self.sigma**2)

    @cached_property
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Conditional modes of the group deviations: by grouping factor, levels x columns."""
        return self._by_level([own.deviations for own in self.arrays.terms])

    @cached_property
    def ranef_se(self) -> dict[str, pd.DataFrame]:
        """Conditional standard deviations of the group deviations, given the estimates of the other parameters.

        Source: Bates et al. (2015), equation 58; what lme4's `ranef(condVar = TRUE)` gives.
        """
        return self._by_level([np.sqrt(np.einsum("jkk->jk", own.deviations_cov)) for own in self.arrays.terms])

    @cached_property
    def coef(self) -> dict[str, pd.DataFrame]:
        """Each level's own coefficients: the fixed effects plus the level's deviations."""
        return {group: coef_table(self.fixef, table) for group, table in self.ranef.items()}

    @cached_property
    def fitted(self) -> pd.Series:
        """Fitted values, the deviations at their conditional modes, on the data's index."""
        design, arrays = self.model.design, self.arrays
        values = design.X @ arrays.beta
        for random, own in zip(design.random_effects, arrays.terms, strict=True):
            values = values + np.einsum("ij,ij->i", random.Z, own.deviations[random.codes])
        return pd.Series(values if design.offset is None else values + design.offset, index=design.index, name="fitted")

    @cached_property
    def residuals(self) -> pd.Series:
        """Response less fitted value, on the data's index."""
        return pd.Series(self.model.design.y, index=self.model.design.index, name="residual") - self.fitted

    def summary(self) -> str:
        """The block that lme4 and lmerTest print."""
        return summarise(self)

    def tidy(self) -> pd.DataFrame:
        """One row a parameter: `effect, group, term, estimate, std_error, df, statistic, p_value`."""
        fixed = self.coefficients.rename_axis("term").reset_index().assign(effect="fixed", group=None)
        table = self.varcorr
        label = ["sd" if b is None else "cor" for b in table["term2"]]
        pairs = zip(label, table["term1"], table["term2"], strict=True)
        terms = [f"{kind}__{a or 'Observation'}" + (f".{b}" if b else "") for kind, a, b in pairs]
        random = pd.DataFrame(
            {"effect": "ran_pars", "group": table["group"], "term": terms, "estimate": table["sdcor"]}
        )
        columns = ["effect", "group", "term", "estimate", "std_error", "df", "statistic", "p_value"]
        return pd.DataFrame([*fixed.to_dict("records"), *random.to_dict("records")], columns=columns)

    def _by_level(self, values: list[np.ndarray]) -> dict[str, pd.DataFrame]:
        return {
            random.group: pd.DataFrame(own, index=random.levels.rename(random.group), columns=list(random.names))
            for random, own in zip(self.model.design.random_effects, values, strict=True)
        }
