"""The pictures of a report, each as a data URI with what it shows and how to read it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from hier.plots import (
    covariate,
    plot_data,
    plot_group_effects,
    plot_group_fits,
    plot_parameters,
    plot_ranks,
    plot_shrinkage,
    plot_trace,
)
from hier.plots.style import Picture
from hier.pooling import SideBySide

LARGEST_SVG = 300_000  # bytes; larger drawings are pixels
PIXELS_PER_INCH = 120.0


@dataclass(frozen=True)
class ReportPicture:
    """A picture as a data URI. `alt`: what it shows, for who cannot see it; `reading`: a sentence on how to read it."""

    title: str
    uri: str
    alt: str
    reading: str


def embed(figure: Picture) -> str:
    """A figure as a data URI: SVG, which stays sharp, unless that is large, and then PNG."""
    kind, data = "svg+xml", figure.to_bytes("svg")
    if len(data) > LARGEST_SVG:
        kind, data = "png", figure.to_bytes("png", dpi=PIXELS_PER_INCH)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def pooling_pictures(comparison: SideBySide, group: str) -> list[ReportPicture]:
    """Of one grouping factor: data, shrinkage, levels' lines where there is a covariate, and deviations."""
    estimate, posterior = comparison.estimate, comparison.posterior
    method, several = estimate.method.upper(), len(posterior.groups) > 1
    column = covariate(estimate.model, group)
    less_others = ", less the deviations of the other grouping factors" if several else ""
    and_others = "; off the data, so are the deviations of the other grouping factors" if several else ""
    against = f"{posterior.response} against {column}" if column else f"{posterior.response} by {group}"
    pictures = [
        ReportPicture(
            "The data and the fitted model",
            embed(plot_data(comparison, group)),
            f"{against}: the data, the fit of each level of {group} by {method}, and that of the population.",
            _reading_of_lines(group, several)
            if column
            else f"Each row is one level of {group}; the large points are its fitted mean, drawn towards the "
            "population's vertical line from where its data are."
            + (" The other grouping factors, too, have their part in where a level's data are." if several else ""),
        ),
        ReportPicture(
            "Shrinkage",
            embed(plot_shrinkage(comparison, group)),
            f"Coefficients of each level of {group}: own least squares, {method}, posterior mean, and the population.",
            f"A grey point is what a level's own data say{less_others}. The ring ({method}) and the dot inside it "
            "(posterior mean) are where the model puts the level: drawn towards the population, and the further the "
            "less its own data tell. Where dot and ring part, the two methods disagree about how much to pool.",
        ),
    ]
    if column:
        added = estimate.model.mean_is_predictor
        taken_off = f"The population's line is taken off, so it lies level at zero{and_others}. " if added else ""
        pooled, less = ("zero", " less the population's line") if added else ("the population's curve", "")
        pictures.append(
            ReportPicture(
                f"Some levels of {group}",
                embed(plot_group_fits(comparison, group=group)),
                f"{posterior.response}{less}, against {column}, for some levels of {group}.",
                f"{taken_off}The band holds 95 percent of the posterior of the level's line; the {method} line should "
                f"lie inside it, usually between the dashed line (no pooling) and {pooled} (complete pooling).",
            )
        )
    return [
        *pictures,
        ReportPicture(
            "Deviations from the population",
            embed(plot_group_effects(comparison, group)),
            f"Deviations of the levels of {group} with 95 percent intervals, by {method} and by the posterior.",
            f"The posterior's interval is usually wider than {method}'s, which takes the standard deviations and fixed "
            "effects as known: a little wider with many levels, much wider with few or where the fit is singular. "
            "Where the interval of a level crosses zero, the level could be like the rest.",
        ),
    ]


def _reading_of_lines(group: str, several: bool) -> str:
    said = f"Each thin line is one level of {group}; the thick one is the population. "
    if several:
        return said + (
            "A thin line includes the mean of what the other grouping factors add to the rows of its level, so that "
            "it goes through that level's data."
        )
    return said + (
        "How far the thin lines lie apart, and how much their slopes differ, is what the standard deviations above "
        "measure."
    )


def parameter_picture(comparison: SideBySide) -> ReportPicture:
    method = comparison.estimate.method.upper()
    return ReportPicture(
        "Posterior densities",
        embed(plot_parameters(comparison)),
        f"Posterior density of each parameter, with the {method} estimate.",
        f"The dashed line is the {method} estimate. For a skewed density, as of a standard deviation with few levels, "
        "it usually lies nearer the peak than the posterior mean does: that is no contradiction.",
    )


def chain_pictures(comparison: SideBySide) -> list[ReportPicture]:
    posterior = comparison.posterior
    return [
        ReportPicture(
            "Rank plots",
            embed(plot_ranks(posterior)),
            "For each parameter and chain, the distribution of the draws' ranks less the uniform distribution.",
            "Chains that agree stay in the grey band. A line that leaves it belongs to a chain that has been elsewhere "
            "than the others: above the band with smaller values, below it with larger ones.",
        ),
        ReportPicture(
            "Traces",
            embed(plot_trace(posterior)),
            "For each parameter, the draws of each chain in their order.",
            "All chains should look like the same noise around the same level: no trend, no chain apart, no long "
            "stretch in one place.",
        ),
    ]
