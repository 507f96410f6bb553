"""What an expression inside a formula may do: arithmetic, comparisons and a short list of functions.

A formula may come from a file that nobody vetted, and formulaic hands the text of `I(...)` to Python. So nothing
is passed on but what this module has recognised piece by piece; there is no list of forbidden things to outwit.
Constants are computed here as well, so that `I(x + 9^9^9^9)` is refused instead of filling the memory.
"""

from __future__ import annotations

import keyword
import math
import operator
import unicodedata
from collections.abc import Callable

from hier.errors import FormulaError, did_you_mean
from hier.formula.syntax import COMPARISONS, Bar, Binary, Call, Name, Node, Number, Paren, String, Unary, source

# Each function of one column, with its value for a constant (None: has no meaning for a constant).
ALLOWED: dict[str, Callable[[float], float] | None] = {
    "I": lambda x: x,
    "abs": abs,
    "center": None,
    "cos": math.cos,
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "log2": math.log2,
    "scale": None,
    "sin": math.sin,
    "sqrt": math.sqrt,
}

COVARIANCE_TAGS = frozenset({"us", "cs", "diag", "ar1", "ou", "toep", "hetar1", "homcs", "mat", "gau", "rr", "propto"})

_TRANSFORMS = frozenset(
    {"C", "as.factor", "bs", "cc", "cr", "cut", "factor", "interaction", "lag", "ns", "ordered", "poly", "relevel"}
    | {"standardize"}
)

NOT_YET = (
    COVARIANCE_TAGS
    | _TRANSFORMS
    | {"Surv", "cat", "cbind", "cens", "gp", "gr", "log_offset", "mi", "mm", "mo", "mvbind", "offset", "s", "se"}
    | {"t2", "te", "ti", "trials", "trunc", "weights"}
)

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def guard(node: Node, text: str) -> int | float | None:
    """Let an expression pass only if every piece of it is allowed; its value if it uses no column, else None.

    Raises `FormulaError` under the first piece that is not allowed.
    """
    match node:
        case Name():
            check_name(node, text, inside_call=True)
            return None
        case Number():
            return node.value
        case Paren():
            return guard(node.inner, text)
        case Call():
            return _guard_call(node, text)
        case Unary():
            value = guard(node.operand, text)
            return -value if value is not None and node.op == "-" else value
        case Binary():
            return _guard_binary(node, text)
        case String():
            raise FormulaError("quoted text can only be compared with a column", text, node.span)
        case Bar():
            raise FormulaError(
                "a bar cannot stand inside a function", text, node.op_span, hint="write the random term on its own"
            )


def check_function(name: Name, text: str) -> None:
    """Refuse a function that is not in the table, and say which allowed one is nearest."""
    if name.text in ALLOWED:
        return
    if name.text in NOT_YET or name.text.startswith("contr."):
        raise FormulaError(
            f"`{name.text}()` is not supported yet",
            text,
            name.span,
            hint="compute the column in the data before fitting" if name.text in _TRANSFORMS else None,
        )
    last = name.text.rpartition(".")[2]
    raise FormulaError(
        "this function is not allowed in a formula",
        text,
        name.span,
        found=f"`{name.text}`",
        expected="one of " + ", ".join(f"`{f}`" for f in ALLOWED),
        hint=did_you_mean(last, ALLOWED) if last else None,
    )


def check_name(name: Name, text: str, *, inside_call: bool) -> None:
    """Refuse a name that cannot be a column's, or that formulaic would not read as one.

    Inside a call formulaic turns the name into a Python identifier, so keywords, quotes and letters that Python
    rewrites (the micro sign becomes the Greek mu) must not get there. A bare column is a plain look-up: any goes.
    """
    if not name.text.strip("."):
        raise FormulaError("`.` for all other columns is not supported yet", text, name.span, hint="name the columns")
    if any(part.strip().startswith("__") for part in name.text.split(".")):
        raise FormulaError("names that begin with two underscores are not allowed", text, name.span)
    if not inside_call:
        return
    if keyword.iskeyword(name.text):
        raise FormulaError(
            f"`{name.text}` is a word of the Python language and cannot be used inside a function",
            text,
            name.span,
            hint="rename the column in the data",
        )
    if not _safe_inside_call(name.text):
        raise FormulaError(
            "this column name cannot be used inside a function", text, name.span, hint="rename the column in the data"
        )


def _safe_inside_call(name: str) -> bool:
    """Whether formulaic can turn `name` into an identifier: signs become underscores, nothing else changes."""
    if "'" in name or '"' in name or unicodedata.normalize("NFKC", name) != name:
        return False
    return name.isidentifier() or ("_" + "".join(c if c.isalnum() else "_" for c in name)).isidentifier()


def _guard_call(node: Call, text: str) -> int | float | None:
    check_function(node.function, text)
    name = node.function.text
    argument, *others = node.arguments
    if others:
        raise FormulaError(f"`{name}` takes one argument here", text, others[0].span)
    value = guard(argument, text)
    if value is None:
        return None
    function = ALLOWED[name]
    if function is None:
        raise FormulaError(f"`{name}` is applied to a constant", text, argument.span, expected="a column")
    return _constant(lambda: function(value), node, text)


def _guard_binary(node: Binary, text: str) -> int | float | None:
    if node.op not in _ARITHMETIC:
        raise FormulaError(
            f"`{node.op}` has no meaning inside a function", text, node.op_span, expected="arithmetic or a comparison"
        )
    if node.op in COMPARISONS and (isinstance(node.left, String) or isinstance(node.right, String)):
        column = node.right if isinstance(node.left, String) else node.left
        if not isinstance(column, Name):
            raise FormulaError("quoted text can only be compared with a column", text, node.span)
        return guard(column, text)
    left, right = guard(node.left, text), guard(node.right, text)
    if left is None or right is None:
        return None
    return _constant(lambda: _combine(node.op, left, right), node, text)


def _combine(op: str, left: float, right: float) -> float:
    """The value of `left op right`; a power is tried in floating point first, because a whole one can be huge."""
    if op == "**" and isinstance(float(left) ** float(right), complex):
        raise ValueError
    return _ARITHMETIC[op](left, right)


def _constant(compute: Callable[[], float], node: Node, text: str) -> float:
    """The value of a constant expression, which must be a finite real number."""
    try:
        value = compute()
        finite = math.isfinite(float(value))
    except (ArithmeticError, ValueError, TypeError):
        finite, value = False, math.nan
    if not finite:
        raise FormulaError("this constant is not a finite number", text, node.span, found=source(text, node.span))
    return value
