"""A sparse matrix times a vector, and its transpose times one, by gathering alone.

The derivative of a gathered read is a scattered write, which a CPU makes one after the other. So the matrix is kept
twice, by its rows and by its columns, and one serves as the derivative of the other. The entries of a row stand in
pieces of a fixed width, filled up with zeros, whose few sums are added up in the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.padding import padded_size

WIDTH = 8  # measured on InstEval's 90,000 entries: 16 is as fast, 32 is slower


class Pieces(NamedTuple):
    """A matrix by its rows, each entry a vector of q numbers: `value` (q, w, T) at columns `index` (w, T), the pieces
    belonging to rows `row` (T,), ascending, of as many as `like` (n,) is long.
    """

    value: Any
    index: Any
    row: Any
    like: Any


class Both(NamedTuple):
    """The same matrix by its rows and by its columns."""

    rows: Pieces
    columns: Pieces


def both_ways(value: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> Both:
    """The matrix with entries `value` (q, E) at `row` and `column` (E,)."""
    return Both(_pieces(value, row, column, shape[0]), _pieces(value, column, row, shape[1]))


def _pieces(value: np.ndarray, row: np.ndarray, column: np.ndarray, n_rows: int) -> Pieces:
    order = np.argsort(row, kind="stable")
    value, row, column = value[:, order], row[order], column[order]
    counts = np.bincount(row, minlength=n_rows)
    pieces = -(-counts // WIDTH)
    place = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]  # of an entry in its row
    piece, lane = (np.cumsum(pieces) - pieces)[row] + place // WIDTH, place % WIDTH
    size = padded_size(int(pieces.sum()))
    padded, index = np.zeros((len(value), WIDTH, size)), np.zeros((WIDTH, size), np.int32)
    padded[:, lane, piece], index[lane, piece] = value, column
    owner = np.full(size, n_rows - 1, np.int32)
    owner[: pieces.sum()] = np.repeat(np.arange(n_rows), pieces)
    return Pieces(padded, index, owner, np.zeros(n_rows, np.int8))


def _summed(products: jax.Array, pieces: Pieces) -> jax.Array:
    return jnp.zeros(pieces.like.shape[0]).at[pieces.row].add(products, indices_are_sorted=True)


def _forward(both: Both, vector: jax.Array) -> jax.Array:
    rows = both.rows
    read = [vector[index] for index in rows.index]
    return jnp.stack([_summed(sum(v * x for v, x in zip(value, read, strict=True)), rows) for value in rows.value])


def _backward(both: Both, vectors: jax.Array) -> jax.Array:
    columns = both.columns
    total = 0.0
    for value, vector in zip(columns.value, vectors, strict=True):
        total = total + sum(v * vector[index] for v, index in zip(value, columns.index, strict=True))
    return _summed(jnp.asarray(total), columns)


@jax.custom_vjp
def gathered_times(both: Both, vector: jax.Array) -> jax.Array:
    """C vector, (q, n) of (r,); its derivative in the vector is C' times, and the matrix is a constant."""
    return _forward(both, vector)


gathered_times.defvjp(
    lambda both, vector: (_forward(both, vector), both), lambda both, change: (None, _backward(both, change))
)
