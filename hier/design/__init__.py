"""A formula meets a table: columns, codes and levels, with everything that was left out counted and named."""

from hier.design.design import Design, RandomEffects, build_design

__all__ = ["Design", "RandomEffects", "build_design"]
