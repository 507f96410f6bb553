"""Satterthwaite's approximate degrees of freedom of tests of the fixed effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hier.kernel.algebra.scaling import magnitude
from hier.kernel.search.curvature import Curvature

SAME = 1e-8  # degrees of freedom that differ by less are one number
VANISHING = float(np.sqrt(np.finfo(float).eps))  # of the largest variance: below it a combination is none of its own


class FTest(NamedTuple):
    """An F-test: `statistic` on `num_df` and `den_df` degrees of freedom; `scale`: what the mean of squared t values
    was multiplied by to give it.
    """

    statistic: float
    num_df: int
    den_df: float
    scale: float

    @property
    def p_value(self) -> float:
        from scipy.special import fdtrc

        if self.num_df == 0 or not np.isfinite(self.statistic):
            return np.nan
        if np.isinf(self.den_df):
            from scipy.special import chdtrc

            return float(chdtrc(self.num_df, self.num_df * self.statistic))
        return float(fdtrc(self.num_df, self.den_df, self.statistic))


NO_TEST = FTest(np.nan, 0, np.nan, 1.0)


def in_basis(rows: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear functions (k, p) of the fixed effects as functions of those in a basis, each over its size (k,): 1 unless
    it is so large or small that its variance is no number.

    Far from the origin of a covariate the user's effects have large variances that nearly cancel in a function there;
    those in a basis of centred columns have not.
    """
    own = rows @ basis
    size = magnitude(np.abs(own).max(axis=1, initial=0.0))
    return own / size[:, None], size


def standard_errors(rows: np.ndarray, basis: np.ndarray, vcov: np.ndarray) -> np.ndarray:
    """Standard errors (k,) of linear functions (k, p) of fixed effects whose covariance in the basis is `vcov`."""
    own, size = in_basis(rows, basis)
    return size * np.sqrt(np.maximum(np.einsum("ki,ij,kj->k", own, vcov, own), 0.0))


def covariance_of_functions(rows: np.ndarray, vcov: np.ndarray) -> np.ndarray:
    """The covariance (k, k) of linear functions (k, p) of what has the covariance `vcov` (p, p); what is no number is
    infinite or zero.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return rows @ vcov @ rows.T


@dataclass(frozen=True)
class Satterthwaite:
    """Tests of linear functions of the fixed effects, their variances matched by multiples of chi-squared ones.

    `basis_vcov` (p, p): the covariance of the fixed effects in a `basis` (p, p), those of the user being `basis` times
    these; `jacobian` (p, p, m) its derivative in the m variance parameters, None where tests are by the Normal
    distribution, with infinitely many degrees of freedom; `curvature` that of the objective in these.
    """

    basis: np.ndarray = field(repr=False)
    basis_vcov: np.ndarray = field(repr=False)
    jacobian: np.ndarray | None = field(repr=False)
    curvature: Curvature = field(repr=False)

    def df(self, rows: np.ndarray) -> np.ndarray:
        """Degrees of freedom of the t-test of each row (k, p): a variance f with gradient g has 2 f^2 / (g' A g). NaN
        where the variance depends on what the data do not determine.

        Source: Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 2.3.
        """
        rows, _ = in_basis(rows, self.basis)
        return self._df(rows)

    def _df(self, rows: np.ndarray) -> np.ndarray:
        """The same of functions in the basis."""
        variance = np.einsum("ki,ij,kj->k", rows, self.basis_vcov, rows)
        if self.jacobian is None:
            return np.where(variance > 0.0, np.inf, np.nan)
        gradient = np.einsum("ki,ijm,kj->km", rows, self.jacobian, rows)
        spread = np.einsum("km,mn,kn->k", gradient, self.curvature.covariance, gradient)
        # a variance that is known exactly has infinitely many, and one of zero none
        with np.errstate(divide="ignore", invalid="ignore"):
            df = 2.0 * variance**2 / spread
        changes = np.abs(gradient * self.curvature.scale).max(axis=1, initial=0.0) > SAME * variance
        return np.where(changes & self.curvature.moves(gradient), np.nan, df)

    def f_test(self, rows: np.ndarray, values: np.ndarray) -> FTest:
        """The F-test that all rows (k, p) of linear functions, estimated as `values` (k,), are zero.

        The functions are turned to uncorrelated ones, whose squared t statistics on nu_m degrees of freedom have the
        means nu_m / (nu_m - 2); F takes the degrees of freedom that give the mean of their average.
        Source: Fai and Cornelius (1996), J. Stat. Comput. Simul. 54, 363; Kuznetsova et al. (2017), section 2.3.
        """
        rows, size = in_basis(rows, self.basis)
        rows, values, variances = uncorrelated(rows, values / size, self.basis_vcov)
        count = len(rows)
        if count == 0:
            return NO_TEST
        statistic = float(np.mean(values**2 / variances))
        return FTest(statistic, count, _pooled(self._df(rows)), 1.0)


def _pooled(df: np.ndarray) -> float:
    """Denominator degrees of freedom from those of uncorrelated t-tests."""
    if len(df) == 1:
        return float(df[0])
    if np.isinf(df).all():
        return np.inf
    if (np.abs(np.diff(df)) < SAME).all():
        return float(df.mean())
    if (df <= 2.0).any():
        return 2.0
    excess = float((2.0 / (df - 2.0)).sum())  # the sum of nu / (nu - 2), less their number
    return 2.0 * (excess + len(df)) / excess


def uncorrelated(rows: np.ndarray, values: np.ndarray, vcov: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uncorrelated linear functions that span the same as `rows` (k, p), as many as are independent.

    Returns them (r, p), their `values` (r,) and their variances (r,).
    """
    covariance = rows @ vcov @ rows.T
    variances, turn = np.linalg.eigh(covariance)
    kept = variances > VANISHING * max(variances.max(initial=0.0), 0.0)
    if not kept.all():  # some may be small only because of their units
        sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        sd[sd == 0.0] = 1.0
        in_own, own_turn = np.linalg.eigh(covariance / np.outer(sd, sd))
        independent = in_own > VANISHING * in_own.max()
        if independent.sum() > kept.sum():
            variances, turn, kept = in_own, own_turn / sd[:, None], independent
    return turn.T[kept] @ rows, turn.T[kept] @ values, variances[kept]


def t_tests(estimate: np.ndarray, std_error: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t statistics and their two-sided p-values."""
    from scipy.special import stdtr

    with np.errstate(invalid="ignore", divide="ignore"):  # what has no variance has no test
        statistic = estimate / std_error
    return statistic, 2.0 * stdtr(df, -np.abs(statistic))
