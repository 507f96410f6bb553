"""Expansion of the operators into terms, as R's `terms()` does it."""

import pytest

from hier.errors import FormulaError
from hier.formula import parse_formula

EXPANSIONS = [
    ("1", True, ""),
    ("x", True, "x"),
    ("x + z", True, "x + z"),
    ("z + x", True, "z + x"),
    ("x + x", True, "x"),
    ("+x", True, "x"),
    ("a*b", True, "a + b + a:b"),
    ("b*a", True, "b + a + b:a"),
    ("a:b", True, "a:b"),
    ("a:a", True, "a"),
    ("a:b:a", True, "a:b"),
    ("a*b*c", True, "a + b + c + a:b + a:c + b:c + a:b:c"),
    ("a*b:c", True, "a + b:c + a:b:c"),
    ("a*(b+c)", True, "a + b + c + a:b + a:c"),
    ("(a+b)*(c+d)", True, "a + b + c + d + a:c + a:d + b:c + b:d"),
    ("(a+b):(c+d)", True, "a:c + a:d + b:c + b:d"),
    ("a^2", True, "a"),
    ("(a+b)^1", True, "a + b"),
    ("(a+b)^2", True, "a + b + a:b"),
    ("(a+b)**2", True, "a + b + a:b"),
    ("(a+b+c)^2", True, "a + b + c + a:b + a:c + b:c"),
    ("(a+b+c)^3", True, "a + b + c + a:b + a:c + b:c + a:b:c"),
    ("(a+b)^1000000", True, "a + b + a:b"),
    ("(a*b)^2", True, "a + b + a:b"),
    ("a:(b+c)^2", True, "a:b + a:c + a:b:c"),
    ("((a + b)^2 + c)^2", True, "a + b + c + a:b + a:c + b:c + a:b:c"),
    ("a/b", True, "a + a:b"),
    ("a/b/c", True, "a + a:b + a:b:c"),
    ("(a+b)/c", True, "a + b + a:b:c"),
    ("a/(b+c)", True, "a + a:b + a:c"),
    ("a/(b*c)", True, "a + a:b + a:c + a:b:c"),
    ("a/b:c", True, "a + a:b:c"),
    ("x + z %in% x", True, "x + x:z"),
    ("(a+b) %in% c", True, "a:c + b:c"),
    ("a %in% (b+c)", True, "a:b:c"),
    ("a*b %in% c", True, "a + b:c + a:b:c"),
    ("a*b - a", True, "b + a:b"),
    ("a*b - a:b", True, "a + b"),
    ("a*b*c - a:b:c", True, "a + b + c + a:b + a:c + b:c"),
    ("(a+b+c)^2 - a:b", True, "a + b + c + a:c + b:c"),
    ("a/b - a", True, "a:b"),
    ("a:b - b:a", True, ""),
    ("a + b*c - b", True, "a + c + b:c"),
    ("a - b + b", True, "a + b"),
    ("a - b - c + a:c", True, "a + a:c"),
    ("x + z - x + x", True, "z + x"),
    ("x + z - (x + z)", True, ""),
    ("-x + z", True, "z"),
    ("x - 1", False, "x"),
    ("0 + x", False, "x"),
    ("x + 0", False, "x"),
    ("-1 + x", False, "x"),
    ("1 + x - 1", False, "x"),
    ("x - 1 + 1", True, "x"),
    ("0 + x + 1", True, "x"),
    ("x - 0", True, "x"),
    ("x - (z + 1)", False, "x"),
    ("x - (z - 1)", True, "x"),
    ("(x + 1)*z", True, "x + z + x:z"),
    ("(x - 1)*z", False, "x + z + x:z"),
    ("a:b + a", True, "a + a:b"),
    ("b:a + a + b", True, "a + b + b:a"),
    ("a + b + b:a", True, "a + b + a:b"),
    ("a:b:c + a:b + c", True, "c + a:b + a:b:c"),
    ("log(x)*z", True, "log(x) + z + log(x):z"),
    ("I(x^2) + x", True, "I(x ** 2) + x"),
    ("I(x^2) + I( x**2 ) + I((x)^2)", True, "I(x ** 2)"),
    ("`a b`*x", True, "`a b` + x + `a b`:x"),
]


def names(part):
    return " + ".join(term.name for term in part.terms)


@pytest.mark.parametrize(("text", "intercept", "expected"), EXPANSIONS)
def test_fixed_effects_expand_as_in_r(text, intercept, expected):
    fixed = parse_formula(f"y ~ {text} + (1 | g)").fixed
    assert (fixed.intercept, names(fixed)) == (intercept, expected)


@pytest.mark.parametrize(("text", "intercept", "expected"), [e for e in EXPANSIONS if e[1] or e[2]])
def test_random_terms_expand_as_fixed_effects_do(text, intercept, expected):
    (random,) = parse_formula(f"y ~ ({text} | g)").random
    assert (random.columns.intercept, names(random.columns)) == (intercept, expected)


def test_terms_point_at_what_made_them():
    text = "y ~ a*b + b:a + log(c) + (0 + a/z || g)"
    formula = parse_formula(text)
    assert [text[slice(*t.span)] for t in formula.fixed.terms] == ["a", "b", "log(c)", "a*b"]
    (random,) = formula.random
    places = [random.span, random.columns.span, random.group_span, *[t.span for t in random.columns.terms]]
    assert [text[slice(*span)] for span in places] == ["(0 + a/z || g)", "0 + a/z", "g", "a", "a/z"]


def test_too_many_interactions_are_refused():
    with pytest.raises(FormulaError, match="too many interactions"):
        parse_formula("y ~ (" + "+".join(f"x{i}" for i in range(60)) + ")^20 + (1 | g)")
    with pytest.raises(FormulaError, match="too many interactions"):
        parse_formula("y ~ " + "*".join(f"x{i}" for i in range(90)) + " + (1 | g)")


def test_a_formula_too_long_to_be_printed_is_refused():
    with pytest.raises(FormulaError, match="too many interactions"):
        parse_formula("y ~ (" + "+".join(f"long_name_{i}" for i in range(12)) + ")^3 + (1 | g)")


def test_a_thousand_terms_are_fine():
    formula = parse_formula("y ~ " + " + ".join(f"x{i}" for i in range(1000)) + " + (1 | g)")
    assert len(formula.fixed.terms) == 1000
    assert len(formula.fixed.variables) == 1000
    assert parse_formula(str(formula)).terms_key() == formula.terms_key()
