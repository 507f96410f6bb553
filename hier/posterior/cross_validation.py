"""Cross-validation from the draws of one fit: rows or groups left out by Pareto-smoothed importance sampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Digest
from hier.design.owned import owned
from hier.errors import FitError, did_you_mean
from hier.estimate.printing import Table
from hier.estimate.quantile_residuals import residuals_among
from hier.posterior.added_groups import replicated
from hier.posterior.dataset import sample_coords
from hier.posterior.diagnostics import efficiency
from hier.posterior.grouping import Group
from hier.posterior.left_out_by_quadrature import POINTS, level_by_quadrature
from hier.posterior.left_out_exactly import level_given_others, row_given_others
from hier.posterior.log_likelihood import log_likelihood
from hier.posterior.pareto_smoothing import Smoothed, good_shape, log_sum, smooth
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of
from hier.posterior.refitting import held_out, log_mean
from hier.posterior.tree import response_name
from hier.printed import Printed
from hier.settings import TRUTH, check, written

if TYPE_CHECKING:
    pass

FEWEST_DRAWS = 25  # of which the largest fifth has a tail that Pareto's distribution can be fitted to
TOO_VARIABLE = 0.4  # posterior variance of a row's log-likelihood beyond which WAIC is known to fail


@dataclass(frozen=True, repr=False, kw_only=True)
class CrossValidation(Printed):
    """How well a model predicts what it has not seen, on the log scale: larger is better.

    `elpd`: the expected log predictive density of new data, a sum over what was left out, `unit` by unit (rows, or the
    levels of a grouping factor); `se`: its standard error; `p`: the effective number of parameters. `table`: the same
    for each unit, and of importance sampling its Pareto k: above `good_k` the unit's value cannot be trusted, and the
    model has to be refitted without it. `method`: what was done, in words. `arviz`: ArviZ's own record, which its
    pictures and comparisons take; None for WAIC. `digest`: that of the model and its data.
    """

    kind: str
    unit: str
    method: str
    elpd: float
    se: float
    p: float
    n_draws: int
    good_k: float
    table: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    notes: tuple[str, ...] = ()
    digest: Digest = field(repr=False)
    arviz: Any = field(default=None, repr=False, compare=False)

    @property
    def pareto_k(self) -> pd.Series:
        """Pareto k of each unit; NaN where there was no importance sampling."""
        return pd.Series(self.table["pareto_k"])

    @property
    def loo_i(self) -> pd.Series:
        """The expected log predictive density of each unit, its column `elpd`."""
        return pd.Series(self.table["elpd"])

    @property
    def n_bad(self) -> int:
        """How many units have a Pareto k above `good_k`."""
        return int((self.pareto_k > self.good_k).sum())

    def _text(self) -> str:
        head = [f"{self.method}", f"{self.n_draws} draws, {len(self.table)} {self.unit}", ""]
        name = self.kind
        lines = [f"{'':10}{'estimate':>10}{'se':>8}"]
        lines.append(f"{f'elpd_{name}':10}{self.elpd:10.1f}{self.se:8.1f}")
        lines.append(f"{f'p_{name}':10}{self.p:10.1f}")
        return "\n".join([*head, *lines, *self._pareto_lines(), *(f"\nNote: {note}" for note in self.notes)])

    def _pareto_lines(self) -> list[str]:
        k = self.pareto_k.to_numpy()
        if np.isnan(k).all():
            return []
        bounds = [-np.inf, self.good_k, 1.0, np.inf]
        counts = np.histogram(k, bounds)[0]
        words = [f"up to {self.good_k:.2f} (good)", f"{self.good_k:.2f} to 1 (bad)", "above 1 (very bad)"]
        return ["", "Pareto k", *(f"  {word:24}{n:6d}" for word, n in zip(words, counts, strict=True))]


def loo(posterior: PosteriorDraws, integrated: bool, refit: bool = False) -> CrossValidation:
    """What `Posterior.loo` says."""
    refit = check("refit", refit, TRUTH)
    if not check("integrated", integrated, TRUTH) or not posterior.groups:
        given = ", given the group deviations" if posterior.groups else ""
        found, words = kept_log_likelihood(posterior), f"Rows left out one at a time{given}"
        return left_out(posterior, found, "loo", words, None, refit)
    if not model_of(posterior).has_normal_rows:
        raise FitError(
            "rows are left out with the deviations integrated out in closed form, which Normal responses have",
            found=f'the family "{posterior.family}"',
            hint="loo() conditions on the deviations, logo(group) leaves whole groups out",
        )
    words = "Rows left out one at a time, given the other rows, the group deviations integrated out exactly"
    return left_out(posterior, row_given_others(posterior), "loo", words, None, refit)


def loo_pit(posterior: PosteriorDraws, seed: int) -> pd.Series:
    """What `Posterior.loo_pit` says."""
    weights = np.exp(_smoothed(posterior, kept_log_likelihood(posterior)).log_weights)
    found = residuals_among(replicated(posterior, seed), posterior.observed, posterior.index, seed, weights)
    return found.rename("loo_pit")


def logo(posterior: PosteriorDraws, group: str | None, refit: bool = False) -> CrossValidation:
    """What `Posterior.logo` says."""
    model, own = model_of(posterior), group_named(posterior, group)
    if model.has_normal_rows:
        words, how = "all group deviations integrated out exactly", level_given_others
    else:
        points = POINTS.get(len(own.names), 1)
        by = f"by quadrature with {points} points a deviation" if points > 1 else "by Laplace's approximation"
        words, how = f"its deviations integrated out {by}", level_by_quadrature
    what = f"Levels of `{own.name}` left out one at a time, all of their rows, {words}"
    return left_out(posterior, how(posterior, own), "logo", what, own, check("refit", refit, TRUTH))


def waic(posterior: PosteriorDraws) -> CrossValidation:
    """What `Posterior.waic` says."""
    found = kept_log_likelihood(posterior)
    p = found.var(axis=0, ddof=1)
    elpd = log_sum(found) - np.log(len(found)) - p
    bad = int((p > TOO_VARIABLE).sum())
    notes = ["loo() is better: it estimates the same, is as cheap, and its Pareto k tells where it fails"]
    if bad:
        notes.append(f"WAIC is not to be trusted here: p above {TOO_VARIABLE} in {bad} of {len(p)} rows")
    return CrossValidation(
        kind="waic",
        unit="rows",
        method="The widely applicable information criterion" + ", given the group deviations" * bool(posterior.groups),
        elpd=float(elpd.sum()),
        se=standard_error(elpd),
        p=float(p.sum()),
        n_draws=len(found),
        good_k=float("nan"),
        table=Table({"elpd": elpd, "p": p, "pareto_k": np.full(len(p), np.nan)}, index=posterior.index),
        notes=tuple(notes),
        digest=posterior.digest,
    )


def group_named(posterior: PosteriorDraws, name: str | None) -> Group:
    """The grouping factor of that name, or the only one. Raises FitError."""
    known = {own.name: own for own in posterior.groups}
    if name is None and len(known) == 1:
        return posterior.groups[0]
    if not isinstance(name, str) or name not in known:
        raise FitError(
            "`group` says whose levels are left out"
            if name is None
            else f"there is no grouping factor {written(name)}",
            expected=", ".join(f"`{own}`" for own in known) or "a model with grouping factors",
            hint=did_you_mean(name, known) if isinstance(name, str) and known else None,
        )
    return known[name]


def kept_log_likelihood(posterior: PosteriorDraws) -> np.ndarray:
    """The log-likelihood (S, n) that was added to the posterior, or computed now."""
    if "log_likelihood" not in posterior.added:
        return log_likelihood(posterior)
    kept = posterior.added["log_likelihood"][response_name(posterior)].to_numpy()
    return kept.reshape(-1, kept.shape[-1])


def left_out(
    posterior: PosteriorDraws, log_density: np.ndarray, kind: str, method: str, group: Group | None, refit: bool
) -> CrossValidation:
    """Importance sampling of the posterior without each unit, from log densities (S, units) of the units given all else
    that is kept of a draw; `refit`: sampling again in place of it for units whose Pareto k is too large.
    """
    if len(log_density) < FEWEST_DRAWS:
        raise FitError(
            "importance sampling needs more draws", found=f"{len(log_density)}", expected=f"at least {FEWEST_DRAWS}"
        )
    index = pd.Index(posterior.index) if group is None else group.levels
    found, good = _smoothed(posterior, log_density), good_shape(len(log_density))
    elpd, k = log_sum(found.log_weights + log_density), found.k.copy()
    bad = np.flatnonzero(k > good) if refit else np.zeros(0, int)
    for unit in bad:
        elpd[unit], k[unit] = held_out(posterior, np.array([unit]), group)[0], np.nan
    p = log_mean(posterior, log_density) - elpd
    name = "rows" if group is None else f"levels of `{group.name}`"
    poor, notes = int((k > good).sum()), []
    if poor:
        better = "loo(integrated=True) may do better, " if kind == "loo" and posterior.groups else ""
        notes.append(f"Pareto k above {good:.2f} in {poor} of {len(k)} {name}; {better}refit=True is exact")
    if len(bad):
        notes.append(f"{len(bad)} {name} left out by sampling again, where Pareto k was above {good:.2f}")
    if posterior.is_approximate:
        notes.append(
            f"the draws are those of an approximation; Pareto k of their own weights is {posterior.pareto_k:.2f}"
        )
    return CrossValidation(
        kind=kind,
        unit=name,
        method=method,
        elpd=float(elpd.sum()),
        se=standard_error(elpd),
        p=float(p.sum()),
        n_draws=len(log_density),
        good_k=good,
        table=Table({"elpd": elpd, "p": p, "pareto_k": k}, index=index),
        notes=tuple(notes),
        digest=posterior.digest,
        arviz=as_arviz(posterior, elpd, float(p.sum()), good, k, found.log_weights),
    )


def standard_error(elpd: np.ndarray) -> float:
    """The standard error of the sum of these values of units. Source: Vehtari et al. (2017), equation 23."""
    return float(np.sqrt(len(elpd)) * elpd.std(ddof=1))


def _smoothed(posterior: PosteriorDraws, log_density: np.ndarray) -> Smoothed:
    """The weights of the draws for the posterior without each unit, from the units' log densities (S, m). Source:
    Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413; for draws of an approximation Magnusson et al. (2019),
    Proc. Mach. Learn. Res. 97.
    """
    from hier.posterior.tree import to_tree

    if "log_weight" in posterior.stats:
        return smooth(posterior.stats["log_weight"].reshape(-1, 1) - log_density)
    chains, draws = posterior.settings.chains, posterior.settings.draws
    data = to_tree(posterior)["posterior"].dataset
    every = [data[name].to_numpy().reshape(chains, draws, -1) for name in data.data_vars]
    return smooth(-log_density, efficiency(np.concatenate(every, axis=2)))


def as_arviz(
    posterior: PosteriorDraws,
    elpd: np.ndarray,
    p: float,
    good_k: float = np.nan,
    k: np.ndarray | None = None,
    log_weights: np.ndarray | None = None,
) -> Any:
    """Values of units as ArviZ's record, for its comparisons and pictures."""
    import xarray as xr
    from arviz_stats.utils import ELPDDataLOO

    n, chains, draws = len(elpd), posterior.settings.chains, posterior.settings.draws
    each = xr.DataArray(elpd, {"obs": np.arange(n)}, ("obs",))
    shapes, weights = xr.zeros_like(each) if k is None else each.copy(data=k), None
    if log_weights is not None:
        coords = sample_coords(chains, draws) | {"obs": np.arange(n)}
        weights = xr.DataArray(log_weights.reshape(chains, draws, n), coords, ("chain", "draw", "obs"))
    return ELPDDataLOO(
        elpd=float(elpd.sum()),
        se=standard_error(elpd),
        p=p,
        n_samples=chains * draws,
        n_data_points=n,
        scale="log",
        warning=bool((shapes > good_k).any()),
        good_k=good_k,
        elpd_i=each,
        pareto_k=shapes,
        log_weights=weights,
        approx_posterior=posterior.is_approximate,
    )
