"""Which deviations are sampled: the choice by cost, what is said of it, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from hier.model.problem import posterior_problem
from hier.posterior.integration import choose_integration


def problem_of(formula: str, n_g: int, n_h: int, n: int):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": rng.integers(0, n_g, n), "h": rng.integers(0, n_h, n), "y": rng.normal(size=n)})
    model = hier.Model(formula, data)
    return posterior_problem(model)


CROSSED = "y ~ 1 + (1 | g) + (1 | h)"


def test_small_crossed_factors_are_integrated_out_and_large_ones_sampled():
    small, large = problem_of(CROSSED, 20, 5, 300), problem_of(CROSSED, 400, 200, 3000)
    assert choose_integration(small.cross).sampled == ()
    assert choose_integration(large.cross)[:2] == ((0,), (1,))
    assert choose_integration(small.cross, "largest").sampled == (1,)
    assert choose_integration(large.cross, "all").sampled == ()


def test_the_choice_is_said_with_its_reason():
    route = choose_integration(problem_of(CROSSED, 400, 200, 3000).cross)
    said = route.in_words(["g", "h"], [400, 200])
    assert said.startswith("the deviations of g are integrated out, those of h (200) are sampled: by estimate ")
    assert said.endswith("ms with the largest factor's alone")
    whole = choose_integration(problem_of(CROSSED, 20, 5, 300).cross).in_words(["g", "h"], [20, 5])
    assert whole.startswith("all deviations (g, h) are integrated out: by estimate ")


def test_nested_factors_leave_no_choice():
    problem = problem_of("y ~ 1 + (1 | g)", 10, 5, 100)
    assert choose_integration(problem.cross).costs is None
    with pytest.raises(hier.FitError, match="needs crossed grouping factors"):
        choose_integration(problem.cross, "largest")


def test_an_unknown_way_is_refused():
    with pytest.raises(hier.FitError, match="`integrate` cannot be 'some'"):
        choose_integration(problem_of(CROSSED, 20, 5, 300).cross, "some")
