"""The words of a formula: names, numbers, quoted text and operators, each with its place in the text.

What counts as a name follows R with two widenings: letters of every alphabet, and a leading underscore.
Source: R's `?Quotes` (names and back-quotes) and `?formula`; both documented there, re-implemented here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hier.errors import FormulaError

Span = tuple[int, int]

MAX_LENGTH = 10_000  # characters; nobody writes a longer formula, and a bound keeps hostile text cheap

OPERATORS = ("%in%", "**", "||", "<=", ">=", "==", "!=", *"~+-*/:^|(),<>=")
_FIRST = frozenset(op[0] for op in OPERATORS)
_DIGITS = frozenset("0123456789")
_ASCII_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
_STRAY_HINTS = {
    "[": "pick rows or columns in the data before fitting; a formula has no subscripts",
    "]": "pick rows or columns in the data before fitting; a formula has no subscripts",
    "{": "a formula has no braces; use I( ) for arithmetic",
    "$": "name the column alone: the data are given beside the formula",
    "@": "name the column alone: the data are given beside the formula",
    "&": "a formula has no logical operators: multiply comparisons, as in I((x > 3) * (z < 2))",
    "!": "a formula has no logical operators: write `!=`, or I(1 - (x > 3))",
    "%": "the only operator between percent signs is %in%",
}


class Token(NamedTuple):
    """One word of a formula; `kind` is name, quoted, number, string, op or end."""

    kind: str
    text: str
    span: Span


def tokenize(text: str) -> list[Token]:
    """The words of `text` in order, closed by an `end` token; white space only separates.

    Raises `FormulaError` at a character that cannot stand in a formula, and at a quote that is never closed.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula is longer than {MAX_LENGTH} characters",
            text[: MAX_LENGTH + 1],
            (MAX_LENGTH, MAX_LENGTH + 1),
            found=f"{len(text)} characters",
        )
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _next_token(text, at)
        tokens.append(token)
        at = token.span[1]
    tokens.append(Token("end", "", (len(text), len(text))))
    return tokens


def _next_token(text: str, at: int) -> Token:
    """The word that begins at character `at`."""
    char = text[at]
    if char in _DIGITS or (char == "." and text[at + 1 : at + 2] in _DIGITS):
        return _number(text, at)
    if _in_name(char):
        end = _run(text, at)
        return Token("name", text[at:end], (at, end))
    if char == "`":
        return _quoted_name(text, at)
    if char in "\"'":
        return _string(text, at)
    if char in _FIRST:
        for op in OPERATORS:
            if text.startswith(op, at):
                return Token("op", op, (at, at + len(op)))
    raise FormulaError(
        "this character cannot stand in a formula", text, (at, at + 1), found=ascii(char), hint=_STRAY_HINTS.get(char)
    )


def _in_name(char: str) -> bool:
    """Whether `char` may stand inside a name that is not back-quoted."""
    return char in _ASCII_WORD or (char > "\x7f" and ("a" + char).isidentifier())


def _run(text: str, at: int) -> int:
    """Where the run of name characters that begins at `at` ends."""
    while at < len(text) and _in_name(text[at]):
        at += 1
    return at


def _skip_digits(text: str, at: int) -> int:
    while at < len(text) and text[at] in _DIGITS:
        at += 1
    return at


def _number(text: str, start: int) -> Token:
    """A decimal number such as `2`, `0.5`, `.5` or `1e-3`; other notations (hexadecimal, `1L`) are refused."""
    end = _skip_digits(text, start)
    if text[end : end + 1] == ".":
        end = _skip_digits(text, end + 1)
    if text[end : end + 1] in ("e", "E"):
        sign = 1 if text[end + 1 : end + 2] in ("+", "-") else 0
        exponent_end = _skip_digits(text, end + 1 + sign)
        if exponent_end > end + 1 + sign:
            end = exponent_end
    if end < len(text) and _in_name(text[end]):
        span = (start, _run(text, end))
        raise FormulaError(
            "neither a number nor a name",
            text,
            span,
            found=text[span[0] : span[1]][:40],
            hint="put a name that begins with a digit in back-quotes",
        )
    if not math.isfinite(float(text[start:end])):
        raise FormulaError("this number is too large", text, (start, end))
    return Token("number", text[start:end], (start, end))


def _quoted_name(text: str, start: int) -> Token:
    """A name in back-quotes, which may hold spaces and signs; there are no escapes, as formulaic has none."""
    close = text.find("`", start + 1)
    if close < 0:
        raise FormulaError("this back-quote is never closed", text, (start, start + 1))
    name, span = text[start + 1 : close], (start, close + 1)
    if not name.strip():
        raise FormulaError("there is no name between these back-quotes", text, span)
    if not name.isprintable() or "\\" in name:
        raise FormulaError(
            "a column name with a backslash or a control character cannot be used",
            text,
            span,
            hint="rename the column in the data",
        )
    return Token("quoted", name, span)


def _string(text: str, start: int) -> Token:
    """Quoted text, as in `I(sex == "male")`.

    Brackets, quotes and backslashes inside are refused: formulaic 1.2.2 loses its place at them
    (`I(g == 'a(')` fails there with "Formula ended before quote context was closed").
    """
    close = text.find(text[start], start + 1)
    if close < 0:
        raise FormulaError("this quote is never closed", text, (start, start + 1))
    value, span = text[start + 1 : close], (start, close + 1)
    if not value.isprintable() or any(c in "\\`'\"()[]{}" for c in value):
        raise FormulaError(
            "quoted text with brackets, quotes or backslashes is not supported yet",
            text,
            span,
            hint="compute the column in the data before fitting",
        )
    return Token("string", value, span)
