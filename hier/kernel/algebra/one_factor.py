"""A crossed model with the deviations of all factors but the largest given: a model of one factor is left.

The residual y - Z b, b the given deviations, enters only through its products with the largest factor, with the
fixed effects and with itself; all of them follow from the cross-products, so that no row is touched, and nothing is
factorised but small matrices a level.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.by_level import eliminate_chain
from hier.kernel.algebra.crossproducts import CrossProducts, Dense
from hier.kernel.algebra.marginal import Marginal
from hier.kernel.algebra.padding import padded_size
from hier.kernel.algebra.sparse import Both, both_ways, gathered_times


class Between(NamedTuple):
    """Products of different factors among those that are given: `value` (E,) at deviations `row` and `column`, each
    pair once.
    """

    value: Any
    row: Any
    column: Any


class Given(NamedTuple):
    """Products of the factors whose deviations are given: `own` and `rx` as in `Dense`, and their `coupling` with the
    largest factor, levels by deviations.
    """

    own: tuple[Any, ...]
    between: Between
    rx: Any
    coupling: Both

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Columns and levels of each factor."""
        return tuple((block.shape[0], block.shape[2]) for block in self.own)


def given_products(dense: Dense) -> Given:
    """The products of the dense part as a list of entries, most of which levels never meet."""
    sizes = [block.shape[0] * block.shape[2] for block in dense.own]
    factor = np.repeat(np.arange(len(sizes)), sizes)
    row, column = np.nonzero(np.triu(dense.rr) * (factor[:, None] != factor[None]))
    size = padded_size(len(row))
    fill = size - len(row)
    between = Between(
        np.append(dense.rr[row, column], np.zeros(fill)),
        np.append(row, np.zeros(fill, row.dtype)).astype(np.int32),
        np.append(column, np.zeros(fill, column.dtype)).astype(np.int32),
    )
    coupling, r = dense.coupling, len(factor)
    inside = coupling.column < r  # the entries that fill their list up are not
    cells = (coupling.value[:, inside], coupling.group[inside], coupling.column[inside])
    return Given(dense.own, between, dense.rx, both_ways(*cells, (coupling.group_like.shape[0], r)))


def without_given(cross: CrossProducts, given: Given, b: tuple[jax.Array, ...]) -> CrossProducts:
    """Cross-products of y - Z b, the deviations `b` (q, J) of the given factors, with the factor that is left."""
    level = cross.levels[0]
    stacked = jnp.concatenate([jnp.ravel(part) for part in b])
    right = jnp.asarray(level.right).at[:, -1].add(-gathered_times(given.coupling, stacked))
    between = given.between
    squares = 2.0 * jnp.sum(between.value * stacked[between.row] * stacked[between.column])
    for own, part in zip(given.own, b, strict=True):
        squares += jnp.sum(own * part[:, None] * part[None])
    explained = given.rx.T @ stacked
    xx = jnp.asarray(cross.xx).at[-1].add(-explained).at[:, -1].add(-explained).at[-1, -1].add(squares)
    return cross._replace(levels=(level._replace(right=right),), merged=(), dense=(), xx=xx)


def integrate_largest(factor: jax.Array, cross: CrossProducts) -> Marginal:
    """The largest factor's deviations integrated out; the result can be differentiated in the products too."""
    _, log_det, explained = eliminate_chain((factor,), cross.levels)
    return Marginal(log_det, cross.xx - explained)
