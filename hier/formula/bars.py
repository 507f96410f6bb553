"""The random terms of a model: which columns vary by which grouping factor, and how they vary together.

`(x | g)` lets the intercept and the slope of x vary by g, with a correlation; `(x || g)` without one.
`(1 | a/b)` stands for `(1 | b:a) + (1 | a)`. A name before the bar's parentheses asks for a structure of their
covariance: `us` unstructured, `diag` variances alone, `cs` one correlation, `ar1` correlations that fall off with
distance; `hom = TRUE` makes the variances equal.
Source: lme4's vignettes "Fitting Linear Mixed-Effects Models Using lme4", section 2.2, table 2, and "Covariance
structures".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hier.errors import FormulaError
from hier.formula.allowlist import check_name, covariance_hint
from hier.formula.factors import quote
from hier.formula.syntax import Bar, Binary, Call, Name, NamedArgument, Node, Paren, Unary, addends, source, strip
from hier.formula.terms import LinearPart, expand
from hier.formula.tokens import Span
from hier.formula.vocabulary import ALLOWED, CATEGORICAL, COVARIANCE_TAGS, FLAGS

STRUCTURES = {"us": False, "diag": False, "cs": False, "ar1": True}  # by name: whether variances are equal by default


@dataclass(frozen=True)
class RandomTerm:
    """Columns whose coefficients vary by the levels of a grouping factor.

    `factors`: the columns whose combinations are the levels, one or, for an interaction, several. `structure` of the
    coefficients' covariance: `us`, `diag`, `cs` or `ar1`; `homogeneous`: whether their variances are equal.
    """

    columns: LinearPart
    factors: tuple[str, ...]
    group_span: Span
    structure: str
    homogeneous: bool
    span: Span

    @property
    def group(self) -> str:
        """The grouping factor's name; that of an interaction joins its factors with colons."""
        return ":".join(self.factors)

    def terms_key(self) -> tuple[object, ...]:
        """The columns, the group and the structure without their places in the text."""
        return (self.columns.terms_key(), self.factors, self.structure, self.homogeneous)

    def __str__(self) -> str:
        group = ":".join(map(quote, self.factors))
        plain = self.homogeneous == STRUCTURES[self.structure]
        if self.structure in ("us", "diag") and plain:
            return f"({self.columns} {'|' if self.structure == 'us' else '||'} {group})"
        options = "" if plain else f", hom = {'TRUE' if self.homogeneous else 'FALSE'}"
        return f"{self.structure}({self.columns} | {group}{options})"


def split_bars(node: Node, text: str) -> tuple[Node | None, list[RandomTerm]]:
    """The right-hand side without its random terms (None if nothing is left), and the random terms.

    Random terms are the addends of a sum. A bar elsewhere stays where it is, for `expand` to refuse.
    """
    if isinstance(node, Paren):
        inner = strip(node)
        if isinstance(inner, Bar):
            return None, _random_terms(inner, node.span, text)
        return split_bars(inner, text) if _is_sum(inner) else (inner, [])
    if isinstance(node, Bar):
        raise FormulaError(
            "a random term needs parentheses around it",
            text,
            node.op_span,
            hint="for example `week + (week | id)`",
        )
    if isinstance(node, Call) and any(isinstance(strip(a), Bar) for a in node.arguments):
        return None, _tagged(node, text)
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


def _tagged(node: Call, text: str) -> list[RandomTerm]:
    """The random terms of a covariance structure, written as a function around a bar."""
    name = node.function.text
    if name in ALLOWED or name in CATEGORICAL:
        bar = next(strip(a) for a in node.arguments if isinstance(strip(a), Bar))
        raise FormulaError(
            "a bar cannot stand inside a function", text, bar.op_span, hint="write the random term on its own"
        )
    if name not in STRUCTURES:
        known = name in COVARIANCE_TAGS
        raise FormulaError(
            f"the covariance structure `{name}( | )` is not supported yet"
            if known
            else f"`{name}` is no covariance structure",
            text,
            node.function.span,
            expected="one of us, diag, cs and ar1 around a bar, or the bar alone",
            hint=covariance_hint(name),
        )
    bar, *options = [strip(argument) for argument in node.arguments]
    if not isinstance(bar, Bar):
        raise FormulaError(f"`{name}` begins with the random term", text, bar.span)
    if not bar.correlated:
        raise FormulaError(
            f"`||` and `{name}` both say how the columns vary together", text, bar.op_span, hint=f"write `{name}( | )`"
        )
    homogeneous = STRUCTURES[name]
    for option in options:
        if not (isinstance(option, NamedArgument) and option.name.text == "hom" and len(options) == 1):
            raise FormulaError(
                f"`{name}` takes no such argument", text, option.span, expected="`hom = TRUE` or nothing"
            )
        value = strip(option.value)
        if name == "us" or not (isinstance(value, Name) and value.text in FLAGS):
            raise FormulaError(
                "this is no value for `hom`" if name != "us" else "`us` has no argument `hom`",
                text,
                option.span,
                expected="TRUE or FALSE, with diag, cs or ar1",
            )
        homogeneous = FLAGS[value.text]
    return [replace(term, structure=name, homogeneous=homogeneous) for term in _random_terms(bar, node.span, text)]


def _random_terms(bar: Bar, span: Span, text: str) -> list[RandomTerm]:
    """The random terms of one bar, one for each of its grouping factors; `span` includes its parentheses."""
    columns = expand(bar.left, text, strip(bar.left).span)
    if columns.offsets:
        raise FormulaError("an offset cannot vary by group", text, columns.offsets[0].span)
    if not columns.intercept and not columns.terms:
        raise FormulaError("this random term has no columns", text, bar.left.span, hint="`1` stands for the intercept")
    structure = "us" if bar.correlated else "diag"
    found = []
    for names in _groups(bar.right, text):
        factors = tuple(name.text for name in names)
        _refuse_own_columns(columns, factors, text)
        start, end = min(name.span[0] for name in names), max(name.span[1] for name in names)
        found.append(RandomTerm(columns, factors, (start, end), structure, STRUCTURES[structure], span))
    return found


def _refuse_own_columns(columns: LinearPart, factors: tuple[str, ...], text: str) -> None:
    for term in columns.terms:
        for factor in term.factors:
            for name in factors:
                if name in factor.variables and name not in factor.grouping:
                    raise FormulaError(
                        f"`{name}` cannot vary within the levels that it defines",
                        text,
                        factor.span,
                        hint=f"write `(1 | {quote(name)})` for intercepts that vary by `{name}`",
                    )


def _groups(node: Node, text: str) -> list[tuple[Name, ...]]:
    """The grouping factors that the right side of a bar stands for, each as the columns that it combines.

    `a/b` is `b:a` and `a`, in this order, as lme4 has it; `b %in% a` is `b:a`.
    """
    node = strip(node)
    if isinstance(node, Name):
        check_name(node, text)
        return [(node,)]
    if isinstance(node, Binary) and node.op == "/":
        outer, inner = _groups(node.left, text), _groups(node.right, text)
        if len(inner) > 1:
            raise FormulaError(
                "what is nested must be one grouping factor",
                text,
                node.right.span,
                hint="write the nesting from the left: `a/b/c`",
            )
        return [_combined((*inner[0], *outer[0]), text), *outer]
    if isinstance(node, Binary) and node.op in (":", "%in%"):
        left, right = _groups(node.left, text), _groups(node.right, text)
        if len(left) > 1 or len(right) > 1:
            raise FormulaError("a nested factor cannot be part of an interaction", text, node.span)
        return [_combined((*left[0], *right[0]), text)]
    if isinstance(node, Binary) and node.op in ("*", "+"):
        written = source(text, node.span)
        raise FormulaError(
            f"`{written}` is no grouping factor",
            text,
            node.span,
            expected="one column, or several joined with `:` or `/`",
            hint="write one random term for each factor: `(1 | a) + (1 | b)`",
        )
    if isinstance(node, Call) and node.function.text in CATEGORICAL and len(node.arguments) == 1:
        return _groups(node.arguments[0], text)
    raise FormulaError(
        "a grouping factor is the name of a column",
        text,
        node.span,
        found=source(text, node.span),
        hint="compute the column in the data before fitting",
    )


def _combined(names: tuple[Name, ...], text: str) -> tuple[Name, ...]:
    """The columns of an interaction, each of them once."""
    seen: set[str] = set()
    for name in names:
        if name.text in seen:
            raise FormulaError(f"`{name.text}` is combined with itself", text, name.span)
        seen.add(name.text)
    return names
