"""Satterthwaite's approximate degrees of freedom of tests of the fixed effects."""

from __future__ import annotations

import numpy as np


def degrees_of_freedom(vcov: np.ndarray, vcov_jacobian: np.ndarray, variance_cov: np.ndarray) -> np.ndarray:
    """Degrees of freedom of the t-test of each fixed effect.

    `vcov` (p, p); `vcov_jacobian` (p, p, m) its derivative in the m variance parameters; `variance_cov` (m, m) their
    asymptotic covariance. A variance f with gradient g has 2 f^2 / (g' A g).
    Source: Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 2.3 (Satterthwaite's method).
    """
    variance = np.diag(vcov)
    gradient = np.einsum("iim->im", vcov_jacobian)
    spread = np.einsum("im,mn,in->i", gradient, variance_cov, gradient)
    with np.errstate(divide="ignore"):  # a variance that is known exactly has infinitely many
        return 2.0 * variance**2 / spread


def t_tests(estimate: np.ndarray, std_error: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t statistics and their two-sided p-values."""
    from scipy.special import stdtr

    statistic = estimate / std_error
    return statistic, 2.0 * stdtr(df, -np.abs(statistic))
