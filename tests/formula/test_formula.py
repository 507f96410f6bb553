"""The formula as a value: its parts, its printed form, and what formulaic makes of its factors."""

import dataclasses
import timeit

import pytest

from hier.formula import Factor, parse_formula
from hier.formula import formula as module
from hier.formula.syntax import Name


def test_parts_of_a_growth_model():
    text = "weight ~ week + (week | id)"
    formula = parse_formula(text)
    assert formula.response == Factor("weight", ("weight",), True, (0, 6), Name("weight", (0, 6)))
    assert formula.fixed.intercept
    assert [term.factors for term in formula.fixed.terms] == [
        (Factor("week", ("week",), True, (9, 13), Name("week", (9, 13))),)
    ]
    (random,) = formula.random
    assert (random.group, random.factors, random.structure) == ("id", ("id",), "us")
    assert random.columns.intercept
    assert random.columns.variables == ("week",)
    assert [text[slice(*s)] for s in (random.span, random.columns.span, random.group_span)] == [
        "(week | id)", "week", "id",
    ]  # fmt: skip


def test_a_formula_is_frozen_and_read_once():
    formula = parse_formula("y ~ x + (1 | g)")
    assert parse_formula("y ~ x + (1 | g)") is formula
    assert hash(formula) == hash(parse_formula("y ~ x + (1 | g)"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        formula.text = "z"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("y~(1|g)", "y ~ 1 + (1 | g)"),
        ("y ~ (x-1|g)", "y ~ 1 + (0 + x | g)"),
        ("y ~ x+z + (0+x|g)", "y ~ x + z + (0 + x | g)"),
        ("y ~ (x*z|g)", "y ~ 1 + (x + z + x:z | g)"),
        ("y ~ (log(x)|g)", "y ~ 1 + (log(x) | g)"),
        ("y ~ x + (1+x||g)", "y ~ x + (x || g)"),
        ("y ~ (1|g) + (0+x|g)", "y ~ 1 + (1 | g) + (0 + x | g)"),
        ("y ~ (1|g) - 1 + x", "y ~ 0 + x + (1 | g)"),
        ("y ~ -1 + (1|g)", "y ~ 0 + (1 | g)"),
        ("(y) ~ ((1|(g))) + ((x))", "y ~ x + (1 | g)"),
        ("y ~ x + (z + (1|g))", "y ~ x + z + (1 | g)"),
        ("y ~ +(1|g) + +x", "y ~ x + (1 | g)"),
        ("y ~ (1|g) + a*b - a", "y ~ b + a:b + (1 | g)"),
        ("log(y) ~ I(x^2)*`a b` + (0 + IQ.ver.cen || `g g`)",
         "log(y) ~ I(x ** 2) + `a b` + I(x ** 2):`a b` + (0 + `IQ.ver.cen` || `g g`)"),
        ("I(post - pre) ~ pre + (1|g)", "I(post - pre) ~ pre + (1 | g)"),
        ("größe ~ зріст + (1|学校)", "größe ~ зріст + (1 | 学校)"),
        ("y ~ class + (1|if)", "y ~ `class` + (1 | `if`)"),
        ("y ~ x + g + (1|g)", "y ~ x + g + (1 | g)"),
    ],
)  # fmt: skip
def test_printed_in_the_style_of_lme4(text, printed):
    formula = parse_formula(text)
    assert str(formula) == printed
    assert parse_formula(printed).terms_key() == formula.terms_key()


def test_the_key_tells_models_apart():
    texts = ["y ~ x + (1|g)", "y ~ 0 + x + (1|g)", "y ~ x + (x|g)", "y ~ x + (x||g)", "y ~ x + (0+x|g)",
             "z ~ x + (1|g)", "y ~ x + (1|h)", "y ~ x + (1|g) + (0+x|g)"]  # fmt: skip
    assert len({parse_formula(text).terms_key() for text in texts}) == len(texts)
    assert parse_formula("y~x*z+(1|g)").terms_key() == parse_formula("y ~ x + z + z:x + (1 | g)").terms_key()


@pytest.mark.parametrize(
    ("expression", "text", "variables"),
    [
        ("I(x^2)", "I(x ** 2)", ("x",)),
        ("I( x**2 )", "I(x ** 2)", ("x",)),
        ("I((x))", "I(x)", ("x",)),
        ("I(x*(z+1)/w)", "I(x * (z + 1) / w)", ("x", "z", "w")),
        ("I(x-(z-w))", "I(x - (z - w))", ("x", "z", "w")),
        ("I((x*z)/w)", "I(x * z / w)", ("x", "z", "w")),
        ("I(x/(z*w))", "I(x / (z * w))", ("x", "z", "w")),
        ("I(-x^2)", "I(-x ** 2)", ("x",)),
        ("I((-x)^2)", "I((-x) ** 2)", ("x",)),
        ("I(x^-1)", "I(x ** (-1))", ("x",)),
        ("I((x^z)^w)", "I((x ** z) ** w)", ("x", "z", "w")),
        ("I(x^z^w)", "I(x ** z ** w)", ("x", "z", "w")),
        ("I(-(x+z))", "I(-(x + z))", ("x", "z")),
        ("I(x - -z)", "I(x - -z)", ("x", "z")),
        ("I(x*-z)", "I(x * -z)", ("x", "z")),
        ("I(x>1)", "I(x > 1)", ("x",)),
        ("I((x>1)*z)", "I((x > 1) * z)", ("x", "z")),
        ("I((x>1)==(z>1))", "I((x > 1) == (z > 1))", ("x", "z")),
        ("I(s == \"m\")", "I(s == 'm')", ("s",)),
        ("I(1e3*x + 1.50 + 1e-7)", "I(1000.0 * x + 1.5 + 1e-07)", ("x",)),
        ("log(x)", "log(x)", ("x",)),
        ("log(abs(x)+1)", "log(abs(x) + 1)", ("x",)),
        ("scale( x )", "scale(x)", ("x",)),
        ("center(`a b`)", "center(`a b`)", ("a b",)),
        ("log(IQ.ver)", "log(`IQ.ver`)", ("IQ.ver",)),
        ("I(`a b` + z^2 + `a b`)", "I(`a b` + z ** 2 + `a b`)", ("a b", "z")),
        ("log(हिंदी)", "log(हिंदी)", ("हिंदी",)),
        ("IQ.ver", "`IQ.ver`", ("IQ.ver",)),
        ("`x`", "x", ("x",)),
        ("µg", "`µg`", ("µg",)),
        ("class", "`class`", ("class",)),
        ("x:`a b`", "x:`a b`", ("x", "a b")),
    ],
)  # fmt: skip
def test_factors_are_named_as_formulaic_names_them(expression, text, variables):
    fixed = parse_formula(f"y ~ 0 + {expression} + (1 | g)").fixed
    (term,) = fixed.terms
    assert (term.name, fixed.variables) == (text, variables)

    formulaic, pandas = pytest.importorskip("formulaic"), pytest.importorskip("pandas")
    numbers = ["x", "z", "w", "a b", "IQ.ver", "हिंदी", "µg", "class"]
    data = pandas.DataFrame({name: [1.0, 2.0, 3.5] for name in numbers} | {"s": ["m", "f", "m"]})
    (column,) = formulaic.model_matrix("0 + " + term.name, data).columns
    assert column.removesuffix("[T.True]") == term.label


def test_reading_takes_a_fraction_of_a_millisecond():
    def read():
        module._parse.__wrapped__("weight ~ week + (week | id)", None)

    assert min(timeit.repeat(read, number=100, repeat=10)) / 100 < 1e-3  # about 0.1 ms; a loose bound for busy machines
