"""When a function is computed at once, by NumPy, and when a program is compiled for it.

A program takes seconds to compile and microseconds to run; NumPy begins at once and takes milliseconds. Whoever fits
thirty formulas once each should never wait for a compiler, and whoever fits one ten thousand times should, once. So
NumPy computes until the time that it has taken is what compiling would have: then the total is at most twice that of
the better choice, whatever comes. Source: Karlin, Manasse, Rudolph and Sleator (1988), Algorithmica 3, 79 (ski rental).
Long before that a program that is kept on disk is loaded, by the same rule at the price of loading; one that is not is
compiled by another process meanwhile (`background`), on a core that would be idle.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import time
from collections.abc import Generator

COMPILING = 8.0  # seconds that the program of a usual estimate takes to trace and compile on one core
LOADING = 0.2  # seconds to load one that is kept on disk, where JAX is loaded
REPEATED = 0.5  # seconds of NumPy after which a function is taken to be called again and again

_always: contextvars.ContextVar[bool | None] = contextvars.ContextVar("_always", default=None)


class Account:
    """The time that NumPy has taken for one function of arrays of the same shapes."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._began: list[float] = []

    def allows(self, seconds: float) -> bool:
        """Whether a call that takes about so long is for NumPy."""
        forced = _always.get()
        return self._spent + seconds < COMPILING if forced is None else forced and math.isfinite(seconds)

    def has_taken(self, seconds: float) -> bool:
        """Whether NumPy has taken so long, where the choice is free."""
        return _always.get() is None and self._spent > seconds

    def __enter__(self) -> None:
        self._began.append(time.perf_counter())

    def __exit__(self, *raised: object) -> None:
        self._spent += time.perf_counter() - self._began.pop()


@contextlib.contextmanager
def only(*, numpy: bool) -> Generator[None]:
    """Everything that either can compute by NumPy, or by compiled programs."""
    token = _always.set(numpy)
    try:
        yield
    finally:
        _always.reset(token)
