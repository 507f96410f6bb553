"""Which programs are measured, how each is started, and the figures that hier is held to."""

import shutil
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Reply, Task, TaskError
from benchmarks.modelfile import Problem
from benchmarks.worker import LIMIT_S, ROOT, Worker

HIER = "hier"

# How many times better than the peer hier has to be (as fast, or as many effective draws a second).
TARGETS = {
    ("estimate", "mixedlm"): 1.0,
    ("lmm-pigs call", "glmm"): 1 / 3,
    ("lmm-insteval call", "glmm"): 2.0,
    ("lmm-slopes-1m call", "glmm"): 2.0,
    ("lmm-bootstrap refit", "lme4"): 100.0,
    ("contraception-estimate call", "glmm"): 0.5,
    ("contraception-posterior smallest ESS per second", "brms"): 10.0,
    ("contraception-cold", "brms"): 1.0,
    ("insteval-posterior smallest ESS per second", "bambi"): 10.0,
    ("effective draws", "bambi"): 50.0,
    ("cold empty", "bambi"): 1.0,
    ("cold filled", "bambi"): 1.0,
}


# Refits of a parametric bootstrap; the peers' times are scaled per refit.
REFITS = {HIER: 1000, "mixedlm": 100, "lme4": 100}


# Programs in R, and the script that speaks for each.
SCRIPTS = {"lme4": "lme4.R", "glmmTMB": "lme4.R", "brms": "brms.R"}


@dataclass(frozen=True)
class Setting:
    """What all parts of a run share: the problem, the interpreters, the sizes, and a folder for scratch."""

    problem: Problem
    peers: str
    scratch: Path
    chains: int
    draws: int
    blas_threads: int
    limit_s: float = LIMIT_S

    def changes(self, cache: Path) -> dict[str, str]:
        """Settings that every program gets, hier's cache folder among them.

        Bytecode goes to a folder of this run, so that imports are measured with bytecode present and nothing is
        written beside the sources. One BLAS thread: on matrices of this size more threads gain nothing, and where
        other work shares the cores they wait for each other, which would make some peers ten times slower.
        """
        fixed = {"HIER_CACHE_DIR": str(cache), "PYTHONPYCACHEPREFIX": str(self.scratch / "bytecode")}
        if self.blas_threads < 1:
            return fixed
        names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
        return fixed | dict.fromkeys(names, str(self.blas_threads))

    def command(self, name: str) -> list[str]:
        """The words that start a program under the line protocol."""
        sizes = ["--chains", str(self.chains), "--draws", str(self.draws), "--refits", str(REFITS.get(name, 1))]
        if name in SCRIPTS:
            script = str(ROOT / "benchmarks" / "peers" / SCRIPTS[name])
            return [shutil.which("Rscript") or "Rscript", "--vanilla", script, *self.problem.arguments(), *sizes]
        if name == HIER:
            return [sys.executable, "-m", "benchmarks.hier_pigs", *self.problem.arguments(), *sizes]
        return [self.peers, "-m", f"benchmarks.peers.{name}", *self.problem.arguments(), *sizes]

    def start(self, name: str) -> Worker:
        """Start a program; hier keeps what it compiles in a folder of this run."""
        return Worker(self.command(name), self.changes(self.scratch / "cache"), self.limit_s)


@dataclass
class Started:
    """Running programs by name, and for those that do not run the reason."""

    workers: dict[str, Worker] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def task(self, name: str, mode: str, calls: int) -> Task:
        """One round of one program: `calls` calls of a mode, with the round's number as the seed."""

        def run(turn: int) -> Reply:
            return self.workers[name].go(mode, turn + 1, calls)

        return run


def start_all(setting: Setting, names: Iterable[str], stack: ExitStack) -> Started:
    """Start the programs that are installed; the others are listed with the reason."""
    found = Started()
    for name in names:
        if name in SCRIPTS and shutil.which("Rscript") is None:
            found.absent[name] = "not installed (no Rscript on the path)"
            continue
        try:
            setting.start(name).close()  # once for nothing: the import that counts finds bytecode and warm files
            worker = stack.enter_context(setting.start(name))
        except TaskError as error:
            found.absent[name] = f"does not start: {error}"
            continue
        if worker.missing:
            found.absent[name] = f"not installed ({worker.missing} not found)"
        else:
            found.workers[name] = worker
    return found
