"""The bar that long computations show."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from hier.settings import TRUTH, check


@contextlib.contextmanager
def progress_bar(total: int, what: str, *, shown: bool) -> Generator[Callable[[int], None]]:
    """A bar that is told how many of `total` are done."""
    if not check("progress", shown, TRUTH):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
