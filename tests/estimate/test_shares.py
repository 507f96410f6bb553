"""R2 and intraclass correlations from the variances by hand."""

from __future__ import annotations

import numpy as np
import pytest

import hier


def parts(fit):
    """The fixed part's variance, each factor's mean z'Sigma z, and the mean residual variance, row by row."""
    design = fit.model.design
    groups = []
    for random, own in zip(design.random_effects, fit.arrays.terms, strict=True):
        groups.append(np.mean([z @ own.covariance @ z for z in random.Z]))
    return np.var(design.X @ fit.arrays.beta, ddof=1), groups, np.mean(fit.sigma**2 / design.weights)


def test_r2_and_icc(fit):
    fixed, groups, residual = parts(fit)
    total = fixed + sum(groups) + residual
    found = fit.r2()
    assert found["marginal"] == pytest.approx(fixed / total, rel=1e-12)
    assert found["conditional"] == pytest.approx((fixed + sum(groups)) / total, rel=1e-12)
    table = fit.icc()
    assert list(table.index) == [*(random.group for random in fit.model.design.random_effects), "(all)"]
    np.testing.assert_allclose(table["adjusted"].iloc[:-1], np.array(groups) / (total - fixed), rtol=1e-12)
    np.testing.assert_allclose(table["conditional"].iloc[:-1], np.array(groups) / total, rtol=1e-12)
    np.testing.assert_allclose(table.loc["(all)"], table.iloc[:-1].sum(), rtol=1e-12)


def test_a_random_intercept_alone_has_the_textbooks_icc(sleepstudy):
    """R: VarCorr of Reaction ~ Days + (1 | Subject) has 37.12383 and 30.99123."""
    fit = hier.Model("Reaction ~ Days + (1 | Subject)", sleepstudy).estimate()
    expected = 37.12383**2 / (37.12383**2 + 30.99123**2)
    assert fit.icc().loc["Subject", "adjusted"] == pytest.approx(expected, rel=1e-5)
