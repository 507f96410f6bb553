"""Seeds of compiled programs: bits drawn by NumPy, made into a key of JAX's generator where they are used."""

from __future__ import annotations

import jax
import numpy as np


def seed_bits(random: np.random.Generator, n: int) -> np.ndarray:
    """64 bits (n, 2) of uint32 for each of n keys."""
    return random.integers(0, 1 << 32, size=(n, 2), dtype=np.uint32)


def key_of(bits: jax.Array) -> jax.Array:
    """A key of JAX's generator from its 64 bits (2,); of one kind, whichever the user's own programs use."""
    return jax.random.wrap_key_data(bits, impl="threefry2x32")
