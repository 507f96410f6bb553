"""The log prior density of every draw, a number for each variable that has a prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hier.kernel.programs.precision import float64, kept_programs
from hier.model.parameter_names import further_variable
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


@kept_programs
@float64
def log_prior(posterior: PosteriorDraws) -> dict[str, np.ndarray]:
    """Log prior densities (C, D) by variable: the fixed effects, the cutpoints, the sds and the correlations of each
    grouping factor, and the further parameters.

    The distribution of the deviations is the model's, not a prior, and is not among them, as in priorsense and brms.
    Where priors are of the values at the means of the columns, the densities are those of these values. Source:
    Kallioinen, Paananen, Buerkner and Vehtari (2024), Stat. Comput. 34, 57, section 3.
    """
    return {
        name: np.asarray(own.log_prob(np.asarray(posterior.draws[name]))) for name, own in _priors(posterior).items()
    }


def _priors(posterior: PosteriorDraws) -> dict[str, Distribution]:
    """The prior of each variable of the draws."""
    from hier.posterior.sites import Ascending, Correlations, coefficients, spreads

    model = model_of(posterior)
    priors, found = model.priors, dict[str, Any]()
    if priors.beta:
        found["beta"] = coefficients(list(priors.beta.values()), priors.at)
    if priors.cutpoints:
        found["cutpoints"] = Ascending(list(priors.cutpoints.values()), posterior.beta @ priors.shift.T)
    for group, own in zip(posterior.groups, priors.groups, strict=True):
        sd, cor = group.variables[-2:] if own.moved else group.variables[:2]
        found[sd] = spreads(own.sd, group.blocks)
        if own.cor:
            found[cor] = Correlations(own.cor, own.blocks)
    for own in priors.parameters:
        variable = further_variable(own.name, has_formula=own.has_formula)
        found[variable] = coefficients(list(own.priors.values()), own.at) if own.has_formula else own.priors[own.name]
    return found
