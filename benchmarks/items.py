"""Items of a run that bring a problem of their own: repeated calls on it, the programs taking turns."""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Reply, Series, Task, seconds, take_turns
from benchmarks.modelfile import Problem
from benchmarks.programs import HIER, Setting, start_all
from benchmarks.table import Part, Program, answer, compare


@dataclass(frozen=True)
class Item:
    """Repeated calls on one problem: which programs in which mode, how many rounds of how many calls.

    `once`: programs that take so long that they make one call a round. A round's time is the median of its calls, and
    a program that has waited for such a one needs a call or two to be as quick as repeated calls are.
    """

    problem: Callable[[Path], Problem]
    modes: Mapping[str, str]
    rounds: int
    calls: int
    once: tuple[str, ...] = ()


def repeated(name: str, setting: Setting, item: Item, rounds: int) -> Part:
    """Fits from the data frame, call after call, the programs taking turns."""
    with_df = "with df; " if "estimate_df" in item.modes.values() else ""
    once = f" ({', '.join(item.once)}: 1)" if item.once else ""
    sizes = f"{with_df}{rounds} rounds of {item.calls} calls{once}, milliseconds"
    found = Part(name, f"{setting.problem.formula}, {count_rows(setting)} rows; {sizes}", scale=1e3)
    with ExitStack() as stack:
        tasks = tasks_of(found, setting, item.modes, item.calls, stack, item.once)
        series = take_turns(tasks, rounds)
    add_rows(found, series, item.modes, seconds)
    return found


def on(setting: Setting, problem: Problem) -> Setting:
    return dataclasses.replace(setting, problem=problem)


def count_rows(setting: Setting) -> str:
    """The rows of the data file, header apart."""
    import pandas as pd

    return f"{len(pd.read_csv(setting.problem.data, usecols=[0])):,}"


def tasks_of(
    found: Part, setting: Setting, modes: Mapping[str, str], calls: int, stack: ExitStack, once: tuple[str, ...] = ()
) -> dict[str, Task]:
    """Start the programs, note which are there, and give each its work: so many calls a round, or one."""
    started = start_all(setting, modes, stack)
    found.absent.update(started.absent)
    for name, worker in started.workers.items():
        found.programs.append(Program(name, worker.ready["version"], worker.ready["import_s"]))
    return {name: started.task(name, modes[name], 1 if name in once else calls) for name in started.workers}


def add_rows(
    found: Part, series: Series, modes: Mapping[str, str], number: Callable[[Reply], float], what: str = "call"
) -> None:
    """A row a peer with hier beside it, and under them what each program answered or why it did not."""
    found.trouble.update(series.trouble)
    ours = series.values(HIER, number)
    for name, mode in modes.items():
        label = "lmerTest" if (name, mode) == ("lme4", "estimate_df") else name
        if name != HIER:
            found.rows += compare(
                f"{what} / {label}", ours, series.values(name, number), (f"{found.name} {what}", name)
            )
    found.answers = [answer(name, replies[-1]) for name, replies in series.replies.items()]
