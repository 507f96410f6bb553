"""What an expression inside a formula may do: arithmetic, comparisons and the functions of the vocabulary.

A formula may come from a file that nobody vetted. So nothing is evaluated but what this module has recognised piece by
piece, by walking the tree that it was read into; there is no list of forbidden things to outwit, and no text is run.
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
from hier.formula.vocabulary import (
    ALLOWED,
    CATEGORICAL,
    ELSEWHERE,
    EXPECTED,
    EXPRESSIONS,
    FLAGS,
    INSTEAD,
    LOGICAL,
    MAX_WHOLE,
    NOT_YET,
    OPTIONS,
    QUOTED,
)

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
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
    if name.text in NOT_YET or name.text in INSTEAD:
        raise FormulaError(f"`{name.text}()` is not supported yet", text, name.span, hint=INSTEAD.get(name.text))
    last = name.text.rpartition(".")[2]
    raise FormulaError(
        "this function is not allowed in a formula",
        text,
        name.span,
        found=f"`{name.text}`",
        expected="one of " + ", ".join(f"`{f}`" for f in ALLOWED),
        hint=covariance_hint(name.text)
        or did_you_mean(name.text, ALLOWED)
        or (did_you_mean(last, ALLOWED) if last else None),
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
    expressions = expressions_of(node)
    fewest, most = EXPRESSIONS.get(name, (1, 1))
    if len(expressions) < fewest:
        exactly = f"{fewest} arguments" if fewest == most else f"{fewest} arguments or more"
        raise FormulaError(f"`{name}` takes {exactly} here", text, node.span, found=f"{len(expressions)}")
    _check_options(name, node.arguments[len(expressions) :], text)
    values = [_guard_expression(name, own, text) for own in expressions]
    if name == "cut" and len(node.arguments) == 1:
        raise FormulaError("`cut` needs its breaks", text, node.span, expected=EXPECTED["bounds"])
    if any(isinstance(strip(own), String) for own in expressions) or None in values:
        return None
    function = ALLOWED[name]
    if function is None or len(node.arguments) > len(expressions):
        raise FormulaError(f"`{name}` is applied to a constant", text, expressions[0].span, expected="a column")
    return _constant(lambda: function(*values), node, text)


def expressions_of(node: Call) -> tuple[Node, ...]:
    """The arguments of a call that are computed from columns; its options follow them."""
    most = EXPRESSIONS.get(node.function.text, (1, 1))[1]
    found = node.arguments[:most]
    named = next((k for k, own in enumerate(found) if isinstance(own, NamedArgument)), len(found))
    return found[: max(named, 1)]


def _guard_expression(function: str, node: Node, text: str) -> int | float | None:
    """The value of one argument of a function, None where it uses a column or is quoted text in its place."""
    if function in QUOTED and isinstance(strip(node), String):
        return None
    return guard(node, text)


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
            most = EXPRESSIONS.get(function, (1, 1))[1] + len(known)
            took = "one argument" if most == 1 else f"{most} arguments at most"
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
                expected=EXPECTED[known[name]],
            )


def _is_kind(node: Node, kind: str) -> bool:
    node = strip(node)
    if kind == "flag":
        return isinstance(node, Name) and node.text in FLAGS
    if kind == "text":
        return isinstance(node, String)
    if kind == "whole":
        return isinstance(node, Number) and 1 <= node.value <= MAX_WHOLE and node.value == int(node.value)
    if kind in ("numbers", "bounds", "names") and isinstance(node, Call) and node.function.text == "c":
        each = {"numbers": "number", "bounds": "bound", "names": "text"}[kind]
        return all(_is_kind(item, each) for item in node.arguments)
    if kind == "names":
        return isinstance(node, Name) and FLAGS.get(node.text) is False
    if isinstance(node, Unary):
        node = node.operand
    if kind == "bound" and isinstance(node, Name):
        return node.text == "Inf"
    return isinstance(node, Number) and math.isfinite(node.value)


def _guard_binary(node: Binary, text: str) -> int | float | None:
    if node.op == "%in%":
        return _guard_membership(node, text)
    if node.op not in ARITHMETIC:
        raise FormulaError(
            f"`{node.op}` has no meaning inside a function", text, node.op_span, expected="arithmetic or a comparison"
        )
    if node.op in COMPARISONS and (isinstance(node.left, String) or isinstance(node.right, String)):
        column = node.right if isinstance(node.left, String) else node.left
        if isinstance(column, String) or guard(column, text) is not None:
            raise FormulaError("quoted text can only be compared with a column", text, node.span)
        return None
    left, right = guard(node.left, text), guard(node.right, text)
    if left is None or right is None:
        return None
    return _constant(lambda: _combine(node.op, left, right), node, text)


def _guard_membership(node: Binary, text: str) -> None:
    """`x %in% c("a", "b")`: a column on the left, constants of one kind on the right."""
    right = strip(node.right)
    if not any(is_list(right, kind) for kind in (Number, String)):
        raise FormulaError(
            "inside a function, `%in%` asks whether a column's value is one of several",
            text,
            right.span,
            expected='all of them text or all of them numbers, such as c("a", "b")',
        )
    if guard(node.left, text) is not None:
        raise FormulaError("`%in%` is applied to a constant", text, node.left.span, expected="a column")


def is_list(node: Node, kind: type[Number] | type[String]) -> bool:
    """Whether a node is a constant of a kind, or several of them as `c(1, 2)`."""
    items = node.arguments if isinstance(node, Call) and node.function.text == "c" else (node,)
    signs = [own.operand if isinstance(own := strip(item), Unary) and kind is Number else own for item in items]
    return all(isinstance(own, kind) for own in signs)


def _combine(op: str, left: float, right: float) -> float:
    """The value of `left op right`; a power is tried in floating point first, because a whole one can be huge."""
    if op == "**" and isinstance(float(left) ** float(right), complex):
        raise ValueError
    return ARITHMETIC[op](left, right)


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
