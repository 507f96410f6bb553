"""Loops, choices and trees of arrays, at once or as parts of a program that is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from hier.kernel.arrays.library import is_jax, xp


def leaves(tree: Any) -> list[Any]:
    """The arrays of tuples, named ones among them, in order."""
    if isinstance(tree, tuple | list):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree]


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The same tree with a function of each of its arrays and the ones in the same places of others."""
    if isinstance(tree, tuple | list):
        parts = [tree_map(function, *own) for own in zip(tree, *others, strict=True)]
        return _like(tree, parts)
    return function(tree, *others)


def filled(like: Any, values: Iterable[Any]) -> Any:
    """A tree like another, with other arrays in order."""
    rest = iter(values)
    return tree_map(lambda _: next(rest), like)


def _like(tree: Any, parts: list[Any]) -> Any:
    if hasattr(tree, "_fields"):
        return type(tree)(*parts)
    return type(tree)(parts)


def is_traced(tree: Any) -> bool:
    """Whether JAX's arrays are among those of a tree."""
    return any(map(is_jax, leaves(tree)))


def while_loop(goes_on: Callable[[Any], Any], advance: Callable[[Any], Any], state: Any) -> Any:
    """`advance` of the state, again and again, as long as it goes on."""
    if is_traced(state):
        import jax

        return jax.lax.while_loop(goes_on, advance, state)
    while goes_on(state):
        state = advance(state)
    return state


def mapped(function: Callable[[Any], Any], values: Any, like: Any) -> Any:
    """A function of each of `values` (k, ...), whose results (k, ...) are of the kind of `like`."""
    if is_jax(like):
        import jax

        return jax.vmap(function)(values)
    return xp.stack([function(value) for value in values])


def in_turn(function: Callable[[Any], Any], values: Any, like: Any) -> Any:
    """As `mapped`, of trees whose arrays have a first axis (k,), and without computing all of them together."""
    if is_jax(like):
        import jax

        return jax.lax.map(function, values)
    count = len(leaves(values)[0])
    found = [function(tree_map(lambda own, k=k: own[k], values)) for k in range(count)]
    return tree_map(lambda *own: np.stack(own), *found)


def chosen(index: Any, functions: Sequence[Callable[[], Any]]) -> Any:
    """The result of one of several functions."""
    if is_jax(index):
        import jax

        return jax.lax.switch(index, list(functions))
    return functions[int(index)]()


def either[T](condition: Any, one: Callable[[], T], other: Callable[[], T]) -> T:
    """The result of one of two functions."""
    if is_jax(condition):
        import jax

        return jax.lax.cond(condition, one, other)
    return one() if condition else other()
