"""Columns apart from the terms that their own term contains: what default priors act on.

A coefficient says what its column does where the others stand at zero, so that its size depends on where they are
counted from: the intercept on the origin of every covariate, the slope of x on that of z where `x:z` is in the model.
The anchored columns are each column less its least-squares projection on the columns of the terms that its own term
contains. They stay the same, but for a factor, when a covariate is shifted or scaled, and so do their coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.design.encode import Encoder
from hier.design.random_effects import RandomEffects
from hier.design.rank import TOLERANCE, triangular_factor
from hier.formula import Term


class Anchor(NamedTuple):
    """The way from coefficients of anchored columns to those of the columns as written, and back.

    `to_user` (k, k): coefficients of the columns as written are `to_user @` those of the anchored ones, `to_anchored`
    its inverse; both are unit triangular, but for the order of the columns. `spread` (k,): the standard deviation of
    each anchored column, of a constant its size. `level` (k,): the columns whose coefficients are values of the
    predictor at the means of the others: the intercept, or a factor's columns that stand for it. `mean` (k,): of each
    column as written. `moved`: whether a column's term contains another.
    """

    to_user: np.ndarray
    to_anchored: np.ndarray
    spread: np.ndarray
    level: np.ndarray
    mean: np.ndarray
    moved: bool


def anchor(
    X: np.ndarray, encoder: Encoder, kept: np.ndarray | None = None, *, constant: bool = False, centred: bool = True
) -> Anchor:
    """The anchor of a linear part's columns (n, k), those of the encoder that were `kept`.

    A term contains the intercept, the terms whose variables are some of its own, and of the terms with the very same
    variables those that are written in plainer columns or else earlier: `x:z` contains `x` and `z`, `I(x^2)` contains
    `x`. Columns of one term are not projected on each other. `constant`: whether something beside the columns is an
    intercept, as cutpoints are. Columns without an intercept, or a factor whose columns add up to one, are left as they
    are; so are all where not `centred`, and a column that those it is projected on determine.
    """
    places = _places(encoder, kept)
    k, level, mean = X.shape[1], _level(X, encoder, places), X.mean(axis=0)
    spread = np.array([_spread(column) for column in X.T])
    contained = _contained(encoder.part.terms, places) if centred and (constant or level.any()) else {}
    if not contained:
        return Anchor(np.eye(k), np.eye(k), spread, level, mean, False)
    back = np.eye(k) - np.outer(level, mean)  # the centred columns, and then the anchored ones, from those as written
    if any(contained.values()):
        rows = triangular_factor(X - mean)
        for place, inside in contained.items():
            for at in np.flatnonzero(places == place) if inside else ():
                rest, weights = _less_projection(rows[:, at], rows[:, inside])
                if np.linalg.norm(rest) > TOLERANCE * np.linalg.norm(rows[:, at]):
                    rows[:, at], back[:, at] = rest, back[:, at] - back[:, inside] @ weights
                    spread[at] = np.linalg.norm(rest) / np.sqrt(len(X) - 1)
    back[:, level] = np.eye(k)[:, level]
    moved = any(contained.values()) or bool(level.any() and not level.all())
    return Anchor(back, np.linalg.inv(back), spread, level, mean, moved)


def bar_anchors(random: RandomEffects, *, centred: bool = True) -> list[Anchor]:
    """The anchor of each bar's columns. Those of a bar whose structure is of its columns as written, uncorrelated ones
    or such as share a variance or a correlation, are left as they are; so are all where not `centred`.
    """
    found, at = [], 0
    free = {stop: block for block, stop in zip(random.blocks, np.cumsum([b.size for b in random.blocks]), strict=True)}
    for encoder in random.encoders:
        size = len(encoder.names)
        Z, block = random.Z[:, at : at + size], free.get(at + size)
        at += size
        usual = block is not None and block.size == size and block.structure == "us" and not block.homogeneous
        found.append(anchor(Z, encoder, centred=centred and usual))
    return found


def _places(encoder: Encoder, kept: np.ndarray | None) -> np.ndarray:
    """The place of each column's term, -1 of the intercept."""
    widths = [width for _, width in encoder.runs()]
    places = np.repeat(np.arange(len(widths)) - int(encoder.part.intercept), widths)
    return places if kept is None else places[kept]


def _level(X: np.ndarray, encoder: Encoder, places: np.ndarray) -> np.ndarray:
    """Mask of the columns whose sum is one in every row: the intercept, or a factor coded in full; all False where
    there are none.
    """
    if encoder.part.intercept:
        return places == -1
    for place in range(len(encoder.part.terms)):
        own = places == place
        if own.any() and _is_full(encoder, place) and (X[:, own].sum(axis=1) == 1.0).all():
            return own
    return np.zeros(len(places), bool)


def _is_full(encoder: Encoder, place: int) -> bool:
    return all((place, factor.text) in encoder.full for factor in encoder.part.terms[place].factors)


def _contained(terms: Sequence[Term], places: np.ndarray) -> dict[int, list[int]]:
    """The columns of the terms that each term contains, by its place; a term stands behind all that it contains."""
    keys = [_key(term, place) for place, term in enumerate(terms)]
    found = {}
    for place in sorted(range(len(terms)), key=lambda place: (len(keys[place][0]), keys[place][1:])):
        variables, *rank = keys[place]
        inside = [
            other
            for other, (others, *before) in enumerate(keys)
            if others < variables or (others == variables and before < rank)
        ]
        found[place] = np.flatnonzero(np.isin(places, inside)).tolist()
    return found


def _key(term: Term, place: int) -> tuple[frozenset[str], int, int]:
    """A term's variables, and by which of two terms with the same variables the other is thought to be in it: how many
    of its factors are expressions, and its place.
    """
    variables = frozenset(name for factor in term.factors for name in factor.variables)
    return variables, sum(not factor.is_column for factor in term.factors), place


def _less_projection(column: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A column less its projection on others, and the weights of these; twice, so that what is left is orthogonal to
    them to all digits.
    """
    lengths = np.linalg.norm(others, axis=0)
    scaled = others / np.where(lengths > 0, lengths, 1.0)
    rest, weights = column, np.zeros(others.shape[1])
    for _ in range(2):
        more = np.linalg.lstsq(scaled, rest, rcond=TOLERANCE)[0]
        rest, weights = rest - scaled @ more, weights + more
    return rest, weights / np.where(lengths > 0, lengths, 1.0)


def _spread(column: np.ndarray) -> float:
    """Standard deviation of a column; of a constant one its size, so that an intercept has 1."""
    spread = float(np.std(column, ddof=1))
    size = float(np.abs(column).max())
    return spread if spread > 1e-12 * size else (size or 1.0)
