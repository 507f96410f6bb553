"""Run folders: whole under their name, or not there; never replaced without being asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hier.errors import JobError
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

    monkeypatch.setattr(Path, "replace", refuse)
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
        (lambda out: (out / RECORD).write_text("[]"), "not one that hier wrote"),
        (lambda out: (out / RECORD).write_text('{"format": "hier run 1", "files": {}}'), "was not finished"),
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


def test_the_record_lists_the_sizes(tmp_path: Path) -> None:
    make(tmp_path / "run", "four")
    record = json.loads((tmp_path / "run" / RECORD).read_text(encoding="utf-8"))
    assert record["files"] == dict.fromkeys(FILES, 4)
    assert record["finished"] is True
