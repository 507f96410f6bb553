"""The result of sampling: draws once, tables and the ArviZ tree when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from hier.estimate.tables import coef_table, correlated_pairs, varcorr_table
from hier.posterior.groups import Group, covariance_matrices, largest_first

if TYPE_CHECKING:
    import xarray as xr

    from hier.posterior.diagnose import Diagnosis


WARMUP = 200  # two halves: the Laplace fit leaves little to adapt
TARGET_ACCEPT = 0.8
MAX_TREE_DEPTH = 10


class Settings(NamedTuple):
    """How the draws were made: `chains` x `draws` after `warmup` iterations, from `seed`."""

    chains: int
    draws: int
    warmup: int
    seed: int
    max_tree_depth: int


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior of a hierarchical model.

    `groups`: its grouping factors, in the order of the formula. `draws`: arrays by variable, chains and draws first:
    `beta` (C, D, p), `sigma` (C, D), and of each grouping factor `sd_GROUP` (C, D, q), `cor_GROUP` (C, D, q, q) where
    columns are correlated, `b_GROUP` (C, D, J, q). `stats`: NUTS's own record of each draw, (C, D). `priors`: in
    words, by parameter. `sampled`: grouping factors whose deviations NUTS moved; those of the others it integrated out,
    and they were drawn afterwards. `data` is the same as an ArviZ tree.
    """

    formula: str
    family: str
    response: str
    coef_names: tuple[str, ...]
    groups: tuple[Group, ...]
    settings: Settings
    priors: dict[str, str] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    draws: dict[str, np.ndarray] = field(repr=False)
    stats: dict[str, np.ndarray] = field(repr=False)
    observed: np.ndarray = field(repr=False)
    sampled: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def data(self) -> xr.DataTree:
        """The posterior as an ArviZ `DataTree`: groups `posterior`, `sample_stats`, `observed_data`,
        `constant_data`.
        """
        from hier.posterior.tree import to_tree

        return to_tree(self)

    @property
    def fixef(self) -> pd.Series:
        """Posterior means of the fixed effects."""
        return pd.Series(self.draws["beta"].mean(axis=(0, 1)), index=list(self.coef_names), name="estimate")

    @property
    def vcov(self) -> pd.DataFrame:
        """Posterior covariance matrix of the fixed effects."""
        flat = self.draws["beta"].reshape(-1, len(self.coef_names))
        names = list(self.coef_names)
        return pd.DataFrame(np.atleast_2d(np.cov(flat.T)), index=names, columns=names)

    @property
    def sigma(self) -> float:
        """Posterior mean of the residual standard deviation."""
        return float(self.draws["sigma"].mean())

    @cached_property
    def varcorr(self) -> pd.DataFrame:
        """Posterior means in the layout of an estimate's `varcorr`, the factor with the most levels first: `vcov` of
        variances and covariances, `sdcor` of sds and correlations.
        """
        terms, means = [], []
        for group in largest_first(self.groups):
            sd, cor = self.draws[f"sd_{group.name}"], self.draws.get(f"cor_{group.name}")
            covariance = covariance_matrices(sd, cor).mean(axis=(0, 1))
            terms.append((group.name, group.names, group.blocks, covariance))
            means += list(sd.mean(axis=(0, 1)))
            means += [cor[:, :, i, j].mean() for i, j in correlated_pairs(group.blocks)] if cor is not None else []
        return varcorr_table(terms, float((self.draws["sigma"] ** 2).mean())).assign(sdcor=[*means, self.sigma])

    @cached_property
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of the group deviations: by grouping factor, levels x columns."""
        return self._by_level(lambda draws: draws.mean(axis=(0, 1)))

    @cached_property
    def ranef_se(self) -> dict[str, pd.DataFrame]:
        """Posterior standard deviations of the group deviations."""
        return self._by_level(lambda draws: draws.std(axis=(0, 1), ddof=1))

    @cached_property
    def coef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of each level's own coefficients: the fixed effects plus the level's deviations."""
        return {group: coef_table(self.fixef, table) for group, table in self.ranef.items()}

    def summary(self) -> str:
        """The block that brms prints: means, sds, 95 percent intervals, R-hat, bulk and tail ESS."""
        from hier.posterior.summary import summarise

        return summarise(self)

    def tidy(self) -> pd.DataFrame:
        """One row a parameter, the group deviations left out: mean, sd, 2.5 and 97.5 percent quantiles, R-hat and
        ESS.
        """
        from hier.posterior.summary import parameter_table

        return parameter_table(self)

    def diagnose(self) -> Diagnosis:
        """The checks that say whether the draws can be used: R-hat, bulk and tail ESS, divergences, tree depth,
        E-BFMI.
        """
        from hier.posterior.diagnose import diagnose

        return diagnose(self)

    def hypothesis(self, hypotheses: str | Sequence[str], *, level: float = 0.95) -> pd.DataFrame:
        """Posterior probabilities of hypotheses such as `"week > 6"` or `"a - b < 0.5"`, a row each.

        `estimate` and `std_error`: posterior mean and sd of the left side less the right. `post_prob` and
        `evidence_ratio`: the probability that the hypothesis is true, and that over the probability that it is not;
        NaN for `=`, which has none under a continuous prior. The interval leaves 1 - `level` out on each side for `>`
        and `<`, half of that for `=`, as brms has it. Raises FormulaError.
        """
        from hier.posterior.hypothesis import hypothesis

        return hypothesis(self, hypotheses, level)

    def save(self, path: str | Path) -> Path:
        """Write the posterior to a netCDF file that ArviZ, xarray and `hier.load_posterior` read."""
        from hier.posterior.tree import save_tree

        return save_tree(self, Path(path))

    def _by_level(self, statistic: Callable[[np.ndarray], np.ndarray]) -> dict[str, pd.DataFrame]:
        """A statistic (J, q) of the draws (C, D, J, q) of every grouping factor's deviations."""
        return {
            group.name: pd.DataFrame(
                statistic(self.draws[f"b_{group.name}"]),
                index=group.levels.rename(group.name),
                columns=list(group.names),
            )
            for group in self.groups
        }
