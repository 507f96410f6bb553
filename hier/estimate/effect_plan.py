"""What predictions, comparisons and slopes are of: the rows, what changes in them, and what is averaged over what.

One plan serves estimates and posteriors, which differ in how they evaluate it. The words are those of marginaleffects.
Source: Arel-Bundock, Greifer and Heiss (2024), J. Stat. Softw. 111(9).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from hier.design import Design
from hier.errors import FitError, did_you_mean
from hier.estimate.choices import check_choice
from hier.estimate.effect_grids import is_grid, rows_asked
from hier.estimate.predicted_rows import Prediction, Random
from hier.model import Specification
from hier.settings import names_in, written

STEP = 1e-4  # of a slope, of the range of its variable, as in marginaleffects
SPREADS: dict[str, Callable[[np.ndarray], Sequence[float]]] = {
    "sd": lambda x: [x.mean() - x.std(ddof=1) / 2, x.mean() + x.std(ddof=1) / 2],
    "2sd": lambda x: [x.mean() - x.std(ddof=1), x.mean() + x.std(ddof=1)],
    "iqr": lambda x: list(np.quantile(x, [0.25, 0.75])),
    "minmax": lambda x: [x.min(), x.max()],
}
PAIRS: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "reference": lambda n: [(k, 0) for k in range(1, n)],
    "sequential": lambda n: [(k, k - 1) for k in range(1, n)],
    "pairwise": lambda n: [(b, a) for a, b in itertools.combinations(range(n), 2)],
}
Pair = tuple[np.ndarray, np.ndarray]


class Comparing(NamedTuple):
    """How two means are compared: the value, its derivatives in both, and the sign between their labels."""

    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray, np.ndarray], Pair]
    sign: str


HOW: dict[str, Comparing] = {
    "difference": Comparing(
        lambda high, low: high - low, lambda high, low: (np.ones_like(high), -np.ones_like(low)), "-"
    ),
    "ratio": Comparing(lambda high, low: high / low, lambda high, low: (1.0 / low, -high / low**2), "/"),
    "lnratio": Comparing(lambda high, low: np.log(high / low), lambda high, low: (1.0 / high, -1.0 / low), "/"),
    "lnor": Comparing(
        lambda high, low: np.log(high / (1.0 - high)) - np.log(low / (1.0 - low)),
        lambda high, low: (1.0 / (high * (1.0 - high)), -1.0 / (low * (1.0 - low))),
        "/",
    ),
    "lift": Comparing(lambda high, low: (high - low) / low, lambda high, low: (1.0 / low, -high / low**2), "/"),
}


class EffectsAsked(NamedTuple):
    """What a user asks: the arguments of `predictions`, `comparisons` and `slopes`."""

    verb: str
    newdata: Any = None
    variables: Any = None
    by: Any = False
    comparison: str = "difference"
    kind: str = "mean"
    random: Random | None = None
    new_levels: str = "error"
    level: float = 0.95
    seed: int = 0


class Changed(NamedTuple):
    """Rows with one variable changed: `high` and `low`, in the latter's place None of a prediction; how far apart they
    are where a slope is asked for, otherwise 1.
    """

    term: str
    label: str
    high: pd.DataFrame
    low: pd.DataFrame | None = None
    distance: float = 1.0


class Plan(NamedTuple):
    """What is evaluated: the `frame` of rows, the `changes` of them, and `weights` (k, n) of what each of the k answers
    is a mean over, of which `keys` are the labels, a row each.
    """

    frame: pd.DataFrame
    changes: list[Changed]
    weights: sparse.csr_array
    keys: pd.DataFrame
    how: Comparing
    prediction: Prediction


def make_plan(model: Specification, asked: EffectsAsked) -> Plan:
    """The plan of what was asked. Raises FitError for what the model does not have."""
    design = model.design
    check_choice("kind", asked.kind, ("mean", "link"))
    check_choice("comparison", asked.comparison, tuple(HOW))
    random = asked.random if asked.random is not None else "none" if is_grid(asked.newdata) else "all"
    prediction = Prediction(asked.kind, random, asked.new_levels, level=asked.level, seed=asked.seed).checked(model)
    frame = rows_asked(design, asked.newdata)
    makers = {"predictions": _predictions, "comparisons": _comparisons, "slopes": _slopes}
    changes = makers[asked.verb](design, frame, asked)
    weights, keys = _weights(frame, asked)
    return Plan(frame, changes, weights, keys, HOW[asked.comparison], prediction)


def _predictions(design: Design, frame: pd.DataFrame, asked: EffectsAsked) -> list[Changed]:
    return [Changed("", "", frame)]


def _comparisons(design: Design, frame: pd.DataFrame, asked: EffectsAsked) -> list[Changed]:
    sign = HOW[asked.comparison].sign
    found: list[Changed] = []
    for name, how in _variables(design, asked.variables).items():
        levels = design.variables.values[name]
        if isinstance(levels, pd.Index):
            found += _levels_compared(name, levels, how, frame, sign)
        else:
            found.append(_numbers_compared(name, how, frame, sign))
    return found


def _levels_compared(name: str, levels: pd.Index, how: Any, frame: pd.DataFrame, sign: str) -> list[Changed]:
    if isinstance(how, list | tuple) and len(how) == 2:
        places = [list(map(str, levels)).index(str(one)) if str(one) in list(map(str, levels)) else -1 for one in how]
        pairs = [(places[1], places[0])]
        if min(places) < 0:
            raise FitError(
                f"`{name}` has no level {written(how[places.index(-1)])}", expected=", ".join(map(str, levels))
            )
    else:
        check_choice("variables", how if how is not None else "reference", tuple(PAIRS))
        pairs = PAIRS["reference" if how is None else how](len(levels))
    return [
        Changed(name, f"{levels[b]} {sign} {levels[a]}", *(_at(frame, name, levels, place) for place in (b, a)))
        for b, a in pairs
    ]


def _at(frame: pd.DataFrame, name: str, levels: pd.Index, place: int) -> pd.DataFrame:
    """The rows with a factor at one of its levels."""
    return frame.assign(**{name: pd.Categorical.from_codes(np.full(len(frame), place), categories=levels)})


def _numbers_compared(name: str, how: Any, frame: pd.DataFrame, sign: str) -> Changed:
    x = _numbers(name, frame)
    how = 1 if how is None else how
    if isinstance(how, str):
        check_choice("variables", how, tuple(SPREADS))
        low, high = SPREADS[how](x)
        return Changed(
            name, {"minmax": f"max {sign} min"}.get(how, how), _set(frame, name, high), _set(frame, name, low)
        )
    if isinstance(how, list | tuple) and len(how) == 2:
        low, high = (_number(name, one) for one in how)
        return Changed(name, f"{high:g} {sign} {low:g}", _set(frame, name, high), _set(frame, name, low))
    step = _number(name, how)
    return Changed(name, f"{step:+g}", _set(frame, name, x + step), _set(frame, name, x))


def _slopes(design: Design, frame: pd.DataFrame, asked: EffectsAsked) -> list[Changed]:
    found: list[Changed] = []
    for name, how in _variables(design, asked.variables).items():
        if isinstance(design.variables.values[name], pd.Index):
            found += _comparisons(design, frame, asked._replace(variables={name: how}))
            continue
        x = _numbers(name, frame)
        reach = float(np.ptp(x)) or _range(design, name) or 1.0
        half = 0.5 * STEP * reach
        found.append(Changed(name, "dY/dX", _set(frame, name, x + half), _set(frame, name, x - half), 2.0 * half))
    return found


def _range(design: Design, name: str) -> float:
    """The range of a variable in the rows of the fit, as far as these are kept."""
    column = None if design.table is None else design.table.columns.get(name)
    return 0.0 if column is None else float(np.ptp(np.asarray(column, dtype=float)))


def _variables(design: Design, asked: Any) -> dict[str, Any]:
    """The variables that change, each with how, None where that was left open."""
    known = [name for name in design.variables.values if name != "(offset)"]
    expected = "a variable of the fixed effects, several, or a mapping of them to what they are compared at"
    if asked is None:
        found: dict[str, Any] = dict.fromkeys(known)
    elif isinstance(asked, Mapping):
        found = dict(asked)
    else:
        found = dict.fromkeys(names_in("variables", asked, expected))
    for name in found:
        if name not in known:
            raise FitError(
                f"the fixed effects have no variable `{written(name).strip(chr(39))}`",
                expected=", ".join(f"`{own}`" for own in known) or expected,
                hint=did_you_mean(str(name), known),
            )
    if not found:
        raise FitError("there is no variable to change", expected=expected)
    return found


def _numbers(name: str, frame: pd.DataFrame) -> np.ndarray:
    try:
        return np.asarray(frame[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FitError(f"`{name}` is numeric", found="labels in the rows", expected="numbers") from error
    except KeyError as error:
        raise FitError(f"the rows have no column `{name}`", hint=did_you_mean(name, list(frame.columns))) from error


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        expected = f"a step, two values, or one of {', '.join(SPREADS)}"
        raise FitError(f"`{name}` cannot be compared at {written(value)}", expected=expected)
    return float(value)


def _set(frame: pd.DataFrame, name: str, values: Any) -> pd.DataFrame:
    return frame.assign(**{name: values})


def _weights(frame: pd.DataFrame, asked: EffectsAsked) -> tuple[sparse.csr_array, pd.DataFrame]:
    """What each answer is a mean over, and its labels: every row its own, all rows, or those with the same values of
    some columns.
    """
    n = len(frame)
    if asked.by is False or asked.by is None:
        names = [name for name in frame.columns if is_grid(asked.newdata)]
        return sparse.csr_array(sparse.identity(n, format="csr")), pd.DataFrame(frame[names])
    if asked.by is True:
        return sparse.csr_array(np.full((1, n), 1.0 / n)), pd.DataFrame(index=pd.RangeIndex(1))
    names = names_in("by", asked.by, "True, or columns of the rows")
    if not names:
        raise FitError("there is nothing to average by", found="by=[]", expected="True, or columns of the rows")
    for name in names:
        if name not in frame.columns:
            raise FitError(f"the rows have no column `{name}`", hint=did_you_mean(name, list(frame.columns)))
    grouped = frame.groupby(names, observed=True, sort=True, dropna=False)
    codes = grouped.ngroup().to_numpy()
    counts = np.bincount(codes)
    keys = pd.DataFrame(grouped.size().reset_index()[names])
    own = (1.0 / counts[codes], (codes, np.arange(n)))
    return sparse.csr_array(own, shape=(len(counts), n)), keys


def labelled(plan: Plan, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The answers of all changes (k, ...) each, with what they are of in front."""
    found = []
    for change, table in zip(plan.changes, tables, strict=True):
        own = table.set_axis(plan.keys.index)
        heads = {"term": change.term, "contrast": change.label} if change.low is not None else {}
        found.append(pd.concat([pd.DataFrame(heads, index=own.index), plan.keys, own], axis=1))
    whole = pd.concat(found)
    return whole if len(plan.keys) == len(plan.frame) and len(plan.keys.columns) == 0 else whole.reset_index(drop=True)
