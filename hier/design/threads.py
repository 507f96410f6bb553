"""One thread for BLAS and LAPACK while hier computes.

OpenBLAS, which NumPy and JAX's LAPACK use, hands even small work to threads, and these go on spinning for a tenth of a
second for more. Hier's matrices are tall or small, and what is large runs on JAX's own threads, whose cores the
spinning ones take away.
"""

from __future__ import annotations

import functools
import threading
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any


@functools.cache
def _libraries() -> tuple[Any, ...]:
    """The BLAS libraries of this process, each with `num_threads` and `set_num_threads`."""
    import scipy.linalg  # noqa: F401 - its BLAS is JAX's, and has to be loaded in order to be found
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


class _OneBlasThread(threading.local, ContextDecorator):
    """The setting is the process's, and threadpoolctl leaves it to one thread: in any other, nothing changes here."""

    def __init__(self) -> None:
        self._depth = 0
        self._before: list[int] = []

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._before = [library.num_threads for library in _libraries()]
            self._set([1] * len(self._before))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._set(self._before)

    def _set(self, numbers: list[int]) -> None:
        for library, number in zip(_libraries(), numbers, strict=True):
            library.set_num_threads(number)


one_blas_thread = _OneBlasThread()
