"""A model: formula, data, family and priors, and the arrays that the kernel takes."""

from hier.model.families import FAMILIES, Family
from hier.model.model import Model

__all__ = ["FAMILIES", "Family", "Model"]
