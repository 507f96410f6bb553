"""Programs that are kept on disk: what the next process finds there, and what is never kept."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import Conditional, Theta
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.links import LINKS
from hier.kernel.laplace.log_densities import poisson
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64

ROOT = Path(__file__).resolve().parents[2]


class Counted:
    """A program whose traces are counted; every instance begins as a new process would."""

    def __init__(self, fixed=("a",), factor=1.0):
        self.traces = 0
        self.factor = factor
        self.program = Program("counted", fixed, self._function)

    def _function(self, tree):
        self.traces += 1
        return self.factor * jnp.sum(tree["x"] ** 2), tree["x"] - tree["y"]

    @float64
    def __call__(self, tree):
        return [np.asarray(part) for part in self.program(tree)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))
    return tmp_path


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


TREE = {"x": np.arange(3.0), "y": np.ones(3)}


def test_the_next_process_does_not_trace(folder):
    first, second = Counted(), Counted()
    expected = first(TREE)
    np.testing.assert_array_equal(expected[0], 5.0)
    assert expected[0].dtype == np.float64
    found = second(TREE)
    assert (first.traces, second.traces) == (1, 0)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
    again = Counted()
    again({"x": np.arange(4.0), "y": np.ones(4)})
    assert again.traces == 1, "other shapes are another program"
    other = Counted(fixed=("b",))
    other(TREE)
    assert other.traces == 1, "what it was built with is part of the key"


CALLS_LAPACK = """
import sys
import jax.numpy as jnp, numpy as np
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64

def solved(a, b):
    print("traced")
    half = jnp.linalg.cholesky(a)
    return jnp.linalg.solve(a, b), jnp.linalg.eigh(a)[0], jnp.linalg.inv(half), jnp.linalg.qr(a)[1]

a = np.diag([1.0, 2.0, 4.0])
found = float64(lambda: [np.asarray(own) for own in Program("solved", (), solved)(a, np.ones(3))])()
print(found[0], found[1], np.diag(found[2]), np.abs(np.diag(found[3])))
"""


def test_a_process_that_only_loads_can_call_lapack(folder):
    """JAX finds the library while it lowers a program, which a process that only loads never does."""
    said = "[1.   0.5  0.25] [1. 2. 4.] [1.         0.70710678 0.5       ] [1. 2. 4.]\n"
    assert in_a_process(CALLS_LAPACK) == "traced\n" + said
    assert in_a_process(CALLS_LAPACK) == said


def in_a_process(program):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@float64
def bound(counted):
    return [(own.shape, own.dtype) for own in counted.program.bind(TREE).outputs]


def test_a_program_that_was_loaded_says_what_its_results_are(folder):
    expected = [((), np.float64), ((3,), np.float64)]
    assert bound(Counted()) == expected
    loaded = Counted()
    assert bound(loaded) == expected
    assert loaded.traces == 0


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: whole[::-1]]
)
def test_a_damaged_file_is_written_anew_without_a_word(folder, damage):
    Counted()(TREE)
    (path,) = files(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    mended = Counted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(mended(TREE)[1], TREE["x"] - 1)
    assert mended.traces == 1
    third = Counted()
    third(TREE)
    assert third.traces == 0


def test_a_file_under_the_name_of_another_gives_no_answers(folder):
    """It would give REML's answers for those of ML: shapes and kinds are the same."""
    Counted(("a",), 1.0)(TREE)
    first = files(folder)
    Counted(("b",), 2.0)(TREE)
    second = sorted(set(files(folder)) - set(first))
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        other.write_bytes(one.read_bytes())
    mended, third = Counted(("b",), 2.0), Counted(("b",), 2.0)
    np.testing.assert_array_equal(mended(TREE)[0], 10.0)
    np.testing.assert_array_equal(third(TREE)[0], 10.0)
    assert (mended.traces, third.traces) == (1, 0)


def test_a_file_that_is_whole_but_cannot_be_loaded_is_written_anew(folder, monkeypatch):
    """As one would be that JAX can no longer read, although the versions in its key are the same."""
    from hier.kernel.programs import executables

    with monkeypatch.context() as patched:
        patched.setattr(executables, "_in_bytes", lambda compiled: b"\0\0\0\2nothing that JAX wrote")
        Counted()(TREE)
    mended, third = Counted(), Counted()
    np.testing.assert_array_equal(mended(TREE)[0], 5.0)
    third(TREE)
    assert (mended.traces, third.traces) == (1, 0)


def test_an_executable_out_of_the_users_cache_of_jax_is_not_kept_in_turn(folder, monkeypatch):
    """Written again, it would lack functions when it is next read."""
    monkeypatch.setenv("HIER_CACHE_DIR", str(folder / "hier"))
    values = {"jax_compilation_cache_dir": str(folder / "user"), "jax_persistent_cache_min_compile_time_secs": 0.0}
    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        reset_cache()
        for _ in range(2):
            Counted()(TREE)
            for path in files(folder / "hier"):
                path.unlink()
        Counted()(TREE)
        loaded = Counted()
        np.testing.assert_array_equal(loaded(TREE)[0], 5.0)
        assert loaded.traces == 0
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        reset_cache()


def test_a_folder_that_cannot_be_written_costs_only_time(folder):
    (folder / "programs").write_text("a file where the folder would be")
    np.testing.assert_array_equal(Counted()(TREE)[0], 5.0)


def test_a_structure_of_the_users_own_is_not_kept(folder):
    """The code behind a user's class can change while its name stays."""

    @jax.tree_util.register_pytree_node_class
    class Own(dict):
        def tree_flatten(self):
            return (self["x"], self["y"]), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(x=children[0], y=children[1])

    np.testing.assert_array_equal(Counted()(Own(TREE))[0], 5.0)
    assert not files(folder)


def test_a_family_of_the_users_own_is_not_kept(folder):
    """Nor is what was built with one: under the same name the next process may have another density."""
    built_in = Likelihood("poisson", poisson, (LINKS["log"],))
    own = dataclasses.replace(built_in, is_kept=False)
    Counted(fixed=(Approximation(Conditional(built_in), Theta((), 0, False)),))(TREE)
    assert len(files(folder)) == 1
    for fixed in ((own,), (Approximation(Conditional(own), Theta((), 0, False)),), ((own, 1), "a")):
        np.testing.assert_array_equal(Counted(fixed=fixed)(TREE)[0], 5.0)
    assert len(files(folder)) == 1
