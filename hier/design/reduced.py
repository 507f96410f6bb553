"""Random effects with a bar, or some of a bar's columns, left out: what a random term is tested against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hier.design.design import Design
from hier.design.encode import Encoder
from hier.design.random_effects import Block, RandomEffects
from hier.formula import RandomTerm, Term


@dataclass(frozen=True)
class Deletion:
    """What is left out, in words, and the random effects that remain."""

    label: str
    random_effects: tuple[RandomEffects, ...]


def deletions(design: Design) -> list[Deletion]:
    """Each way to make a design's random effects smaller by one step.

    Of a bar with correlated columns, each term that no other of its terms contains is left out: `(1 + x | g)` becomes
    `(1 | g)`, and so does `(0 + f | g)` with a factor f. Of a bar with uncorrelated columns, each term is left out, the
    intercept too. A bar with nothing to reduce, and one whose structure ties its columns together (`cs`, `ar1`, equal
    variances), is left out as a whole.
    """
    found = []
    for place, random in enumerate(design.random_effects):
        bars = [term for term in design.formula.random if frozenset(term.factors) == frozenset(random.factors)]
        for at, bar in enumerate(bars):
            for label, smaller in _without(random, bar, at):
                others = design.random_effects
                kept = others[:place] + (() if smaller is None else (smaller,)) + others[place + 1 :]
                found.append(Deletion(label, kept))
    return found


def _without(random: RandomEffects, bar: RandomTerm, at: int) -> list[tuple[str, RandomEffects | None]]:
    """The labels of what can be left out of the bar at a place, and the random effects without it."""
    encoder, part = random.encoders[at], bar.columns
    whole = [(str(bar), _replaced(random, at, None))]
    if bar.homogeneous or bar.structure not in ("us", "diag") or len(encoder.names) == 1:
        return whole
    if bar.structure == "diag":
        pieces = ([None] if part.intercept else []) + list(part.terms)
        if len(pieces) == 1:
            return whole
        return [(_alone(piece, encoder, bar), _replaced(random, at, _reduced(encoder, piece))) for piece in pieces]
    if not part.terms:
        return whole
    free = [term for term in part.terms if not any(term.key < other.key for other in part.terms)]
    smaller = [_reduced(encoder, term, keep_mean=True) for term in free]
    if not all(own.names for own in smaller):
        return whole
    return [(f"{term.label} in {bar}", _replaced(random, at, own)) for term, own in zip(free, smaller, strict=True)]


def _alone(piece: Term | None, encoder: Encoder, bar: RandomTerm) -> str:
    """A part of an uncorrelated bar as a bar of its own."""
    columns = "1" if piece is None else f"0 + {piece.name}"
    several = len(encoder.names) - len(_reduced(encoder, piece).names) > 1
    return str(bar).replace(f"({bar.columns} ||", f"({columns} {'||' if several else '|'}", 1)


def _reduced(encoder: Encoder, piece: Term | None, *, keep_mean: bool = False) -> Encoder:
    """The encoder without a term, or without the intercept where `piece` is None.

    `keep_mean`: whether a factor whose columns sum to one leaves the intercept behind, which is among their
    combinations.
    """
    part = encoder.part
    kept = [place for place, term in enumerate(part.terms) if term is not piece]
    intercept = part.intercept and piece is not None
    if keep_mean and piece is not None and not part.intercept and len(piece.factors) == 1:
        place = part.terms.index(piece)
        intercept = (place, piece.factors[0].text) in encoder.full
    full = frozenset((new, text) for new, old in enumerate(kept) for place, text in encoder.full if place == old)
    terms = tuple(part.terms[place] for place in kept)
    texts = {factor.text for term in terms for factor in term.factors}
    return encoder.with_part(
        replace(part, intercept=intercept, terms=terms),
        {text: coding for text, coding in encoder.codings.items() if text in texts},
        full,
    )


def _replaced(random: RandomEffects, at: int, smaller: Encoder | None) -> RandomEffects | None:
    """The random effects with the bar at a place made smaller, or left out; None where nothing is left."""
    pieces = [_piece(random, k) for k in range(len(random.encoders))]
    columns, blocks = pieces[at]
    encoders: Sequence[Encoder] = random.encoders[:at] + random.encoders[at + 1 :]
    pieces.pop(at)
    if smaller is not None:
        before = random.encoders[at]
        named = dict(zip(before.names, columns.T, strict=True))
        # an intercept that was not a column is the sum of a factor's
        Z = np.column_stack([named[name] if name in named else np.ones(len(columns)) for name in smaller.names])
        k = len(smaller.names)
        tied = len(blocks) == 1 and k > 1
        pieces.insert(at, (Z, [blocks[0]._replace(size=k)] if tied else [Block(1)] * k))
        encoders = (*encoders[:at], smaller, *encoders[at:])
    if not encoders:
        return None
    return replace(
        random,
        Z=np.column_stack([Z for Z, _ in pieces]),
        names=tuple(name for encoder in encoders for name in encoder.names),
        blocks=tuple(block for _, own in pieces for block in own),
        encoders=tuple(encoders),
    )


def _piece(random: RandomEffects, at: int) -> tuple[np.ndarray, list[Block]]:
    """The columns and the blocks of the bar at a place."""
    widths = [len(encoder.names) for encoder in random.encoders]
    start = sum(widths[:at])
    stop, own, end = start + widths[at], [], 0
    for block in random.blocks:
        if start <= end < stop:
            own.append(block)
        end += block.size
    return random.Z[:, start:stop], own
