"""Algebra of cross-products and of levels: one pass over the rows, the deviations eliminated and recovered."""
