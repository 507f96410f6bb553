"""Replicated responses beside the observed ones, drawn as their kind asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.model import Specification
from hier.plots import style
from hier.plots.density_curves import density
from hier.plots.drawn_parameters import DrawnParameter
from hier.plots.uniform import draw_ecdf
from hier.posterior import Posterior
from hier.posterior.added_groups import replicated
from hier.posterior.prediction import model_of
from hier.posterior.predictive_checks import function_of, levels_of, of_both, p_value
from hier.posterior.program import sample_prior
from hier.settings import COUNT, SEED, as_given, check, nearest_choice, of_kind

ACROSS, MOST_LEVELS = 4, 12
MOST_VALUES = 40  # of which each has a bar of its own
MOST_OF_PRIOR = 0.95  # of what priors expect of counts: the largest are beyond all bounds
# by kind of response, how it is drawn where nothing else is asked for, and its range
USUAL = {
    "real": ("density", -np.inf, np.inf),
    "positive": ("density", 0.0, np.inf),
    "unit": ("density", 0.0, 1.0),
    "count": ("rootogram", 0.0, np.inf),
    "successes": ("rootogram", 0.0, np.inf),
    "binary": ("bars", 0.0, 1.0),
    "ordered": ("bars", -np.inf, np.inf),
}
KINDS = ("density", "rootogram", "bars", "pit", "quantity")


class Shown(NamedTuple):
    """What one panel shows: observed responses (n,), replicated ones (S, n), how many of the latter are drawn one by
    one, their range, and what they are called.
    """

    observed: np.ndarray | None
    found: np.ndarray
    curves: int
    low: float
    high: float
    word: str
    quantity: Any = None

    def of(self, rows: np.ndarray) -> Shown:
        return self._replace(observed=None if self.observed is None else self.observed[rows], found=self.found[:, rows])


@style.styled
def plot_predictive_check(
    posterior: Posterior,
    kind: str | None = None,
    *,
    group: str | None = None,
    quantity: Any = None,
    n: int = 50,
    seed: int = 0,
) -> Figure:
    """Observed responses beside replicated ones: by default densities of a continuous response, a rootogram of counts,
    bars of ordered and binary responses.

    `kind`: "density", `n` replicated data sets; "rootogram" and "bars", how often each value occurs, observed and
    replicated with 95 percent intervals, the former on the scale of roots; "pit", the empirical distribution of the
    probabilities of the responses or less, less the uniform one; "quantity", the distribution of a test `quantity` as
    in `Posterior.predictive_check`, which is the default where one is given. `group`: a panel for each level of a
    grouping factor, of at most twelve. Source: Gabry, Simpson, Vehtari, Betancourt and Gelman (2019), J. R. Stat. Soc.
    A 182, 389; Kleiber and Zeileis (2016), Am. Stat. 70, 296. Raises ModelError for another kind, and FitError as
    `predictive_check` does.
    """
    posterior = of_kind("plot_predictive_check", posterior, Posterior, ModelError)
    model = model_of(posterior)
    kind = _kind(model, "quantity" if kind is None and quantity is not None else kind)
    sets, labels = levels_of(posterior, group)
    _, low, high = USUAL[model.family.response]
    whole = Shown(posterior.observed, replicated(posterior, seed), check("n", n, COUNT), low, high, "replicated")
    whole = whole._replace(quantity=function_of(quantity) if kind == "quantity" else None)
    return _panels(whole, kind, sets, labels, model.design.response, "Posterior predictive check")


@style.styled
def plot_prior_predictive(
    model: Specification, kind: str | None = None, *, observed: bool = False, n: int = 50, seed: int = 0
) -> Figure:
    """Responses that the priors alone expect, as `plot_predictive_check` draws them: are they of a size that the
    response can have at all?

    `observed`: the observed responses too. Of a continuous response the central 99 percent are drawn, of counts
    the lowest 95. Raises ModelError for a flat prior, which has no draws.
    """
    model = of_kind("plot_prior_predictive", model, Specification, ModelError)
    kind = _kind(model, kind)
    (drawn,) = sample_prior(model, 400, check("seed", seed, SEED))["prior_predictive"].dataset.data_vars.values()
    found = drawn.to_numpy()[0]
    _, low, high = USUAL[model.family.response]
    y = model.design.in_numbers(model.design.y) if observed else None
    whole = Shown(y, found, check("n", n, COUNT), low, high, "from the priors")
    if kind == "density":
        ends = np.quantile(found[np.isfinite(found)], [0.005, 0.995])
        whole = whole._replace(low=max(low, ends[0]), high=min(high, ends[1]))
    return _panels(whole, kind, [np.arange(found.shape[1])], [None], model.design.response, "Prior predictive check")


def _kind(model: Specification, kind: str | None) -> str:
    usual = USUAL[model.family.response][0]
    if kind is not None and kind not in KINDS:
        raise ModelError(
            f"there is no predictive check {as_given(kind)}",
            expected=", ".join(f'"{own}"' for own in KINDS),
            hint=nearest_choice(kind, KINDS),
        )
    return kind or usual


def _panels(whole: Shown, kind: str, sets: list[np.ndarray], labels: list[Any], response: str, title: str) -> Figure:
    shown = style.spread(np.arange(len(sets)), MOST_LEVELS)
    across = min(ACROSS, len(shown))
    height = 4.0 if len(shown) == 1 else 1.4 + 2.2 * -(-len(shown) // across)
    figure = style.picture(height, f"{title}: {style.name(response, 40)}", 7.0 if len(shown) == 1 else style.WIDTH)
    panels = style.grid(figure, len(shown), across)
    draw, horizontal, vertical = DRAWN[kind]
    for axes, at in zip(panels, shown, strict=True):
        draw(axes, whole.of(sets[at]))
        if labels[at] is not None:
            axes.set_title(style.name(labels[at]))
    style.legend(figure, *panels)
    style.outer_labels(panels, across, horizontal or style.name(response, 40), vertical)
    return figure


def _density(axes: Axes, own: Shown) -> None:
    some = own.found[np.linspace(0, len(own.found) - 1, min(own.curves, len(own.found))).astype(int)]
    for k, y in enumerate(some):
        curve = density(DrawnParameter("", y[np.isfinite(y) & (y >= own.low) & (y <= own.high)], own.low, own.high))
        if curve is not None:
            axes.plot(*curve, color=style.POSTERIOR, alpha=0.25, linewidth=0.7, label=own.word if k == 0 else None)
    if own.observed is not None:
        curve = density(DrawnParameter("", own.observed, own.low, own.high))
        if curve is not None:
            axes.plot(*curve, color=style.POPULATION, linewidth=1.8, label="observed")
    axes.set_ylim(bottom=0.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _frequencies(own: Shown) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The values, or the middles of bins of them; how often replicated responses (S, m) and observed ones (m,) are
    there.
    """
    y, found = own.observed, own.found.astype(float)
    top = float(np.quantile(found, MOST_OF_PRIOR) if y is None else max(y.max(), np.quantile(found, 0.999)))
    values = np.unique(found if y is None else np.vstack([found, y]))
    values = values[(values >= own.low) & (values <= top)]
    if len(values) > MOST_VALUES:
        step = np.ceil((top - values[0] + 1.0) / MOST_VALUES) if top.is_integer() else (top - values[0]) / 20
        edges = np.arange(values[0], top + 1.5 * step, step)
        count = lambda y: np.histogram(y, edges)[0]  # noqa: E731
        at = edges[:-1] + 0.5 * (step - 1.0 if float(step).is_integer() else step)
    else:
        at = values
        count = lambda y: np.bincount(np.searchsorted(values, y[(y >= values[0]) & (y <= top)]), minlength=len(values))  # noqa: E731
    return at, np.stack([count(own) for own in found]), None if y is None else count(y)


def _bars(axes: Axes, own: Shown, scale: Callable[[Any], Any] = lambda own: own) -> None:
    at, found, observed = _frequencies(own)
    width = 0.9 * (np.diff(at).min() if len(at) > 1 else 1.0)
    if observed is not None:
        axes.bar(at, scale(observed), width, color="#CFCFCF", label="observed")
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    axes.vlines(at, scale(low), scale(high), color=style.POSTERIOR, linewidth=1.6)
    middle = scale(found.mean(axis=0))
    axes.plot(at, middle, "o", color=style.POSTERIOR, markersize=4, label=f"{own.word}: mean, 95% interval")
    if len(at) <= 8:
        axes.set_xticks(at, [f"{value:g}" for value in at])


def _rootogram(axes: Axes, own: Shown) -> None:
    _bars(axes, own, np.sqrt)
    top = axes.get_ylim()[1] ** 2
    ticks = [tick for tick in (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000) if tick < top]
    axes.set_yticks(np.sqrt([0, *ticks]), ["0", *map(str, ticks)])


def _pit(axes: Axes, own: Shown) -> None:
    from hier.estimate.quantile_residuals import residuals_among

    if own.observed is None:
        raise ModelError("the probabilities of responses need observed ones", hint="observed=True")
    draw_ecdf(
        axes,
        residuals_among(own.found, own.observed, np.arange(len(own.observed)), 0).to_numpy(),
        style.POSTERIOR,
        "probability of the response or less",
    )


def _quantity(axes: Axes, own: Shown) -> None:
    if own.observed is None or own.quantity is None:
        raise ModelError("a test quantity is of observed responses", hint="quantity=..., of a posterior")
    observed, drawn = of_both(own.quantity, "quantity", own.observed, own.found)
    axes.hist(drawn, bins=min(30, max(5, len(np.unique(drawn)))), color=style.POSTERIOR, alpha=0.5, label=own.word)
    axes.axvline(observed, color=style.POPULATION, linewidth=1.8, label="observed")
    share = p_value(observed, drawn)
    axes.text(0.98, 0.96, f"p = {share:.2f}", transform=axes.transAxes, ha="right", va="top", color=style.INK)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


# how each kind is drawn, and what stands beside its axes; None: the response
DRAWN: dict[str, tuple[Callable[[Axes, Shown], None], str | None, str]] = {
    "density": (_density, None, ""),
    "rootogram": (_rootogram, None, "rows (square roots)"),
    "bars": (_bars, None, "rows"),
    "pit": (_pit, "probability of the response or less", "ECDF − uniform"),
    "quantity": (_quantity, "test quantity", ""),
}
