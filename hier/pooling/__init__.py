"""Complete, no and partial pooling, and what a comparison of an estimate with a posterior holds."""

from hier.pooling.compare import SideBySide, pooled

__all__ = ["SideBySide", "pooled"]
