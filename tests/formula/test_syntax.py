"""The tokeniser and the grammar: places in the text, order of operators, bounds."""

import pytest

from hier.errors import FormulaError
from hier.formula.syntax import MAX_DEPTH, MAX_NESTING, Bar, Binary, Call, Name, Number, Paren, String, Unary, parse
from hier.formula.tokens import MAX_LENGTH, tokenize


def shape(node):
    """The tree without spans, as nested tuples."""
    match node:
        case Name():
            return node.text
        case Number() | String():
            return node.value
        case Paren():
            return ("()", shape(node.inner))
        case Call():
            return (node.function.text, *[shape(a) for a in node.arguments])
        case Unary():
            return (node.op, shape(node.operand))
        case Bar():
            return ("|" if node.correlated else "||", shape(node.left), shape(node.right))
        case Binary():
            return (node.op, shape(node.left), shape(node.right))


def right(text):
    return shape(parse(f"y ~ {text}")[0].right)


def test_tokens_carry_their_place():
    text = "y ~ `a b` + IQ.ver.cen ^ 2.5e-1 %in% été || 'm'"
    found = [(t.kind, t.text, text[slice(*t.span)]) for t in tokenize(text)]
    assert found == [
        ("name", "y", "y"),
        ("op", "~", "~"),
        ("quoted", "a b", "`a b`"),
        ("op", "+", "+"),
        ("name", "IQ.ver.cen", "IQ.ver.cen"),
        ("op", "^", "^"),
        ("number", "2.5e-1", "2.5e-1"),
        ("op", "%in%", "%in%"),
        ("name", "été", "été"),
        ("op", "||", "||"),
        ("string", "m", "'m'"),
        ("end", "", ""),
    ]


def test_nodes_carry_their_place():
    text = "y ~ log( x ) + (1 + z | g)"
    (tree,) = parse(text)
    assert isinstance(tree.right, Binary)
    call, paren = tree.right.left, tree.right.right
    assert isinstance(call, Call)
    assert isinstance(paren, Paren)
    bar = paren.inner
    assert isinstance(bar, Bar)
    nodes = [tree, tree.left, call, call.function, call.arguments[0], paren, bar, bar.left, bar.right]
    assert [text[slice(*node.span)] for node in nodes] == [
        text, "y", "log( x )", "log", "x", "(1 + z | g)", "1 + z | g", "1 + z", "g",
    ]  # fmt: skip
    assert text[slice(*bar.op_span)] == "|"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b - c", ("-", ("+", "a", "b"), "c")),
        ("a + b * c", ("+", "a", ("*", "b", "c"))),
        ("a * b : c", ("*", "a", (":", "b", "c"))),
        ("a / b %in% c", ("/", "a", ("%in%", "b", "c"))),
        ("a %in% b : c", ("%in%", "a", (":", "b", "c"))),
        ("a : b ^ 2", (":", "a", ("**", "b", 2))),
        ("a ^ b ** c", ("**", "a", ("**", "b", "c"))),
        ("-a ^ 2", ("-", ("**", "a", 2))),
        ("-a : b", (":", ("-", "a"), "b")),
        ("a ^ -2 * b", ("*", ("**", "a", ("-", 2)), "b")),
        ("- - a", ("-", ("-", "a"))),
        ("a / b / c", ("/", ("/", "a", "b"), "c")),
        ("(a + b) : c", (":", ("()", ("+", "a", "b")), "c")),
        ("1 + x | g", ("|", ("+", 1, "x"), "g")),
        ("(0 + x || g)", ("()", ("||", ("+", 0, "x"), "g"))),
        ("I(x > 1 + 2)", ("I", (">", "x", ("+", 1, 2)))),
        ("f(a, .5, 'b')", ("f", "a", 0.5, "b")),
        ("007 + 1. + 1e3", ("+", ("+", 7, 1.0), 1000.0)),
        ("a+b\n\t+ c", ("+", ("+", "a", "b"), "c")),
        (".x + _z + x..y", ("+", ("+", ".x", "_z"), "x..y")),
    ],
)
def test_order_of_operators(text, tree):
    assert right(text) == tree


def test_whole_numbers_stay_whole():
    node = parse("y ~ 2 + 2.0")[0].right
    assert isinstance(node, Binary)
    assert [type(n.value) for n in (node.left, node.right) if isinstance(n, Number)] == [int, float]


@pytest.mark.parametrize(
    "text",
    [
        "y ~ " + "(" * 5000 + "x" + ")" * 4000,
        "y ~ " + "(" * (MAX_NESTING + 1) + "x" + ")" * (MAX_NESTING + 1),
        "y ~ " + "-" * 5000 + "x",
        "y ~ " + "x^" * 4000 + "2",
        "y ~ " + "log(" * 1900 + "x" + ")" * 1900,
        "y ~ " + "(" * 9000,
    ],
)
def test_deep_nesting_is_refused(text):
    with pytest.raises(FormulaError, match="nested more than"):
        parse(text)


@pytest.mark.parametrize(
    "text", [op.join(["x"] * 2000) for op in ("-", "*", ":", "/")] + [f"I({'+'.join('x' * 2000)})"]
)
def test_endless_chains_are_refused(text):
    with pytest.raises(FormulaError, match=f"more than {MAX_DEPTH} operations deep"):
        parse("y ~ " + text)


def test_long_text_is_refused():
    assert len(tokenize("y" * MAX_LENGTH)) == 2
    with pytest.raises(FormulaError, match="longer than"):
        tokenize("y" * (MAX_LENGTH + 1))


def test_huge_numbers_are_refused():
    with pytest.raises(FormulaError, match="too large"):
        parse("y ~ " + "9" * 5000)
    assert right("0" * 5000 + "1") == 1
