"""The linear part of a model: the terms that a formula's operators stand for, in R's order.

    a*b = a + b + a:b        (a+b)^2 = a + b + a:b     a/b = a + a:b      a %in% b = a:b
    - x removes a term       - 1, + 0 remove the intercept, + 1 puts it back: what comes last counts

Main effects come before two-way interactions and so on; within a degree, terms keep the order of writing, and
within a term, variables stand in the order in which the formula first names them.
Source: R's `?formula` (operators) and `?terms.formula` (order); one set of variables a term, as a row of `factors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hier.errors import FormulaError
from hier.formula.factors import Factor, make_factor
from hier.formula.syntax import (
    COMPARISONS,
    Bar,
    Binary,
    Call,
    Name,
    NamedArgument,
    Node,
    Number,
    Unary,
    addends,
    source,
    strip,
)
from hier.formula.tokens import Span

MAX_PRODUCTS = 20_000  # pairs of terms multiplied in one formula; `(a + b + ...)^9` grows fast


@dataclass(frozen=True)
class Term:
    """A main effect or an interaction: the product of its factors."""

    factors: tuple[Factor, ...]
    span: Span

    @property
    def name(self) -> str:
        """The texts of the factors joined by colons, as formulaic reads them."""
        return ":".join([f.text for f in self.factors])

    @property
    def label(self) -> str:
        """The names of the factors joined by colons, as formulaic names the column: without back-quotes."""
        return ":".join([f.name for f in self.factors])

    @property
    def key(self) -> frozenset[str]:
        """What makes two terms the same: their factors, in whatever order."""
        return frozenset([f.text for f in self.factors])


@dataclass(frozen=True)
class LinearPart:
    """An intercept or none, and terms in R's order."""

    intercept: bool
    terms: tuple[Term, ...]
    span: Span
    offsets: tuple[Factor, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that the terms and offsets use, in order of appearance."""
        factors = [*[f for term in self.terms for f in term.factors], *self.offsets]
        return tuple(dict.fromkeys([v for f in factors for v in f.variables]))

    def terms_key(self) -> tuple[object, ...]:
        """The intercept, the terms and the offsets without their places in the text."""
        return (self.intercept, *[term.key for term in self.terms], *[("offset", f.text) for f in self.offsets])

    def __str__(self) -> str:
        names = [*[term.name for term in self.terms], *[f"offset({f.text})" for f in self.offsets]]
        if self.intercept:
            return " + ".join(names if self.terms else ["1", *names])
        return " + ".join(["0", *names])


def expand(node: Node | None, text: str, span: Span, others: Sequence[str] | None = None) -> LinearPart:
    """The linear part that `node` stands for; None is an empty one, which has the intercept that R implies.

    `others`: the columns that `.` stands for, or None where it stands for none.
    """
    expansion = _Expansion(text, others)
    found = expansion.terms(node, adding=True) if node is not None else {}
    ordered = sorted(found, key=int.bit_count)
    terms = tuple([Term(expansion.factors_of(bits), found[bits]) for bits in ordered])
    return LinearPart(expansion.intercept, terms, span, tuple(expansion.offsets))


# A term is a whole number whose bits say which variables it holds; terms are kept with the place that made them.
_Terms = dict[int, Span]


class _Expansion:
    """One walk over a linear part; it remembers the variables met so far and whether there is an intercept."""

    def __init__(self, text: str, others: Sequence[str] | None = None) -> None:
        self.text = text
        self.others = others
        self.offsets: list[Factor] = []
        self.intercept = True
        self.factors: dict[str, Factor] = {}
        self.bits: dict[str, int] = {}
        self.products = 0

    def factors_of(self, bits: int) -> tuple[Factor, ...]:
        return tuple([f for i, f in enumerate(self.factors.values()) if bits >> i & 1])

    def terms(self, node: Node, adding: bool) -> _Terms:
        """The terms of `node`; `adding` turns with each minus sign that stands before it."""
        node = strip(node)
        match node:
            case Name(text=".") if self.others is not None:
                return _join(*[self.variable(Name(name, node.span)) for name in self.others])
            case Call(function=Name(text="offset")):
                return self.offset(node, adding)
            case Name() | Call():
                return self.variable(node)
            case Number():
                self.set_intercept(node, adding)
                return {}
            case Unary():
                found = self.terms(node.operand, adding == (node.op == "+"))
                return found if node.op == "+" else {}  # there is nothing yet to remove terms from
            case Binary(op="+"):
                return _join(*[self.terms(addend, adding) for addend in addends(node)])
            case Binary(op="-"):
                left, removed = self.terms(node.left, adding), self.terms(node.right, not adding)
                return {bits: span for bits, span in left.items() if bits not in removed}
            case Binary(op="**"):
                return self.power(node, adding)
            case Binary():
                return self.combination(node, adding)
            case Bar():
                raise self.bar_inside(node)
            case _:
                raise FormulaError("quoted text cannot be a term", self.text, node.span)

    def variable(self, node: Name | Call) -> _Terms:
        factor = make_factor(node, self.text)
        if factor.text not in self.factors:
            self.bits[factor.text] = 1 << len(self.factors)
            self.factors[factor.text] = factor
        return {self.bits[factor.text]: node.span}

    def offset(self, node: Call, adding: bool) -> _Terms:
        """An offset is a column of its own with the coefficient 1, and no term."""
        first, *more = node.arguments
        if more or isinstance(first, NamedArgument):
            raise FormulaError("`offset` takes one argument", self.text, (more or [first])[0].span)
        if not adding:
            raise FormulaError("an offset cannot be subtracted", self.text, node.span, hint="leave it out instead")
        self.offsets.append(make_factor(first, self.text))
        return {}

    def set_intercept(self, node: Number, adding: bool) -> None:
        if node.value not in (0, 1):
            raise FormulaError(
                "the only numbers that can be terms are 0 and 1",
                self.text,
                node.span,
                found=source(self.text, node.span),
                hint="write I( ) around arithmetic",
            )
        self.intercept = (node.value == 1) == adding

    def combination(self, node: Binary, adding: bool) -> _Terms:
        """The terms of `a:b`, `a*b`, `a/b` and `a %in% b`."""
        if node.op in COMPARISONS:
            raise FormulaError("a comparison cannot be a term", self.text, node.op_span, hint="write I( ) around it")
        left, right = self.operand(node.left, node, adding), self.operand(node.right, node, adding)
        if node.op == ":":
            return self.product(left, right, node)
        if node.op == "*":
            return _join(left, right, self.product(left, right, node))
        if node.op == "/":
            return _join(left, self.product({_union(left): node.span}, right, node))
        return self.product(left, {_union(right): node.span}, node)

    def operand(self, node: Node, within: Binary, adding: bool) -> _Terms:
        """The terms of one side of an interaction, which must be more than a number or a sign."""
        inner = strip(node)
        if isinstance(inner, Number):
            raise FormulaError(
                f"a number cannot be part of an interaction with `{within.op}`",
                self.text,
                inner.span,
                hint=f"write I({source(self.text, within.span)}) for arithmetic",
            )
        if isinstance(inner, Call) and inner.function.text == "offset":
            raise FormulaError("an offset cannot be part of an interaction", self.text, inner.span)
        if isinstance(inner, Unary):
            raise FormulaError(
                "a sign cannot stand inside an interaction",
                self.text,
                inner.span,
                hint="a minus sign removes a term: put parentheses around the whole interaction",
            )
        return self.terms(inner, adding)

    def power(self, node: Binary, adding: bool) -> _Terms:
        """Every interaction up to a degree: the terms multiplied by themselves until nothing new appears."""
        exponent = strip(node.right)
        if not (isinstance(exponent, Number) and exponent.value >= 1 and exponent.value == int(exponent.value)):
            raise FormulaError(
                "the power of terms must be a whole number from 1 up",
                self.text,
                exponent.span,
                found=source(self.text, exponent.span),
                hint=f"write I({source(self.text, node.span)}) for arithmetic",
            )
        base = self.operand(node.left, node, adding)
        found, degree = base, 1
        while degree < exponent.value:
            larger = _join(found, self.product(found, base, node))
            if len(larger) == len(found):
                break
            found, degree = larger, degree + 1
        return found

    def product(self, left: _Terms, right: _Terms, node: Binary) -> _Terms:
        """Each term of the left with each of the right; a variable with itself is that variable."""
        self.products += len(left) * len(right)
        if self.products > MAX_PRODUCTS:
            raise FormulaError("the formula stands for too many interactions", self.text, node.span)
        return {a | b: node.span for a in left for b in right}

    def bar_inside(self, node: Bar) -> FormulaError:
        return FormulaError(
            "a random term cannot be part of an interaction, a difference or another random term",
            self.text,
            node.span,
            hint="join random terms to the others with `+`",
        )


def _union(terms: _Terms) -> int:
    """One term that holds every variable of all of them."""
    bits = 0
    for term in terms:
        bits |= term
    return bits


def _join(*parts: _Terms) -> _Terms:
    """All of the terms, each once, at the place where it was first made."""
    joined: _Terms = {}
    for part in parts:
        for bits, span in part.items():
            joined.setdefault(bits, span)
    return joined
