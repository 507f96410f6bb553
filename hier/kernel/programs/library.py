"""NumPy outside compiled programs and JAX inside: which of the two computes with given values."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def library_of(values: Any) -> Any:
    """JAX's NumPy for an array of JAX's, otherwise NumPy itself, whose calls on small arrays take less time."""
    return jnp if isinstance(values, jax.Array) else np
