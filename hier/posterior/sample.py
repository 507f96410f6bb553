"""Draws from a model's posterior: settings that make sense, the route that the model takes, and the result."""

from __future__ import annotations

import numpy as np

from hier.model import Specification
from hier.posterior.dataset import coordinate, further_variables, numbers_a_draw
from hier.posterior.diagnostics import load_ahead
from hier.posterior.drawing import METHODS, Drawn, draw
from hier.posterior.grouping import groups_of
from hier.posterior.posterior import Posterior
from hier.posterior.posterior_draws import Settings
from hier.settings import DEFAULTS, Sampling, refuse_beyond_memory


def sample(model: Specification, settings: Sampling = DEFAULTS) -> Posterior:
    """Draws from the posterior of all parameters and group deviations.

    Of a Normal response the group deviations, and the fixed effects whose priors are Normal or flat, are integrated out
    exactly; NUTS samples the remaining few parameters, and the integrated ones are drawn exactly afterwards, so that
    they are as good as independent. Where crossed factors make that dear, the deviations of all but the largest are
    sampled. Of any other response NUTS samples everything, the deviations transported by the Laplace approximation.

    Draws by a Normal approximation, by mode and curvature or the best one by variational inference, are resampled by
    importance in the coordinates that NUTS would move in; what is integrated out is drawn exactly then too.

    The same seed gives the same draws on the same machine. Raises FitError for settings that make no sense.
    """
    settings = settings.checked()
    _refuse_too_many(model, settings)
    load_ahead()
    return _posterior(model, settings, draw(model, settings))


def _refuse_too_many(model: Specification, settings: Sampling) -> None:
    """Refuse more draws than there is memory for."""
    what, held = f"{settings.chains} chains of {settings.draws} draws", float(settings.chains) * settings.draws
    refuse_beyond_memory(what, held * numbers_a_draw(model.design), "4 chains of 1,000 draws do for most uses")


def _posterior(model: Specification, settings: Sampling, drawn: Drawn) -> Posterior:
    design, route = model.design, drawn.route
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups_of(design),
        further=further_variables(design),
        settings=_made(settings, drawn),
        method=f"{METHODS[settings.method].words} {route.of}",
        priors=dict(model.priors.rows(None)),
        notes=(*design.notes(), *(own.sentence for own in model.undetermined), *route.notes),
        draws=drawn.draws,
        stats=drawn.stats,
        observed=design.in_numbers(design.y if design.outcome.is_continuous else design.y.astype(np.int64)),
        digest=model.digest,
        model=model,
        index=coordinate(design.index),
        timing=drawn.timing,
        end=drawn.end,
    )


def _made(asked: Sampling, drawn: Drawn) -> Settings:
    """What is said of the settings: so many draws as there are."""
    draws = next(iter(drawn.stats.values())).shape[1]
    seed = int(asked.seed or 0)
    made = (asked.chains, draws, asked.own_warmup, seed, asked.max_tree_depth, asked.own_thin, int(drawn.stopped))
    return Settings(*made)
