"""The result of sampling: draws once, tables and the ArviZ tree when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Block
from hier.estimate.tables import coef_table, varcorr_table

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

    `draws`: arrays by variable, chains and draws first: `beta` (C, D, p), `sd_GROUP` (C, D, q), `cor_GROUP` (C, D, q,
    q), `sigma` (C, D), `b_GROUP` (C, D, J, q). `stats`: NUTS's own record of each draw, (C, D). `priors`: in words,
    by parameter. `data` is the same as an ArviZ tree.
    """

    formula: str
    family: str
    response: str
    group: str
    levels: pd.Index = field(repr=False)
    coef_names: tuple[str, ...]
    group_names: tuple[str, ...]
    blocks: tuple[Block, ...]
    settings: Settings
    priors: dict[str, str] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    draws: dict[str, np.ndarray] = field(repr=False)
    stats: dict[str, np.ndarray] = field(repr=False)
    observed: np.ndarray = field(repr=False)
    codes: np.ndarray = field(repr=False)

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
        """Posterior means in the layout of an estimate's `varcorr`: `vcov` of variances and covariances, `sdcor` of
        sds and correlations.
        """
        sd = self.draws[f"sd_{self.group}"]
        cor = self.draws.get(f"cor_{self.group}")
        if cor is None:
            cor = np.broadcast_to(np.eye(sd.shape[-1]), (*sd.shape, sd.shape[-1]))
        covariance = cor * sd[..., :, None] * sd[..., None, :]
        table = varcorr_table(
            self.group,
            self.group_names,
            self.blocks,
            covariance.mean(axis=(0, 1)),
            float((self.draws["sigma"] ** 2).mean()),
        )
        names = list(self.group_names)
        means = [sd.mean(axis=(0, 1))[names.index(a)] for a in names]
        means += [
            cor[:, :, names.index(a), names.index(b)].mean()
            for a, b in zip(table["term1"], table["term2"], strict=True)
            if b is not None
        ]
        return table.assign(sdcor=[*means, self.sigma])

    @cached_property
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of the group deviations: by grouping factor, levels x columns."""
        return self._by_level(self.draws[f"b_{self.group}"].mean(axis=(0, 1)))

    @cached_property
    def ranef_se(self) -> dict[str, pd.DataFrame]:
        """Posterior standard deviations of the group deviations."""
        return self._by_level(self.draws[f"b_{self.group}"].std(axis=(0, 1), ddof=1))

    @cached_property
    def coef(self) -> dict[str, pd.DataFrame]:
        """Posterior means of each level's own coefficients."""
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

    def _by_level(self, values: np.ndarray) -> dict[str, pd.DataFrame]:
        index = self.levels.rename(self.group)
        return {self.group: pd.DataFrame(values, index=index, columns=list(self.group_names))}
