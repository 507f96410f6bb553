"""Parameters as the kernel knows them, and on scales on which their estimates are nearly Normal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.estimate.fitted import Fitted
from hier.estimate.named import NamedParameter
from hier.kernel.algebra.scaling import ColumnUnits, Units, direction
from hier.kernel.normal import profile
from hier.kernel.normal.profile import Profiled

KINDS = {"fixed": profile.FIXED, "sigma": profile.LOG_SIGMA, "sd": profile.LOG_SD, "cor": profile.ATANH_COR}
AT_LIMIT = 1e-7  # of a correlation's distance from -1 or 1
NOTHING = 1e-10  # of a factor: a combination with less does not vary


class Scaled(NamedTuple):
    """A parameter on the scale on which its estimate is nearly Normal: `value`, standard error `se`, and the way `back`
    to the user's scale. `se` is NaN for what is at a limit of its range, and infinite for what the data do not
    determine.
    """

    value: float
    se: float
    back: Callable[[Any], Any]

    @classmethod
    def inside(cls, value: float, se: float, back: Callable[[Any], Any]) -> Scaled:
        """The parameter, if it is not at a limit: its value is a number and its standard error more than nothing."""
        known = bool(np.isfinite(value) and se > 0)
        return cls(float(value), float(se), back) if known else cls(np.nan, np.nan, back)


def unscaled(value: Any) -> Any:
    """The way back of what is on its own scale already."""
    return value


def in_kernel(own: NamedParameter, estimate: Fitted, units: Units) -> Profiled:
    """A parameter for the kernel, in its units."""
    sizes = [columns.size for columns in units.random]
    if own.kind == "fixed":
        return profile.fixed_parameter(direction(units.basis[own.i])[0], sizes)
    at = 0 if own.kind == "sigma" else estimate.model.structure.place(own.group)
    return variance_parameter(own, len(units.centre), units.random, at)


def variance_parameter(own: NamedParameter, p: int, units: Sequence[ColumnUnits], at: int) -> Profiled:
    """A standard deviation or correlation for the kernel, of the factor that stands there at place `at`, or sigma; in
    a model with p fixed effects.
    """
    of = None if own.kind == "sigma" else tuple(units[at].direction(k)[0] for k in (own.i, own.j))
    return profile.variance_parameter(KINDS[own.kind], p, [columns.size for columns in units], at, of)


def to_user(own: NamedParameter, estimate: Fitted, units: Units) -> Callable[[Any], Any]:
    """The way from a parameter's value in the kernel to the user's parameter."""
    if own.kind == "fixed":
        return lambda value: units.centre[own.i] + direction(units.basis[own.i])[1] * value
    if own.kind == "cor":
        return np.tanh
    scale = units.y
    if own.kind == "sd":
        scale = scale * units.random[estimate.model.structure.place(own.group)].direction(own.i)[1]
    return lambda value: scale * np.exp(value)


def is_limit(of: np.ndarray, factor: np.ndarray) -> bool:
    """Whether the correlation of two combinations `of` (2, q) of the kernel's deviations with this factor is at its
    limit, or not known: whether that of two is which combine the same columns, but share none.

    Far from the origin of a covariate intercept and slope have a correlation near a limit and may yet be anything.
    """
    shared, _ = np.linalg.qr(of[::-1].T)
    halves = shared.T @ factor
    lengths = np.linalg.norm(halves, axis=1)
    if (lengths <= NOTHING * np.linalg.norm(factor)).any():
        return True
    return not abs(halves[0] @ halves[1]) < (1.0 - AT_LIMIT) * lengths.prod()
