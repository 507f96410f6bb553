"""One job from model file to run folder: estimate, sample, compare, report.

Nothing is printed here; the caller is given each block.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hier.design import differences
from hier.errors import JobError
from hier.files import Given, named, place, write
from hier.jobs.keys import READING
from hier.jobs.modelfile import ModelFile, build, data_path, read_model_file, reading_of, render
from hier.jobs.record import estimate_record, read_json, versions, write_json
from hier.jobs.runfolder import RECORD, check_run, finish, new_run_folder
from hier.model.specification import refuse_without_groups

if TYPE_CHECKING:
    from hier.estimate import Estimate
    from hier.interface import Comparison, Model
    from hier.posterior import Posterior


def estimate_of(model_file: ModelFile, model: Model) -> Estimate:
    """The point estimates that a model file asks for."""
    return model.estimate(model_file.method)


def sample_of(model_file: ModelFile, model: Model, *, progress: bool = False) -> Posterior:
    """The posterior, drawn as a model file says; `progress` shows a bar on standard error."""
    found = model.sample(progress=progress, **model_file.sampling.in_files())
    if found.settings.stopped:  # a file has all the draws that it says, or there is none
        raise KeyboardInterrupt
    return found


def compare_of(model_file: ModelFile, *, progress: bool = False) -> Comparison:
    """Both fits of a model file, side by side."""
    from hier.estimate.progress import told_of_compiling
    from hier.interface import compare

    model = build(model_file)
    with told_of_compiling("Estimating", shown=progress):
        estimate = estimate_of(model_file, model)
    return compare(estimate, sample_of(model_file, model, progress=progress))


def report_of(comparison: Comparison, path: Path) -> Path:
    """Write a comparison as one HTML file; its path."""
    from hier.interface import report

    return report(comparison, path)


def run(
    model_file: ModelFile,
    out: Given,
    *,
    force: bool = False,
    progress: bool = False,
    on_block: Callable[[str], None] = lambda block: None,
) -> Path:
    """Estimate, sample, compare and report, into a new run folder; its path.

    `on_block` is given each block of text when it is there: the estimate, the posterior, its diagnosis, the comparison.
    Raises JobError where the folder exists (`force` replaces it), ModelError for a model without groups; whatever goes
    wrong, no folder of that name is left.
    """
    from hier.estimate.progress import told_of_compiling
    from hier.interface import compare

    started, seconds, blocks = _now(), dict[str, float](), list[str]()

    def tell(block: str) -> None:
        blocks.append(block)
        on_block(block)

    with new_run_folder(out, force=force) as folder:
        _write(folder / "model.toml", render(model_file) if model_file.text is None else model_file.text)
        model = build(model_file)
        what = "a run, which ends in a comparison by level (`hier estimate` and `hier sample` need none),"
        refuse_without_groups(what, model.formula, model.design.random_effects)
        with _timed(seconds, "estimate"), told_of_compiling("Estimating", shown=progress):
            estimate = estimate_of(model_file, model)
        write_json(estimate_record(estimate), folder / "estimate.json")
        tell(estimate.summary())
        with _timed(seconds, "sample"):
            posterior = sample_of(model_file, model, progress=progress)
        posterior.save(folder / "posterior.nc")
        tell(posterior.summary())
        tell(str(posterior.diagnose()))
        comparison = compare(estimate, posterior)
        _write(folder / "comparison.csv", comparison.table.to_csv())
        tell(str(comparison))
        _write(folder / "summary.txt", "\n\n".join(blocks) + "\n")
        with _timed(seconds, "report"):
            report_of(comparison, folder / "report.html")
        times = {"started": started, "ended": _now(), "seconds": seconds}
        finish(folder, {**times, **_provenance(model_file, comparison), "versions": versions()})
    return place(out, "a run folder")


def load_comparison(path: Given) -> Comparison:
    """The comparison of a run folder: the stored draws, beside the estimate, which is made again from the data.

    Raises JobError where the folder is not complete or its data are gone, and ModelError where the data have changed.
    """
    from hier.interface import compare
    from hier.posterior import load_posterior

    path = place(path, "a run folder")
    check = check_run(path)
    if not check.complete:
        raise JobError(
            f"{named(path.name)} is not a complete run folder", where=named(path), found="; ".join(check.problems)
        )
    record = read_json(path / RECORD)
    try:
        folder, method = Path(record["data"]["folder"]), str(record["settings"]["method"])
        reading = {name: record["data"][name] for name in READING if name in record["data"]}
    except (KeyError, TypeError) as error:
        raise JobError(f"{RECORD} is damaged", where=str(path / RECORD), found=f"no {error}") from error
    model_file = dataclasses.replace(read_model_file(path / "model.toml", folder), method=method, **reading)
    posterior = load_posterior(path / "posterior.nc")
    _refuse_exchanged(posterior, record, path)
    return compare(estimate_of(model_file, build(model_file)), posterior)


def _refuse_exchanged(posterior: Posterior, record: dict[str, Any], path: Path) -> None:
    """Refuse draws that are not those of the run, as far as its record and theirs say."""
    ran = {name: record["settings"].get(name) for name in ("chains", "draws", "warmup", "seed")}
    drawn = {name: getattr(posterior.settings, name) for name in ran}
    parts = [f"{name} {drawn[name]} instead of {ran[name]}" for name in ran if drawn[name] != ran[name]]
    parts += differences(posterior.digest, record.get("digest") or {})
    if parts:
        raise JobError(
            f"the draws in {path.name} are not those of its run",
            where=str(path / "posterior.nc"),
            found=", ".join(parts[:5]),
            hint="run it again with --force",
        )


def _provenance(model_file: ModelFile, comparison: Comparison) -> dict[str, Any]:
    """What was fitted, to which bytes, with which settings: those in force, wherever they were set."""
    csv = data_path(model_file)
    return {
        "title": model_file.name,
        "formula": str(model_file.whole_formula),
        "family": model_file.family,
        "digest": comparison.posterior.digest,
        "model_file": None if model_file.path is None else str(model_file.path),
        "data": {
            "name": model_file.data,
            "folder": str(model_file.folder.resolve()),
            "sha256": None if csv is None else hashlib.sha256(csv.read_bytes()).hexdigest(),
            "rows": len(comparison.posterior.observed),
            **reading_of(model_file),
        },
        "settings": {
            **model_file.sampling.in_files(),
            "method": comparison.estimate.method,
        },
    }


def _write(path: Path, text: str) -> None:
    write(path, text, f"the file {path.name}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def _timed(seconds: dict[str, float], step: str) -> Generator[None]:
    begun = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - begun, 3)
