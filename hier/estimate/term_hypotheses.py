"""What an analysis of variance tests of each term: linear functions of the fixed effects, of types I, II and III.

A type III test of a term is written in the coefficients of the model in which every factor has a column for each of
its levels. There it does not depend on how the factors were coded; the estimable functions of these coefficients are
then functions of the coefficients that were fitted. Source: SAS/STAT User's Guide, "The Four Types of Estimable
Functions"; Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 2.4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg

from hier.design import Design
from hier.design.encode import Encoder
from hier.design.rank import triangular_factor
from hier.formula import Term

SMALL = 1e-8  # of combinations of orthonormal rows: below it one is zero

Hypotheses = dict[str, np.ndarray]  # by term, rows (k, p) of linear functions that are all zero


class _Columns(NamedTuple):
    """The terms of a model and where their columns stand in X: `places` (p,), -1 for the intercept.

    `full_places`: the same of all columns, those that are not in X included.
    """

    terms: tuple[Term, ...]
    places: np.ndarray
    full_places: np.ndarray


def _columns(design: Design) -> _Columns:
    encoder = design.fixed
    widths = [width for _, width in encoder.runs()]
    first = -1 if encoder.part.intercept else 0
    full = np.repeat(np.arange(first, first + len(widths)), widths)
    return _Columns(encoder.part.terms, full[design.kept], full)


def _numeric(term: Term, encoder: Encoder) -> frozenset[str]:
    """The variables of a term that are no factors."""
    return frozenset(factor.text for factor in term.factors if encoder.codings[factor.text].levels is None)


def containing(design: Design) -> list[list[int]]:
    """For each term the places of those that contain it: the same numeric variables, and more factors."""
    terms, encoder = design.fixed.part.terms, design.fixed
    return [
        [
            place
            for place, other in enumerate(terms)
            if term.key < other.key and _numeric(term, encoder) == _numeric(other, encoder)
        ]
        for term in terms
    ]


def beside_covariates(design: Design) -> list[str]:
    """What a type II test of a term means whose product with a covariate is in the model: it does not contain the term,
    so that the test is at the covariate's zero. A sentence each.

    Source: lmerTest 3.1-3, whose rule this is; others leave such products out, and test at the covariate's mean.
    """
    terms, encoder, said = design.fixed.part.terms, design.fixed, []
    for term in terms:
        larger = [o for o in terms if term.key < o.key and _numeric(term, encoder) < _numeric(o, encoder)]
        if larger:
            products = " and ".join(f"`{other.label}`" for other in larger)
            said.append(f"`{term.label}` is adjusted for {products} too, and tested where the covariate is 0")
    return said


def type_one(design: Design) -> Hypotheses:
    """Each term after those before it."""
    columns = _columns(design)
    return _in_sequence(design, columns, {place: np.arange(len(columns.places)) for place in range(len(columns.terms))})


def type_two(design: Design) -> Hypotheses:
    """Each term after all others but those that contain it; where none does, its coefficients are zero."""
    columns, contained = _columns(design), containing(design)
    orders = {}
    for place in range(len(columns.terms)):
        own = columns.places == place
        beyond = np.isin(columns.places, contained[place])
        orders[place] = np.concatenate([np.flatnonzero(~own & ~beyond), np.flatnonzero(own), np.flatnonzero(beyond)])
    found = _in_sequence(design, columns, orders)
    last = {columns.terms[place].label: place for place, others in enumerate(contained) if not others}
    return found | {label: np.eye(len(columns.places))[columns.places == place] for label, place in last.items()}


def _in_sequence(design: Design, columns: _Columns, orders: dict[int, np.ndarray]) -> Hypotheses:
    """The rows of the triangular factor of X that belong to each term, X's columns being in that term's order.

    They say what least squares without weights would test by the reduction in the sum of squares.
    """
    R = triangular_factor(design.X)
    found = {}
    for place, order in orders.items():
        rows = np.zeros((len(order), len(order)))
        upper = np.linalg.qr(R[:, order], mode="r")
        rows[:, order] = upper / np.diag(upper)[:, None]
        found[columns.terms[place].label] = rows[columns.places[order] == place]
    return found


def type_three(design: Design) -> Hypotheses:
    """Each term with all others in the model, whatever the coding.

    Of the estimable functions that involve only a term and those that contain it, those that are orthogonal to all
    that involve only the latter.
    """
    columns, contained = _columns(design), containing(design)
    if not columns.terms:
        return {}
    coding, plain, estimable, places = _in_full(design, columns)
    found = {}
    for place, term in enumerate(columns.terms):
        own = _only_in(estimable, np.isin(places, [place, *contained[place]]))
        higher = _only_in(estimable, np.isin(places, contained[place]))
        if len(higher):
            own = _row_space(own - (own @ higher.T) @ higher)
        found[term.label] = _turned((own @ coding)[:, design.kept], (own @ plain)[:, design.kept])
    return found


def _in_full(design: Design, columns: _Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The model with a column for each level of each factor, P columns in all.

    Returns the coding (P, c) that makes the c columns of the design of them, the same by treatment contrasts, an
    orthonormal basis (e, P) of the functions that can be estimated, and the term of each column (P,).
    """
    encoder = design.fixed
    terms = [None, *columns.terms] if encoder.part.intercept else list(columns.terms)
    first = -1 if encoder.part.intercept else 0
    widths = [_n_cells(term, encoder) for term in terms]
    coding, plain = (
        np.asarray(scipy.linalg.block_diag(*[_coding(k + first, term, encoder, plain) for k, term in enumerate(terms)]))
        for plain in (False, True)
    )
    spans = _span(terms, encoder)
    aliases = design.determined.aliases
    null = np.zeros((len(design.kept), aliases.shape[1]))
    null[design.kept], null[~design.kept] = aliases, -np.eye(null.shape[1])
    spans, hidden = _row_space(spans), _row_space((coding @ null).T)
    estimable = _combinations(spans @ hidden.T) @ spans
    return coding, plain, estimable, np.repeat(np.arange(first, first + len(terms)), widths)


def _n_cells(term: Term | None, encoder: Encoder) -> int:
    codings = [encoder.codings[factor.text] for factor in term.factors] if term else []
    return int(np.prod([len(coding.names(full=True)) for coding in codings]))


def _product(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The Kronecker product in the order of a term's columns, whose first factor changes fastest."""
    return functools.reduce(lambda product, matrix: np.kron(matrix, product), matrices, np.ones((1, 1)))


def _coding(place: int, term: Term | None, encoder: Encoder, plain: bool) -> np.ndarray:
    """The columns of a term in the design as combinations of those with all levels; `plain`: as if every factor had
    treatment contrasts.
    """
    matrices = []
    for factor in term.factors if term else ():
        coding = encoder.codings[factor.text]
        by_contrasts = coding.levels is not None and (place, factor.text) not in encoder.full
        full = np.eye(len(coding.names(full=True)))
        matrices.append(full if not by_contrasts else full[:, 1:] if plain else coding.contrasts)
    return _product(matrices)


def _span(terms: Sequence[Term | None], encoder: Encoder) -> np.ndarray:
    """A basis (f, P) of the rows that the columns with all levels can have.

    A factor's column for a level is the constant 1 / L and a part in its contrasts Q, so that a term's columns are sums
    of products over its subsets: the pure interactions, which all terms that contain the subset share. Terms with
    different numeric variables share none.
    """
    blocks: dict[tuple[frozenset[str], frozenset[str]], list[tuple[int, np.ndarray]]] = {}
    widths = [_n_cells(term, encoder) for term in terms]
    for k, term in enumerate(terms):
        factors = term.factors if term else ()
        numeric = _numeric(term, encoder) if term else frozenset()
        subsets: list[frozenset[str]] = [frozenset()]
        for factor in factors:
            if factor.text not in numeric:
                subsets += [subset | {factor.text} for subset in subsets]
        for subset in subsets:
            matrices = []
            for factor in factors:
                L = len(encoder.codings[factor.text].names(full=True))
                if factor.text in numeric:
                    matrices.append(np.eye(L))
                else:
                    matrices.append(_helmert(L) if factor.text in subset else np.full((1, L), 1.0 / L))
            blocks.setdefault((numeric, subset), []).append((k, _product(matrices)))
    starts = np.concatenate([[0], np.cumsum(widths)])
    rows = []
    for parts in blocks.values():
        row = np.zeros((parts[0][1].shape[0], starts[-1]))
        for k, block in parts:
            row[:, starts[k] : starts[k + 1]] = block
        rows.append(row)
    return np.concatenate(rows)


@functools.cache
def _helmert(size: int) -> np.ndarray:
    """Orthonormal contrasts (size - 1, size)."""
    return scipy.linalg.helmert(size)


def _row_space(rows: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the row space, empty (0, P) where there is none."""
    if rows.size == 0:
        return rows[:0]
    _, values, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[values > SMALL * max(float(values[0]), 1e-300)] if values[0] > SMALL else basis[:0]


def _turned(rows: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """The combinations of the rows that make their counterparts by treatment contrasts orthonormal.

    Satterthwaite's degrees of freedom of an F-test depend a little on which functions stand for the hypothesis; so they
    do not depend on the coding.
    """
    turn, sizes, _ = np.linalg.svd(plain, full_matrices=False)
    kept = sizes > SMALL
    return (turn[:, kept] / sizes[kept]).T @ rows


def _combinations(rows: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the combinations of the rows (k, c) that vanish."""
    turn, values, _ = np.linalg.svd(rows)
    zero = np.ones(len(rows), bool)
    zero[: len(values)] = values <= SMALL
    return turn.T[zero]


def _only_in(rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """An orthonormal basis of those combinations of orthonormal `rows` that are zero outside some columns."""
    return _combinations(rows[:, ~inside]) @ rows if inside.any() else rows[:0]


TYPES: dict[int, Callable[[Design], Hypotheses]] = {1: type_one, 2: type_two, 3: type_three}
