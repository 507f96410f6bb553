"""Run folders: made under a temporary name and moved when they are whole, never written over silently.

A folder under its final name is complete. One that was cut short keeps a name such as `.pigs.1f3a9c02d4e5b6a7.part`,
and has no `run.json`, which is written last. Only what stands in that record with its digest, and is still so, is
replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hier.errors import JobError
from hier.files import Given, exchange, is_folder, is_there, named, part_beside, place, refusal, sha256
from hier.jobs.record import read_json, write_json
from hier.text import blocks

FORMAT = "hier run 2"
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


def check_run(path: Given) -> RunCheck:
    """Compare a run folder with what its `run.json` says of it: finished, every file there, each as it was written.

    Raises JobError for what cannot be a path.
    """
    path = place(path, "a run folder")
    if not is_folder(path):
        return RunCheck(path, (_absent(path),))
    try:
        record = read_json(path / RECORD)
    except JobError as error:
        return RunCheck(path, (error.what,))
    if record is None or not _is_own(record):
        return RunCheck(path, (f"its {RECORD} is not as hier wrote it",))
    problems = [] if record.get("finished") is True else ["the run was not finished"]
    for name in FILES:
        found = _difference(path / name, record["files"].get(name))
        problems += [] if found is None else [f"{name} {found}"]
    return RunCheck(path, tuple(problems))


def finish(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json`, last of all: what the run was, size and digest of every file, and a digest of the record."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in FILES}
    whole = {"format": FORMAT, "finished": True, **record, "files": files}
    write_json({**whole, "sha256": _digest(whole)}, folder / RECORD)


@contextlib.contextmanager
def new_run_folder(out: Given, *, force: bool = False) -> Generator[Path]:
    """A temporary folder beside `out` to write to; it becomes `out` at the end, and is removed if that is not reached.

    With `force` an older run folder of that name is replaced, after the new one is whole, in one step where the system
    has one: the name always holds one of the two, complete. Raises JobError where `out` exists, or cannot be made.
    """
    out = resolved(out)
    refuse_existing(out, force=force)
    part = _make_part(out)
    try:
        yield part
    except BaseException:  # Ctrl-C too
        shutil.rmtree(part, ignore_errors=True)
        raise
    _move(part, out, force)


def resolved(out: Given) -> Path:
    """The full path of a run folder, links followed. Raises JobError for what cannot be one."""
    path = place(out, "a run folder")
    try:
        path.stat()  # which says of a loop of links, or of a name too long, what resolve() does not
    except FileNotFoundError:
        pass
    except OSError as error:
        raise refusal(f"the folder {named(path.name)} cannot be made", path, error) from error
    return path.resolve()


def refuse_existing(out: Path, *, force: bool) -> None:
    """Refuse a name that is taken; with `force` only one that holds anything but a run as hier wrote it."""
    if not is_there(out):
        return
    if not is_folder(out):
        raise JobError(f"{out.name} is a file, not a run folder", where=str(out), hint="choose another name with --out")
    if not force:
        raise JobError(
            f"the folder {out.name or out} exists already",
            where=str(out),
            hint="choose another name, or replace the run in it with --force",
        )
    foreign = not_hiers(out)
    if foreign:
        raise JobError(
            f"the folder {out.name or out} is not replaced, because it holds more than a run of hier",
            where=str(out),
            found="; ".join(foreign[:5]) + ("; ..." if len(foreign) > 5 else ""),
            hint="move these files away, or choose another name",
        )


def not_hiers(folder: Path) -> list[str]:
    """What in a folder is not as hier wrote it there, a phrase each; none where nothing of a user's can be lost."""
    try:
        held = {each.name: each for each in sorted(folder.iterdir())}
    except OSError as error:
        raise refusal(f"the folder {named(folder.name)} cannot be read", folder, error) from error
    if not held:
        return []
    foreign = [name for name in held if name not in (*FILES, RECORD)]
    if RECORD not in held:
        return [*foreign, f"no {RECORD}"]
    try:
        record = None if held[RECORD].is_symlink() else read_json(held[RECORD])
    except JobError:
        record = None
    if record is None or not _is_own(record):
        return [*foreign, f"{RECORD}, which is not as hier wrote it"]
    for name in FILES:
        if name in held:
            own = "is a link" if held[name].is_symlink() else _difference(held[name], record["files"].get(name))
            foreign += [] if own is None else [f"{name}, which {own}"]
    return foreign


def _is_own(record: Any) -> bool:
    """Whether this is the record of a run, as hier wrote it."""
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("files"), dict):
        return False
    return record.get("sha256") == _digest({name: each for name, each in record.items() if name != "sha256"})


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _difference(file: Path, noted: Any) -> str | None:
    """How a file is not as the record has it, the end of a sentence; None where it is."""
    if not is_there(file):
        return "is missing"
    if not file.is_file():
        return "is a folder" if is_folder(file) else "is no ordinary file"
    if not isinstance(noted, dict):
        return "is not in the record"
    if file.stat().st_size != noted.get("bytes"):
        return f"has {file.stat().st_size} bytes, where {noted.get('bytes')} were written"
    return None if sha256(file) == noted.get("sha256") else "has been changed since it was written"


def _absent(path: Path) -> str:
    """That a folder is not there, and where its run stands if the system stopped in the middle of a swap."""
    beside = path.parent.iterdir() if is_folder(path.parent) else ()
    whole = [each for each in beside if each.name.startswith(f".{path.name[:40]}.") and is_there(each / RECORD)]
    return "there is no such folder" + (f"; a run of that name was left in {whole[0]}" if whole else "")


def _make_part(out: Path) -> Path:
    part = part_beside(out)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    except OSError as error:
        raise refusal(f"the folder {named(out.name)} cannot be made", out, error) from error
    return part


def _move(part: Path, out: Path, force: bool) -> None:
    """The new folder takes the name; what was there goes after that. A failure leaves the results where they are."""
    try:
        refuse_existing(out, force=force)
        if is_there(out):
            _swap(part, out)
        else:
            part.rename(out)
    except (OSError, JobError) as error:
        raise JobError(
            f"the finished run cannot take the name {named(out.name)}",
            where=str(out),
            found=error.found or error.what if isinstance(error, JobError) else str(error),
            hint=f"the results are whole, in {part}: rename that folder",
        ) from error


def _swap(part: Path, out: Path) -> None:
    """The two trade names, and the old run is removed, if it is still nothing but that."""
    old = part if exchange(part, out) else _trade(part, out)
    if not_hiers(old):  # something came in at the last moment
        _swap_back(part, old, out)
        refuse_existing(out, force=True)
    with contextlib.suppress(OSError):
        for name in (*FILES, RECORD):
            (old / name).unlink(missing_ok=True)
        old.rmdir()  # which leaves a folder that holds anything else


def _swap_back(part: Path, old: Path, out: Path) -> None:
    if old == part:
        exchange(part, out)
    else:
        out.rename(part)
        old.rename(out)


def _trade(part: Path, out: Path) -> Path:
    """`out` gets another name, which is returned, and `part` takes its name: where no single step does that."""
    old = part.with_suffix(".old")
    out.rename(old)
    try:
        part.rename(out)
    except OSError:
        old.rename(out)
        raise
    return old
