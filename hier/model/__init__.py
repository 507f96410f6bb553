"""A model: formula, data, family and priors, and the arrays that the kernel takes."""

from hier.model.families import FAMILIES, Family, FamilyParameter, register_family
from hier.model.specification import Specification

__all__ = ["FAMILIES", "Family", "FamilyParameter", "Specification", "register_family"]
