"""Waiting for programs that are compiled in other threads, so that Ctrl-C ends the wait at once.

XLA cannot be interrupted, and a thread that is inside it does not hear signals. So the main thread compiles nothing
itself: it waits for a thread that does. Where Ctrl-C ends the wait, that thread goes on, and keeps what it has compiled
for the next time. A process that ends before that ends without Python's usual cleaning up, which takes the interpreter
away from under a thread that is inside XLA, and crashes.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from hier.kernel.programs.precision import own_settings

LISTENING = 0.1  # seconds between two looks for a signal, where a wait is not woken by it


class _Stopped(BaseException):
    """Raised in a thread whose process ends."""


class _Task:
    """A call in a thread of its own, under hier's settings of JAX, the caller's device and the caller's context."""

    def __init__(self, call: Callable[[], Any], device: Any) -> None:
        self._call, self._device = call, device
        self._ended = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=lambda: context.run(self._run), daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            enter(self._device)
            self.result = self._call()
        except BaseException as error:  # raised where it is waited for
            self.error = error
        finally:
            self._ended.set()

    def wait(self) -> None:
        while not self._ended.wait(LISTENING):
            pass


_left: list[threading.Thread] = []  # those that nobody waits for since Ctrl-C


def enter(device: Any) -> None:
    """Enter hier's settings of JAX and a default device, in a thread that has neither, for as long as it lives."""
    import jax

    own_settings.__enter__()
    jax.default_device(device).__enter__()


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """The results of several calls that compile or load programs, each in a thread: XLA lets Python go on meanwhile."""
    import jax

    tasks = [_Task(call, jax.config.jax_default_device) for call in calls]
    try:
        for task in tasks:
            task.wait()
    except BaseException:  # of a signal
        if not _left:
            atexit.register(_end)
        _left.extend(task.thread for task in tasks)
        raise
    for task in tasks:
        if task.error is not None:
            raise task.error
    return [task.result for task in tasks]


def interruptible[R](call: Callable[[], R]) -> R:
    """The result of a call that compiles or loads a program: in the main thread, which hears Ctrl-C, by another."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    return in_threads(call)[0]


class _Compiling:
    """How many programs are being compiled, and since when; `total`: how many this process has compiled or begun to."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()
        self._count = 0
        self._began = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                self._began = time.monotonic()
            self._count += 1
            self.total += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._count -= 1

    def seconds(self) -> float | None:
        """For how long programs have been compiled without a break; None where none is."""
        with self._lock:
            return time.monotonic() - self._began if self._count else None


compiling = _Compiling()


def _running() -> list[threading.Thread]:
    return [thread for thread in _left if thread.is_alive()]


def leave(status: int) -> None:
    """End the process with this status if programs that nobody waits for are still being compiled."""
    if _running():
        _flush()
        os._exit(status)


def _end() -> None:
    """At the end of a process, before Python cleans up: end as Ctrl-C does, or else when XLA lets go of its threads."""
    if _running() and isinstance(getattr(sys, "last_exc", None), KeyboardInterrupt):
        _flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    stop = ctypes.py_object(_Stopped)
    while running := _running():
        for thread in running:  # what is traced ends at once, what XLA compiles when it is done
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), stop)
        running[0].join(LISTENING)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
