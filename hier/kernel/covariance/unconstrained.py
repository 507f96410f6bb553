"""Pieces from which a density of unconstrained variance parameters is put together, free of any prior."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hier.kernel.arrays.derivatives import differentiated
from hier.kernel.arrays.library import Array, is_jax, put, xp
from hier.kernel.covariance.theta import Blocks, correlation_blocks, correlations, n_columns, sd_columns


def split_vector(x: Array, sizes: Sequence[int]) -> list[Array]:
    """Cut a flat vector into consecutive pieces of the given sizes."""
    return xp.split(x, np.cumsum(sizes)[:-1])


def by_column(sds: Sequence[Any], blocks: Blocks) -> Array:
    """The standard deviation of each column (q,), from one for each that is free."""
    both = zip(sds, sd_columns(blocks), strict=True)
    return xp.concatenate([xp.full(stop - start, sd) for sd, (start, stop) in both])


def correlated_factor(sd: Array, cor: Sequence[Any], blocks: Blocks) -> Array:
    """Cholesky factor (q, q) of the covariance with standard deviations `sd` (q,) and correlations `cor`, of each
    correlated block the variable that its prior is of.
    """
    factor = xp.eye(n_columns(blocks))
    own = zip(correlation_blocks(blocks), correlations(blocks), cor, strict=True)
    for (start, stop), (block, correlation), value in own:
        own_columns = slice(start, stop)
        factor = put(factor, (own_columns, own_columns), correlation.factor(value, block))
    return sd[:, None] * factor


def second_order(function: Callable[[Array], Array], at: Array) -> tuple[Array, Array]:
    """First and second derivative of a function of one number."""
    if not is_jax(at):
        _, first, second = differentiated(lambda x: function(x[0]))(np.reshape(at, 1))
        return first[0], second[0, 0]
    import jax

    first = jax.grad(function)
    return first(at), jax.grad(first)(at)


def as_float64(tree: Any) -> Any:
    """The same tree with every leaf a float64 array, so that numbers of another kind compile nothing anew."""
    import jax

    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def join(pieces: Sequence[Any]) -> Array:
    """One flat vector of the pieces."""
    return xp.concatenate([xp.ravel(xp.asarray(piece)) for piece in pieces]) if pieces else xp.zeros(0)


def unconstrained(values: Sequence[Any], transforms: Sequence[Any]) -> Array:
    """One flat vector of the values, each taken back through its transform; zero for a value outside its support."""
    import jax.numpy as jnp

    x = join([transform.inv(jnp.asarray(value)) for value, transform in zip(values, transforms, strict=True)])
    return xp.where(xp.isfinite(x), x, 0.0)


@functools.cache
def _names(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A distribution's parameters, and what its structure depends on, in the order in which NumPyro flattens both."""
    return tuple(kind.gather_pytree_data_fields()), tuple(kind.gather_pytree_aux_fields())


@functools.cache
def _registered() -> None:
    """Tell JAX, which NumPyro has loaded, that `Ordered` is a tree."""
    import jax

    jax.tree_util.register_pytree_node_class(Ordered)


class Ordered:
    """A NumPyro distribution as an argument of compiled programs, flattened in the order of its parameters' names.

    NumPyro keeps these names in a set, so that their order, and with it the compiled program's key in the cache on
    disk, would change from one process to the next.
    """

    def __init__(self, node: Any) -> None:
        _registered()
        self.node = node

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, fixed = self.node.tree_flatten()
        parameters, structure = _names(type(self.node))
        inner = (
            Ordered(child) if hasattr(child, "gather_pytree_data_fields") else child
            for child in _sort(children, parameters)
        )
        # whether its parameters are checked makes no other program
        fixed = [None if name == "_validate_args" else value for name, value in zip(structure, fixed, strict=True)]
        return tuple(inner), (type(self.node), _sort(fixed, structure))

    @classmethod
    def tree_unflatten(cls, aux: tuple[Any, ...], children: Sequence[Any]) -> Ordered:
        kind, fixed = aux
        parameters, structure = _names(kind)
        inner = (child.node if isinstance(child, Ordered) else child for child in _unsort(children, parameters))
        return cls(kind.tree_unflatten(_unsort(fixed, structure), tuple(inner)))


def _sort(values: Sequence[Any], names: Sequence[str]) -> tuple[Any, ...]:
    """The values in the order of their names."""
    return tuple(values[k] for k in sorted(range(len(names)), key=names.__getitem__))


def _unsort(values: Sequence[Any], names: Sequence[str]) -> tuple[Any, ...]:
    """Values in the order of their names, back in the order of `names`."""
    return tuple(values[sorted(names).index(name)] for name in names)
