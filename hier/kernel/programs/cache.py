"""The folder of compiled programs: whole files that hold their own keys, all of them together within a bound.

A file that is damaged, or that lies under the name of another, is as good as none: shapes and kinds of two programs can
be the same, and then nothing but the key tells REML's answers from those of maximum likelihood. What is kept is machine
code, so that the processor is part of every key. Nothing here needs JAX: the command line says what is kept without it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import platformdirs

from hier.errors import FitError, JobError
from hier.files import write as write_whole
from hier.settings import in_bytes
from hier.version import __version__

PLACE = "HIER_CACHE_DIR"  # the environment variables that move the folder, and bound it
BOUND = "HIER_CACHE_SIZE"
USUAL_BOUND = "1GB"
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
FIRST = b"a compiled program of hier\n"
DIGEST = 32  # bytes
FORGOTTEN = 3600.0  # seconds; a file that is being written for longer was left behind by a process that was killed
EARLIER = ("traced/*.stablehlo", "compiled/jit_*-cache")  # what hier kept before it kept its own files


class Kept(NamedTuple):
    """A file of the folder: `name` of its program, `size` in bytes, `used` last, in seconds since 1970."""

    path: Path
    size: int
    used: float

    @property
    def name(self) -> str:
        return self.path.name.rpartition("-")[0]


def cache_folder() -> Path:
    """The folder of everything kept: `$HIER_CACHE_DIR`, or hier's own place in the user's cache folder."""
    return Path(os.environ.get(PLACE) or platformdirs.user_cache_dir("hier"))


def programs_folder() -> Path:
    """The folder of the programs that this version of hier can use with this version of JAX."""
    return cache_folder() / "programs" / f"hier-{__version__}-jax-{importlib.metadata.version('jax')}"


def bound() -> int:
    """How many bytes may be kept: `$HIER_CACHE_SIZE`, such as `500MB`, or else 1 GB. Raises FitError for no size."""
    text = os.environ.get(BOUND) or USUAL_BOUND
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B|)", text.strip().upper())
    if found is None:
        raise FitError(f"{BOUND} cannot be `{text[:80]}`", expected="a number of bytes, such as 500MB, 2GB or 0")
    return int(float(found[1]) * UNITS[found[2]])


def read(name: str, key: str) -> bytes | None:
    """What was kept of a program under a key; None where there is nothing, or nothing that can be trusted."""
    path, first = _path(name, key), _whole(key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(FIRST) + DIGEST
    body = content[start:]
    if content[:start] != FIRST + hashlib.sha256(body).digest() or not body.startswith(first):
        return None
    with contextlib.suppress(OSError):  # of a folder that cannot be written
        os.utime(path)
    return body[len(first) :]


def write(name: str, key: str, content: bytes) -> None:
    """Keep a program under a key, the whole of it or nothing; then let go of what is beyond the bound."""
    body = _whole(key) + content
    with contextlib.suppress(JobError):  # a folder that cannot be written costs only time
        write_whole(_path(name, key), FIRST + hashlib.sha256(body).digest() + body, "a compiled program")
        tidy()


def kept() -> list[Kept]:
    """All that is kept, of any version, the least recently used first."""
    found: list[Kept] = []
    for path in (cache_folder() / "programs").glob("*/*.program"):
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.stat()
            found.append(Kept(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda own: own.used)


def in_words() -> str:
    """What is kept, of which programs, how much, and where."""
    found, sizes = kept(), Counter[str]()
    for own in found:
        sizes[own.name] += own.size
    counts = Counter(own.name for own in found)
    lines = [f"  {name:<24} {counts[name]:>5}   {in_bytes(sizes[name])}" for name in sorted(counts)]
    total = f"Compiled programs: {len(found)}, {in_bytes(sizes.total())} of at most {in_bytes(bound())} ({BOUND})"
    return "\n".join([total, f"Folder: {cache_folder()} ({PLACE})", *lines])


def clear() -> int:
    """Remove all that is kept, and nothing else; how many programs there were."""
    found = kept()
    _remove([own.path for own in found] + [*_left_behind(0.0), *_of_earlier_layouts()])
    return len(found)


def tidy() -> None:
    """Remove what older versions wrote, what was left half-written, and beyond the bound what was used longest ago."""
    older = [own for own in kept() if _version(own.path.parent.name) < _version(programs_folder().name)]
    _remove([own.path for own in older] + [*_left_behind(FORGOTTEN), *_of_earlier_layouts()])
    found, most = kept(), bound()
    total = sum(own.size for own in found)
    going: list[Path] = []
    for own in found:
        if total <= most:
            break
        total -= own.size
        going.append(own.path)
    _remove(going)


def _path(name: str, key: str) -> Path:
    return programs_folder() / f"{name}-{hashlib.sha256(_whole(key)).hexdigest()[:32]}.program"


def _whole(key: str) -> bytes:
    """The key as it stands in a file, with what the machine code runs on."""
    return f"{key}\n{_processor()}\0".encode()


@functools.cache
def _processor() -> str:
    """The processor as far as machine code depends on it: Linux lists its model and its instructions."""
    told = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU ")
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            found = [line.strip() for line in iter(lines.readline, "\n") if line.startswith(told)]
    except OSError:
        found = []
    return "; ".join(found) or f"{platform.system()} {platform.machine()} {platform.processor()}"


def _version(folder: str) -> tuple[list[int], ...]:
    """The versions of hier and of JAX that a folder is named for, in the order in which versions follow each other."""
    return tuple([int(number) for number in re.findall(r"\d+", own)] for own in folder.split("-jax-"))


def _left_behind(seconds: float) -> Iterator[Path]:
    """What is being written for longer than that."""
    for path in (cache_folder() / "programs").glob("*/.hier.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= seconds:
                yield path


def _of_earlier_layouts() -> Iterator[Path]:
    for pattern in EARLIER:
        yield from cache_folder().glob(pattern)


def _remove(paths: list[Path]) -> None:
    """Remove files, and the folders that are empty then."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(OSError):
            folder.rmdir()
