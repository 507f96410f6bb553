"""Kenward and Roger's tests of the fixed effects: their covariance adjusted for the variances being estimated, and
degrees of freedom and a scale that match the moments of F.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hier.design.owned import Closed
from hier.errors import FitError
from hier.estimate.fitted import Fitted, once
from hier.estimate.routes import refuse_unless_offered
from hier.estimate.satterthwaite import NO_TEST, FTest, covariance_of_functions, in_basis, uncorrelated
from hier.kernel.normal.linear import LinearExpansion, expand_linearly
from hier.model.problem import likelihood_problem

UNKNOWN = 1e-10  # of the largest information: a direction of the variances with less is left out
ZERO = 1e-10
NEAR = 1e-2


@dataclass(frozen=True)
class KenwardRoger(Closed):
    """Tests of linear functions of the fixed effects, their covariance adjusted for small samples.

    In a `basis` (p, p), the user's fixed effects being `basis` times those in it: `basis_vcov` (p, p), the adjusted
    covariance; `asymptotic` (p, p), what it adjusts; `jacobian` (p, p, m), the derivative of that in the variances and
    covariances. `variance_cov` (m, m): their covariance by the expected information.
    """

    basis: np.ndarray = field(repr=False)
    basis_vcov: np.ndarray = field(repr=False)
    asymptotic: np.ndarray = field(repr=False)
    jacobian: np.ndarray = field(repr=False)
    variance_cov: np.ndarray = field(repr=False)

    @property
    def vcov(self) -> np.ndarray:
        """The adjusted covariance (p, p) of the fixed effects."""
        return covariance_of_functions(self.basis, self.basis_vcov)

    def df(self, rows: np.ndarray) -> np.ndarray:
        """Degrees of freedom of the t-test of each row (k, p); infinite where the variance is known exactly."""
        return self._df(in_basis(rows, self.basis)[0])

    def _df(self, rows: np.ndarray) -> np.ndarray:
        """The same of functions in the basis."""
        return np.array([self._moments(row[None])[0] for row in rows])

    def f_test(self, rows: np.ndarray, values: np.ndarray) -> FTest:
        """The F-test that all rows (k, p) of linear functions, estimated as `values` (k,), are zero.

        Source: Kenward and Roger (1997), section 3; Halekoh and Hojsgaard (2014), J. Stat. Softw. 59(9), section 4.
        """
        rows, size = in_basis(rows, self.basis)
        rows, values, variances = uncorrelated(rows, values / size, self.basis_vcov)
        if len(rows) == 0:
            return NO_TEST
        den_df, scale = self._moments(rows)
        return FTest(scale * float(np.mean(values**2 / variances)), len(rows), den_df, scale)

    def _moments(self, rows: np.ndarray) -> tuple[float, float]:
        """Denominator degrees of freedom and scale of F for independent rows (k, p) of functions in the basis.

        The names are those of Kenward and Roger (1997), section 3. The two quotients that are 0 / 0 in balanced designs
        are 1 there, and the statistic is then Hotelling's. With few levels the formulas ask for at most four degrees of
        freedom, where F has no variance; they are continued to there, as pbkrtest does.
        """
        k = len(rows)
        theta = rows.T @ np.linalg.solve(rows @ self.asymptotic @ rows.T, rows)
        pushed = np.einsum("ij,jkm->ikm", theta, self.jacobian)
        traces = np.einsum("iim->m", pushed)
        A1 = traces @ self.variance_cov @ traces
        A2 = float(np.einsum("ijm,jin,mn->", pushed, pushed, self.variance_cov))
        if A2 <= 0.0:
            return np.inf, 1.0
        if k == 1:  # what the formulas below come to, without their pole where F stops having a variance
            return 2.0 / A2, 1.0
        B = (A1 + 6.0 * A2) / (2.0 * k)
        g = ((k + 1) * A1 - (k + 4) * A2) / ((k + 2) * A2)
        divisor = 3 * k + 2.0 * (1.0 - g)
        c1, c2, c3 = g / divisor, (k - g) / divisor, (k + 2 - g) / divisor
        above, below = 1.0 + c1 * B, 1.0 - c3 * B
        ratio = _quotient(1.0 - A2 / k, 1.0 - c2 * B)
        excess = ratio**2 * (0.0 if abs(above) < ZERO else above) - below
        if below > 0.0 and excess <= 0.0:  # the variance of F is that of a chi-squared variable
            return np.inf, 1.0 - A2 / k
        # with `below` negative F has four degrees of freedom or fewer, and no variance; its moments' formulas go on
        df = 4.0 + (k + 2) * below / excess
        if abs(df - 2.0) < NEAR:  # where F stops having a mean, as pbkrtest has it
            return float(df), 1.0
        scale = df * (1.0 - A2 / k) / (df - 2.0)
        if df > 0.0 and scale > 0.0:
            return float(df), float(scale)
        # no F has such moments: the fewest degrees of freedom of a single row
        return float(self._df(rows).min()), 1.0


def _quotient(above: float, below: float) -> float:
    return 1.0 if abs(above) < ZERO and abs(below) < ZERO else above / below


@once
def kenward_roger(estimate: Fitted) -> KenwardRoger:
    """The adjusted covariance and degrees of freedom of a REML fit.

    The parameters are those in which the covariance of the response is linear: the variances and covariances. Where a
    structure ties them to each other (`cs` with several variances, `ar1`), the covariance is taken as linear around the
    estimate, which leaves the adjustment's second derivatives out; the result then does not depend on how the structure
    is parametrised.

    Raises FitError for a fit by another method than REML.
    Source: Kenward and Roger (1997), Biometrics 53, 983, equations 1 to 5; Halekoh and Hojsgaard (2014).
    """
    refuse_unless_offered(estimate, "Kenward and Roger's adjustment")
    if estimate.method != "reml":
        raise FitError(
            "Kenward and Roger's method needs a fit by REML",
            found=f'method="{estimate.method}"',
            hint='fit with estimate(), or use ddf="satterthwaite"',
        )
    model = estimate.model
    problem = likelihood_problem(model)
    found = expand_linearly(estimate.arrays.search[:-1], problem.cross, model.terms)
    asymptotic, adjustment, jacobian, variance_cov = adjusted(found)
    return KenwardRoger(
        basis=problem.units.basis * (estimate.sigma / float(problem.units.y)),
        basis_vcov=asymptotic + adjustment,
        asymptotic=asymptotic,
        jacobian=jacobian.transpose(1, 2, 0),
        variance_cov=variance_cov,
    )


def adjusted(found: LinearExpansion) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of the fixed effects over sigma^2 (p, p), what is added to it, its derivative (m, p, p) in the
    parameters, and their covariance W (m, m).

    With Phi the covariance, P_i = -X'V^-1 V_i V^-1 X and Q_ij = X'V^-1 V_i V^-1 V_j V^-1 X, what is added is
    2 Phi (sum W_ij (Q_ij - P_i Phi P_j)) Phi, and 2 W^-1 = tr(V^-1 V_i V^-1 V_j) - 2 tr(Phi Q_ij) +
    tr(Phi P_i Phi P_j).
    """
    Phi = np.linalg.inv(found.information)
    between = np.einsum("iab,bc,kcd->ikad", found.once, Phi, found.once)
    of_both = np.einsum("ab,ikba->ik", Phi, between)
    information = found.traces - 2.0 * np.einsum("ab,ikba->ik", Phi, found.twice) + of_both
    W = 2.0 * _inverse(information)
    inner = np.einsum("ik,ikab->ab", W, found.twice - between)
    return Phi, 2.0 * Phi @ inner @ Phi, Phi @ found.once @ Phi, W


def _inverse(information: np.ndarray) -> np.ndarray:
    """The inverse, in units in which the diagonal is 1; directions that the data say nothing of are left out."""
    diagonal = np.diag(information)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    return scale[:, None] * np.linalg.pinv(scale[:, None] * information * scale, rcond=UNKNOWN, hermitian=True) * scale
