"""One small fit for all tests of this folder, and a report that costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hier.estimate import Estimate
from hier.jobs import ModelFile, build, estimate_of, from_formula, run, sample_of, with_settings
from hier.posterior import Posterior

PIGS = "weight ~ week + (week | id)"


def quick(model_file: ModelFile) -> ModelFile:
    return with_settings(model_file, chains=2, draws=100, seed=1)


@pytest.fixture(scope="session")
def pigs_file() -> ModelFile:
    return quick(from_formula(PIGS, "pigs"))


@pytest.fixture(scope="session")
def fits(pigs_file: ModelFile) -> tuple[Estimate, Posterior]:
    model = build(pigs_file)
    return estimate_of(pigs_file, model), sample_of(pigs_file, model)


@pytest.fixture
def quick_fits(monkeypatch: pytest.MonkeyPatch, fits: tuple[Estimate, Posterior]) -> None:
    """Let `run` find the fits and the report ready-made: these tests are about files."""
    monkeypatch.setattr("hier.jobs.job.estimate_of", lambda *_: fits[0])
    monkeypatch.setattr("hier.jobs.job.sample_of", lambda *_, **__: fits[1])
    monkeypatch.setattr("hier.jobs.job.report_of", lambda _, path: path.write_text("<html></html>"))


@pytest.fixture
def finished(tmp_path: Path, pigs_file: ModelFile, quick_fits: None) -> Path:
    """A run folder of the pigs."""
    return run(pigs_file, tmp_path / "pigs")
