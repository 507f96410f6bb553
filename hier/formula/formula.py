"""A mixed model's formula as a value: a response, fixed effects, and random terms by a grouping factor.

Source: lme4's vignette "Fitting Linear Mixed-Effects Models Using lme4", section 2.1; R's `?formula`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hier.errors import FormulaError
from hier.formula.bars import RandomTerm, split_bars
from hier.formula.factors import Factor, make_factor
from hier.formula.syntax import Bar, Binary, Call, Name, Node, parse, source, strip
from hier.formula.terms import LinearPart, Term, expand
from hier.formula.tokens import MAX_LENGTH

__all__ = ["Factor", "Formula", "LinearPart", "RandomTerm", "Term", "parse_formula"]


@dataclass(frozen=True)
class Formula:
    """What is explained, by what, and what varies by group; `text` is the formula as the user wrote it."""

    text: str
    response: Factor
    fixed: LinearPart
    random: tuple[RandomTerm, ...]

    def terms_key(self) -> tuple[object, ...]:
        """What makes two formulas the same model: everything but the text and the places in it."""
        return (self.response.text, self.fixed.terms_key(), tuple([r.terms_key() for r in self.random]))

    def __str__(self) -> str:
        """The formula in lme4's style with every term written out; it parses to the same terms."""
        return " + ".join([f"{self.response.text} ~ {self.fixed}", *[str(r) for r in self.random]])


def parse_formula(text: str) -> Formula:
    """Read a formula such as `weight ~ week + (week | id)`.

    Raises `FormulaError`, and nothing else, with a caret under what cannot be read or is not supported yet.
    """
    if not isinstance(text, str):
        raise FormulaError("a formula is text", "", (0, 0), found=type(text).__name__)
    return _parse(text)


@lru_cache(maxsize=512)
def _parse(text: str) -> Formula:
    tree = parse(text)
    response = _response(tree.left, text)
    rest, random = split_bars(tree.right, text)
    fixed = expand(rest, text, tree.right.span if rest is None else rest.span)
    if not random:
        raise FormulaError(
            "there is no random effects term in the formula",
            text,
            tree.right.span,
            hint="hier fits models with groups: add a term such as `(1 | group)`",
        )
    _check_one_group(random, text)
    _check_columns_once(random, text)
    formula = Formula(text, response, fixed, tuple(random))
    _check_response_apart(formula)
    if len(str(formula)) > MAX_LENGTH:  # so that every formula that is accepted can be printed and read again
        raise FormulaError("the formula stands for too many interactions", text, tree.right.span)
    return formula


def _response(node: Node, text: str) -> Factor:
    """The response: a column, or an allowed function of columns."""
    node = strip(node)
    if isinstance(node, (Name, Call)):
        return make_factor(node, text)
    if isinstance(node, Bar):
        raise FormulaError("a response with additions such as `y | trials(n)` is not supported yet", text, node.op_span)
    if isinstance(node, Binary) and node.op == "/":
        raise FormulaError(
            "a response of successes over trials `y / n` is not supported yet",
            text,
            node.op_span,
            hint=f"write I({source(text, node.span)}) if the ratio itself is the response",
        )
    raise FormulaError(
        "the response must be a column or an allowed function of columns",
        text,
        node.span,
        found=source(text, node.span),
        hint=f"write I({source(text, node.span)}) for arithmetic" if isinstance(node, Binary) else None,
    )


def _check_one_group(random: list[RandomTerm], text: str) -> None:
    first = random[0].group
    for term in random:
        if term.group != first:
            raise FormulaError(
                f"more than one grouping factor (`{first}` and `{term.group}`) is not supported yet",
                text,
                term.group_span,
            )


def _check_columns_once(random: list[RandomTerm], text: str) -> None:
    """Two random terms on one grouping factor must not share a column: its variance would be counted twice."""
    intercept, seen = False, set[frozenset[str]]()
    for part in [term.columns for term in random]:
        if intercept and part.intercept:
            raise FormulaError(
                "the intercept varies in two random terms and would be counted twice",
                text,
                part.span,
                hint=f"begin one of them with 0: `0 + {source(text, part.span)}`"
                if part.terms
                else "leave one of them out",
            )
        for term in part.terms:
            if term.key in seen:
                raise FormulaError(
                    f"`{term.label}` varies in two random terms and would be counted twice", text, term.span
                )
        intercept = intercept or part.intercept
        seen.update([term.key for term in part.terms])


def _right_side(formula: Formula) -> Iterator[Factor]:
    for part in [formula.fixed, *[r.columns for r in formula.random]]:
        for term in part.terms:
            yield from term.factors


def _check_response_apart(formula: Formula) -> None:
    """The response must not explain itself: not as a term, a varying column or the grouping factor.

    A change score such as `I(post - pre) ~ pre` stays allowed: there the response is more than one column.
    """
    response = formula.response
    own = response.variables[0] if len(response.variables) == 1 else None
    message = f"the response `{response.name}` cannot stand on the right side as well"
    for factor in _right_side(formula):
        if factor.text == response.text or own in factor.variables:
            raise FormulaError(message, formula.text, factor.span)
    for term in formula.random:
        if term.group in response.variables:
            raise FormulaError(message, formula.text, term.group_span)
