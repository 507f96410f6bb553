"""Responses that are not Normal, and posteriors of models with crossed factors, beside the peers that manage them.

Each item is a part of its own (`--only contraception-posterior`); `--only families` takes them all. The programs may
use every core.
"""

import dataclasses
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import parts
from benchmarks.items import Item, add_rows, count_rows, on, repeated, tasks_of
from benchmarks.lmm import insteval
from benchmarks.measure import Reply, Task, TaskError, take_turns
from benchmarks.modelfile import Problem
from benchmarks.programs import HIER, Setting
from benchmarks.simulated import written
from benchmarks.table import Part, compare
from benchmarks.worker import ROOT

CONTRACEPTION = ROOT / "tests" / "oracle" / "data" / "Contraception.csv"
ESTIMATES = {HIER: "estimate", "glmm": "estimate", "lme4": "estimate", "glmmTMB": "glmmTMB"}


def contraception(folder: Path) -> Problem:
    """Use of contraception by women in 60 districts; the response as 0 and 1, which every program reads."""
    import pandas as pd

    table = pd.read_csv(CONTRACEPTION, index_col=0)
    table["use"] = (table["use"] == "Y").astype(int)
    data = written(table, folder / "contraception.csv")
    formula = "use ~ age + I(age**2) + urban + livch + (urban | district)"
    return Problem(formula, data, CONTRACEPTION, "bernoulli")


def with_square(folder: Path) -> Problem:
    """The same with the square as a column of its own: not every program has expressions in formulas."""
    import pandas as pd

    problem = contraception(folder)
    table = pd.read_csv(problem.data)
    data = written(table.assign(age2=table["age"] ** 2), problem.data.with_name("contraception-square.csv"))
    return dataclasses.replace(problem, formula=problem.formula.replace("I(age**2)", "age2"), data=data)


ESTIMATE = Item(with_square, ESTIMATES, rounds=7, calls=5, once=("lme4", "glmmTMB"))
ITEMS = ("contraception-estimate", "contraception-posterior", "contraception-cold", "insteval-posterior")


def part(name: str, setting: Setting, rounds: int | None) -> Part:
    """Measure one item; `rounds` in place of its own number of them."""
    if name == "insteval-posterior":
        return posterior(name, on(setting, insteval(setting.scratch)), rounds or 1, "bambi")
    if name == "contraception-estimate":
        return repeated(name, on(setting, ESTIMATE.problem(setting.scratch)), ESTIMATE, rounds or ESTIMATE.rounds)
    there = on(setting, contraception(setting.scratch))
    if name == "contraception-posterior":
        return posterior(name, there, rounds or 2, "brms")
    return cold(name, there, rounds or 1)


def posterior(name: str, setting: Setting, rounds: int, peer: str) -> Part:
    """Draws from a compiled program, and the smallest effective sample size that a second of them brings."""
    sizes = f"{setting.chains} x {setting.draws} draws, {rounds} rounds, seconds; without compilation"
    found = Part(name, f"{setting.problem.formula}, {count_rows(setting)} rows; {sizes}")
    modes = {HIER: "sample", peer: "sample"}
    with ExitStack() as stack:
        series = take_turns(tasks_of(found, setting, modes, 1, stack), rounds)
    add_rows(found, series, modes, parts.sampling_seconds, what="sampling")
    figures = {each: series.values(each, lambda reply: float(reply["ess"])) for each in modes}
    rates = {each: series.values(each, parts.ess_per_second) for each in modes}
    for what, values in (("smallest bulk ESS", figures), ("smallest ESS per second", rates)):
        found.rows += compare(f"{what} / {peer}", values[HIER], values[peer], (f"{name} {what}", peer), more=True)
    return found


def cold(name: str, setting: Setting, rounds: int) -> Part:
    """hier's whole process with nothing compiled, beside the time that brms takes to compile."""
    found = Part(name, f"{setting.problem.formula}; hier from start to end, brms' compilation alone; seconds")

    def ours(turn: int) -> Reply:
        with tempfile.TemporaryDirectory(dir=setting.scratch, ignore_cleanup_errors=True) as folder:
            return parts.hier_process(setting, Path(folder))

    def brms(turn: int) -> Reply:
        with setting.start("brms") as worker:
            if worker.missing:
                raise TaskError(f"not installed ({worker.missing} not found)")
            return worker.go("compile", turn + 1)

    tasks: dict[str, Task] = {HIER: ours, "brms": brms}
    series = take_turns(tasks, rounds, warmups=0)
    found.trouble.update(series.trouble)
    process = series.values(HIER, lambda reply: float(reply["process_s"]))
    compiling = series.values("brms", lambda reply: float(reply["seconds"][0]))
    found.rows += compare("process / brms' compilation", process, compiling, (name, "brms"))
    return found
