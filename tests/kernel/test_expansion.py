"""The expansion of the marginal density, a block of levels at a time."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import hier
from hier.kernel.normal import expansion
from hier.kernel.normal.point_fit import likelihood_evaluator
from hier.kernel.programs.precision import float64
from hier.kernel.search.moments import start_of
from hier.model.problem import likelihood_problem


@pytest.mark.parametrize("levels", [30, 24, 16])  # 32 entries, 24 and 16, in blocks of 8
def test_blocks_of_levels_add_up(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(levels)
    g, x = random.integers(0, levels, 400), random.normal(size=400)
    y = x + random.normal(size=levels)[g] * (1.0 + x) + random.normal(size=400)
    model = hier.Model("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    problem, terms = likelihood_problem(model), model.terms
    at = start_of(problem.first, terms)[0]

    @float64
    def evaluated():
        return jax.jit(lambda x, cross: likelihood_evaluator(cross, terms, reml=True)(x))(at, problem.cross)

    whole = evaluated()
    monkeypatch.setattr(expansion, "LEVELS_AT_ONCE", 8)
    blocks, calls = [], jax.lax.scan
    monkeypatch.setattr(jax.lax, "scan", lambda *given: blocks.append(1) or calls(*given))
    for one, other in zip(evaluated(), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-10)
    assert len(blocks) == 2  # once for the value and the slopes, once for the curvature
