"""Point estimates: REML, maximum likelihood and MAP, with the inference that goes with them."""

from hier.estimate.read_estimates import load_estimate
from hier.estimate.refits import ManyEstimates, estimate_many
from hier.estimate.result import Estimate, estimate

__all__ = ["Estimate", "ManyEstimates", "estimate", "estimate_many", "load_estimate"]
