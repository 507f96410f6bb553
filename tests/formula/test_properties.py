"""What holds for every text: a formula or a refusal, nothing else; and a formula survives being printed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hier.errors import FormulaError
from hier.formula import parse_formula
from hier.formula.syntax import Binary, Call, Name
from hier.formula.vocabulary import ALLOWED, EXPRESSIONS, FLAGS

NAMES = ["x", "z", "w", "IQ.ver", "`a b`", "été", "class"]
PIECES = [
    *NAMES,
    *["y", "g", "0", "1", "2", "0.5", "1e3", "~", "+", "-", "*", "/", ":", "^", "**", "%in%", "|", "||", "(", ")"],
    *["(1|g)", "(1|g/h)", "y~", "log(", "I(", "poly(", "C(", "cs(", "contr.sum", "offset(", "cbind(", "trials("],
    *[
        ",",
        "==",
        "<",
        "=",
        "'m'",
        "`",
        '"',
        ".",
        " ",
        "\n",
        "[",
        "]",
        "TRUE",
        "__x__",
        "import",
        "lambda",
        "%",
        "\\",
        "#",
    ],
]

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
calls = st.builds("{}({})".format, st.sampled_from(sorted({*ALLOWED} - {*EXPRESSIONS, "cut"})), expressions)
options = st.sampled_from(
    ["poly({}, 2)", "poly({}, degree=3, raw=TRUE)", "bs({}, df=5)", "ns({}, knots=c(1, -2.5))", "log({}, 2)",
     "scale({}, TRUE, FALSE)", "factor({})", "ordered({})", "C({}, contr.sum)", "C({}, contr.treatment('b'))",
     "ave({}, g)", "I(x - ave({}, k))", "pmax({}, 0, x)", "ifelse({} > 2, 'a', 'b')", "cut({}, c(-Inf, 0, 2.5))",
     "I({} %in% c('a', 'b'))", "I(2 * {} %in% c(1, -2) + pi)", "as.numeric(as.Date({}) - as.Date('2020-01-01'))",
     "rcs({}, 4)", "C(factor({}), contr.helmert)", "C({}, Treatment(reference=2))"]
)  # fmt: skip
variables = columns | calls | st.builds(str.format, options, columns)


def combine(inner):
    return st.one_of(
        st.builds("{}{}{}".format, inner, st.sampled_from([" + ", ":", "*", "/", " %in% ", " - "]), inner),
        st.builds("({} + {})^{}".format, inner, inner, st.integers(1, 3)),
        st.builds("({})".format, inner),
    )


terms = st.recursive(variables, combine, max_leaves=6)
formulas = st.builds(
    "{} ~ {}{}{} + {}".format,
    st.sampled_from(["y", "log(y)", "I(y / 10)", "cbind(y, n - y)", "y/n", "y | trials(n)", "y | trials(12)"]),
    st.sampled_from(["", "0 + ", "1 + ", "offset(log(n)) + "]),
    terms,
    st.sampled_from(["", " + offset(`a b` * 2)"]),
    st.builds(
        str.format,
        st.sampled_from(
            ["(1 + {} | {})", "(1 + {} || {})", "us(1 + {} | {})", "cs(1 + {} | {})", "diag(1 + {} | {}, hom = TRUE)",
             "ar1(1 + {}|{}, hom=FALSE)"]
        ),
        terms,
        st.sampled_from(["g", "`the group`", "g.h", "g/h", "g/h/k", "g:h", "h %in% g", "factor(g)"]),
    ),
)  # fmt: skip


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


def walk(node):
    """The nodes of a tree."""
    yield node
    match node:
        case Call():
            inner = node.arguments
        case Binary():
            inner = (node.left, node.right)
        case _:
            inner = [getattr(node, name) for name in ("operand", "inner", "value") if hasattr(node, name)]
    for own in inner:
        if not isinstance(own, int | float | str):
            yield from walk(own)


def check(formula):
    """What is evaluated is made of allowed calls, constants and columns; the printed form means the same."""
    parts = [formula.fixed, *[r.columns for r in formula.random]]
    factors = [formula.response, *[f for part in parts for t in part.terms for f in t.factors]]
    factors += [f for part in parts for f in part.offsets]
    for factor in factors:
        nodes = list(walk(factor.tree))
        assert {node.text for node in nodes if isinstance(node, Name)} <= {*factor.variables, *FLAGS, "Inf"}
        assert {node.function.text for node in nodes if isinstance(node, Call)} <= {*ALLOWED, "c"}
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
