"""The model as textbooks write it: y ~ N(X beta, s^2 (Z L L' Z' + W^-1)) with every matrix written out in full."""

from __future__ import annotations

import numpy as np

LOG_2PI = np.log(2.0 * np.pi)


def full_Z(Z: np.ndarray, codes: np.ndarray, J: int) -> np.ndarray:
    """(n, q) columns and codes as the (n, J q) matrix of all deviations."""
    n, q = Z.shape
    out = np.zeros((n, J * q))
    for row in range(n):
        out[row, codes[row] * q : (codes[row] + 1) * q] = Z[row]
    return out


def covariance(Z, codes, J, factor, sigma, weights):
    big = full_Z(Z, codes, J) @ np.kron(np.eye(J), factor)
    return sigma**2 * (big @ big.T + np.diag(1.0 / weights))


def gls(y, X, V):
    """Generalised least squares: coefficients, their covariance, and the residual quadratic form."""
    inverse = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ inverse @ X)
    beta = cov @ X.T @ inverse @ y
    r = y - X @ beta
    return beta, cov, r @ inverse @ r


def neg2_log_likelihood(y, X, V, *, reml):
    """-2 log (restricted) likelihood with beta at its best, or integrated out under a flat prior."""
    _, cov, squares = gls(y, X, V)
    value = len(y) * LOG_2PI + np.linalg.slogdet(V)[1] + squares
    if reml:
        value += -np.linalg.slogdet(cov)[1] - X.shape[1] * LOG_2PI
    return value


def neg2_log_evidence(y, X, V, mean, prior_cov):
    """-2 log density of y with beta ~ N(mean, prior_cov) integrated out: y is Normal with a larger covariance."""
    total = V + X @ prior_cov @ X.T
    r = y - X @ mean
    return len(y) * LOG_2PI + np.linalg.slogdet(total)[1] + r @ np.linalg.solve(total, r)


def modes(y, X, Z, codes, J, factor, sigma, weights, beta):
    """Best linear unbiased predictors of the deviations, and their conditional covariance, by the joint Normal."""
    q = Z.shape[1]
    G = sigma**2 * np.kron(np.eye(J), factor @ factor.T)
    big = full_Z(Z, codes, J)
    V = covariance(Z, codes, J, factor, sigma, weights)
    gain = G @ big.T @ np.linalg.inv(V)
    cond = G - gain @ big @ G
    blocks = np.stack([cond[j * q : (j + 1) * q, j * q : (j + 1) * q] for j in range(J)])
    return (gain @ (y - X @ beta)).reshape(J, q), blocks
