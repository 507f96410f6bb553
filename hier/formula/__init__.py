"""From text to terms: the formula of a mixed model, checked piece by piece before anything evaluates it."""

from hier.formula.formula import (
    CBIND,
    RATIO,
    Contrast,
    Factor,
    Formula,
    LinearPart,
    ParsedFormula,
    RandomTerm,
    Term,
    Trials,
    parse_formula,
)

__all__ = [
    "CBIND",
    "RATIO",
    "Contrast",
    "Factor",
    "Formula",
    "LinearPart",
    "ParsedFormula",
    "RandomTerm",
    "Term",
    "Trials",
    "parse_formula",
]
