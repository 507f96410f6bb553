"""One name for NumPy, JAX and power series: each function goes where its arguments come from.

The algebra of the kernel is written once, in terms of `xp`. With arrays of NumPy it is computed at once, with power
series together with its derivatives, and with JAX's it is traced into a program. JAX is imported when it is first
needed, which a small fit never does.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.kernel.arrays.functions import FUNCTIONS, lifted
from hier.kernel.arrays.random_numbers import DRAWN
from hier.kernel.arrays.series import Series, factor_of, inverse_of

if TYPE_CHECKING:
    # what the algebra computes with may be NumPy's, JAX's or a power series; JAX's operators are those of all three
    from jax import Array
else:
    Array = Any

IN_BOUNDS: dict[str, Any] = {"mode": "promise_in_bounds", "wrap_negative_indices": False}  # spares JAX two searches

# where NumPy and SciPy keep what JAX keeps elsewhere
MUCH = 2000  # numbers from which finding the best order of products pays
_LINALG = ("eigh", "inv", "lstsq", "qr", "norm")
_SPECIAL = {"gammaln": "gammaln", "ndtr": "ndtr", "log_ndtr": "log_ndtr", "ndtri": "ndtri", "logsumexp": "logsumexp"}


@functools.cache
def _array_of_jax() -> type:
    import jax

    return jax.Array


def is_jax(x: Any) -> bool:
    """Whether an array is JAX's, one that is being traced included."""
    return "jax" in sys.modules and isinstance(x, _array_of_jax())


def library_of(values: Any) -> Any:
    """JAX's NumPy for an array of JAX's, otherwise NumPy itself, whose calls on small arrays take less time."""
    if is_jax(values):
        import jax.numpy as jnp

        return jnp
    return np


_PLAIN = frozenset({np.ndarray, np.float64, np.bool_, float, int, bool, str, type(None)})


def _kind(arguments: Sequence[Any]) -> Any:
    """Whose arrays are among the arguments, or in lists of them: `Series`, JAX's (`Array`), or None for NumPy's."""
    for x in arguments:
        kind = type(x)
        if kind in _PLAIN:
            continue
        if kind is Series:
            return Series
        if kind is list or kind is tuple:
            own = _kind(x)
            if own is not None:
                return own
        elif is_jax(x):
            return _array_of_jax()
    return None


class _Library:
    """NumPy's names, and some of SciPy's and JAX's, for all kinds of arrays."""

    inf, nan, pi = np.inf, np.nan, np.pi

    def __getattr__(self, name: str) -> Any:
        of_numpy = _numpy_function(name)
        if isinstance(of_numpy, type) or name == "finfo":  # kinds of numbers are NumPy's in JAX too
            return of_numpy
        of_series = FUNCTIONS.get(name)

        def call(*arguments: Any, **options: Any) -> Any:
            kind = _kind(arguments)
            if kind is None:
                return of_numpy(*arguments, **options)
            if kind is not Series:
                return _jax_function(name)(*arguments, **options)
            if of_series is None:
                raise NotImplementedError(f"`{name}` of power series")
            return of_series(*arguments, **options)

        call.__name__ = name
        setattr(self, name, call)
        return call


xp: Any = _Library()


def _numpy_function(name: str) -> Callable[..., Any]:
    if name in _OWN:
        return _OWN[name]
    if name in _LINALG:
        return getattr(np.linalg, name)
    if name in _SPECIAL:
        # loaded when first called: a Normal model needs none of them
        return lambda *x, **options: getattr(_scipy_special(), _SPECIAL[name])(*x, **options)
    return getattr(np, name)


@functools.cache
def _scipy_special() -> Any:
    import scipy.special

    return scipy.special


@functools.cache
def _jax_function(name: str) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    if name in _LINALG:
        return getattr(jnp.linalg, name)
    if name in _SPECIAL:
        return getattr(jax.scipy.special, name)
    other = {
        "cholesky": functools.partial(jax.lax.linalg.cholesky, symmetrize_input=False),
        "solve_triangular": jax.scipy.linalg.solve_triangular,
        "sigmoid": jax.nn.sigmoid,
        "softplus": jax.nn.softplus,
        "stop_gradient": jax.lax.stop_gradient,
        "barrier": jax.lax.optimization_barrier,
    }
    return other[name] if name in other else getattr(jnp, name)


class _Random:
    """JAX's random numbers by its keys, loaded when they are first drawn, and NumPy's by its generators."""

    def __getattr__(self, name: str) -> Any:
        def draw(key: Any, *arguments: Any) -> Any:
            if isinstance(key, np.random.Generator):
                return DRAWN[name](key, *arguments)
            import jax

            return getattr(jax.random, name)(key, *arguments)

        return draw


random: Any = _Random()


def _solve_triangular(matrix: np.ndarray, right: np.ndarray, *, lower: bool) -> np.ndarray:
    from scipy.linalg.lapack import dtrtrs

    if not right.size:
        return np.zeros(right.shape)
    solved, failed = dtrtrs(matrix, right, lower=lower)
    return solved if not failed else np.full(right.shape, np.nan)


def _eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NaN where entries are no numbers, as JAX has it."""
    if not np.isfinite(matrix).all():
        return np.full(len(matrix), np.nan), np.full(matrix.shape, np.nan)
    return np.linalg.eigh(matrix)


def _lstsq(matrix: np.ndarray, right: np.ndarray, rcond: float) -> tuple[np.ndarray]:
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return (np.full(matrix.shape[1], np.nan),)
    return (np.linalg.lstsq(matrix, right, rcond=rcond)[0],)


def _einsum(subscripts: str, *operands: np.ndarray, **_: Any) -> np.ndarray:
    """Where there is much to do, by products of matrices."""
    return np.einsum(subscripts, *operands, optimize=max(x.size for x in operands) > MUCH)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return _scipy_special().expit(x)


_OWN: dict[str, Callable[..., Any]] = {
    "cholesky": factor_of,
    "inv": inverse_of,
    "eigh": _eigh,
    "lstsq": _lstsq,
    "solve_triangular": _solve_triangular,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "stop_gradient": lambda x: x,
    "barrier": lambda x: x,
    "einsum": _einsum,
    "matmul": lambda one, other, **_: np.matmul(one, other),
}


def put(array: Any, index: Any, values: Any) -> Any:
    """The array with `values` at `index`."""
    kind = _kind([array, values])
    if kind is not None and kind is not Series:
        import jax.numpy as jnp

        return jnp.asarray(array).at[index].set(values)
    if kind is Series:
        like = array if isinstance(array, Series) else values
        c, values = lifted(array, like).c.copy(), lifted(values, like).c
        c[(slice(None), *index) if isinstance(index, tuple) else (slice(None), index)] = values
        return like.linear(c)
    found = np.array(array, copy=True)
    found[index] = values
    return found


def add_at(size: int, places: Any, values: Any, *, in_bounds: bool = False) -> Any:
    """Sums (..., size) of `values` (..., E) by `places` (E,); what has a place that is out of range is left out.

    `in_bounds`: none has.
    """
    kind = _kind([places, values])
    if kind is not None and kind is not Series:
        import jax.numpy as jnp

        how = IN_BOUNDS if in_bounds else {}
        return jnp.zeros((*values.shape[:-1], size)).at[..., places].add(values, **how)
    if kind is Series:
        return values.linear(_sums(values.c, places, size))
    return _sums(values, places, size)


def _sums(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """By `numpy.bincount`, which takes a tenth of the time of `numpy.add.at`; one place is left for what is outside."""
    *shape, E = values.shape
    flat = values.reshape(-1, E)
    inside = np.minimum(places, size)
    found = np.empty((len(flat), size))
    for k, row in enumerate(flat):
        found[k] = np.bincount(inside, row, size + 1)[:size]
    return found.reshape(*shape, size)


def segment_sums(values: Any, places: Any, size: int, **options: Any) -> Any:
    """Sums (size, ...) of `values` (E, ...) by `places` (E,), as `jax.ops.segment_sum`."""
    if is_jax(values) or is_jax(places):
        import jax

        return jax.ops.segment_sum(values, places, size, **options)
    return xp.moveaxis(add_at(size, places, xp.moveaxis(values, 0, -1)), -1, 0)


def taken(values: Any, places: Any) -> Any:
    """The values (..., E) at places (E,) of the last axis, none of which is out of range."""
    if is_jax(values) or is_jax(places):
        import jax.numpy as jnp

        return jnp.asarray(values).at[..., places].get(**IN_BOUNDS)
    return values[..., places]


def clipped(values: Any, places: Any) -> Any:
    """The values (E, ...) at places (E,) of the first axis; one that is out of range takes the last."""
    if is_jax(values) or is_jax(places):
        return values[places]
    return values[np.minimum(places, values.shape[0] - 1)]
