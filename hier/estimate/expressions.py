"""Linear functions of coefficients as text: `week - 2 * Intercept`, `a - b > 0.5`.

What stands for a coefficient is its name as the tables have it, such as `service[T.1]` or `poly(x, 2)[1]`, in
back-quotes or not; the longest name that fits is taken. The rest is numbers, `+ - * /` and parentheses.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np

from hier.errors import FormulaError, did_you_mean
from hier.formula.tokens import Span

NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORD = re.compile(r"[^\s+*/^()<>=`-]+")
COMPARISONS = ("<=", ">=", "==", "<", ">", "=")
ALTERNATIVES = {"<": "less", "<=": "less", ">": "greater", ">=": "greater", "=": "two-sided", "==": "two-sided"}
MAX_LENGTH = 2_000
MAX_NESTING = 40


class Linear(NamedTuple):
    """A linear function of the coefficients: `weights` (p,), and a number added."""

    weights: np.ndarray
    constant: float

    @property
    def is_number(self) -> bool:
        return not self.weights.any()


class Claim(NamedTuple):
    """`left` less the right side, and what is claimed of it: that it is "greater" or "less" than zero, or zero
    ("two-sided").
    """

    difference: Linear
    alternative: str


class _Token(NamedTuple):
    kind: str  # name, number, sign, comparison or end
    text: str
    span: Span


def read_linear(text: str, names: Sequence[str]) -> Linear:
    """The linear function of coefficients of these names that the text writes out. Raises FormulaError."""
    reader = Reader(text, names)
    found = reader.sum()
    reader.expect_end()
    return found


def read_comparison(text: str, names: Sequence[str]) -> Claim:
    """The two sides of a comparison as one function, and the direction. Raises FormulaError."""
    reader = Reader(text, names)
    left = reader.sum()
    token = reader.token
    if token.kind != "comparison":
        reader.expect_end()
        raise FormulaError(
            "a hypothesis compares two sides", text, token.span, expected="one of > < =", hint=f"{text.strip()} > 0"
        )
    reader.at += 1
    right = reader.sum()
    reader.expect_end()
    difference = Linear(left.weights - right.weights, left.constant - right.constant)
    if difference.is_number:
        raise FormulaError("there is no coefficient in this hypothesis", text, (0, len(text)))
    return Claim(difference, ALTERNATIVES[token.text])


def written(weights: np.ndarray, names: Sequence[str]) -> str:
    """A linear function as it would be written: `week - 2 * Intercept`."""
    parts = []
    for weight, name in zip(weights, names, strict=True):
        if weight == 0:
            continue
        size = "" if abs(weight) == 1 else f"{abs(weight):.6g} * "
        sign = ("-" if weight < 0 else "") if not parts else (" - " if weight < 0 else " + ")
        parts.append(f"{sign}{size}{name}")
    return "".join(parts) or "0"


class Reader:
    """A cursor over the words of an expression."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        if not isinstance(text, str):
            raise FormulaError("an expression is text", "", (0, 0), found=type(text).__name__)
        if len(text) > MAX_LENGTH:
            raise FormulaError(f"the expression is longer than {MAX_LENGTH} characters", text[:80], (79, 80))
        self.text, self.names = text, list(names)
        self.tokens = self._tokens()
        self.at = self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def _tokens(self) -> list[_Token]:
        text, at, found = self.text, 0, []
        longest = sorted(self.names, key=len, reverse=True)
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            token = self._token(at, longest)
            found.append(token)
            at = token.span[1]
        return [*found, _Token("end", "", (len(text), len(text)))]

    def _token(self, at: int, longest: list[str]) -> _Token:
        text = self.text
        if text[at] == "`":
            close = text.find("`", at + 1)
            if close < 0:
                raise FormulaError("this back-quote is never closed", text, (at, at + 1))
            return self._known(text[at + 1 : close], (at, close + 1))
        for name in longest:
            end = at + len(name)
            if text.startswith(name, at) and not (_in_word(name[-1]) and end < len(text) and _goes_on(text[end])):
                return _Token("name", name, (at, end))
        number = NUMBER.match(text, at)
        if number and not (number.end() < len(text) and _in_word(text[number.end()])):
            return _Token("number", number.group(), (at, number.end()))
        for sign in COMPARISONS:
            if text.startswith(sign, at):
                return _Token("comparison", sign, (at, at + len(sign)))
        if text[at] in "+-*/^()":
            return _Token("sign", text[at], (at, at + 1))
        word = WORD.match(text, at)
        end = word.end() if word else at + 1
        return self._known(text[at:end], (at, end))

    def _known(self, name: str, span: Span) -> _Token:
        if name not in self.names:
            raise FormulaError(
                f"there is no coefficient `{name}`", self.text, span, hint=did_you_mean(name, self.names)
            )
        return _Token("name", name, span)

    def takes(self, *signs: str) -> str | None:
        """Step over one of these signs and return it, if it stands here."""
        token = self.token
        if token.kind == "sign" and token.text in signs:
            self.at += 1
            return token.text
        return None

    def expect_end(self) -> None:
        token = self.token
        if token.kind == "comparison":
            raise FormulaError("a comparison does not stand here", self.text, token.span)
        if token.kind != "end":
            raise FormulaError("an operator is missing before this", self.text, token.span)

    def sum(self) -> Linear:
        found = self.product()
        while sign := self.takes("+", "-"):
            found = _added(found, self.product(), 1.0 if sign == "+" else -1.0)
        return found

    def product(self) -> Linear:
        start = self.token.span[0]
        found = self.operand()
        while sign := self.takes("*", "/"):
            other = self.operand()
            span = (start, self.tokens[self.at - 1].span[1])
            if sign == "/":
                if not other.is_number or other.constant == 0.0:
                    raise FormulaError("only a number other than zero can divide", self.text, span)
                found = _scaled(found, 1.0 / other.constant)
            elif found.is_number or other.is_number:
                found = _scaled(found, other.constant) if other.is_number else _scaled(other, found.constant)
            else:
                raise FormulaError("a product of coefficients is not linear", self.text, span)
        return found

    def operand(self) -> Linear:
        with self.deeper():
            return self._operand()

    @contextlib.contextmanager
    def deeper(self) -> Generator[None]:
        """One level further in. Raises FormulaError where there are too many."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise FormulaError(f"the expression is nested more than {MAX_NESTING} deep", self.text, self.token.span)
        yield
        self.depth -= 1

    def _operand(self) -> Linear:
        if sign := self.takes("+", "-"):
            return _scaled(self.operand(), 1.0 if sign == "+" else -1.0)
        token = self.token
        if self.takes("("):
            inner = self.sum()
            if not self.takes(")"):
                raise FormulaError("this parenthesis is never closed", self.text, token.span)
            return inner
        self.at += 1
        if token.kind == "number":
            return Linear(np.zeros(len(self.names)), float(token.text))
        if token.kind == "name":
            return Linear(np.array([float(name == token.text) for name in self.names]), 0.0)
        raise FormulaError("a coefficient or a number is missing here", self.text, token.span)


def _in_word(char: str) -> bool:
    return char.isalnum() or char in "_."


def _goes_on(char: str) -> bool:
    """Whether a word goes on with this character: `a` is no name in `ab`, `a:b` or `a[T.1]`."""
    return _in_word(char) or char in ":["


def _scaled(linear: Linear, by: float) -> Linear:
    return Linear(linear.weights * by, linear.constant * by)


def _added(left: Linear, right: Linear, sign: float) -> Linear:
    return Linear(left.weights + sign * right.weights, left.constant + sign * right.constant)
