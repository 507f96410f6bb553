"""What an expression inside a formula may do: arithmetic, comparisons and a short list of functions.

A formula may come from a file that nobody vetted, and formulaic hands the text of `I(...)` to Python. So nothing
is passed on but what this module has recognised piece by piece; there is no list of forbidden things to outwit.
Constants are computed here as well, so that `I(x + 9^9^9^9)` is refused instead of filling the memory.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

from hier.errors import FormulaError, did_you_mean
from hier.formula.syntax import (
    COMPARISONS,
    Bar,
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

# Each function of a column, with its value for a constant (None: has no meaning for a constant).
ALLOWED: dict[str, Callable[[float], float] | None] = {
    "I": lambda x: x,
    "abs": abs,
    "bs": None,
    "center": None,
    "cos": math.cos,
    "cr": None,
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "log2": math.log2,
    "ns": None,
    "poly": None,
    "scale": None,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "standardize": None,
}

# What may follow the column, in R's order, and what each must be.
OPTIONS: dict[str, dict[str, str]] = {
    "bs": {"df": "whole", "knots": "numbers", "degree": "whole", "intercept": "flag"},
    "cr": {"df": "whole", "knots": "numbers"},
    "log": {"base": "number"},
    "ns": {"df": "whole", "knots": "numbers", "intercept": "flag"},
    "poly": {"degree": "whole", "raw": "flag"},
    "scale": {"center": "flag", "scale": "flag"},
    "standardize": {"center": "flag", "rescale": "flag"},
}
FLAGS = {"TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False}
LOGICAL = {name: int(value) for name, value in FLAGS.items() if len(name) > 1}  # constants inside an expression
MAX_WHOLE = 100  # degrees, and degrees of freedom
_EXPECTED = {
    "whole": "a whole number from 1 up",
    "number": "a number",
    "numbers": "a number, or several as c(1, 2)",
    "flag": "TRUE or FALSE",
}

# Functions that make a factor of a column; the outermost calls of a variable only.
CATEGORICAL = frozenset({"C", "as.factor", "as.ordered", "factor", "ordered"})

COVARIANCE_TAGS = frozenset({"us", "cs", "diag", "ar1", "ou", "toep", "hetar1", "homcs", "mat", "gau", "rr", "propto"})

# structures as other programs write them -> what stands for them here
ELSEWHERE = {
    "cosy": "cs(0 + f | g)",
    "corCompSymm": "cs(0 + f | g)",
    "unstr": "us(0 + f | g)",
    "corSymm": "us(0 + f | g)",
    "ar": "ar1(0 + f | g)",
    "corAR1": "ar1(0 + f | g)",
    "arma": "ar1(0 + f | g)",
}

_TRANSFORMS = frozenset({"cc", "cut", "interaction", "lag", "relevel"})

NOT_YET = (
    COVARIANCE_TAGS
    | _TRANSFORMS
    | {"Surv", "cat", "cens", "gp", "gr", "log_offset", "mi", "mm", "mo", "mvbind", "s", "se"}
    | {"t2", "te", "ti", "trunc", "weights"}
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
            check_name(node, text)
            return LOGICAL.get(node.text)
        case Number():
            return node.value
        case Paren():
            return guard(node.inner, text)
        case Call():
            return _guard_call(node, text)
        case NamedArgument():
            raise FormulaError("this function takes no named argument here", text, node.span)
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
    if name.text in CATEGORICAL or name.text.startswith("contr."):
        raise FormulaError(
            f"`{name.text}()` cannot stand inside another function here",
            text,
            name.span,
            hint="write `factor(x)` or `C(x, contr.sum)` as a variable of its own",
        )
    if name.text in ("offset", "cbind", "trials"):
        where = {"offset": "a term of its own, `y ~ x + offset(z)`"}.get(name.text, "the response")
        raise FormulaError(f"`{name.text}()` stands only as {where}", text, name.span)
    if name.text in NOT_YET:
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
        hint=covariance_hint(name.text) or (did_you_mean(last, ALLOWED) if last else None),
    )


def covariance_hint(name: str) -> str | None:
    """What to write for another program's covariance structure; None for any other name."""
    found = ELSEWHERE.get(name)
    return None if found is None else f"write `{found}`, where f is the factor of visits, for a structure of deviations"


def check_name(name: Name, text: str) -> None:
    """Refuse a name that cannot be a column's. Whatever else it holds, it is only ever looked up in the table."""
    if not name.text.strip("."):
        raise FormulaError(
            "`.` stands for all other columns, and only as a term of the fixed effects",
            text,
            name.span,
            hint="name the columns",
        )
    if any(part.strip().startswith("__") for part in name.text.split(".")):
        raise FormulaError("names that begin with two underscores are not allowed", text, name.span)


def _guard_call(node: Call, text: str) -> int | float | None:
    check_function(node.function, text)
    name = node.function.text
    argument, *options = node.arguments
    _check_options(name, options, text)
    value = guard(argument, text)
    if value is None:
        return None
    function = ALLOWED[name]
    if function is None or options:
        raise FormulaError(f"`{name}` is applied to a constant", text, argument.span, expected="a column")
    return _constant(lambda: function(value), node, text)


def _check_options(function: str, options: Sequence[Node], text: str) -> None:
    """What follows the column in a call: constants of the kind that the function takes, each once."""
    known = OPTIONS.get(function, {})
    free = list(known)
    for option in options:
        value = option
        if isinstance(option, NamedArgument):
            name, value = option.name.text, option.value
            if name not in known:
                raise FormulaError(
                    f"`{function}` has no argument `{name}`",
                    text,
                    option.name.span,
                    expected=" or ".join(f"`{k}`" for k in known) or "the column alone",
                )
            if name not in free:
                raise FormulaError(f"`{name}` is given twice", text, option.span)
        elif not free:
            took = "one argument" if not known else f"{len(known) + 1} arguments at most"
            raise FormulaError(f"`{function}` takes {took} here", text, option.span)
        else:
            name = free[0]
        free.remove(name)
        if not _is_kind(value, known[name]):
            raise FormulaError(
                f"this is no value for `{name}` of `{function}`",
                text,
                value.span,
                found=source(text, value.span),
                expected=_EXPECTED[known[name]],
            )


def _is_kind(node: Node, kind: str) -> bool:
    node = strip(node)
    if kind == "flag":
        return isinstance(node, Name) and node.text in FLAGS
    if kind == "whole":
        return isinstance(node, Number) and 1 <= node.value <= MAX_WHOLE and node.value == int(node.value)
    if kind == "numbers" and isinstance(node, Call) and node.function.text == "c":
        return all(_is_kind(item, "number") for item in node.arguments)
    if isinstance(node, Unary):
        node = node.operand
    return isinstance(node, Number) and math.isfinite(node.value)


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
