"""The order of elimination that the kernel chooses, and the words for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from hier.kernel.algebra.elimination import choose_structure

rng = np.random.default_rng(0)
PUPIL = np.arange(60)
CLASS = PUPIL // 5
SCHOOL = CLASS // 4
TEACHER = rng.permutation(PUPIL) % 7


def chosen(*codes, columns=None):
    columns = columns or [1] * len(codes)
    return choose_structure(codes, [int(c.max()) + 1 for c in codes], columns)


def test_nested_factors_are_eliminated_from_the_innermost():
    structure = chosen(SCHOOL, PUPIL, CLASS)
    assert structure.levels == (1, 2, 0)
    assert structure.dense == ()
    to_class, to_school = structure.parents[0]
    np.testing.assert_array_equal(to_class, CLASS)
    np.testing.assert_array_equal(to_school, SCHOOL)
    assert structure.in_words(["school", "pupil", "class"], [3, 60, 12]) == (
        "the deviations of pupil in class in school are eliminated level by level, the inner levels first"
    )


def test_of_crossed_factors_the_one_with_most_deviations_is_eliminated_first():
    structure = chosen(TEACHER, CLASS)
    assert (structure.levels, structure.dense) == ((1,), (0,))
    assert chosen(TEACHER, CLASS, columns=[3, 1]).levels == (0,)
    words = structure.in_words(["teacher", "class"], [7, 12])
    assert words.endswith("level by level, those of teacher (7) as one dense matrix")


def test_one_row_in_another_school_makes_a_class_crossed():
    school = SCHOOL[np.arange(60)].copy()
    school[3] = 2
    assert chosen(CLASS, SCHOOL).dense == ()
    assert chosen(CLASS, school).dense == (1,)


def test_a_model_says_how_it_is_computed():
    data = pd.DataFrame({"y": rng.normal(size=60), "teacher": TEACHER, "class": CLASS, "school": SCHOOL})
    assert "Likelihood: the deviations of class in school are" in str(
        hier.Model("y ~ 1 + (1 | school/class)", data)
    ).replace("class:school", "class")
    assert "those of teacher (7) as one dense matrix" in str(hier.Model("y ~ 1 + (1 | class) + (1 | teacher)", data))


def test_a_dense_part_beyond_the_memory_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("hier.kernel.algebra.elimination.memory", lambda: 8.0 * 8 * 6**2)
    data = pd.DataFrame({"y": rng.normal(size=60), "teacher": TEACHER, "class": CLASS})
    model = hier.Model("y ~ 1 + (1 | class) + (1 | teacher)", data)
    for fit in (model.estimate, lambda: model.sample(progress=False)):
        with pytest.raises(
            hier.FitError, match=r"dense matrix of 7 rows, too large[\s\S]*`teacher` 7[\s\S]*about 5 rows"
        ):
            fit()
