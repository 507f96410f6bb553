"""Programs that another process compiles while NumPy goes on."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

import hier
from hier.kernel.normal.point_fit import _likelihood_program
from hier.kernel.programs import at_once, background
from hier.kernel.programs.background import Origin
from hier.kernel.programs.cache import kept
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed

PATIENCE = 120.0  # seconds


@told_by_origin
def doubling(times: int) -> Program:
    return Program("doubling", (times,), lambda x: (x * 2**times,), lambda x: 0.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(background, "cpus", lambda: 2)
    monkeypatch.delenv("HIER_BACKGROUND")  # the other tests do without
    return tmp_path


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("hier.kernel.programs.compiled.LOADING", 0.0)
    monkeypatch.setattr("hier.kernel.programs.compiled.REPEATED", 0.0)


def waited_for(condition) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


def test_a_function_called_again_and_again_is_compiled_meanwhile(folder, impatient):
    program, x = doubling(3), np.arange(5.0)
    waited_for(lambda: not background._latest.is_running())

    @computed
    def call():
        return program(x)[0]

    assert isinstance(call(), np.ndarray), "NumPy does not wait"
    waited_for(lambda: not isinstance(call(), np.ndarray))
    np.testing.assert_array_equal(call(), 8.0 * x)
    assert [own.name for own in kept()] == ["doubling"]


def test_what_is_kept_is_loaded_before_any_process_is_begun(folder, impatient, monkeypatch):
    x = np.arange(7.0)
    with at_once.only(numpy=False):
        computed(lambda: doubling(2)(x))()
    monkeypatch.setattr(background, "begin", lambda *_: pytest.fail("begun"))
    again = Program("doubling", (2,), doubling(2).function, lambda x: 0.0)
    assert isinstance(computed(lambda: again(x))()[0], np.ndarray)
    assert not isinstance(computed(lambda: again(x))()[0], np.ndarray)


def test_what_no_other_process_can_be_told_stays_with_numpy(folder, impatient):
    waited_for(lambda: not background._latest.is_running())
    unknown = Program("unknown", (), lambda x: (x + 1.0,), lambda x: 0.0)
    for origin in (None, Origin(doubling, (lambda: 1,))):
        unknown.origin = origin
        unknown._uses.clear()
        for _ in range(5):
            assert isinstance(computed(lambda: unknown(np.ones(2)))()[0], np.ndarray)
        assert not background._latest.is_running()


def test_a_program_that_fails_there_stays_with_numpy(folder, impatient):
    waited_for(lambda: not background._latest.is_running())
    failing = Program("failing", (), lambda x: (x + 1.0,), lambda x: 0.0)
    failing.origin = Origin(len, ())
    call = computed(lambda: failing(np.ones(2))[0])
    for _ in range(3):
        assert isinstance(call(), np.ndarray)
    waited_for(lambda: not background._latest.is_running())
    for _ in range(3):
        assert isinstance(call(), np.ndarray)


ENDS = """
import sys
import numpy as np
import hier
from hier.kernel.programs import background, compiled
compiled.LOADING = compiled.REPEATED = 0.0
background.cpus = lambda: 2
model = hier.Model("weight ~ week + (week | id)", hier.load_dataset("pigs"))
for _ in range(4):
    model.estimate()
print(background._latest._process.pid, background._latest.is_running())
"""


def test_it_ends_with_the_process_that_began_it(folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ENDS], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    number, was_running = done.stdout.split()
    assert was_running == "True"
    found = subprocess.run(["kill", "-0", number], capture_output=True)
    assert found.returncode != 0, "it still runs"


def test_estimates_are_those_of_numpy(folder, impatient, pigs):
    waited_for(lambda: not background._latest.is_running())
    model = hier.Model("weight ~ week + (1 | id)", pigs)
    with at_once.only(numpy=True):
        by_numpy = model.estimate()

    def estimated():
        model.estimate()
        return any(own.name == "fit_likelihood" for own in kept()) and not background._latest.is_running()

    waited_for(estimated)
    found = model.estimate()
    assert any(use.is_compiled for use in _likelihood_program(model.terms, True)._uses.values())
    assert found.loglik == pytest.approx(by_numpy.loglik, abs=1e-8)
    np.testing.assert_allclose(found.fixef, by_numpy.fixef, rtol=1e-8)


def test_it_can_be_turned_off(folder, impatient, monkeypatch):
    monkeypatch.setenv("HIER_BACKGROUND", "0")
    waited_for(lambda: not background._latest.is_running())
    assert not background.begin(Origin(doubling, (1,)), (np.ones(3),)).is_running()
