"""The model as textbooks write it: y ~ N(X beta, s^2 (Z L L' Z' + W^-1)) with every matrix written out in full."""

from __future__ import annotations

import numpy as np
import scipy.linalg

LOG_2PI = np.log(2.0 * np.pi)


def full_Z(Z: np.ndarray, codes: np.ndarray, J: int) -> np.ndarray:
    """(n, q) columns and codes as the (n, J q) matrix of all deviations."""
    n, q = Z.shape
    out = np.zeros((n, J * q))
    for row in range(n):
        out[row, codes[row] * q : (codes[row] + 1) * q] = Z[row]
    return out


def full_deviations(terms, factors):
    """All terms' Z (n, sum of J q) side by side, and the matrix that spherical deviations are multiplied by.

    `terms`: (Z, codes, J, ...) of each grouping factor; `factors`: their relative covariance factors.
    """
    Z = np.column_stack([full_Z(*term[:3]) for term in terms])
    blocks = [np.kron(np.eye(J), factor) for (_, _, J, *_), factor in zip(terms, factors, strict=True)]
    return Z, scipy.linalg.block_diag(*blocks)


def covariance(terms, factors, sigma, weights):
    Z, spread = full_deviations(terms, factors)
    big = Z @ spread
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


def modes(y, X, terms, factors, sigma, weights, beta):
    """Best linear unbiased predictors (J, q) of each term's deviations, and their conditional covariances (J, q, q), by
    the joint Normal.
    """
    Z, spread = full_deviations(terms, factors)
    G = sigma**2 * spread @ spread.T
    V = covariance(terms, factors, sigma, weights)
    gain = G @ Z.T @ np.linalg.inv(V)
    cond, b = G - gain @ Z @ G, gain @ (y - X @ beta)
    found, at = [], 0
    for own, _, J, *_ in terms:
        q = own.shape[1]
        where = [slice(at + j * q, at + (j + 1) * q) for j in range(J)]
        found.append((np.stack([b[w] for w in where]), np.stack([cond[w, w] for w in where])))
        at += J * q
    return found
