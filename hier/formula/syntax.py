"""The grammar of a formula: text to a tree whose every node knows its place in the text.

Operators from loosest to tightest: `~`, `| ||`, comparisons, `+ -`, `* /`, `%in%`, `:`, a sign, `^ **`.
All group to the left but the power, which groups to the right; comparisons do not chain.
Source: R's `?Syntax` for the order, `?formula` for the meaning, and lme4's vignette "Fitting Linear Mixed-Effects
Models Using lme4" (section 2.2) for the bars.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hier.errors import FormulaError
from hier.formula.tokens import Span, Token, tokenize
from hier.formula.vocabulary import CONSTANTS

MAX_NESTING = 40  # parentheses, calls, signs and powers inside one another
MAX_DEPTH = 100  # levels of the tree; a sum of terms is one level however long, so walks may recurse


@dataclass(frozen=True, slots=True)
class Name:
    """A column's name, without its back-quotes."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number; whole numbers written without point or exponent are `int`. `name`: of a constant that was
    written by name, as `pi`.
    """

    value: int | float
    span: Span
    name: str | None = None


@dataclass(frozen=True, slots=True)
class String:
    """Quoted text."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to arguments, `log(x)`."""

    function: Name
    arguments: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class NamedArgument:
    """An argument that is given by its name, `degree = 2`."""

    name: Name
    value: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before its operand."""

    op: str
    operand: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands; the power is always written `**`."""

    op: str
    left: Node
    right: Node
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Bar:
    """A random term: the columns before the bar vary by the grouping factor after it."""

    left: Node
    right: Node
    correlated: bool
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Paren:
    """An expression in parentheses, which the span includes."""

    inner: Node
    span: Span


Node = Name | Number | String | Call | NamedArgument | Unary | Binary | Bar | Paren

COMPARISONS = frozenset({"<", ">", "<=", ">=", "==", "!="})
BARS = frozenset({"|", "||"})
_SIGN, _POWER = 7, 8
_BINDS = {
    **dict.fromkeys(BARS, 1),
    **dict.fromkeys(COMPARISONS, 2),
    "+": 3,
    "-": 3,
    "*": 4,
    "/": 4,
    "%in%": 5,
    ":": 6,
    "^": _POWER,
    "**": _POWER,
}


def parse(text: str, columns: Collection[str] = ()) -> list[Binary]:
    """The trees of a whole formula, each a `~`: first the response's, then those of further parameters.

    `columns`: names that are columns' and no constants, where the table has a column `pi`.

    `y ~ x + (1 | g), sigma ~ x` has two. Raises `FormulaError`, and nothing else, with the span of the place that
    cannot be read.
    """
    tokens = tokenize(text)
    if len(tokens) == 1:
        raise FormulaError("the formula is empty", text, (0, len(text)), expected="response ~ terms + (terms | group)")
    return [_parse_one(text, part, columns, is_first=not k) for k, part in enumerate(_parts(tokens))]


def _parts(tokens: list[Token]) -> list[list[Token]]:
    """The words of each formula, closed by an `end`: at a comma outside parentheses the next formula begins.

    Such a comma must be followed by a name and `~`; any other is left for the parser to refuse.
    """
    parts, start, depth = [], 0, 0
    for at, token in enumerate(tokens):
        if token.kind == "op":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        begins = [t.text for t in tokens[at + 2 : at + 3]] == ["~"] and tokens[at + 1].kind in ("name", "quoted")
        if token.kind == "op" and token.text == "," and depth <= 0 and begins and at > start:
            parts.append([*tokens[start:at], Token("end", "", token.span)])
            start = at + 1
    return [*parts, tokens[start:]]


def _parse_one(text: str, tokens: list[Token], columns: Collection[str], *, is_first: bool) -> Binary:
    """The tree of one formula."""
    tildes = [token for token in tokens if token.kind == "op" and token.text == "~"]
    if not tildes:
        raise FormulaError(
            "there is no `~` in the formula", text, _extent(tokens), expected="response ~ terms + (terms | group)"
        )
    if len(tildes) > 1:
        raise FormulaError(
            "a formula has one `~`, between the response and the terms", text, tildes[1].span, found="a second `~`"
        )
    if is_first and tokens[0] is tildes[0]:
        raise FormulaError(
            "there is no response before `~`: a formula without a response is not supported yet", text, tokens[0].span
        )
    return _Parser(text, tokens, columns).formula()


def strip(node: Node) -> Node:
    """The node inside its parentheses, if it has any."""
    while isinstance(node, Paren):
        node = node.inner
    return node


def addends(node: Node) -> list[Node]:
    """The pieces that a sum joins with `+`, in the order of writing."""
    found: list[Node] = []
    while isinstance(node, Binary) and node.op == "+":
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def source(text: str, span: Span) -> str:
    """How the user wrote what stands at `span`, shortened for a message."""
    written = text[span[0] : span[1]]
    return written if len(written) <= 60 else written[:57] + "..."


def _extent(tokens: list[Token]) -> Span:
    return tokens[0].span[0], tokens[-2].span[1] if len(tokens) > 1 else tokens[0].span[1]


class _Parser:
    """A cursor over the tokens; each method reads one construct and leaves the cursor behind it."""

    def __init__(self, text: str, tokens: list[Token], columns: Collection[str]) -> None:
        self.text, self.tokens, self.columns = text, tokens, columns
        self.at = self.nesting = self.calls = 0
        self.depth = 0  # of the node that was read last

    def error(self, what: str, span: Span, *, found: str | None = None, hint: str | None = None) -> FormulaError:
        return FormulaError(what, self.text, span, found=found, hint=hint)

    def is_op(self, op: str) -> bool:
        token = self.tokens[self.at]
        return token.kind == "op" and token.text == op

    def formula(self) -> Binary:
        left = self.expression(0)
        if not self.is_op("~"):
            raise self.unexpected()
        tilde = self.tokens[self.at]
        self.at += 1
        right = self.expression(0)
        if self.tokens[self.at].kind != "end":
            raise self.unexpected()
        return Binary("~", left, right, (left.span[0], right.span[1]), tilde.span)

    def expression(self, tightest: int) -> Node:
        """An operand and every operator after it that binds tighter than `tightest`."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.error(f"the formula is nested more than {MAX_NESTING} deep", self.tokens[self.at].span)
        left = self.operand()
        while True:
            token = self.tokens[self.at]
            binds = _BINDS.get(token.text, 0) if token.kind == "op" else 0
            if binds <= tightest:
                break
            left = self.operation(left, token, binds)
        self.nesting -= 1
        return left

    def operation(self, left: Node, token: Token, binds: int) -> Node:
        """One operator and its right operand, joined to the left operand."""
        if token.text in BARS and isinstance(left, Bar):
            raise self.error("a random term has one bar: its columns, then one grouping factor", token.span)
        if token.text in COMPARISONS and isinstance(left, Binary) and left.op in COMPARISONS:
            raise self.error("comparisons cannot be chained", token.span, hint="put one of them in parentheses")
        self.at += 1
        left_depth = self.depth
        # The power groups to the right and its exponent may carry a sign, so it reads on at the level of a sign.
        right = self.expression(_SIGN - 1 if binds == _POWER else binds)
        in_sum = token.text == "+" and not self.calls and isinstance(left, Binary) and left.op == "+"
        self.deepen(max(left_depth - in_sum, self.depth), token.span)
        span = (left.span[0], right.span[1])
        if token.text in BARS:
            return Bar(left, right, token.text == "|", span, token.span)
        return Binary("**" if binds == _POWER else token.text, left, right, span, token.span)

    def deepen(self, below: int, span: Span) -> None:
        """Count the node that now stands above `below` levels."""
        self.depth = below + 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"the formula is more than {MAX_DEPTH} operations deep", span)

    def operand(self) -> Node:
        """A name, a number, quoted text, a call, something in parentheses, or a sign and its operand."""
        token = self.tokens[self.at]
        kind, text, span = token
        if kind == "op":
            if text == "(":
                return self.parenthesis()
            if text in ("+", "-"):
                self.at += 1
                inner = self.expression(_SIGN)
                self.deepen(self.depth, span)
                return Unary(text, inner, (span[0], inner.span[1]))
            raise self.missing_operand()
        if kind == "end":
            raise self.missing_operand()
        self.at += 1
        self.depth = 1
        if kind == "name":
            if self.is_op("("):
                return self.call(Name(text, span))
            if text in CONSTANTS and text not in self.columns:
                return Number(CONSTANTS[text], span, text)
            return Name(text, span)
        if kind == "quoted":
            return Name(text, span)
        if kind == "string":
            return String(text, span)
        whole = text.isdigit()
        return Number(int(text.lstrip("0") or "0") if whole else float(text), span)

    def parenthesis(self) -> Paren:
        opening = self.tokens[self.at]
        self.at += 1
        if self.is_op(")"):
            raise self.error(
                "there is nothing between these parentheses", (opening.span[0], self.tokens[self.at].span[1])
            )
        inner = self.expression(0)
        self.deepen(self.depth, opening.span)
        return Paren(inner, (opening.span[0], self.close(opening)))

    def call(self, function: Name) -> Call:
        opening = self.tokens[self.at]
        self.at += 1
        if self.is_op(")"):
            span = (function.span[0], self.tokens[self.at].span[1])
            raise self.error(f"the function `{function.text}` is applied to nothing", span)
        self.calls += 1
        arguments, deepest = [self.argument()], self.depth
        while self.is_op(","):
            self.at += 1
            arguments.append(self.argument())
            deepest = max(deepest, self.depth)
        self.calls -= 1
        self.deepen(deepest, function.span)
        return Call(function, tuple(arguments), (function.span[0], self.close(opening)))

    def argument(self) -> Node:
        """An argument of a function, which may have its name before it."""
        first, second = self.tokens[self.at], self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if first.kind != "name" or second.kind != "op" or second.text != "=":
            return self.expression(0)
        self.at += 2
        value = self.expression(0)
        return NamedArgument(Name(first.text, first.span), value, (first.span[0], value.span[1]))

    def close(self, opening: Token) -> int:
        """Step over the closing parenthesis and say where it ends."""
        token = self.tokens[self.at]
        if token.kind == "end":
            raise self.error("this parenthesis is never closed", opening.span)
        if not self.is_op(")"):
            raise self.unexpected()
        self.at += 1
        return token.span[1]

    def missing_operand(self) -> FormulaError:
        """Why no operand begins here, told from the token before."""
        token = self.tokens[self.at]
        before = self.tokens[self.at - 1] if self.at else None
        if token.kind == "op" and token.text in BARS and (before is None or before.text in ("(", "~", "+")):
            return self.error(
                f"an empty random term: there is nothing before `{token.text}`",
                token.span,
                hint="write `(1 | group)` for intercepts that vary by group",
            )
        if before is None:
            return self.error(f"the formula cannot begin with `{token.text}`", token.span)
        if before.kind == "op" and before.text in BARS:
            return self.error(f"there is no grouping factor after `{before.text}`", before.span)
        if token.text == before.text == ":" and token.kind == before.kind == "op":
            return self.error("a function is named without its package", token.span, hint="write `ns(x, df = 3)`")
        if token.kind == "end" and before.text == "(":
            return self.error("this parenthesis is never closed", before.span)
        if token.kind == "end" or token.text in (")", "~"):
            return self.error(f"there is nothing after `{before.text}`", before.span)
        return self.error(f"`{token.text}` cannot follow `{before.text}`", token.span)

    def unexpected(self) -> FormulaError:
        """Why the expression cannot go on with this token."""
        token = self.tokens[self.at]
        if token.text == ")" and token.kind == "op":
            return self.error("this parenthesis was never opened", token.span)
        if token.text == "~" and token.kind == "op":
            return self.error("`~` cannot stand inside parentheses", token.span)
        if token.text == "=" and token.kind == "op":
            return self.error(
                "`=` stands only between an argument's name and its value",
                token.span,
                hint="a comparison is written `==`",
            )
        if token.text == "," and token.kind == "op":
            return self.error("a comma stands only between the arguments of a function", token.span)
        before = self.tokens[self.at - 1]
        if token.text == "(":
            return self.error("only a function's name can stand directly before `(`", before.span)
        shown = self.text[token.span[0] : token.span[1]][:40]
        return self.error("an operator is missing before this", token.span, found=shown)
