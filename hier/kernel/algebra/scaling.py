"""The units in which the kernel works, and the way between them and the user's.

The kernel's columns of the fixed effects are orthonormal, its response has mean square 1, and the random-effects
columns of a grouping factor are replaced by a basis of them. The user never sees these units: everything that is
estimated or drawn is taken back here.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from hier.design.rank import qr_triangle
from hier.kernel.arrays.library import library_of, xp

LARGEST_EXPONENT = 200  # of two: fourth powers of numbers up to it are numbers
UNROLL = 6  # columns up to which products are written out, so that they fuse with what they stand beside


class ColumnUnits(NamedTuple):
    """The basis that stands for the q columns of one grouping factor.

    `to_user` (q, q), upper triangular: the kernel's columns are `Z @ to_user`, and the user's deviations `to_user`
    times the kernel's, in the response's unit. `to_kernel` (q, q): its inverse.
    """

    to_user: Any
    to_kernel: Any

    @property
    def size(self) -> int:
        """How many columns there are."""
        return len(self.to_user)

    def of(self, block: slice) -> ColumnUnits:
        """The basis of the columns of one block, which those of the others have no part in."""
        return ColumnUnits(self.to_user[block, block], self.to_kernel[block, block])

    def columns(self, Z: np.ndarray) -> np.ndarray:
        """The kernel's columns (m, q) of the user's."""
        return Z * self.to_user[0, 0] if self.size == 1 else Z @ self.to_user

    def deviations(self, own: Any, y: Any = 1.0) -> Any:
        """The user's deviations (q, J) from the kernel's; `y`: the response's unit."""
        return y * product(self.to_user, own)

    def direction(self, i: int) -> tuple[np.ndarray, float]:
        """The combination (q,) of the kernel's deviations, of length 1, that the user's deviations of column i are a
        multiple of, and the multiple.
        """
        return direction(self.to_user[i])

    def factor(self, own: Any, scale: Any = 1.0) -> Any:
        """A factor (..., q, q) of the covariance of the user's deviations, from the kernel's factor relative to
        `scale`; it is not triangular.
        """
        return scale * (self.to_user @ own)

    def kernel_factor(self, own: Any, scale: Any = 1.0) -> Any:
        """The kernel's factor (q, q) relative to `scale`, from one of the covariance of the user's deviations."""
        return product(self.to_kernel, own) / scale


class Units(NamedTuple):
    """The way from the kernel's units to the user's: `beta = centre + basis @ beta_kernel`, and so on."""

    centre: np.ndarray  # (p,)    weighted least-squares coefficients
    basis: np.ndarray  # (p, p)   upper triangular: beta = centre + basis @ (beta in the kernel's units)
    random: tuple[ColumnUnits, ...]  # one per factor, in the kernel's order
    y: np.ndarray  # ()           sigma is y times that in the kernel's units
    log_det_basis: np.ndarray  # () log of the determinant of `basis`

    @property
    def kernel_centre(self) -> np.ndarray:
        """`centre` in the kernel's units (p,)."""
        return np.linalg.solve(self.basis / self.y, self.centre) if len(self.centre) else np.zeros(0)

    def fixed(self, own: Any) -> Any:
        """The user's fixed effects (p,) from the kernel's."""
        return self.centre + self.basis @ own

    def columns(self, X: np.ndarray) -> np.ndarray:
        """The kernel's columns (n, p) of the user's: orthonormal, times the root of n."""
        return X @ (self.basis / self.y)

    def response(self, y: np.ndarray, X: np.ndarray) -> np.ndarray:
        """The kernel's response (n,): what least squares leave of the user's, with mean square 1."""
        return (y - X @ self.centre) / self.y


def magnitude(sizes: np.ndarray) -> np.ndarray:
    """A power of two near each size whose fourth power is no number, or has lost digits; 1 for every other, so that
    what is computed in these units is mostly what it is without.
    """
    exponent = np.frexp(sizes)[1]
    return np.where(np.abs(exponent) > LARGEST_EXPONENT, np.ldexp(1.0, exponent), 1.0)


def direction(row: np.ndarray) -> tuple[np.ndarray, float]:
    """A row (q,) as one of length 1 and its length, whatever its unit."""
    size = np.abs(row).max()
    length = float(size * np.linalg.norm(row / size))
    return row / length, length


def product(left: Any, right: Any) -> Any:
    """A product of small matrices (q, q) and (q, m), written out for JAX where they are small enough."""
    q = len(left)
    if library_of(right) is np or q > UNROLL:
        return left @ right
    return functools.reduce(xp.add, (left[:, k, None] * right[k] for k in range(q)))


@functools.cache
def _above_diagonal(size: int) -> np.ndarray:
    return np.triu(np.ones((size, size), bool), 1)


def is_lower_triangular(factor: np.ndarray) -> bool:
    """Whether a factor (q, q) has nothing above its diagonal."""
    return not factor[_above_diagonal(len(factor))].any()


def lower_triangular(factor: Any) -> Any:
    """The lower-triangular factor (q, q) of the same covariance, with a non-negative diagonal."""
    if len(factor) == 1:
        return abs(factor)
    lower = (qr_triangle(factor.T) if library_of(factor) is np else xp.qr(factor.T, mode="r")).T
    return lower * xp.where(xp.diag(lower) < 0, -1.0, 1.0)
