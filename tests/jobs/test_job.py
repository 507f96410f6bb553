"""The whole job: every file of a run folder says what was fitted, and can be read by other programs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hier.errors import JobError, ModelError
from hier.estimate import Estimate
from hier.jobs import ModelFile, check_run, from_formula, load_comparison, read_estimate, read_model_file, run
from hier.jobs.modelfile import with_settings
from hier.jobs.runfolder import RECORD, finish
from hier.posterior import Posterior, load_posterior


def test_the_folder_is_complete_and_holds_the_fits(finished: Path, fits: tuple[Estimate, Posterior]) -> None:
    estimate, posterior = fits
    assert check_run(finished).complete, str(check_run(finished))
    assert read_estimate(finished)["objective"] == estimate.objective
    np.testing.assert_array_equal(load_posterior(finished / "posterior.nc").draws["beta"], posterior.draws["beta"])
    table = pd.read_csv(finished / "comparison.csv")
    assert list(table.columns[:2]) == ["id", "term"]
    assert len(table) == 96
    np.testing.assert_allclose(table["mode"], estimate.ranef["id"].to_numpy().ravel(), rtol=1e-12)
    text = (finished / "summary.txt").read_text(encoding="utf-8")
    for block in (estimate.summary(), posterior.summary(), str(posterior.diagnose()), "Comparison of weight ~ week"):
        assert block in text


def test_the_draws_are_read_by_xarray_and_arviz(finished: Path) -> None:
    import arviz_base

    with xr.open_datatree(finished / "posterior.nc", engine="h5netcdf") as tree:
        assert {"posterior", "sample_stats", "observed_data", "constant_data"} <= set(tree.children)
        assert tree["posterior"]["b_id"].dims == ("chain", "draw", "id", "id_coef")
        assert tree["posterior"]["id"].to_numpy().tolist() == list(range(1, 49))
        assert arviz_base.extract(tree, var_names="sigma").sizes["sample"] == 200


def test_the_record_of_the_run_says_what_was_done(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["seed"] == 1
    assert (record["settings"]["chains"], record["settings"]["draws"]) == (2, 100)
    assert record["settings"]["warmup"] >= 20  # the length that hier chose, not null
    assert record["settings"]["method"] == "reml"
    assert record["data"] == record["data"] | {"name": "pigs", "rows": 432, "sha256": None}
    assert record["started"] <= record["ended"]
    assert set(record["seconds"]) == {"estimate", "sample", "report"}


def test_blocks_are_given_in_order_as_they_come(tmp_path: Path, pigs_file: ModelFile, quick_fits: None) -> None:
    heads: list[str] = []
    run(pigs_file, tmp_path / "r", on_block=lambda block: heads.append(block.partition("\n")[0]))
    assert [head.split()[0] for head in heads] == ["Linear", "Family:", "Diagnosis:", "Comparison"]


def test_the_model_file_is_copied_to_the_letter(tmp_path: Path, quick_fits: None) -> None:
    text = '# a comment\r\nformula = "weight ~ week + (week | id)"\r\ndata = "pigs" # ü\r\n'
    path = tmp_path / "m.toml"
    path.write_bytes(text.encode())
    out = run(read_model_file(path), tmp_path / "r")
    assert (out / "model.toml").read_bytes() == text.encode()


def test_a_formula_is_kept_as_a_model_file(finished: Path, pigs_file: ModelFile) -> None:
    again = read_model_file(finished / "model.toml")
    assert (again.formula, again.data, again.sampling) == (pigs_file.formula, "pigs", pigs_file.sampling)


def test_a_failing_report_leaves_no_folder(
    tmp_path: Path, pigs_file: ModelFile, quick_fits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("hier.jobs.job.report_of", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        run(pigs_file, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_before_anything_is_fitted(
    finished: Path, pigs_file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hier.jobs.job.estimate_of", lambda *_: pytest.fail("fitted all the same"))
    with pytest.raises(JobError, match="exists already"):
        run(pigs_file, finished)


def test_a_run_folder_gives_its_comparison_back(finished: Path, fits: tuple[Estimate, Posterior]) -> None:
    both = load_comparison(finished)
    np.testing.assert_allclose(both.table["mode"], fits[0].ranef["id"].to_numpy().ravel(), rtol=1e-12)
    np.testing.assert_allclose(both.table["posterior_mean"], fits[1].ranef["id"].to_numpy().ravel(), rtol=1e-12)
    (finished / "summary.txt").unlink()
    with pytest.raises(JobError, match=r"not a complete run folder(.|\n)*summary\.txt is missing"):
        load_comparison(finished)


def names_with_brackets(folder: Path) -> ModelFile:
    rng = np.random.default_rng(1)
    levels = np.repeat(["[bold]a[/bold]", "Zoë", "<script>", "x/y", "日本", "1"], 8)
    weeks = np.tile(np.arange(8.0), 6)
    y = 3 + 2 * weeks + np.repeat(rng.normal(size=6), 8) + rng.normal(size=48)
    pd.DataFrame({"Größe [kg]": y, "Woche [n]": weeks, "Käfig": levels}).to_csv(folder / "d.csv", index=False)
    text = "formula = '`Größe [kg]` ~ `Woche [n]` + (1 | Käfig)'\ndata = 'd.csv'\n[priors]\nsigma = 'half_normal(9)'\n"
    (folder / "m.toml").write_text(text, encoding="utf-8")
    return with_settings(read_model_file(folder / "m.toml"), chains=2, draws=100, seed=1)


def test_names_with_brackets_and_letters_of_all_scripts_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hier.jobs.job.report_of", lambda _, path: path.write_text("<html></html>"))
    out = run(names_with_brackets(tmp_path), tmp_path / "r")
    table = pd.read_csv(out / "comparison.csv", dtype=str)
    assert set(table["Käfig"]) == {"[bold]a[/bold]", "Zoë", "<script>", "x/y", "日本", "1"}
    assert not table["posterior_mean"].isna().any()
    assert set(read_estimate(out)["ranef"]["Käfig"].index) == set(table["Käfig"])
    assert "Woche [n]" in (out / "summary.txt").read_text(encoding="utf-8")
    assert not load_comparison(out).table.isna().any(axis=None)  # levels read back meet those of the data
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert len(record["data"]["sha256"]) == 64

    csv = tmp_path / "d.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace("[bold]", "[b]"), encoding="utf-8")
    frame = pd.read_csv(csv)
    frame["Größe [kg]"] += 1.0
    frame.to_csv(csv, index=False)
    with pytest.raises(ModelError, match="not of the same model on the same data"):
        load_comparison(out)


def test_the_same_seed_gives_the_same_file_of_draws(pigs_file: ModelFile, fits: tuple[Estimate, Posterior]) -> None:
    from hier.jobs import build, sample_of

    again = sample_of(from_formula_like(pigs_file), build(pigs_file))
    np.testing.assert_array_equal(again.draws["sigma"], fits[1].draws["sigma"])


def from_formula_like(model_file: ModelFile) -> ModelFile:
    return with_settings(from_formula(model_file.formula, model_file.data), chains=2, draws=100, seed=1)


@pytest.mark.slow
def test_a_run_of_two_crossed_factors(tmp_path: Path) -> None:
    data = Path(__file__).parents[1] / "oracle" / "data" / "Penicillin.csv"
    model_file = from_formula("diameter ~ 1 + (1 | plate) + (1 | sample)", str(data))
    out = run(with_settings(model_file, chains=2, draws=100, seed=1), tmp_path / "r")
    assert check_run(out).complete, str(check_run(out))
    record = read_estimate(out)
    # lme4's fit: sds 0.846704, 1.931558 and 0.549923
    np.testing.assert_allclose(record["varcorr"]["sdcor"], [0.846704, 1.931558, 0.549923], rtol=1e-5)
    assert {group: table.shape for group, table in record["ranef"].items()} == {"plate": (24, 1), "sample": (6, 1)}
    table = pd.read_csv(out / "comparison.csv")
    assert list(table.columns[:3]) == ["group", "level", "term"]
    assert table["group"].value_counts().to_dict() == {"plate": 24, "sample": 6}
    np.testing.assert_allclose(table["mode"][24:], record["ranef"]["sample"]["Intercept"], rtol=1e-12)
    text = (out / "summary.txt").read_text(encoding="utf-8")
    for words in ("~plate (Number of levels: 24)", "~sample (Number of levels: 6)", "the 6 levels of sample ("):
        assert words in text
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.index("<h2>Levels of plate</h2>") < page.index("<h2>Levels of sample</h2>")
    both = load_comparison(out)
    np.testing.assert_allclose(both.table["mode"], table["mode"], rtol=1e-12)
    np.testing.assert_allclose(both.table["posterior_mean"], table["posterior_mean"], rtol=1e-12)


def exchange_draws(folder: Path, posterior: Posterior, *, noted: bool) -> None:
    """Put other draws in the place of a run's; `noted`: with a record that vouches for their bytes."""
    posterior.save(folder / "posterior.nc")
    if noted:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        finish(
            folder, {name: own for name, own in record.items() if name not in ("format", "finished", "files", "sha256")}
        )


def test_draws_of_another_run_are_known_by_their_bytes(finished: Path, fits: tuple[Estimate, Posterior]) -> None:
    posterior = fits[1]
    exchange_draws(finished, dataclasses.replace(posterior, settings=posterior.settings._replace(seed=2)), noted=False)
    assert not check_run(finished).complete
    with pytest.raises(JobError, match="not a complete run folder") as refused:
        load_comparison(finished)
    assert "posterior.nc has" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"seed": 2}, "seed 2 instead of 1"),
        ({"warmup": 7}, "warmup 7 instead of"),
        ({"the column `week`": [1, 0.5, 0.5]}, "the column `week`"),
        ({"the weights": [1, 0.5, 0.5]}, "the weights"),
        ({"the family": "poisson"}, "the family"),
    ],
)
def test_draws_of_another_run_are_known_by_what_they_say(
    finished: Path, fits: tuple[Estimate, Posterior], change: dict[str, object], found: str
) -> None:
    posterior = fits[1]
    if set(change) <= set(posterior.settings._fields):
        other = dataclasses.replace(posterior, settings=posterior.settings._replace(**change))
    else:
        other = dataclasses.replace(posterior, digest=posterior.digest | change)
    exchange_draws(finished, other, noted=True)
    assert check_run(finished).complete
    with pytest.raises(JobError, match="the draws in pigs are not those of its run") as refused:
        load_comparison(finished)
    assert found in (refused.value.found or "")


def test_the_same_draws_written_again_are_those_of_the_run(finished: Path, fits: tuple[Estimate, Posterior]) -> None:
    exchange_draws(finished, fits[1], noted=True)
    assert load_comparison(finished).posterior.summary() == fits[1].summary()
