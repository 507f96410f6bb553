"""Model files, and run folders that are complete or say that they are not."""

from hier.jobs.job import compare_of, estimate_of, load_comparison, report_of, run, sample_of
from hier.jobs.modelfile import ModelFile, Sampling, build, from_formula, read_model_file, with_settings
from hier.jobs.record import read_estimate
from hier.jobs.runfolder import RunCheck, check_run

__all__ = [
    "ModelFile",
    "RunCheck",
    "Sampling",
    "build",
    "check_run",
    "compare_of",
    "estimate_of",
    "from_formula",
    "load_comparison",
    "read_estimate",
    "read_model_file",
    "report_of",
    "run",
    "sample_of",
    "with_settings",
]
