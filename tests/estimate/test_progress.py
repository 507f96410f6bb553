"""The bar of long computations, and the line that says that programs are compiled."""

from __future__ import annotations

import io
import sys
import time

import pytest

from hier.estimate.progress import progress_bar, told_of_compiling
from hier.kernel.programs.waiting import compiling

SAID = "compiling (first use of this structure), 0 s"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_on(monkeypatch) -> Terminal:
    """A terminal in the place of standard error."""
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


def test_a_bar_says_that_programs_are_compiled_until_the_first_is_done(monkeypatch) -> None:
    terminal = shown_on(monkeypatch)
    with progress_bar(20, "Sampling", shown=True) as on_progress:
        with compiling:
            time.sleep(0.5)
            assert f"Sampling: {SAID}" in terminal.getvalue()
        on_progress(7)
        terminal.truncate(0)
        with compiling:  # for another call, which Ctrl-C has ended
            time.sleep(0.3)
        on_progress(20)
    assert "20/20" in terminal.getvalue()
    assert SAID not in terminal.getvalue()


def test_a_bar_says_nothing_where_nothing_is_compiled(monkeypatch) -> None:
    terminal = shown_on(monkeypatch)
    with progress_bar(20, "Sampling", shown=True) as on_progress:
        time.sleep(0.3)
        assert "0/20" in terminal.getvalue()
        on_progress(20)
    assert "compiling" not in terminal.getvalue()


def test_work_without_a_bar_has_a_line_while_programs_are_compiled(monkeypatch) -> None:
    terminal = shown_on(monkeypatch)
    with told_of_compiling("Estimating", shown=True):
        time.sleep(0.5)
        assert terminal.getvalue() == ""
        with compiling:
            time.sleep(0.5)
        assert terminal.getvalue().endswith(f"Estimating: {SAID}")
    assert terminal.getvalue().endswith("\x1b[2K"), "the line is cleared"


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_what_is_no_terminal_is_left_alone(monkeypatch, stream) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with told_of_compiling("Estimating", shown=True), compiling:
        time.sleep(0.5)
    assert stream is None or stream.getvalue() == ""
