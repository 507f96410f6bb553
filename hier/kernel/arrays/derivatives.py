"""Derivatives of functions of a few parameters: by power series with NumPy, by automatic differentiation with JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hier.kernel.arrays.control import is_traced, leaves, tree_map
from hier.kernel.arrays.library import Array, is_jax, xp
from hier.kernel.arrays.series import (
    Series,
    composed,
    derivative_in_first,
    first_of,
    from_slopes,
    hessian_of,
    rows_of_variables,
    value_of,
    variables,
)

Evaluate = Callable[[Array], tuple[Array, Array, Array]]


def differentiated(function: Callable[[Array], Array]) -> Evaluate:
    """Value (), gradient (m,) and Hessian (m, m) of a function (m,) -> ()."""

    def evaluate(x: Array) -> tuple[Any, Any, Any]:
        if not is_jax(x):
            found = function(variables(x, 2))
            return found.value, first_of(found), hessian_of(found)
        import jax

        def gradient_with_value(at: Array) -> tuple[Array, tuple[Array, Array]]:
            value, gradient = jax.value_and_grad(function)(at)
            return gradient, (value, gradient)

        hessian, (value, gradient) = jax.jacfwd(gradient_with_value, has_aux=True)(x)
        return value, gradient, hessian

    return evaluate


def gradient(function: Callable[[Array], Array], x: Array) -> Any:
    """The gradient (m,) of a function (m,) -> ()."""
    if is_jax(x):
        import jax

        return jax.grad(function)(x)
    return jacobian(function, x)


def gradient_in(function: Callable[[Any], Array], tree: Any) -> Any:
    """The gradient of a function of a tree of arrays, in the shapes of these."""
    own = leaves(tree)
    if any(map(is_jax, own)):
        import jax

        return jax.grad(function)(tree)

    def of_all(x: Any) -> Any:
        parts = iter(xp.split(x, np.cumsum([np.size(leaf) for leaf in own])[:-1]))
        return function(tree_map(lambda leaf: next(parts).reshape(np.shape(leaf)), tree))

    found = gradient(of_all, np.concatenate([np.ravel(leaf) for leaf in own]))
    parts = iter(np.split(found, np.cumsum([np.size(leaf) for leaf in own])[:-1]))
    return tree_map(lambda leaf: next(parts).reshape(np.shape(leaf)), tree)


def jacobian(function: Callable[[Array], Any], x: Array) -> Any:
    """The derivatives of the arrays (...) that a function gives, in each of x (m,): (..., m)."""
    if is_jax(x):
        import jax

        return jax.jacfwd(function)(x)

    def slopes(found: Any) -> Any:
        if not isinstance(found, Series):
            return np.zeros((*np.shape(found), len(x)))
        return np.moveaxis(first_of(found), 0, -1)

    return tree_map(slopes, function(variables(x, 1)))


def with_slope(function: Callable[[Array], Any], at: Array) -> tuple[Any, Any]:
    """A function of each number of `at` by itself, and its derivative."""
    if is_jax(at):
        import jax

        return jax.jvp(function, (at,), (jax.numpy.ones_like(at),))
    (x,) = rows_of_variables([np.asarray(at)], 1)
    found = function(x)
    return (found.value, found.c[1]) if isinstance(found, Series) else (found, np.zeros(np.shape(found)))


def row_derivatives(function: Callable[..., Any], arguments: Sequence[Any], order: int) -> list[Any]:
    """A function (n,) of each row's own numbers, `arguments` (n,), and its derivatives in the first of them up to
    `order`; power series of the arguments give power series.

    Near each row's numbers the function is a polynomial in few variables, whatever the parameters that these depend
    on are, so that it is computed once in the former and put together with the latter.
    """
    if is_traced(list(arguments)):
        return _row_derivatives_of_jax(function, arguments, order)
    moving = [0, *(k for k, x in enumerate(arguments) if k and isinstance(x, Series))]
    of = next((x.monomials for x in arguments if isinstance(x, Series)), None)
    inner = 0 if of is None else of.order
    if order + inner == 0:
        return [function(*arguments)]
    values = np.broadcast_arrays(*(value_of(arguments[k]) for k in moving))
    own = list(arguments)
    for k, x in zip(moving, rows_of_variables(values, order + inner), strict=True):
        own[k] = x
    found = [function(*own)]
    for _ in range(order):
        found.append(derivative_in_first(found[-1]))
    if of is None:
        return [part.value for part in found]
    away = [arguments[k] - value_of(arguments[k]) for k in moving]
    return [composed(part, away) for part in found]


def _row_derivatives_of_jax(function: Callable[..., Any], arguments: Sequence[Any], order: int) -> list[Any]:
    import jax

    first, *others = arguments
    if order == 0:
        return [function(first, *others)]

    def score(at: Array) -> Any:
        return jax.grad(lambda point: jax.numpy.sum(function(point, *others)))(at)

    value, change = jax.jvp(score, (first,), (jax.numpy.ones_like(first),))
    return [None, value, change]


def second_order(function: Callable[[Array], Any], x: Array) -> tuple[Any, Any, Any]:
    """The arrays (...) that a function gives, with their first and second derivatives in x (m,): trees of (...), (m,
    ...) and (m, m, ...).
    """
    if not is_jax(x):
        found = function(variables(x, 2))
        return tuple(tree_map(part, found) for part in (value_of, first_of, hessian_of))
    import jax

    def along(direction: Array) -> tuple[Any, Any]:
        """The slopes in all of x, and their change in one direction."""
        slopes, change = jax.jvp(jax.jacfwd(function), (x,), (direction,))
        moved = jax.tree.map(lambda own: jax.numpy.moveaxis(own, -1, 0), (slopes, change))
        return moved

    # one direction after the other, so that what is held is m times the function's own and not m^2 times
    slopes, curvatures = jax.lax.map(along, jax.numpy.eye(x.shape[0]))
    return function(x), jax.tree.map(lambda own: own[0], slopes), curvatures


class CustomDerivative:
    """A function whose derivative is known in closed form: `defjvp` takes JAX's rule of several tangents, `defslopes`
    the derivatives in its first arguments, the others being data.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._rule: Callable[..., Any] | None = None
        self._slopes: Callable[..., tuple[Any, ...]] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """The rule in JAX's words; power series go through the function itself."""
        self._rule = rule
        return rule

    def defslopes(self, slopes: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        """The derivatives in the first arguments, as functions of all."""
        self._slopes = slopes
        self._rule = self._from_slopes
        return slopes

    def _from_slopes(self, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        assert self._slopes is not None
        slopes = self._slopes(*primals)
        return self(*primals), sum(own * change for own, change in zip(slopes, tangents, strict=False))

    @functools.cached_property
    def _with_jax(self) -> Callable[..., Any]:
        import jax

        assert self._rule is not None
        found = jax.custom_jvp(self._function)
        found.defjvp(self._rule)
        return found

    def __call__(self, *arguments: Any) -> Any:
        if is_traced(arguments):
            return self._with_jax(*arguments)
        if self._slopes is None or not any(isinstance(own, Series) for own in arguments):
            return self._function(*arguments)
        slopes = self._slopes(*arguments)
        both = [(x, slope) for x, slope in zip(arguments, slopes, strict=False) if isinstance(x, Series)]
        value = self._function(*map(value_of, arguments))
        return from_slopes(value, [x for x, _ in both], [slope for _, slope in both])
