"""More draws of the same chains."""

from __future__ import annotations

import dataclasses

import numpy as np

from hier.errors import FitError
from hier.posterior.posterior_draws import Continuation, PosteriorDraws, Timing
from hier.posterior.prediction import model_of
from hier.settings import SAMPLING, TRUTH, Sampling, check


def extend[P: PosteriorDraws](posterior: P, draws: int, progress: bool) -> P:
    """What `Posterior.extend` says."""
    from hier.posterior.drawing import draw  # JAX comes with it

    model, end = model_of(posterior), posterior.end
    if end is None:
        raise FitError(
            "this posterior was read from a file, which does not hold where its chains stand",
            expected="a posterior that was sampled in this session, or a copy of one",
            hint="sample() with more draws",
        )
    found = draw(
        model, _settings(end, check("draws", draws, SAMPLING["draws"]), check("progress", progress, TRUTH)), end
    )
    both = lambda one, other: np.concatenate([one, other], axis=1)  # noqa: E731
    settings, timing = posterior.settings, posterior.timing or Timing(0.0, 0.0, 0.0)
    n_more = next(iter(found.stats.values())).shape[1]
    return dataclasses.replace(
        posterior,
        draws={name: both(own, found.draws[name]) for name, own in posterior.draws.items()},
        stats={name: both(own, found.stats[name]) for name, own in posterior.stats.items()},
        settings=settings._replace(draws=settings.draws + n_more, stopped=int(found.stopped)),
        timing=Timing(*(one + other for one, other in zip(timing, found.timing, strict=True))),
        end=found.end,
        added={},
    )


def _settings(end: Continuation, draws: int, progress: bool) -> Sampling:
    """The settings of more draws, whose random numbers beside the chains' own are others."""
    seed = np.random.SeedSequence([end.asked.seed or 0, end.times]).generate_state(1)[0]
    return dataclasses.replace(end.asked, draws=draws, progress=progress, seed=int(seed))
