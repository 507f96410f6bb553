"""A posterior as values: the draws, what they are of, and the tables that are read off them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Digest
from hier.design.owned import Closed, owned
from hier.errors import FitError
from hier.estimate.printing import Table
from hier.estimate.tables import coef_table, varcorr_table
from hier.model.parameter_names import SIGMA, coefficient_names
from hier.model.specification import refuse_without_groups
from hier.posterior.grouping import Group, covariance_matrices, largest_first
from hier.posterior.pareto_smoothing import Smoothed, smooth
from hier.settings import Sampling

if TYPE_CHECKING:
    import xarray as xr

    from hier.model import Specification


class Settings(NamedTuple):
    """How the draws were made: `chains` x `draws`, every `thin`-th after `warmup` iterations, from `seed`. `stopped`:
    whether Ctrl-C ended them (0 or 1).
    """

    chains: int
    draws: int
    warmup: int
    seed: int
    max_tree_depth: int
    thin: int = 1
    stopped: int = 0


class Timing(NamedTuple):
    """Seconds: of loading or compiling programs, of the search for the mode and the warm-up, and of the draws."""

    compiling: float
    warmup: float
    draws: float

    def __str__(self) -> str:
        words = ("compiling", "warm-up", "draws")
        return ", ".join(f"{word} {own:.1f} s" for word, own in zip(words, self, strict=True))


class Continuation(NamedTuple):
    """What more draws begin from: the settings that were `asked` for, where the chains stand (`end`, as their method
    has it), and how many times they were drawn.
    """

    asked: Sampling
    end: object
    times: int = 1


class ByVariable(dict[str, np.ndarray]):
    """Draws by variable; those of deviations may not have been kept."""

    def __missing__(self, name: str) -> np.ndarray:
        if not name.startswith("b_"):
            raise KeyError(name)
        raise FitError(
            f"the deviations `{name}` were not kept when the posterior was sampled",
            expected=f'keep="all", or keep=["{name}"], in sample()',
            hint='random="none" in predictions does without them',
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class PosteriorDraws(Closed):
    """Draws from the posterior of a hierarchical model.

    `groups`: its grouping factors, in the order of the formula. `draws`: arrays by variable, chains and draws first:
    `beta` (C, D, p), `sigma` (C, D), and of each grouping factor `sd_GROUP` (C, D, q), `cor_GROUP` (C, D, m) of the m
    pairs of columns that are correlated, `b_GROUP` (C, D, J, q); where the priors are of the deviations at the means of
    the columns, the sds and correlations of these too, `sd_GROUP_centred` and `cor_GROUP_centred`. All are those of the
    program that `Model.numpyro_model` makes. In the place of `sigma` other responses than Normal ones have the
    variables of `further`, which gives the labels along their last dimension, None for a number: each further parameter
    of the response's distribution, `beta_NAME` for the coefficients of one with a formula, and `cutpoints`.
    `stats`: NUTS's own record of each draw, (C, D). `priors`: by parameter, as `hier.model.prior_text` reads them.
    `observed`, `index` (n,): the response, and the labels of its rows. `method`: how the draws were
    made, a phrase; `timing`: how long that took. `end`: where the chains stand, for `extend`; a file does not hold it.
    `digest`: that of the model and its data. `model`: what was sampled, which predictions need; nor does a file hold
    that. `added`: further groups of `data`, which is the same as an ArviZ tree, by name.
    """

    formula: str
    family: str
    response: str
    coef_names: tuple[str, ...]
    groups: tuple[Group, ...]
    further: dict[str, tuple[str, ...] | None] = owned()  # type: ignore[assignment]  # noqa: RUF009
    settings: Settings
    method: str
    priors: dict[str, str] = owned()  # type: ignore[assignment]  # noqa: RUF009
    notes: tuple[str, ...] = field(repr=False)
    draws: dict[str, np.ndarray] = owned()  # type: ignore[assignment]  # noqa: RUF009
    stats: dict[str, np.ndarray] = owned()  # type: ignore[assignment]  # noqa: RUF009
    observed: np.ndarray = field(repr=False)
    digest: Digest = field(repr=False)
    index: np.ndarray = field(repr=False)
    model: Specification | None = field(default=None, repr=False, compare=False)
    added: Mapping[str, xr.Dataset] = field(default_factory=dict, repr=False, compare=False)
    timing: Timing | None = field(default=None, repr=False, compare=False)
    end: Continuation | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        vars(self)["draws"] = ByVariable(vars(self)["draws"])
        super().__post_init__()

    @property
    def beta(self) -> np.ndarray:
        """Draws of the fixed effects (C, D, p), of which there may be none."""
        return self.draws.get("beta", np.zeros((self.settings.chains, self.settings.draws, 0)))

    @property
    def fixef(self) -> pd.Series:
        """Posterior means of the fixed effects."""
        return pd.Series(self.beta.mean(axis=(0, 1)), index=list(self.coef_names), name="estimate", dtype=float)

    @property
    def vcov(self) -> pd.DataFrame:
        """Posterior covariance matrix of the fixed effects."""
        names, apart = list(self.coef_names), self.beta - self.beta.mean(axis=(0, 1))
        flat = apart.reshape(apart.shape[0] * apart.shape[1], len(names))
        return Table(flat.T @ flat / (len(flat) - 1), index=names, columns=names)

    @property
    def sigma(self) -> float:
        """Posterior mean of the residual standard deviation; 1 where the response has none, as in an estimate."""
        return float(self.draws[SIGMA].mean()) if SIGMA in self.draws else 1.0

    @owned
    def varcorr(self) -> pd.DataFrame:
        """Posterior means in the layout of an estimate's `varcorr`, the factor with the most levels first: `vcov` of
        variances and covariances, `sdcor` of sds and correlations.
        """
        terms, means = [], []
        for group in largest_first(self.groups):
            sd, cor = self.draws[group.variables.sd], self.draws.get(group.variables.cor)
            covariance = covariance_matrices(sd, cor, group.blocks).mean(axis=(0, 1))
            terms.append((group.name, group.names, group.blocks, covariance, np.ones(len(covariance))))
            means += list(sd.mean(axis=(0, 1)))
            means += [] if cor is None else list(cor.mean(axis=(0, 1)))
        if SIGMA not in self.draws:
            return varcorr_table(terms, None).assign(sdcor=means)
        return varcorr_table(terms, float((self.draws[SIGMA] ** 2).mean()) ** 0.5).assign(sdcor=[*means, self.sigma])

    @property
    def is_approximate(self) -> bool:
        """Whether the draws are those of an approximation and not of chains in the posterior itself."""
        return "pareto_k" in self.stats or "log_weight" in self.stats

    @property
    def pareto_k(self) -> float:
        """How heavy the tail of the importance weights is by which approximate draws were resampled: below 0.5 they are
        as good as the posterior's own, above 0.7 they cannot stand for these. NaN for draws of chains.

        Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), J. Mach. Learn. Res. 25(72).
        """
        if "log_weight" in self.stats:  # in files of earlier versions, whose draws were not resampled
            return float(self._smoothed.k[0])
        return float(self.stats["pareto_k"].max()) if self.is_approximate else float("nan")

    @property
    def log_weights(self) -> np.ndarray:
        """The logarithm of the importance weight of each draw (S,), up to a constant: zeros but for draws of an
        approximation that were not resampled.
        """
        if "log_weight" in self.stats:
            return self._smoothed.log_weights[:, 0]
        return np.zeros(self.settings.chains * self.settings.draws)

    @property
    def _smoothed(self) -> Smoothed:
        return smooth(self.stats["log_weight"].reshape(-1, 1))

    @property
    def family_parameters(self) -> pd.DataFrame:
        """Posterior means and sds of the further parameters of the response's distribution, as an estimate has them:
        on their own scale, or with a formula the coefficients; columns `estimate, std_error`.
        """
        rows = {}
        for name, labels in self.further.items():
            if name == "cutpoints":
                continue
            values = self.draws[name]
            if labels is None:
                rows[name] = (values.mean(), values.std(ddof=1))
                continue
            for k, key in enumerate(coefficient_names(name, labels)):
                rows[key] = (values[..., k].mean(), values[..., k].std(ddof=1))
        return Table(pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "std_error"], dtype=float))

    @property
    def cutpoints(self) -> pd.DataFrame:
        """Posterior means and sds of an ordered response's cutpoints, rows such as `1|2`; otherwise empty."""
        labels = self.further.get("cutpoints") or ()
        flat = self.draws["cutpoints"].reshape(-1, len(labels)) if labels else np.zeros((2, 0))
        return Table({"estimate": flat.mean(axis=0), "std_error": flat.std(axis=0, ddof=1)}, index=list(labels))

    @owned
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of the group deviations: by grouping factor, levels x columns."""
        return self._by_level(lambda draws: draws.mean(axis=(0, 1)))

    @owned
    def ranef_se(self) -> dict[str, pd.DataFrame]:
        """Posterior standard deviations of the group deviations."""
        return self._by_level(lambda draws: draws.std(axis=(0, 1), ddof=1))

    @owned
    def coef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of each level's own coefficients: the fixed effects plus the level's deviations."""
        return {group: coef_table(self.fixef, table) for group, table in self.ranef.items()}

    def _by_level(self, statistic: Callable[[np.ndarray], np.ndarray]) -> dict[str, pd.DataFrame]:
        """A statistic (J, q) of the draws (C, D, J, q) of every grouping factor's deviations. Raises ModelError where
        there is no grouping factor.
        """
        refuse_without_groups("`ranef`", self.formula, self.groups)
        return {
            group.name: Table(
                statistic(self.draws[group.variables.b]),
                index=group.levels.rename(group.name),
                columns=list(group.names),
            )
            for group in self.groups
        }
