"""One variable of a term, or one expression that stands for a variable: `week`, `log(x)`, `C(sex, contr.sum)`.

Names of columns, as formulaic 1.2.2 was found to give them: it prints an expression anew from Python's syntax tree, so
`I(x**2)`, `I( x**2 )` and `I((x)**2)` all make the column `I(x ** 2)`; `1e3` becomes `1000.0`, `x**-1` becomes
`x ** (-1)`, and quoted text gets single quotes. A column in back-quotes loses them when it stands alone
(`` `a b` `` makes the column `a b`) and keeps them inside a call (``log(`a b`)``). `render` prints in the same way, so
that `Factor.name` is formulaic's column name. What is evaluated is the tree itself: no text is ever read as code.
"""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hier.errors import FormulaError
from hier.formula.allowlist import check_name, expressions_of, guard, is_list
from hier.formula.syntax import (
    COMPARISONS,
    Binary,
    Call,
    Name,
    NamedArgument,
    Node,
    Number,
    Paren,
    String,
    Unary,
    source,
    strip,
)
from hier.formula.tokens import Span
from hier.formula.vocabulary import CATEGORICAL, LOGICAL, ROLES


class Contrast(NamedTuple):
    """How a factor is coded where it is not coded in full: `kind` treatment, sum, helmert or poly, and the `base`
    level of treatment contrasts, a level or its place from 1 up (None: the first).
    """

    kind: str
    base: str | int | float | None = None


CONTRASTS = {
    "contr.treatment": "treatment",
    "contr.sum": "sum",
    "contr.helmert": "helmert",
    "contr.poly": "poly",
    "Treatment": "treatment",
    "Sum": "sum",
    "Helmert": "helmert",
    "Poly": "poly",
}
_BASES = frozenset({"base", "reference"})


@dataclass(frozen=True)
class Factor:
    """One variable of a term, or an expression that stands for one.

    `text` is the expression as it is printed, with back-quotes where a name needs them; `variables` are the columns
    it uses, in order of appearance; `is_column` is True where it is a bare column. `tree` is the expression to be
    evaluated. `categorical` is True where its values become a
    factor's levels whatever they are, `contrast` how that is coded (None: by the rule for the column's kind).
    `labels` are the columns of an expression whose values need not be numbers, as beside `==` and `!=`; `as_text` those
    of which the labels are asked, compared with quoted text or inside `as.Date( )`; `grouping` those that are only the
    groups of `ave( )` and its like.
    """

    text: str
    variables: tuple[str, ...]
    is_column: bool
    span: Span
    tree: Node
    categorical: bool = False
    contrast: Contrast | None = None
    labels: frozenset[str] = frozenset()
    as_text: frozenset[str] = frozenset()
    grouping: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the column is called: a bare column's own name, else the text."""
        return self.variables[0] if self.is_column else self.text

    @property
    def is_plain(self) -> bool:
        """Whether nothing is computed: a bare column, or one inside `factor( )` or `C( )`."""
        return isinstance(self.tree, Name)


def make_factor(node: Node, text: str) -> Factor:
    """The factor that a name or an expression stands for, once the allow-list has let it pass."""
    node = strip(node)
    if isinstance(node, Name):
        check_name(node, text)
        return Factor(quote(node.text), (node.text,), True, node.span, node)
    inner, categorical, contrast = _uncover(node, text)
    guard(inner, text)
    roles: dict[str, set[str]] = {}
    for name, role in _uses(inner, "any"):
        roles.setdefault(name, set()).add(role)
    if not roles:
        raise FormulaError(
            f"`{source(text, node.span)}` uses no column", text, node.span, hint="the intercept is written `1`"
        )
    labels = frozenset(name for name, own in roles.items() if "number" not in own)
    as_text = frozenset(name for name in labels if roles[name] & {"text", "group"})
    grouping = frozenset(name for name, own in roles.items() if own == {"group"})
    return Factor(render(node), tuple(roles), False, node.span, inner, categorical, contrast, labels, as_text, grouping)


def _uncover(node: Node, text: str) -> tuple[Node, bool, Contrast | None]:
    """What `factor(...)` and `C(...)` are applied to, whether there was one of them, and the contrasts it asks for."""
    node = strip(node)
    if not (isinstance(node, Call) and node.function.text in CATEGORICAL):
        return node, False, None
    function = node.function.text
    argument, *others = node.arguments
    if isinstance(argument, NamedArgument):
        raise FormulaError(f"`{function}` begins with the column", text, argument.span)
    contrast = None
    if others and function != "C":
        raise FormulaError(f"`{function}` takes one argument here", text, others[0].span)
    if len(others) > 1:
        raise FormulaError("`C` takes a column and its contrasts", text, others[1].span)
    if others:
        contrast = _contrast(others[0], text)
    elif function in ("ordered", "as.ordered"):
        contrast = Contrast("poly")
    inner, _, inner_contrast = _uncover(argument, text)
    return inner, True, contrast or inner_contrast


def _contrast(node: Node, text: str) -> Contrast:
    """The contrasts that `contr.sum`, `contr.treatment("base")` and the like stand for."""
    if isinstance(node, NamedArgument) and node.name.text in ("contr", "contrasts"):
        node = node.value
    node = strip(node)
    function = node.function if isinstance(node, Call) else node
    if not isinstance(function, Name) or function.text not in CONTRASTS:
        raise FormulaError(
            "these are no contrasts",
            text,
            node.span,
            found=source(text, node.span),
            expected="one of contr.treatment, contr.sum, contr.helmert, contr.poly",
        )
    kind = CONTRASTS[function.text]
    if not isinstance(node, Call):
        return Contrast(kind)
    base, *others = node.arguments
    if kind != "treatment" or others:
        raise FormulaError(f"`{function.text}` takes no such argument", text, (others or [base])[0].span)
    named = isinstance(base, NamedArgument)
    if isinstance(base, NamedArgument):
        if base.name.text not in _BASES:
            raise FormulaError(
                f"`{function.text}` has no argument `{base.name.text}`", text, base.name.span, expected="`base`"
            )
        base = base.value
    base = strip(base)
    if not (isinstance(base, String) or (named and isinstance(base, Number))):
        # R takes a bare number for the number of levels
        raise FormulaError(
            "the base of treatment contrasts is a level in quotes, or its place as `base = 1`", text, base.span
        )
    return Contrast(kind, base.value)


def quote(name: str) -> str:
    """The name as it is printed: in back-quotes unless it is a plain Python identifier."""
    plain = name.isidentifier() and not keyword.iskeyword(name) and all(c.isalnum() or c == "_" for c in name)
    return name if plain and unicodedata.normalize("NFKC", name) == name else f"`{name}`"


# How tightly each binds: comparison, sum, product, `%in%`, sign, power, anything closed in itself.
_COMPARISON, _SUM, _PRODUCT, _IN, _SIGN, _POWER, _CLOSED = range(1, 8)
_LEVEL = {
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%in%": _IN,
    "**": _POWER,
    **dict.fromkeys(COMPARISONS, _COMPARISON),
}


def render(node: Node, at_least: int = 0) -> str:
    """Print an expression as Python's `ast.unparse` does, in parentheses where it binds looser than `at_least`."""
    match node:
        case Name():
            return node.text if node.text in CONTRASTS or node.text.isidentifier() else f"`{node.text}`"
        case Number():
            return node.name or repr(node.value)
        case String():
            return repr(node.value)
        case Paren():
            return render(node.inner, at_least)
        case Call():
            return f"{node.function.text}({', '.join([render(own) for own in node.arguments])})"
        case NamedArgument():
            return f"{node.name.text}={render(node.value)}"
        case Unary():
            printed, level = node.op + render(node.operand, _SIGN), _SIGN
        case Binary():
            level = _LEVEL[node.op]
            # Python groups sums and products to the left, powers to the right, comparisons not at all.
            left, right = {_POWER: (_CLOSED, _POWER), _COMPARISON: (_SUM, _SUM)}.get(level, (level, level + 1))
            printed = f"{render(node.left, left)} {node.op} {render(node.right, right)}"
        case _:
            raise AssertionError("the allow-list lets no bar pass")
    return f"({printed})" if level < at_least else printed


def _uses(node: Node, role: str) -> Iterator[tuple[str, str]]:
    """The columns that an expression uses, in order of appearance, each with what it must be there: a "number", labels
    as "text", the labels of a "group", or "any" of them. What follows the expressions in a call is none.
    """
    match node:
        case Name() if node.text not in LOGICAL:
            yield node.text, role
        case Paren():
            yield from _uses(node.inner, role)
        case Unary():
            yield from _uses(node.operand, "number")
        case Call():
            own = ROLES.get(node.function.text, ("number",))
            for k, argument in enumerate(expressions_of(node)):
                asked = own[min(k, len(own) - 1)]
                yield from _uses(argument, role if asked == "same" else asked)
        case Binary(op="%in%"):
            yield from _uses(node.left, "text" if is_list(strip(node.right), String) else "any")
        case Binary():
            sides = [node.left, node.right]
            beside_text = node.op in COMPARISONS and any(isinstance(strip(side), String) for side in sides)
            asked = "text" if beside_text else "any" if node.op in ("==", "!=") else "number"
            for side in sides:
                yield from _uses(side, asked)
        case _:
            pass
