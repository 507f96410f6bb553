"""Mixed models of a Normal response beside all peers, from 432 rows to a million, and what they cost hier.

Each item is a part of its own (`--only lmm-pigs`); `--only lmm` takes them all. Calls start from the data frame and
include Satterthwaite's degrees of freedom where the program has them. The programs may use every core.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import modelfile, simulated
from benchmarks.measure import Reply, Series, Task, TaskError, seconds, take_turns
from benchmarks.modelfile import Problem
from benchmarks.programs import HIER, REFITS, Setting, start_all
from benchmarks.table import Part, Program, answer, compare
from benchmarks.worker import ROOT, environment

PIGS = ROOT / "models" / "pigs.toml"
INSTEVAL = ROOT / "tests" / "oracle" / "data" / "InstEval.csv.gz"
MODES = {HIER: "estimate_df", "glmm": "estimate_df", "mixedlm": "estimate_df", "lme4": "estimate_df"}
# statsmodels has no degrees of freedom, takes one grouping factor, and needs minutes for thousands of groups.
SMALL = MODES | {"statsmodels": "estimate"}
# (rows, groups) at which the likelihood is measured: by rows, then by groups.
SIZES = ((10_000, 1_000), (100_000, 1_000), (1_000_000, 1_000), (1_000_000, 10_000), (1_000_000, 100_000))


@dataclass(frozen=True)
class Item:
    """Repeated calls on one problem: which programs in which mode, how many rounds of how many calls."""

    problem: Callable[[Path], Problem]
    modes: Mapping[str, str]
    rounds: int
    calls: int


def pigs(folder: Path) -> Problem:
    """The packaged data set and its model file."""
    return modelfile.read(PIGS, folder)


def slopes(rows: int, groups: int) -> Callable[[Path], Problem]:
    """Simulated intercepts and slopes."""

    def make(folder: Path) -> Problem:
        data = simulated.written(simulated.slopes(rows, groups), folder / f"slopes-{rows}.csv")
        return Problem(simulated.SLOPES, data, Path(simulated.__file__))

    return make


def insteval(folder: Path) -> Problem:
    """Ratings of lectures: students, lecturers, and departments by kind of service, crossed."""
    return Problem("y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept:service)", INSTEVAL, INSTEVAL)


REPEATED = {
    "lmm-pigs": Item(pigs, SMALL, rounds=15, calls=5),
    "lmm-slopes-100k": Item(slopes(100_000, 5_000), MODES, rounds=5, calls=1),
    "lmm-slopes-1m": Item(slopes(1_000_000, 50_000), MODES, rounds=3, calls=1),
    "lmm-insteval": Item(insteval, MODES, rounds=3, calls=1),
}
ITEMS = (*REPEATED, "lmm-bootstrap", "lmm-evaluation", "lmm-crossed-1m")


def part(name: str, setting: Setting, rounds: int | None) -> Part:
    """Measure one item; `rounds` in place of its own number of them."""
    if name == "lmm-evaluation":
        return evaluation(setting, rounds or 5)
    if name == "lmm-bootstrap":
        return bootstrap(_on(setting, pigs(setting.scratch)), rounds or 3)
    if name == "lmm-crossed-1m":
        data = simulated.written(simulated.crossed(1_000_000), setting.scratch / "crossed.csv")
        return once(name, _on(setting, Problem(simulated.CROSSED, data, Path(simulated.__file__))))
    item = REPEATED[name]
    return repeated(name, _on(setting, item.problem(setting.scratch)), item, rounds or item.rounds)


def repeated(name: str, setting: Setting, item: Item, rounds: int) -> Part:
    """REML fits from the data frame, call after call, the programs taking turns."""
    sizes = f"{rounds} rounds of {item.calls} calls, milliseconds"
    found = Part(name, f"{setting.problem.formula}, {_rows(setting)} rows; with df; {sizes}", scale=1e3)
    with ExitStack() as stack:
        tasks = _tasks(found, setting, item.modes, item.calls, stack)
        series = take_turns(tasks, rounds)
    _rows_of_series(found, series, item.modes, seconds)
    return found


def bootstrap(setting: Setting, rounds: int) -> Part:
    """Refits to simulated responses, by the time that one refit takes."""
    sizes = ", ".join(f"{name} {refits}" for name, refits in REFITS.items())
    note = f"parametric bootstrap of {setting.problem.formula}; refits: {sizes}; {rounds} rounds, milliseconds a refit"
    found = Part("lmm-bootstrap", note, scale=1e3)
    modes = dict.fromkeys(REFITS, "bootstrap")
    with ExitStack() as stack:
        series = take_turns(_tasks(found, setting, modes, 1, stack), rounds)
    _rows_of_series(found, series, modes, lambda reply: seconds(reply) / reply["refits"], what="refit")
    return found


def once(name: str, setting: Setting) -> Part:
    """One fit a program, each in a process of its own while no other runs: seconds, and the most memory it held."""
    limit = f"at most {setting.limit_s:.0f} s each"
    note = f"{setting.problem.formula}, {_rows(setting)} rows; first call of a process, with df; {limit}; s and MB"
    found = Part(name, note)
    modes = {each: MODES[each] for each in (HIER, "glmm", "mixedlm")}

    def task(program: str) -> Task:
        def run(turn: int) -> Reply:
            with setting.start(program) as worker:
                if worker.missing:
                    raise TaskError(f"not installed ({worker.missing} not found)")
                return worker.go(modes[program], turn + 1) | {"version": worker.ready["version"]}

        return run

    series = take_turns({program: task(program) for program in modes}, rounds=1, warmups=0)
    _rows_of_series(found, series, modes, seconds)
    _rows_of_series(found, series, modes, lambda reply: reply.get("peak_mb", float("nan")), what="memory")
    return found


def evaluation(setting: Setting, rounds: int) -> Part:
    """What a fit costs once the rows have been passed over, and each evaluation of it: by rows at fixed groups, and by
    groups.
    """
    found = Part("lmm-evaluation", f"{simulated.SLOPES}; {rounds} rounds, milliseconds, compiled", scale=1e3)
    for rows, groups in SIZES:
        size = f"{rows:,} rows, {groups:,} groups"
        command = [sys.executable, "-m", "benchmarks.evaluation", "--rows", str(rows), "--groups", str(groups)]
        command += ["--rounds", str(rounds)]
        changes = environment(setting.changes(setting.scratch / "cache"))
        done = subprocess.run(command, cwd=ROOT, env=changes, capture_output=True, text=True, check=False)
        if done.returncode:
            found.trouble[size] = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
            continue
        reply: Reply = json.loads(done.stdout.strip().splitlines()[-1])
        for what in ("pass", "evaluation", "fit"):
            found.rows += compare(f"{what}: {size}", reply[f"{what}_s"], [], ("", ""))
        found.answers.append(f"{size}: {reply['steps']} Newton steps")
    return found


def _on(setting: Setting, problem: Problem) -> Setting:
    return dataclasses.replace(setting, problem=problem)


def _rows(setting: Setting) -> str:
    """The rows of the data file, header apart."""
    import pandas as pd

    return f"{len(pd.read_csv(setting.problem.data, usecols=[0])):,}"


def _tasks(found: Part, setting: Setting, modes: Mapping[str, str], calls: int, stack: ExitStack) -> dict[str, Task]:
    """Start the programs, note which are there, and give each its work."""
    started = start_all(setting, modes, stack)
    found.absent.update(started.absent)
    for name, worker in started.workers.items():
        found.programs.append(Program(name, worker.ready["version"], worker.ready["import_s"]))
    return {name: started.task(name, modes[name], calls) for name in started.workers}


def _rows_of_series(
    found: Part, series: Series, modes: Mapping[str, str], number: Callable[[Reply], float], what: str = "call"
) -> None:
    """A row a peer with hier beside it, and under them what each program answered or why it did not."""
    found.trouble.update(series.trouble)
    ours = series.values(HIER, number)
    for name, mode in modes.items():
        label = "lmerTest" if (name, mode) == ("lme4", "estimate_df") else name
        if name != HIER:
            found.rows += compare(f"{what} / {label}", ours, series.values(name, number), ("", ""))
    found.answers = [answer(name, replies[-1]) for name, replies in series.replies.items()]
