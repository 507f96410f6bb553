"""Complete, no and partial pooling, and the comparison of an estimate with a posterior."""

from hier.pooling.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
