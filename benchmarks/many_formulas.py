"""`python -m benchmarks.many_formulas`: thirty formulas on two data sets, each fitted for the first time.

What exploring costs: the time of all first estimates with their summaries, and with `--sample` of all first posteriors,
in one process with an empty cache; how many programs were compiled, and the process's peak memory. `--beside FOLDER`
measures another build of hier, whose package stands in FOLDER, in turn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SLEEP = "tests/oracle/data/sleepstudy.csv"
RADON = "tests/oracle/data/radon.csv"
FORMULAS = [
    (SLEEP, f"Reaction ~ {fixed} + {random}", {})
    for fixed, random in (
        ("1", "(1 | Subject)"),
        ("Days", "(1 | Subject)"),
        ("Days", "(Days | Subject)"),
        ("Days", "(Days || Subject)"),
        ("Days", "(0 + Days | Subject)"),
        ("poly(Days, 2)", "(1 | Subject)"),
        ("poly(Days, 2)", "(Days | Subject)"),
        ("Days + I(Days^2)", "(Days | Subject)"),
        ("log(Days + 1)", "(log(Days + 1) | Subject)"),
        ("factor(Days)", "(1 | Subject)"),
        ("factor(Days > 4)", "(1 | Subject)"),
        ("scale(Days)", "(scale(Days) | Subject)"),
        ("0 + Days", "(1 | Subject)"),
    )
] + [
    (RADON, f"log_radon ~ {fixed} + {random}", options)
    for fixed, random, options in (
        ("1", "(1 | county)", {}),
        ("floor", "(1 | county)", {}),
        ("floor + log_uranium", "(1 | county)", {}),
        ("floor * log_uranium", "(1 | county)", {}),
        ("floor", "(floor | county)", {}),
        ("floor", "(floor || county)", {}),
        ("floor + log_uranium", "(floor | county)", {}),
        ("floor * log_uranium", "(floor | county)", {}),
        ("floor + I(log_uranium^2)", "(1 | county)", {}),
        ("floor + poly(log_uranium, 3)", "(1 | county)", {}),
        ("factor(floor)", "(1 | county)", {}),
        ("factor(floor) * log_uranium", "(1 | county)", {}),
        ("floor + exp(log_uranium)", "(1 | county)", {}),
        ("floor", "(1 | county)", {"weights": "w"}),
        ("floor + log_uranium", "(floor | county)", {"weights": "w"}),
        ("factor(floor) * poly(log_uranium, 2)", "(floor | county)", {}),
        ("log_uranium", "(0 + floor | county)", {}),
    )
]

PROCESS = """
import json, os, resource, sys, time
import pandas as pd
import hier
formulas, sampled = json.loads(sys.argv[1])
tables = {path: pd.read_csv(path) for path in {own[0] for own in formulas}}
for table in tables.values():
    table["w"] = 1.0 + (table.index % 3)
estimates = samples = 0.0
for path, formula, options in formulas:
    began = time.perf_counter()
    model = hier.Model(formula, tables[path], **options)
    str(model.estimate().summary())
    estimates += time.perf_counter() - began
    if sampled:
        began = time.perf_counter()
        model.sample(progress=False)
        samples += time.perf_counter() - began
folder = os.environ["HIER_CACHE_DIR"]
programs = sum(not name.startswith("operation") for _, _, names in os.walk(folder) for name in names)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"estimates": estimates, "samples": samples, "files in the cache": programs, "peak MB": peak}))
"""


def measured(build: Path, sampled: bool) -> dict[str, float]:
    """The figures of one build."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", PROCESS, json.dumps([FORMULAS, sampled])],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(build), "HIER_CACHE_DIR": cache, "HOME": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Print a line for each build."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_formulas", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="sample each model's posterior too")
    parser.add_argument("--beside", type=Path, action="append", default=[], metavar="FOLDER", help="another build")
    chosen = parser.parse_args()
    for build in (ROOT, *chosen.beside):
        found = measured(build.resolve(), chosen.sample)
        print(f"{build.name}: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
