"""Every formula that cannot be read or fitted, with its message and the place of its caret."""

import pytest

from hier.errors import FormulaError
from hier.formula import parse_formula

G = " + (1|g)"

# formula, part of the message, the text that the caret marks
WRONG = [
    ("", "the formula is empty", ""),
    ("   ", "the formula is empty", "   "),
    ("y", "there is no `~`", "y"),
    ("  y + x ", "there is no `~`", "y + x"),
    ("y ~", "nothing after `~`", "~"),
    ("y ~ x ~ (1|g)", "one `~`", "~"),
    ("y ~ x +", "nothing after `+`", "+"),
    ("y ~ (x + ) + (1|g)", "nothing after `+`", "+"),
    ("* ~ (1|g)", "cannot begin with `*`", "*"),
    ("y ~ * x", "`*` cannot follow `~`", "*"),
    ("y ~ x * / z", "`/` cannot follow `*`", "/"),
    ("y ~ (x + (1|g)", "never closed", "("),
    ("y ~ log(x + (1|g)", "never closed", "("),
    ("y ~ (", "never closed", "("),
    ("y ~ x) + (1|g)", "never opened", ")"),
    ("y ~ ()" + G, "nothing between these parentheses", "()"),
    ("y ~ x z" + G, "an operator is missing", "z"),
    ("y ~ x 'm'" + G, "an operator is missing", "'m'"),
    ("y ~ 2x" + G, "neither a number nor a name", "2x"),
    ("y ~ 0x1F" + G, "neither a number nor a name", "0x1F"),
    ("y ~ 1_000" + G, "neither a number nor a name", "1_000"),
    ("y ~ (1 ~ g)", "one `~`", "~"),
    ("(y ~ (1|g))", "cannot stand inside parentheses", "~"),
    ("y ~ x, z" + G, "a comma stands only", ","),
    ("y ~ x # z" + G, "cannot stand in a formula", "#"),
    ("y ~ x[1]" + G, "cannot stand in a formula", "["),
    ("y ~ d$x" + G, "cannot stand in a formula", "$"),
    ("y ~ x %o% z" + G, "cannot stand in a formula", "%"),
    ("y ~ x & z" + G, "cannot stand in a formula", "&"),
    ("y ~ {x}" + G, "cannot stand in a formula", "{"),
    ("y ~ x\x00" + G, "cannot stand in a formula", "\x00"),
    ("y ~ \ud800" + G, "cannot stand in a formula", "\ud800"),
    ("y ~ `x" + G, "back-quote is never closed", "`"),
    ("y ~ ``" + G, "no name between", "``"),
    ("y ~ `a\\b`" + G, "backslash", "`a\\b`"),
    ("y ~ I(s == 'm)" + G, "quote is never closed", "'"),
    ("y ~ I(s == 'a(')" + G, "not supported yet", "'a('"),
    ("y ~ 'x'" + G, "quoted text cannot be a term", "'x'"),
    ("y ~ 2" + G, "0 and 1", "2"),
    ("y ~ x + 1.5" + G, "0 and 1", "1.5"),
    ("y ~ x - 3" + G, "0 and 1", "3"),
    ("y ~ 2*x" + G, "number cannot be part of an interaction", "2"),
    ("y ~ x:1" + G, "number cannot be part of an interaction", "1"),
    ("y ~ x/10" + G, "number cannot be part of an interaction", "10"),
    ("y ~ x:(-z)" + G, "sign cannot stand inside an interaction", "-z"),
    ("y ~ x^z" + G, "power of terms", "z"),
    ("y ~ x^0" + G, "power of terms", "0"),
    ("y ~ x^1.5" + G, "power of terms", "1.5"),
    ("y ~ x^-1" + G, "power of terms", "-1"),
    ("y ~ (x > 1)" + G, "comparison cannot be a term", ">"),
    ("y ~ x == 1" + G, "comparison cannot be a term", "=="),
    # the random terms
    ("y ~ 1|g", "needs parentheses", "|"),
    ("y ~ x + 1|g", "needs parentheses", "|"),
    ("y ~ (|g)", "an empty random term", "|"),
    ("y ~ |g", "an empty random term", "|"),
    ("y ~ x + (||g)", "an empty random term", "||"),
    ("y ~ (x|)", "no grouping factor after `|`", "|"),
    ("y ~ (x||)", "no grouping factor after `||`", "||"),
    ("y ~ (x|", "no grouping factor after `|`", "|"),
    ("y ~ (1|g|h)", "one bar", "|"),
    ("y ~ (1||g|h)", "one bar", "|"),
    ("y ~ (1|(x|g))", "a grouping factor is the name of a column", "x|g"),
    ("y ~ ((1|h)|g)", "cannot be part of", "1|h"),
    ("y ~ (0|g)", "has no columns", "0"),
    ("y ~ (x - x - 1|g)", "has no columns", "x - x - 1"),
    ("y ~ (x|x)", "cannot vary within the levels that it defines", "x"),
    ("y ~ (a*log(x)|x)", "cannot vary within the levels that it defines", "log(x)"),
    ("y ~ -(1|g)", "cannot be subtracted", "(1|g)"),
    ("y ~ x - (1|g)", "cannot be subtracted", "(1|g)"),
    ("y ~ x - (z + (1|g))", "cannot be part of", "1|g"),
    ("y ~ x:(1|g)", "cannot be part of", "1|g"),
    ("y ~ (1|g)*x", "cannot be part of", "1|g"),
    ("y ~ (x + (1|g))^2", "cannot be part of", "1|g"),
    ("y ~ I(x|g)", "a bar cannot stand inside a function", "|"),
    ("y ~ log((1|g))", "a bar cannot stand inside a function", "|"),
    ("y ~ (1|g)(x)", "only a function's name", ")"),
    ("y ~ (1|3)", "a grouping factor is the name of a column", "3"),
    ("y ~ (1|log(g))", "a grouping factor is the name of a column", "log(g)"),
    ("y ~ (1|g) + (x|g)", "the intercept varies in two random terms", "x"),
    ("y ~ (1|g) + (1|g)", "the intercept varies in two random terms", "1"),
    ("y ~ (x|g) + (0 + x|g)", "`x` varies in two random terms", "x"),
    ("y ~ (a:b|g) + (0 + b:a||g)", "`b:a` varies in two random terms", "b:a"),
    # the response
    ("3 ~ (1|g)", "the response must be a column", "3"),
    ("I(2) ~ (1|g)", "uses no column", "I(2)"),
    ("y ~ y" + G, "cannot stand on the right side", "y"),
    ("y ~ x:log(y)" + G, "cannot stand on the right side", "log(y)"),
    ("log(y) ~ y" + G, "cannot stand on the right side", "y"),
    ("y ~ (y|g)", "cannot stand on the right side", "y"),
    ("y ~ (1|y)", "cannot stand on the right side", "y"),
    ("I(a - b) ~ I(a-b)" + G, "cannot stand on the right side", "I(a-b)"),
    ("I(a - b) ~ (1|a)", "cannot stand on the right side", "a"),
    # functions
    ("y ~ log()" + G, "applied to nothing", "log()"),
    ("y ~ exp(x, 2)" + G, "takes one argument", "2"),
    ("y ~ log(x, 2, 3)" + G, "takes 2 arguments at most", "3"),
    ("y ~ log(x, z)" + G, "no value for `base`", "z"),
    ("y ~ scale(x, scale=0)" + G, "no value for `scale`", "0"),
    ("y ~ scale(x, ddof=0)" + G, "has no argument `ddof`", "ddof"),
    ("y ~ poly(x, degree=2, degree=3)" + G, "given twice", "degree=3"),
    ("y ~ poly(x, 2, degree=3)" + G, "given twice", "degree=3"),
    ("y ~ poly(x, 1.5)" + G, "no value for `degree`", "1.5"),
    ("y ~ poly(x, 1e9)" + G, "no value for `degree`", "1e9"),
    ("y ~ bs(x, knots=c(1, z))" + G, "no value for `knots`", "c(1, z)"),
    ("y ~ bs(x, knots=open('f'))" + G, "no value for `knots`", "open('f')"),
    ("y ~ I(x, y)" + G, "takes one argument", "y"),
    ("y ~ I(x = 2)" + G, "no named argument here", "x = 2"),
    ("y ~ x = 2" + G, "only between an argument's name and its value", "="),
    ("y ~ log(C(x))" + G, "cannot stand inside another function", "C"),
    ("y ~ contr.treatment(x)" + G, "cannot stand inside another function", "contr.treatment"),
    ("y ~ C(f, contr.foo)" + G, "these are no contrasts", "contr.foo"),
    ("y ~ C(f, contr.sum(2))" + G, "takes no such argument", "2"),
    ("y ~ C(f, contr.treatment(g))" + G, "a level in quotes", "g"),
    ("y ~ C(f, contr.sum, 2)" + G, "a column and its contrasts", "2"),
    ("y ~ factor(f, 2)" + G, "takes one argument", "2"),
    ("y ~ factor(2)" + G, "uses no column", "factor(2)"),
    # offsets and the response's additions
    ("y ~ x - offset(z)" + G, "cannot be subtracted", "offset(z)"),
    ("y ~ x:offset(z)" + G, "cannot be part of an interaction", "offset(z)"),
    ("y ~ offset(z, w)" + G, "takes one argument", "w"),
    ("y ~ offset(2)" + G, "uses no column", "2"),
    ("y ~ log(offset(z))" + G, "stands only as a term of its own", "offset"),
    ("y ~ (offset(z)|g)", "cannot vary by group", "z"),
    ("y ~ cbind(a, b)" + G, "stands only as the response", "cbind"),
    ("cbind(a) ~ (1|g)", "the successes and the failures", "cbind(a)"),
    ("y | weights(n) ~ (1|g)", "`trials(n)`", "weights(n)"),
    ("y | trials(1.5) ~ (1|g)", "whole number", "1.5"),
    ("y || trials(n) ~ (1|g)", "`trials(n)`", "trials(n)"),
    # grouping factors and covariance structures
    ("y ~ .", "only as a term of the fixed effects", "."),
    ("y ~ (.|g)", "only as a term of the fixed effects", "."),
    ("y ~ (1|a*b)", "no grouping factor", "a*b"),
    ("y ~ (1|a + b)", "no grouping factor", "a + b"),
    ("y ~ (1|a:a)", "combined with itself", "a"),
    ("y ~ (1|a/(b/c))", "must be one grouping factor", "(b/c)"),
    ("y ~ (1|gr(g))", "a grouping factor is the name of a column", "gr(g)"),
    ("y ~ (x|x:g)", "cannot vary within the levels", "x"),
    ("y ~ (1|a:b) + (1|b:a)", "the intercept varies in two random terms", "1"),
    ("y ~ foo(x|g)", "no covariance structure", "foo"),
    ("y ~ cs(x||g)", "both say how", "||"),
    ("y ~ cs(x|g, 2)", "takes no such argument", "2"),
    ("y ~ cs(x|g, hom = 3)", "no value for `hom`", "hom = 3"),
    ("y ~ us(x|g, hom = TRUE)", "`us` has no argument", "hom = TRUE"),
    ("y ~ lgo(x)" + G, "did you mean `log`", "lgo"),
    ("y ~ np.sqrt(x)" + G, "did you mean `sqrt`", "np.sqrt"),
    ("y ~ Log(x)" + G, "did you mean `log`", "Log"),
    ("y ~ frobnicate(x)" + G, "this function is not allowed", "frobnicate"),
    ("y ~ I(1)" + G, "uses no column", "I(1)"),
    ("y ~ scale(3)" + G, "applied to a constant", "3"),
    ("y ~ I(x:z)" + G, "`:` has no meaning inside a function", ":"),
    ("y ~ I(x %in% z)" + G, "`%in%` asks whether", "z"),
    ("y ~ I(x ~ z)" + G, "one `~`", "~"),
    ("y ~ log('x')" + G, "only be compared with a column", "'x'"),
    ("y ~ I('a'*9 == x)" + G, "only be compared with a column", "'a'"),
    ("y ~ I('a' == 'b')" + G, "only be compared with a column", "'a' == 'b'"),
    ("y ~ I(a < b < c)" + G, "comparisons cannot be chained", "<"),
    ("y ~ I(x + 1/0)" + G, "not a finite number", "1/0"),
    ("y ~ I(x + log(0))" + G, "not a finite number", "log(0)"),
    ("y ~ I(x + exp(9999))" + G, "not a finite number", "exp(9999)"),
    ("y ~ I(x + (0-8)^0.5)" + G, "not a finite number", "(0-8)^0.5"),
    ("y ~ I(x + 9^9^9^9)" + G, "not a finite number", "9^9^9"),
    ("y ~ I(x + 99999^9999)" + G, "not a finite number", "99999^9999"),
    ("y ~ I(x + 9*1e308*9)" + G, "not a finite number", "9*1e308"),
]

NOT_YET = [
    ("~ x" + G, "~"),
    ("y ~ toep(x|g)", "toep"),
    ("y ~ s(x)" + G, "s"),
    ("y ~ mo(x)" + G, "mo"),
    ("y ~ lag(x)" + G, "lag"),
]

# Words of Python, and names that Python would read otherwise: here they are columns, looked up and never run
NAMES = ["yield", "lambda", "None", "`None`", "`import`", "await", "µg", "`a'b`", "`½`", "`x.sum()`", "`open('f')`"]

# Python that must never reach an evaluator, wherever a formula has room for it
HOSTILE = [
    "__import__('os').getcwd()",
    "__import__('os')",
    "__import__",
    "x.__class__",
    "`__class__`",
    "`x.__class__`",
    "` __class__`",
    "().__class__",
    "x.sum()",
    "np.log(x)",
    "(log)(x)",
    "`log`(x)",
    "log(x)(x)",
    "eval(x)",
    "eval('1')",
    "open('f')",
    "x[0]",
    "x[x > 0]",
    "[x for x in y]",
    "(x for x in y)",
    "{x}",
    "lambda: x",
    "lambda x: x",
    "(x := 1)",
    "x := 1",
    "x if x else x",
    "not x",
    "x and x",
    "x is x",
    "x in x",
    "x @ x",
    "x // 2",
    "x % 2",
    "x & x",
    "~x",
    "*x",
    "f'{x}'",
    "b'x'",
    "'a' 'b'",
    "x; x",
    "x\\",
    "...",
    "1j",
    "0x1",
    "log(x, out=x)",
    "log(*x)",
    "log(**x)",
]


def refusal(text):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    error = caught.value
    assert error.text == text
    assert 0 <= error.span[0] <= error.span[1] <= len(text)
    return error


@pytest.mark.parametrize(("text", "message", "marked"), WRONG)
def test_wrong_formulas(text, message, marked):
    error = refusal(text)
    assert message in str(error)
    assert text[slice(*error.span)] == marked


@pytest.mark.parametrize(("text", "marked"), NOT_YET)
def test_formulas_that_are_not_supported_yet(text, marked):
    error = refusal(text)
    assert "not supported yet" in error.what
    assert text[slice(*error.span)] == marked


@pytest.mark.parametrize("code", HOSTILE)
@pytest.mark.parametrize(
    "frame", ["y ~ I({}) + (1|g)", "y ~ log(x + ({})) + (1|g)", "I({}) ~ (1|g)", "y ~ (exp({})|g)"]
)
def test_python_code_is_refused(code, frame):
    refusal(frame.format(code))


@pytest.mark.parametrize("code", [c for c in HOSTILE if "__" in c or "(" in c or "[" in c])
@pytest.mark.parametrize("frame", ["y ~ {} + (1|g)", "{} ~ (1|g)", "y ~ (1|{})", "y ~ ({}|g)"])
def test_python_code_is_refused_outside_functions_too(code, frame):
    refusal(frame.format(code))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_evaluated_holds_no_name_of_a_column(name):
    formula = parse_formula(f"y ~ I({name}^2) + log({name} + 1) + (exp({name})|g)")
    (column,) = formula.fixed.variables
    assert column == name.strip("`")
    assert all(f.variables == (column,) for t in formula.fixed.terms for f in t.factors)


def test_the_caret_stands_under_the_place():
    assert str(refusal("y ~ week + (week | a*b)")).splitlines()[:3] == [
        "`a*b` is no grouping factor",
        "    y ~ week + (week | a*b)",
        "                       ^^^",
    ]


def test_the_second_tilde_is_marked():
    assert refusal("y ~ x ~ z").span == (6, 7)


@pytest.mark.parametrize("value", [None, 3, b"y ~ x", ["y"]])
def test_a_formula_is_text(value):
    with pytest.raises(FormulaError, match="a formula is text"):
        parse_formula(value)
