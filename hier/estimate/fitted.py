"""What a fit is: its numbers in the user's units, whatever the response, and the tables that follow from them alone.

Everything else that can be asked of a fit is a function of this record, and `Estimate` lists these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design.owned import Closed, closed, owned
from hier.estimate.printing import Table
from hier.estimate.satterthwaite import covariance_of_functions, standard_errors
from hier.estimate.tables import coef_table, labels, varcorr_table
from hier.kernel.algebra.scaling import magnitude
from hier.kernel.search.curvature import Curvature
from hier.model import Specification
from hier.model.specification import refuse_without_groups


def once[T](make: Callable[[Any], T]) -> Callable[[Any], T]:
    """A function of a fit that is computed when it is first asked for, and kept with the fit; its arrays are closed."""
    name = _kept_as(make)

    @functools.wraps(make)
    def kept(fit: Any) -> T:
        own = vars(fit)
        if name not in own:
            own[name] = closed(make(fit))
        return own[name]

    return kept


def keep(fit: Any, make: Callable[[Any], Any], value: Any) -> None:
    """Let a fit have the answer of a function made by `once`, as one that was read from a file."""
    vars(fit)[_kept_as(make)] = closed(value)


def _kept_as(make: Callable[[Any], Any]) -> str:
    return f"_{make.__module__}.{make.__qualname__}"  # not among the attributes that a misspelt one is compared with


class TermArrays(NamedTuple):
    """What is estimated of one grouping factor, in the user's units; `q` columns, `J` levels."""

    factor: np.ndarray  # (q, q) lower triangular, factor @ factor.T is the deviations' covariance
    deviations: np.ndarray  # (J, q) conditional modes

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the deviations (q, q)."""
        return self.factor @ self.factor.T

    @property
    def sized(self) -> tuple[np.ndarray, np.ndarray]:
        """Covariance of the deviations (q, q), each over its size (q,), and these: 1 unless squares are no numbers."""
        size = magnitude(np.abs(self.factor).max(axis=1))
        own = self.factor / size[:, None]
        return own @ own.T, size


class Arrays(NamedTuple):
    """The estimates as arrays, in the user's units; `p` fixed effects, `terms` in the design's order.

    `basis_vcov`: the covariance of the fixed effects in a basis in which none is large beside the others, those of the
    user being `basis` times these. `curvature` is that of the objective in the m parameters of the search, in which
    `vcov_jacobian` (p, p, m) differentiates `basis_vcov`, None where tests have infinitely many degrees of freedom;
    `search` (m,) are their values, in the kernel's units.
    `unknown` (p,): fixed effects of which nothing is known, since the likelihood is flat along them.
    """

    beta: np.ndarray  # (p,)
    basis: np.ndarray  # (p, p)
    basis_vcov: np.ndarray  # (p, p)
    vcov_jacobian: np.ndarray | None  # (p, p, m)
    curvature: Curvature
    search: np.ndarray  # (m,)
    unknown: np.ndarray  # (p,)
    terms: tuple[TermArrays, ...]

    @property
    def vcov(self) -> np.ndarray:
        """Covariance of the fixed effects (p, p)."""
        return covariance_of_functions(self.basis, self.basis_vcov)

    def standard_errors(self, rows: np.ndarray) -> np.ndarray:
        """Those of linear functions (k, p) of the fixed effects."""
        return standard_errors(rows, self.basis, self.basis_vcov)


class Further(NamedTuple):
    """What a response's distribution has beside its mean, in the user's units.

    `nagq`: points of the quadrature that stands for the likelihood's integral, 1 for Laplace's approximation, None
    where it is exact and all else is empty. `others`: coefficients (k,) of each further parameter, on the scale of its
    predictor. `cutpoints` (c,) of an ordered response. `covariance`: of all of these, in this order, and `with_fixed`
    (., p) with the fixed effects.
    """

    nagq: int | None = None
    others: tuple[np.ndarray, ...] = ()
    cutpoints: np.ndarray = np.zeros(0)
    covariance: np.ndarray = np.zeros((0, 0))
    with_fixed: np.ndarray = np.zeros((0, 0))

    @property
    def sd(self) -> np.ndarray:
        """Standard errors of all of these."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


@dataclass(frozen=True, repr=False)
class Fitted(Closed):
    """Point estimates of a hierarchical model: the fields that `Estimate` describes."""

    model: Specification = field(repr=False)
    method: str
    objective: float
    loglik: float
    n_parameters: int
    aic: float
    bic: float
    nobs: int
    df_resid: int
    converged: bool
    is_singular: bool
    message: str
    sigma: float
    arrays: Arrays = field(repr=False)
    further: Further = field(default=closed(Further()), repr=False)

    @property
    def nagq(self) -> int | None:
        """The points of the quadrature that stands for the likelihood's integral, 1 for Laplace's approximation; None
        where it is exact.
        """
        return self.further.nagq

    @property
    def aicc(self) -> float:
        """AIC with its correction for few rows. Source: Hurvich and Tsai (1989), Biometrika 76, 297."""
        k = self.n_parameters
        return self.aic + 2.0 * k * (k + 1) / (self.nobs - k - 1) if self.nobs > k + 1 else np.inf

    @property
    def size(self) -> float:
        """The unit in which squares of the response are numbers: 1 unless it is very large or small."""
        return float(magnitude(np.float64(self.sigma)))

    @owned
    def fixef(self) -> pd.Series:
        """Fixed effects, by column."""
        return pd.Series(self.arrays.beta, index=labels(self.model.design.names), name="estimate")

    @owned
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed effects."""
        names = labels(self.model.design.names)
        return Table(self.arrays.vcov, index=names, columns=names)

    @owned
    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances (`vcov`), standard deviations and correlations (`sdcor`) of the deviations, on the
        scale of the linear predictor; the last row is the residual's, where the response has one residual standard
        deviation.
        """
        terms = zip(self.model.design.random_effects, self.arrays.terms, strict=True)
        # lme4's order: the factor with the most levels first
        ordered = sorted(terms, key=lambda pair: -pair[0].n_levels)
        groups = [(random.group, random.names, random.blocks, *own.sized) for random, own in ordered]
        return varcorr_table(groups, self.sigma if self.has_sigma else None)

    @property
    def has_sigma(self) -> bool:
        """Whether the response has one residual standard deviation."""
        return any(own.name == "sigma" and not own.has_formula for own in self.model.design.parameters)

    @owned
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Conditional modes of the group deviations: by grouping factor, levels x columns."""
        return self.by_level([own.deviations for own in self.arrays.terms])

    @owned
    def coef(self) -> dict[str, pd.DataFrame]:
        """Each level's own coefficients: the fixed effects plus the level's deviations."""
        return {group: coef_table(self.fixef, table) for group, table in self.ranef.items()}

    @owned
    def cutpoints(self) -> pd.DataFrame:
        """The cutpoints of an ordered response between neighbouring categories: columns `estimate, std_error`, rows
        such as `1|2`; empty for other responses. P(y <= k) = F(cutpoint_k - linear predictor).
        """
        count = len(self.further.cutpoints)
        sd = self.further.sd
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

    @functools.cached_property
    def eta(self) -> np.ndarray:
        """The linear predictor (n,) of the mean in the fit's rows, the deviations at their conditional modes."""
        design, arrays = self.model.design, self.arrays
        values = design.X @ arrays.beta
        for random, own in zip(design.random_effects, arrays.terms, strict=True):
            values = values + np.einsum("ij,ij->i", random.Z, own.deviations[random.codes])
        return closed(values if design.offset is None else values + design.offset)

    @property
    def others(self) -> tuple[np.ndarray, ...]:
        """Coefficients (k,) of each further parameter of the response's distribution, on the scale of its predictor: of
        a Normal response the logarithm of sigma.
        """
        return self.further.others or ((np.log([self.sigma]),) if self.nagq is None else ())

    def predictors(self) -> list[np.ndarray]:
        """The linear predictor (n,) of each parameter in the fit's rows, that of the mean first."""
        both = zip(self.model.design.parameters, self.others, strict=True)
        return [self.eta, *(own.predictor(coefficients) for own, coefficients in both)]

    def by_level(self, values: list[np.ndarray]) -> dict[str, pd.DataFrame]:
        """Arrays (J, q), one for each grouping factor, as tables of levels x columns. Raises ModelError where there is
        none.
        """
        refuse_without_groups("`ranef`", self.model.formula, self.model.design.random_effects)
        return {
            random.group: Table(own, index=random.levels.rename(random.group), columns=list(random.names))
            for random, own in zip(self.model.design.random_effects, values, strict=True)
        }
