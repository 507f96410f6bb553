"""Room for compiled programs: the least recently used go before the operating system refuses to hold more.

XLA maps every part of a compiled program into memory by itself, a thousand maps a program, and Linux gives a process
some 65,000. One more than that ends the process without a word to the user. A program that went is loaded again from
the cache on disk when it is next needed.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARE = 0.6  # of the maps that a process may have: what is mapped before programs begin to go
KEPT = 0.5  # of the programs: how many stay then
MOST = Path("/proc/sys/vm/max_map_count")
OWN = Path("/proc/self/maps")

_lock = threading.Lock()
_recent: OrderedDict[Any, Callable[[], None]] = OrderedDict()


def cpus() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def used(key: Any) -> None:
    """Note that a program is in use, so that others go first."""
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)


def added(key: Any, forget: Callable[[], None]) -> None:
    """Note a program just compiled, which `forget` lets go of; where there is little room left, let others go."""
    with _lock:
        _recent[key] = forget
        going = _least_recent() if is_narrow() else []
    for forget_one in going:
        forget_one()
    if going:
        gc.collect()


def is_narrow() -> bool:
    """Whether this process has used most of the maps that it may have; False where the system does not say."""
    try:
        with OWN.open("rb") as lines:
            mapped = sum(1 for _ in lines)
        return mapped > SHARE * int(MOST.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False


def _least_recent() -> list[Callable[[], None]]:
    """The programs used longest ago, taken off the list; the last one stays always."""
    count = len(_recent) - max(1, int(KEPT * len(_recent)))
    return [_recent.popitem(last=False)[1] for _ in range(count)]
