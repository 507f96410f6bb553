"""Minimise a smooth function of a few parameters with exact gradients and Hessians, in a trust region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.control import tree_map, while_loop
from hier.kernel.arrays.derivatives import Evaluate
from hier.kernel.arrays.library import Array, xp

MAX_STEPS = 100
PREDICTED_DECREASE = 1e-9  # on the scale of -2 log likelihood: what is left after one more Newton step is its square
ROUNDING = 1e-13  # relative to the value: a difference below it is noise
SMALLEST_RADIUS = 1e-10  # a trust region this small means that no step improves on rounding errors
LEFT = 1e-5  # on the same scale: where no step improves, and a Newton step promises more, there is no minimum


class Optimum(NamedTuple):
    """Where the search ended: `x` (m,), and `value`, `gradient` (m,) and `hessian` (m, m) one last small step before;
    `steps`, `converged`, and the `memory` of the last evaluation that was kept.
    """

    x: Array
    value: Array
    gradient: Array
    hessian: Array
    steps: Array
    converged: Array
    memory: Any = ()


class _Step(NamedTuple):
    """A step (m,), the decrease of the function that it predicts, its length before it was cut, and what is left to
    gain, infinite at a saddle.
    """

    by: Array
    predicted: Array
    length: Array
    left: Array


class _State(NamedTuple):
    x: Array
    value: Array
    gradient: Array
    hessian: Array
    radius: Array
    step: _Step
    steps: Array
    close: Array
    done: Array
    memory: Any


def _newton_step(gradient: Array, hessian: Array, radius: Array, size: Array) -> _Step:
    """Newton's step with every curvature taken as positive, cut to the trust region; lengths and curvatures are those
    in units of the parameters' sizes (m,).

    At a stationary point with a direction of negative curvature the gradient gives no way out: the step then follows
    that direction.
    Source: Nocedal and Wright (2006), Numerical Optimization, sections 3.4 and 4.1.
    """
    curvature, directions = xp.eigh(size[:, None] * hessian * size)
    steep = xp.maximum(xp.abs(curvature), 1e-9 * xp.max(xp.abs(curvature)) + 1e-300)
    along = xp.sum(directions * (size * gradient)[:, None], axis=0)
    step = -xp.sum(directions * (along / steep), axis=1)
    left = 0.5 * xp.sum(along**2 / steep)
    saddle = (curvature[0] < -1e-6 * xp.max(steep)) & (left < PREDICTED_DECREASE)
    step = xp.where(saddle, radius * directions[:, 0], step)
    predicted = xp.where(saddle, 0.5 * radius**2 * steep[0], left)
    left = xp.where(saddle, xp.inf, left)
    length = xp.norm(step)
    return _Step(size * step * xp.minimum(1.0, radius / xp.maximum(length, 1e-300)), predicted, length, left)


Remembering = Callable[[Array, Any], tuple[Array, Array, Array, Any]]


def minimise(
    evaluate: Evaluate, start: Array, left_behind: float = 0.0, n_spreads: int = 0, units: Array | float = 1.0
) -> Optimum:
    """The minimum from `start` (m,) of a function whose value, gradient and Hessian `evaluate` gives.

    The search stops where a Newton step predicts a decrease below 1e-9, and takes that step without looking back; it
    stops earlier where the gain of the last steps shows that one more leaves less than `left_behind`. It is
    deterministic, and `vmap` runs a batch of searches as one program. The first `n_spreads` parameters are standard
    deviations or the like, whose own size is their unit where it is above the one in `units` (m,): a search then finds
    its way to very large ones, and does not take a curvature that is small in such a unit for none.
    """
    return minimise_with_memory(lambda x, memory: (*evaluate(x), memory), start, (), left_behind, n_spreads, units)


def minimise_with_memory(
    evaluate: Remembering,
    start: Array,
    memory: Any,
    left_behind: float = 0.0,
    n_spreads: int = 0,
    units: Array | float = 1.0,
) -> Optimum:
    """As `minimise`; `evaluate` is also given what it returned as its memory where the search stands: where an inner
    search may begin.
    """

    grows = np.arange(start.shape[0]) < n_spreads

    def advance(state: _State) -> _State:
        # the first pass only evaluates the start, so that the function is compiled once and not twice
        first = state.steps == 0
        step, before, length, _ = state.step
        value, gradient, hessian, memory = evaluate(state.x + step, state.memory)
        finite = xp.isfinite(value) & xp.all(xp.isfinite(gradient)) & xp.all(xp.isfinite(hessian))
        better = first | (finite & (value <= state.value + ROUNDING * (1.0 + xp.abs(state.value))))
        radius = xp.where(
            better,
            xp.where(length > state.radius, 2.0 * state.radius, state.radius),
            0.25 * xp.minimum(state.radius, length),
        )
        radius = xp.where(first, state.radius, radius)
        gradient = xp.where(better, gradient, state.gradient)
        hessian = xp.where(better, hessian, state.hessian)
        x = xp.where(better, state.x + step, state.x)
        size = xp.where(grows, xp.maximum(xp.abs(x), units), units)
        next_step = _newton_step(gradient, hessian, radius, size)
        # of full steps each gains at least the factor that the one before gained
        whole = ~first & better & (length <= state.radius)
        close = (next_step.predicted < PREDICTED_DECREASE) | (whole & (next_step.predicted**2 < left_behind * before))
        return _State(
            x=x,
            value=xp.where(better, value, state.value),
            gradient=gradient,
            hessian=hessian,
            radius=radius,
            step=next_step,
            steps=state.steps + 1,
            close=close,
            done=close | (radius < SMALLEST_RADIUS) | (first & ~finite),
            memory=tree_map(lambda new, old: xp.where(better, new, old), memory, state.memory),
        )

    m = start.shape[0]
    begin = _State(
        x=start,
        value=xp.full((), xp.inf),
        gradient=xp.zeros(m),
        hessian=xp.eye(m),
        radius=xp.ones(()),
        step=_Step(xp.zeros(m), xp.zeros(()), xp.zeros(()), xp.zeros(())),
        steps=np.zeros((), np.int32),
        close=np.zeros((), bool),
        done=np.zeros((), bool),
        memory=memory,
    )
    end = while_loop(lambda s: ~s.done & (s.steps <= MAX_STEPS), advance, begin)
    small = end.step.left < LEFT
    x = xp.where(end.close, end.x + end.step.by, end.x)
    converged = end.done & (end.close | small)
    return Optimum(x, end.value, end.gradient, end.hessian, end.steps, converged, end.memory)
