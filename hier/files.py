"""Files as every part of hier reads and writes them: whole or not there, and one sentence for what the system refuses.

A file is written under a name that nobody else has, beside the place where it is to stand, and then moved there. So a
file of that name is always whole, nothing is written through a link, and no file but that of the name is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

from hier.errors import JobError

LONGEST = 200  # letters of a path in a message
HINTS = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "make room there, or choose another place",
    errno.ENOTDIR: "one of the names on the way is a file, not a folder",
    errno.ELOOP: "the links on the way lead round in a circle; remove one of them",
    errno.EACCES: "choose a place where you may read and write",
    errno.EPERM: "choose a place where you may read and write",
    errno.EROFS: "choose a place where you may read and write",
}
Given = str | os.PathLike[str]


def place(path: Given, what: str) -> Path:
    """The path that a user gives, `~` read as the home folder; `what` it is for, such as "the report".

    Raises JobError for what cannot be a path: no text, nothing, a NUL, the home of nobody.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise JobError(
            f"{what} needs the path of a file", found=f"{type(path).__name__} {path!r}"[:LONGEST], expected="text"
        ) from error
    if not text or "\0" in text:
        found = "the character NUL, which no name can hold" if text else "an empty path"
        raise JobError(f"{what} needs the path of a file", where=named(text) or None, found=found)
    return _from_home(Path(text)) if text.startswith("~") else Path(text)


def existing(path: Given, what: str, hint: str | None = None) -> Path:
    """The path of a file that is there. Raises JobError where it is not, or is a folder or no ordinary file."""
    path = place(path, what)
    short = named(path.name)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise JobError(f"there is no file {short}", where=named(path), hint=hint) from error
    except OSError as error:
        raise refusal(f"{what} cannot be read", path, error) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise JobError(f"{short} is {kind}", where=named(path), expected=f"{what}, a file", hint=hint)
    return path


def is_there(path: Given) -> bool:
    """Whether there is a file or folder of that name; False for what cannot be a path."""
    return os.path.exists(path)  # noqa: PTH110  # which, unlike pathlib's, never raises


def is_folder(path: Given) -> bool:
    """Whether that name is a folder; False for what cannot be a path."""
    return os.path.isdir(path)  # noqa: PTH112


def refuse_unwritable(path: Given, what: str) -> Path:
    """The path of a file to write, before there is anything to write. Raises JobError where it is a folder,
    write-protected or no ordinary file.
    """
    path = place(path, what)
    try:
        mode = path.stat().st_mode
        leads_to_a_stream = path.is_symlink() and str(path.readlink()).startswith("/proc/")  # as /dev/stdout does
    except FileNotFoundError:  # a link that leads nowhere is replaced
        _refuse_closed(path, what)
        return path
    except OSError as error:
        raise refusal(f"{what} cannot be written", path, error) from error
    if not stat.S_ISREG(mode) or leads_to_a_stream:
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise JobError(
            f"{what} cannot be written: {named(path.name or path)} is {kind}",
            where=named(path),
            expected="the name of a file",
            hint="choose another name",
        )
    if not os.access(path, os.W_OK):
        raise JobError(
            f"{what} cannot be written: {named(path.name)} is write-protected",
            where=named(path),
            hint="choose another name, or allow writing to the file",
        )
    _refuse_closed(path, what)
    return path


@contextlib.contextmanager
def replacing(path: Given, what: str) -> Generator[BinaryIO]:
    """A new file, open for writing, which takes the name `path` in the end; a failure removes it and leaves what is
    there. Folders on the way are made.

    Raises JobError for what the system refuses, and where that name is a folder, write-protected or no ordinary file.
    """
    path = refuse_unwritable(path, what)
    part = path.parent / f".hier.{secrets.token_hex(8)}.part"
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:  # O_EXCL: never a file that is there, never through a link
            made = True
            yield file
        part.replace(path)
        made = False
    except OSError as error:
        raise refusal(f"{what} cannot be written", path, error) from error
    finally:
        if made:
            with contextlib.suppress(OSError):
                part.unlink()


def write(path: Given, content: str | bytes, what: str) -> Path:
    """Write bytes, or text in UTF-8 with its line breaks as they are, and return the path.

    Raises JobError as `replacing` does.
    """
    with replacing(path, what) as file:
        file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
    return place(path, what)


def part_beside(path: Path, kind: str = "part") -> Path:
    """A hidden name in the same folder that nobody else has, such as `.pigs.1f3a9c02d4e5b6a7.part`."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.{kind}")


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders trade names, in one step that nothing can interrupt; False where no such step exists."""
    call = _exchange_call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):  # not on this kind of disk
        return False
    raise OSError(code, os.strerror(code))


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named(path: Given) -> str:
    """A path as a message names it: the middle of a very long one left out."""
    text = str(path)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 4 :]}"


def refusal(what: str, path: Path, error: OSError) -> JobError:
    """The JobError for what the operating system refused, with its reason and what can be done."""
    return JobError(what, where=named(path), found=error.strerror or str(error), hint=HINTS.get(error.errno or 0))


def _refuse_closed(path: Path, what: str) -> None:
    """Refuse a place where no file can be made, at the first folder on the way that is there."""
    folder = next(each for each in path.absolute().parents if is_there(each))
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        closed = PermissionError(errno.EACCES, f"{named(folder)} is closed to you")
        raise refusal(f"{what} cannot be written", path, closed)


def _from_home(path: Path) -> Path:
    """A path that begins with `~`; a home folder that is not there is not made."""
    whose, *further = path.parts
    try:
        home = Path(whose).expanduser()
        known = home.is_dir()
    except (RuntimeError, OSError):
        home, known = path, False
    if not known:
        raise JobError(
            f"there is no home folder of {named(whose)}",
            where=named(path),
            hint=f"write ./{named(path)} if a name begins with ~",
        )
    return home.joinpath(*further)


def _exchange_call() -> Any:
    """The C library's call that lets two names trade places, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        return lambda one, other: libc.renameat2(here, one, here, other, swap)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        swap = 2  # RENAME_SWAP
        return lambda one, other: libc.renamex_np(one, other, swap)
    return None
