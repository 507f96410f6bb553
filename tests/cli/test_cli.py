"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from hier.cli import app
from hier.jobs import check_run
from hier.posterior import load_posterior

ROOT = Path(__file__).resolve().parents[2]
FORMULA = "weight ~ week + (week | id)"
QUICK = ["--chains", "2", "--draws", "100", "--seed", "1"]


def hier(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="hier")


def fresh(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=300, env=environment
    )


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(f'formula = "{FORMULA}"\ndata = "pigs"\n', encoding="utf-8")
    return path


@pytest.fixture
def cheap_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(comparison: object, path: Path) -> Path:
        path.write_text("<html></html>", encoding="utf-8")
        return path

    monkeypatch.setattr("hier.jobs.job.report_of", write)
    monkeypatch.setattr("hier.jobs.report_of", write)


@pytest.mark.parametrize(
    "words", [["--help"], ["datasets"], ["run", "--help"], ["--version"], ["cache"], ["cache", "--clear"], []]
)
def test_what_needs_no_model_starts_without_the_heavy_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path))
    program = """
import sys
from hier.cli import main
try:
    main()
finally:
    heavy = {"jax", "numpyro", "pandas", "arviz", "matplotlib", "formulaic"}
    heavy &= {name.partition(".")[0] for name in sys.modules}
    print("loaded:", *sorted(heavy), file=sys.stderr)
"""
    done = fresh(program, *words)
    assert done.returncode == (0 if words else 2)
    assert done.stderr.splitlines()[-1].strip() == "loaded:"


def test_help_lists_the_commands_and_says_what_a_model_is() -> None:
    text = hier("--help").stdout
    for command in ("run", "estimate", "sample", "compare", "report", "show", "warm", "cache", "datasets"):
        assert f"  {command} " in text
    assert "--resume" not in hier("sample", "--help").stdout
    assert "run folder" in hier("report", "--help").stdout


def test_datasets_are_listed_with_their_sources() -> None:
    done = hier("datasets")
    assert done.exit_code == 0
    assert "pigs: 432 rows; columns id, week, weight" in done.stdout
    assert "set.seed(757)" in done.stdout


def test_show_prints_the_model_of_a_file_and_of_a_formula(model_path: Path) -> None:
    by_file, by_formula = hier("show", model_path), hier("show", FORMULA, "--data", "pigs")
    assert by_file.exit_code == by_formula.exit_code == 0
    assert by_file.stdout == by_formula.stdout
    assert "Groups: id, 48 levels" in by_file.stdout
    assert "sd_id[week]" in by_file.stdout


def test_family_and_link_are_options() -> None:
    shown = hier(
        "show", "weight ~ week + (1 | id), shape ~ week", "--data", "pigs", "--family", "gamma", "--link", "log"
    )
    assert "weight[i] ~ Gamma(μ[i], shape[i])" in shown.stdout


def test_estimate_prints_the_block(model_path: Path) -> None:
    reml, ml = hier("estimate", model_path), hier("estimate", model_path, "--method", "ml")
    assert "REML criterion: 1740.87" in reml.stdout
    assert "maximum likelihood" in ml.stdout
    assert reml.stderr == ""


def test_names_with_brackets_and_wide_lines_are_printed_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    columns = {"y": rng.normal(size=30), "grün": ["[bold]x", "[/]", "b"] * 10, "g": np.repeat(list("abcde"), 6)}
    table = pd.DataFrame(columns)
    table.to_csv(tmp_path / "daten [1].csv", index=False)
    done = hier("estimate", "y ~ grün + (1 | g)", "--data", tmp_path / "daten [1].csv")
    assert done.exit_code == 0, done.stderr
    assert "grün[T.[bold]x]" in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 80


def test_sample_keeps_the_draws_and_never_overwrites_silently(tmp_path: Path, model_path: Path) -> None:
    out = tmp_path / "p.nc"
    done = hier("sample", model_path, "--out", out, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "Draws: 2 chains of 100" in done.stdout
    assert "Diagnosis:" in done.stdout
    assert "Sampling" not in done.stdout  # the bar is on standard error, so that the output can be piped
    assert load_posterior(out).settings.seed == 1
    again = hier("sample", model_path, "--out", out, *QUICK)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert hier("sample", model_path, "--out", tmp_path, "--force").exit_code == 2
    assert hier("sample", model_path, "--out", out, "--force", *QUICK).exit_code == 0


def test_compare_prints_both(model_path: Path) -> None:
    done = hier("compare", model_path, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"Comparison of {FORMULA}")


def test_run_makes_the_folder_and_report_uses_it(
    tmp_path: Path, cheap_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = hier("run", FORMULA, "--data", "pigs", "--out", "runs/pigs", *QUICK)
    assert first.exit_code == 0, first.stderr
    heads = [
        "Linear mixed model",
        "Family: gaussian",
        "Diagnosis:",
        f"Comparison of {FORMULA}",
        "Run folder: runs/pigs",
    ]
    places = [first.stdout.index(head) for head in heads]
    assert places == sorted(places)
    assert first.stdout.rstrip().endswith("report: runs/pigs/report.html")
    assert check_run("runs/pigs").complete

    refused = hier("run", FORMULA, "--data", "pigs", "--out", "runs/pigs", *QUICK)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert hier("run", FORMULA, "--data", "pigs", "--out", "runs/pigs", "--force", *QUICK).exit_code == 0

    assert "Report: pigs.html" in hier("report", "runs/pigs").stdout
    assert hier("report", "runs/pigs").exit_code == 2  # pigs.html is there now
    options = hier("report", "runs/pigs", "--out", "b.html", "--seed", "3")
    assert options.exit_code == 2
    assert "has its data and settings already" in options.stderr
    Path("runs/pigs/summary.txt").unlink()
    assert "summary.txt is missing" in hier("report", "runs/pigs", "--out", "b.html").stderr


def test_run_of_nested_factors(tmp_path: Path, cheap_report: None) -> None:
    data, out = ROOT / "tests" / "oracle" / "data" / "Oats.csv", tmp_path / "oats"
    done = hier("run", "yield ~ nitro + (1 | Block/Variety)", "--data", data, "--out", out, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "groups: Variety:Block, 18; Block, 6" in done.stdout
    assert "~Variety:Block (Number of levels: 18)" in done.stdout
    assert "Mean shrinkage of the 6 levels of Block" in done.stdout
    assert list(load_posterior(out / "posterior.nc").ranef) == ["Variety:Block", "Block"]


def test_report_of_a_formula_asks_for_a_name() -> None:
    done = hier("report", FORMULA, "--data", "pigs")
    assert done.exit_code == 2
    assert "--out" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "none.toml"], "there is no model file none.toml"),
        (["run", "none.toml", "--out", "r"], "there is no model file none.toml"),
        (["show", "{bad}"], r"no key `fromula`"),
        (["show", FORMULA], "a formula needs data"),
        (["show", FORMULA, "--data", "none.csv"], "no data set or file `none.csv`"),
        (["show", "weigth ~ week + (1 | id)", "--data", "pigs"], "did you mean `weight`"),
        (["estimate", "weight ~ week + (1 | id", "--data", "pigs"], "^"),
        (["show", "{good}", "--data", "pigs"], "names its data itself"),
        (["estimate", "{good}", "--method", "lasso"], "`method` cannot be this"),
        (["sample", "{good}", "--out", "p.nc", "--seed", "-1"], "`seed` cannot be this"),
        (["sample", "{good}", "--out", "p.nc", "--draws", "x"], "--draws"),
        (["sample", "{good}"], "--out"),
        (["run", "{good}"], "--out"),
        (["run", "weight ~ week", "--data", "pigs", "--out", "r"], "is of group deviations, and the model has none"),
        (["run", "{good}", "--out", "{good}"], "is a file, not a run folder"),
        (["report", "."], "not a complete run folder"),
        (["shwo", "{good}"], "shwo"),
    ],
)
def test_a_refusal_is_a_message_and_status_2(
    tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('fromula = "y ~ (1 | g)"\n', encoding="utf-8")
    places = {"{good}": str(model_path), "{bad}": "bad.toml"}
    before = set(tmp_path.iterdir())
    done = hier(*[places.get(word, word) for word in words])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.output
    assert set(tmp_path.iterdir()) == before


def test_the_program_itself_shows_no_traceback(tmp_path: Path) -> None:
    done = fresh("from hier.cli import main; main()", "show", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("there is no model file none.toml\n")
    assert "Traceback" not in done.stderr


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("hier.jobs.build", fail)
    return hier("show", FORMULA, "--data", "pigs")


def test_a_defect_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIER_DEBUG", raising=False)
    done = failing(monkeypatch, ZeroDivisionError("by zero\nsecond line"))
    assert done.exit_code == 1
    assert "This is a defect in hier" in done.stderr
    assert "ZeroDivisionError: by zero)" in done.stderr
    assert "HIER_DEBUG=1" in done.stderr
    assert "Traceback" not in done.output
    monkeypatch.setenv("HIER_DEBUG", "1")
    done = failing(monkeypatch, ZeroDivisionError("by zero"))
    assert done.exit_code == 1
    assert "Traceback" in done.stderr


UNREAD = """
import os, sys
from hier.cli import main
reader, writer = os.pipe()
os.close(reader)
for number in {streams}:
    os.dup2(writer, number)
main()
"""


@pytest.mark.parametrize(
    ("streams", "words", "status"),
    [((1,), ["datasets"], 0), ((1, 2), ["show", "none.toml"], 2), ((1,), ["--version"], 0)],
)
def test_a_reader_that_has_gone_is_nobodys_mistake(streams: tuple[int, ...], words: list[str], status: int) -> None:
    done = fresh(UNREAD.format(streams=streams), *words)
    assert done.returncode == status
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("words", "status"), [(["datasets"], 0), pytest.param(["show", "none.toml"], 2, marks=pytest.mark.slow)]
)
def test_closed_streams_are_nobodys_mistake(words: list[str], status: int) -> None:
    command = 'exec "$@" >&- 2>&-'
    program = "from hier.cli import main; main()"
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-c", program, *words],
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == status


STOPPED = """
import os, signal, sys, threading, time
import hier.jobs.job as job
from hier.cli import main

def wait(*_):
    assert any(name.endswith(".part") for name in os.listdir("."))
    os.kill(os.getpid(), getattr(signal, "{signal}"))
    time.sleep(60)

job.estimate_of = wait
sys.argv = ["hier", "run", "weight ~ week + (week | id)", "--data", "pigs", "--out", "run"]
main()
"""


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGTERM", 143),
        pytest.param("SIGHUP", 129, marks=pytest.mark.slow),
        pytest.param("SIGINT", 130, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path, name: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED.format(signal=name)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="terminals of Unix")
@pytest.mark.parametrize("command", ["sample", pytest.param("run", marks=pytest.mark.slow)])
def test_ctrl_c_while_programs_are_compiled(tmp_path: Path, command: str) -> None:
    """The terminal says that they are, and Ctrl-C ends it at once."""
    ours, theirs = os.openpty()
    cache, place = tmp_path / "cache", tmp_path / "place"
    place.mkdir()
    words = [command, "weight ~ week + (1 | id)", "--data", "pigs", "--out", "out.nc"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from hier.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HIER_CACHE_DIR": str(cache), "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    told = b""
    try:
        while b"compiling (first use of this structure), 2 s" not in told:
            told += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(2.0) == 130
    finally:
        process.kill()
        os.close(ours)
        out = process.communicate()[0]
    assert b"Draws" not in out, "the estimate may have been printed"
    assert b"Traceback" not in told
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "sample", "report"])
@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("x" * 5000, "File name too long"),
        ("~nobody-of-that-name/x", "no home folder"),
        ("round", "round in a circle"),
        ("round/x", "round in a circle"),
        ("m.toml/x", "a file, not a folder"),
        ("null\0", "null byte"),
        ("m.toml/a\x1b[2J", "a file, not a folder"),
    ],
)
def test_no_name_for_the_output_is_a_sentence_before_the_work_begins(
    tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, out: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hier.jobs.job.estimate_of", None)
    monkeypatch.setattr("hier.jobs.sample_of", None)
    monkeypatch.setattr("hier.jobs.compare_of", None)
    (tmp_path / "round").symlink_to("back")
    (tmp_path / "back").symlink_to("round")
    before = set(tmp_path.iterdir())
    done = hier(command, model_path, "--out", out, "--force")
    assert done.exit_code == 2, done.output
    assert reason in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout == ""
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("model", ["x" * 300, "x" * 5000, "~nobody-of-that-name/m.toml", "round", "."])
@pytest.mark.parametrize("command", ["show", "report"])
def test_no_name_of_a_model_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").symlink_to("round")
    done = hier(command, model)
    assert done.exit_code == 2, done.output
    assert len(done.stderr) < 1000


def test_a_long_formula_is_a_formula() -> None:
    formula = "weight ~ " + " + ".join(["week"] * 100) + " + (week | id)"
    done = hier("show", formula, "--data", "pigs")
    assert done.exit_code == 0, done.output


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    done = failing(monkeypatch, KeyboardInterrupt())
    assert done.exit_code == 130
    assert done.output.strip() == ""


def test_what_the_operating_system_refuses_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    done = failing(monkeypatch, PermissionError(13, "Permission denied", "p.nc"))
    assert done.exit_code == 2
    assert "Permission denied: 'p.nc'" in done.stderr


def test_how_a_data_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    rows = [f"{k},5|{k * k % 7}|{'ab'[k % 2]}" for k in range(8)]
    path.write_text("\n".join(["y|x|g", *rows, "-999|1|a", ""]), encoding="utf-16-be")
    options = ["--sep", "|", "--decimal", ",", "--encoding", "utf-16-be"]
    done = hier("show", "y ~ x + (1 | g)", "--data", path, *options, "--na", "-999")
    assert done.exit_code == 0, done.output
    assert "1 of 9 rows dropped for missing values (`y` 1)" in done.stdout
    refused = hier("show", "y ~ x + (1 | g)", "--data", path, *options, "--na", "-999", "--na", "error")
    assert refused.exit_code == 2
    assert "`y`: 1 missing" in refused.output
    for command in ("run", "estimate", "sample", "compare", "report", "show"):
        assert all(word in hier(command, "--help").stdout for word in ("--sep", "--decimal", "--encoding", "--na"))
