"""Which variances and correlations the rows cannot tell apart, whatever the response: found from the design alone.

The covariance of a Normal response is linear in the entries of the deviations' covariances, V = sum_k Z_k S_k Z_k' +
s^2 W^-1, and whatever the family, what the deviations do to the rows depends on the Z_k S_k Z_k' alone. A direction in
which the parameters move and V does not is one of which no data say anything: it makes tr(V_a V_b) singular, V_a the
change of V with parameter a. Where a structure ties the entries to each other, the changes are taken at a covariance
that is like any other.
Source: Rao and Kleffe (1988), Estimation of Variance Components and Applications, section 4.3, on which functions of
variance components can be estimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hier.design import Design, RandomEffects
from hier.kernel.covariance.theta import Change, changes_at_large
from hier.model.parameter_names import varcorr_name

MANY_ROWS = 20_000  # from here on some of the levels are tried first
SINGULAR = 1e-9  # of directions of length 1: a combination that moves the rows' covariance less does not move it
ROUNDING = 1e-13  # of the largest: what is left of a direction that one factor's columns do not move in
INVOLVED = 1e-4  # of a combination's length: a parameter with less does not belong to it


class Undetermined(NamedTuple):
    """Parameters that the rows do not tell apart: `entries`, of each the grouping factor's place in the design and the
    columns of a standard deviation (a, a) or of a correlation (a, b), and `residual`, whether the residual variance is
    among them. `names`: the parameters' names. `cause`: a clause.
    """

    entries: tuple[tuple[int, int, int], ...]
    residual: bool
    names: tuple[str, ...]
    cause: str

    @property
    def sentence(self) -> str:
        """What the data do not say, and why."""
        if len(self.names) == 1:
            return f"the data say nothing of {self.names[0]}: {self.cause}"
        listed = f"{', '.join(self.names[:-1])} and {self.names[-1]}"
        return f"the data do not tell {listed} apart: {self.cause}"


class _Own(NamedTuple):
    """One grouping factor. `Z` (n, r): its columns in an orthogonal basis. `directions` (d, r, r): symmetric matrices
    of length 1 in that basis that span what the `changes` (c) do. `back` (d, c): the combinations of changes that the
    directions are. `lost` (l, c): combinations of changes that do nothing.
    """

    Z: np.ndarray
    directions: np.ndarray
    back: np.ndarray
    lost: np.ndarray
    changes: tuple[Change, ...]


def parameter_name(random: RandomEffects, a: int, b: int) -> str:
    """The name of a factor's standard deviation (a = b) or correlation."""
    names = random.names
    return varcorr_name(random.group, names[a], None if a == b else names[b])


def undetermined(design: Design, *, has_normal_rows: bool) -> tuple[Undetermined, ...]:
    """The sets of parameters that the rows do not tell apart; mostly none. A pass over the rows for each pair of
    grouping factors.
    """
    effects = design.random_effects
    residual = _residual(design) if has_normal_rows else np.zeros((design.nobs, 0))
    if design.nobs > MANY_ROWS:
        # what some of the levels tell apart, all of them do
        some = effects[0].codes < max(2, effects[0].n_levels * MANY_ROWS // design.nobs)
        if not _sets([replace(own, codes=own.codes[some], Z=own.Z[some]) for own in effects], residual[some]):
            return ()
    return tuple(_described(effects, sorted(own), beside) for (_, beside), own in _sets(effects, residual).items())


def _sets(
    effects: Sequence[RandomEffects], residual: np.ndarray
) -> dict[tuple[frozenset[int], bool], set[tuple[int, int, int]]]:
    """The entries that these rows do not tell apart, by the factors that they are of and by whether the residual
    variance is among them.
    """
    own = [_own(random) for random in effects]
    null = _null_space(_gram(effects, own, residual))
    back = _diagonal([*(one.back for one in own), np.eye(residual.shape[1])])
    lost = _diagonal([*(one.lost for one in own), np.zeros((0, residual.shape[1]))])
    sets: dict[tuple[frozenset[int], bool], set[tuple[int, int, int]]] = {}
    for part in _components(np.concatenate([null @ back, lost])):
        entries, is_residual = _entries(own, part)
        sets.setdefault((frozenset(k for k, _, _ in entries), is_residual), set()).update(entries)
    return sets


def _own(random: RandomEffects) -> _Own:
    R = np.linalg.qr(random.Z, mode="r") / np.sqrt(len(random.Z))
    _, size, turn = np.linalg.svd(R)
    size = size[size > ROUNDING * size.max(initial=0.0)]
    T, Z = size[:, None] * turn[: len(size)], random.Z @ (turn[: len(size)].T / size)
    changes = changes_at_large(random.blocks)
    moved = np.stack([T @ change.matrix @ T.T for change in changes]).reshape(len(changes), -1)
    length = np.linalg.norm(moved, axis=1)
    u, values, vt = np.linalg.svd(moved / np.where(length > 0.0, length, 1.0)[:, None])
    rank = int((values > ROUNDING * values.max(initial=0.0)).sum())
    return _Own(
        Z=Z,
        directions=vt[:rank].reshape(rank, len(size), len(size)),
        back=u.T[:rank] / values[:rank, None],
        lost=u.T[rank:],
        changes=changes,
    )


def _residual(design: Design) -> np.ndarray:
    """The directions (n, s) of the residual variances of a Normal response, which add to those of the deviations: one
    variance over the rows' weights, or those that sigma's columns give.
    """
    (sigma,) = design.parameters
    columns = np.asarray(sigma.X) if sigma.has_formula else np.ones((design.nobs, 1))
    return columns if design.weights is None else columns / design.weights[:, None]


def _gram(effects: Sequence[RandomEffects], own: Sequence[_Own], residual: np.ndarray) -> np.ndarray:
    """tr(V_a V_b) of all directions, those of the residual last."""
    ends = np.cumsum([0, *(len(one.directions) for one in own), residual.shape[1]])
    gram = np.zeros((ends[-1], ends[-1]))
    last = slice(ends[-2], ends[-1])
    for k, one in enumerate(own):
        here = slice(ends[k], ends[k + 1])
        for m in range(k + 1):
            there = slice(ends[m], ends[m + 1])
            both = _met(effects[k], one.Z, effects[m], own[m].Z)
            gram[here, there] = np.einsum("iba,jcd,acbd->ij", one.directions, own[m].directions, both, optimize=True)
            gram[there, here] = gram[here, there].T
        gram[here, last] = np.einsum("na,iab,nb,ns->is", one.Z, one.directions, one.Z, residual, optimize=True)
        gram[last, here] = gram[here, last].T
    gram[last, last] = residual.T @ residual
    return gram


def _met(random: RandomEffects, Z: np.ndarray, other: RandomEffects, other_Z: np.ndarray) -> np.ndarray:
    """The sum over the cells C = Z_j'Z_l, in which a level of one factor meets one of the other, of C_ac C_bd:
    (q, r, q, r).
    """
    q, r = Z.shape[1], other_Z.shape[1]
    cells = random.codes.astype(np.int64)
    if other is not random:
        cells = cells * other.n_levels + other.codes
        if random.n_levels * other.n_levels > 4 * len(cells):
            _, cells = np.unique(cells, return_inverse=True)
    products = [np.bincount(cells, Z[:, a] * other_Z[:, c]) for a in range(q) for c in range(r)]
    flat = np.stack(products)
    return (flat @ flat.T).reshape(q, r, q, r)


def _null_space(gram: np.ndarray) -> np.ndarray:
    """Combinations (l, d) of directions that a matrix of their products says are zero."""
    length = np.sqrt(np.diag(gram))
    scale = 1.0 / np.where(length > 0.0, length, 1.0)
    values, vectors = np.linalg.eigh(scale[:, None] * gram * scale)
    return vectors[:, values < SINGULAR].T * scale


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    from scipy.linalg import block_diag

    return np.asarray(block_diag(*blocks))


def _components(vectors: np.ndarray) -> list[np.ndarray]:
    """The parameters that a space of combinations (l, c) involves, apart where no combination involves both."""
    if not len(vectors):
        return []
    from scipy.sparse.csgraph import connected_components

    _, size, basis = np.linalg.svd(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), full_matrices=False)
    basis = basis[size > INVOLVED]
    joint = np.abs(basis.T @ basis)
    count, labels = connected_components(joint > INVOLVED**2, directed=False)
    found = [np.flatnonzero(labels == label) for label in range(count)]
    return [part for part in found if joint[part, part].max() > INVOLVED**2]


def _entries(own: Sequence[_Own], part: Iterable[int]) -> tuple[set[tuple[int, int, int]], bool]:
    """The standard deviations and correlations that changes, counted through all factors, belong to, and whether the
    residual is among them.
    """
    known = [[(k, a, b) for a, b in change.pairs] for k, one in enumerate(own) for change in one.changes]
    return {entry for at in part if at < len(known) for entry in known[at]}, any(at >= len(known) for at in part)


def _described(
    effects: Sequence[RandomEffects], entries: Sequence[tuple[int, int, int]], residual: bool
) -> Undetermined:
    names = [parameter_name(effects[k], a, b) for k, a, b in _with_correlations(effects, entries)]
    return Undetermined(
        entries=tuple(entries),
        residual=residual,
        names=(*names, *["the residual variance"] * residual),
        cause=_cause(effects, entries, residual),
    )


def _with_correlations(
    effects: Sequence[RandomEffects], entries: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """These entries and the correlations with columns whose standard deviations are among them."""
    found = list(entries)
    for k in sorted({k for k, _, _ in entries}):
        pairs = [pair for change in changes_at_large(effects[k].blocks) for pair in change.pairs]
        found += [(k, a, b) for a, b in pairs if a != b and ((k, a, a) in entries or (k, b, b) in entries)]
    return sorted(set(found))


def _cause(effects: Sequence[RandomEffects], entries: Sequence[tuple[int, int, int]], residual: bool) -> str:
    factors = sorted({k for k, _, _ in entries})
    groups = [f"`{effects[k].group}`" for k in factors]
    listed = " and ".join(groups)
    if residual:
        return f"the levels of {listed} have too few rows for that"
    if len(factors) > 1:
        alike = all(_part_alike(effects[factors[0]], effects[k]) for k in factors[1:])
        return f"{listed} " + ("part the rows alike" if alike else "give the rows the same covariance together")
    own = effects[factors[0]]
    columns = sorted({at for _, a, b in entries for at in (a, b)})
    vary = [a for _, a, b in entries if a == b] or columns
    constant = [own.names[at] for at in columns if own.names[at] != "Intercept" and _is_constant_within(own, at)]
    if constant:
        are = "is" if len(constant) == 1 else "are"
        return f"{', '.join(f'`{name}`' for name in constant)} {are} constant within the levels of {listed}"
    return f"the columns {', '.join(f'`{own.names[at]}`' for at in vary)} determine each other within {listed}"


def _part_alike(one: RandomEffects, other: RandomEffects) -> bool:
    """Whether two factors put the same rows together."""
    together = np.unique(one.codes.astype(np.int64) * other.n_levels + other.codes)
    return len(together) == one.n_levels == other.n_levels


def _is_constant_within(own: RandomEffects, at: int) -> bool:
    """Whether a column has one value in each level."""
    column = own.Z[:, at]
    value = np.zeros(own.n_levels)
    value[own.codes] = column
    return bool((value[own.codes] == column).all())
