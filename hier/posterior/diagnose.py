"""Can these draws be used? The usual checks, with a sentence for each that fails."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hier.posterior.diagnostics import bfmi, ess_bulk, ess_tail, rhat
from hier.posterior.posterior_draws import PosteriorDraws
from hier.printed import Printed
from hier.text import shown

# Source of the limits: Vehtari et al. (2021), section 4 (R-hat, 100 effective draws a chain); Betancourt (2016)
# (E-BFMI)
LARGEST_RHAT = 1.01
ESS_PER_CHAIN = 100
SMALLEST_BFMI = 0.3
LARGEST_PARETO_K = 0.7  # Vehtari et al. (2024), section 3.2.4


@dataclass(frozen=True, repr=False)
class Diagnosis(Printed):
    """The checks of a posterior.

    `table`: a row for each variable, with its largest R-hat and smallest bulk and tail ESS over all of its entries.
    `divergences`, `at_max_depth`: counts of draws. `bfmi` (C,). `problems`: a sentence for each check that failed;
    `ok` where there are none. Of approximate draws only `pareto_k` says anything: it is NaN for all others.
    """

    table: pd.DataFrame
    divergences: int
    at_max_depth: int
    bfmi: np.ndarray
    problems: tuple[str, ...] = field(default=())
    pareto_k: float = float("nan")

    @property
    def ok(self) -> bool:
        return not self.problems

    def _text(self) -> str:
        facts = [
            f"R-hat: at most {self.table['rhat'].max():.4f}",
            f"bulk ESS: at least {self.table['ess_bulk'].min():.0f}",
            f"tail ESS: at least {self.table['ess_tail'].min():.0f}",
        ]
        if np.isnan(self.pareto_k):
            facts += [f"divergences: {self.divergences}", f"E-BFMI: at least {self.bfmi.min():.2f}"]
        else:
            facts = [f"independent draws of an approximation; Pareto k: {self.pareto_k:.2f}"]
        verdict = "all checks passed" if self.ok else "do not rely on these draws yet"
        return "\n".join(
            [f"Diagnosis: {verdict} ({'; '.join(facts)})", *(f"  - {problem}" for problem in self.problems)]
        )


def diagnose(posterior: PosteriorDraws) -> Diagnosis:
    """R-hat, bulk and tail ESS of every variable, the group deviations included; divergences, tree depth and E-BFMI."""
    rows = []
    for name, draws in posterior.draws.items():
        rows.append((name, np.nanmax(rhat(draws)), np.nanmin(ess_bulk(draws)), np.nanmin(ess_tail(draws))))
    table = pd.DataFrame(rows, columns=["variable", "rhat", "ess_bulk", "ess_tail"]).set_index("variable")
    if posterior.is_approximate:
        return Diagnosis(table, 0, 0, np.zeros(0), _approximate_problems(posterior), posterior.pareto_k)
    divergences = int(posterior.stats["diverging"].sum())
    deepest = int((posterior.stats["tree_depth"] >= posterior.settings.max_tree_depth).sum())
    energy = bfmi(posterior.stats["energy"])
    return Diagnosis(
        table, divergences, deepest, energy, tuple(_problems(posterior, table, divergences, deepest, energy))
    )


def _approximate_problems(posterior: PosteriorDraws) -> tuple[str, ...]:
    k = posterior.pareto_k
    if k <= LARGEST_PARETO_K:
        return ()
    return (f'Pareto k is {k:.2f}, above {LARGEST_PARETO_K}: the approximation is poor; use method="nuts"',)


def _problems(
    posterior: PosteriorDraws, table: pd.DataFrame, divergences: int, deepest: int, energy: np.ndarray
) -> list[str]:
    settings = posterior.settings
    least = ESS_PER_CHAIN * settings.chains
    total = settings.chains * settings.draws
    said = []
    if settings.chains == 1:
        said.append("one chain cannot show that the chains agree; use 4")
    for name, row in table.to_dict("index").items():
        if not row["rhat"] <= LARGEST_RHAT:
            said.append(
                f"R-hat of `{name}` is {row['rhat']:.3f}, above {LARGEST_RHAT}: the chains do not agree; draw more"
            )
        for kind in ("bulk", "tail"):
            if not row[f"ess_{kind}"] >= least:
                said.append(f"{kind} ESS of `{name}` is {row[f'ess_{kind}']:.0f}, below {least}: draw more")
    if divergences:
        said.append(f"{divergences} of {total} draws diverged; raise target_accept towards 1, or use tighter priors")
    if deepest:
        said.append(f"{deepest} of {total} draws reached the largest tree depth; raise max_tree_depth")
    said += [
        f"E-BFMI of chain {chain} is {value:.2f}, below {SMALLEST_BFMI}: the energy explores slowly"
        for chain, value in enumerate(energy)
        if not value >= SMALLEST_BFMI
    ]
    return [shown(each) for each in said]
