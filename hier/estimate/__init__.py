"""Point estimates: REML, maximum likelihood and MAP, with the inference that goes with them."""

from hier.estimate.refits import ManyEstimates, estimate_many
from hier.estimate.result import Estimate, estimate

__all__ = ["Estimate", "ManyEstimates", "estimate", "estimate_many"]
