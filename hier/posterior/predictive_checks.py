"""Do replicated responses look like the observed ones? Test quantities of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.printing import Table
from hier.posterior.added_groups import replicated
from hier.posterior.cross_validation import group_named
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of
from hier.settings import nearest_choice, written

Quantity = Callable[[np.ndarray], Any]
MOST_DRAWS = 1000  # of which quantities are computed one by one
# quantities by name, of responses (n,)
QUANTITIES: dict[str, Quantity] = {
    "mean": np.mean,
    "sd": lambda y: np.std(y, ddof=1),
    "min": np.min,
    "max": np.max,
    "median": np.median,
    "zeros": lambda y: np.mean(y == 0),
}
USUAL = ("mean", "sd", "min", "max")


def predictive_check(posterior: PosteriorDraws, quantities: Any, group: str | None, seed: int) -> pd.DataFrame:
    """What `Posterior.predictive_check` says."""
    counts = model_of(posterior).family.response in ("count", "successes")
    asked = _asked((*USUAL, "zeros") if counts else USUAL) if quantities is None else _asked(quantities)
    found = replicated(posterior, seed)
    sets, labels = levels_of(posterior, group)
    rows, index = [], []
    for rows_of_level, label in zip(sets, labels, strict=True):
        for name, quantity in asked.items():
            observed, drawn = of_both(quantity, name, posterior.observed[rows_of_level], found[:, rows_of_level])
            low, high = np.quantile(drawn, [0.025, 0.975])
            rows.append([observed, drawn.mean(), drawn.std(ddof=1), low, high, p_value(observed, drawn)])
            index.append(name if group is None else (label, name))
    columns = ["observed", "replicated", "sd", "lower", "upper", "p_value"]
    names = ["quantity"] if group is None else [group, "quantity"]
    whole = pd.Index(index, name="quantity") if group is None else pd.MultiIndex.from_tuples(index, names=names)
    return Table(np.array(rows), index=whole, columns=columns)


def levels_of(posterior: PosteriorDraws, group: str | None) -> tuple[list[np.ndarray], list[Any]]:
    """The rows of each level of a grouping factor, and its labels; all rows where there is none."""
    if group is None:
        return [np.arange(len(posterior.observed))], [None]
    own = group_named(posterior, group)
    return [np.flatnonzero(own.codes == j) for j in range(own.n_levels)], list(own.levels)


def of_both(quantity: Quantity, name: str, observed: np.ndarray, found: np.ndarray) -> tuple[float, np.ndarray]:
    """A quantity of the observed responses (n,) and of replicated ones (S, n), of at most a thousand draws. Raises
    FitError for one that gives no number.
    """
    some = found[np.linspace(0, len(found) - 1, min(len(found), MOST_DRAWS)).astype(int)]
    values = [quantity(own) for own in (observed, *some)]
    try:
        numbers = np.array([float(own) for own in values])
    except (TypeError, ValueError):
        raise FitError(
            f"the quantity `{name}` gives no number",
            found=written(values[0]),
            expected="a function from responses (n,) to one number, such as `lambda y: (y > 3).mean()`",
        ) from None
    return numbers[0], numbers[1:]


def p_value(observed: float, drawn: np.ndarray) -> float:
    """The share of replicated quantities that are larger; of ties a half."""
    return float(np.mean(drawn > observed) + 0.5 * np.mean(drawn == observed))


def _asked(quantities: Any) -> dict[str, Quantity]:
    """Quantities by name: from a name, a function, a list of these, or functions by name."""
    if isinstance(quantities, Mapping):
        found = dict(quantities)
    else:
        several = [quantities] if isinstance(quantities, str) or callable(quantities) else list(quantities)
        found = {_name(own, k): own for k, own in enumerate(several, 1)}
    return {str(name): function_of(own) for name, own in found.items()}


def _name(quantity: Any, k: int) -> str:
    name = quantity if isinstance(quantity, str) else getattr(quantity, "__name__", "")
    return name if name and name != "<lambda>" else f"quantity {k}"


def function_of(quantity: Any) -> Quantity:
    """A test quantity, or the one of a name. Raises FitError."""
    if callable(quantity):
        return quantity
    if quantity not in QUANTITIES:
        raise FitError(
            f"there is no test quantity {written(quantity)}",
            expected="a function of the responses, or one of " + ", ".join(f'"{name}"' for name in QUANTITIES),
            hint=nearest_choice(quantity, QUANTITIES),
        )
    return QUANTITIES[quantity]
