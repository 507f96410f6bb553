"""The functions that an expression of a formula may call, each with R's meaning; those with a state remember it.

A spline's knots, a polynomial's orthogonal basis, a mean and a scale are learned from the data of the fit and kept, so
that new data are transformed by the same numbers.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
from formulaic.transforms import TRANSFORMS
from formulaic.utils.stateful_transforms import stateful_transform

from hier.design.group_means import ave
from hier.design.kinds import Misfit, dates, days, is_date, is_text, label_numbers, numbers, texts
from hier.formula.vocabulary import ROLES


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
        _state["said"] = f"knots at {_listed([x.min(), *inner, x.max()])}, the outer ones included"
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


@stateful_transform
def rcs(x: Any, knots: Any = 5, _state: Any = None) -> np.ndarray:
    """Restricted cubic spline: x and truncated cubic powers that end in straight lines, one column fewer than knots.

    `knots`: how many, 3 or more, or where. Their places are quantiles of x, from 0.05 (3 knots: 0.1; 7 or more: 0.025)
    in equal steps; of fewer than 100 rows the outer ones are the fifth smallest and largest value. The powers are
    divided by the square of the distance of the outer knots.
    Source: Harrell, Regression Modeling Strategies (2015), section 2.4; `rcspline.eval` of his R package Hmisc.
    """
    x = np.asarray(x, dtype=float)
    if not _state:
        where = np.unique(knots if isinstance(knots, list) else _harrell_knots(x, knots))
        if len(where) < 3:
            raise ValueError(f"a restricted cubic spline needs 3 different knots, and this has {len(where)}")
        _state.update(knots=where, said=f"knots at {_listed(where)}")
    *inner, before, last = _state["knots"]
    size = (last - _state["knots"][0]) ** 2
    cubes = {knot: np.maximum(x - knot, 0.0) ** 3 for knot in _state["knots"]}
    bends = [
        (cubes[k] + ((before - k) * cubes[last] - (last - k) * cubes[before]) / (last - before)) / size for k in inner
    ]
    return np.column_stack([x, *bends])


def _harrell_knots(x: np.ndarray, count: float) -> np.ndarray:
    if count != int(count) or not 3 <= count <= 20:
        raise ValueError(f"a restricted cubic spline has from 3 to 20 knots, not {count:g}")
    if len(x) < 6:
        raise ValueError("fewer than 6 rows cannot place knots")
    outer = 0.1 if count == 3 else 0.025 if count > 6 else 0.05
    where = np.quantile(x, np.linspace(outer, 1 - outer, int(count)))
    if len(np.unique(where)) < 3:
        where = np.quantile(x, np.linspace(outer, 1 - outer, 2 * int(count)))
    if len(x) < 100:
        ordered = np.sort(x)
        where[0], where[-1] = ordered[4], ordered[-5]
    return where


@stateful_transform
def cut(
    x: Any,
    breaks: Any,
    labels: Any = None,
    include_lowest: bool = False,
    right: bool = True,
    ordered_result: bool = False,
    _state: Any = None,
) -> Any:
    """The interval that a value lies in, as R's `cut` has it: a factor with the intervals as its levels, in order.

    `breaks`: their ends in ascending order, or how many intervals of one length. `labels`: of the intervals; False for
    their numbers. Raises Misfit for breaks that do not ascend, and for values outside of them.
    """
    x = np.asarray(x, dtype=float)
    if not _state:
        ends = np.asarray(breaks, dtype=float) if isinstance(breaks, list) else _even_breaks(x, breaks)
        if len(ends) < 2 or (np.diff(ends) <= 0).any():
            raise Misfit("the breaks of `cut` do not ascend", found=_listed(ends), expected="two or more, each larger")
        if isinstance(labels, list) and (len(labels) != len(ends) - 1 or len(set(labels)) < len(labels)):
            expected = f"{len(ends) - 1} different ones"
            raise Misfit("these labels do not fit the intervals", found=", ".join(labels), expected=expected)
        _state["ends"] = ends
        if not isinstance(breaks, list):
            _state["said"] = f"breaks at {_listed(ends)}"
    ends = _state["ends"]
    place = np.searchsorted(ends, x, side="left" if right else "right") - 1
    if include_lowest:
        place = np.where(x == (ends[0] if right else ends[-1]), 0 if right else len(ends) - 2, place)
    outside = (place < 0) | (place > len(ends) - 2)
    if outside.any():
        raise Misfit(
            f"{int(outside.sum())} of {len(x)} values lie in none of the intervals of `cut`",
            found=f"{x[np.argmax(outside)]:g}",
            expected=f"values within {_listed(ends)}",
            hint="begin the breaks with -Inf and end them with Inf; include.lowest = TRUE takes in the outer end",
        )
    if labels is False:
        return place + 1.0
    named = labels or _interval_names(ends, right=right, closed=include_lowest)
    return pd.Categorical.from_codes(place, categories=named, ordered=ordered_result)


def _even_breaks(x: np.ndarray, count: float) -> np.ndarray:
    """The ends of intervals of one length, the outer ones a thousandth of the range further out."""
    if count != int(count) or count < 2:
        raise Misfit("`cut` makes two intervals or more", found=f"{count:g}")
    low, high = x.min(), x.max()
    size = (high - low) or abs(low)
    if low == high:
        return np.linspace(low - size / 1000, high + size / 1000, int(count) + 1)
    ends = np.linspace(low, high, int(count) + 1)
    ends[0], ends[-1] = low - size / 1000, high + size / 1000
    return ends


def _interval_names(ends: np.ndarray, *, right: bool, closed: bool) -> list[str]:
    """Names such as `(0,10]`, with as many significant digits, 3 or more, as tell the ends apart."""
    shown: list[str] = []
    for count in range(3, 13):
        shown = [f"{end:.{count}g}".replace("-inf", "-Inf").replace("inf", " Inf") for end in ends]  # as R has it
        if len(set(shown)) == len(shown):
            break
    opening, closing = ("(", "]") if right else ("[", ")")
    names = [f"{opening}{low},{high}{closing}" for low, high in itertools.pairwise(shown)]
    if closed:
        names[0 if right else -1] = f"[{names[0][1:]}" if right else f"{names[-1][:-1]}]"
    return names


def ifelse(test: Any, yes: Any, no: Any) -> Any:
    """One value where a condition holds and another elsewhere: both numbers, or both text, which makes a factor."""
    holds = np.asarray(numbers(test, "the condition")) != 0
    if is_text(yes) != is_text(no):
        raise Misfit("`ifelse` gives text in one case and a number in the other", expected="both text or both numbers")
    if is_text(yes):
        return pd.Categorical(np.where(holds, texts(yes), texts(no)))
    return np.where(holds, numbers(yes, "this"), numbers(no, "this"))


def as_numeric(x: Any) -> Any:
    """Truth as 0 and 1, dates as days since 1970-01-01, labels as the numbers that they are written as."""
    if is_date(x):
        return days(x)
    if not isinstance(x, pd.Categorical):
        return numbers(x, "this")
    found = label_numbers(x)
    if np.isnan(found).any():
        raise Misfit(
            "`as.numeric` is of labels that are no numbers",
            found=texts(x)[np.argmax(np.isnan(found))],
            hint="compute the numbers that you mean in the data before fitting",
        )
    return found


def paste0(*parts: Any) -> Any:
    """Text put side by side, as labels."""
    found: Any = ""
    for part in parts:
        found = found + texts(part)
    return found if isinstance(found, str) else pd.Categorical(found)


def _within(x: Any, *groups: Any, **options: Any) -> Any:
    """Deviations from the means of groups."""
    return x - ave(x, *groups, **options)


def _listed(values: Any) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


# What the allow-list has: by name, so that nothing else can be called.
FUNCTIONS: dict[str, Any] = {
    "I": lambda x: x,
    "abs": np.abs,
    "acos": np.arccos,
    "as.Date": lambda x, format=None: dates(x, format),
    "as.numeric": as_numeric,
    "asin": np.arcsin,
    "atan": np.arctan,
    "bs": bs,
    "ceiling": np.ceil,
    "center": TRANSFORMS["center"],
    "cos": np.cos,
    "cr": TRANSFORMS["cr"],
    "cut": cut,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "ifelse": ifelse,
    "log": log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "ns": ns,
    "paste0": paste0,
    "plogis": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "pmax": lambda *values: functools.reduce(np.maximum, values),
    "pmin": lambda *values: functools.reduce(np.minimum, values),
    "poly": poly,
    "qlogis": lambda x: np.log(x) - np.log1p(-x),
    "rcs": rcs,
    "round": lambda x, digits=0: np.round(x, int(digits)),
    "scale": TRANSFORMS["scale"],
    "sin": np.sin,
    "sqrt": np.sqrt,
    "standardize": TRANSFORMS["standardize"],
    "tan": np.tan,
    "tanh": np.tanh,
}
GROUPED: dict[str, Any] = {"ave": ave, "between": ave, "within": _within}  # of numbers, and the labels of groups
OF_ANY = frozenset(name for name, roles in ROLES.items() if "number" not in roles)  # of numbers, text and dates
STATEFUL = frozenset(name for name, own in FUNCTIONS.items() if hasattr(own, "__is_stateful_transform__"))
