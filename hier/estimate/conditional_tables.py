"""Expected responses along variables, the others held: the tables behind pictures of effects."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from hier.design import Design, frame_of_fit
from hier.errors import FitError, did_you_mean
from hier.model import Specification
from hier.settings import check, names_in, whole


class Predicting(Protocol):
    """A result with a model, whose effects can be predicted."""

    @property
    def model(self) -> Specification | None: ...
    def predictions(self, newdata: Any, *, kind: str, level: float) -> pd.DataFrame: ...


def conditional_effects(result: Any, effects: Any, resolution: int, kind: str, level: float) -> dict[str, pd.DataFrame]:
    """What `EffectVerbs.conditional_effects` says."""
    own: Predicting = result
    if own.model is None:
        raise FitError("this result has no model", hint="hier.load_posterior(path, model=model)")
    design, resolution = own.model.design, check("resolution", resolution, whole(2, 10_000))
    known = [name for name in design.variables.values if name != "(offset)"]
    asked = known if effects is None else names_in("effects", effects, 'variables, or two joined as "week:diet"')
    if not asked:
        raise FitError("there is no effect to show", expected='variables, or two joined as "week:diet"')
    found = {}
    for effect in asked:
        names = effect.split(":")
        for name in names:
            if name not in known or len(names) > 2:
                raise FitError(
                    f"there is no effect `{effect}`",
                    expected=", ".join(f"`{one}`" for one in known) + ", or two of these joined by a colon",
                    hint=did_you_mean(name, known),
                )
        grid = {name: _values(design, name, resolution, is_second=k > 0) for k, name in enumerate(names)}
        table = own.predictions(grid, kind=kind, level=level)
        columns = ["estimate", "std_error", "conf_low", "conf_high"]
        found[effect] = table[[*names, *columns]]
    return found


def _values(design: Design, name: str, resolution: int, *, is_second: bool) -> Any:
    own = design.variables.values[name]
    if isinstance(own, pd.Index | np.ndarray):
        return own
    x = np.asarray(frame_of_fit(design)[name], dtype=np.float64)
    if is_second:
        return [x.mean() - x.std(ddof=1), x.mean(), x.mean() + x.std(ddof=1)]
    return np.linspace(x.min(), x.max(), resolution)
