"""An expression of a formula becomes values, by a walk over the tree that the allow-list has let pass.

Nothing that a user wrote is run: a name is looked up among the columns, a function in a table, an operator in another.
What a function learns from the data of the fit is kept in `state` by its place in the formula.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import kinds
from hier.design.kinds import Misfit
from hier.errors import FormulaError, HierError
from hier.formula import Factor
from hier.formula.allowlist import ARITHMETIC, expressions_of
from hier.formula.syntax import COMPARISONS, Binary, Call, Name, NamedArgument, Node, Number, String, Unary, strip
from hier.formula.vocabulary import FLAGS, LOGICAL, OPTIONS


class Evaluator(NamedTuple):
    """What an expression is evaluated with: the columns by name, what its functions learned from the data of the fit,
    whether they learn it now, and the formula's text.
    """

    columns: dict[str, Any]
    state: dict[Any, Any]
    learning: bool
    text: str

    def of(self, factor: Factor) -> Any:
        """The values of a factor's expression: numbers (n,) or (n, k), truth (n,), a categorical or dates (n,).

        Raises FormulaError where it cannot be evaluated on the data.
        """
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # log(0) and the like are refused afterwards, by name and row
                return self.value(factor.tree)
        except HierError:
            raise
        except (ValueError, TypeError, ArithmeticError, LookupError, np.linalg.LinAlgError) as error:
            raise FormulaError(
                "this part of the formula cannot be evaluated on the data",
                self.text,
                factor.span,
                found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            ) from error

    def value(self, node: Node) -> Any:
        """The value of a node; what it cannot take is refused under it."""
        node = strip(node)
        try:
            match node:
                case Name():
                    return LOGICAL[node.text] if node.text in LOGICAL else self.column(node.text)
                case Number() | String():
                    return node.value
                case Unary():
                    value = self.number(node.operand)
                    return -value if node.op == "-" else value
                case Binary():
                    return self.binary(node)
                case Call():
                    return self.call(node)
                case _:
                    raise AssertionError("the allow-list lets nothing else pass")
        except Misfit as error:
            raise FormulaError(error.what, self.text, node.span, **error.details) from None

    def column(self, name: str) -> Any:
        """A column's values, none of them missing: a grouping factor's labels may be, where new rows are predicted."""
        column = self.columns[name]
        if isinstance(column, pd.Categorical) and (missing := int((column.codes < 0).sum())):
            raise Misfit(f"`{name}` is missing in {missing} of {len(column)} rows", expected="a value in each row")
        return kinds.value_of(column)

    def number(self, node: Node) -> Any:
        """The value of a node that must be numbers."""
        inner = strip(node)
        return kinds.numbers(self.value(inner), inner.text if isinstance(inner, Name) else "this")

    def binary(self, node: Binary) -> Any:
        if node.op == "%in%":
            left, listed = self.value(node.left), _constants(node.right)
            each = [kinds.compare("==", left, own, learning=self.learning) for own in listed]
            return np.logical_or.reduce(each)
        if node.op in COMPARISONS:
            return kinds.compare(node.op, self.value(node.left), self.value(node.right), learning=self.learning)
        if node.op in ("+", "-"):
            sides = [self.value(node.left), self.value(node.right)]
            if any(kinds.is_date(side) for side in sides):
                return _with_dates(node.op, *sides)
        return ARITHMETIC[node.op](self.number(node.left), self.number(node.right))

    def call(self, node: Call) -> Any:
        from hier.design.transforms import FUNCTIONS, GROUPED, OF_ANY, STATEFUL

        name, expressions = node.function.text, expressions_of(node)
        options = _options(node, len(expressions))
        if name in GROUPED:
            groups = [strip(own) for own in expressions[1:]]
            labels = [self.columns[own.text] if isinstance(own, Name) else self.value(own) for own in groups]
            names = tuple(own.text if isinstance(own, Name) else "group" for own in groups)
            x = self.number(expressions[0])
            return GROUPED[name](x, *labels, names=names, state=self.state.setdefault(node.span, {}))
        values = [self.value(own) if name in OF_ANY else self.number(own) for own in expressions]
        if name in STATEFUL:
            options["_state"] = self.state.setdefault(node.span, {})
        found = FUNCTIONS[name](*values, **options)
        found = getattr(found, "__wrapped__", found)
        return np.column_stack(list(found.values())) if isinstance(found, dict) else found


def kept(state: dict[Any, Any], name: str) -> list[str]:
    """What is kept of the data of the fit for the prediction of new rows, a sentence for each function that says so."""
    return [f"`{name}`: {own['said']}; kept for prediction" for own in state.values() if "said" in own]


def _constants(node: Node) -> list[Any]:
    """The constants of `c(...)`, or of one alone."""
    node = strip(node)
    return [_constant(own) for own in node.arguments] if isinstance(node, Call) else [_constant(node)]


def _constant(node: Node) -> Any:
    """A constant argument of a function."""
    node = strip(node)
    if isinstance(node, Call):
        return _constants(node)
    if isinstance(node, Unary):
        return -_constant(node.operand) if node.op == "-" else _constant(node.operand)
    if isinstance(node, Name):
        return FLAGS.get(node.text, np.inf)
    assert isinstance(node, Number | String)
    return node.value


def _options(node: Call, start: int) -> dict[str, Any]:
    """What follows the expressions of a call, by name."""
    name, found = node.function.text, dict[str, Any]()
    free = list(OPTIONS.get(name, {}))
    for own in node.arguments[start:]:
        option, value = (own.name.text, own.value) if isinstance(own, NamedArgument) else (free[0], own)
        free.remove(option)
        found[option.replace(".", "_")] = _constant(value)
    return found


def _with_dates(op: str, left: Any, right: Any) -> Any:
    """The difference of two dates in days, or a date some days later or earlier."""
    if kinds.is_date(left) and kinds.is_text(right):
        right = kinds.dates(right)
    if kinds.is_date(left) and kinds.is_date(right):
        if op == "+":
            raise Misfit("dates cannot be added", hint="the days between two dates are their difference")
        return (left - right) / kinds.DAY
    date, number = (left, right) if kinds.is_date(left) else (right, left)
    if (op == "-" and date is right) or isinstance(number, pd.Categorical | str):
        raise Misfit("a date can be subtracted from a date only", hint="write as.Date( ) around text")
    moved = np.asarray(number, dtype=np.float64) * 86_400_000_000_000 * (1 if op == "+" else -1)
    return date.astype("datetime64[ns]") + moved.astype("timedelta64[ns]")
