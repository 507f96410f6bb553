"""From text to terms: the formula of a mixed model, checked piece by piece before anything evaluates it."""

from hier.formula.formula import Factor, Formula, LinearPart, RandomTerm, Term, parse_formula

__all__ = ["Factor", "Formula", "LinearPart", "RandomTerm", "Term", "parse_formula"]
