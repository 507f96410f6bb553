"""Programs that are kept on disk: what the next process finds there, and what is never kept."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import Conditional, Theta
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.links import LINKS
from hier.kernel.laplace.log_densities import poisson
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64


class Counted:
    """A program whose traces are counted; every instance begins as a new process would."""

    def __init__(self, fixed=("a",)):
        self.traces = 0
        self.program = Program("counted", fixed, self._function)

    def _function(self, tree):
        self.traces += 1
        return jnp.sum(tree["x"] ** 2), tree["x"] - tree["y"]

    @float64
    def __call__(self, tree):
        return [np.asarray(part) for part in self.program(tree)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))
    return tmp_path


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


def test_a_damaged_file_is_written_anew(folder):
    Counted()(TREE)
    (path,) = folder.glob("traced/counted-*")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    mended = Counted()
    np.testing.assert_array_equal(mended(TREE)[1], TREE["x"] - 1)
    assert mended.traces == 1
    assert path.stat().st_size == len(whole)
    third = Counted()
    third(TREE)
    assert third.traces == 0


def test_another_programs_file_under_this_name_is_not_taken(folder):
    """It would give REML's answers for those of ML: shapes and kinds are the same."""
    Counted(fixed=("a",))(TREE)
    (first,) = folder.glob("traced/counted-*")
    Counted(fixed=("b",))(TREE)
    (second,) = set(folder.glob("traced/counted-*")) - {first}
    second.write_bytes(first.read_bytes())
    mended, third = Counted(fixed=("b",)), Counted(fixed=("b",))
    mended(TREE)
    third(TREE)
    assert (mended.traces, third.traces) == (1, 0)


def test_a_folder_that_cannot_be_written_costs_only_time(folder):
    (folder / "traced").write_text("a file where the folder would be")
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
    assert not list(folder.glob("traced/*"))


def test_a_family_of_the_users_own_is_not_kept(folder):
    """Nor is what was built with one: under the same name the next process may have another density."""
    built_in = Likelihood("poisson", poisson, (LINKS["log"],))
    own = dataclasses.replace(built_in, is_kept=False)
    Counted(fixed=(Approximation(Conditional(built_in), Theta((), 0, False)),))(TREE)
    assert len(list(folder.glob("traced/*"))) == 1
    for fixed in ((own,), (Approximation(Conditional(own), Theta((), 0, False)),), ((own, 1), "a")):
        np.testing.assert_array_equal(Counted(fixed=fixed)(TREE)[0], 5.0)
    assert len(list(folder.glob("traced/*"))) == 1
