"""float64 and compiled programs kept on disk, for hier's own calls only.

A user's float32 program may live in the same process, so JAX's global x64 flag is never touched: every entry into
the kernel runs inside the scoped switch instead.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import jax
import platformdirs

from hier.design import one_blas_thread


def cache_folder() -> Path:
    """The folder that keeps compiled programs: `$HIER_CACHE_DIR`, or hier's own place in the user's cache folder."""
    return Path(os.environ.get("HIER_CACHE_DIR") or platformdirs.user_cache_dir("hier")) / "compiled"


@functools.cache
def keep_compiled_programs() -> None:
    """Turn JAX's persistent compilation cache on, unless the user has set a folder of their own.

    The thresholds go to zero because hier's programs are small: each is quick to compile, but there are several.
    Source: JAX documentation, "Persistent compilation cache".
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home costs only the time to compile
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def float64[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with JAX in float64, whatever the caller's own setting, on one BLAS thread, and with compiled
    programs kept.
    """

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        keep_compiled_programs()
        with one_blas_thread, jax.enable_x64(True):
            return function(*args, **kwargs)

    return scoped
