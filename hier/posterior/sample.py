"""Draws from a model's posterior: settings that make sense, the route that the model takes, and the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from hier.estimate.progress import progress_bar
from hier.kernel.programs.waiting import in_threads
from hier.model import Specification
from hier.posterior.approximate import best_draws, normal_draws
from hier.posterior.dataset import coordinate, further_variables, numbers_a_draw
from hier.posterior.devices import use_device
from hier.posterior.diagnostics import load_ahead
from hier.posterior.grouping import groups_of
from hier.posterior.nuts import prepare, run_nuts
from hier.posterior.posterior import Posterior
from hier.posterior.posterior_draws import Settings
from hier.posterior.sampling_routes import SamplingRoute, by_variable, sampling_route
from hier.settings import DEFAULTS, Sampling, refuse_beyond_memory


class Moved(Protocol):
    """Draws `x` (C, D, n) of what is not integrated out, and what is kept beside them."""

    @property
    def x(self) -> np.ndarray: ...
    def stats(self) -> dict[str, np.ndarray]: ...


class Method(NamedTuple):
    """How a density is drawn from: in words; what draws; and what loads or compiles that ahead, if anything does."""

    words: str
    draw: Callable[..., Moved]
    prepare: Callable[..., None] = lambda *ahead: None


METHODS = {
    "nuts": Method("NUTS on", run_nuts, prepare),
    "laplace": Method("approximate: Laplace's Normal approximation of", normal_draws),
    "advi": Method("approximate: the best Normal approximation, by variational inference (ADVI), of", best_draws),
}


def sample(model: Specification, settings: Sampling = DEFAULTS) -> Posterior:
    """Draws from the posterior of all parameters and group deviations.

    Of a Normal response the group deviations, and the fixed effects whose priors are Normal or flat, are integrated out
    exactly; NUTS samples the remaining few parameters, and the integrated ones are drawn exactly afterwards, so that
    they are as good as independent. Where crossed factors make that dear, the deviations of all but the largest are
    sampled. Of any other response NUTS samples everything, the deviations transported by the Laplace approximation.

    Draws of a Normal approximation, by mode and curvature or the best one by variational inference, are in the
    coordinates that NUTS would move in; what is integrated out is drawn exactly then too.

    The same seed gives the same draws on the same machine. Raises FitError for settings that make no sense.
    """
    settings = settings.checked()
    _refuse_too_many(model, settings)
    load_ahead()
    route, method = sampling_route(model, settings.integrate), METHODS[settings.method]
    with (
        use_device(settings.device, route.arrays),
        progress_bar(settings.iterations, "Sampling", shown=settings.progress) as on_progress,
    ):
        in_threads(lambda: method.prepare(route.density, route.arrays, settings), *route.programs())
        start, arrays = route.begin()
        moved = method.draw(route.density, arrays, start, settings, on_progress)
        draws = by_variable(model, route.finish(moved.x, arrays, settings.seed))
    return _posterior(model, settings, route, draws, moved.stats())


def _refuse_too_many(model: Specification, settings: Sampling) -> None:
    """Refuse more draws than there is memory for."""
    what, held = f"{settings.chains} chains of {settings.draws} draws", float(settings.chains) * settings.draws
    refuse_beyond_memory(what, held * numbers_a_draw(model.design), "4 chains of 1,000 draws do for most uses")


def _posterior(
    model: Specification,
    settings: Sampling,
    route: SamplingRoute,
    draws: dict[str, np.ndarray],
    stats: dict[str, np.ndarray],
) -> Posterior:
    design = model.design
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups_of(design),
        further=further_variables(design),
        settings=Settings.of(settings),
        method=f"{METHODS[settings.method].words} {route.of}",
        priors=dict(model.priors.rows(None)),
        notes=(*design.notes(), *(own.sentence for own in model.undetermined), *route.notes),
        draws=draws,
        stats=stats,
        observed=design.in_numbers(design.y if design.outcome.is_continuous else design.y.astype(np.int64)),
        digest=model.digest,
        model=model,
        index=coordinate(design.index),
    )
