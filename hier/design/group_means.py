"""The means of groups, and deviations from them: a covariate between groups and within them.

The means are those of the rows of the fit, and kept: a new row takes the mean of its group in the fit, whatever other
new rows there are. A group that the fit has not seen takes the mean of its own new rows.
Source: R's `ave`; Snijders and Bosker, Multilevel Analysis (2012), section 4.6, for what such terms estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hier.design.kinds import Misfit
from hier.design.levels import match


def ave(x: np.ndarray, *groups: Any, names: tuple[str, ...], state: dict[str, Any]) -> np.ndarray:
    """The mean of x (n,) in the row's group (n,); several grouping factors make groups of their combinations.

    `names` of the grouping factors, for messages; `state`: empty, or what was learned from the data of the fit. Raises
    Misfit where a group is missing.
    """
    own = [_labels(name, group) for name, group in zip(names, groups, strict=True)]
    if not state:
        cells, place = np.unique(_combined([codes for codes, _ in own], own), return_inverse=True)
        means = _means(x, place)
        of = " and ".join(f"`{name}`" for name in names)
        what = "levels" if len(names) == 1 else "combinations of levels"
        said = f"means of the {len(cells)} {what} of {of} in the rows of the fit"
        state.update(levels=[levels for _, levels in own], cells=cells, means=means)
        state["said"] = f"{said}; a level that the fit has not seen takes the mean of its own new rows"
        return means[place]
    pairs = zip(names, own, state["levels"], strict=True)
    codes = [match(name, labels, levels)[codes] for name, (codes, labels), levels in pairs]
    seen = np.all([own >= 0 for own in codes], axis=0)
    cell = _combined(codes, [(None, levels) for levels in state["levels"]])
    place = np.minimum(np.searchsorted(state["cells"], cell), len(state["cells"]) - 1)
    seen &= state["cells"][place] == cell
    found = state["means"][place]
    if not seen.all():
        new = np.unique(_combined([codes[~seen] for codes, _ in own], own), return_inverse=True)[1]
        found[~seen] = _means(x[~seen], new)[new]
    return found


def _labels(name: str, group: Any) -> tuple[np.ndarray, pd.Index]:
    """Codes (n,) of a group's labels, and these. Raises Misfit where one is missing."""
    if isinstance(group, pd.Categorical):
        codes, labels = group.codes, group.categories
    else:
        codes, labels = pd.factorize(group)
    if (codes < 0).any():
        raise Misfit(
            f"`{name}` is missing in {int((codes < 0).sum())} of {len(codes)} rows",
            expected="a level of each row whose group has a mean",
        )
    return codes, pd.Index(labels)


def _combined(codes: list[np.ndarray], levels: list[Any]) -> np.ndarray:
    """One whole number for each combination of codes."""
    found = codes[0].astype(np.int64)
    for more, (_, labels) in zip(codes[1:], levels[1:], strict=True):
        found = found * len(labels) + more
    return found


def _means(x: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The mean of x at each place."""
    return np.bincount(place, weights=x) / np.bincount(place)
