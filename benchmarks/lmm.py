"""Mixed models of a Normal response beside all peers, from 432 rows to a million, and what they cost hier.

Each item is a part of its own (`--only lmm-pigs`); `--only lmm` takes them all. Calls start from the data frame and
include Satterthwaite's degrees of freedom where the program has them. The programs may use every core.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import modelfile, simulated
from benchmarks.items import Item, add_rows, count_rows, on, repeated, tasks_of
from benchmarks.measure import Reply, Task, TaskError, seconds, take_turns
from benchmarks.modelfile import Problem
from benchmarks.programs import HIER, REFITS, Setting
from benchmarks.table import Part, compare
from benchmarks.worker import ROOT, environment

PIGS = ROOT / "models" / "pigs.toml"
INSTEVAL = ROOT / "tests" / "oracle" / "data" / "InstEval.csv.gz"
MODES = {HIER: "estimate_df", "glmm": "estimate_df", "mixedlm": "estimate_df", "lme4": "estimate_df"}
# statsmodels has no degrees of freedom, takes one grouping factor, and needs minutes for thousands of groups.
SMALL = MODES | {"statsmodels": "estimate"}
# (rows, groups) at which the likelihood is measured: by rows, then by groups.
SIZES = ((10_000, 1_000), (100_000, 1_000), (1_000_000, 1_000), (1_000_000, 10_000), (1_000_000, 100_000))


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
    "lmm-slopes-100k": Item(slopes(100_000, 5_000), MODES, rounds=5, calls=3, once=("lme4",)),
    "lmm-slopes-1m": Item(slopes(1_000_000, 50_000), MODES, rounds=3, calls=3, once=("lme4",)),
    "lmm-insteval": Item(insteval, MODES, rounds=3, calls=3, once=("lme4",)),
}
ITEMS = (*REPEATED, "lmm-bootstrap", "lmm-evaluation", "lmm-crossed-1m")


def part(name: str, setting: Setting, rounds: int | None) -> Part:
    """Measure one item; `rounds` in place of its own number of them."""
    if name == "lmm-evaluation":
        return evaluation(setting, rounds or 5)
    if name == "lmm-bootstrap":
        return bootstrap(on(setting, pigs(setting.scratch)), rounds or 3)
    if name == "lmm-crossed-1m":
        data = simulated.written(simulated.crossed(1_000_000), setting.scratch / "crossed.csv")
        return once(name, on(setting, Problem(simulated.CROSSED, data, Path(simulated.__file__))))
    item = REPEATED[name]
    return repeated(name, on(setting, item.problem(setting.scratch)), item, rounds or item.rounds)


def bootstrap(setting: Setting, rounds: int) -> Part:
    """Refits to simulated responses, by the time that one refit takes."""
    sizes = ", ".join(f"{name} {refits}" for name, refits in REFITS.items())
    note = f"parametric bootstrap of {setting.problem.formula}; refits: {sizes}; {rounds} rounds, milliseconds a refit"
    found = Part("lmm-bootstrap", note, scale=1e3)
    modes = dict.fromkeys(REFITS, "bootstrap")
    with ExitStack() as stack:
        series = take_turns(tasks_of(found, setting, modes, 1, stack), rounds)
    add_rows(found, series, modes, lambda reply: seconds(reply) / reply["refits"], what="refit")
    return found


def once(name: str, setting: Setting) -> Part:
    """One fit a program, each in a process of its own while no other runs: seconds, and the most memory it held."""
    limit = f"at most {setting.limit_s:.0f} s each"
    note = f"{setting.problem.formula}, {count_rows(setting)} rows; first call of a process, with df; {limit}; s and MB"
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
    add_rows(found, series, modes, seconds)
    add_rows(found, series, modes, lambda reply: reply.get("peak_mb", float("nan")), what="memory")
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
