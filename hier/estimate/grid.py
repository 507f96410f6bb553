"""The grid of the fixed effects' variables over which marginal means are taken, and what each of its rows counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, kind_of
from hier.design.levels import match
from hier.design.table import ModelFrame
from hier.errors import FitError, did_you_mean

MOST_ROWS = 100_000  # of a grid

Nesting = dict[str, list[str]]  # of each nested variable, those that it is nested in


class Grid(NamedTuple):
    """Every combination of the values of the variables, those of the means first, the last variable changing fastest.

    `wanted`: the variables that the means are of, and those in which one of them is nested; `others` are averaged over.
    `index` (k,): of the means. `table`: the rows, as many for each mean one after another, and `weights` (k, m): what
    each of these counts. `nesting`: of those of all these that are nested.
    """

    wanted: list[str]
    others: list[str]
    index: pd.Index
    table: ModelFrame
    weights: np.ndarray
    nesting: Nesting

    def averaged(self, rows: np.ndarray) -> np.ndarray:
        """The weighted means of what stands in every row, (size,) or (size, P): (k,) or (k, P)."""
        return np.einsum("km,km...->k...", self.weights, rows.reshape(*self.weights.shape, *rows.shape[1:]))

    def at(self, name: str) -> float | None:
        """The value of a variable that has one value in all rows, a number."""
        own = self.table.columns[name]
        return None if isinstance(own, pd.Categorical) or np.ptp(own) else float(own[0])


def make_grid(design: Design, wanted: list[str], at: dict[str, Any]) -> Grid:
    """The grid for the means of some variables, other variables at their values in `at`.

    A mean is over equal shares of the levels of the other factors; of a nested factor, over those of its levels that
    stand in the level of the factor that it is nested in. A combination of the asked variables in which a nested one
    has no rows is no row of the means. Source: emmeans 1.8.4, `?ref_grid`, and vignette "messy-data".
    """
    values = _values(design, wanted, at)
    size = int(np.prod([len(own) for own in values.values()]))
    if size > MOST_ROWS:
        raise FitError(
            "the grid of the fixed effects' variables is too large",
            found=f"{size} combinations of {', '.join(f'`{name}` ({len(own)})' for name, own in values.items())}",
            expected=f"at most {MOST_ROWS}",
            hint="fix some of the variables with `at`",
        )
    nests = nesting(design)
    inner = [name for name in wanted if name in nests]
    wanted = list(dict.fromkeys([*inner, *(outer for name in inner for outer in nests[name]), *wanted]))
    others = [name for name in values if name not in wanted]
    order, k = [*wanted, *others], len(wanted)
    shape = tuple(len(values[name]) for name in order)
    seen = _seen(design, order, values, at)
    weights = _weights(order, k, shape, seen, nests).reshape(int(np.prod(shape[:k])), -1)
    there = np.broadcast_to(seen.any(axis=tuple(range(k, len(order))), keepdims=True), (*shape[:k], *seen.shape[k:]))
    there = there.reshape(len(weights), -1).any(axis=1) if inner else np.ones(len(weights), bool)
    index = pd.MultiIndex.from_product([values[name] for name in wanted], names=wanted)
    return Grid(
        wanted=wanted,
        others=others,
        index=index[there] if k > 1 else pd.Index(list(values[wanted[0]]), name=wanted[0])[there],
        table=_table([(name, values[name]) for name in order], shape, np.repeat(there, weights.shape[1])),
        weights=np.where(weights.sum(axis=1, keepdims=True) > 0, weights, np.nan)[there],
        nesting={name: outers for name, outers in nests.items() if name in order},
    )


def nesting(design: Design) -> Nesting:
    """Of each variable that is nested in others, these: in each of its levels they have one value in the data, or the
    formula has the variable inside them only, as `a / b` and `a + a:b` have b.

    Source: emmeans 1.8.4, `.find_nests`, called by `ref_grid`.
    """
    names, cells = design.variables.several, design.variables.cells
    found: Nesting = {}
    for a, name in enumerate(names):
        count = cells[:, a].max() + 1
        outers = [
            other
            for b, other in enumerate(names)
            if other != name and name not in found.get(other, []) and len(np.unique(cells[:, [a, b]], axis=0)) == count
        ]
        if outers:
            found[name] = outers
    for name, outers in _nested_by_formula(design).items():
        found[name] = list(dict.fromkeys([*found.get(name, []), *outers]))
    for name, outers in found.items():
        found[name] = list(dict.fromkeys([*(far for near in outers for far in found.get(near, [])), *outers]))
    return {name: outers for name, outers in found.items() if name not in outers}


def _nested_by_formula(design: Design) -> Nesting:
    """The variables without a term of their own, by those that have a column for each level in the terms with them."""
    encoder, found = design.fixed, {}
    names = {
        factor.text: factor.variables[0] for factor in _alone(design) if factor.variables[0] in design.variables.several
    }
    terms = [
        [(names[f.text], (place, f.text) in encoder.full) for f in term.factors if f.text in names]
        for place, term in enumerate(encoder.part.terms)
    ]
    for name in dict.fromkeys(names.values()):
        own = [dict(term) for term in terms if name in dict(term)]
        if any(len(term) == 1 for term in own):
            continue
        by_contrasts = [term for term in own if not term[name]] or own
        around = [frozenset(other for other, full in term.items() if full and other != name) for term in by_contrasts]
        least = [one for one in around if one and not any(other < one for other in around)]
        if least:
            found[name] = [other for other in names.values() if any(other in one for one in least)]
    return found


def _alone(design: Design) -> list[Any]:
    """The factors of the formula's terms that are one variable each: a column, or what the formula makes a factor."""
    codings = design.fixed.codings.values()
    return [own.factor for own in codings if own.factor.is_column or (own.factor.categorical and own.factor.is_plain)]


def _values(design: Design, wanted: list[str], at: dict[str, Any]) -> dict[str, Any]:
    """The values in the grid of each variable of the fixed effects. Raises FitError for one that is not there."""
    names = [name for name in design.variables.values if name != "(offset)"]
    if not wanted or len(set(wanted)) < len(wanted):
        raise FitError("marginal means are of one or more different variables", found=f"{wanted}")
    for name in [*wanted, *at]:
        if name not in names:
            raise FitError(
                f"the fixed effects have no variable `{name}`",
                expected="a variable of the formula, not a column of the design",
                hint=did_you_mean(str(name), names),
            )
    values: dict[str, Any] = {}
    for name in names:
        own, given = design.variables.values[name], at.get(name)
        if given is None:
            values[name] = np.array([own]) if isinstance(own, float) else own
            continue
        several = isinstance(given, Iterable) and not isinstance(given, str | bytes) and np.ndim(given) != 0
        chosen = list(given) if several else [given]
        values[name] = _chosen(name, chosen, own if isinstance(own, pd.Index) else None)
    return values


def _chosen(name: str, chosen: list[Any], levels: pd.Index | None) -> Any:
    """Values of a variable that were asked for."""
    if not chosen:
        raise FitError(f"there is no value of `{name}` in `at`", expected="one or more")
    if levels is None:
        try:
            numbers = np.array([float(value) for value in chosen])
        except (TypeError, ValueError) as error:
            raise FitError(f"`{name}` is numeric", found=f"{chosen} in `at`", expected="numbers") from error
        if not np.isfinite(numbers).all():
            raise FitError(f"`{name}` is not finite in `at`", found=f"{chosen}")
        return numbers
    places = match(name, pd.Index(chosen), levels)
    if (places < 0).any():
        value = chosen[int(np.argmax(places < 0))]
        raise FitError(
            f"the factor `{name}` has no level {value!r}",
            expected=f"one of {', '.join(map(str, levels[:10]))} ({kind_of(levels)})",
            hint=did_you_mean(str(value), levels.astype(str)),
        )
    return levels[list(dict.fromkeys(places))]


def _seen(design: Design, order: list[str], values: dict[str, Any], at: dict[str, Any]) -> np.ndarray:
    """In which cells of the grid there are rows, an axis a variable, of length 1 for one that tells no cells apart:
    a mean, and numbers of the user's own.
    """
    names, cells = design.variables.several, design.variables.cells
    places = {}
    for column, name in zip(cells.T, names, strict=True):
        own = design.variables.values[name]
        if isinstance(own, pd.Index):
            place = np.full(len(own), -1)
            place[own.get_indexer(values[name])] = np.arange(len(values[name]))
            places[name] = place[column]
        elif name not in at:
            places[name] = column
    seen = np.zeros([len(values[name]) if name in places else 1 for name in order], bool)
    rows = np.stack([places.get(name, np.zeros(len(cells), int)) for name in order])
    seen[tuple(rows[:, (rows >= 0).all(axis=0)])] = True
    return seen


def _weights(order: list[str], k: int, shape: tuple[int, ...], seen: np.ndarray, nests: Nesting) -> np.ndarray:
    """What each cell of the grid counts in the mean over the variables from place `k` on.

    Of a nested variable, what has rows within the levels of those that it is nested in, and of the other nested ones
    that are still to be averaged, counts equally; the most deeply nested comes first.
    """
    weights = np.ones(shape)
    inner = [name for name in order[k:] if name in nests]
    for name in order[k:]:
        if name not in nests:
            weights /= shape[order.index(name)]
    inner = sorted(inner, key=lambda name: len(nests[name]))
    while inner:
        name = inner.pop()
        apart = {name, *nests[name], *inner}
        axes = tuple(place for place, other in enumerate(order) if other not in apart)
        there = seen.any(axis=axes, keepdims=True)
        weights = weights * there / np.maximum(there.sum(axis=order.index(name), keepdims=True), 1)
    return weights


def _table(values: list[tuple[str, Any]], shape: tuple[int, ...], kept: np.ndarray) -> ModelFrame:
    """Every combination of the values that is kept, the last variable changing fastest."""
    columns: dict[str, Any] = {}
    for (name, own), codes in zip(values, np.indices(shape).reshape(len(shape), -1)[:, kept], strict=True):
        if isinstance(own, pd.Index) and own.dtype.kind not in "iuf":
            columns[name] = pd.Categorical.from_codes(codes, categories=own)
        else:
            columns[name] = np.asarray(own, dtype=np.float64)[codes]
    size = int(kept.sum())
    return ModelFrame(columns, pd.RangeIndex(size), size, {})
