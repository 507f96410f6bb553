"""Files are written whole under their name, or not at all; what the system refuses is one sentence."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from hier.errors import JobError
from hier.files import exchange, existing, is_folder, is_there, place, refuse_unwritable, replacing, write

WHAT = "the report"


def listed(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def hazards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with links that lead in a circle, a file, and a folder; it is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").symlink_to("back")
    (tmp_path / "back").symlink_to("round")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


REFUSED = [
    ("x" * 300, "File name too long"),
    ("x" * 5000, "File name too long"),
    ("folder/" + "x" * 300, "File name too long"),
    ("null\0", "NUL"),
    ("~nobody-of-that-name/x", "no home folder of ~nobody-of-that-name"),
    ("~nobody-of-that-name", "no home folder of ~nobody-of-that-name"),
    ("round", "round in a circle"),
    ("round/x", "round in a circle"),
    ("file/x", "a file, not a folder"),
    ("folder", "folder is a folder"),
    (".", "is a folder"),
    ("/", "is a folder"),
    ("pipe", "pipe is no ordinary file"),
    ("", "empty path"),
    (None, "NoneType None"),
    (3, "int 3"),
    (["x"], "list"),
]


@pytest.mark.parametrize(("path", "reason"), REFUSED)
def test_what_cannot_be_written_is_refused_in_a_sentence(hazards: Path, path, reason: str) -> None:
    before = listed(hazards)
    for call in (lambda: write(path, "text", WHAT), lambda: refuse_unwritable(path, WHAT)):
        with pytest.raises(JobError, match=reason) as refused:
            call()
        assert len(str(refused.value)) < 1000
    assert listed(hazards) == before


@pytest.mark.parametrize(("path", "reason"), REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(hazards: Path, path, reason: str) -> None:
    with pytest.raises(JobError, match=reason.replace("folder is a folder", "is a folder")) as refused:
        existing(path, WHAT)
    assert len(str(refused.value)) < 1000


def test_a_file_that_is_not_there_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"there is no file pigs\.html(.|\n)*try: +look elsewhere"):
        existing(tmp_path / "pigs.html", WHAT, hint="look elsewhere")


@pytest.mark.parametrize("name", ["x" * 5000, "null\0"])
def test_what_cannot_be_a_name_is_not_there(name: str) -> None:
    assert not is_there(name)
    assert not is_folder(name)


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write("~/runs/a.html", "text", WHAT) == tmp_path / "runs" / "a.html"
    assert place("~", WHAT) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    with pytest.raises(JobError, match="no home folder of ~"):
        write("~/a.html", "text", WHAT)
    assert not (tmp_path / "gone").exists()


def test_writing_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "größe.txt"
    for text in ("first\r\n", "second\n"):
        assert write(path, text, WHAT) == path
        assert path.read_bytes() == text.encode()
    assert listed(path.parent) == ["größe.txt"]


def test_a_new_file_has_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        assert stat.S_IMODE(write(tmp_path / "x", "text", WHAT).stat().st_mode) == 0o640
    finally:
        os.umask(old)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.html", "old", WHAT)

    def fail(error: BaseException) -> None:
        with replacing(path, WHAT) as file:
            file.write(b"half")
            raise error

    for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt(), ValueError("else")):
        with pytest.raises(JobError if isinstance(error, OSError) else type(error)):
            fail(error)
        assert path.read_text(encoding="utf-8") == "old"
        assert listed(tmp_path) == ["x.html"]


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"No space left on device(.|\n)*make room"), replacing(tmp_path / "x", WHAT):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("mine", encoding="utf-8")
    for name, target in (("x", "foreign"), ("y", "nowhere")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name, "report", WHAT)
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text(encoding="utf-8") == "report"
    assert (tmp_path / "foreign").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_stream_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")  # as /dev/stdout is
    with pytest.raises(JobError, match="no ordinary file"):
        write(tmp_path / "stdout", "text", WHAT)
    assert (tmp_path / "stdout").is_symlink()


@pytest.mark.parametrize("name", ["x.part", ".x.part", "x.html.part"])
def test_a_users_part_is_never_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    for target in ("x", "x.html"):
        write(tmp_path / target, "text", WHAT)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_places_closed_to_the_user_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for path in (closed / "x", closed / "new" / "x"):
        with pytest.raises(JobError, match=r"closed to you(.|\n)*where you may read and write"):
            refuse_unwritable(path, WHAT)
    path = write(tmp_path / "kept", "mine", WHAT)
    path.chmod(0o400)
    with pytest.raises(JobError, match="write-protected"):
        write(path, "text", WHAT)


def test_access_is_asked_for_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x", "mine", WHAT)
    monkeypatch.setattr(os, "access", lambda asked, _: Path(asked) != path)
    with pytest.raises(JobError, match="write-protected"):
        refuse_unwritable(path, WHAT)
    monkeypatch.setattr(os, "access", lambda asked, _: Path(asked) == path)
    for closed in (path, tmp_path / "new" / "y"):
        with pytest.raises(JobError, match="closed to you"):
            refuse_unwritable(closed, WHAT)


def test_two_folders_trade_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system has no single step for it")
    assert listed(tmp_path / "a") == ["b"]
    assert listed(tmp_path / "b") == ["a"]
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        exchange(tmp_path / "a", tmp_path / "none")
