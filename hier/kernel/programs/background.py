"""Programs compiled by another process while this one goes on by NumPy, handed over by the files that keep programs.

A thread would share the interpreter, and tracing would halve the speed of what it is to speed up; and a process cannot
end while a thread of its own is inside XLA. The other process is told which function of hier's makes the program, with
what, and the shapes of its arguments: all of them can be pickled, or there is no such process. One compiles at a time.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.control import tree_map
from hier.kernel.programs import cache
from hier.kernel.programs.at_once import only
from hier.kernel.programs.capacity import cpus
from hier.kernel.programs.precision import float64

COMMAND = "from hier.kernel.programs.background import compile_what_is_read; compile_what_is_read()"
SWITCH = "HIER_BACKGROUND"  # the environment variable that forbids such processes where it is 0
POLITE = 10  # how much less urgent than its parent the other process is, as `nice` counts


class Origin(NamedTuple):
    """The function of hier's that makes a program, known by its name, and its arguments."""

    factory: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Shaped:
    """What a program's trace depends on of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Background:
    """One program that another process compiles, or cannot."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def has_just_succeeded(self) -> bool:
        """Whether the program is on disk now; True once."""
        if self._process is None or self.is_running():
            return False
        status, self._process = self._process.returncode, None
        return status == 0


_lock = threading.Lock()
_latest = Background(None)


def begin(origin: Origin | None, arguments: tuple[Any, ...]) -> Background | None:
    """Have a program compiled for arguments like these; None while another one is."""
    global _latest
    with _lock:
        if _latest.is_running():
            return None
        _latest = Background(None if origin is None or not _is_possible() else _process(origin, arguments))
        return _latest


def _is_possible() -> bool:
    """Whether there are a Python to begin, a core for it and a place for what it compiles."""
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return is_python and os.environ.get(SWITCH) != "0" and cpus() > 1 and cache.bound() > 0


def _process(origin: Origin, arguments: tuple[Any, ...]) -> subprocess.Popen[bytes] | None:
    """None where the program cannot be told to another process, or none can be begun."""
    try:
        told = pickle.dumps((origin, tree_map(_shaped, arguments)))
        with tempfile.TemporaryFile() as file:  # a pipe would have to wait until it is read
            file.write(told)
            file.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                stdin=file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"},
                start_new_session=True,  # Ctrl-C is for the parent
            )
    except (pickle.PicklingError, TypeError, AttributeError, OSError):
        return None
    atexit.register(_stop, process, os.getpid())
    return process


def _shaped(array: Any) -> Shaped:
    return Shaped(np.shape(array), np.asarray(array).dtype)


def _stop(process: subprocess.Popen[bytes], parent: int) -> None:
    """End the other process with the one that began it, but not with a fork of that."""
    if os.getpid() == parent and process.poll() is None:
        process.kill()
        process.wait()


@float64
def compile_what_is_read() -> None:
    """What the other process does: the program told on its input is loaded from disk, or compiled and put there."""
    if hasattr(os, "nice"):
        os.nice(POLITE)
    origin, shapes = pickle.load(sys.stdin.buffer)
    with only(numpy=False):
        origin.factory(*origin.arguments).bind(*shapes)
