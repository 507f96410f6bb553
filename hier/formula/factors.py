"""One variable of a term, or one expression that stands for a variable: `week`, `log(x)`, `I(x ** 2)`.

Names of columns, as formulaic 1.2.2 was found to give them: it prints an expression anew from Python's syntax tree, so
`I(x**2)`, `I( x**2 )` and `I((x)**2)` all make the column `I(x ** 2)`; `1e3` becomes `1000.0`, `x**-1` becomes
`x ** (-1)`, and quoted text gets single quotes. It reads `^` inside a call as Python's exclusive or, hence `**` here.
A column in back-quotes loses them when it stands alone (`` `a b` `` makes the column `a b`) and keeps them inside
a call (``log(`a b`)``). `render` prints in the same way, so that `Factor.name` is formulaic's column name.
"""

from __future__ import annotations

import keyword
import unicodedata
from dataclasses import dataclass

from hier.errors import FormulaError
from hier.formula.allowlist import check_name, guard
from hier.formula.syntax import COMPARISONS, Binary, Call, Name, Node, Number, Paren, String, Unary, source
from hier.formula.tokens import Span


@dataclass(frozen=True)
class Factor:
    """One variable of a term, or an expression that stands for one.

    `text` is the source that formulaic reads, with back-quotes where a name needs them; `variables` are the columns
    it uses, in order of appearance; `is_column` is True where it is a bare column.
    """

    text: str
    variables: tuple[str, ...]
    is_column: bool
    span: Span

    @property
    def name(self) -> str:
        """What formulaic calls the column: a bare column's own name, else the text."""
        return self.variables[0] if self.is_column else self.text


def make_factor(node: Name | Call, text: str) -> Factor:
    """The factor that a name or a call stands for, once the allow-list has let it pass."""
    if isinstance(node, Name):
        check_name(node, text, inside_call=False)
        return Factor(quote(node.text), (node.text,), True, node.span)
    guard(node, text)
    found: dict[str, None] = {}
    _collect(node, found)
    if not found:
        raise FormulaError(
            f"`{source(text, node.span)}` uses no column", text, node.span, hint="the intercept is written `1`"
        )
    _check_distinct(tuple(found), node, text)
    return Factor(render(node), tuple(found), False, node.span)


def _check_distinct(names: tuple[str, ...], node: Node, text: str) -> None:
    """Refuse an expression in which formulaic would mistake one back-quoted name for the beginning of another.

    formulaic 1.2.2 writes signs as underscores and puts the names back from the last to the first by plain
    replacement, so ``I(`IQ.ver.cen` * `IQ.ver`)`` ends as a syntax error there, while the other order works.
    """
    plain = ["".join([c if c.isalnum() else "_" for c in name]) for name in names if not name.isidentifier()]
    for i, later in enumerate(plain):
        if any(earlier != later and earlier.startswith(later) for earlier in plain[:i]):
            raise FormulaError(
                "one column name here begins like another",
                text,
                node.span,
                hint="name the shorter one first, or rename a column so that it needs no back-quotes",
            )


def quote(name: str) -> str:
    """The name as formulaic must see it: in back-quotes unless it is a plain Python identifier."""
    plain = name.isidentifier() and not keyword.iskeyword(name) and all(c.isalnum() or c == "_" for c in name)
    return name if plain and unicodedata.normalize("NFKC", name) == name else f"`{name}`"


# How tightly Python binds: comparison, sum, product, sign, power, anything closed in itself.
_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _CLOSED = range(1, 7)
_LEVEL = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER, **dict.fromkeys(COMPARISONS, _COMPARISON)}


def render(node: Node, at_least: int = 0) -> str:
    """Print an expression as Python's `ast.unparse` does, in parentheses where it binds looser than `at_least`."""
    match node:
        case Name():
            return node.text if node.text.isidentifier() else f"`{node.text}`"
        case Number() | String():
            return repr(node.value)
        case Paren():
            return render(node.inner, at_least)
        case Call():
            return f"{node.function.text}({', '.join([render(a) for a in node.arguments])})"
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


def _collect(node: Node, found: dict[str, None]) -> None:
    """Add the columns that `node` uses to `found`, in order of appearance."""
    match node:
        case Name():
            found[node.text] = None
        case Paren():
            _collect(node.inner, found)
        case Unary():
            _collect(node.operand, found)
        case Call():
            for argument in node.arguments:
                _collect(argument, found)
        case Binary():
            _collect(node.left, found)
            _collect(node.right, found)
