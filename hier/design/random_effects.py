"""The random effects of a model: each grouping factor as integer codes, with a small dense block of columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.design.encode import Encoder, encode
from hier.design.levels import match
from hier.design.owned import Closed
from hier.design.table import ModelFrame, in_use
from hier.errors import FormulaError
from hier.formula import ParsedFormula, RandomTerm
from hier.formula.tokens import Span

UNSEEN, MISSING = -1, -2


BY_DISTANCE = frozenset({"ar1"})  # structures in which the correlation of two columns depends on the steps between


class Block(NamedTuple):
    """Columns whose deviations vary together: how many, the structure of their covariance (`us`, `diag`, `cs`, `ar1`),
    and whether they all have one variance. A column that varies on its own is a block of size 1, whatever its bar.

    `places`: of a structure that goes by the distances of columns the step at which each stands, from 0; empty where
    the columns follow each other.
    """

    size: int
    structure: str = "us"
    homogeneous: bool = False
    places: tuple[int, ...] = ()

    @property
    def times(self) -> tuple[int, ...]:
        """The step at which each column stands."""
        return self.places or tuple(range(self.size))


@dataclass(frozen=True)
class RandomEffects(Closed):
    """The random effects of one grouping factor.

    `codes` (n,): the row's level as an integer in [0, J). `Z` (n, q): the columns that vary between levels. `levels`:
    the J levels as they stand in the data, sorted or in the order of the categorical; those of an interaction join
    its factors' levels with colons. `names`: the q columns. `blocks`: those of them that share correlations or a
    variance, in order; their sizes sum to q.
    `factors`: the columns whose combinations are the levels, `factor_levels` the levels of each, `combinations` (J, f)
    their codes. `encoders`: how the columns were made, one per bar.
    """

    group: str
    codes: np.ndarray
    Z: np.ndarray
    levels: pd.Index
    names: tuple[str, ...]
    blocks: tuple[Block, ...]
    factors: tuple[str, ...]
    factor_levels: tuple[pd.Index, ...]
    combinations: np.ndarray
    encoders: tuple[Encoder, ...]
    span: Span

    @property
    def n_levels(self) -> int:
        return len(self.levels)

    @property
    def rows_per_level(self) -> np.ndarray:
        """Rows of each level (J,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.n_levels)

    @property
    def bars(self) -> dict[int, str]:
        """What stands before each bar, its intercept written out, by the first of its columns: `1 + week`."""
        found, at = dict[int, str](), 0
        for encoder in self.encoders:
            part = encoder.part
            found[at] = f"1 + {part}" if part.intercept and part.terms else str(part)
            at += len(encoder.names)
        return found

    @property
    def spaced(self) -> tuple[str, ...]:
        """The factors whose levels stand at other steps than one after the other."""
        spaced = any(block.places for block in self.blocks)
        encoders = [own for own in self.encoders if spaced and own.declared_levels() is not None]
        return tuple(own.part.terms[0].factors[0].variables[0] for own in encoders)

    def of(self, table: ModelFrame) -> RandomEffects:
        """The same random effects in another table; `codes` are -1 where a level is new and -2 where it is missing."""
        parts = [
            _place(name, table.columns[name], levels)
            for name, levels in zip(self.factors, self.factor_levels, strict=True)
        ]
        if len(parts) == 1:
            codes = parts[0]
        else:
            missing, unseen = (np.any([part == kind for part in parts], axis=0) for kind in (MISSING, UNSEEN))
            sizes = [len(levels) for levels in self.factor_levels]
            known = _combine(list(self.combinations.T), sizes)
            order = np.argsort(known)
            at = _combine([np.maximum(part, 0) for part in parts], sizes)
            where = np.minimum(np.searchsorted(known, at, sorter=order), len(known) - 1)
            codes = np.where(known[order[where]] == at, order[where], UNSEEN)
            codes = np.where(missing, MISSING, np.where(unseen, UNSEEN, codes))
        Z = np.column_stack([encoder.columns(table) for encoder in self.encoders])
        return replace(self, codes=codes, Z=Z)


def random_effects(
    formula: ParsedFormula, table: ModelFrame, X: np.ndarray, fixed: Encoder, *, by_row: bool = False
) -> tuple[RandomEffects, ...]:
    """All random effects, one entry a grouping factor in the order of the formula: the bars on one factor stand side
    by side, each a block of its own.

    `by_row`: whether a factor may have a level for each row, as where the response has no residuals. Columns that are
    among the fixed effects' `X` already are taken from there, where they stand side by side.
    """
    by_group: dict[frozenset[str], list[RandomTerm]] = {}
    for term in formula.random:
        by_group.setdefault(frozenset(term.factors), []).append(term)
    return tuple(_of_group(terms, table, formula.text, (X, fixed), by_row=by_row) for terms in by_group.values())


def _of_group(
    terms: list[RandomTerm], table: ModelFrame, text: str, known: tuple[np.ndarray, Encoder], *, by_row: bool
) -> RandomEffects:
    first = terms[0]
    parts = [levels_of(table.columns[name]) for name in first.factors]
    factor_levels = tuple(levels for _, levels in parts)
    if len(parts) == 1:
        codes, levels = parts[0]
        combinations = np.arange(len(levels))[:, None]
    else:
        codes, levels, combinations = _interaction([codes for codes, _ in parts], factor_levels)
    _refuse_levels(first, levels, table, text, by_row=by_row)
    pieces = [encode(term.columns, table, text, known) for term in terms]
    Z = pieces[0][0] if len(pieces) == 1 else np.column_stack([Z for Z, _ in pieces])
    blocks: list[Block] = []
    for term, (_, encoder) in zip(terms, pieces, strict=True):
        blocks += _blocks(term, encoder)
    return RandomEffects(
        group=first.group,
        codes=codes,
        Z=Z,
        levels=levels,
        names=tuple(name for _, encoder in pieces for name in encoder.names),
        blocks=tuple(blocks),
        factors=first.factors,
        factor_levels=factor_levels,
        combinations=combinations,
        encoders=tuple(encoder for _, encoder in pieces),
        span=first.group_span,
    )


def _blocks(term: RandomTerm, encoder: Encoder) -> list[Block]:
    """The blocks of one bar's columns: one, or where nothing connects them, one for each."""
    size = len(encoder.names)
    if size == 1 or (term.structure == "diag" and not term.homogeneous):
        return [Block(1)] * size
    places = _steps(encoder) if term.structure in BY_DISTANCE else ()
    return [Block(size, term.structure, term.homogeneous, places)]


def _steps(encoder: Encoder) -> tuple[int, ...]:
    """Where a factor's levels, one column each, stand among those that the data declare, in the longest steps that
    reach all of them; empty where they follow each other, and where the columns are no levels of one factor.
    """
    declared = encoder.declared_levels()
    if declared is None:
        return ()
    steps = declared - declared[0]
    steps = steps // np.gcd.reduce(steps)
    return () if len(steps) == steps[-1] + 1 else tuple(map(int, steps))


def _refuse_levels(term: RandomTerm, levels: pd.Index, table: ModelFrame, text: str, *, by_row: bool) -> None:
    group = term.group
    if len(levels) < 2:
        raise FormulaError(
            f"the grouping factor `{group}` has one level, so nothing can vary between its levels",
            text,
            term.group_span,
            found=f"the level {levels[0]!r} in every row",
            expected="two levels or more",
            hint="leave the random effects out, or group by another column",
        )
    if len(levels) >= table.nobs and not by_row:
        raise FormulaError(
            f"the grouping factor `{group}` has as many levels as there are rows, "
            "so its deviations cannot be told from the residuals",
            text,
            term.group_span,
            found=f"{len(levels)} levels in {table.nobs} rows",
            expected="several rows for some of the levels",
            hint="group by a column whose values repeat",
        )


def levels_of(values: np.ndarray | pd.Categorical) -> tuple[np.ndarray, pd.Index]:
    """Codes (n,) and the levels in use, sorted or in the order of the categorical."""
    if isinstance(values, pd.Categorical):
        codes, levels = in_use(values)
        return codes.astype(_smallest(len(values)), copy=False), levels
    if values.dtype.kind in "iu" and len(values):
        low, high = int(values.min()), int(values.max())
        if high < 2**63 and high - low < 4 * len(values):
            # counting is quicker than hashing, and gives the levels in order
            present = np.zeros(high - low + 1, bool)
            present[values - low] = True
            codes = values - low if low else values
            if not present.all():
                codes = (np.cumsum(present) - 1)[codes]
            # a copy: the table stays the user's own
            return codes.astype(_smallest(len(values)), copy=codes is values), pd.Index(np.flatnonzero(present) + low)
    codes, levels = pd.factorize(values, sort=True)
    if levels.dtype.kind == "f" and (levels == np.floor(levels)).all() and np.abs(levels).max() < 2**53:
        levels = levels.astype(np.int64)  # integers that became floats because of missing values elsewhere
    return codes, pd.Index(levels)


def _smallest(n: int) -> type[np.signedinteger]:
    """The integers that number n things."""
    return np.int32 if n < 2**31 else np.int64


def _interaction(codes: list[np.ndarray], levels: tuple[pd.Index, ...]) -> tuple[np.ndarray, pd.Index, np.ndarray]:
    """Codes, levels and combinations (J, f) of the combinations that occur, the last factor changing fastest."""
    combined = _combine(codes, [len(part) for part in levels])
    _, first, own = np.unique(combined, return_index=True, return_inverse=True)
    combinations = np.column_stack([part[first] for part in codes])
    labels = [part.astype(str)[column] for part, column in zip(levels, combinations.T, strict=True)]
    joined = _joined(labels)
    if not joined.is_unique:  # `x:y` with `z`, and `x` with `y:z`
        joined = _joined([part.where(~part.str.contains("[:`]"), "`" + part + "`") for part in labels])
    if not joined.is_unique:  # the number 1 and the text "1"
        whole = [part.map(repr)[column] for part, column in zip(levels, combinations.T, strict=True)]
        joined = _joined([pd.Index(part, dtype=object) for part in whole])
    return own, joined, combinations


def _joined(labels: list[pd.Index]) -> pd.Index:
    """Labels side by side, with colons between them."""
    joined = labels[0]
    for more in labels[1:]:
        joined = joined + ":" + more
    return pd.Index(joined)


def _combine(codes: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """One integer for each combination of codes."""
    combined = codes[0].astype(np.int64)
    for part, size in zip(codes[1:], sizes[1:], strict=True):
        combined = combined * size + part
    return combined


def _place(name: str, values: np.ndarray | pd.Categorical, levels: pd.Index) -> np.ndarray:
    """The codes of the labels of factor `name` by levels that are known; -1 for a new one, -2 for a missing one.

    Raises DataError where labels are of another type than the levels, and none of them is one.
    """
    if isinstance(values, pd.Categorical):
        used = values.remove_unused_categories()
        own, labels = used.codes, used.categories
    else:
        own, labels = pd.factorize(values)
        labels = pd.Index(labels)
    place = match(name, labels, levels)
    return np.where(own >= 0, place[own] if len(place) else UNSEEN, MISSING)
