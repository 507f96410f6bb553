"""Timing: warm-up, rounds in which the programs take turns, and ratios within a round.

Two programs measured one after the other on a machine that others use can differ by more than their own speed. So
they take turns (A B, then B A, and so on), and a ratio is formed within each round before the median is taken: what
slows a whole round slows both sides of its ratio.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Reply = dict[str, Any]
Task = Callable[[int], Reply]


class TaskError(Exception):
    """A measured program could not do what it was asked; the text says why."""


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of a series."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """The replies of each task, a list a task with one reply a round, and the trouble of the tasks that gave none."""

    replies: dict[str, list[Reply]]
    trouble: dict[str, str]

    def values(self, name: str, number: Callable[[Reply], float]) -> list[float]:
        """One number a round from the replies of a task; empty when the task gave none."""
        return [number(reply) for reply in self.replies.get(name, [])]


def spread(values: Sequence[float]) -> Spread:
    """Summarise a series that is not empty."""
    return Spread(statistics.median(values), min(values), max(values))


def paired(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Summarise the ratios of two series round by round."""
    return spread([above / below for above, below in zip(numerators, denominators, strict=True)])


def seconds(reply: Reply) -> float:
    """The time of one round: the median over its calls."""
    return statistics.median(reply["seconds"])


def take_turns(tasks: Mapping[str, Task], rounds: int, warmups: int = 1) -> Series:
    """Run every task once a round, in an order that turns by one place each round, after unrecorded warm-ups.

    A task that fails is left out from there on and its trouble is kept, so that one broken peer spoils nothing else.
    """
    trouble: dict[str, str] = {}
    replies: dict[str, list[Reply]] = {name: [] for name in tasks}
    for turn in range(warmups + rounds):
        names = list(tasks)
        shift = turn % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            if name in trouble:
                continue
            try:
                reply = tasks[name](turn)
            except TaskError as error:
                trouble[name] = str(error)
                continue
            if turn >= warmups:
                replies[name].append(reply)
    complete = {name: found for name, found in replies.items() if name not in trouble}
    return Series(complete, trouble)
