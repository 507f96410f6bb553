"""What a report says, as text and tables; the template only lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hier.estimate import Estimate
from hier.estimate.text_columns import significant
from hier.model.describe import blocks_in_words, trials_and_weights
from hier.model.parameter_names import RESIDUAL, SIGMA, printed_term
from hier.model.prior_text import rounded
from hier.pooling import SideBySide
from hier.pooling.compare import mean_shrinkage, of_group
from hier.posterior import Posterior
from hier.posterior.diagnose import LARGEST_PARETO_K, Diagnosis
from hier.posterior.grouping import Group, largest_first
from hier.reporting.made import how_made
from hier.reporting.pictures import chain_pictures, parameter_picture, pooling_pictures

MOST_LEVELS = 500  # in the table of levels


@dataclass(frozen=True)
class Verdict:
    """One thing that was checked: whether it is well, in a word, and in a sentence."""

    ok: bool
    word: str
    sentence: str


@dataclass(frozen=True)
class ReportTable:
    """Rows of text; the first `left` columns name the row."""

    caption: str
    head: list[str]
    rows: list[list[str]]
    left: int = 1


def content(comparison: SideBySide) -> dict[str, Any]:
    """Everything that the template shows, by name."""
    estimate, posterior = comparison.estimate, comparison.posterior
    diagnosis = posterior.diagnose()
    return {
        "title": estimate.model.formula.text,
        "method": estimate.method.upper(),
        "verdicts": verdicts(estimate, diagnosis),
        "coded": estimate.model.design.response_notes,
        "left_out": estimate.model.design.left_out(),
        "facts": facts(estimate),
        "priors": ReportTable(
            "Priors", ["parameter", "prior"], [[name, rounded(own)] for name, own in posterior.priors.items()]
        ),
        "parameters": parameter_table(comparison),
        "estimate_block": estimate.summary(),
        "posterior_block": posterior.summary(),
        "parameter_picture": parameter_picture(comparison),
        "chain_pictures": [] if posterior.is_approximate else chain_pictures(comparison),
        "factors": [factor(comparison, group, k) for k, group in enumerate(largest_first(posterior.groups))],
        "diagnosis": None if posterior.is_approximate else diagnosis_table(diagnosis),
        "problems": diagnosis.problems,
        "sampler_facts": sampler_facts(posterior, diagnosis),
        "made": how_made(comparison),
    }


def factor(comparison: SideBySide, group: Group, k: int) -> dict[str, Any]:
    """What the section of the k-th grouping factor shows, by name."""
    return {
        "id": "levels" if k == 0 else f"levels-{k + 1}",
        "group": group.name,
        "shrinkage": shrinkage_table(comparison, group.name),
        "largest_difference": largest_difference(comparison, group.name),
        "pictures": pooling_pictures(comparison, group.name),
        "levels": level_table(comparison, group),
        "levels_note": levels_note(group.n_levels),
    }


def number(value: float, digits: int = 4) -> str:
    """A number to so many significant digits; an en dash where there is none."""
    return "–" if np.isnan(value) else significant(float(value), digits)


def verdicts(estimate: Estimate, diagnosis: Diagnosis) -> list[Verdict]:
    """Did the search converge, is the fit singular, can the draws be used?"""
    method = estimate.method.upper()
    if estimate.is_singular:
        singular = Verdict(
            False,
            "singular fit",
            f"{method} puts the variance of some combination of the random effects at zero, the edge of what is "
            "possible. Its standard deviations and correlations say less than they seem to; the posterior shows what "
            "else the data allow.",
        )
    else:
        singular = Verdict(True, "not singular", "No variance of the random effects is estimated as zero.")
    return [
        Verdict(
            estimate.converged,
            f"{method} converged" if estimate.converged else f"{method} did not converge",
            f"{estimate.message[:1].upper()}{estimate.message[1:]}.",
        ),
        singular,
        _verdict_on_draws(diagnosis),
    ]


def _verdict_on_draws(diagnosis: Diagnosis) -> Verdict:
    """Whether the draws can be used; those of an approximation have neither chains that could disagree nor energies."""
    approximate = not np.isnan(diagnosis.pareto_k)
    if diagnosis.ok and approximate:
        return Verdict(
            True,
            "approximation usable",
            "The draws are independent ones of an approximation, resampled by importance weights, which say that it is "
            f"near enough to the posterior (Pareto k {diagnosis.pareto_k:.2f}).",
        )
    if diagnosis.ok:
        return Verdict(
            True, "draws usable", "R-hat, effective sample sizes, divergences and energy are all as they should be."
        )
    failed = f"{len(diagnosis.problems)} of the checks below failed: do not rely on the posterior yet."
    return Verdict(False, "approximation too poor" if approximate else "draws not yet usable", failed)


def facts(estimate: Estimate) -> list[tuple[str, str]]:
    """The model and its data, as pairs of a word and what it stands for here."""
    model, design = estimate.model, estimate.model.design
    found = [
        ("Response", f"{design.response}, {model.family.name} with {model.link} link"),
        ("Rows", "; ".join([f"{design.nobs} of {design.rows_read} in the table", *trials_and_weights(model)])),
        ("Fixed effects", ", ".join(design.names) or "none"),
    ]
    for random in design.random_effects:
        rows = random.rows_per_level
        each = f"{rows.min()}" if rows.min() == rows.max() else f"{rows.min()} to {rows.max()}"
        blocks = blocks_in_words(random)
        found += [
            ("Grouping factor", f"{random.group}, {random.n_levels} levels with {each} rows each"),
            ("Random effects", "; ".join(blocks) + (" (uncorrelated)" if len(blocks) > 1 else "")),
        ]
    if design.offset is not None:
        found.append(("Offset", f"from {design.offset.min():.4g} to {design.offset.max():.4g}"))
    return found


def parameter_table(comparison: SideBySide) -> ReportTable:
    """Fixed effects, standard deviations, correlations and sigma by both."""
    method = comparison.estimate.method.upper()
    columns = ["estimate", "std_error", "posterior_mean", "posterior_sd", "conf_low", "conf_high"]
    table = comparison.parameters
    rows = [
        [plain_term(term), group, *map(number, values)]
        for term, group, values in zip(table["term"], table["group"], table[columns].to_numpy(dtype=float), strict=True)
    ]
    head = ["parameter", "group", method, "std. error", "posterior mean", "posterior sd", "2.5%", "97.5%"]
    return ReportTable(f"Parameters by {method} and by the posterior", head, rows, left=2)


def plain_term(term: str) -> str:
    """`sd__week` as `sd(week)`, `cor__Intercept.week` as `cor(Intercept, week)`, `sd__Observation` as `sigma`."""
    return SIGMA if term == RESIDUAL else printed_term(term, ", ")


def shrinkage_table(comparison: SideBySide, group: str) -> ReportTable:
    """The mean over the levels of a grouping factor of how far each coefficient is drawn to the population."""
    method, mean = comparison.estimate.method.upper(), mean_shrinkage(comparison, group)
    rows = [
        [str(term), f"{by_estimate:.3f}", f"{by_posterior:.3f}"]
        for term, (by_estimate, by_posterior) in zip(mean.index, mean.to_numpy(), strict=True)
    ]
    return ReportTable(
        "Mean shrinkage (0: own least squares, 1: population)", ["coefficient", method, "posterior"], rows
    )


def largest_difference(comparison: SideBySide, group: str) -> str:
    """Where conditional mode and posterior mean of a deviation are furthest apart, in posterior sds."""
    table = of_group(comparison.table, group)
    apart = ((table["mode"] - table["posterior_mean"]).abs() / table["posterior_sd"]).to_numpy()
    worst = int(np.argmax(apart))
    level, term = table.index[worst]
    return f"{apart[worst]:.2f} posterior standard deviations, at level {level} ({term})"


def diagnosis_table(diagnosis: Diagnosis) -> ReportTable:
    columns = diagnosis.table[["rhat", "ess_bulk", "ess_tail"]]
    rows = [
        [str(variable), f"{rhat:.4f}", f"{bulk:.0f}", f"{tail:.0f}"]
        for variable, (rhat, bulk, tail) in zip(columns.index, columns.to_numpy(), strict=True)
    ]
    head = ["variable", "R-hat", "bulk ESS", "tail ESS"]
    return ReportTable("Largest R-hat and smallest effective sample sizes", head, rows)


def sampler_facts(posterior: Posterior, diagnosis: Diagnosis) -> list[tuple[str, str]]:
    settings = posterior.settings
    total = settings.chains * settings.draws
    if posterior.is_approximate:
        return [
            ("Draws", f"{total}, independent of each other: {posterior.method}"),
            ("Pareto k", f"{diagnosis.pareto_k:.2f} (good below 0.5, too poor above {LARGEST_PARETO_K})"),
        ]
    return [
        ("Divergences", f"{diagnosis.divergences} of {total} draws"),
        ("At the largest tree depth", f"{diagnosis.at_max_depth} of {total} draws"),
        ("E-BFMI", f"at least {diagnosis.bfmi.min():.2f}"),
        ("Leapfrog steps", f"{posterior.stats['n_steps'].mean():.1f} a draw"),
    ]


def level_table(comparison: SideBySide, group: Group) -> ReportTable:
    """A row for each level and coefficient of a grouping factor; of its first 500 levels where there are more."""
    table = of_group(comparison.table, group.name).iloc[: MOST_LEVELS * len(group.names)]
    rows = [
        [str(level), str(term), *map(number, values[:5]), *(f"{share:.3f}" for share in values[5:])]
        for (level, term), values in zip(table.index, table.to_numpy(dtype=float), strict=True)
    ]
    head = ["level", "coefficient", "own least squares", "mode", "std. error", "posterior mean", "posterior sd"]
    method = comparison.estimate.method.upper()
    return ReportTable("Levels", [*head, f"shrinkage, {method}", "shrinkage, posterior"], rows, left=2)


def levels_note(levels: int) -> str:
    if levels <= MOST_LEVELS:
        return f"All {levels} levels."
    return f"The first {MOST_LEVELS} of {levels} levels; the comparison's table attribute has all of them."
