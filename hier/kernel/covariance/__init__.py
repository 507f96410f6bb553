"""Covariance structures of the deviations, and the parameters that fill them."""
