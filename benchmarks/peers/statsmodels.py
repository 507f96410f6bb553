"""The statsmodels package: MixedLM by REML; it has no degrees of freedom, so that there is one mode."""

import re
from typing import Any

from benchmarks.peers.protocol import Mode, serve, timed


def library() -> Any:
    """Import what a user imports."""
    import statsmodels
    import statsmodels.formula.api

    return statsmodels


def split(formula: str) -> tuple[str, str, str]:
    """The fixed part, the random part and the grouping factor of a formula with one random term in brackets."""
    found = re.fullmatch(r"([^|]*)\+\s*\(([^|]*)\|\s*(\w+)\s*\)\s*", formula)
    if found is None:
        raise ValueError(f"MixedLM takes one random term; the formula is {formula!r}")
    fixed, random, group = (part.strip() for part in found.groups())
    return fixed, f"~ {random}", group


def modes(statsmodels: Any, options: Any) -> dict[str, Mode]:
    """`estimate` builds the model from the data frame and fits it by REML."""
    import pandas as pd

    data = pd.read_csv(options.data)
    fixed, random, group = split(options.formula)
    mixedlm = statsmodels.formula.api.mixedlm

    def facts(fit: Any) -> dict[str, Any]:
        figures = {"fixef": [float(value) for value in fit.fe_params], "sigma": float(fit.scale) ** 0.5}
        return figures | {"objective": -2.0 * float(fit.llf)}

    def fit() -> Any:
        return mixedlm(fixed, data, groups=data[group], re_formula=random).fit(reml=True)

    return {"estimate": lambda seed: timed(fit, facts)}


if __name__ == "__main__":
    serve(library, modes)
