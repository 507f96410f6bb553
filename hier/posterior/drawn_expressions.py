"""Expressions of parameters and levels, evaluated in every draw: `sd_id[week] / sigma > 0.5`.

Names are those of the tables, in back-quotes or not: coefficients, `sigma`, `sd_GROUP[column]`,
`cor_GROUP[column,column]`, the response's further parameters, cutpoints, and `GROUP[level,column]`, the deviation of a
level. The rest is numbers, `+ - * / ^`, parentheses and the functions below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hier.errors import FormulaError
from hier.estimate.expressions import ALTERNATIVES, Reader
from hier.estimate.tables import correlated_pairs
from hier.model.names import told_apart
from hier.model.parameter_names import coefficient_names
from hier.posterior.posterior_draws import PosteriorDraws

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "plogis": lambda x: 1.0 / (1.0 + np.exp(-x)),
}


def values_of_parameters(posterior: PosteriorDraws) -> dict[str, np.ndarray]:
    """The draws (S,) of every parameter and of every level's deviations, by name."""
    others: dict[str, np.ndarray] = {}
    for group in posterior.groups:
        own = group.variables
        sd = posterior.draws[own.sd]
        for k, name in enumerate(group.names):
            others[f"sd_{group.name}[{name}]"] = sd[..., k]
        for k, (i, j) in enumerate(correlated_pairs(group.blocks)):
            others[f"cor_{group.name}[{group.names[i]},{group.names[j]}]"] = posterior.draws[own.cor][..., k]
    for name, labels in posterior.further.items():
        keys = [name] if labels is None else list(labels if name == "cutpoints" else coefficient_names(name, labels))
        values = posterior.draws[name].reshape(*posterior.draws[name].shape[:2], len(keys))
        others |= {key: values[..., k] for k, key in enumerate(keys)}
    for group in posterior.groups:
        b = posterior.draws[group.variables.b]
        for j, level in enumerate(group.levels):
            others |= {f"{group.name}[{level},{name}]": b[..., j, k] for k, name in enumerate(group.names)}
    names = told_apart(posterior.coef_names, others)
    found = {name: posterior.beta[..., k] for k, name in enumerate(names)} | others
    return {name: values.reshape(-1) for name, values in found.items()}


def read_claim(text: str, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The draws (S,) of the left side less the right of a comparison, and its direction. Raises FormulaError."""
    reader = _DrawsReader(text, values)
    left = reader.total()
    token = reader.token
    if token.kind != "comparison":
        reader.expect_end()
        raise FormulaError(
            "a hypothesis compares two sides", text, token.span, expected="one of > < =", hint=f"{text.strip()} > 0"
        )
    reader.at += 1
    right = reader.total()
    reader.expect_end()
    if not reader.has_names:
        raise FormulaError("there is no parameter in this hypothesis", text, (0, len(text)))
    return left - right, ALTERNATIVES[token.text]


class _DrawsReader(Reader):
    """A cursor over the words of an expression, whose values are draws."""

    def __init__(self, text: str, values: Mapping[str, np.ndarray]) -> None:
        functions = [name for name in FUNCTIONS if name not in values]
        super().__init__(text, [*values, *functions])
        self.values, self.has_names = values, False
        self.count = len(next(iter(values.values())))

    def total(self) -> np.ndarray:
        found = self.factors()
        while sign := self.takes("+", "-"):
            other = self.factors()
            found = found + other if sign == "+" else found - other
        return found

    def factors(self) -> np.ndarray:
        found = self.signed()
        while sign := self.takes("*", "/"):
            other = self.signed()
            with np.errstate(divide="ignore", invalid="ignore"):
                found = found * other if sign == "*" else found / other
        return found

    def signed(self) -> np.ndarray:
        """A power with its sign in front, which binds less: -2^2 is -4."""
        if sign := self.takes("+", "-"):
            value = self.nested(self.signed)
            return -value if sign == "-" else value
        base = self.nested(self.atom)
        if self.takes("^"):
            with np.errstate(invalid="ignore"):
                return base ** self.nested(self.signed)
        return base

    def nested(self, read: Callable[[], np.ndarray]) -> np.ndarray:
        with self.deeper():
            return read()

    def atom(self) -> np.ndarray:
        token = self.token
        if self.takes("("):
            inner = self.total()
            if not self.takes(")"):
                raise FormulaError("this parenthesis is never closed", self.text, token.span)
            return inner
        self.at += 1
        if token.kind == "number":
            return np.full(self.count, float(token.text))
        if token.kind == "name" and token.text in self.values:
            self.has_names = True
            return self.values[token.text]
        if token.kind == "name" and self.token.text == "(":
            with np.errstate(invalid="ignore", divide="ignore"):
                return FUNCTIONS[token.text](self.atom())
        raise FormulaError("a parameter or a number is missing here", self.text, token.span)
