"""One variable of a term, or one expression that stands for a variable: `week`, `log(x)`, `C(sex, contr.sum)`.

Names of columns, as formulaic 1.2.2 was found to give them: it prints an expression anew from Python's syntax tree, so
`I(x**2)`, `I( x**2 )` and `I((x)**2)` all make the column `I(x ** 2)`; `1e3` becomes `1000.0`, `x**-1` becomes
`x ** (-1)`, and quoted text gets single quotes. A column in back-quotes loses them when it stands alone
(`` `a b` `` makes the column `a b`) and keeps them inside a call (``log(`a b`)``). `render` prints in the same way, so
that `Factor.name` is formulaic's column name. What is evaluated is printed once more, with a plain name in each
column's place, so that no column's name is ever read as code.
"""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hier.errors import FormulaError
from hier.formula.allowlist import CATEGORICAL, FLAGS, LOGICAL, check_name, guard
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
    it uses, in order of appearance; `is_column` is True where it is a bare column. `code` is the expression to be
    evaluated, with `v0`, `v1`, ... in the place of the columns. `categorical` is True where its values become a
    factor's levels whatever they are, `contrast` how that is coded (None: by the rule for the column's kind).
    `labels` are the columns of an expression whose values need not be numbers: they stand only beside `==` and `!=`;
    `beside_text` those of them that are compared with quoted text, `beside_number` with a number.
    """

    text: str
    variables: tuple[str, ...]
    is_column: bool
    span: Span
    code: str = "v0"
    categorical: bool = False
    contrast: Contrast | None = None
    labels: frozenset[str] = frozenset()
    beside_text: frozenset[str] = frozenset()
    beside_number: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the column is called: a bare column's own name, else the text."""
        return self.variables[0] if self.is_column else self.text


def make_factor(node: Node, text: str) -> Factor:
    """The factor that a name or an expression stands for, once the allow-list has let it pass."""
    node = strip(node)
    if isinstance(node, Name):
        check_name(node, text)
        return Factor(quote(node.text), (node.text,), True, node.span)
    inner, categorical, contrast = _uncover(node, text)
    guard(inner, text)
    found: dict[str, None] = {}
    _collect(inner, found)
    if not found:
        raise FormulaError(
            f"`{source(text, node.span)}` uses no column", text, node.span, hint="the intercept is written `1`"
        )
    places = {name: f"v{k}" for k, name in enumerate(found)}
    code, labels = render(inner, names=places), frozenset(found) - _computed_with(inner, alone=True)
    beside = [labels & _compared_with(inner, kind) for kind in (String, Number)]
    return Factor(render(node), tuple(found), False, node.span, code, categorical, contrast, labels, *beside)


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


# How tightly Python binds: comparison, sum, product, sign, power, anything closed in itself.
_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _CLOSED = range(1, 7)
_LEVEL = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER, **dict.fromkeys(COMPARISONS, _COMPARISON)}


def render(node: Node, at_least: int = 0, names: Mapping[str, str] | None = None) -> str:
    """Print an expression as Python's `ast.unparse` does, in parentheses where it binds looser than `at_least`.

    `names`: what to print in the place of each column's name; None prints the names themselves.
    """
    match node:
        case Name():
            if node.text in (names or ()):
                return names[node.text]  # type: ignore[index]
            if node.text in FLAGS and names is not None:
                return str(FLAGS[node.text])
            return node.text if node.text in CONTRASTS or node.text.isidentifier() else f"`{node.text}`"
        case Number() | String():
            return repr(node.value)
        case Paren():
            return render(node.inner, at_least, names)
        case Call():
            inner = render if node.function.text == "I" or names is None else _render_number
            return f"{node.function.text}({', '.join([inner(a, names=names) for a in node.arguments])})"
        case NamedArgument():
            return f"{node.name.text}={render(node.value, names=names)}"
        case Unary():
            printed, level = node.op + _render_number(node.operand, _SIGN, names), _SIGN
        case Binary():
            level = _LEVEL[node.op]
            # Python groups sums and products to the left, powers to the right, comparisons not at all.
            left, right = {_POWER: (_CLOSED, _POWER), _COMPARISON: (_SUM, _SUM)}.get(level, (level, level + 1))
            inner = render if level == _COMPARISON else _render_number
            printed = f"{inner(node.left, left, names)} {node.op} {inner(node.right, right, names)}"
        case _:
            raise AssertionError("the allow-list lets no bar pass")
    return f"({printed})" if level < at_least else printed


def _render_number(node: Node, at_least: int = 0, names: Mapping[str, str] | None = None) -> str:
    """Print an operand of arithmetic; where it is evaluated, a comparison counts as 0 and 1, as in R."""
    inner = strip(node)
    if names is not None and isinstance(inner, Binary) and inner.op in COMPARISONS:
        return f"num({render(inner, names=names)})"
    return render(node, at_least, names)


def _computed_with(node: Node, *, alone: bool = False) -> frozenset[str]:
    """The columns whose values must be numbers; `alone`: whether the node is all that is evaluated."""
    match node:
        case Name():
            return frozenset() if alone else frozenset([node.text])
        case Paren():
            return _computed_with(node.inner, alone=alone)
        case Unary():
            return _computed_with(node.operand)
        case Call():
            return _computed_with(node.arguments[0], alone=alone and node.function.text == "I")
        case Binary():
            labels = node.op in ("==", "!=")
            return _computed_with(node.left, alone=labels) | _computed_with(node.right, alone=labels)
        case _:
            return frozenset()


def _compared_with(node: Node, kind: type[String] | type[Number]) -> frozenset[str]:
    """The columns that stand beside quoted text, or beside a number, in a comparison."""
    match node:
        case Paren():
            return _compared_with(node.inner, kind)
        case Unary():
            return _compared_with(node.operand, kind)
        case Call():
            return _compared_with(node.arguments[0], kind)
        case Binary():
            sides = [strip(node.left), strip(node.right)]
            own = {side.text for side in sides if isinstance(side, Name) and any(isinstance(s, kind) for s in sides)}
            if node.op in COMPARISONS:
                return frozenset(own)
            return _compared_with(node.left, kind) | _compared_with(node.right, kind)
        case _:
            return frozenset()


def _collect(node: Node, found: dict[str, None]) -> None:
    """Add the columns that `node` uses to `found`, in order of appearance; what follows a column in a call is none."""
    match node:
        case Name():
            if node.text not in LOGICAL:
                found[node.text] = None
        case Paren():
            _collect(node.inner, found)
        case Unary():
            _collect(node.operand, found)
        case Call():
            _collect(node.arguments[0], found)
        case Binary():
            _collect(node.left, found)
            _collect(node.right, found)
        case _:
            pass
