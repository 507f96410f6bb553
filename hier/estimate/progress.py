"""What long computations show: a bar, and while programs are compiled, that they are, and for how long already."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

from hier.kernel.programs.waiting import compiling
from hier.settings import TRUTH, check

REFRESH = 0.2  # seconds
CLEAR_LINE = "\r\x1b[2K"


@contextlib.contextmanager
def progress_bar(total: int, what: str, *, shown: bool) -> Generator[Callable[[int], None]]:
    """A bar that is told how many of `total` are done; until the first is, it says when programs are compiled."""
    if not check("progress", shown, TRUTH):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class OwnProgress(Progress):
        def get_renderables(self) -> Iterable[Any]:
            begun = any(own.completed for own in self.tasks)
            words = None if begun else _compiling_in_words(what)
            return super().get_renderables() if words is None else [Text(words)]

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = OwnProgress(*columns, console=Console(stderr=True))
    task = bar.add_task(what, total=total)
    with bar:
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def told_of_compiling(what: str, *, shown: bool) -> Generator[None]:
    """For work without a bar: a line on the terminal for as long as programs are compiled, and nothing otherwise."""
    if not (shown and _is_terminal()):
        yield
        return
    ended = threading.Event()
    telling = threading.Thread(target=_tell, args=(what, ended), daemon=True)
    telling.start()
    try:
        yield
    finally:
        ended.set()
        telling.join()


def _tell(what: str, ended: threading.Event) -> None:
    told = False
    while not ended.wait(REFRESH):
        words = _compiling_in_words(what)
        if words is not None or told:
            sys.stderr.write(CLEAR_LINE + (words or ""))
            sys.stderr.flush()
        told = words is not None
    if told:
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


def _compiling_in_words(what: str) -> str | None:
    seconds = compiling.seconds()
    return None if seconds is None else f"{what}: compiling (first use of this structure), {seconds:.0f} s"


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
