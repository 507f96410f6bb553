"""The line protocol that every measured program speaks.

A program starts, imports its library, and writes one JSON line: `{"ready": true, "import_s": ..., "version": ...}`,
or `{"missing": NAME}` when the library is not installed. Then it reads lines `go MODE SEED CALLS`; for each it does
the work of MODE that often and writes one JSON line: `{"seconds": [...], ...}`, or `{"error": ...}`. It ends at the
end of its input. Because it waits between the lines, several programs can take turns in one measurement. On Linux an
answer has the process's memory too, `held_mb` before the work and `peak_mb` at the most.

Only the standard library is used here, so that the file runs in any peer's environment.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

Timed = tuple[float, dict[str, Any]]
Mode = Callable[[int], Timed]


def arguments() -> argparse.Namespace:
    """The formula, the data file, the family, and the sampler's sizes, as every program is given them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--formula", required=True)
    parser.add_argument("--data", required=True, help="CSV file")
    parser.add_argument("--family", default="gaussian", help="of the response, by hier's name")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--refits", type=int, default=1000)
    return parser.parse_args()


def timed(work: Callable[[], Any], facts: Callable[[Any], dict[str, Any]]) -> Timed:
    """Seconds that `work` takes, and what `facts` reads from its result once the clock has stopped."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return seconds, facts(result)


def serve(library: Callable[[], Any], modes: Callable[[Any, argparse.Namespace], Mapping[str, Mode]]) -> None:
    """Answer lines until the input ends.

    `library` imports what is measured and returns the module; `modes` reads the data and returns what can be asked
    for, by name. Whatever the library prints goes to the standard error stream, never among the answers.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    options = arguments()
    start = time.perf_counter()
    try:
        module = library()
    except ImportError as error:
        _write(answers, {"missing": error.name or str(error)})
        return
    seconds = time.perf_counter() - start
    table = modes(module, options)
    _write(answers, {"ready": True, "import_s": seconds, "version": getattr(module, "__version__", _version(module))})
    for line in sys.stdin:
        _write(answers, _answer(table, line.split()))


def _answer(table: Mapping[str, Mode], words: list[str]) -> dict[str, Any]:
    """Do what one line asks for; trouble is an answer too."""
    try:
        _, name, seed, calls = words
        _forget_peak()
        held = _memory("VmRSS", "held_mb")
        runs = [table[name](int(seed)) for _ in range(int(calls))]
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"seconds": [run[0] for run in runs]} | held | _memory("VmHWM", "peak_mb") | runs[-1][1]


def _memory(what: str, name: str) -> dict[str, float]:
    """One of the kernel's figures of this process's memory, in megabytes; nothing where there is no such kernel."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {}
    line = next(line for line in status.read_text().splitlines() if line.startswith(what))
    return {name: int(line.split()[1]) * 1024 / 1e6}


def _forget_peak() -> None:
    """Have the peak count from now on: reading the data is no part of the work."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _version(module: Any) -> str:
    """The installed version of a module that does not carry one."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(module.__name__.partition(".")[0])
    except PackageNotFoundError:
        return ""


def _write(stream: IO[str], answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
