"""Formulas of further parameters: as keywords and in one text, printed and read again."""

from __future__ import annotations

import pytest

import hier
from hier.errors import FormulaError
from hier.formula import Formula, parse_formula


@pytest.mark.parametrize(
    ("formula", "printed"),
    [
        (Formula("y ~ x + (1|g)", sigma="~ x"), "y ~ x + (1 | g), sigma ~ x"),
        (Formula("y ~ x + (1|g)", sigma="x"), "y ~ x + (1 | g), sigma ~ x"),
        (Formula("y ~ x + (1|g)", sigma="sigma ~ 0 + f"), "y ~ x + (1 | g), sigma ~ 0 + f"),
        (Formula("y ~ x + (1|g)", sigma="sigma2 + x"), "y ~ x + (1 | g), sigma ~ sigma2 + x"),
        (Formula("y ~ (1|g)", shape="~ a*b", zi="~ 1"), "y ~ 1 + (1 | g), shape ~ a + b + a:b, zi ~ 1"),
        ("y~(1|g),nu~poly(x,2)", "y ~ 1 + (1 | g), nu ~ poly(x, 2)"),
        ("cbind(s, f) ~ x + (x | g), phi ~ C(a, contr.sum)", "cbind(s, f) ~ x + (x | g), phi ~ C(a, contr.sum)"),
    ],
)
def test_formulas_print_and_read_again(formula: str | Formula, printed: str) -> None:
    parsed = parse_formula(formula)
    assert str(parsed) == printed
    again = parse_formula(str(parsed))
    assert (str(again), again.terms_key()) == (printed, parsed.terms_key())
    assert str(hier.Formula(printed)) == printed


def test_the_order_of_parameters_makes_no_other_model() -> None:
    first, second = Formula("y ~ (1|g)", zi="~ x", shape="~ z"), Formula("y ~ (1|g)", shape="~ z", zi="~ x")
    assert parse_formula(first).terms_key() == parse_formula(second).terms_key()
    assert parse_formula(first).terms_key() != parse_formula("y ~ (1|g), zi ~ x").terms_key()
    assert hier.Formula is Formula


def test_the_dot_stands_for_the_table_in_every_formula() -> None:
    parsed = parse_formula(Formula("y ~ . + (1 | g)", sigma="~ ."), ["y", "a", "b", "g"])
    assert str(parsed) == "y ~ a + b + (1 | g), sigma ~ a + b"


@pytest.mark.parametrize(
    ("make", "message", "marked"),
    [
        (lambda: Formula("y ~ x + (1|g)", sigma="~ (1 | g)"), "random effects in the formula of `sigma`", "(1 | g)"),
        (lambda: Formula("y ~ x + (1|g)", sigma="~ x +"), "there is nothing after `+`", "+"),
        (lambda: Formula("y ~ x + (1|g)", sigma="~ x ~ z"), "a formula has one `~`", "~"),
        (lambda: Formula("y ~ x + (1|g)", sigma="~ offset(x)"), "an offset in the formula of `sigma`", "x"),
        (lambda: Formula("y ~ x + (1|g)", sigma="~ 0"), "the formula of `sigma` has no term", "0"),
        (lambda: Formula("y ~ x + (1|g)", sigma="~ y"), "cannot stand on the right side as well", "y"),
        (lambda: Formula("y ~ x + (1|g), sigma ~ x", sigma="~ z"), "`sigma` has two formulas", "sigma"),
        (lambda: parse_formula("y ~ x + (1|g), x"), "a comma stands only between", ","),
        (lambda: parse_formula("y ~ x + (1|g), `a b` ~ x"), "a parameter's formula begins with its name", "`a b`"),
        (lambda: Formula(3), "a formula is text", ""),
        (lambda: Formula("y ~ (1|g)", sigma=3), "a formula is text", ""),
    ],
)
def test_refusals_point_at_the_place(make, message: str, marked: str) -> None:
    with pytest.raises(FormulaError) as refusal:
        make()
    assert message in str(refusal.value)
    start, end = refusal.value.span
    assert refusal.value.text[start:end] == marked
