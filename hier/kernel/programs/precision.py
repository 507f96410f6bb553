"""float64, settings of JAX and compiled programs kept on disk, for hier's own calls only.

A user's own program may live in the same process, in float32 or under strict settings. So every entry into the kernel
runs inside hier's settings, whatever the user's are, and leaves none of them behind.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import os
import threading
from collections.abc import Callable
from typing import Any

from hier.design import one_blas_thread
from hier.errors import FitError
from hier.kernel.programs.cache import PLACE, programs_folder
from hier.kernel.programs.operations import keep_operations


@functools.cache
def settings_of_jax() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    """What hier's programs are traced and run under beside float64: each setting with the values that will do, the
    first of them set where the user has another. All are JAX's own defaults.
    """
    import jax

    return (
        (jax.numpy_rank_promotion, ("allow",)),
        (jax.numpy_dtype_promotion, ("standard",)),
        (jax.default_matmul_precision, (None,)),
        (jax.default_prng_impl, ("threefry2x32",)),
        (jax.threefry_partitionable, (True,)),
        (jax.legacy_prng_key, ("allow",)),
        (jax.debug_nans, (False,)),
        (jax.debug_infs, (False,)),
        (jax.debug_key_reuse, (False,)),
        (jax.check_tracer_leaks, (False,)),
        (jax.enable_checks, (False,)),
        (jax.log_compiles, (False,)),
        (jax.explain_cache_misses, (False,)),
        (jax.no_tracing, (False,)),
        (jax.no_execution, (False,)),
        (jax.transfer_guard_host_to_device, ("allow", None)),
        (jax.transfer_guard_device_to_device, ("allow", None)),
        (jax.transfer_guard_device_to_host, ("allow", None)),
    )


class _OwnSettings(threading.local):
    """JAX's settings hold for a thread, so each of hier's threads enters them; within them nothing is looked at."""

    def __init__(self) -> None:
        self._depth = 0
        self._seen: list[Any] = []  # the user's values, which seldom change
        self._other: list[tuple[Any, Any]] = []  # the settings among them that will not do, each with one that will
        self._entered: list[contextlib.AbstractContextManager[Any]] = []

    def __enter__(self) -> None:
        self.begin()
        self.set()

    def __exit__(self, *raised: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            for scope in reversed(self._entered):
                scope.__exit__(None, None, None)
            self._entered = []

    def begin(self) -> None:
        """Enter, but leave JAX alone until `set` is called: where all may be done without it."""
        self._depth += 1

    def set(self) -> None:
        """Load JAX and set what it runs under, until this thread leaves what it entered first."""
        if self._entered:
            return
        import jax

        refuse_forked()
        found = [setting.value for setting, _ in settings_of_jax()]
        if found != self._seen:
            self._seen = found
            values = zip(settings_of_jax(), found, strict=True)
            self._other = [(setting, good[0]) for (setting, good), value in values if value not in good]
        self._entered = [jax.enable_x64(True), *(setting(good) for setting, good in self._other)]
        if jax.config.jax_disable_jit:
            self._entered.append(jax.disable_jit(False))
        for scope in self._entered:
            scope.__enter__()


own_settings = _OwnSettings()


@functools.cache
def _settings_of_cache(_: str | None) -> dict[str, Any]:
    """The settings of JAX's cache, for this value of `$HIER_CACHE_DIR`; none where there is no folder to keep programs
    in: a read-only home costs only the time to compile.

    The thresholds are zero because hier's programs are small: each is quick to compile, but there are several.
    """
    folder = programs_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    return {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
        "jax_persistent_cache_enable_xla_caches": "none",  # which would be files beside hier's own
    }


class _KeptPrograms(contextlib.ContextDecorator):
    """JAX's persistent compilation cache, turned on while hier computes operation by operation in any thread, unless
    the user has set a folder of their own. A function that does so is decorated.

    Its settings are the process's, and JAX holds on to the first folder that it meets: it is made to forget the folder
    on the way in and on the way out, so that the user's own programs are kept where the user says, or nowhere.
    Source: JAX documentation, "Persistent compilation cache".
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: dict[str, Any] = {}
        self._own: dict[str, Any] = {}

    def __enter__(self) -> None:
        import jax

        with self._lock:
            self._users += 1
            if self._users > 1 or jax.config.jax_compilation_cache_dir is not None:
                return
            self._own = _settings_of_cache(os.environ.get(PLACE))
            if self._own:
                self._before = {name: getattr(jax.config, name) for name in self._own}
                self._set(self._own)
                keep_operations()

    def __exit__(self, *raised: object) -> None:
        import jax

        with self._lock:
            self._users -= 1
            if self._users == 0 and self._own:
                # what the user has changed meanwhile, in another thread, stays
                kept = {name: value for name, value in self._own.items() if getattr(jax.config, name) == value}
                self._set({name: self._before[name] for name in kept})
                self._own = {}

    def _set(self, values: dict[str, Any]) -> None:
        import jax
        from jax.experimental.compilation_cache.compilation_cache import reset_cache

        for name, value in values.items():
            jax.config.update(name, value)
        reset_cache()


kept_programs = _KeptPrograms()
_computing_in: int | None = None  # the process in which JAX first computed for hier


def refuse_forked() -> None:
    """Refuse to compute in a process that was forked from one in which JAX had computed: JAX's threads are not in it,
    and it would wait for them for ever. Raises FitError.
    """
    global _computing_in
    here = os.getpid()
    if _computing_in is None:
        _computing_in = here
        # JAX, SciPy and ArviZ leave 200,000 objects for the collector to look through when the process ends, for
        # nothing: half a second. Frozen at that moment, they are left to the operating system.
        atexit.register(gc.freeze)
    elif _computing_in != here:
        raise FitError(
            "this process was forked from one in which hier had already computed, and cannot compute itself",
            found=f"process {here}, forked after a fit or a sample in process {_computing_in}",
            expected="processes that are started afresh",
            hint='multiprocessing.get_context("spawn") or "forkserver", as in ProcessPoolExecutor(mp_context=...); or '
            "let the parent begin its children before it fits anything",
        )


def float64[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with JAX in float64 and hier's other settings, whatever the caller's own are, on one BLAS thread.
    Raises FitError in a forked process.
    """

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        with one_blas_thread, own_settings:
            return function(*args, **kwargs)

    return scoped


def computed[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """As `float64`, of a function that needs JAX only where a program has to be compiled: JAX is loaded, and its
    settings entered, when the first one is.
    """

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        own_settings.begin()
        try:
            with one_blas_thread:
                return function(*args, **kwargs)
        finally:
            own_settings.__exit__()

    return scoped
