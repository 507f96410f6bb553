"""What runs programs: float64 and JAX's settings, compiled programs that are kept, and which library computes."""
