"""One public function per picture. Each returns a matplotlib `Figure` and leaves no global state behind."""

from hier.plots.chains import plot_ranks, plot_trace
from hier.plots.conditional_effects import plot_conditional_effects
from hier.plots.data import plot_data
from hier.plots.density_curves import plot_parameters
from hier.plots.effects import plot_group_effects
from hier.plots.fits import plot_group_fits
from hier.plots.level_lines import plot_level_lines, plot_line_differences, plot_spaghetti
from hier.plots.lines import covariate
from hier.plots.prior_curves import plot_priors
from hier.plots.replications import plot_predictive_check, plot_prior_predictive
from hier.plots.residual_checks import plot_calibration, plot_residuals
from hier.plots.shrinkage import plot_shrinkage
from hier.plots.three_poolings import plot_pooling
from hier.plots.truths import plot_truth

__all__ = [
    "covariate",
    "plot_calibration",
    "plot_conditional_effects",
    "plot_data",
    "plot_group_effects",
    "plot_group_fits",
    "plot_level_lines",
    "plot_line_differences",
    "plot_parameters",
    "plot_pooling",
    "plot_predictive_check",
    "plot_prior_predictive",
    "plot_priors",
    "plot_ranks",
    "plot_residuals",
    "plot_shrinkage",
    "plot_spaghetti",
    "plot_trace",
    "plot_truth",
]
