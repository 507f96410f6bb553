"""The posterior: NUTS on the exact marginal density, exact draws of the rest, and what can be said of them."""

from hier.posterior.cross_validation import CrossValidation
from hier.posterior.loading import load_posterior
from hier.posterior.model_comparison import compare_models
from hier.posterior.posterior import Posterior

__all__ = ["CrossValidation", "Posterior", "compare_models", "load_posterior"]
