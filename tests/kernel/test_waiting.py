"""Ctrl-C while a program is compiled: it ends the wait at once, and leaves the kept programs sound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from hier.kernel.programs import waiting
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64
from hier.kernel.programs.waiting import compiling, in_threads

ROOT = Path(__file__).resolve().parents[2]
SOON = 2.0  # seconds

# Two programs: one that compiles at once, and one that takes seconds to trace, or to compile.
PROGRAMS = """
import sys, time
import jax.numpy as jnp, numpy as np
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64

def small(x):
    print("small traced", flush=True)
    return (2.0 * x,)

def large(x):
    print("begun", flush=True)
    if sys.argv[1] == "tracing":
        time.sleep(float(sys.argv[2]))
    for k in range(30):
        x = jnp.linalg.solve(jnp.outer(x, x) + (k + 1.0) * jnp.eye(3), jnp.sin(x + k)) + jnp.sort(x * k)
    print("traced", flush=True)
    return (x,)

@float64
def run(function, name):
    print(name, np.asarray(Program(name, (), function)(np.arange(3.0))[0]), flush=True)

run(small, "small")
"""
PLAIN = PROGRAMS + 'run(large, "large")\n'
CATCHING = (
    PROGRAMS
    + """
try:
    run(large, "large")
except KeyboardInterrupt:
    print("caught", flush=True)
    sys.exit(3)
"""
)


class Started:
    """A process in a folder of its own programs, whose output is read line by line."""

    def __init__(self, program: str, folder: Path, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HIER_CACHE_DIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def until(self, line: str) -> None:
        assert self.process.stdout is not None
        for own in self.process.stdout:
            if own.startswith(line):
                return
        raise AssertionError(f"no line {line}: {self.process.stderr.read()}")  # type: ignore

    def interrupted(self) -> float:
        """Seconds from Ctrl-C to the end of the process."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60.0)
        return time.monotonic() - began

    def said(self) -> tuple[int, str, str]:
        out, error = self.process.communicate(timeout=120.0)
        return self.process.returncode, out, error


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
@pytest.mark.parametrize(("stage", "line"), [("tracing", "begun"), ("compiling", "traced")])
def test_ctrl_c_ends_a_process_that_compiles_and_the_next_one_is_served_right(tmp_path, stage, line) -> None:
    first = Started(PLAIN, tmp_path, stage, "30")
    first.until(line)
    time.sleep(0.5)
    assert first.interrupted() < SOON
    status, out, error = first.said()
    assert status == -signal.SIGINT
    assert error.rstrip().endswith("KeyboardInterrupt")
    assert "Fatal" not in error
    assert "large" not in out
    status, whole, error = Started(PLAIN, tmp_path, stage, "0").said()
    assert (status, error) == (0, "")
    assert "small traced" not in whole, "what was kept before is there"
    status, again, error = Started(PLAIN, tmp_path, stage, "0").said()
    assert (status, error) == (0, "")
    assert again == "".join(own for own in whole.splitlines(keepends=True) if own not in ("begun\n", "traced\n"))


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
@pytest.mark.parametrize(("stage", "line"), [("tracing", "begun"), ("compiling", "traced")])
def test_a_process_that_catches_it_ends_with_its_own_status(tmp_path, stage, line) -> None:
    started = Started(CATCHING, tmp_path, stage, "1")
    started.until(line)
    time.sleep(0.3)
    started.interrupted()
    status, out, error = started.said()
    assert (status, error) == (3, "")
    assert out.endswith("caught\n")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))


def ctrl_c_after(event: threading.Event) -> threading.Thread:
    def press() -> None:
        event.wait(10.0)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_a_session_goes_on_and_the_next_call_finds_the_program(folder) -> None:
    begun, going_on = threading.Event(), threading.Event()
    traces: list[float | None] = []

    def slow(x):
        begun.set()
        going_on.wait(10.0)
        traces.append(compiling.seconds())
        return (x + 1.0,)

    program = Program("slow", (), slow)
    call = float64(lambda: np.asarray(program(np.arange(3.0))[0]))
    pressing = ctrl_c_after(begun)
    with pytest.raises(KeyboardInterrupt):
        call()
    pressing.join()
    assert compiling.seconds() is not None, "the other thread is still at it"
    going_on.set()
    np.testing.assert_array_equal(call(), [1.0, 2.0, 3.0])
    assert len(traces) == 1
    assert compiling.seconds() is None
    assert not waiting._running()


def test_only_what_is_compiled_counts_as_compiling(folder) -> None:
    seen: list[float | None] = []

    def own(x):
        seen.append(compiling.seconds())
        return (x + 2.0,)

    for _ in range(2):
        np.testing.assert_array_equal(float64(lambda: Program("own", (), own)(np.ones(2))[0])(), 3.0)
    assert len(seen) == 1
    assert seen[0] is not None
    assert compiling.seconds() is None


def test_what_a_call_raises_is_raised_when_all_have_ended(folder) -> None:
    ended = threading.Event()

    def fail() -> None:
        raise ValueError("of the call")

    def later() -> None:
        time.sleep(0.3)
        ended.set()

    with pytest.raises(ValueError, match="of the call"):
        in_threads(fail, later)
    assert ended.is_set()
    assert in_threads(lambda: jnp.ones(1).dtype, lambda: 2) == [np.float64, 2]
