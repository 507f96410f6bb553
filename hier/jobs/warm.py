"""Programs compiled ahead: for images of containers, job queues and teaching machines, where nobody should wait.

A program depends on the structure of a model and on sizes that are rounded up, not on data. So small made-up data of
the usual structures do: each is estimated, and sampled as briefly as can be, in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.errors import HierError, JobError
from hier.estimate.progress import progress_bar
from hier.files import refuse_unwritable
from hier.interface import Model
from hier.jobs.job import estimate_of, sample_of
from hier.jobs.modelfile import ModelFile, build, with_settings
from hier.kernel.programs import cache
from hier.kernel.programs.at_once import only
from hier.kernel.programs.capacity import cpus
from hier.kernel.programs.waiting import compiling

GROUPS = (20, 50)  # levels of the made-up grouping factors, where nothing else is asked for
ROWS = 10  # of each level
FEWEST_DRAWS = 4


class Usual(NamedTuple):
    """A formula on made-up columns y, x, g, a and b, and the family of its response."""

    formula: str
    family: str = "gaussian"
    groups: int = GROUPS[0]

    def __str__(self) -> str:
        return f"{self.formula}   {self.family}, {self.groups} groups"


# what papers and courses fit most: an intercept or a line for each group, with and without a correlation, two crossed
# and two nested factors, and logistic and count regressions
USUAL = (
    Usual("y ~ x + (1 | g)"),
    Usual("y ~ x + (x | g)"),
    Usual("y ~ x + (x || g)"),
    Usual("y ~ x + (1 | a) + (1 | b)"),
    Usual("y ~ x + (1 | a / b)"),
    Usual("y ~ x + (1 | g)", "bernoulli"),
    Usual("y ~ x + (x | g)", "bernoulli"),
    Usual("y ~ x + (1 | a) + (1 | b)", "bernoulli"),
    Usual("y ~ x + (1 | g)", "poisson"),
    Usual("y ~ x + (x | g)", "poisson"),
    Usual("y ~ x + (1 | g)", "negbinomial"),
)


class Warmed(NamedTuple):
    """What was compiled for a structure: so many programs, in so many seconds; or why nothing could be."""

    of: str
    programs: int
    seconds: float
    refusal: str = ""

    def __str__(self) -> str:
        if self.refusal:
            return f"{self.of}: {self.refusal}"
        found = f"{self.programs} compiled" if self.programs else "there already"
        return f"{self.of}: {found}, {self.seconds:.0f} s"


def usual(groups: Sequence[int] | None = None) -> list[Usual]:
    """The usual structures for so many groups each, or for a small and a larger number."""
    return [own._replace(groups=n) for n in groups or GROUPS for own in USUAL]


def warm_usual(structures: Sequence[Usual], processes: int | None = None) -> list[Warmed]:
    """Compile what estimates and posteriors of these structures need, each structure in a process of its own.

    Raises JobError where nothing can be kept.
    """
    refuse_without_room()
    count = min(processes or cpus(), len(structures))
    found: list[Warmed] = []
    with (
        _pool(count) as pool,
        progress_bar(len(structures), "Compiling", shown=True) as on_progress,
    ):
        for warmed in pool.imap_unordered(_warm_structure, structures):
            found.append(warmed)
            on_progress(len(found))
    return sorted(found, key=lambda own: [str(each) for each in structures].index(own.of))


def warm_model(model_file: ModelFile) -> Warmed:
    """Compile what the estimate and the posterior of one model need, on its own data."""
    refuse_without_room()
    before, began = compiling.total, time.perf_counter()
    model = build(model_file)
    with progress_bar(1, "Compiling", shown=True) as on_progress:
        _fit_both(model_file, model)
        on_progress(1)
    return Warmed(model_file.name, compiling.total - before, time.perf_counter() - began)


def refuse_without_room() -> None:
    """Raise JobError where no program can be kept."""
    refuse_unwritable(cache.programs_folder() / "any.program", "a compiled program")
    if cache.bound() == 0:
        raise JobError(
            "nothing is kept of what is compiled", where=cache.BOUND, found="0", expected="a size such as 1GB"
        )


def made_up(structure: Usual, seed: int = 1) -> pd.DataFrame:
    """Data of a structure: `groups` levels of g with ten rows each; a is the same, and b is crossed with it, or within
    it has five levels of two rows.
    """
    random, n = np.random.default_rng(seed), structure.groups * ROWS
    g = np.repeat(np.arange(structure.groups), ROWS)
    b = np.tile(np.arange(ROWS), structure.groups) // (2 if "/" in structure.formula else 1)
    x = random.standard_normal(n)
    eta = 0.5 * x + 0.7 * (random.standard_normal(structure.groups)[g] + random.standard_normal(ROWS)[b])
    y = {
        "gaussian": lambda: eta + random.standard_normal(n),
        "bernoulli": lambda: (random.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(int),
        "poisson": lambda: random.poisson(np.exp(eta)),
        "negbinomial": lambda: random.poisson(np.exp(eta) * random.gamma(2.0, 0.5, n)),
    }[structure.family]()
    return pd.DataFrame({"y": y, "x": x, "g": g, "a": g, "b": b}).astype({"g": str, "a": str, "b": str})


def _warm_structure(structure: Usual) -> Warmed:
    before, began = compiling.total, time.perf_counter()
    model_file = ModelFile(structure.formula, "", folder=cache.cache_folder(), family=structure.family)
    try:
        _fit_both(model_file, Model(structure.formula, made_up(structure), family=structure.family))
    except HierError as error:
        return Warmed(str(structure), 0, 0.0, str(error))
    return Warmed(str(structure), compiling.total - before, time.perf_counter() - began)


def _fit_both(model_file: ModelFile, model: Model) -> None:
    """Estimate and sample by compiled programs, as briefly as can be: they are those of any number of draws."""
    with only(numpy=False):
        estimate_of(model_file, model).summary()
        sample_of(with_settings(model_file, draws=FEWEST_DRAWS), model)


def _pool(count: int) -> Pool:
    """Processes that leave Ctrl-C to the one that waits for them, and a GPU's memory to each other. Each takes one
    structure, since what it has compiled stays in its memory.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    resource_tracker.ensure_running()  # which would let Ctrl-C through again when the first process is started
    blocked = hasattr(signal, "pthread_sigmask") and signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return multiprocessing.get_context("spawn").Pool(count, maxtasksperchild=1)
    finally:
        if blocked is not False:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
