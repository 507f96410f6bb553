"""Run folders: whole under their name, or not there; never replaced without being asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hier.errors import JobError
from hier.jobs import runfolder
from hier.jobs.runfolder import FILES, RECORD, check_run, finish, new_run_folder, refuse_existing


def make(out: Path, content: str = "new", *, force: bool = False) -> None:
    with new_run_folder(out, force=force) as part:
        for name in FILES:
            (part / name).write_text(content, encoding="utf-8")
        finish(part, {"title": content})


def test_a_whole_folder_takes_its_name(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "größe [1]"
    make(out)
    check = check_run(out)
    assert check.complete
    assert str(check).endswith("complete")
    assert sorted(each.name for each in out.iterdir()) == sorted([*FILES, RECORD])
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("error", [RuntimeError("in the middle"), KeyboardInterrupt()])
@pytest.mark.parametrize("force", [False, True])
def test_an_exception_in_the_middle_leaves_no_new_folder(tmp_path: Path, error: BaseException, force: bool) -> None:
    out = tmp_path / "run"
    if force:
        make(out, "old")

    def write_half() -> None:
        with new_run_folder(out, force=force) as part:
            (part / "model.toml").write_text("half", encoding="utf-8")
            assert check_run(out).complete == force  # nothing of the new one under the final name meanwhile
            assert not check_run(part).complete
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert [each.name for each in tmp_path.iterdir()] == (["run"] if force else [])
    assert not force or (out / "model.toml").read_text(encoding="utf-8") == "old"


def test_an_existing_folder_is_refused_and_force_replaces_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    make(out, "old")
    with pytest.raises(JobError, match=r"exists already(.|\n)*--force"):
        make(out)
    assert (out / "model.toml").read_text(encoding="utf-8") == "old"
    make(out, force=True)
    assert (out / "model.toml").read_text(encoding="utf-8") == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("mine", encoding="utf-8")


def foreign_record(out: Path) -> None:
    (out / RECORD).write_text('{"format": "wandb", "files": {}}', encoding="utf-8")


def noted_record(out: Path) -> None:
    record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    (out / RECORD).write_text(json.dumps(record | {"note": "mine"}), encoding="utf-8")


def moved_away(out: Path) -> None:
    (out / "posterior.nc").rename(out.parent / "kept.nc")
    (out / "posterior.nc").symlink_to(out.parent / "kept.nc")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (foreign_record, RECORD),
        (noted_record, RECORD),
        (lambda out: (out / RECORD).unlink(), "no run.json"),
        (lambda out: (out / "model.toml").write_text("mine"), "model.toml"),
        (lambda out: (out / "model.toml").write_text("mine" * 50), "model.toml"),
        (lambda out: replaced_by_a_folder(out / "report.html"), "report.html, which is a folder"),
        (lambda out: (out / "report.html").mkdir(), "report.html"),
        (moved_away, "posterior.nc, which is a link"),
        (lambda out: (out / ".hidden").write_text("mine"), ".hidden"),
        (lambda out: (out / "link").symlink_to(out.parent), "link"),
        (lambda out: (out / "figures").mkdir(), "figures"),
    ],
)
def test_force_stops_at_whatever_is_not_as_hier_wrote_it(tmp_path: Path, change, name: str) -> None:
    out = tmp_path / "run"
    make(out, "old")
    if name == "report.html":
        (out / name).unlink()
    change(out)

    def everything() -> dict[str, str]:
        return {str(each): each.read_text(encoding="utf-8") for each in tmp_path.rglob("*") if each.is_file()}

    before = everything()
    with pytest.raises(JobError, match="more than a run of hier") as refused:
        make(out, force=True)
    assert name in str(refused.value)
    assert everything() == before


def test_what_comes_in_at_the_last_moment_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for exchanges in (True, False):
        out = tmp_path / f"run{exchanges}"
        make(out, "old")

        def late(one: Path, other: Path, real=runfolder.exchange, exchanges=exchanges, out=out) -> bool:
            (out / "thesis.tex").write_text("years", encoding="utf-8") if not (one / "thesis.tex").exists() else None
            return exchanges and real(one, other)

        monkeypatch.setattr(runfolder, "exchange", late)
        with pytest.raises(JobError, match=r"cannot take the name(.|\n)*thesis\.tex"):
            make(out, force=True)
        monkeypatch.undo()
        assert (out / "thesis.tex").read_text(encoding="utf-8") == "years"
        assert (out / "model.toml").read_text(encoding="utf-8") == "old"
        (part,) = [each for each in tmp_path.iterdir() if each.suffix == ".part"]
        assert check_run(part).complete
        part.rename(tmp_path / f"kept{exchanges}")


class Killed(BaseException):
    """Stands for the end of the process: nothing below catches it."""


@pytest.mark.parametrize("step", range(9))
def test_a_kill_in_the_swap_leaves_the_old_or_the_new_complete(tmp_path: Path, monkeypatch, step: int) -> None:
    out = tmp_path / "run"
    make(out, "old")
    steps = iter(range(100))

    def counted(real):
        def call(*args, **options):
            if next(steps) == step:
                raise Killed
            return real(*args, **options)

        return call

    def make_killed() -> None:
        with new_run_folder(out, force=True) as part:
            for name in FILES:
                (part / name).write_text("new", encoding="utf-8")
            finish(part, {})
            monkeypatch.setattr(runfolder, "exchange", counted(runfolder.exchange))
            for name in ("unlink", "rename", "replace", "rmdir"):
                monkeypatch.setattr(Path, name, counted(getattr(Path, name)))

    with pytest.raises(Killed):
        make_killed()
    monkeypatch.undo()
    assert check_run(out).complete
    assert (out / "model.toml").read_text(encoding="utf-8") == ("old" if step == 0 else "new")


def test_where_no_single_step_swaps_a_kill_leaves_both_and_says_where(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "run"
    make(out, "old")
    real, calls = Path.rename, iter(range(10))

    def rename(self: Path, target: Path) -> Path:
        if next(calls) == 1:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(runfolder, "exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(Killed):
        make(out, force=True)
    monkeypatch.undo()
    assert [check_run(each).complete for each in tmp_path.iterdir()] == [True, True]
    assert re.search(r"a run of that name was left in .*\.run\.", str(check_run(out)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 300, "name too long"),
        ("x" * 5000, "name too long"),
        ("null\0", "NUL"),
        ("~nobody-of-that-name/run", "no home folder of ~nobody-of-that-name"),
        ("round/run", "links"),
        ("round", "links"),
        ("file/run", "is a file"),
        ("", "empty path"),
        (None, "NoneType"),
        (3, "int 3"),
    ],
)
def test_what_cannot_be_a_run_folder_is_refused_in_a_sentence(tmp_path: Path, monkeypatch, name, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").symlink_to("back")
    (tmp_path / "back").symlink_to("round")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(JobError, match=f"(?i){reason}") as refused:
        make(name)
    assert len(str(refused.value)) < 1000
    assert sorted(tmp_path.iterdir()) == before


def test_force_never_deletes_what_hier_did_not_write(tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    make(out, force=True)  # an empty folder holds nothing to lose
    (out / "thesis.tex").write_text("years", encoding="utf-8")
    with pytest.raises(JobError, match=r"more than a run of hier(.|\n)*thesis\.tex"):
        make(out, force=True)
    (out / "thesis.tex").unlink()
    (out / RECORD).unlink()
    with pytest.raises(JobError, match=r"more than a run of hier(.|\n)*no run\.json"):
        make(out, force=True)


def test_a_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x", encoding="utf-8")
    for force in (False, True):
        with pytest.raises(JobError, match="is a file, not a run folder"):
            refuse_existing(tmp_path / "run", force=force)
    with pytest.raises(JobError, match="cannot be made"):
        make(tmp_path / "run" / "below")


def test_a_name_taken_meanwhile_keeps_both_results(tmp_path: Path) -> None:
    out = tmp_path / "run"
    parts: list[Path] = []

    def write_while_another_does() -> None:
        with new_run_folder(out) as part:
            parts.append(part)
            for name in FILES:
                (part / name).write_text("mine", encoding="utf-8")
            finish(part, {})
            make(out, "another")

    with pytest.raises(JobError, match=r"cannot take the name run(.|\n)*the results are whole, in .*\.part"):
        write_while_another_does()
    assert (out / "model.toml").read_text(encoding="utf-8") == "another"
    assert check_run(parts[0]).complete


def test_a_move_that_fails_puts_the_old_run_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    make(out, "old")

    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(runfolder, "exchange", refuse)
    with pytest.raises(JobError, match="cannot take the name"):
        make(out, force=True)
    assert (out / "model.toml").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda out: (out / "posterior.nc").unlink(), r"posterior\.nc is missing"),
        (lambda out: (out / "posterior.nc").write_text("n"), r"posterior\.nc has 1 bytes, where 3 were written"),
        (lambda out: (out / RECORD).unlink(), r"no file run\.json"),
        (lambda out: (out / RECORD).write_text("{"), r"run\.json cannot be read"),
        (lambda out: (out / RECORD).write_text("[]"), "not as hier wrote it"),
        (lambda out: (out / RECORD).write_text('{"format": "hier run 2", "files": {}}'), "not as hier wrote it"),
        (lambda out: (out / "posterior.nc").write_text("old"), r"posterior\.nc has been changed since it was written"),
        (lambda out: replaced_by_a_folder(out / "model.toml"), r"model\.toml is a folder"),
        (lambda out: finish(out, {"finished": False}), "was not finished"),
    ],
)
def test_a_folder_says_that_it_is_not_complete(tmp_path: Path, damage, problem: str) -> None:
    out = tmp_path / "run"
    make(out)
    damage(out)
    check = check_run(out)
    assert not check.complete
    assert re.search(problem, str(check))


def test_no_folder_is_not_complete(tmp_path: Path) -> None:
    assert check_run(tmp_path / "none").problems == ("there is no such folder",)


def test_the_record_lists_sizes_and_digests(tmp_path: Path) -> None:
    # sha256sum of the four letters
    sha256_of_four = "04efaf080f5a3e74e1c29d1ca6a48569382cbbcd324e8d59d2b83ef21c039f00"
    make(tmp_path / "run", "four")
    record = json.loads((tmp_path / "run" / RECORD).read_text(encoding="utf-8"))
    assert record["files"] == {name: {"bytes": 4, "sha256": sha256_of_four} for name in FILES}
    assert record["finished"] is True
