"""Arrays that NumPy or JAX computes with, and derivatives by either: what lets each formula stand once."""
