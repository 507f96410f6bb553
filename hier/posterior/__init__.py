"""The posterior: NUTS on the exact marginal density, exact draws of the rest, and what can be said of them."""

from hier.posterior.posterior import Posterior
from hier.posterior.tree import load_posterior

__all__ = ["Posterior", "load_posterior"]
