"""Responses that a family cannot take: one clear sentence each, with the row, what was found, and the next step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier

N = 24


def table(**columns) -> pd.DataFrame:
    count = np.arange(N) % 4
    frame = {"x": np.sin(np.arange(N)), "g": np.repeat(list("abcd"), 6), "count": count, "n": 5, "text": "one"}
    return pd.DataFrame(frame).assign(**columns)


def changed(values, row: int, value) -> np.ndarray:
    found = np.array(values, dtype=float)
    found[row] = value
    return found


COUNT, SHARE, POSITIVE = np.arange(N) % 4, (1.0 + np.arange(N)) / (N + 2), 1.0 + np.arange(N)
THREE = ["low", "mid", "high"] * (N // 3)
BAD = {
    "negative count": ("poisson", changed(COUNT, 5, -1), ["is a negative count", "row labelled 5", "-1", "from 0 up"]),
    "fraction as a count": ("negbinomial", changed(COUNT, 3, 2.5), ["not a whole number", "labelled 3", "offset"]),
    "text as a count": ("poisson", THREE, ["`y` is not numeric", "text: 'high'", "convert the column"]),
    "only zeros": ("zero_inflated_poisson", np.zeros(N), ["every count in the response `y` is zero", "0 in all 24"]),
    "zero of a beta": ("beta", changed(SHARE, 2, 0.0), ["is exactly 0", "row labelled 2", "strictly between 0 and 1"]),
    "one of a beta": ("beta", changed(SHARE, 2, 1.0), ["is exactly 1", 'family="binomial"']),
    "percentages of a beta": ("beta", 100.0 * SHARE, ["outside the interval from 0 to 1", "divide percentages by 100"]),
    "zero of a gamma": ("gamma", changed(POSITIVE, 7, 0.0), ["is not positive", "1 of 24 rows", "labelled 7"]),
    "negative lognormal": ("lognormal", changed(POSITIVE, 7, -2.0), ["is not positive", "-2"]),
    "zero of an inverse Gaussian": ("inverse_gaussian", changed(POSITIVE, 0, 0.0), ["is not positive", "labelled 0"]),
    "three labels of two": ("bernoulli", THREE, ["has 3 levels, not two", "'high', 'low', 'mid'", "cumulative"]),
    "one label": ("bernoulli", ["yes"] * N, ["has 1 level, not two", "'yes'"]),
    "a count as a bernoulli": ("bernoulli", COUNT, ["is neither 0 nor 1", "row labelled 2", "cbind"]),
    "only ones": ("bernoulli", np.ones(N), ["`y` is constant", "1 in all 24 rows"]),
    "a count as binomial": ("binomial", COUNT, ["is neither 0 nor 1", "successes | trials(n)"]),
    "no trials": ("beta_binomial", COUNT, ["has no number of trials", "cbind(successes, failures)"]),
    "two categories": ("cumulative", ["a", "b"] * (N // 2), ["has 2 categories", "bernoulli"]),
    "one category": ("cumulative", ["a"] * N, ["has 1 category", "three ordered categories"]),
    "fractions as categories": ("cumulative", changed(COUNT, 4, 1.5), ["is not a whole number", "1.5"]),
    "text of a student": ("student", THREE, ["`y` is not numeric", 'family="student"']),
    "constant": ("gamma", np.full(N, 2.5), ["`y` is constant", "2.5 in all 24 rows"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_responses(name: str) -> None:
    family, y, said = BAD[name]
    with pytest.raises(hier.DataError) as refusal:
        hier.Model("y ~ x + (1 | g)", table(y=y), family=family)
    for words in said:
        assert words in str(refusal.value)


@pytest.mark.parametrize("left", ["cbind(y, n - y)", "y / n", "y | trials(n)", "y | trials(5)"])
@pytest.mark.parametrize("family", ["binomial", "beta_binomial"])
def test_more_successes_than_trials(left: str, family: str) -> None:
    with pytest.raises(
        hier.DataError, match=r"no count of successes in 1 of 24 rows[\s\S]*labelled 6[\s\S]*9 out of 5"
    ):
        hier.Model(f"{left} ~ x + (1 | g)", table(y=changed(COUNT, 6, 9)), family=family)


def test_no_success_at_all() -> None:
    with pytest.raises(hier.DataError, match="has not a success in any of 24 rows"):
        hier.Model("y / n ~ x + (1 | g)", table(y=0), family="binomial")


def test_proportions_that_are_no_counts() -> None:
    with pytest.raises(hier.DataError, match="times its weight is no count of successes"):
        hier.Model("y ~ x + (1 | g)", table(y=SHARE), family="binomial", weights="n")


def test_trials_of_a_family_without_them() -> None:
    with pytest.raises(hier.ModelError, match=r"counts successes out of trials[\s\S]*\"beta_binomial\""):
        hier.Model("count / n ~ x + (1 | g)", table(), family="poisson")


def test_a_level_for_each_row_needs_a_response_without_residuals() -> None:
    frame = table(row=np.arange(N), y=POSITIVE)
    with pytest.raises(hier.FormulaError, match="as many levels as there are rows"):
        hier.Model("y ~ x + (1 | row)", frame, family="gamma")
    assert hier.Model("count ~ x + (1 | row)", frame, family="poisson").design.random_effects[0].n_levels == N


@pytest.mark.parametrize(
    ("formula", "family", "message", "marked"),
    [
        (hier.Formula("y ~ x + (1 | g)", sgima="~ x"), "gaussian", r"no parameter `sgima`[\s\S]*mean `sigma`", "x"),
        (hier.Formula("y ~ x + (1 | g)", sigma="~ x"), "poisson", "one formula, for the mean", "x"),
        ("y ~ x + (1 | g), nu ~ x:g", "student", None, ""),
    ],
)
def test_formulas_of_parameters_that_are_not_there(formula, family, message, marked) -> None:
    frame = table(y=COUNT + 1)
    if message is None:
        assert hier.Model(formula, frame, family=family).design.parameters[1].names[-1] == "x:g[d]"
        return
    with pytest.raises(hier.FormulaError, match=message) as refusal:
        hier.Model(formula, frame, family=family)
    start, end = refusal.value.span
    assert refusal.value.text[start:end] == marked
