"""NumPy's functions for power series, by name: linear ones act on every coefficient, others by their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hier.kernel.arrays import series
from hier.kernel.arrays.series import Series, value_of

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def lifted(x: Any, like: Series) -> Series:
    """x as a series, constant unless it is one."""
    if isinstance(x, Series):
        return x
    x = np.asarray(x, float)
    c = np.zeros((like.monomials.size, *x.shape))
    c[0] = x
    return Series(c, like.monomials)


def _first(items: Sequence[Any]) -> Series:
    return next(item for item in items if isinstance(item, Series))


def _by_derivatives(derivatives: Callable[[np.ndarray, int], list[np.ndarray]]) -> Callable[[Series], Series]:
    """A function of numbers by its derivatives at x up to an order."""
    return lambda x: x.applied(derivatives(x.value, x.monomials.order))


def _expm1(x: Series) -> Series:
    found = x.exp()
    found.c[0] = np.expm1(x.value)
    return found


def _log1p(x: Series) -> Series:
    return (x + 1.0).log_with(np.log1p(x.value))


def _sqrt(x: np.ndarray, order: int) -> list[np.ndarray]:
    found = [np.sqrt(x)]
    for k in range(order):
        found.append(found[-1] * (0.5 - k) / x)
    return found


def _sin(x: np.ndarray, order: int) -> list[np.ndarray]:
    return [np.sin(x + 0.5 * np.pi * k) for k in range(order + 1)]


def _cos(x: np.ndarray, order: int) -> list[np.ndarray]:
    return [np.cos(x + 0.5 * np.pi * k) for k in range(order + 1)]


def _sigmoid(x: np.ndarray, order: int) -> list[np.ndarray]:
    from scipy.special import expit

    s = expit(x)
    slope = s * expit(-x)
    both = [s, slope, slope * (1.0 - 2.0 * s), slope * (1.0 - 6.0 * slope)]
    return [*both, slope * (1.0 - 2.0 * s) * (1.0 - 12.0 * slope)][: order + 1]


def _softplus(x: np.ndarray, order: int) -> list[np.ndarray]:
    return [np.logaddexp(0.0, x), *_sigmoid(x, order - 1)]


def _ndtr(x: np.ndarray, order: int) -> list[np.ndarray]:
    from scipy.special import ndtr

    density = np.exp(-0.5 * x**2 - HALF_LOG_2PI)
    return [ndtr(x), density, -x * density, (x**2 - 1.0) * density, x * (3.0 - x**2) * density][: order + 1]


def _log_ndtr(x: np.ndarray, order: int) -> list[np.ndarray]:
    from scipy.special import log_ndtr

    value = log_ndtr(x)
    r = np.exp(-0.5 * x**2 - HALF_LOG_2PI - value)  # the inverse of Mills' ratio, r' = -r (x + r)
    r1 = -r * (x + r)
    r2 = -r1 * (x + r) - r * (1.0 + r1)
    r3 = -r2 * (x + r) - 2.0 * r1 * (1.0 + r1) - r * r2
    return [value, r, r1, r2, r3][: order + 1]


def _gammaln(x: np.ndarray, order: int) -> list[np.ndarray]:
    from scipy.special import digamma, gammaln, polygamma

    return [gammaln(x), digamma(x), *(polygamma(k, x) for k in range(1, order))][: order + 1]


def _arctan2(y: Any, x: Any) -> Series:
    like = _first([y, x])
    y, x = lifted(y, like), lifted(x, like)
    size = (x.squared() + y.squared()).reciprocal()
    return series.from_slopes(np.arctan2(y.value, x.value), [y, x], [x * size, -y * size])


def _tan(x: Series) -> Series:
    return x.applied(_sin(x.value, x.monomials.order)) / x.applied(_cos(x.value, x.monomials.order))


def _where(condition: Any, one: Any, other: Any) -> Series:
    like = _first([one, other])
    one, other = lifted(one, like), lifted(other, like)
    ndim = max(np.ndim(condition), one.ndim, other.ndim)
    condition = np.asarray(value_of(condition))
    return like.linear(np.where(condition, series.ranked(one.c, ndim), series.ranked(other.c, ndim)))


def _maximum(one: Any, other: Any) -> Series:
    return _where(value_of(one) >= value_of(other), one, other)


def _minimum(one: Any, other: Any) -> Series:
    return _where(value_of(one) <= value_of(other), one, other)


def _clip(x: Any, low: Any, high: Any) -> Series:
    return _where((x.value > low) & (x.value < high), x, np.clip(x.value, low, high))


def _logaddexp(one: Any, other: Any) -> Series:
    larger, smaller = _maximum(one, other), _minimum(one, other)
    away = smaller - larger
    return larger + away.applied(_softplus(away.value, away.monomials.order))


def _logsumexp(x: Series, axis: int) -> Series:
    top = x.value.max(axis=axis, keepdims=True)
    total = _sum(FUNCTIONS["exp"](x - top), axis)
    return FUNCTIONS["log"](total) + np.squeeze(top, axis)


def _sum(x: Series, axis: Any = None) -> Series:
    if not isinstance(axis, tuple):
        return x.sum(axis)
    axes = axis
    return x.linear(x.c.sum(axis=tuple(series.axis_of(own, x.ndim) for own in axes)))


def _cumsum(x: Series) -> Series:
    return x.linear(np.cumsum(x.c, axis=1))


def _concatenate(items: Sequence[Any], axis: int = 0) -> Series:
    like = _first(items)
    own = [lifted(item, like).c for item in items]
    return like.linear(np.concatenate(own, axis=series.axis_of(axis, own[0].ndim - 1)))


def _stack(items: Sequence[Any], axis: int = 0) -> Series:
    like = _first(items)
    own = [lifted(item, like).c for item in items]
    return like.linear(np.stack(own, axis=series.axis_of(axis, own[0].ndim)))


def _append(x: Any, more: Any) -> Series:
    return _concatenate([ravel(x), ravel(more)])


def ravel(x: Any) -> Any:
    return x.reshape(-1) if isinstance(x, Series) else np.ravel(x)


def _split(x: Series, edges: Any) -> list[Series]:
    return [x.linear(part) for part in np.split(x.c, edges, axis=1)]


def _pad(x: Series, widths: Any) -> Series:
    widths = [widths] if isinstance(widths[0], int | np.integer) else list(widths)
    return x.linear(np.pad(x.c, [(0, 0), *widths]))


def _moveaxis(x: Series, source: int, destination: int) -> Series:
    return x.linear(np.moveaxis(x.c, series.axis_of(source, x.ndim), series.axis_of(destination, x.ndim)))


def _swapaxes(x: Series, one: int, other: int) -> Series:
    return x.linear(np.swapaxes(x.c, series.axis_of(one, x.ndim), series.axis_of(other, x.ndim)))


def _diagonal(x: Series) -> Series:
    return x.linear(np.diagonal(x.c, axis1=1, axis2=2))


def _diag(x: Series) -> Series:
    if x.ndim == 2:
        return _diagonal(x)
    return x.linear(x.c[:, :, None] * np.eye(len(x)))


def _broadcast_to(x: Series, shape: tuple[int, ...]) -> Series:
    return x.linear(np.broadcast_to(series.ranked(x.c, len(shape)), (len(x.c), *shape)))


def _full(shape: Any, value: Series) -> Series:
    return _broadcast_to(value, shape if isinstance(shape, tuple) else (shape,))


def _outer(one: Any, other: Any) -> Series:
    return one[:, None] * other[None]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": Series.exp,
    "expm1": _expm1,
    "log": lambda x: x.log_with(np.log(x.value)),
    "log1p": _log1p,
    "sqrt": _by_derivatives(_sqrt),
    "sin": _by_derivatives(_sin),
    "cos": _by_derivatives(_cos),
    "tan": _tan,
    "square": Series.squared,
    "abs": abs,
    "sigmoid": _by_derivatives(_sigmoid),
    "softplus": _by_derivatives(_softplus),
    "ndtr": _by_derivatives(_ndtr),
    "log_ndtr": _by_derivatives(_log_ndtr),
    "gammaln": _by_derivatives(_gammaln),
    "arctan2": _arctan2,
    "where": _where,
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": _clip,
    "logaddexp": _logaddexp,
    "logsumexp": _logsumexp,
    "add": lambda one, other: one + other,
    "subtract": lambda one, other: one - other,
    "sum": _sum,
    "cumsum": _cumsum,
    "concatenate": _concatenate,
    "stack": _stack,
    "append": _append,
    "ravel": ravel,
    "split": _split,
    "pad": _pad,
    "moveaxis": _moveaxis,
    "swapaxes": _swapaxes,
    "diag": _diag,
    "diagonal": _diagonal,
    "broadcast_to": _broadcast_to,
    "full": _full,
    "outer": _outer,
    "einsum": series.einsum,
    "tensordot": series.tensordot,
    "matmul": series.matmul,
    "cholesky": series.cholesky,
    "inv": series.inverse,
    "solve_triangular": series.solve_triangular,
    "asarray": lambda x: x,
    "zeros_like": lambda x: np.zeros(x.shape),
    "ones_like": lambda x: np.ones(x.shape),
    "full_like": lambda x, value: np.full(x.shape, value),
    "isfinite": lambda x: np.isfinite(x.value),
    "isnan": lambda x: np.isnan(x.value),
    "sign": lambda x: np.sign(x.value),
    "round": lambda x: np.round(x.value),
    "floor": lambda x: np.floor(x.value),
    "max": lambda x: x[np.unravel_index(np.argmax(x.value), x.shape)],
    "min": lambda x: x[np.unravel_index(np.argmin(x.value), x.shape)],
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "stop_gradient": value_of,
    "barrier": lambda x: x,
}
