"""The posterior: NUTS on the exact marginal density, exact draws of the rest, and what can be said of them."""

from hier.posterior.loading import load_posterior
from hier.posterior.posterior import Posterior

__all__ = ["Posterior", "load_posterior"]
