"""Truncated power series of arrays: values and all their derivatives up to some order, computed by NumPy at once.

A number that depends on m variables is the polynomial that it is near a point, up to a total degree. Sums, products and
functions of such polynomials are polynomials again, so that an algorithm that is run with them in place of numbers
gives its result together with the derivatives, exact but for rounding, and without compiling anything.
Source: Griewank and Walther (2008), Evaluating Derivatives, chapter 13.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class _Layer(NamedTuple):
    """Pairs (`left`, `right`) of monomials of two degrees no two of which make the same one, `made`."""

    left: np.ndarray
    right: np.ndarray
    made: np.ndarray | slice


_Layers = tuple[_Layer, ...]  # all pairs; the first layer makes every monomial of the product once


class Monomials(NamedTuple):
    """All monomials in m variables up to a total degree, by degree: the half-open range of each degree (`of_degree`),
    the degree of each (`degree`), and the products of those of degrees i, j >= 1 (`pairs`).
    """

    m: int
    order: int
    of_degree: tuple[slice, ...]
    degree: np.ndarray
    pairs: tuple[tuple[int, int, _Layers], ...]

    @property
    def size(self) -> int:
        return len(self.degree)


@functools.cache
def monomials(m: int, order: int) -> Monomials:
    """The monomials in `m` variables up to degree `order`."""
    by_degree = [list(itertools.combinations_with_replacement(range(m), k)) for k in range(order + 1)]
    ends = np.cumsum([0, *map(len, by_degree)]).tolist()
    place = [{own: at for at, own in enumerate(group)} for group in by_degree]
    pairs = []
    for i in range(1, order + 1):
        for j in range(1, order + 1 - i):
            found = [
                (place[i + j][tuple(sorted(a + b))], ia, ib)
                for ia, a in enumerate(by_degree[i])
                for ib, b in enumerate(by_degree[j])
            ]
            pairs.append((i, j, _layers(found, len(by_degree[i + j]))))
    degree = np.repeat(np.arange(order + 1), [len(group) for group in by_degree])
    return Monomials(m, order, tuple(slice(a, b) for a, b in itertools.pairwise(ends)), degree, tuple(pairs))


def _layers(found: list[tuple[int, int, int]], count: int) -> _Layers:
    """Pairs (made, left, right) by how many before them make the same of `count` monomials."""
    seen = [0] * count
    by_layer: list[list[tuple[int, int, int]]] = []
    for own in sorted(found):
        if seen[own[0]] == len(by_layer):
            by_layer.append([])
        by_layer[seen[own[0]]].append(own)
        seen[own[0]] += 1
    layers = []
    for layer in by_layer:
        made, left, right = (np.array(part) for part in zip(*layer, strict=True))
        layers.append(_Layer(left, right, slice(None) if len(made) == count else made))
    return tuple(layers)


class Series:
    """Power series of an array of some shape S.

    `c` (C, *S): the coefficients of its `monomials`, the value first.
    """

    __slots__ = ("c", "monomials")
    __array_ufunc__ = None  # NumPy leaves operators to this class

    def __init__(self, c: np.ndarray, of: Monomials) -> None:
        self.c = c
        self.monomials = of

    @property
    def value(self) -> np.ndarray:
        return self.c[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.c.shape[1:]

    @property
    def ndim(self) -> int:
        return self.c.ndim - 1

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.c.dtype

    @property
    def T(self) -> Series:
        return self.linear(self.c.transpose(0, *range(self.ndim, 0, -1)))

    def __len__(self) -> int:
        return self.shape[0]

    def linear(self, c: np.ndarray) -> Series:
        """The series with these coefficients, as a linear function makes them of its own."""
        return Series(c, self.monomials)

    def __getitem__(self, index: Any) -> Series:
        return self.linear(self.c[(slice(None), *index) if isinstance(index, tuple) else (slice(None), index)])

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def reshape(self, *shape: Any) -> Series:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return self.linear(self.c.reshape(len(self.c), *wanted))

    def repeat(self, count: int, axis: int) -> Series:
        return self.linear(self.c.repeat(count, axis=axis_of(axis, self.ndim)))

    def sum(self, axis: int | None = None) -> Series:
        if axis is None:
            return self.linear(self.c.reshape(len(self.c), -1).sum(axis=1))
        return self.linear(self.c.sum(axis=axis_of(axis, self.ndim)))

    def __abs__(self) -> Series:
        return self * np.where(self.value < 0, -1.0, 1.0)

    def __neg__(self) -> Series:
        return self.linear(-self.c)

    def __add__(self, other: Any) -> Series:
        if isinstance(other, Series):
            a, b = _aligned(self, other)
            return self.linear(a + b)
        other = np.asarray(other)
        c = ranked(self.c, other.ndim)
        shape = np.broadcast_shapes(c.shape[1:], other.shape)
        c = c.copy() if shape == c.shape[1:] else np.broadcast_to(c, (len(c), *shape)).copy()
        c[0] += other
        return self.linear(c)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Series:
        return self + -other

    def __rsub__(self, other: Any) -> Series:
        return -self + other

    def __mul__(self, other: Any) -> Series:
        if isinstance(other, Series):
            if other is self:
                return self.squared()
            return _of_product(np.multiply, *_aligned(self, other), self.monomials)
        return self.linear(ranked(self.c, np.ndim(other)) * other)

    __rmul__ = __mul__

    def squared(self) -> Series:
        return _of_product(np.multiply, self.c, self.c, self.monomials)

    def __truediv__(self, other: Any) -> Series:
        return self * (other.reciprocal() if isinstance(other, Series) else 1.0 / np.asarray(other))

    def __rtruediv__(self, other: Any) -> Series:
        return self.reciprocal() * other

    def reciprocal(self) -> Series:
        of, c = self.monomials, np.empty_like(self.c)
        c[0] = 1.0 / self.value
        for k in range(1, of.order + 1):
            rest = _of_lower_degrees(np.multiply, self.c, c, of, k)
            c[of.of_degree[k]] = -c[0] * (self.c[of.of_degree[k]] * c[0] + rest)
        return Series(c, of)

    def exp(self) -> Series:
        """By e' = a' e along a ray, degree by degree."""
        of, c, grown = self.monomials, np.empty_like(self.c), self.grown().c
        c[0] = np.exp(self.value)
        for k in range(1, of.order + 1):
            rest = _of_lower_degrees(np.multiply, grown, c, of, k)
            c[of.of_degree[k]] = (grown[of.of_degree[k]] * c[0] + rest) / k
        return Series(c, of)

    def log_with(self, value: np.ndarray) -> Series:
        """The logarithm, whose `value` is known: a l' = a' along a ray, degree by degree."""
        of, c, grown = self.monomials, np.empty_like(self.c), self.grown().c
        c[0], inverse = value, 1.0 / self.value
        slopes = np.zeros_like(self.c)
        for k in range(1, of.order + 1):
            rest = _of_lower_degrees(np.multiply, slopes, self.c, of, k)
            slopes[of.of_degree[k]] = (grown[of.of_degree[k]] - rest) * inverse
            c[of.of_degree[k]] = slopes[of.of_degree[k]] / k
        return Series(c, of)

    def __pow__(self, power: float) -> Series:
        if power == 2:
            return self.squared()
        falling = [math.prod(power - j for j in range(k)) for k in range(self._order + 1)]
        # a factor that is zero ends a whole power's derivatives, where the value to a negative power may be infinite
        return self.applied(
            [own * self.value ** (power - k) if own else np.zeros_like(self.value) for k, own in enumerate(falling)]
        )

    def __matmul__(self, other: Any) -> Series:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Series:
        return matmul(other, self)

    def __gt__(self, other: Any) -> np.ndarray:
        return self.value > value_of(other)

    def __ge__(self, other: Any) -> np.ndarray:
        return self.value >= value_of(other)

    def __lt__(self, other: Any) -> np.ndarray:
        return self.value < value_of(other)

    def __le__(self, other: Any) -> np.ndarray:
        return self.value <= value_of(other)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return self.value == value_of(other)

    def __ne__(self, other: object) -> Any:
        return self.value != value_of(other)

    @property
    def _order(self) -> int:
        return self.monomials.order

    def applied(self, derivatives: Sequence[np.ndarray]) -> Series:
        """f of the series, from f and its derivatives at the value, up to the series' order."""
        c = self.c * derivatives[1]
        c[0] = derivatives[0]
        power = away = self.linear(self.c.copy())
        away.c[0] = 0.0
        for k in range(2, self._order + 1):
            power = power * away if k > 2 else away.squared()
            start = self.monomials.of_degree[k].start
            c[start:] += power.c[start:] * (derivatives[k] / math.factorial(k))
        return self.linear(c)

    def grown(self) -> Series:
        """Every coefficient times its monomial's degree: the derivative along the series' own scale."""
        return self.linear(self.c * self.monomials.degree.reshape(-1, *[1] * self.ndim))


def value_of(x: Any) -> Any:
    """The value of a series, or x itself."""
    return x.value if isinstance(x, Series) else x


def from_slopes(value: np.ndarray, arguments: Sequence[Series], slopes: Sequence[Any]) -> Series:
    """f of some series, from its value and the series of its derivatives in each of them.

    Along a ray t x the derivative of f in t is the sum of slope times the argument's own derivative, degree by degree.
    """
    total = arguments[0].grown() * slopes[0]
    for argument, slope in zip(arguments[1:], slopes[1:], strict=True):
        total = total + argument.grown() * slope
    degree = np.maximum(total.monomials.degree, 1).reshape(-1, *[1] * total.ndim)
    c = total.c / degree
    c[0] = value
    return total.linear(c)


def variables(x: np.ndarray, order: int) -> Series:
    """The series of x (m,) in itself: where derivatives in x are to be known."""
    of = monomials(len(x), order)
    c = np.zeros((of.size, len(x)))
    c[0] = x
    c[of.of_degree[1]] = np.eye(len(x))
    return Series(c, of)


def rows_of_variables(values: Sequence[np.ndarray], order: int) -> list[Series]:
    """The series of k arrays (n,) in k variables of each row."""
    of = monomials(len(values), order)
    found = []
    for k, value in enumerate(values):
        c = np.zeros((of.size, *np.shape(value)))
        c[0], c[1 + k] = value, 1.0
        found.append(Series(c, of))
    return found


@functools.cache
def _lowered(m: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each monomial up to one degree less, the one that it is the derivative of in the first variable, but for a
    factor, and that factor.
    """
    of, places, factors = monomials(m, order), [], []
    for k in range(order):
        made = list(itertools.combinations_with_replacement(range(m), k + 1))
        place = {own: at + of.of_degree[k + 1].start for at, own in enumerate(made)}
        for own in itertools.combinations_with_replacement(range(m), k):
            places.append(place[0, *own])
            factors.append(own.count(0) + 1.0)
    return np.array(places), np.array(factors)


def derivative_in_first(series: Series) -> Series:
    """The derivative in the first variable, a series of one degree less."""
    places, factors = _lowered(series.monomials.m, series.monomials.order)
    c = series.c[places] * factors.reshape(-1, *[1] * series.ndim)
    return Series(c, monomials(series.monomials.m, series.monomials.order - 1))


def composed(inner: Series, away: Sequence[Series]) -> Series:
    """The polynomial `inner` of each row at steps from where it was expanded that are series without a value."""
    of = inner.monomials
    total = away[0] * inner.c[1] + inner.value
    for k in range(1, of.m):
        total = total + away[k] * inner.c[1 + k]
    place = of.of_degree[2].start if of.order > 1 and away[0].monomials.order > 1 else None
    if place is not None:
        for i, j in itertools.combinations_with_replacement(range(of.m), 2):
            total = total + away[i] * away[j] * inner.c[place]
            place += 1
    return total


def first_of(series: Series) -> np.ndarray:
    """First derivatives (m, *S)."""
    return series.c[series.monomials.of_degree[1]]


def hessian_of(series: Series) -> np.ndarray:
    """Second derivatives (m, m, *S)."""
    of, m = series.monomials, series.monomials.m
    rows, columns = np.triu_indices(m)
    found = np.zeros((m, m, *series.shape))
    found[rows, columns] = found[columns, rows] = series.c[of.of_degree[2]]
    found[np.arange(m), np.arange(m)] *= 2.0
    return found


def axis_of(axis: int, ndim: int) -> int:
    """The axis of the coefficients that an axis of the values is."""
    return axis + 1 if axis >= 0 else ndim + 1 + axis


def ranked(c: np.ndarray, ndim: int) -> np.ndarray:
    """Coefficients of values with at least so many axes."""
    more = ndim + 1 - c.ndim
    return c.reshape(len(c), *[1] * more, *c.shape[1:]) if more > 0 else c


def _aligned(one: Series, other: Series) -> tuple[np.ndarray, np.ndarray]:
    return ranked(one.c, other.ndim), ranked(other.c, one.ndim)


def _of_product(operation: Callable[[Any, Any], Any], a: np.ndarray, b: np.ndarray, of: Monomials) -> Series:
    """The product of two series by a bilinear `operation` that takes the coefficients' axis along."""
    c = operation(a[:1], b)
    if of.order:
        c[1:] += operation(a[1:], b[:1])
    for i, j, layers in of.pairs:
        _add_products(operation, a[of.of_degree[i]], b[of.of_degree[j]], layers, c[of.of_degree[i + j]])
    return Series(c, of)


def _add_products(
    operation: Callable[[Any, Any], Any], a: np.ndarray, b: np.ndarray, layers: _Layers, total: np.ndarray
) -> None:
    """Add the products of the terms of two degrees to the terms `total` of their sum."""
    for left, right, made in layers:
        total[made] += operation(a[left], b[right])


def _together(operation: Callable[[Any, Any], Any], a: Any, b: Any) -> Series:
    """A bilinear operation of two arrays, one or both of them series."""
    if isinstance(a, Series) and isinstance(b, Series):
        return _of_product(operation, a.c, b.c, a.monomials)
    if isinstance(a, Series):
        return a.linear(operation(a.c, np.asarray(b)[None]))
    return b.linear(operation(np.asarray(a)[None], b.c))


def einsum(subscripts: str, *operands: Any, **_: Any) -> Any:
    """`numpy.einsum` of series; of more than two operands, one after another."""
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    if len(operands) == 1:
        return operands[0].linear(np.einsum(f"Z{terms[0]}->Z{output}", operands[0].c))
    first, second, *rest = operands
    needed = set("".join(terms[2:]) + output)
    kept = "".join(dict.fromkeys(letter for letter in terms[0] + terms[1] if letter in needed))
    made = output if not rest else kept
    if not isinstance(first, Series) and not isinstance(second, Series):
        found: Any = np.einsum(f"{terms[0]},{terms[1]}->{made}", first, second)
    else:
        found = _together(lambda a, b: _einsum_of_two(terms[0], terms[1], made, a, b), first, second)
    return einsum(",".join([made, *terms[2:]]) + f"->{output}", found, *rest) if rest else found


def _einsum_of_two(left: str, right: str, made: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of coefficients, which stand on a first axis of each; that of one of them may be 1 long."""
    if len(a) == 1:
        return np.einsum(f"{left},Z{right}->Z{made}", a[0], b)
    if len(b) == 1:
        return np.einsum(f"Z{left},{right}->Z{made}", a, b[0])
    return np.einsum(f"Z{left},Z{right}->Z{made}", a, b)


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def matmul(a: Any, b: Any) -> Series:
    """a @ b of vectors and matrices."""
    left = LETTERS[: a.ndim]
    right = left[-1] + LETTERS[a.ndim : a.ndim + b.ndim - 1]
    if a.ndim == b.ndim == 2:
        return _together(np.matmul, a, b)
    return einsum(f"{left},{right}->{left[:-1]}{right[1:]}", a, b)


def tensordot(a: Any, b: Any, axes: Any) -> Series:
    """`numpy.tensordot` of series."""
    of_a, of_b = (range(a.ndim - axes, a.ndim), range(axes)) if isinstance(axes, int) else axes
    left, right = list(LETTERS[: a.ndim]), list(LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(of_a, of_b, strict=True):
        right[j] = left[i]
    shared = {left[i] for i in of_a}
    made = [letter for letter in left + right if letter not in shared]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(made)}", a, b)


def factor_of(matrix: np.ndarray) -> np.ndarray:
    """The Cholesky factor of a matrix, NaN where it has none."""
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full(matrix.shape, np.nan)


def inverse_of(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a matrix, NaN where it has none."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full(matrix.shape, np.nan)


def cholesky(matrix: Series) -> Series:
    """The lower Cholesky factor (k, k), degree by degree.

    Source: Smith (1995), J. Comput. Graph. Stat. 4, 134, section 2, for the derivative of the factor.
    """
    of, first = matrix.monomials, factor_of(matrix.value)
    back = inverse_of(first)
    c = np.empty_like(matrix.c)
    c[0] = first
    for k in range(1, of.order + 1):
        rest = matrix.c[of.of_degree[k]] - _of_lower_degrees(lambda a, b: a @ b.swapaxes(-1, -2), c, c, of, k)
        inner = np.tril(back @ rest @ back.T)
        np.einsum("zii->zi", inner)[:] *= 0.5
        c[of.of_degree[k]] = first @ inner
    return Series(c, of)


def solve_triangular(matrix: Any, right: Any, *, lower: bool) -> Series:
    """The solution of a triangular system, degree by degree."""
    of = (matrix if isinstance(matrix, Series) else right).monomials
    part = np.tril if lower else np.triu
    back = inverse_of(part(value_of(matrix)))
    flat = right.ndim == 1
    b = (
        right.c
        if isinstance(right, Series)
        else np.asarray(right)[None] * (of.degree == 0).reshape(-1, *[1] * right.ndim)
    )
    b = b[..., None] if flat else b
    a = part(matrix.c) if isinstance(matrix, Series) else None
    c = np.empty(b.shape)
    for k in range(of.order + 1):
        rest = b[of.of_degree[k]]
        if a is not None and k:
            rest = rest - a[of.of_degree[k]] @ c[0] - _of_lower_degrees(np.matmul, a, c, of, k)
        c[of.of_degree[k]] = back @ rest
    return Series(c[..., 0] if flat else c, of)


def inverse(matrix: Series) -> Series:
    """The inverse of a matrix (k, k)."""
    of = matrix.monomials
    c = np.empty_like(matrix.c)
    c[0] = inverse_of(matrix.value)
    for k in range(1, of.order + 1):
        rest = matrix.c[of.of_degree[k]] @ c[0] + _of_lower_degrees(np.matmul, matrix.c, c, of, k)
        c[of.of_degree[k]] = -(c[0] @ rest)
    return Series(c, of)


def _of_lower_degrees(
    operation: Callable[[Any, Any], Any], a: np.ndarray, b: np.ndarray, of: Monomials, k: int
) -> np.ndarray:
    """What the terms of degrees 1 to k - 1 of two series bring to the terms of degree k of their product."""
    shape = operation(a[:1], b[:1]).shape[1:]
    total = np.zeros((of.of_degree[k].stop - of.of_degree[k].start, *shape))
    for i, j, layers in of.pairs:
        if i + j == k:
            _add_products(operation, a[of.of_degree[i]], b[of.of_degree[j]], layers, total)
    return total
