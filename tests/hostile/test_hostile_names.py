"""Levels, columns and categories that would clear the screen, or forge a row of a table: shown escaped everywhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import hier
from hier.plots.style import name

HOSTILE = "\nweek 9.9 \x1b[2J\x9b\u202e\t\0"
ESCAPED = "\\nweek 9.9 \\x1b[2J\\x9b\\u202e\\t\\x00"


def _results(posterior, both, end: str):
    """Models, estimates, a posterior and a comparison, with `end` at the end of every label."""
    pigs = hier.load_dataset("pigs")
    data = pigs.assign(id=[f"{level}{end}" for level in pigs["id"]])
    fed = data.assign(feed=[f"{'high' if k % 2 else 'low'}{end}" for k in pigs["id"]])
    levels = posterior.groups[0].levels.astype(str) + end
    group = dataclasses.replace(posterior.groups[0], levels=levels)
    parameters = both.parameters.assign(term=both.parameters["term"] + end)
    return {
        "model": hier.Model("weight ~ week + (week | id)", data),
        "by feed": hier.Model("weight ~ feed + (1 | id)", fed).estimate(),
        "posterior": dataclasses.replace(
            posterior, coef_names=("Intercept", f"week{end}"), groups=(group,), notes=(f"note{end}",)
        ),
        "both": dataclasses.replace(both, parameters=parameters),
    }


@pytest.fixture(scope="module")
def plain(pigs_posterior, pigs_both):
    return _results(pigs_posterior, pigs_both, "")


@pytest.fixture(scope="module")
def hostile(pigs_posterior, pigs_both):
    return _results(pigs_posterior, pigs_both, HOSTILE)


@pytest.fixture(scope="module")
def pigs_both(pigs_reml, pigs_posterior):
    return hier.compare(pigs_reml, pigs_posterior)


PRINTED = {
    "print(model)": (lambda r: repr(r["model"]), True),
    "print(model) with a factor": (lambda r: repr(r["by feed"].model), True),
    "latex": (lambda r: r["by feed"].model.latex(), False),
    "coefficients": (lambda r: r["by feed"].summary(), True),
    "means": (lambda r: repr(r["by feed"].emmeans("feed")), True),
    "contrasts": (lambda r: repr(r["by feed"].contrast(np.eye(2))), True),
    "summary of a posterior": (lambda r: r["posterior"].summary(), True),
    "diagnosis": (lambda r: str(r["posterior"].diagnose()), False),
    "comparison": (lambda r: str(r["both"]), True),
}


@pytest.mark.parametrize("what", PRINTED)
def test_printed_text_has_no_line_and_no_control_character_of_the_users(what, plain, hostile) -> None:
    printed, holds_a_label = PRINTED[what]
    with pd.option_context("display.width", 1000):  # so wide that long labels part no table into blocks
        text, expected = printed(hostile), printed(plain)
    assert len(text.split("\n")) == len(expected.split("\n"))
    assert [line for line in text.split("\n") if not line.isprintable()] == []
    assert (ESCAPED in text) == holds_a_label


def test_tables_keep_the_labels_as_they_are(hostile) -> None:
    assert f"1{HOSTILE}" in hostile["by feed"].ranef["id"].index
    assert f"feed[T.low{HOSTILE}]" in hostile["by feed"].coefficients.index
    assert f"1{HOSTILE}" in hostile["posterior"].ranef["id"].index


def test_a_note_of_categories_is_shown_escaped() -> None:
    data = pd.DataFrame({"y": ["no", f"yes{HOSTILE}"] * 20, "g": np.repeat(np.arange(8), 5)})
    model = hier.Model("y ~ 1 + (1 | g)", data, family="bernoulli")
    notes = model.design.notes()
    assert any(f"yes{ESCAPED}" in note for note in notes)
    assert [note for note in notes if not note.isprintable()] == []
    assert [line for line in repr(model).split("\n") if not line.isprintable()] == []


REFUSALS = {
    "a column that is not there": lambda d: hier.Model("y ~ wek + (1 | g)", d),
    "a prior of nothing": lambda d: hier.Model("y ~ x + (1 | g)", d, priors={f"x{HOSTILE}": None}),
    "a family": lambda d: hier.Model("y ~ x + (1 | g)", d, family=f"poisson{HOSTILE}"),
    "weights": lambda d: hier.Model("y ~ x + (1 | g)", d, weights=f"x{HOSTILE}"),
    "a formula": lambda d: hier.Model(f"y ~ x{HOSTILE} + (1 | g)", d),
    "a file": lambda d: hier.Model("y ~ x + (1 | g)", f"pigs{HOSTILE.replace(chr(0), '')}.csv"),
    "a posterior": lambda d: hier.load_posterior(f"pigs{HOSTILE.replace(chr(0), '')}.nc"),
    "a data set": lambda d: hier.load_dataset(f"pigs{HOSTILE}"),
    "text for numbers": lambda d: hier.Model("`w` ~ x + (1 | g)", d.rename(columns={"z": "w"})),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_shows_what_it_names_escaped(what) -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.repeat(np.arange(8), 5)})
    data[f"z{HOSTILE}"], data["z"] = 1.0, [f"a{HOSTILE}", "b"] * 20
    with pytest.raises(hier.HierError) as refused:
        REFUSALS[what](data)
    lines = str(refused.value).split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    labelled = [
        line for line in lines[1:] if line.startswith(("  where:", "  found:", "  expected:", "  try:", "    "))
    ]
    assert labelled == lines[1:]


def test_pictures_name_levels_on_one_line() -> None:
    assert name(f"a{HOSTILE}", 100) == f"a{ESCAPED}"
