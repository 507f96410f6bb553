"""The functions that an expression of a formula may call, each with R's meaning; those with a state remember it.

A spline's knots, a polynomial's orthogonal basis, a mean and a scale are learned from the data of the fit and kept, so
that new data are transformed by the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from formulaic.transforms import TRANSFORMS
from formulaic.utils.stateful_transforms import stateful_transform


def _formulaic(name: str) -> Callable[..., Any]:
    """Formulaic's own transform, one of a table of functions and modules."""
    return cast("Callable[..., Any]", TRANSFORMS[name])


def log(x: Any, base: float | None = None) -> Any:
    """Natural logarithm, or the one to a base."""
    return np.log(x) if base is None else np.log(x) / np.log(base)


@stateful_transform
def bs(
    x: Any, df: int | None = None, knots: Any = None, degree: int = 3, intercept: bool = False, _state: Any = None
) -> Any:
    """B-spline basis with the arguments of R's `splines::bs`; beyond the boundary knots its polynomials go on."""
    knots = None if knots is None else np.sort(np.atleast_1d(knots))
    return _formulaic("bs")(x, df, knots, degree, include_intercept=intercept, extrapolation="extend", _state=_state)


@stateful_transform
def ns(x: Any, df: int | None = None, knots: Any = None, intercept: bool = False, _state: Any = None) -> np.ndarray:
    """Natural cubic splines: cubic B-splines whose second derivative is zero at the boundary knots.

    Beyond these knots they go on as straight lines. The basis is that of R's `splines::ns`: the B-splines, without the
    first unless `intercept`, times the part of an orthogonal matrix that the two constraints leave free.
    """
    x = np.asarray(x, dtype=float)
    if not _state:
        inner = _inner_knots(x, df, knots, (df or 0) - 1 - int(intercept))
        _state.update(low=x.min(), high=x.max(), inner=inner)
    low, high, inner = _state["low"], _state["high"], _state["inner"]
    basis = _b_spline(np.clip(x, low, high), inner, low, high, 3)
    for edge, outside in ((low, x < low), (high, x > high)):
        if outside.any():
            at, slope = (_b_spline(np.array([edge]), inner, low, high, 3, order)[0] for order in (0, 1))
            basis[outside] = at + (x[outside] - edge)[:, None] * slope
    bends = _b_spline(np.array([low, high]), inner, low, high, 3, 2)
    if not intercept:
        basis, bends = basis[:, 1:], bends[:, 1:]
    orthogonal = np.linalg.qr(bends.T, mode="complete")[0]
    return basis @ orthogonal[:, 2:]


@stateful_transform
def poly(x: Any, degree: int = 1, raw: bool = False, _state: Any = None) -> np.ndarray:
    """Orthogonal polynomials, or powers where `raw`; as many degrees as the data can tell apart."""
    if not _state and not raw and len(np.unique(x)) <= degree:
        raise ValueError(f"a polynomial of degree {degree} needs {degree + 1} or more distinct values")
    return _formulaic("poly")(x, degree, raw, _state=_state)


def _inner_knots(x: np.ndarray, df: int | None, knots: Any, count: int) -> np.ndarray:
    """The knots given, or `count` of them at equally spaced quantiles, which are R's of type 7."""
    if knots is not None:
        return np.sort(np.atleast_1d(np.asarray(knots, dtype=float)))
    if df is None:
        return np.empty(0)
    if count < 0:
        raise ValueError(f"df = {df} is too small for this spline: it must be {df - count} or more")
    return np.quantile(x, np.linspace(0, 1, count + 2)[1:-1])


def _b_spline(
    x: np.ndarray, inner: np.ndarray, low: float, high: float, degree: int, derivative: int = 0
) -> np.ndarray:
    """B-splines (n, k), or a derivative of them, with the boundary knots repeated; outside, the end pieces go on."""
    from scipy.interpolate import BSpline

    knots = np.concatenate([np.full(degree + 1, low), inner, np.full(degree + 1, high)])
    spline = BSpline(knots, np.eye(len(knots) - degree - 1), degree, extrapolate=True)
    return np.asarray(spline(x, nu=derivative))


# What the allow-list has: by name, so that nothing else can be called.
FUNCTIONS: dict[str, Any] = {
    "I": lambda x: x,
    "abs": np.abs,
    "bs": bs,
    "c": lambda *values: list(values),
    "center": TRANSFORMS["center"],
    "cos": np.cos,
    "cr": TRANSFORMS["cr"],
    "exp": np.exp,
    "log": log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "ns": ns,
    "num": lambda x: np.asarray(x, dtype=float),
    "poly": poly,
    "scale": TRANSFORMS["scale"],
    "sin": np.sin,
    "sqrt": np.sqrt,
    "standardize": TRANSFORMS["standardize"],
}
