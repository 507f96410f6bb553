"""Questions to a fit that have no answer: one clear error each."""

from __future__ import annotations

import numpy as np
import pytest

import hier


@pytest.fixture(scope="module")
def fits(sim757):
    def fit(formula, method="reml", data=sim757, **options):
        return hier.Model(formula, data, **options).estimate(method)

    return {
        "reml": fit("Y ~ X + (1 | Group)"),
        "ml": fit("Y ~ X + (1 | Group)", "ml"),
        "map": fit("Y ~ X + (1 | Group)", "map"),
        "null": fit("Y ~ 1 + (1 | Group)"),
        "other": fit("Y ~ I(X**2) + (X | Group)"),
        "same size": fit("Y ~ I(X**2) + (1 | Group)"),
        "fewer rows": fit("Y ~ X + (1 | Group)", data=sim757[5:]),
        "shuffled": fit("Y ~ X + (1 | Group)", data=sim757[::-1]),
        "of X": fit("X ~ 1 + (1 | Group)"),
        "weighted": fit("Y ~ X + (1 | Group)", weights=np.linspace(1, 2, len(sim757))),
        "shifted": fit("Y ~ X + (1 | Group)", offset=np.linspace(1, 2, len(sim757))),
    }


QUESTIONS = {
    "no such method": (lambda f: f["reml"].tests("kenward"), hier.FitError, ["no method `kenward`", "kenward-roger"]),
    "Kenward-Roger of ML": (
        lambda f: f["ml"].tests("kenward-roger"),
        hier.FitError,
        ["needs a fit by REML", 'method="ml"', "satterthwaite"],
    ),
    "Kenward-Roger of MAP": (lambda f: f["map"].anova(ddf="kenward-roger"), hier.FitError, ["needs a fit by REML"]),
    "no such type": (lambda f: f["reml"].anova(type=4), hier.FitError, ["of type 4", "1, 2 or 3"]),
    "ratio of a mode": (lambda f: f["map"].anova(f["ml"]), hier.ModelError, ["no likelihood-ratio test", "ml"]),
    "ranova of a mode": (lambda f: f["map"].ranova(), hier.ModelError, ["no likelihood-ratio test"]),
    "other rows": (lambda f: f["reml"].anova(f["fewer rows"]), hier.ModelError, ["not of the same data", "rows and"]),
    "other order": (lambda f: f["null"].anova(f["shuffled"]), hier.ModelError, ["in another order"]),
    "other response": (lambda f: f["reml"].anova(f["of X"]), hier.ModelError, ["the responses `Y` and `X`"]),
    "other weights": (lambda f: f["null"].anova(f["weighted"]), hier.ModelError, ["other weights"]),
    "other offset": (lambda f: f["null"].anova(f["shifted"]), hier.ModelError, ["other offsets"]),
    "equally many": (lambda f: f["reml"].anova(f["same size"]), hier.ModelError, ["equally many", "4 parameters"]),
    "not nested": (lambda f: f["reml"].anova(f["other"]), hier.ModelError, ["not among those", "aic and bic"]),
    "REML of other effects": (
        lambda f: f["reml"].anova(f["null"], refit=False),
        hier.ModelError,
        ["only between REML fits", "other fixed effects", "refit=True"],
    ),
    "REML beside ML": (
        lambda f: f["reml"].anova(f["ml"], refit=False),
        hier.ModelError,
        ["fits by REML and by ML"],
    ),
    "shape of L": (
        lambda f: f["reml"].contrast(np.ones((2, 3))),
        hier.FitError,
        ["do not match", "(2, 3)", "2 columns: Intercept, X"],
    ),
    "no numbers": (lambda f: f["reml"].contrast(object()), hier.FitError, ["no linear function", "object"]),
    "missing weight": (lambda f: f["reml"].contrast([np.nan, 1.0]), hier.FitError, ["finite numbers"]),
    "nothing to test": (lambda f: f["reml"].contrast({}), hier.FitError, ["no linear function to test"]),
    "only numbers": (lambda f: f["reml"].contrast("1 + 1"), hier.FitError, ["no coefficient", "`1 + 1`"]),
    "unknown weight": (lambda f: f["reml"].contrast({"a": {"Xx": 1}}), hier.FitError, ["no coefficient `Xx`", "`X`"]),
    "level": (
        lambda f: f["reml"].contrast("X", level=95),
        hier.FitError,
        ["`level` cannot be 95", "level=0.95"],
    ),
    "no variable": (lambda f: f["reml"].emmeans("Group"), hier.FitError, ["no variable `Group`", "`X`"]),
    "no value": (lambda f: f["reml"].emmeans("X", at={"X": []}), hier.FitError, ["no value of `X`"]),
    "no number": (lambda f: f["reml"].emmeans("X", at={"X": "high"}), hier.FitError, ["`X` is numeric", "high"]),
    "infinite": (lambda f: f["reml"].emmeans("X", at={"X": np.inf}), hier.FitError, ["`X` is not finite"]),
    "twice": (lambda f: f["reml"].emmeans(["X", "X"]), hier.FitError, ["different variables"]),
    "one mean": (lambda f: f["reml"].emmeans("X").pairs(), hier.FitError, ["no differences"]),
    "no adjustment": (
        lambda f: f["reml"].emmeans("X", at={"X": [1, 2]}).pairs("tuky"),
        hier.FitError,
        ["no adjustment `tuky`", "did you mean `tukey`?"],
    ),
    "too large a grid": (
        lambda f: f["reml"].emmeans("X", at={"X": np.arange(200_000)}),
        hier.FitError,
        ["grid", "200000 combinations", "at most 100000"],
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_answer_is_one_clear_error(fits, question):
    ask, kind, pieces = QUESTIONS[question]
    with pytest.raises(kind) as caught:
        ask(fits)
    for piece in pieces:
        assert piece in str(caught.value)


HYPOTHESES = {
    "X": ["compares two sides", "one of > < =", "X > 0"],
    "X > 2 > 1": ["comparison does not stand here"],
    "Xx > 1": ["no coefficient `Xx`", "did you mean `X`?", "^^"],
    "`a b` > 1": ["no coefficient `a b`"],
    "X * X > 1": ["not linear", "^^^^^"],
    "1 / X > 1": ["only a number other than zero"],
    "X / 0 > 1": ["only a number other than zero"],
    "> 1": ["missing here"],
    "X >": ["missing here"],
    "": ["missing here"],
    "(X > 1": ["never closed"],
    "X) > 1": ["operator is missing"],
    "X 2 > 1": ["operator is missing"],
    "2x > 1": ["no coefficient `2x`"],
    "2 > 1": ["no coefficient in this hypothesis"],
    "`X > 1": ["back-quote is never closed"],
    "X != 1": ["no coefficient `!`"],
    "__import__('os') > 1": ["no coefficient `__import__`"],
    "(" * 50 + "X" + ")" * 50 + " > 1": ["nested more than"],
    "X" + " + X" * 1000 + " > 1": ["longer than"],
}


@pytest.mark.parametrize("text", HYPOTHESES, ids=lambda text: text[:20])
def test_a_hypothesis_that_cannot_be_read(fits, text):
    with pytest.raises(hier.FormulaError) as caught:
        fits["reml"].hypothesis(text)
    for piece in HYPOTHESES[text]:
        assert piece in str(caught.value)


def test_a_level_that_is_not_there(machine_fit):
    with pytest.raises(hier.FitError, match="no level 'D'"):
        machine_fit.emmeans("Machine", at={"Machine": ["A", "D"]})


@pytest.fixture(scope="module")
def machine_fit():
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=36), "Machine": ["A", "B", "C"] * 12, "g": np.repeat(np.arange(6), 6)}
    return hier.Model("y ~ Machine + (1 | g)", data).estimate()
