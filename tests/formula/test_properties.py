"""What holds for every text: a formula or a refusal, nothing else; and a formula survives being printed."""

import ast
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from hier.errors import FormulaError
from hier.formula import parse_formula
from hier.formula.allowlist import ALLOWED

NAMES = ["x", "z", "w", "IQ.ver", "`a b`", "été", "class"]
PIECES = [*NAMES, "y", "g", "0", "1", "2", "0.5", "1e3", "~", "+", "-", "*", "/", ":", "^", "**", "%in%", "|", "||",
          "(", ")", "(1|g)", "y~", "log(", "I(", "poly(", ",", "==", "<", "=", "'m'", "`", '"', ".", " ", "\n", "[",
          "]", "__x__", "import", "lambda", "%", "\\", "#"]  # fmt: skip

columns = st.sampled_from(NAMES)
numbers = st.sampled_from(["1", "2", "0.5", "10", "1e3"])


def arithmetic(inner):
    return st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/"]), numbers),
        st.builds("{} ^ {}".format, inner, st.sampled_from(["1", "0.5"])),  # `x + 10 ^ 1e3` is rightly refused
        st.builds("{} {} ({})".format, inner, st.sampled_from(["+", "-", "*", "/"]), inner),
        st.builds("({}) ^ {}".format, inner, numbers),
        st.builds("-{}".format, inner),
        st.builds("({} > {})".format, numbers, inner),
    )


expressions = st.recursive(st.sampled_from(["x", "z", "w", "été"]), arithmetic, max_leaves=6)
calls = st.builds("{}({})".format, st.sampled_from(sorted(ALLOWED)), expressions)
variables = columns | calls


def combine(inner):
    return st.one_of(
        st.builds("{}{}{}".format, inner, st.sampled_from([" + ", ":", "*", "/", " %in% ", " - "]), inner),
        st.builds("({} + {})^{}".format, inner, inner, st.integers(1, 3)),
        st.builds("({})".format, inner),
    )


terms = st.recursive(variables, combine, max_leaves=6)
formulas = st.builds(
    "{} ~ {}{} + (1 + {}{}{})".format,
    st.sampled_from(["y", "log(y)", "I(y / 10)"]),
    st.sampled_from(["", "0 + ", "1 + "]),
    terms,
    terms,
    st.sampled_from([" | ", "||"]),
    st.sampled_from(["g", "`the group`", "g.h"]),
)


def outcome(text):
    """The formula, or None after checking that the refusal points into the text."""
    try:
        return parse_formula(text)
    except FormulaError as refusal:
        error = refusal
    assert error.text == text
    assert 0 <= error.span[0] <= error.span[1] <= len(text)
    assert text == "" or error.span[0] < error.span[1]
    return None


def check(formula):
    """Factors are safe Python made of allowed calls, and the printed form means the same."""
    parts = [formula.fixed, *[r.columns for r in formula.random]]
    for factor in [formula.response, *[f for part in parts for t in part.terms for f in t.factors]]:
        if factor.is_column:
            continue
        code = re.sub("`[^`]*`", "quoted", factor.text)
        tree = ast.parse(code, mode="eval")
        assert ast.unparse(tree) == code
        for node in ast.walk(tree):
            assert not isinstance(node, (ast.Attribute, ast.Subscript, ast.Lambda, ast.NamedExpr, ast.keyword))
            if isinstance(node, ast.Call):
                assert isinstance(node.func, ast.Name)
                assert node.func.id in ALLOWED
    assert parse_formula(str(formula)).terms_key() == formula.terms_key()


@settings(max_examples=500, deadline=None)
@given(formulas)
def test_a_formula_survives_being_printed(text):
    check(parse_formula(text))


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_sequence_of_words_is_a_formula_or_a_refusal(text):
    formula = outcome(text)
    if formula is not None:
        check(formula)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_any_expression_is_allowed_or_refused(text):
    for whole in (f"y ~ {text} + (1|g)", f"y ~ I({text}) + (1|g)", f"{text} ~ (1|g)", f"y ~ (1 + {text}|g)"):
        formula = outcome(whole)
        if formula is not None:
            check(formula)


@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="yxg01.~+-*/:^|()`'\"<=>%in ,\n_[]{}\\éµ²½", max_size=60))
def test_any_text_is_a_formula_or_a_refusal(text):
    for whole in (text, f"y ~ `{text}` + (1|g)", f"y ~ I(`{text}`) + (1|g)", f"y ~ I(x == '{text}') + (1|g)"):
        formula = outcome(whole)
        if formula is not None:
            check(formula)
