"""Draws of a model's density by a method, and more of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from hier.errors import FitError, did_you_mean
from hier.estimate.progress import progress_bar
from hier.kernel.programs.waiting import in_threads
from hier.model import Specification
from hier.posterior.approximate import best_draws, resampled_draws
from hier.posterior.dataset import further_variables
from hier.posterior.devices import use_device
from hier.posterior.grouping import groups_of
from hier.posterior.nuts import more_nuts, prepare, run_nuts
from hier.posterior.posterior_draws import Continuation, Timing
from hier.posterior.sampling_routes import SamplingRoute, by_variable, sampling_route
from hier.settings import Sampling


class Moved(Protocol):
    """Draws `x` (C, D, n) of what is not integrated out, what is kept beside them, where they `end`, and whether Ctrl-C
    `stopped` them.
    """

    @property
    def x(self) -> np.ndarray: ...
    @property
    def end(self) -> object: ...
    @property
    def stopped(self) -> bool: ...
    def stats(self) -> dict[str, np.ndarray]: ...


class Method(NamedTuple):
    """How a density is drawn from: in words; what draws; what draws more, given where the first ended; and what loads
    or compiles that ahead, if anything does.
    """

    words: str
    draw: Callable[..., Moved]
    more: Callable[..., Moved] = resampled_draws
    prepare: Callable[..., None] = lambda *ahead: None


METHODS = {
    "nuts": Method("NUTS on", run_nuts, more_nuts, prepare),
    "laplace": Method("approximate, by Laplace's approximation and importance resampling, of", resampled_draws),
    "advi": Method("approximate, by variational inference (ADVI) and importance resampling, of", best_draws),
}


class Drawn(NamedTuple):
    """Draws of all parameters, and of the deviations that are kept, by variable; `stats` beside them; `route`, by which
    they were made, and how long it took; where they end, for more.
    """

    draws: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    route: SamplingRoute
    timing: Timing
    end: Continuation
    stopped: bool


class Clock:
    """Tells of progress, and notes when."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._began = time.perf_counter()
        self._done, self._times = [0], [self._began]

    def compiled(self) -> None:
        self._times[0] = time.perf_counter()

    def __call__(self, done: int) -> None:
        self._done.append(done)
        self._times.append(time.perf_counter())
        self._tell(done)

    def timing(self, warmup: int) -> Timing:
        """How long things took until now, of which the first `warmup` iterations are no draws."""
        began = self._times[0]
        warm = float(np.interp(warmup, self._done, self._times)) if warmup else began
        return Timing(began - self._began, warm - began, time.perf_counter() - warm)


def draw(model: Specification, settings: Sampling, before: Continuation | None = None) -> Drawn:
    """Draws by these settings, which are checked; or more of them after those `before`.

    Raises FitError where a variable that is to be kept is not there, and where deviations cannot be integrated out.
    """
    kept = _kept_deviations(model, settings.keep)
    route, method = sampling_route(model, settings.integrate), METHODS[settings.method]
    warmup = settings.own_warmup if before is None else 0
    with (
        use_device(settings.device, route.arrays),
        progress_bar(settings.iterations - settings.own_warmup + warmup, "Sampling", shown=settings.progress) as tell,
    ):
        clock = Clock(tell)
        in_threads(lambda: method.prepare(route.density, route.arrays, settings), *route.programs())
        clock.compiled()
        start, arrays = route.begin()
        how, start = (method.draw, start) if before is None else (method.more, before.end)
        moved = how(route.density, arrays, start, settings, clock)
        draws = by_variable(model, route.finish(moved.x, arrays, int(settings.seed or 0), kept))
    times = 1 if before is None else before.times + 1
    end = Continuation(settings if before is None else before.asked, moved.end, times)
    return Drawn(draws, moved.stats(), route, clock.timing(warmup), end, moved.stopped)


def _kept_deviations(model: Specification, keep: str | Sequence[str]) -> list[bool]:
    """Whether the deviations of each grouping factor are kept, in the kernel's order."""
    groups = groups_of(model.design)
    if isinstance(keep, str):
        return [keep == "all"] * len(groups)
    known = [name for own in groups for name in own.variables if name]
    always = ["beta", *further_variables(model.design)]
    for name in keep:
        if name not in (*known, *always):
            raise FitError(
                f"there is no variable `{name}` to keep",
                expected=", ".join(f"`{own.variables.b}`" for own in groups) + "; parameters are always kept",
                hint=did_you_mean(name, [*known, *always]),
            )
    return [own.variables.b in keep for own in model.structure.ordered(groups)]
