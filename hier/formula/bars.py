"""The random terms of a model: which columns vary by which grouping factor.

`(x | g)` lets the intercept and the slope of x vary by g, with a correlation; `(x || g)` without one.
Source: lme4's vignette "Fitting Linear Mixed-Effects Models Using lme4", section 2.2, table 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from hier.errors import FormulaError
from hier.formula.allowlist import COVARIANCE_TAGS, NOT_YET, check_name
from hier.formula.factors import quote
from hier.formula.syntax import Bar, Binary, Call, Name, Node, Paren, Unary, addends, source, strip
from hier.formula.terms import LinearPart, expand
from hier.formula.tokens import Span


@dataclass(frozen=True)
class RandomTerm:
    """Columns whose coefficients vary by the levels of a grouping factor."""

    columns: LinearPart
    group: str
    group_span: Span
    correlated: bool
    span: Span

    def terms_key(self) -> tuple[object, ...]:
        """The columns, the group and the bar without their places in the text."""
        return (self.columns.terms_key(), self.group, self.correlated)

    def __str__(self) -> str:
        return f"({self.columns} {'|' if self.correlated else '||'} {quote(self.group)})"


def split_bars(node: Node, text: str) -> tuple[Node | None, list[RandomTerm]]:
    """The right-hand side without its random terms (None if nothing is left), and the random terms.

    Random terms are the addends of a sum. A bar elsewhere stays where it is, for `expand` to refuse.
    """
    if isinstance(node, Paren):
        inner = strip(node)
        if isinstance(inner, Bar):
            return None, [_random_term(inner, node.span, text)]
        return split_bars(inner, text) if _is_sum(inner) else (inner, [])
    if isinstance(node, Bar):
        raise FormulaError(
            "a random term needs parentheses around it",
            text,
            node.op_span,
            hint="for example `week + (week | id)`",
        )
    if isinstance(node, Call):
        _refuse_tag(node, text)
    if isinstance(node, Unary):
        _refuse_minus(node.op, node.operand, text)
        if node.op == "+":
            return split_bars(node.operand, text)
    if isinstance(node, Binary) and _is_sum(node):
        return _split_sum(node, text)
    return node, []


def _is_sum(node: Node) -> bool:
    return (isinstance(node, Binary) and node.op in ("+", "-")) or isinstance(node, (Unary, Call))


def _split_sum(node: Binary, text: str) -> tuple[Node | None, list[RandomTerm]]:
    """A sum or difference, put together again from what is left of its pieces."""
    if node.op == "-":
        _refuse_minus(node.op, node.right, text)
        left, random = split_bars(node.left, text)
        if left is None:
            return Unary("-", node.right, (node.op_span[0], node.right.span[1])), random
        return Binary("-", left, node.right, node.span, node.op_span), random
    kept: Node | None = None
    random = []
    for addend in addends(node):
        rest, found = split_bars(addend, text)
        random += found
        if kept is None or rest is None:
            kept = rest if kept is None else kept
        else:
            kept = Binary("+", kept, rest, (kept.span[0], rest.span[1]), node.op_span)
    return kept, random


def _refuse_minus(op: str, operand: Node, text: str) -> None:
    if op == "-" and isinstance(strip(operand), Bar):
        raise FormulaError("a random term cannot be subtracted", text, operand.span, hint="leave it out instead")


def _refuse_tag(node: Call, text: str) -> None:
    """A covariance structure, written as a function around a random term."""
    name = node.function.text
    if name in COVARIANCE_TAGS and any(isinstance(strip(a), Bar) for a in node.arguments):
        raise FormulaError(
            f"the covariance structure `{name}( | )` is not supported yet",
            text,
            node.function.span,
            expected="`( | )` for correlated or `( || )` for uncorrelated columns",
        )


def _random_term(bar: Bar, span: Span, text: str) -> RandomTerm:
    """The random term of one bar; `span` includes its parentheses."""
    group = _group(bar.right, text)
    columns = expand(bar.left, text, strip(bar.left).span)
    if not columns.intercept and not columns.terms:
        raise FormulaError("this random term has no columns", text, bar.left.span, hint="`1` stands for the intercept")
    for term in columns.terms:
        for factor in term.factors:
            if group.text in factor.variables:
                raise FormulaError(
                    f"`{group.text}` cannot vary within the levels that it defines",
                    text,
                    factor.span,
                    hint=f"write `(1 | {quote(group.text)})` for intercepts that vary by `{group.text}`",
                )
    return RandomTerm(columns, group.text, group.span, bar.correlated, span)


def _group(node: Node, text: str) -> Name:
    """The grouping factor: the name of one column."""
    node = strip(node)
    if isinstance(node, Name):
        check_name(node, text, inside_call=False)
        return node
    if isinstance(node, Binary) and node.op in ("/", ":", "*", "%in%", "+"):
        words = {"/": "nested", "%in%": "nested", ":": "interacting"}.get(node.op, "several")
        raise FormulaError(
            f"{words} grouping factors `{source(text, node.span)}` are not supported yet",
            text,
            node.span,
            expected="the name of one column",
        )
    if isinstance(node, Call) and node.function.text in NOT_YET:
        raise FormulaError(
            f"`{node.function.text}()` around a grouping factor is not supported yet",
            text,
            node.function.span,
            hint="name the column alone: its values are levels as they stand",
        )
    raise FormulaError(
        "a grouping factor is the name of a column",
        text,
        node.span,
        found=source(text, node.span),
        hint="compute the column in the data before fitting",
    )
