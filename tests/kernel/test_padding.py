"""Columns of zeros beside a model's own: they share a program's shapes and change no density."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pytest

import hier
from hier.kernel.algebra.padding import padded_columns
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import padded, posterior_problem


def test_columns_are_rounded_up():
    assert [padded_columns(p) for p in (0, 1, 2, 3, 8, 9, 16, 17, 33)] == [0, 2, 2, 4, 8, 10, 16, 20, 40]
    assert all(p <= padded_columns(p) <= max(p + 1, 1.25 * p) for p in range(1, 500))


FORMULAS = [
    "weight ~ 1 + (week | id)",
    "weight ~ week + noise + (week | id)",
    "weight ~ week + noise + (1 | litter / id)",
    "weight ~ week + noise + (1 | id) + (1 | litter)",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("priors", [None, {"Intercept": dist.StudentT(4.0, 20.0, 5.0)}], ids=["default", "held"])
def test_columns_of_zeros_change_no_density(formula, priors, pigs):
    rng = np.random.default_rng(3)
    table = pigs.assign(noise=rng.normal(size=len(pigs)), litter=pigs["id"].astype("category").cat.codes // 5)
    model = hier.Model(formula, table, priors=priors)
    problem = posterior_problem(model)
    assert problem.priors is not None
    density = Density(model.terms, problem.priors.fixed.count, with_volume=True)
    more = padded(problem)
    assert len(more.order) == len(problem.order) + 1
    value = float64(lambda x, own: float(density.neg2_log_density(x, own)))
    for _ in range(5):
        x = rng.normal(size=density.size)
        assert value(x, more) == pytest.approx(value(x, problem), abs=1e-8 * abs(value(x, problem)))
