"""Programs compiled ahead, and the commands that show and empty what is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from hier import Model
from hier.cli import app
from hier.errors import JobError
from hier.jobs import warm
from hier.kernel.programs import cache
from hier.kernel.programs.waiting import compiling

ROOT = Path(__file__).resolve().parents[2]
FORMULA = "weight ~ week + (1 | id)"
ONE = warm.Usual("y ~ x + (1 | g)", groups=5)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HIER_CACHE_SIZE", raising=False)
    return tmp_path / "cache"


def hier(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="hier")


@pytest.mark.parametrize("structure", warm.usual([7]), ids=str)
def test_made_up_data_have_the_structure_that_is_said(structure: warm.Usual) -> None:
    model = Model(structure.formula, warm.made_up(structure), family=structure.family)
    assert 7 in [random.n_levels for random in model.design.random_effects]
    assert model.design.nobs == 70
    assert np.std(model.design.y) > 0.0
    rows = [random.rows_per_level.min() for random in model.design.random_effects]
    assert min(rows) >= 2, "every level says something of its deviation"


def test_the_list_compiles_nothing(folder: Path) -> None:
    before = compiling.total
    done = hier("warm", "--dry-run", "--groups", 30, "--groups", 100)
    assert done.exit_code == 0
    assert "y ~ x + (x | g)   poisson, 100 groups" in done.stdout.splitlines()
    assert len(done.stdout.splitlines()) == 2 * len(warm.USUAL)
    assert hier("warm", "--dry-run", FORMULA, "--data", "pigs").stdout == "weight ~ week + (1 | id)\n"
    assert compiling.total == before
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "pigs"], "options of a model go with a MODEL"),
        ([FORMULA], "a formula needs data"),
        (["none.toml"], "there is no model file none.toml"),
    ],
)
def test_a_refusal_is_a_message_and_status_2(words: list[str], said: str) -> None:
    done = hier("warm", *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_where_nothing_can_be_kept_nothing_is_compiled(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HIER_CACHE_SIZE", "0")
    with pytest.raises(JobError, match="nothing is kept of what is compiled"):
        warm.warm_usual([ONE])
    monkeypatch.setenv("HIER_CACHE_SIZE", "1GB")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(JobError, match="a compiled program cannot be written"):
        warm.warm_usual([ONE])


def test_what_was_warmed_is_said() -> None:
    assert str(warm.Warmed("y ~ x", 3, 12.3)) == "y ~ x: 3 compiled, 12 s"
    assert str(warm.Warmed("y ~ x", 0, 1.2)) == "y ~ x: there already, 1 s"
    assert str(warm.Warmed("y ~ x", 0, 0.0, "no rows")) == "y ~ x: no rows"


def test_the_cache_is_shown_and_emptied(folder: Path) -> None:
    for key in ("reml", "ml"):
        cache.write("fit", key, bytes(200_000))
    cache.write("draws", "key", bytes(1_000_000))
    shown = hier("cache")
    assert shown.exit_code == 0
    first, second, *programs = shown.stdout.splitlines()
    assert first == "Compiled programs: 3, 1.4 MB of at most 1 GB (HIER_CACHE_SIZE)"
    assert second == f"Folder: {folder} (HIER_CACHE_DIR)"
    assert [own.split() for own in programs] == [["draws", "1", "1", "MB"], ["fit", "2", "0.402", "MB"]]
    emptied = hier("cache", "--clear")
    assert emptied.stdout.splitlines()[:2] == [
        "Removed: 3 compiled programs",
        "Compiled programs: 0, 0 MB of at most 1 GB (HIER_CACHE_SIZE)",
    ]
    assert not list(folder.rglob("*.program"))


def test_a_misspelt_bound_is_a_message_and_status_2(monkeypatch) -> None:
    monkeypatch.setenv("HIER_CACHE_SIZE", "much")
    done = hier("cache")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "HIER_CACHE_SIZE cannot be `much`" in done.stderr


@pytest.mark.slow
def test_processes_compile_what_another_then_finds() -> None:
    (done,) = warm.warm_usual([ONE], processes=2)
    assert done.of == str(ONE)
    assert done.programs >= 1
    assert cache.kept()
    (again,) = warm.warm_usual([ONE])
    assert again.programs == 0


@pytest.mark.slow
def test_one_model_is_compiled_on_its_own_data() -> None:
    done = hier("warm", FORMULA, "--data", "pigs")
    assert done.exit_code == 0
    assert f"{FORMULA}: " in done.stdout
    assert " compiled, " in done.stdout
    assert "Compiled programs: " in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
def test_ctrl_c_ends_all_of_it(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from hier.cli import main; main()", "warm", "--groups", "5", "--processes", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    while not list(folder.rglob("*.program")):  # until its processes compile
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of its processes
    out, error = process.communicate(timeout=3.0)  # until no process holds its streams
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in error, error
