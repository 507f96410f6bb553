"""Run folders: made under a temporary name and moved when they are whole, never written over silently.

A folder under its final name is complete. One that was cut short keeps a name such as `.pigs.1f3a9c02.part`, and has no
`run.json`, which is written last.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hier.errors import JobError
from hier.jobs.record import read_json, write_json
from hier.text import blocks

FORMAT = "hier run 1"
RECORD = "run.json"
FILES = ("model.toml", "estimate.json", "posterior.nc", "comparison.csv", "summary.txt", "report.html")


@dataclass(frozen=True)
class RunCheck:
    """Whether a run folder is complete: `problems` has a sentence for everything that is not as it was written."""

    path: Path
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        head = f"{self.path}: " + ("complete" if self.complete else "not a complete run folder")
        return blocks([[head, *(f"  - {problem}" for problem in self.problems)]])


def check_run(path: str | Path) -> RunCheck:
    """Compare a run folder with what its `run.json` says of it: finished, every file there, every file of its size."""
    path = Path(path)
    if not path.is_dir():
        return RunCheck(path, ("there is no such folder",))
    try:
        record = read_json(path / RECORD)
    except JobError as error:
        return RunCheck(path, (error.what,))
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("files"), dict):
        return RunCheck(path, (f"its {RECORD} is not one that hier wrote",))
    problems = [] if record.get("finished") is True else ["the run was not finished"]
    for name in FILES:
        file, size = path / name, record["files"].get(name)
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif file.stat().st_size != size:
            problems.append(f"{name} has {file.stat().st_size} bytes, where {size} were written")
    return RunCheck(path, tuple(problems))


def finish(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json`, last of all: what the run was, and the size of every file."""
    files = {name: (folder / name).stat().st_size for name in FILES}
    write_json({"format": FORMAT, "finished": True, **record, "files": files}, folder / RECORD)


@contextlib.contextmanager
def new_run_folder(out: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `out` to write to; it becomes `out` at the end, and is removed if that is not reached.

    With `force` an older run folder of that name is replaced, after the new one is whole. Raises JobError where `out`
    exists, or cannot be made.
    """
    out = Path(out).expanduser().resolve()
    refuse_existing(out, force=force)
    part = _make_part(out)
    try:
        yield part
    except BaseException:  # Ctrl-C too
        shutil.rmtree(part, ignore_errors=True)
        raise
    _move(part, out, force)


def refuse_existing(out: Path, *, force: bool) -> None:
    """Refuse a name that is taken; with `force` only one that holds anything but a run folder of hier."""
    if not out.exists():
        return
    if not out.is_dir():
        raise JobError(f"{out.name} is a file, not a run folder", where=str(out), hint="choose another name with --out")
    if not force:
        raise JobError(
            f"the folder {out.name or out} exists already",
            where=str(out),
            hint="choose another name, or replace the run in it with --force",
        )
    held = {each.name for each in out.iterdir()}
    foreign = sorted(held - {*FILES, RECORD})
    if foreign or (held and RECORD not in held):
        raise JobError(
            f"the folder {out.name or out} is not replaced, because it holds more than a run of hier",
            where=str(out),
            found=", ".join(foreign[:5]) + (", ..." if len(foreign) > 5 else "") if foreign else f"no {RECORD}",
            hint="move these files away, or choose another name",
        )


def _make_part(out: Path) -> Path:
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    except OSError as error:
        raise JobError(
            f"the folder {out.name} cannot be made",
            where=str(out),
            found=error.strerror or str(error),
            hint="choose a place where you may write",
        ) from error
    return part


def _move(part: Path, out: Path, force: bool) -> None:
    """The new folder takes the name; what was there goes after that. A failure leaves the results where they are."""
    old = None
    try:
        refuse_existing(out, force=force)
        if out.exists():
            old = part.with_suffix(".old")
            out.rename(old)
        part.replace(out)
    except (OSError, JobError) as error:
        if old is not None and not out.exists():
            old.rename(out)
        raise JobError(
            f"the finished run cannot take the name {out.name}",
            where=str(out),
            found=str(error),
            hint=f"the results are whole, in {part}: rename that folder",
        ) from error
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
