"""The folder of compiled programs: its bound, what goes first, and what is nobody else's business."""

from __future__ import annotations

import os
import time

import pytest

from hier import FitError
from hier.kernel.programs import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("HIER_CACHE_SIZE", raising=False)
    return tmp_path


def names() -> list[str]:
    return [own.name for own in cache.kept()]


def age(seconds: float) -> None:
    """Let all that is kept have been used so much earlier."""
    for own in cache.kept():
        os.utime(own.path, (own.used - seconds, own.used - seconds))


def test_what_is_kept_is_read_under_its_own_key_only() -> None:
    cache.write("fit", "reml", b"REML")
    cache.write("fit", "ml", b"ML")
    assert cache.read("fit", "reml") == b"REML"
    assert cache.read("fit", "ml") == b"ML"
    assert cache.read("fit", "map") is None
    assert cache.read("other", "ml") is None
    first, second = (own.path for own in cache.kept())
    second.write_bytes(first.read_bytes())
    assert {cache.read("fit", "reml"), cache.read("fit", "ml")} <= {b"REML", b"ML", None}
    assert sum(cache.read("fit", key) is None for key in ("reml", "ml")) == 1


def test_every_bit_counts() -> None:
    cache.write("fit", "key", b"content")
    (own,) = cache.kept()
    whole = own.path.read_bytes()
    for at in range(len(whole)):
        own.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.read("fit", "key") is None
        own.path.write_bytes(whole[:at])
        assert cache.read("fit", "key") is None
    own.path.write_bytes(whole + b"more")
    assert cache.read("fit", "key") is None


def test_another_processor_has_other_programs(monkeypatch) -> None:
    cache.write("fit", "key", b"content")
    monkeypatch.setattr(cache, "_processor", lambda: "another")
    assert cache.read("fit", "key") is None


def test_the_least_recently_used_goes_first(monkeypatch) -> None:
    for key in "abc":
        age(100.0)
        cache.write(key, key, bytes(300_000))
    assert names() == ["a", "b", "c"]
    assert cache.read("a", "a") is not None
    monkeypatch.setenv("HIER_CACHE_SIZE", "1MB")
    cache.write("d", "d", bytes(300_000))
    assert names() == ["c", "a", "d"]
    monkeypatch.setenv("HIER_CACHE_SIZE", "0.4 mb")
    cache.tidy()
    assert names() == ["d"]
    monkeypatch.setenv("HIER_CACHE_SIZE", "0")
    cache.tidy()
    assert names() == []


@pytest.mark.parametrize(
    ("text", "size"), [("", 10**9), ("1GB", 10**9), ("2.5 MB", 2_500_000), ("7", 7), ("7b", 7), (" 3tb ", 3 * 10**12)]
)
def test_a_bound_is_a_number_of_bytes(monkeypatch, text: str, size: int) -> None:
    monkeypatch.setenv("HIER_CACHE_SIZE", text)
    assert cache.bound() == size


@pytest.mark.parametrize("text", ["much", "-1", "1 GiB", "GB"])
def test_what_is_no_bound_is_a_sentence(monkeypatch, text: str) -> None:
    monkeypatch.setenv("HIER_CACHE_SIZE", text)
    with pytest.raises(FitError, match=rf"HIER_CACHE_SIZE cannot be `{text}`(.|\n)*500MB"):
        cache.bound()


def test_files_of_older_versions_go(folder, monkeypatch) -> None:
    monkeypatch.setattr(cache, "__version__", "0.0.9")
    cache.write("older", "key", b"of hier")
    monkeypatch.undo()
    monkeypatch.setenv("HIER_CACHE_DIR", str(folder))
    monkeypatch.setattr(cache.importlib.metadata, "version", lambda name: "0.9.12")
    cache.write("older", "key", b"of jax")
    monkeypatch.setattr(cache.importlib.metadata, "version", lambda name: "99.0")
    cache.write("newer", "key", b"of jax, in another environment")
    monkeypatch.undo()
    monkeypatch.setenv("HIER_CACHE_DIR", str(folder))
    for name in ("traced/draws-0123.stablehlo", "compiled/jit_call-0123-cache"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"of an earlier layout")
    (folder / "compiled" / "mine.o").write_bytes(b"the user's")
    cache.write("own", "key", b"content")
    assert sorted(names()) == ["newer", "own"]
    assert not (folder / "traced").exists()
    assert [path.name for path in (folder / "compiled").iterdir()] == ["mine.o"]


def test_what_a_killed_process_left_half_written_goes() -> None:
    cache.write("own", "key", b"content")
    left, writing = (cache.programs_folder() / f".hier.{name}.part" for name in ("left", "writing"))
    for path in (left, writing):
        path.write_bytes(b"half")
    os.utime(left, (0.0, time.time() - 2 * cache.FORGOTTEN))
    cache.tidy()
    assert not left.exists()
    assert writing.exists()


def test_clear_takes_programs_and_nothing_else(folder) -> None:
    (folder / "mine.txt").write_text("the user's")
    for key in "ab":
        cache.write(key, key, b"content")
    (cache.programs_folder() / ".hier.0123.part").write_bytes(b"half")
    assert cache.clear() == 2
    assert cache.clear() == 0
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_no_cache(folder, monkeypatch) -> None:
    (folder / "file").write_text("no folder")
    monkeypatch.setenv("HIER_CACHE_DIR", str(folder / "file"))
    cache.write("fit", "key", b"content")
    assert cache.read("fit", "key") is None
    assert cache.kept() == []
    assert cache.clear() == 0
