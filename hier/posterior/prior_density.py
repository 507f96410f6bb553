"""The densities of priors, as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.kernel.programs.precision import float64, kept_programs
from hier.model import Specification

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

POINTS = 300
DRAWS, TAIL = 4000, 0.005


class PriorCurve(NamedTuple):
    """The density of one prior, drawn between its 0.5 and 99.5 percent quantiles; none of a flat one."""

    name: str
    words: str
    x: np.ndarray
    density: np.ndarray


@kept_programs
@float64
def prior_curves(model: Specification) -> list[PriorCurve]:
    """The density of each prior of a model, in the order of `Model.prior_table`; of a prior of a correlation matrix,
    that of each correlation.
    """
    priors = model.priors
    own = [*priors.beta.values(), *priors.cutpoints.values()]
    own += [each for group in priors.groups for each in (*group.sd, *group.cor)]
    own += [each for parameter in priors.parameters for each in parameter.priors.values()]
    return [PriorCurve(name, words, *_curve(each)) for (name, words), each in zip(priors.rows(), own, strict=True)]


def _curve(prior: Distribution) -> tuple[np.ndarray, np.ndarray]:
    import numpyro.distributions as dist
    from jax import random
    from scipy import stats

    if isinstance(prior, dist.ImproperUniform):
        return np.zeros(0), np.zeros(0)
    if isinstance(prior, dist.LKJCholesky):
        # Lewandowski, Kurowicka and Joe (2009), J. Multivar. Anal. 100, 1989
        a = float(prior.concentration) - 1.0 + 0.5 * prior.dimension
        x = np.linspace(-1.0, 1.0, POINTS)
        return x, stats.beta.pdf(x, a, a, loc=-1.0, scale=2.0)
    low, high = np.quantile(np.asarray(prior.sample(random.key(0), (DRAWS,))), [TAIL, 1.0 - TAIL])
    least = getattr(prior.support, "lower_bound", None)
    if least is not None and np.isfinite(least):
        low = float(least)
    x = np.linspace(low, high, POINTS)[1:-1]
    return x, np.exp(np.asarray(prior.log_prob(x)))
