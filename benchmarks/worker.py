"""The measuring side of the line protocol: one running program that works when it is told to."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measure import Reply, TaskError

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 600.0


# Settings of the caller under which a program would find a filled cache, or would never find its bytecode.
DROPPED = ("JAX_COMPILATION_CACHE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with `changes`, without the settings that would distort the figures."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    return kept | dict(changes)


class Worker:
    """A started program; `ready` is its first line, and `missing` names what it needs and does not find."""

    def __init__(self, command: Sequence[str], changes: Mapping[str, str], limit_s: float = LIMIT_S) -> None:
        self.started = time.perf_counter()
        self._limit_s = limit_s
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - open as long as the program
        try:
            self._process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=environment(changes),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            self._errors.close()
            raise TaskError(f"could not start {command[0]}: {error}") from error
        try:
            self.ready = self._read()
        except TaskError:
            self.close()
            raise
        self.missing = self.ready.get("missing")

    def go(self, mode: str, seed: int = 1, calls: int = 1) -> Reply:
        """Have the program do `mode` that many times, one call after the other, and return its answer."""
        try:
            self._pipe("stdin").write(f"go {mode} {seed} {calls}\n")
            self._pipe("stdin").flush()
        except BrokenPipeError as error:
            raise TaskError(self._last_words()) from error
        reply = self._read()
        if "error" in reply:
            raise TaskError(str(reply["error"]))
        return reply

    def close(self) -> None:
        """End the program's input, and the program if it does not end by itself."""
        try:
            self._process.communicate(timeout=20)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pipe(self, name: str) -> Any:
        return getattr(self._process, name)

    def _read(self) -> Reply:
        """The next answer; a program that takes longer than the limit is ended."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        alarm = threading.Timer(self._limit_s, end)
        alarm.start()
        try:
            line = self._pipe("stdout").readline()
        finally:
            alarm.cancel()
        if not line:
            raise TaskError(f"took longer than {self._limit_s:.0f} s" if late.is_set() else self._last_words())
        reply: Reply = json.loads(line)
        return reply

    def _last_words(self) -> str:
        """The last line that the program wrote to its error stream."""
        self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return lines[-1] if lines else f"ended with status {self._process.returncode}"
