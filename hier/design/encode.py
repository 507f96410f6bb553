"""Terms to columns: the design matrix of one linear part, coded by R's rules and named as formulaic names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hier.design.coding import Coding, apply, learn
from hier.design.table import ModelFrame
from hier.errors import FormulaError
from hier.formula import Factor, LinearPart, Term


@dataclass(frozen=True)
class Encoder:
    """How a linear part became columns: its terms, each factor's coding, and which factors are coded in full where.

    `full`: pairs of a term's place and a factor's text. `offsets`: the codings of the offsets.
    """

    part: LinearPart
    codings: Mapping[str, Coding]
    full: frozenset[tuple[int, str]]
    names: tuple[str, ...]
    offsets: tuple[Coding, ...]
    text: str

    def runs(self) -> list[tuple[object, int]]:
        """What each run of columns is, the intercept or a term as it is coded, and how many columns it has."""
        found: list[tuple[object, int]] = [("intercept", 1)] if self.part.intercept else []
        for place, term in enumerate(self.part.terms):
            texts = tuple((f.text, f.is_column, (place, f.text) in self.full) for f in term.factors)
            found.append((texts, len(_names(place, term, self.codings, self.full))))
        return found

    def columns(self, table: ModelFrame) -> np.ndarray:
        """The columns (n, k) of another table, coded identically. Raises DataError for a level that is new."""
        values = {name: apply(coding, table, self.text) for name, coding in self.codings.items()}
        return _assemble(self.part, self.codings, values, self.full, table.nobs)

    def notes(self) -> list[str]:
        """What the functions of its expressions keep of the data of the fit, a sentence each."""
        return [said for coding in (*self.codings.values(), *self.offsets) for said in coding.notes()]

    def declared_levels(self) -> np.ndarray | None:
        """Where each column's level stands among those that the data declare, if the columns are a factor's levels, one
        each, and nothing else; otherwise None.
        """
        if self.part.intercept or len(self.part.terms) != 1 or len(self.part.terms[0].factors) != 1:
            return None
        (factor,) = self.part.terms[0].factors
        return self.codings[factor.text].declared if (0, factor.text) in self.full else None

    def with_part(self, part: LinearPart, codings: Mapping[str, Coding], full: frozenset[tuple[int, str]]) -> Encoder:
        """The encoder of some of the terms, each factor coded as it was."""
        return Encoder(part, codings, full, _all_names(part, codings, full), self.offsets, self.text)

    def offset(self, table: ModelFrame) -> np.ndarray | None:
        """The sum of the offsets (n,), or None where there are none."""
        if not self.offsets:
            return None
        return sum((apply(coding, table, self.text) for coding in self.offsets), np.zeros(table.nobs))


def encode(
    part: LinearPart, table: ModelFrame, text: str, known: tuple[np.ndarray, Encoder] | None = None
) -> tuple[np.ndarray, Encoder]:
    """The columns (n, k) of a linear part, and how they were made; `text` is the formula, for the carets of errors.

    `known`: columns made of the same table, from which these are taken if they stand there side by side: for a table
    of many rows, that halves the memory.
    """
    codings: dict[str, Coding] = {}
    values: dict[str, np.ndarray] = {}
    for term in part.terms:
        for factor in term.factors:
            if factor.text not in codings:
                codings[factor.text], values[factor.text] = learn(factor, table, text)
    full = _coded_in_full(part, codings)
    names = _all_names(part, codings, full)
    offsets = tuple(number(factor, table, text)[0] for factor in part.offsets)
    encoder = Encoder(part, codings, full, names, offsets, text)
    X = None if known is None else _shared(encoder, *known)
    return (_assemble(part, codings, values, full, table.nobs) if X is None else X), encoder


def _shared(encoder: Encoder, X: np.ndarray, known: Encoder) -> np.ndarray | None:
    """The columns of X that are these, where the same terms stand there side by side; None where they do not."""
    own, others = encoder.runs(), known.runs()
    for start in range(len(others) - len(own) + 1):
        if [run for run, _ in others[start : start + len(own)]] == [run for run, _ in own]:
            begin = sum(width for _, width in others[:start])
            return X[:, begin : begin + len(encoder.names)]
    return None


def number(factor: Factor, table: ModelFrame, text: str) -> tuple[Coding, np.ndarray]:
    """The coding and the values (n,) of an expression that must be numeric."""
    coding, values = learn(factor, table, text, as_numbers=not factor.is_plain)
    if coding.levels is not None or values.ndim != 1:
        raise FormulaError(
            f"`{factor.name}` is not numeric here", text, factor.span, expected="a column or an expression of numbers"
        )
    return coding, values


def _coded_in_full(part: LinearPart, codings: Mapping[str, Coding]) -> frozenset[tuple[int, str]]:
    """Where a factor has a column for each of its levels instead of its contrasts.

    In an interaction, where no term before it holds all of its other variables; and the first factor of a part that
    has no intercept. Source: R's `?terms.object` (values 1 and 2 of `factors`) and `model.matrix`.
    """
    full = set()
    for place, term in enumerate(part.terms):
        for factor in term.factors:
            if codings[factor.text].levels is None:
                continue
            rest = term.key - {factor.text}
            if rest and not any(rest <= before.key for before in part.terms[:place]):
                full.add((place, factor.text))
    if not part.intercept:
        factors = [
            (place, factor.text)
            for place, term in enumerate(part.terms)
            for factor in term.factors
            if codings[factor.text].levels is not None
        ]
        full.update(factors[:1])
    return frozenset(full)


def _all_names(part: LinearPart, codings: Mapping[str, Coding], full: frozenset[tuple[int, str]]) -> tuple[str, ...]:
    """Names of all columns of a linear part."""
    own = [name for place, term in enumerate(part.terms) for name in _names(place, term, codings, full)]
    return tuple((["Intercept"] if part.intercept else []) + own)


def _names(place: int, term: Term, codings: Mapping[str, Coding], full: frozenset[tuple[int, str]]) -> list[str]:
    """Names of a term's columns; the first factor's levels change fastest."""
    names = [""]
    for factor in term.factors:
        own = codings[factor.text].names(full=(place, factor.text) in full)
        names = [f"{left}:{right}" if left else right for right in own for left in names]
    return names


def _assemble(
    part: LinearPart,
    codings: Mapping[str, Coding],
    values: Mapping[str, np.ndarray],
    full: frozenset[tuple[int, str]],
    nobs: int,
) -> np.ndarray:
    """All columns side by side, each term's products in the order of its names."""
    widths = [int(part.intercept)]
    for place, term in enumerate(part.terms):
        sizes = [len(codings[f.text].names(full=(place, f.text) in full)) for f in term.factors]
        widths.append(int(np.prod(sizes)))
    X = np.empty((nobs, sum(widths)), order="F")
    X[:, : widths[0]] = 1.0
    at = widths[0]
    for place, (term, width) in enumerate(zip(part.terms, widths[1:], strict=True)):
        first, *others = term.factors
        product = codings[first.text].columns(values[first.text], full=(place, first.text) in full)
        for factor in others:
            more = codings[factor.text].columns(values[factor.text], full=(place, factor.text) in full)
            product = (more[:, :, None] * product[:, None, :]).reshape(nobs, -1)
        X[:, at : at + width] = product
        at += width
    return X
