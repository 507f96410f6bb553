"""The smallest effective sample size of a posterior and its largest R-hat, by one rule for every sampler."""

from typing import Any


def smallest_ess(posterior: Any) -> tuple[float, str]:
    """Smallest bulk effective sample size over all scalars of all variables, and the name of that variable.

    `posterior` is a dataset with dimensions `chain` and `draw`. A scalar that never moves (the diagonal of a
    correlation matrix) has no effective sample size and is left out; one that is not a number counts as zero.
    """
    import arviz
    import numpy as np

    sizes = arviz.ess(posterior, method="bulk")
    smallest, where = float("inf"), ""
    for name, values in posterior.data_vars.items():
        moves = np.asarray(values.max(("chain", "draw")) > values.min(("chain", "draw")))
        size = np.nan_to_num(np.asarray(sizes[name]), nan=0.0)[moves]
        if size.size and size.min() < smallest:
            smallest, where = float(size.min()), str(name)
    return smallest, where


def largest_rhat(posterior: Any) -> float:
    """The largest R-hat over all scalars of all variables; one that never moves has none."""
    import arviz
    import numpy as np

    found = arviz.rhat(posterior)
    return max(float(np.nanmax(found[name])) for name in found.data_vars if np.isfinite(found[name]).any())
