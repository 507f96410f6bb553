"""What JAX computes operation by operation, without a program of hier's, kept in hier's own files.

JAX's own cache keeps it too, but its files do not know what they hold, and one that is damaged is a warning.
"""

from __future__ import annotations

from hier.kernel.programs import cache

OWN = "hier_"  # what the names of hier's programs, which are kept elsewhere, begin with where JAX sees them


class Operations:
    """hier's files, as JAX asks for them."""

    _path = "hier"

    def get(self, key: str) -> bytes | None:
        return None if _is_program(key) else cache.read("operation", key)

    def put(self, key: str, value: bytes) -> None:
        if not _is_program(key):
            cache.write("operation", key, value)


def _is_program(key: str) -> bool:
    return key.startswith(f"jit_{OWN}")


def keep_operations() -> None:
    """Let JAX keep what it compiles in hier's files, until its cache is reset; nothing where JAX has changed inside."""
    from jax._src import compilation_cache

    if hasattr(compilation_cache, "_cache") and hasattr(compilation_cache, "_cache_initialized"):
        compilation_cache._cache, compilation_cache._cache_initialized = Operations(), True
